#include "http/tls.hpp"

#include "http/client.hpp"
#include "unit/http/certificates.hpp"
#include "unit/http/sockets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pgkeel::http {
namespace {

using namespace pgkeel::test;

constexpr const char* local_names = "DNS:localhost,IP:127.0.0.1";

Url local(int port, std::string host = "127.0.0.1") {
    return {.tls = true, .host = std::move(host), .port = std::to_string(port), .target = "/x"};
}

Result<Response> ask_with(ClientTls tls, Url url, Request request = {}, Duration time = 5s) {
    Loop loop;
    Client client(std::move(tls));
    return loop.run(client.request(std::move(url), std::move(request), Boottime::now() + time));
}

Task<Response> tell_certificate(Request request) {
    co_return Response{.body = fmt::format("tls={} certificate={}", request.tls, request.client_certificate)};
}

class tls : public testing::Test {
  protected:
    ServerTls server_tls(const CertificateFiles& files, VerifyClient verify_client = VerifyClient::none) const {
        return {.certificate_file = files.certificate,
                .key_file = files.key,
                .ca_file = verify_client == VerifyClient::none ? "" : authority.ca_file(),
                .verify_client = verify_client};
    }
    ClientTls client_tls() const { return {.ca_file = authority.ca_file()}; }
    ClientTls client_tls(const CertificateFiles& files) const {
        return {.ca_file = authority.ca_file(), .certificate_file = files.certificate, .key_file = files.key};
    }

    TemporaryDirectory directory;
    Authority authority{directory, "ours"};
    CertificateFiles node = authority.issue("node", local_names);
};

TEST_F(tls, connects_and_verifies_names_and_addresses) {
    ServerThread server({.tls = server_tls(node)}, tell_certificate);
    EXPECT_EQ(ask_with(client_tls(), local(server.port()))->body, "tls=true certificate=false");
    EXPECT_EQ(ask_with(client_tls(), local(server.port(), "localhost"))->body, "tls=true certificate=false");
}

TEST_F(tls, refuses_a_certificate_for_another_host_or_of_another_authority) {
    const auto other_host = authority.issue("other", "DNS:elsewhere.example,IP:127.0.0.2");
    ServerThread server({.tls = server_tls(other_host)});
    for (const char* host : {"127.0.0.1", "localhost"}) {
        const auto reply = ask_with(client_tls(), local(server.port(), host), {.method = "POST"});
        ASSERT_FALSE(reply) << host;
        EXPECT_EQ(reply.error().code, Errc::denied) << reply.error().line();
        EXPECT_TRUE(reply.error().text.contains("mismatch")) << reply.error().line();
    }
    const Authority stranger(directory, "stranger");
    const auto reply = ask_with({.ca_file = stranger.ca_file()}, local(server.port()));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::denied) << reply.error().line();
    EXPECT_FALSE(ask_with({}, local(server.port())));  // the system does not know our authority either
    EXPECT_TRUE(ask_with({.verify = false}, local(server.port())));
}

TEST_F(tls, knows_who_presented_a_certificate) {
    const auto somebody = authority.issue("somebody", "DNS:somebody");
    ServerThread server({.tls = server_tls(node, VerifyClient::optional)}, tell_certificate);
    EXPECT_EQ(ask_with(client_tls(), local(server.port()))->body, "tls=true certificate=false");
    EXPECT_EQ(ask_with(client_tls(somebody), local(server.port()))->body, "tls=true certificate=true");
    // One that nobody asked for counts for nothing.
    ServerThread careless({.tls = server_tls(node)}, tell_certificate);
    EXPECT_EQ(ask_with(client_tls(somebody), local(careless.port()))->body, "tls=true certificate=false");
}

TEST_F(tls, refuses_who_has_no_certificate_or_a_foreign_one) {
    ServerThread server({.tls = server_tls(node, VerifyClient::required)}, tell_certificate);
    const auto somebody = authority.issue("somebody", "DNS:somebody");
    EXPECT_EQ(ask_with(client_tls(somebody), local(server.port()))->body, "tls=true certificate=true");
    const auto without = ask_with(client_tls(), local(server.port()), {.method = "POST"});
    ASSERT_FALSE(without);
    EXPECT_EQ(without.error().code, Errc::denied) << without.error().line();
    const Authority stranger(directory, "stranger");
    const auto foreign =
        ask_with(client_tls(stranger.issue("foreign", "DNS:foreign")), local(server.port()), {.method = "POST"});
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, Errc::denied) << foreign.error().line();
}

