#include "engine/tls.hpp"

#include "unit/http/certificates.hpp"
#include "wires.hpp"

#include <openssl/ssl.h>

#include <algorithm>

namespace pgkeel::test {
namespace {

using config::TlsMode;
using engine::TlsContext;
using engine::TlsFiles;

/// Certificates are made once: they cost more than the tests.
struct Certificates {
    TemporaryDirectory directory;
    Authority authority{directory, "ca"}, stranger{directory, "stranger"};
    CertificateFiles server = authority.issue("db.example", "DNS:db.example,IP:127.0.0.1");
    CertificateFiles client = authority.issue("alice", "");
};
const Certificates& certificates() {
    static const Certificates made;
    return made;
}

TlsContext ours_to_clients(TlsMode mode = TlsMode::require) {
    TlsFiles files{
        .mode = mode, .certificate_file = certificates().server.certificate, .key_file = certificates().server.key};
    if (mode == TlsMode::verify_ca) files.ca_file = certificates().authority.ca_file();
    auto context = engine::client_side_context(files);
    if (!context) throw std::runtime_error(context.error().line());
    return *context;
}

TlsContext ours_to_servers(TlsMode mode = TlsMode::require, const std::string& ca_file = {},
                           const CertificateFiles& own = {}) {
    auto context = engine::server_side_context(
        {.mode = mode, .certificate_file = own.certificate, .key_file = own.key, .ca_file = ca_file});
    if (!context) throw std::runtime_error(context.error().line());
    return *context;
}

void offer_postgresql(const TlsContext& context) {
    static constexpr unsigned char name[] = "\x0apostgresql";
    SSL_CTX_set_alpn_protos(context.get(), name, sizeof name - 1);
}

/// Two wires of one loop that speak with each other.
struct Ends {
    explicit Ends(bool unix_sockets = false) {
        SocketPair pair = connected_pair(unix_sockets);
        const int theirs = pair.peer.release();
        ::fcntl(theirs, F_SETFL, O_NONBLOCK);
        server_wire = loop->adopt(pair.ours, server, {});
        client_wire = loop->adopt(theirs, client, {});
    }
    void start(TlsContext of_server, TlsContext of_client, const std::string& host = {}, bool verify_host = false) {
        server.calling([&] { server_wire->start_tls(std::move(of_server), true); });
        client.calling([&] { client_wire->start_tls(std::move(of_client), false, host, verify_host); });
    }
    bool secured() {
        return run_until(*loop, [&] { return server.heard("secured") && client.heard("secured"); });
    }
    std::unique_ptr<Loop> loop = make_loop();
    Listener server, client;
    pool::OwnedWire server_wire, client_wire;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

class tls : public OnEachEngine {};
ON_EACH_ENGINE(tls);

TEST_P(tls, both_ends_speak_and_know_of_each_other) {
    Ends ends;
    ends.start(ours_to_clients(), ours_to_servers());
    ends.client_wire->pass("put before the handshake is done");
    EXPECT_EQ(ends.server_wire->tls(), nullptr);
    ASSERT_TRUE(ends.secured());
    ends.server_wire->pass("welcome");
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.client.bytes == "welcome"; }));
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.bytes == "put before the handshake is done"; }));
    const pool::TlsFacts& facts = *ends.server_wire->tls();
    EXPECT_EQ(facts.version, "TLSv1.3");
    EXPECT_TRUE(contains(facts.cipher, "TLS_")) << facts.cipher;
    EXPECT_FALSE(facts.peer_verified);
    EXPECT_EQ(facts.peer_common_name, "");
    EXPECT_GT(facts.server_certificate.size(), 100u);
    EXPECT_EQ(facts.server_certificate, ends.client_wire->tls()->server_certificate);
    EXPECT_FALSE(ends.client_wire->tls()->peer_verified);
    ends.client_wire.reset();
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.is_closed; }));
    EXPECT_EQ(ends.server.reason, "");
}

