#include "auth/channel_binding.hpp"
#include "auth/mock_verifiers.hpp"
#include "auth/scram_client.hpp"
#include "auth/scram_server.hpp"

#include "auth/base64.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

using namespace pgkeel;
using namespace pgkeel::auth;

namespace {

// RFC 7677 §3.
constexpr std::string_view rfc_client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view rfc_client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view rfc_client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view rfc_server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
const std::string rfc_salt(base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==")->reveal());

constexpr std::array<std::string_view, 1> plain_offer{scram_sha_256};
constexpr std::array<std::string_view, 2> plus_offer{scram_sha_256_plus, scram_sha_256};

ScramVerifier pencil() {
    static const ScramVerifier verifier = make_verifier("pencil", rfc_salt).value();
    return verifier;
}

ScramServer rfc_server(std::string channel_binding = {}, bool exists = true) {
    return {{pencil(), exists}, std::move(channel_binding), std::string(rfc_server_nonce)};
}

ScramClient rfc_client(std::string_view password = "pencil") {
    return {SecretText(password),
            {.channel_binding = {},
             .require_channel_binding = false,
             .user = "user",
             .nonce = std::string(rfc_client_nonce)}};
}

struct Outcome {
    Errc code = {};
    bool client = false;
    bool server = false;
};

/// Carries the messages of a whole login.
Outcome log_in(ScramClient& client, ScramServer& server) {
    const auto offered = server.mechanisms();
    const auto initial = client.begin(offered);
    if (!initial) return {initial.error().code};
    const auto challenge = server.first(initial->mechanism, initial->message);
    if (!challenge) return {challenge.error().code};
    const auto proof = client.proceed(*challenge);
    if (!proof) return {proof.error().code};
    const auto signature = server.last(*proof);
    if (!signature) return {signature.error().code};
    const auto done = client.finish(*signature);
    return {done ? Errc{} : done.error().code, client.succeeded(), server.succeeded()};
}

Outcome log_in(ScramClient::Credential credential, const ScramVerifier& verifier, std::string client_binding = {},
               std::string server_binding = {}) {
    ScramClient client(
        std::move(credential),
        {.channel_binding = std::move(client_binding), .require_channel_binding = false, .user = {}, .nonce = {}});
    ScramServer server({verifier}, std::move(server_binding));
    return log_in(client, server);
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
    std::string result(text);
    const auto at = result.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return result.replace(at, from.size(), to);
}

}  // namespace

TEST(scram_server, speaks_the_example_of_rfc_7677) {
    ScramServer server = rfc_server();
    EXPECT_EQ(server.mechanisms(), std::vector<std::string_view>{scram_sha_256});
    EXPECT_EQ(server.first(scram_sha_256, rfc_client_first), rfc_server_first);
    EXPECT_FALSE(server.succeeded());
    EXPECT_EQ(server.last(rfc_client_final), rfc_server_final);
    EXPECT_TRUE(server.succeeded());
}

TEST(scram_client, speaks_the_example_of_rfc_7677) {
    ScramClient client = rfc_client();
    const auto initial = client.begin(plain_offer);
    ASSERT_TRUE(initial);
    EXPECT_EQ(initial->mechanism, scram_sha_256);
    EXPECT_EQ(initial->message, rfc_client_first);
    EXPECT_EQ(client.proceed(rfc_server_first), rfc_client_final);
    EXPECT_FALSE(client.succeeded());
    EXPECT_TRUE(client.finish(rfc_server_final));
    EXPECT_TRUE(client.succeeded());
}

TEST(scram_server, refuses_a_wrong_proof) {
    for (const std::string_view proof :
         {"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVU=", "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}) {
        ScramServer server = rfc_server();
        ASSERT_TRUE(server.first(scram_sha_256, rfc_client_first));
        const auto answer =
            server.last(replaced(rfc_client_final, "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof));
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Errc::denied);
        EXPECT_FALSE(server.succeeded());
        EXPECT_FALSE(server.last(rfc_client_final)) << "there is no second try";
    }
}

TEST(scram_server, lets_in_who_knows_the_password) {
    EXPECT_TRUE(log_in(SecretText("pencil"), pencil()).server);
    EXPECT_TRUE(log_in(SecretText("pencil"), pencil()).client);
    const Outcome wrong = log_in(SecretText("pencils"), pencil());
    EXPECT_FALSE(wrong.server);
    EXPECT_EQ(wrong.code, Errc::denied);
}

TEST(scram_server, never_repeats_a_nonce) {
    ScramServer one({pencil()}, {});
    ScramServer two({pencil()}, {});
    EXPECT_NE(one.first(scram_sha_256, rfc_client_first).value(), two.first(scram_sha_256, rfc_client_first).value());
}

TEST(scram_server, refuses_each_malformed_first_message) {
    for (const std::string_view message : {"",
                                           "n",
                                           "n,",
                                           "n,,",
                                           "n,,n=user",
                                           "n,,n=user,",
                                           "n,,n=user,r=",
                                           "n,,r=abc",
                                           "n,,n=user,r=a b",
                                           "n,,n=user,r=a\x7f",
                                           "n,,m=x,n=user,r=abc",
                                           "n,a=bob,n=user,r=abc",
                                           "x,,n=user,r=abc",
                                           "n=user,r=abc",
                                           "p,,n=user,r=abc",
                                           "p=tls-server-end-point,,n=user,r=abc",
                                           "n,,n=user,r=abc,",
                                           "n,,n=user,r=abc,1=x",
                                           "n,,n=user,r=abc,x",
                                           "n,,n=user,r=abc,m=x",
                                           "n,,r=abc,n=user",
                                           "N,,n=user,r=abc"}) {
        ScramServer server = rfc_server();
        const auto answer = server.first(scram_sha_256, message);
        ASSERT_FALSE(answer) << message;
        EXPECT_EQ(answer.error().code, Errc::invalid_input) << message;
    }
    EXPECT_FALSE(rfc_server().first(scram_sha_256, std::string_view("n,,n=user,r=abc\0", 16)));
    EXPECT_FALSE(rfc_server().first(scram_sha_256, "n,,n=user,r=" + std::string(scram_message_max_bytes, 'x')));
    EXPECT_TRUE(rfc_server().first(scram_sha_256, "n,,n=user,r=" + std::string(1000, 'x')));
    EXPECT_TRUE(rfc_server().first(scram_sha_256, "n,,n=,r=abc,x=an extension"));
    EXPECT_FALSE(rfc_server().first("PLAIN", rfc_client_first));
    EXPECT_FALSE(rfc_server().first(scram_sha_256_plus, rfc_client_first)) << "it was not offered";
}

TEST(scram_server, refuses_each_malformed_final_message) {
    const std::string good(rfc_client_final);
    for (const std::string& message :
         {std::string(), std::string("c=biws"), replaced(good, "c=biws", "c=eSws"), replaced(good, "c=biws", "c=biw"),
          replaced(good, "c=biws,", ""), replaced(good, "r=r", "r=R"), replaced(good, "k0,", "k,"),
          replaced(good, "k0,", "k00,"), replaced(good, "VQ=", "VQ"), replaced(good, "VQ=", "VQ=,"),
          replaced(good, ",p=", ",q="), replaced(good, ",p=", ",m=x,p="), good + ",x=y", good + '\0',
          replaced(good, ",p=", ",x=" + std::string(2048, 'x') + ",p="), good.substr(0, good.find(",p=")),
          good.substr(0, good.find(",p=")) + ",p="}) {
        ScramServer server = rfc_server();
        ASSERT_TRUE(server.first(scram_sha_256, rfc_client_first));
        const auto answer = server.last(message);
        ASSERT_FALSE(answer) << message;
        EXPECT_EQ(answer.error().code, Errc::invalid_input) << message;
    }
}

TEST(scram_server, wants_its_messages_in_turn) {
    EXPECT_FALSE(rfc_server().last(rfc_client_final));
    ScramServer server = rfc_server();
    ASSERT_TRUE(server.first(scram_sha_256, rfc_client_first));
    EXPECT_FALSE(server.first(scram_sha_256, rfc_client_first));
    EXPECT_FALSE(server.last(rfc_client_final)) << "an error ends the exchange";
}

TEST(scram_server, treats_a_stranger_as_it_treats_a_user_with_a_wrong_password) {
    const MockVerifiers mocks(sha256("a secret of this process"));
    ScramServer known = rfc_server();
    ScramServer unknown({mocks.verifier_for("nobody"), false}, {}, std::string(rfc_server_nonce));
    const auto to_known = known.first(scram_sha_256, rfc_client_first);
    const auto to_unknown = unknown.first(scram_sha_256, rfc_client_first);
    ASSERT_TRUE(to_known && to_unknown);
    EXPECT_EQ(to_known->size(), to_unknown->size());
    const std::string wrong = replaced(rfc_client_final, "p=d", "p=e");
    const auto known_error = known.last(wrong);
    const auto unknown_error = unknown.last(wrong);
    ASSERT_FALSE(known_error || unknown_error);
    EXPECT_EQ(known_error.error().code, Errc::denied);
    EXPECT_EQ(unknown_error.error().code, Errc::denied);
    EXPECT_EQ(known_error.error().line(), unknown_error.error().line());
}

TEST(scram_server, denies_a_user_who_does_not_exist_whatever_the_proof) {
    ScramServer server = rfc_server({}, false);
    ASSERT_TRUE(server.first(scram_sha_256, rfc_client_first));
    const auto answer = server.last(rfc_client_final);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::denied);
    EXPECT_FALSE(server.succeeded());
}

TEST(mock_verifiers, give_one_name_one_salt) {
    const MockVerifiers mocks(sha256("one"));
    EXPECT_EQ(mocks.salt_for("alice"), mocks.salt_for("alice"));
    EXPECT_EQ(mocks.salt_for("alice").size(), 16U);
    EXPECT_EQ(mocks.verifier_for("alice").salt, mocks.salt_for("alice"));
    EXPECT_NE(mocks.salt_for("alice"), mocks.salt_for("bob"));
    EXPECT_NE(mocks.salt_for("alice"), MockVerifiers(sha256("two")).salt_for("alice"));
    EXPECT_NE(MockVerifiers::fresh()->salt_for("alice"), MockVerifiers::fresh()->salt_for("alice"));
    EXPECT_EQ(mocks.verifier_for("alice", 10000).iterations, 10000U);
}

TEST(channel_binding, is_used_when_both_ends_have_it) {
    ScramClient client(SecretText("pencil"),
                       {.channel_binding = "certificate", .require_channel_binding = true, .user = {}, .nonce = {}});
    const auto initial = client.begin(plus_offer);
    ASSERT_TRUE(initial);
    EXPECT_EQ(initial->mechanism, scram_sha_256_plus);
    EXPECT_TRUE(initial->message.starts_with("p=tls-server-end-point,,n=,r="));
    EXPECT_TRUE(log_in(SecretText("pencil"), pencil(), "certificate", "certificate").client);
    EXPECT_TRUE(log_in(SecretText("pencil"), pencil(), "", "certificate").client);
    EXPECT_TRUE(log_in(SecretText("pencil"), pencil(), "certificate", "").client);
}

TEST(channel_binding, finds_somebody_in_between) {
    EXPECT_EQ(log_in(SecretText("pencil"), pencil(), "theirs", "ours").code, Errc::denied);
    EXPECT_FALSE(log_in(SecretText("pencil"), pencil(), "theirs", "ours").server);
    // Somebody strips -PLUS from the offer: the client says that it could, the server knows that it offered.
    ScramClient client(SecretText("pencil"),
                       {.channel_binding = "ours", .require_channel_binding = false, .user = {}, .nonce = {}});
    const auto initial = client.begin(plain_offer);
    ASSERT_TRUE(initial);
    EXPECT_TRUE(initial->message.starts_with("y,,"));
    const auto answer = rfc_server("ours").first(initial->mechanism, initial->message);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::denied);
    EXPECT_TRUE(rfc_server().first(initial->mechanism, initial->message))
        << "without an offer of -PLUS it is the truth";
}

TEST(channel_binding, must_fit_the_mechanism) {
    EXPECT_FALSE(rfc_server("ours").first(scram_sha_256_plus, "n,,n=user,r=abc"));
    EXPECT_FALSE(rfc_server("ours").first(scram_sha_256_plus, "y,,n=user,r=abc"));
    EXPECT_FALSE(rfc_server("ours").first(scram_sha_256, "p=tls-server-end-point,,n=user,r=abc"));
    EXPECT_FALSE(rfc_server("ours").first(scram_sha_256_plus, "p=tls-unique,,n=user,r=abc"));
    EXPECT_FALSE(rfc_server("ours").first(scram_sha_256_plus, "p=tls-server-end-points,,n=user,r=abc"));
    EXPECT_TRUE(rfc_server("ours").first(scram_sha_256_plus, "p=tls-server-end-point,,n=user,r=abc"));
    EXPECT_TRUE(rfc_server("ours").first(scram_sha_256, "n,,n=user,r=abc"));
}

TEST(channel_binding, can_be_demanded_by_the_client) {
    for (const std::string binding : {"", "certificate"}) {
        ScramClient client(SecretText("pencil"),
                           {.channel_binding = binding, .require_channel_binding = true, .user = {}, .nonce = {}});
        const auto initial = client.begin(plain_offer);
        ASSERT_FALSE(initial);
        EXPECT_EQ(initial.error().code, Errc::denied);
    }
}

TEST(pass_through, logs_in_where_the_verifier_is_the_same) {
    ScramServer server = rfc_server();
    ASSERT_TRUE(server.first(scram_sha_256, rfc_client_first));
    ASSERT_TRUE(server.last(rfc_client_final));
    EXPECT_TRUE(log_in(server.pass_through(), pencil()).client);
}

TEST(pass_through, says_so_where_the_verifier_is_another) {
    ScramServer server = rfc_server();
    ASSERT_TRUE(server.first(scram_sha_256, rfc_client_first));
    ASSERT_TRUE(server.last(rfc_client_final));
    for (const auto& other :
         {make_verifier("pencil", "another salt").value(), make_verifier("pencil", rfc_salt, 5000).value()}) {
        const Outcome outcome = log_in(server.pass_through(), other);
        EXPECT_EQ(outcome.code, Errc::denied);
        EXPECT_FALSE(outcome.client || outcome.server);
    }
}

TEST(scram_client, refuses_each_malformed_challenge) {
    const std::string good(rfc_server_first);
    for (const std::string& message :
         {std::string(), "m=x," + good, replaced(good, "r=r", "r=R"),
          replaced(good, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""), replaced(good, "$k0", "$k\x01"),
          replaced(good, ",s=W22ZaJ0SNY7soEsUEjb6gQ==", ""), replaced(good, "gQ==", "gQ="),
          replaced(good, "s=W22ZaJ0SNY7soEsUEjb6gQ==", "s="), replaced(good, "i=4096", "i="),
          replaced(good, "i=4096", "i=0"), replaced(good, "i=4096", "i=-1"), replaced(good, "i=4096", "i=+4096"),
          replaced(good, "i=4096", "i=4096x"), replaced(good, "i=4096", "i=1000001"),
          replaced(good, "i=4096", "i=4294967297"), good + ",x=y", good + ",", good + '\0',
          replaced(good, "k0,", "k0" + std::string(scram_message_max_bytes, 'x') + ",")}) {
        ScramClient client = rfc_client();
        ASSERT_TRUE(client.begin(plain_offer));
        const auto answer = client.proceed(message);
        ASSERT_FALSE(answer) << message;
        EXPECT_EQ(answer.error().code, Errc::invalid_input) << message;
        EXPECT_FALSE(client.proceed(good)) << "an error ends the exchange";
    }
}

TEST(scram_client, believes_only_a_server_that_knows_the_password) {
    for (const std::string_view message : {"", "v=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
                                           "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=y",
                                           "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "e=other-error", "x=y"}) {
        ScramClient client = rfc_client();
        ASSERT_TRUE(client.begin(plain_offer));
        ASSERT_TRUE(client.proceed(rfc_server_first));
        EXPECT_FALSE(client.finish(message)) << message;
        EXPECT_FALSE(client.succeeded());
        EXPECT_FALSE(client.finish(rfc_server_final));
    }
}

TEST(scram_client, prints_a_servers_error_harmlessly) {
    ScramClient client = rfc_client();
    ASSERT_TRUE(client.begin(plain_offer));
    ASSERT_TRUE(client.proceed(rfc_server_first));
    const auto done = client.finish("e=bad\n\x1b[31m" + std::string(500, 'x'));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::denied);
    EXPECT_EQ(done.error().text.find_first_of("\n\x1b"), std::string::npos);
    EXPECT_LT(done.error().text.size(), 200U);
}

TEST(scram_client, wants_its_messages_in_turn) {
    EXPECT_FALSE(rfc_client().proceed(rfc_server_first));
    EXPECT_FALSE(rfc_client().finish(rfc_server_final));
    ScramClient client = rfc_client();
    ASSERT_TRUE(client.begin(plain_offer));
    EXPECT_FALSE(client.finish(rfc_server_final));
}

TEST(scram_client, chooses_among_the_mechanisms_offered) {
    constexpr std::array<std::string_view, 1> foreign{"PLAIN"};
    EXPECT_FALSE(rfc_client().begin(foreign));
    EXPECT_FALSE(rfc_client().begin({}));
    const auto initial = rfc_client().begin(plus_offer);
    ASSERT_TRUE(initial);
    EXPECT_EQ(initial->mechanism, scram_sha_256) << "there is nothing to bind to";
    EXPECT_TRUE(initial->message.starts_with("n,,"));
}

TEST(scram_client, spells_out_what_separates_attributes) {
    ScramClient client(SecretText("x"),
                       {.channel_binding = {}, .require_channel_binding = false, .user = "a,b=c", .nonce = "abc"});
    EXPECT_EQ(client.begin(plain_offer)->message, "n,,n=a=2Cb=3Dc,r=abc");
}

TEST(verifier, has_limits_on_its_work) {
    EXPECT_FALSE(make_verifier("x", "salt", 0));
    EXPECT_FALSE(make_verifier("x", "salt", scram_iterations_max + 1));
    EXPECT_TRUE(make_verifier("x", "salt", 1));
    EXPECT_NE(make_verifier("x")->salt, make_verifier("x")->salt);
    EXPECT_EQ(make_verifier("x")->salt.size(), 16U);
}

TEST(verifier, reads_back_as_it_was_printed) {
    const SecretText text = pencil().text();
    const auto again = ScramVerifier::parse(text.reveal());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->salt, rfc_salt);
    EXPECT_EQ(again->iterations, 4096U);
    EXPECT_TRUE(again->stored_key.equals(pencil().stored_key));
    EXPECT_TRUE(again->server_key.equals(pencil().server_key));
    EXPECT_TRUE(verifier_matches(*again, "pencil"));
    EXPECT_FALSE(verifier_matches(*again, "Pencil"));
}