TEST_F(tls, talks_to_nothing_older_than_tls_1_2) {
    ServerThread server({.tls = server_tls(node)});
    const std::string command = fmt::format(
        "openssl s_client -connect 127.0.0.1:{} -cipher 'ALL:@SECLEVEL=0' {{}} </dev/null 2>&1 | grep -c 'BEGIN "
        "CERTIFICATE' >/dev/null",
        server.port());
    EXPECT_NE(std::system(fmt::format(fmt::runtime(command), "-tls1_1").c_str()), 0);
    EXPECT_EQ(std::system(fmt::format(fmt::runtime(command), "-tls1_2").c_str()), 0);
    EXPECT_EQ(std::system(fmt::format(fmt::runtime(command), "-tls1_3").c_str()), 0);
}

TEST_F(tls, says_goodbye_so_that_the_end_of_an_answer_is_certain) {
    ServerThread server({.tls = server_tls(node)});
    // curl treats a connection cut without TLS's goodbye as an error when it knows no length; Python's ssl always does.
    const std::string python = fmt::format(
        "python3 -c \"import socket, ssl; c = ssl.create_default_context(cafile='{}'); "
        "s = c.wrap_socket(socket.create_connection(('127.0.0.1', {})), server_hostname='localhost', "
        "suppress_ragged_eofs=False); "
        "s.sendall(b'GET /x HTTP/1.0\\r\\n\\r\\n'); d = b''.join(iter(lambda: s.recv(99), b'')); assert "
        "d.endswith(b'/x'), d\"",
        authority.ca_file(), server.port());
    if (std::system("python3 -c 'import ssl' 2>/dev/null") != 0) GTEST_SKIP() << "no Python here to ask";
    EXPECT_EQ(std::system(python.c_str()), 0);
}

TEST_F(tls, reloads_certificates_while_connections_go_on) {
    ServerThread server({.tls = server_tls(node)}, [](Request request) -> Task<Response> {
        co_await pause(300ms);
        co_return Response{.body = request.target};
    });
    auto before = std::async(std::launch::async, [&] { return ask_with(client_tls(), local(server.port())); });
    std::this_thread::sleep_for(100ms);

    const Authority next(directory, "next");
    const auto renewed = server_tls(next.issue("renewed", local_names));
    EXPECT_TRUE(server.call([&] { return server.server().reload_tls(renewed); }));
    EXPECT_TRUE(ask_with({.ca_file = next.ca_file()}, local(server.port())));
    EXPECT_FALSE(ask_with(client_tls(), local(server.port())));
    const auto answer = before.get();
    ASSERT_TRUE(answer) << answer.error().line();

    const auto broken =
        server.call([&] { return server.server().reload_tls({.certificate_file = directory / "missing"}); });
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code, Errc::invalid_input);
    EXPECT_TRUE(ask_with({.ca_file = next.ca_file()}, local(server.port())));  // with the last good ones
}

TEST_F(tls, counts_the_handshake_against_the_header_deadline) {
    ServerThread server({.tls = server_tls(node), .limits = {.header_deadline = 300ms}});
    const Instant start = Boottime::now();
    const Peer silent(server.port());
    const Peer half(server.port());
    half.send("\x16\x03\x01\x02");  // the first bytes of a handshake
    EXPECT_TRUE(silent.closed_within(1s));
    EXPECT_TRUE(half.closed_within(1s));
    EXPECT_GE(since(start), 280ms);
    EXPECT_LT(since(start), 900ms);
}