TEST_P(tls, megabytes_pass_through_a_reader_that_stops_and_starts) {
    for (const bool unix_sockets : {false, true}) {
        Ends ends(unix_sockets);
        ends.start(ours_to_clients(), ours_to_servers());
        ASSERT_TRUE(ends.secured());
        std::string sent(20'000'000, '\0');
        for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 13 + i / 999);
        ends.client_wire->stop_reading();
        ends.server_wire->pass(sent);
        EXPECT_TRUE(ends.server_wire->backed_up());
        run_for(*ends.loop, 10ms);
        EXPECT_EQ(ends.client.shows, 0);
        // Odd amounts are used, so that bytes stay unused over records.
        ends.client.on_received = [&](std::string_view bytes) {
            if (ends.client.shows % 3 == 0) {
                ends.client_wire->stop_reading();
                ends.loop->post([&] { ends.client_wire->start_reading(); });
            }
            return bytes.size() - bytes.size() / 5;
        };
        ends.client_wire->start_reading();
        ASSERT_TRUE(run_until(*ends.loop, [&] {
            if (ends.client.bytes.size() < sent.size()) ends.client_wire->start_reading();
            return ends.client.bytes.size() == sent.size();
        }));
        EXPECT_TRUE(ends.client.bytes == sent);
        EXPECT_TRUE(ends.server.heard("drained"));
    }
}

// libpq leaves the rest of a longer one where who waits for the socket does not see it.
TEST_P(tls, no_record_to_a_client_is_longer_than_postgresqls) {
    static std::size_t longest = 0, records = 0;
    const TlsContext of_client = ours_to_servers();
    SSL_CTX_set_msg_callback(of_client.get(),
                             [](int is_written, int, int type, const void* bytes, std::size_t size, SSL*, void*) {
                                 const auto* header = static_cast<const unsigned char*>(bytes);
                                 if (is_written != 0 || type != SSL3_RT_HEADER || size != 5 || header[0] != 23) return;
                                 longest = std::max<std::size_t>(longest, header[3] * 256U + header[4]);
                                 ++records;
                             });
    Ends ends;
    ends.start(ours_to_clients(), of_client);
    ASSERT_TRUE(ends.secured());
    ends.server_wire->pass(std::string(1'000'000, 'x'));
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.client.bytes.size() == 1'000'000; }));
    EXPECT_GT(records, 100U);
    EXPECT_LE(longest, 8192U + 256U);
}

TEST_P(tls, begins_after_a_request_in_the_clear) {
    Ends ends;
    ends.server.on_received = [&](std::string_view) {
        if (!ends.server.heard("secured")) {
            ends.server_wire->put("S");
            ends.server.calling([&] { ends.server_wire->start_tls(ours_to_clients(), true); });
            return std::size_t{1};
        }
        return std::size_t{7};
    };
    ends.client.on_received = [&](std::string_view) {
        ends.client.calling([&] { ends.client_wire->start_tls(ours_to_servers(), false); });
        ends.client_wire->put("startup");
        return std::size_t{1};
    };
    ends.client_wire->pass("R");
    ASSERT_TRUE(ends.secured());
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.bytes == "Rstartup"; }));
    EXPECT_EQ(ends.client.bytes, "S");
}

TEST_P(tls, bytes_in_the_clear_behind_the_request_are_refused_on_either_side) {
    for (const bool as_server : {true, false}) {
        const auto loop = make_loop();
        auto [socket, peer] = connected_pair(false);
        Listener owner;
        pool::OwnedWire wire;
        owner.on_received = [&](std::string_view) {
            EXPECT_EQ(owner.shows, 1);
            owner.calling([&] { wire->start_tls(as_server ? ours_to_clients() : ours_to_servers(), as_server); });
            return std::size_t{1};
        };
        wire = loop->adopt(socket, owner, {});
        peer.say("Rinjected");
        ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
        EXPECT_TRUE(contains(owner.reason, "plaintext")) << owner.reason;
        EXPECT_FALSE(owner.heard("secured"));
    }
}

TEST_P(tls, what_looks_like_a_handshake_behind_a_request_is_refused_too) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(false);
    Listener owner;
    pool::OwnedWire wire;
    owner.on_received = [&](std::string_view) {
        wire->start_tls(ours_to_clients(), true);
        return std::size_t{1};
    };
    wire = loop->adopt(socket, owner, {});
    peer.say("R\x16\x03\x01");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_TRUE(contains(owner.reason, "plaintext")) << owner.reason;
}

