#include "pgwire/startup.hpp"
#include "bytes.hpp"
#include "pgwire/frontend_builders.hpp"

#include <gtest/gtest.h>

#include <array>

namespace pgkeel::pgwire {
namespace {

/// A packet around `rest`, with the length that it needs.
std::string packet(std::string_view rest) {
    std::string out;
    Writer writer(out);
    writer.begin_untyped();
    writer.bytes(rest);
    writer.end();
    return out;
}

std::string refused(std::string_view received) {
    const auto opening = read_first_packet(received);
    return opening ? "accepted" : opening.error().text;
}

template <class T>
T read(std::string_view received) {
    const auto opening = read_first_packet(received);
    if (!opening || !*opening || !std::holds_alternative<T>((*opening)->packet)) {
        ADD_FAILURE() << (opening ? "another packet" : opening.error().text);
        return {};
    }
    EXPECT_EQ((*opening)->bytes, received.size());
    return std::get<T>((*opening)->packet);
}

/// What psql 15 sends.
const std::string psql =
    bytes("\0\0\0T\0\3\0\0user\0postgres\0database\0postgres\0application_name\0psql\0client_encoding\0UTF8\0\0");

TEST(first_packet, reads_what_psql_sends) {
    const auto startup = read<StartupMessage>(psql);
    EXPECT_EQ(startup.version, (ProtocolVersion{3, 0}));
    EXPECT_EQ(startup.user, "postgres");
    EXPECT_EQ(startup.database, "postgres");
    EXPECT_EQ(startup.parameters, (std::vector<Parameter>{{"application_name", "psql"}, {"client_encoding", "UTF8"}}));
    EXPECT_EQ(startup.replication, ReplicationMode::none);
}

TEST(first_packet, waits_for_all_of_it_and_leaves_the_rest) {
    for (std::size_t size = 0; size < psql.size(); ++size) {
        const auto opening = read_first_packet(std::string_view(psql).substr(0, size));
        ASSERT_TRUE(opening.has_value());
        EXPECT_FALSE(opening->has_value());
    }
    const auto opening = read_first_packet(psql + "more");
    ASSERT_TRUE(opening && *opening);
    EXPECT_EQ((*opening)->bytes, psql.size());
}

TEST(first_packet, knows_the_requests) {
    read<SslRequest>(bytes("\0\0\0\x08\x04\xd2\x16\x2f"));
    read<GssRequest>(bytes("\0\0\0\x08\x04\xd2\x16\x30"));
    const auto cancel = read<CancelRequest>(bytes("\0\0\0\x10\x04\xd2\x16\x2e\0\0\x30\x39\1\2\3\0"));
    EXPECT_EQ(cancel.process_id, 12345U);
    EXPECT_EQ(cancel.key, bytes("\1\2\3\0"));
}

TEST(first_packet, takes_a_cancel_key_of_4_to_256_bytes) {
    const std::string head = bytes("\x04\xd2\x16\x2e\0\0\0\1");
    EXPECT_EQ(read<CancelRequest>(packet(head + std::string(256, 'k'))).key.size(), 256U);
    EXPECT_EQ(refused(packet(head + std::string(257, 'k'))), "a cancel request of 269 bytes, it must have 16 to 268");
    EXPECT_EQ(refused(packet(head + "abc")), "a cancel request of 15 bytes, it must have 16 to 268");
    EXPECT_EQ(refused(packet(head.substr(0, 6))), "a cancel request of 10 bytes, it must have 16 to 268");
}

TEST(first_packet, sees_tls_without_taking_its_byte) {
    const auto opening = read_first_packet("\x16");
    ASSERT_TRUE(opening && *opening);
    EXPECT_TRUE(std::holds_alternative<TlsHello>((*opening)->packet));
    EXPECT_EQ((*opening)->bytes, 0U);
}

TEST(first_packet, refuses_what_is_too_short_or_too_long_at_once) {
    EXPECT_EQ(refused("GET / HTTP/1.1\r\n"), "invalid length of startup packet: 1195725856, it must be 8 to 10000");
    EXPECT_EQ(refused(bytes("\0\0\0\7")), "invalid length of startup packet: 7, it must be 8 to 10000");
    EXPECT_EQ(refused(bytes("\0\0\x27\x11")), "invalid length of startup packet: 10001, it must be 8 to 10000");
    EXPECT_EQ(refused(bytes("\xff\xff\xff\xff")),
              "invalid length of startup packet: 4294967295, it must be 8 to 10000");
    EXPECT_EQ(refused(packet(bytes("\x04\xd2\x16\x2f!"))), "an encryption request of 9 bytes, it must have 8");
}

TEST(first_packet, wants_its_terminator_as_the_last_byte) {
    const char* layout = "invalid startup packet layout: expected terminator as last byte";
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0a\0"))), layout);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0a\0\0\0"))), layout);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0a\0\0x\0b\0\0"))), layout);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0a\0database\0"))), layout);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0a"))), layout);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0"))), layout);
}

TEST(first_packet, wants_a_user_with_a_name_of_reasonable_length) {
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0\0"))), "no user name specified in the startup packet");
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0\0\0"))), "no user name specified in the startup packet");
    const std::string user(127, 'u');
    EXPECT_EQ(read<StartupMessage>(packet(bytes("\0\3\0\0user\0") + user + bytes("\0\0"))).database, user);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0") + user + bytes("u\0\0"))),
              "the user name has 128 bytes, at most 127 are allowed");
}

