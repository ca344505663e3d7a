#include "pool/session_image.hpp"

#include <gtest/gtest.h>

namespace pgkeel::pool {
namespace {

using std::string;

SessionImage full_image() {
    SessionImage image;
    ClientImage& client = image.client.emplace();
    client.database = "db";
    client.user = "app";
    client.login.user = "owner";
    client.login.keys =
        auth::PassThrough{.keys = {.client_key = auth::Key(string(32, 'c')), .server_key = auth::Key(string(32, 's'))},
                          .salt = string("\0salt", 5),
                          .iterations = 4096};
    client.login.shown = auth::SecretText("shown");
    client.login.queried = auth::SecretText("md5d41d8cd98f00b204e9800998ecf8427e");
    client.listener = {
        .host = "::", .port = 6432, .route = config::Route::standby, .pool_mode = config::PoolMode::statement};
    client.mode = config::PoolMode::transaction;
    client.cancel_key = 0x8877665544332211;
    client.number = 77;
    client.connected_at = WallTime(std::chrono::seconds(1'700'000'000));
    client.began = Instant(std::chrono::seconds(5));
    client.since = Instant(std::chrono::seconds(6));
    client.settings = {{"application_name", "psql"}, {"DateStyle", "ISO"}};
    client.login_settings = {{"application_name", ""}};
    client.statements = {{.client_name = "s",
                          .server_name = "PGKEEL_1",
                          .query = "select $1",
                          .types = string("\0\0\0\x17", 4),
                          .in_doubt = true}};
    client.pins = PinReasons(PinReason::setting) | PinReason::load;
    ServerImage& server = image.server.emplace();
    server.database = "db";
    server.login.user = "owner";
    server.route = config::Route::configured;
    server.origin = string(32, '\xff');
    server.epoch = -1;
    server.address = "192.0.2.1";
    server.connect_address = "/run/.s.PGSQL.5432";
    server.place = "pg-a";
    server.port = 5432;
    server.number = 3;
    server.process_id = 0x80000001;
    server.cancel_key = string("\0key", 4);
    server.needs_reset = server.is_old = true;
    server.settings = {{"search_path", string("\0", 1)}};
    server.reported = {{"TimeZone", "UTC"}};
    server.statements = {{.client_name = "", .server_name = "PGKEEL_1", .query = "select $1", .types = ""}};
    server.welcome = {{"server_version", "15"}, {"DateStyle", "ISO"}};
    return image;
}

TEST(session_image, what_is_written_is_read) {
    const SessionImage image = full_image();
    const auto bytes = encode(image);
    const auto read = decode_session(bytes.reveal());
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_EQ(encode(*read).reveal(), bytes.reveal());
    const ClientImage& client = *read->client;
    EXPECT_EQ(client.listener, image.client->listener);
    EXPECT_EQ(client.settings, image.client->settings);
    EXPECT_EQ(client.statements, image.client->statements);
    EXPECT_EQ(client.pins, image.client->pins);
    EXPECT_EQ(client.cancel_key, image.client->cancel_key);
    EXPECT_EQ(client.connected_at, image.client->connected_at);
    ASSERT_TRUE(client.login.keys);
    EXPECT_TRUE(client.login.keys->keys.server_key.equals(auth::Key(string(32, 's'))));
    EXPECT_EQ(client.login.shown.reveal(), "shown");
    EXPECT_EQ(read->server->epoch, -1);
    EXPECT_EQ(read->server->process_id, 0x80000001);
    EXPECT_EQ(read->server->welcome, image.server->welcome);
    EXPECT_TRUE(read->server->is_old);
}

TEST(session_image, either_part_may_be_alone_but_not_none) {
    SessionImage client = full_image(), server = full_image();
    client.server.reset();
    server.client.reset();
    EXPECT_TRUE(decode_session(encode(client).reveal()));
    EXPECT_TRUE(decode_session(encode(server).reveal()));
    EXPECT_FALSE(decode_session(encode(SessionImage{}).reveal()));
}

TEST(session_image, bytes_that_are_missing_or_too_many_are_refused) {
    const auto bytes = encode(full_image());
    const string whole(bytes.reveal());
    for (std::size_t length = 0; length < whole.size(); ++length)
        EXPECT_FALSE(decode_session(std::string_view(whole).substr(0, length))) << length;
    EXPECT_FALSE(decode_session(whole + '\0'));
}

TEST(session_image, what_is_garbled_is_refused_or_is_another_image) {
    const auto bytes = encode(full_image());
    string garbled(bytes.reveal());
    for (std::size_t i = 0; i < garbled.size(); ++i)
        for (const int bit : {0, 3, 7}) {
            garbled[i] = static_cast<char>(garbled[i] ^ (1 << bit));
            if (const auto read = decode_session(garbled)) EXPECT_EQ(encode(*read).reveal(), garbled);
            garbled[i] = static_cast<char>(garbled[i] ^ (1 << bit));
        }
}

TEST(session_image, settings_are_a_set_in_order) {
    SessionImage image = full_image();
    image.client->settings = {{"b", "1"}, {"a", "2"}};
    EXPECT_FALSE(decode_session(encode(image).reveal()));
    image.client->settings = {{"a", "1"}, {"A", "2"}};
    EXPECT_FALSE(decode_session(encode(image).reveal()));
    image.client->settings = {{"", "1"}};
    EXPECT_FALSE(decode_session(encode(image).reveal()));
}

TEST(session_image, another_password_makes_other_servers) {
    config::PoolerConfig config;
    config::DatabaseEntry entry;
    entry.hosts = {"pg"};
    const string before = server_origin(config, entry);
    EXPECT_EQ(server_origin(config, entry), before);
    entry.pool_size = 3;
    EXPECT_EQ(server_origin(config, entry), before) << "a limit makes no difference";
    entry.hosts = {"other"};
    EXPECT_NE(server_origin(config, entry), before);
    entry.hosts = {"pg"};
    entry.dbname = "x";
    EXPECT_NE(server_origin(config, entry), before);
    entry.dbname = "";
    config.settings.server_tls_sslmode = config::TlsMode::require;
    EXPECT_NE(server_origin(config, entry), before);
}

}  // namespace
}  // namespace pgkeel::pool