TEST_P(tls, a_client_may_begin_with_it_when_it_names_the_protocol) {
    for (const bool names_it : {true, false}) {
        Ends ends;
        ends.server.on_received = [&](std::string_view bytes) {
            if (ends.server.heard("secured")) return bytes.size();
            EXPECT_EQ(bytes.front(), '\x16');
            ends.server_wire->start_tls(ours_to_clients(), true);
            return std::size_t{0};
        };
        const TlsContext context = ours_to_servers();
        if (names_it) offer_postgresql(context);
        ends.client_wire->start_tls(context, false);
        ends.client_wire->put("startup");
        if (names_it) {
            ASSERT_TRUE(ends.secured());
            EXPECT_TRUE(run_until(*ends.loop, [&] { return ends.server.bytes == "startup"; }));
        } else {
            ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.is_closed; }));
            EXPECT_TRUE(contains(ends.server.reason, "ALPN")) << ends.server.reason;
        }
    }
}

TEST_P(tls, a_server_that_our_authority_did_not_sign_is_refused) {
    Ends ends;
    ends.start(ours_to_clients(), ours_to_servers(TlsMode::verify_ca, certificates().stranger.ca_file()));
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.client.is_closed && ends.server.is_closed; }));
    EXPECT_TRUE(contains(ends.client.reason, "certificate verify failed")) << ends.client.reason;
    EXPECT_TRUE(contains(ends.server.reason, "alert unknown ca")) << ends.server.reason;
}

TEST_P(tls, the_host_is_checked_when_it_is_asked_for) {
    const TlsContext context = ours_to_servers(TlsMode::verify_full, certificates().authority.ca_file());
    for (const auto& [host, verify, good] : {std::tuple{"db.example", true, true},
                                             {"127.0.0.1", true, true},
                                             {"other.example", true, false},
                                             {"127.0.0.2", true, false},
                                             {"other.example", false, true}}) {
        Ends ends;
        ends.start(ours_to_clients(), context, host, verify);
        if (good) {
            ASSERT_TRUE(ends.secured()) << host;
            EXPECT_TRUE(ends.client_wire->tls()->peer_verified);
            EXPECT_EQ(ends.client_wire->tls()->peer_common_name, "db.example");
        } else {
            ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.client.is_closed; }));
            EXPECT_TRUE(contains(ends.client.reason, "certificate verify failed")) << ends.client.reason;
        }
    }
}

TEST_P(tls, a_client_certificate_is_demanded_and_names_the_client) {
    for (const bool shows_it : {true, false}) {
        Ends ends;
        ends.start(ours_to_clients(TlsMode::verify_ca),
                   ours_to_servers(TlsMode::require, {}, shows_it ? certificates().client : CertificateFiles{}));
        if (shows_it) {
            ASSERT_TRUE(ends.secured());
            EXPECT_TRUE(ends.server_wire->tls()->peer_verified);
            EXPECT_EQ(ends.server_wire->tls()->peer_common_name, "alice");
        } else {
            ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.is_closed; }));
            EXPECT_TRUE(contains(ends.server.reason, "peer did not return a certificate")) << ends.server.reason;
        }
    }
}

TEST_P(tls, a_peer_that_speaks_no_tls_is_told_apart) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(false);
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    wire->start_tls(ours_to_clients(), true);
    run_for(*loop, 5ms);
    peer.say("SELECT 1 -- not a handshake");
    ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    EXPECT_TRUE(contains(owner.reason, "TLS handshake failed")) << owner.reason;
}

TEST_P(tls, a_peer_that_leaves_during_the_handshake_is_told) {
    for (const bool before : {true, false}) {
        const auto loop = make_loop();
        auto [socket, peer] = connected_pair(false);
        Listener owner;
        const auto wire = loop->adopt(socket, owner, {});
        if (before) peer.close();
        wire->start_tls(ours_to_clients(), true);
        run_for(*loop, 5ms);
        peer.close();
        ASSERT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
        EXPECT_NE(owner.reason, "");
    }
}