TEST(first_packet, refuses_other_versions_of_the_protocol) {
    EXPECT_EQ(refused(packet(bytes("\0\2\0\0user\0a\0\0"))),
              "unsupported frontend protocol 2.0: 3.0 to 3.2 are supported");
    EXPECT_EQ(refused(packet(bytes("\0\4\0\0user\0a\0\0"))),
              "unsupported frontend protocol 4.0: 3.0 to 3.2 are supported");
}

TEST(first_packet, knows_the_replication_modes) {
    const auto mode = [](std::string_view value) {
        return read<StartupMessage>(
                   packet(bytes("\0\3\0\0user\0a\0replication\0") + std::string(value) + bytes("\0\0")))
            .replication;
    };
    for (const char* value : {"true", "on", "yes", "1", "T"})
        EXPECT_EQ(mode(value), ReplicationMode::physical) << value;
    for (const char* value : {"false", "off", "no", "0"}) EXPECT_EQ(mode(value), ReplicationMode::none) << value;
    EXPECT_EQ(mode("database"), ReplicationMode::logical);
    EXPECT_EQ(refused(packet(bytes("\0\3\0\0user\0a\0replication\0o\0\0"))),
              "invalid value for the startup parameter replication");
}

TEST(negotiation, is_told_only_to_clients_that_asked_for_more) {
    EXPECT_FALSE(negotiate(read<StartupMessage>(psql)).must_be_told);
    const auto modern = read<StartupMessage>(packet(bytes("\0\3\0\2user\0a\0\0")));
    EXPECT_FALSE(negotiate(modern).must_be_told);
    EXPECT_EQ(negotiate(modern).version, (ProtocolVersion{3, 2}));
    EXPECT_TRUE(negotiate(modern, {3, 0}).must_be_told);

    // What libpq 19 asks for, to find out who cannot answer.
    const auto grease =
        read<StartupMessage>(packet(bytes("\0\3\x27\x0fuser\0a\0_pq_.test_protocol_negotiation\0\0\0")));
    EXPECT_TRUE(grease.parameters.empty());
    const Negotiation told = negotiate(grease);
    EXPECT_TRUE(told.must_be_told);
    EXPECT_EQ(told.version.number(), 196610U);
    EXPECT_EQ(told.refused, (std::vector<std::string_view>{"_pq_.test_protocol_negotiation"}));
}

TEST(startup_message, is_read_as_it_was_written) {
    StartupMessage message;
    message.version = {3, 2};
    message.user = "u";
    message.database = "d";
    message.replication = ReplicationMode::logical;
    message.options = "-c a=b";
    message.parameters = {{"DateStyle", ""}, {"DateStyle", "ISO"}};
    std::string out;
    Writer writer(out);
    frontend::write_startup(writer, message);
    ASSERT_TRUE(writer.ok());
    const auto back = read<StartupMessage>(out);
    EXPECT_EQ(back.version, message.version);
    EXPECT_EQ(back.user, "u");
    EXPECT_EQ(back.database, "d");
    EXPECT_EQ(back.replication, ReplicationMode::logical);
    EXPECT_EQ(back.options, "-c a=b");
    EXPECT_EQ(back.parameters, message.parameters);
}

TEST(startup_message, is_not_written_when_the_server_could_not_read_it) {
    StartupMessage message;
    std::string out;
    Writer nobody(out);
    frontend::write_startup(nobody, message);
    EXPECT_FALSE(nobody.ok());
    message.user = "u";
    message.parameters = {{"search_path", std::string(startup_bytes_max, 'x')}};
    Writer too_long(out);
    frontend::write_startup(too_long, message);
    EXPECT_FALSE(too_long.ok());
    message.parameters = {{"", "value"}};
    Writer no_name(out);
    frontend::write_startup(no_name, message);
    EXPECT_FALSE(no_name.ok());
    EXPECT_EQ(out, "");
}

TEST(requests, have_the_layout_of_the_manual) {
    std::string out;
    Writer writer(out);
    frontend::write_ssl_request(writer);
    frontend::write_gss_request(writer);
    frontend::write_cancel_request(writer, 12345, "key!");
    EXPECT_TRUE(writer.ok());
    EXPECT_EQ(out,
              bytes("\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x10\x04\xd2\x16\x2e\0\0\x30\x39key!"));
    frontend::write_cancel_request(writer, 1, "key");
    EXPECT_FALSE(writer.ok());
}

TEST(booleans, are_read_as_the_server_reads_them) {
    for (const char* yes : {"t", "tr", "TRUE", "y", "yes", "on", "1"}) EXPECT_EQ(parse_boolean(yes), true) << yes;
    for (const char* no : {"f", "false", "n", "no", "of", "OFF", "0"}) EXPECT_EQ(parse_boolean(no), false) << no;
    for (const char* neither : {"", "o", "truely", "2", " on"})
        EXPECT_EQ(parse_boolean(neither), std::nullopt) << neither;
}

}  // namespace
}  // namespace pgkeel::pgwire