TEST_F(tls, answers_at_once_while_600_strangers_are_in_their_handshake) {
    ServerThread server({.tls = server_tls(node), .limits = {.connections_per_address_max = 10'000}});
    std::vector<Peer> strangers;
    for (int i = 0; i < 600; ++i) {
        strangers.emplace_back(server.port());
        strangers.back().send("\x16\x03\x01\x02");
    }
    ASSERT_TRUE(strangers[87].closed_within(5s));  // the last that must make room for the 600th: all have been accepted
    const Instant start = Boottime::now();
    EXPECT_TRUE(ask_with(client_tls(), local(server.port())));
    EXPECT_LT(since(start), 500ms);  // a handshake on a busy machine; the strangers stay for 5 s
    EXPECT_FALSE(strangers[89].closed_within(50ms));
}

TEST_F(tls, is_not_disturbed_by_plain_http_and_resets) {
    ServerThread server({.tls = server_tls(node)});
    for (int i = 0; i < 10; ++i) {
        Peer peer(server.port());
        peer.send(i % 2 == 0 ? "GET / HTTP/1.1\r\n\r\n" : "\x16\x03\x01");
        if (i > 5) peer.reset();
    }
    EXPECT_TRUE(ask_with(client_tls(), local(server.port())));
    // And the other way round: the client asks for TLS where none is spoken.
    ServerThread plain({});
    const auto reply = ask_with(client_tls(), local(plain.port()), {.method = "POST"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::denied) << reply.error().line();
}

TEST_F(tls, holds_the_deadline_of_the_handshake) {
    ScriptedServer mute([](Peer& peer, int) { peer.receive_all(2s); });
    const Instant start = Boottime::now();
    const auto reply = ask_with(client_tls(), local(mute.port()), {.method = "POST"}, 300ms);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::timed_out) << reply.error().line();
    EXPECT_LT(since(start), 1s);
}

TEST_F(tls, reads_encrypted_keys) {
    const auto encrypted = authority.issue("encrypted", local_names, "hush, secret");
    auto options = server_tls(encrypted);
    options.key_password = "hush, secret";
    ServerThread server({.tls = options});
    EXPECT_TRUE(ask_with(client_tls(), local(server.port())));
}

TEST_F(tls, takes_certificate_and_key_from_one_file) {
    const std::string both = directory / "both.pem";
    std::ofstream(both) << std::ifstream(node.certificate).rdbuf() << std::ifstream(node.key).rdbuf();
    ServerThread server({.tls = {.certificate_file = both}});
    EXPECT_TRUE(ask_with(client_tls(), local(server.port())));
}

TEST_F(tls, names_the_file_and_the_cause) {
    const auto encrypted = authority.issue("encrypted", local_names, "hush, secret");
    const auto other = authority.issue("other", local_names);
    const std::string missing = directory / "missing.pem";
    const std::string rubbish = directory / "rubbish.pem";
    std::ofstream(rubbish) << "not PEM\n";
    const auto says = [](const ServerTls& options, const std::string& file, std::string_view cause) {
        const auto context = server_context(options);
        ASSERT_FALSE(context) << cause;
        EXPECT_EQ(context.error().code, Errc::invalid_input);
        EXPECT_TRUE(context.error().text.contains(file)) << context.error().line();
        EXPECT_TRUE(context.error().text.contains(cause)) << context.error().line();
        EXPECT_FALSE(context.error().line().contains("hush")) << context.error().line();
    };
    says({.certificate_file = missing}, missing, "No such file");
    says({.certificate_file = node.certificate, .key_file = missing}, missing, "No such file");
    says({.certificate_file = rubbish}, rubbish, "no PEM certificate");
    says({.certificate_file = node.certificate, .key_file = rubbish}, rubbish, "no PEM private key");
    says({.certificate_file = node.certificate, .key_file = other.key}, other.key, "does not fit");
    says({.certificate_file = encrypted.certificate, .key_file = encrypted.key}, encrypted.key, "no password is set");
    says({.certificate_file = encrypted.certificate, .key_file = encrypted.key, .key_password = "hush, wrong"},
         encrypted.key, "could not be decrypted");
    says({.certificate_file = node.certificate, .key_file = node.key, .ca_file = rubbish}, rubbish,
         "no usable PEM certificate");
    says({.certificate_file = node.certificate, .key_file = node.key, .ciphers = "NO-SUCH"}, "NO-SUCH", "cipher");
    says({.certificate_file = node.certificate, .key_file = node.key, .verify_client = VerifyClient::required}, "",
         "no CA");
}

TEST_F(tls, tells_bad_client_files_at_the_first_request) {
    const std::string missing = directory / "missing.pem";
    ServerThread server({.tls = server_tls(node)});
    const auto reply = ask_with({.ca_file = missing}, local(server.port()));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::invalid_input);
    EXPECT_TRUE(reply.error().text.contains(missing)) << reply.error().line();
    // Plain requests need none of the files.
    ServerThread plain({});
    auto url = local(plain.port());
    url.tls = false;
    EXPECT_TRUE(ask_with({.ca_file = missing}, url));
}

}  // namespace
}  // namespace pgkeel::http