TEST_P(tls, a_wire_may_be_closed_in_the_middle_of_its_handshake) {
    Ends ends;
    ends.start(ours_to_clients(), ours_to_servers());
    ends.server_wire.reset();
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.client.is_closed; }));
    EXPECT_TRUE(ends.server.events.empty());
}

TEST_P(tls, a_peer_that_leaves_without_a_word_has_ended) {
    const auto loop = make_loop();
    auto [socket, peer] = connected_pair(false);
    Listener owner;
    const auto wire = loop->adopt(socket, owner, {});
    wire->start_tls(ours_to_clients(), true);
    std::thread talker([&other = peer] {
        const TlsContext context = ours_to_servers();
        SSL* ssl = SSL_new(context.get());
        SSL_set_fd(ssl, other.socket());
        EXPECT_EQ(SSL_connect(ssl), 1);
        EXPECT_EQ(SSL_write(ssl, "last words", 10), 10);
        other.close();
        SSL_free(ssl);
    });
    EXPECT_TRUE(run_until(*loop, [&] { return owner.is_closed; }));
    talker.join();
    EXPECT_EQ(owner.bytes, "last words");
    EXPECT_EQ(owner.reason, "");
}

TEST_P(tls, an_end_is_noticed_while_reading_is_stopped_but_not_before_unread_bytes) {
    for (const bool with_bytes : {false, true}) {
        Ends ends;
        ends.start(ours_to_clients(), ours_to_servers());
        ASSERT_TRUE(ends.secured());
        run_for(*ends.loop, 2ms);
        ends.server_wire->stop_reading();
        if (with_bytes) ends.client_wire->put("unread");
        ends.client_wire.reset();
        if (with_bytes) {
            run_for(*ends.loop, 10ms);
            EXPECT_FALSE(ends.server.is_closed);
            ends.server_wire->start_reading();
        }
        ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.is_closed; }));
        EXPECT_EQ(ends.server.bytes, with_bytes ? "unread" : "");
    }
}

TEST_P(tls, moves_to_another_loop_with_its_keys_and_its_unused_bytes) {
    Ends ends;
    ends.start(ours_to_clients(), ours_to_servers());
    ASSERT_TRUE(ends.secured());
    ends.server.on_received = [](std::string_view) { return std::size_t{2}; };
    ends.client_wire->pass("abcde");
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.server.bytes == "ab"; }));
    const auto other = make_loop();
    Listener after;
    pool::OwnedWire moved = other->attach(ends.loop->detach(std::move(ends.server_wire)), after);
    ASSERT_TRUE(run_until(*other, [&] { return after.bytes == "cde"; }));
    moved->pass("answer");
    ASSERT_TRUE(run_until(*ends.loop, [&] { return ends.client.bytes == "answer"; }));
    ends.client_wire->pass("again");
    ASSERT_TRUE(run_until(*other, [&] { return after.bytes == "cdeagain"; }));
    EXPECT_EQ(moved->tls()->version, "TLSv1.3");
}

TEST_P(tls, cannot_move_in_the_middle_of_its_handshake_and_says_so) {
    Ends ends;
    ends.start(ours_to_clients(), ours_to_servers());
    Listener after;
    const pool::OwnedWire moved = ends.loop->attach(ends.loop->detach(std::move(ends.server_wire)), after);
    ASSERT_TRUE(run_until(*ends.loop, [&] { return after.is_closed; }));
    EXPECT_TRUE(contains(after.reason, "handshake")) << after.reason;
}

TEST(tls_context, disable_needs_none) {
    EXPECT_EQ(engine::client_side_context({}).value(), nullptr);
    EXPECT_EQ(engine::server_side_context({}).value(), nullptr);
}

std::string problem_of(TlsFiles files) {
    files.mode = TlsMode::require;
    if (files.certificate_file.empty()) files.certificate_file = certificates().server.certificate;
    if (files.key_file.empty()) files.key_file = certificates().server.key;
    const auto context = engine::client_side_context(files);
    return context ? "" : context.error().text;
}

