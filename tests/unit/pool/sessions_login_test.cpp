#include "auth/scram_client.hpp"
#include "sessions_world.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

// Who gets in, how servers are logged in to, and cancel requests.

namespace pgkeel::pool {
namespace {

using std::string;
using std::chrono::seconds;

/// The first message of the server, and what is left.
std::pair<char, string> first_message(string& bytes) {
    std::uint32_t length = 0;
    for (std::size_t i = 1; i < 5; ++i) length = length << 8 | static_cast<unsigned char>(bytes.at(i));
    std::pair<char, string> message{bytes[0], bytes.substr(5, length - 4)};
    bytes.erase(0, 1 + length);
    return message;
}

/// Logs in with the password, whatever is asked; returns the answers that follow.
string log_in(World& world, FakeClient& client, const string& user, const string& password, string* methods = nullptr) {
    world.run();
    string bytes = client.take_raw();
    if (bytes.empty() || bytes[0] != 'R') {
        client.got(bytes);
        return client.answers();
    }
    const auto [type, body] = first_message(bytes);
    const auto asked = pgwire::backend::read_authentication(body);
    using Kind = pgwire::backend::Authentication::Kind;
    if (methods != nullptr) *methods += std::to_string(static_cast<int>(asked->kind));
    if (asked->kind == Kind::cleartext) {
        client.password(password);
    } else if (asked->kind == Kind::md5) {
        auth::Md5Salt salt{};
        std::ranges::copy(asked->data, salt.begin());
        client.password(auth::Secret::parse(password)->answer_md5(user, salt)->reveal());
    } else if (asked->kind == Kind::sasl) {
        auth::ScramClient scram(auth::SecretText(password), {});
        const std::string_view offered[] = {auth::scram_sha_256};
        const auto initial = scram.begin(offered);
        string message;
        pgwire::Writer writer(message);
        pgwire::frontend::write_sasl_initial_response(writer, {initial->mechanism, initial->message});
        client.send(message);
        world.run();
        string more = client.take_raw();
        if (more.empty() || more[0] != 'R') {
            client.got(more);
            return client.answers();
        }
        const auto challenge = first_message(more);
        client.raw('p', *scram.proceed(pgwire::backend::read_authentication(challenge.second)->data));
    } else {
        client.got(bytes);
    }
    return client.answer();
}

string try_login(World& world, const string& user, const string& password, string* methods = nullptr) {
    FakeClient& client = world.connect_client().startup({}, user);
    const string answers = log_in(world, client, user, password, methods);
    return answers.ends_with("K Z(I)") ? "in" : answers;
}

TEST(sessions_login, every_method_knows_right_from_wrong) {
    const string verifier(auth::make_verifier("secret")->text().reveal());
    const string md5(auth::md5_stored("secret", "hashed")->reveal());
    const struct {
        config::AuthType method;
        const char* asked;
        const char* refusal;
        bool takes_md5, takes_scram;
    } cases[] = {
        {config::AuthType::plain, "3", "E(FATAL 28P01 password authentication failed) closed", true, true},
        {config::AuthType::md5, "5", "E(FATAL 28P01 password authentication failed) closed", true, true},
        {config::AuthType::scram_sha_256, "10", "E(FATAL 28P01 SASL authentication failed) closed", false, true},
    };
    for (const auto& one : cases) {
        World world;
        world.config.settings.auth_type = one.method;
        world.user("hashed", md5);
        world.user("verified", verifier);
        world.start();
        string asked;
        EXPECT_EQ(try_login(world, "app", "secret", &asked), "in") << one.asked;
        EXPECT_EQ(asked, one.asked);
        EXPECT_EQ(try_login(world, "app", "wrong"), one.refusal);
        string unknown;
        EXPECT_EQ(try_login(world, "nobody", "secret", &unknown), one.refusal);
        EXPECT_EQ(unknown, asked) << "strangers are asked the same";
        EXPECT_EQ(try_login(world, "hashed", "wrong"), one.refusal);
        if (one.takes_scram) {
            EXPECT_EQ(try_login(world, "verified", "secret"), "in") << one.asked;
            EXPECT_NE(try_login(world, "verified", "wrong"), "in");
        }
        if (one.takes_md5) EXPECT_EQ(try_login(world, "hashed", "secret"), "in");
    }
}

TEST(sessions_login, trust_is_for_known_users) {
    World world;
    world.start();
    EXPECT_EQ(try_login(world, "app", ""), "in");
    EXPECT_EQ(try_login(world, "nobody", ""), "E(FATAL 28P01 \"trust\" authentication failed) closed");
    FakeClient& nowhere = world.connect_client().startup({}, "app", "nowhere");
    EXPECT_EQ(nowhere.answer(), "E(FATAL 3D000 no such database: nowhere) closed");
    EXPECT_EQ(world.connect_client().startup({}, "nobody", "nowhere").answer(),
              "E(FATAL 28P01 \"trust\" authentication failed) closed");
}

TEST(sessions_login, the_server_is_logged_in_to_by_every_method) {
    for (const auto method :
         {Postgres::Method::trust, Postgres::Method::cleartext, Postgres::Method::md5, Postgres::Method::scram}) {
        World world;
        world.postgres.method = method;
        world.start();
        EXPECT_EQ(world.client().query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
        world.postgres.passwords["app"] = "changed";
        World other;
        other.postgres.method = method;
        other.postgres.passwords["app"] = "changed";
        other.start();
        const string answer = other.connect_client().startup().answer();
        if (method == Postgres::Method::trust)
            EXPECT_TRUE(answer.ends_with("Z(I)"));
        else
            EXPECT_TRUE(answer.starts_with("E(FATAL 28P01 ")) << answer;
    }
}

TEST(sessions_login, a_scram_login_opens_the_server_too) {
    World world;
    const auto verifier = *auth::make_verifier("secret");
    world.config.settings.auth_type = config::AuthType::scram_sha_256;
    world.user("verified", verifier.text().reveal());
    world.postgres.method = Postgres::Method::scram;
    world.postgres.verifiers["verified"] = verifier;
    world.start();
    EXPECT_EQ(try_login(world, "verified", "secret"), "in");
    EXPECT_EQ(world.postgres.only().user(), "verified");
}

TEST(sessions_login, tls_is_answered_once) {
    const string request("\0\0\0\x08\x04\xd2\x16\x2f", 8);
    World world;
    world.start();
    FakeClient& plain = world.connect_client();
    plain.send(request);
    world.run();
    EXPECT_EQ(plain.take_raw(), "N");
    plain.startup().answer();
    EXPECT_EQ(plain.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    FakeClient& twice = world.connect_client();
    twice.send(request);
    world.run();
    EXPECT_EQ(twice.take_raw(), "N");
    twice.send(request);
    EXPECT_TRUE(twice.answer().starts_with("E(FATAL 08P01 ")) << "once is enough";

    World strict;
    strict.client_tls_is_on = true;
    strict.config.settings.client_tls_sslmode = config::TlsMode::require;
    strict.start();
    EXPECT_EQ(strict.connect_client().startup().answer(), "E(FATAL 28000 SSL required) closed");
    FakeClient& secure = strict.connect_client();
    secure.send(request);
    strict.run();
    EXPECT_EQ(secure.take_raw(), "S");
    secure.startup().answer();
    EXPECT_EQ(secure.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    FakeClient& smuggler = strict.connect_client();
    smuggler.send(request + "Q\0\0\0\x04");
    EXPECT_TRUE(smuggler.answer().starts_with("E(FATAL 08P01 ")) << "bytes from before TLS are not used after it";
}

TEST(sessions_login, a_server_may_have_tls_or_not) {
    for (const auto mode : {config::TlsMode::prefer, config::TlsMode::require})
        for (const bool takes : {false, true}) {
            World world;
            world.server_tls_is_on = true;
            world.config.settings.server_tls_sslmode = mode;
            world.postgres.takes_tls = takes;
            world.start();
            const string answer = world.connect_client().startup().answer();
            if (takes || mode == config::TlsMode::prefer)
                EXPECT_TRUE(answer.ends_with("Z(I)")) << answer;
            else
                EXPECT_EQ(answer, "") << "it goes on waiting: another attempt may find it";
            EXPECT_EQ(world.postgres.logins(), takes || mode == config::TlsMode::prefer ? 1U : 0U);
            EXPECT_EQ(world.postgres.backends.front()->wire->tls() != nullptr, takes);
        }
}

TEST(sessions_login, a_replication_client_has_a_server_of_its_own) {
    World world;
    world.start();
    FakeClient& ordinary = world.client();
    EXPECT_EQ(ordinary.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
    pgwire::StartupMessage message;
    message.user = "app";
    message.database = "db";
    message.replication = pgwire::ReplicationMode::logical;
    string bytes;
    pgwire::Writer writer(bytes);
    pgwire::frontend::write_startup(writer, message);
    FakeClient& replica = world.connect_client();
    replica.send(bytes);
    EXPECT_TRUE(replica.answer().ends_with("Z(I)"));
    EXPECT_EQ(world.postgres.sessions().size(), 1U) << "the idle one made room";
    EXPECT_EQ(replica.query("mark r").answer(), "T D(r) C(SELECT 1) Z(I)");
    ordinary.query("mark b");
    EXPECT_EQ(ordinary.answer(), "");
    replica.leave();
    EXPECT_EQ(ordinary.answer(), "T D(b) C(SELECT 1) Z(I)");
    EXPECT_EQ(world.postgres.logins(), 3U);
}

TEST(sessions_login, a_login_takes_only_so_long) {
    World world;
    world.config.settings.auth_type = config::AuthType::plain;
    world.start();
    FakeClient &silent = world.connect_client(), &slow = world.connect_client().startup();
    world.run();
    EXPECT_EQ(slow.answers(), "R(3)");
    world.pass(seconds(61));
    EXPECT_EQ(silent.answers(), "E(FATAL 08006 client_login_timeout) closed");
    EXPECT_EQ(slow.answers(), "E(FATAL 08006 client_login_timeout) closed");
    EXPECT_EQ(world.hub->clients, 0U);
}

class AuthQueries : public ::testing::Test {
  protected:
    AuthQueries() {
        world.config.settings.auth_type = config::AuthType::scram_sha_256;
        world.config.settings.auth_user = "asker";
        world.config.settings.auth_query = "SELECT secret $1";
        world.user("asker", "x");
        world.postgres.secrets["ann"] = auth::make_verifier("hers")->text().reveal();
        world.start();
    }
    World world;
};

TEST_F(AuthQueries, find_who_is_in_no_file) {
    EXPECT_EQ(try_login(world, "ann", "hers"), "in");
    EXPECT_EQ(try_login(world, "ann", "his"), "E(FATAL 28P01 SASL authentication failed) closed");
    EXPECT_EQ(try_login(world, "bob", "hers"), "E(FATAL 28P01 SASL authentication failed) closed");
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(AuthQueries, are_not_touched_by_what_a_client_sets) {
    FakeClient& evil = world.connect_client().startup({{"search_path", "evil"}}, "ann");
    EXPECT_TRUE(log_in(world, evil, "ann", "hers").ends_with("Z(I)"));
    FakeClient& again = world.connect_client().startup({{"search_path", "evil"}}, "ann");
    EXPECT_TRUE(log_in(world, again, "ann", "hers").ends_with("Z(I)"));
    EXPECT_EQ(world.troubles(), "");
    // Not even by one who is the asker.
    FakeClient& self = world.connect_client().startup({{"search_path", "evil"}}, "asker");
    EXPECT_TRUE(log_in(world, self, "asker", "x").ends_with("Z(I)"));
    EXPECT_EQ(self.query("SHOW search_path").answer(), "T D(evil) C(SHOW) Z(I)");
    EXPECT_EQ(try_login(world, "ann", "hers"), "in");
    EXPECT_EQ(world.troubles(), "");
}

TEST_F(AuthQueries, may_outlive_who_wanted_them) {
    for (int steps = 0; steps < 60; ++steps) {
        FakeClient& client = world.connect_client().startup({}, "ann");
        for (int i = 0; i < steps; ++i) world.step();
        client.leave();
        world.run();
        ASSERT_EQ(world.counts("db", "asker").waiting, 0U) << steps;
        ASSERT_EQ(world.counts("db", "asker").active, 0U) << steps;
        ASSERT_EQ(world.hub->clients, 0U);
    }
    EXPECT_EQ(try_login(world, "ann", "hers"), "in");
}

TEST_F(AuthQueries, that_fail_are_told_in_few_words) {
    EXPECT_EQ(try_login(world, "ann", "hers"), "in");
    world.config.settings.auth_query = "syntax $1";
    world.reconfigure();
    EXPECT_EQ(try_login(world, "ann", "hers"), "E(FATAL 08006 bouncer config error) closed");
}

class Cancels : public ::testing::Test {
  protected:
    Cancels() { world.start(2); }
    FakeClient& ask(FakeClient& about, std::size_t worker = 1) {
        string request("\0\0\0\x10\x04\xd2\x16\x2e", 8);
        request += about.key;
        FakeClient& asker = world.connect_client(worker);
        asker.send(request);
        return asker;
    }
    World world;
};

TEST_F(Cancels, a_running_query) {
    FakeClient& client = world.client();
    EXPECT_EQ(client.query("sleep").answer(), "");
    FakeClient& asker = ask(client);
    EXPECT_EQ(client.answer(), "E(ERROR 57014 canceling statement due to user request) Z(I)");
    EXPECT_EQ(asker.answers(), "closed") << "without a word";
    EXPECT_EQ(client.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
}

TEST_F(Cancels, nothing_that_is_over) {
    FakeClient& client = world.client();
    client.query("BEGIN").answer();
    FakeClient& asker = ask(client);
    EXPECT_EQ(asker.answer(), "closed");
    EXPECT_EQ(world.postgres.cancels_seen, 0U);
    FakeClient nobody(world);
    nobody.key = "12345678";
    EXPECT_EQ(ask(nobody).answer(), "closed");
    FakeClient& left = world.client();
    left.leave();
    world.run();
    EXPECT_EQ(ask(left).answer(), "closed");
    EXPECT_EQ(world.postgres.cancels_seen, 0U);
}

TEST_F(Cancels, never_the_next_clients_query) {
    FakeClient &a = world.client(0), &b = world.client(1);
    a.query("sleep").answer();
    world.postgres.hold_cancels = world.postgres.signal_late = true;
    ask(a);
    world.run();
    world.postgres.only().wake();
    EXPECT_EQ(a.answer(), "") << "it might be a commit, and have been hit (sessions_ends_test.cpp)";
    b.query("sleep");
    EXPECT_EQ(b.answer(), "");
    EXPECT_FALSE(world.postgres.only().sleeps()) << "the signal may still come";
    EXPECT_EQ(world.counts().waiting, 1U);
    world.postgres.let_cancels_go();
    EXPECT_EQ(a.answer(), "C(sleep) Z(I)");
    EXPECT_TRUE(world.postgres.only().sleeps()) << "now it is b's, and b's query was not hit";
    world.postgres.only().wake();
    EXPECT_EQ(b.answer(), "C(sleep) Z(I)");
}

TEST_F(Cancels, not_the_server_that_has_come_in_the_place_of_another) {
    FakeClient &a = world.client(0), &b = world.client(0);
    a.query("sleep").answer();
    world.postgres.hold_cancels = world.postgres.signal_late = true;
    ask(a);
    world.run();
    world.postgres.only().die();
    world.run();
    EXPECT_TRUE(a.closed);
    b.query("sleep").answer();
    ask(b);
    world.run();
    // The end of the first call, whose server's number the second server has now.
    for (const auto& backend : world.postgres.backends)
        if (backend->cancelling) {
            backend->wire->hang_up();
            break;
        }
    world.run();
    world.postgres.only().wake();
    EXPECT_EQ(b.answer(), "") << "its own cancel request is not over";
    EXPECT_EQ(world.counts().idle, 0U);
    world.postgres.let_cancels_go();
    EXPECT_EQ(b.answer(), "C(sleep) Z(I)");
    EXPECT_EQ(world.counts().idle, 1U);
}

TEST_F(Cancels, not_the_settings_that_come_first) {
    FakeClient& plain = world.client();
    plain.query("mark p").answer();
    FakeClient& client = world.client(0, {{"application_name", "mine"}});
    world.postgres.only().deaf = true;
    client.query("SHOW application_name").answer();
    EXPECT_EQ(ask(client).answer(), "closed");
    EXPECT_EQ(world.postgres.cancels_seen, 0U);
    world.postgres.only().deaf = false;
    EXPECT_EQ(client.answer(), "T D(mine) C(SHOW) Z(I)");
}

TEST_F(Cancels, somebody_who_waits) {
    FakeClient &a = world.client(0), &b = world.client(1);
    a.query("BEGIN").answer();
    b.query("mark b").answer();
    ask(b);
    EXPECT_EQ(b.answer(), "E(FATAL 57014 canceling statement due to user request) closed");
    EXPECT_EQ(world.counts().waiting, 0U);
}

TEST_F(Cancels, that_hang_do_not_hold_the_server_for_ever) {
    FakeClient& a = world.client(0);
    a.query("sleep").answer();
    world.postgres.hold_cancels = true;
    ask(a);
    EXPECT_EQ(a.answer(), "E(ERROR 57014 canceling statement due to user request) Z(I)");
    EXPECT_EQ(world.counts().active, 1U);
    world.pass(seconds(11));
    EXPECT_EQ(world.counts().active, 0U);
    EXPECT_EQ(a.query("mark a").answer(), "T D(a) C(SELECT 1) Z(I)");
}

}  // namespace
}  // namespace pgkeel::pool