TEST(tls_context, names_the_setting_the_file_and_the_cause) {
    for (const auto& [files, setting] :
         {std::pair{TlsFiles{.certificate_file = "/no/such/file"}, "client_tls_cert_file"},
          {TlsFiles{.key_file = "/no/such/file"}, "client_tls_key_file"},
          {TlsFiles{.ca_file = "/no/such/file"}, "client_tls_ca_file"}}) {
        const std::string problem = problem_of(files);
        EXPECT_TRUE(contains(problem, setting)) << problem;
        EXPECT_TRUE(contains(problem, "/no/such/file")) << problem;
        EXPECT_TRUE(contains(problem, "No such file or directory")) << problem;
    }
    EXPECT_TRUE(contains(problem_of({.key_file = certificates().client.key}), "client_tls_key_file"));
    EXPECT_TRUE(contains(problem_of({.tls13_ciphers = "NONSENSE"}), "failed to set the TLSv1.3 cipher suites"));
    EXPECT_TRUE(contains(problem_of({.ciphers = "NONSENSE"}), "client_tls_ciphers"));
    EXPECT_TRUE(contains(problem_of({.protocols = "tlsv9"}), "'tlsv9' is no TLS version"));
    EXPECT_TRUE(contains(problem_of({.dheparams = "huge"}), "client_tls_dheparams"));
    EXPECT_TRUE(contains(problem_of({.ecdhcurve = "circle"}), "client_tls_ecdhcurve"));
    const auto no_files = engine::client_side_context({.mode = TlsMode::require});
    ASSERT_FALSE(no_files);
    const auto no_ca = engine::client_side_context({.mode = TlsMode::verify_full,
                                                    .certificate_file = certificates().server.certificate,
                                                    .key_file = certificates().server.key});
    ASSERT_FALSE(no_ca);
    EXPECT_TRUE(contains(no_ca.error().text, "verify-full")) << no_ca.error().text;
    EXPECT_TRUE(contains(no_ca.error().hint, "client_tls_ca_file"));
}

TEST(tls_context, an_encrypted_key_is_an_error_and_no_question_on_the_terminal) {
    const auto files = certificates().authority.issue("locked", "", "secret");
    EXPECT_TRUE(contains(problem_of({.certificate_file = files.certificate, .key_file = files.key}), files.key));
}

TEST(tls_context, protocols_and_ciphers_are_kept) {
    const auto version_with = [](const std::string& protocols, const std::string& ciphers = "default",
                                 const std::string& tls13_ciphers = {}) {
        Ends ends;
        const auto context = engine::client_side_context({.mode = TlsMode::require,
                                                          .certificate_file = certificates().server.certificate,
                                                          .key_file = certificates().server.key,
                                                          .protocols = protocols,
                                                          .ciphers = ciphers,
                                                          .tls13_ciphers = tls13_ciphers});
        if (!context) return context.error().line();
        ends.start(*context, ours_to_servers());
        if (!ends.secured()) return std::string("no handshake");
        return ends.client_wire->tls()->version + " " + ends.client_wire->tls()->cipher;
    };
    EXPECT_TRUE(version_with("tlsv1.2").starts_with("TLSv1.2 "));
    EXPECT_TRUE(version_with("secure").starts_with("TLSv1.3 "));
    EXPECT_TRUE(version_with("tlsv1.2, tlsv1.3").starts_with("TLSv1.3 "));
    EXPECT_TRUE(version_with("all", "all").starts_with("TLSv1.3 "));
    EXPECT_EQ(version_with("tlsv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"), "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256");
    EXPECT_EQ(version_with("tlsv1.3", "secure", "TLS_AES_128_GCM_SHA256"), "TLSv1.3 TLS_AES_128_GCM_SHA256");
}

TEST(tls_context, settings_of_both_sides_are_taken_over) {
    config::PoolerSettings settings;
    settings.client_tls_cert_file = "c.crt";
    settings.server_tls_ca_file = "ca.crt";
    settings.server_tls_sslmode = TlsMode::verify_full;
    EXPECT_EQ(engine::client_tls(settings).certificate_file, "c.crt");
    EXPECT_EQ(engine::client_tls(settings).protocols, "secure");
    EXPECT_EQ(engine::server_tls(settings).ca_file, "ca.crt");
    EXPECT_EQ(engine::server_tls(settings).mode, TlsMode::verify_full);
}

}  // namespace
}  // namespace pgkeel::test
