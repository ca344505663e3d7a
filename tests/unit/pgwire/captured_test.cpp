// What psql and pgbench 15 and PostgreSQL 15 said to each other, as it went over the wire. The first byte of these
// files is the fuzzers' own.
#include "pgwire/backend_readers.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/framing.hpp"
#include "pgwire/frontend_readers.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace pgkeel::pgwire {
namespace {

struct Message {
    char type = 0;
    std::string body;
};

std::vector<Message> captured(Origin origin, const std::string& name) {
    std::ifstream in("tests/fuzz/corpus/" + name, std::ios::binary);
    std::string stream((std::istreambuf_iterator<char>(in)), {});
    EXPECT_FALSE(stream.empty()) << name;
    stream.erase(0, 1);
    std::vector<Message> messages;
    Scanner scanner(origin);
    while (!stream.empty()) {
        const Front front = scanner.look(stream);
        if (front.kind != Front::Kind::whole) {
            ADD_FAILURE() << name << " cannot be followed after " << messages.size() << " messages";
            break;
        }
        messages.push_back({front.head.type, std::string(front.body(stream))});
        scanner.take(front, front.bytes);
        stream.erase(0, front.bytes);
    }
    return messages;
}

std::string types_of(const std::vector<Message>& messages) {
    std::string types;
    for (const Message& message : messages) types += message.type;
    return types;
}

TEST(captured_login, is_read_to_its_end) {
    const auto messages = captured(Origin::backend, "pgwire_server/psql");
    EXPECT_EQ(types_of(messages), "RRRRSSSSSSSSSSSSSKZTDCZEZCZ");
    using Kind = backend::Authentication::Kind;
    std::vector<Kind> asked;
    std::map<std::string, std::string> settings;
    for (const Message& message : messages) {
        if (message.type == 'R') {
            const auto request = backend::read_authentication(message.body);
            ASSERT_TRUE(request) << request.error().text;
            asked.push_back(request->kind);
        }
        if (message.type == 'S') {
            const auto status = backend::read_parameter_status(message.body);
            ASSERT_TRUE(status) << status.error().text;
            settings.emplace(status->name, status->value);
        }
        if (message.type == 'K') EXPECT_EQ(backend::read_backend_key_data(message.body)->key.size(), 4U);
        if (message.type == 'Z')
            EXPECT_EQ(backend::read_ready_for_query(message.body).value(), backend::TransactionStatus::idle);
        if (message.type == 'D')
            EXPECT_EQ(backend::read_data_row(message.body).value(), (backend::Values{"1", std::nullopt}));
        if (message.type == 'E') {
            const auto fields = backend::read_error_fields(message.body);
            ASSERT_TRUE(fields);
            EXPECT_EQ(fields->sqlstate, "42703");
            EXPECT_EQ(fields->message, "column \"nope\" does not exist");
        }
    }
    EXPECT_EQ(asked, (std::vector<Kind>{Kind::sasl, Kind::sasl_continue, Kind::sasl_final, Kind::ok}));
    EXPECT_EQ(settings["client_encoding"], "UTF8");
    EXPECT_EQ(settings["TimeZone"], "Etc/UTC");
    EXPECT_EQ(settings["is_superuser"], "on");
}

TEST(captured_copy, is_framed_in_both_directions) {
    const auto server = types_of(captured(Origin::backend, "pgwire_server/psql_copy"));
    EXPECT_TRUE(server.contains("GCZ")) << server;     // into the table
    EXPECT_TRUE(server.contains("HddcCZ")) << server;  // out of it
    EXPECT_TRUE(server.contains("CAZ")) << server;     // a notification
    EXPECT_TRUE(server.contains("NCZ")) << server;     // a warning
    const auto client = types_of(captured(Origin::frontend, "pgwire_client/psql_copy"));
    EXPECT_TRUE(client.starts_with("ppQQd")) << client;
    EXPECT_TRUE(client.ends_with("QQQX")) << client;
}

TEST(captured_prepared_statements, are_read) {
    const auto messages = captured(Origin::frontend, "pgwire_client/pgbench_prepared");
    std::map<std::string, std::string> statements;
    int bound = 0;
    for (const Message& message : messages) {
        if (message.type == 'P') {
            const auto parse = frontend::read_parse(message.body);
            ASSERT_TRUE(parse) << parse.error().text;
            statements.emplace(parse->name, parse->query);
        }
        if (message.type == 'B') {
            const Head head{'B', static_cast<std::uint32_t>(message.body.size() + 4)};
            const auto names = frontend::read_bind_names(head, message.body);
            ASSERT_TRUE(names && *names);
            EXPECT_TRUE(statements.contains(std::string((*names)->statement))) << (*names)->statement;
            ++bound;
        }
        if (message.type == 'E') EXPECT_EQ(frontend::read_execute(message.body)->rows_max, 0U);
    }
    EXPECT_EQ(statements.size(), 7U);  // pgbench's transaction
    EXPECT_EQ(bound, 21);              // three times
}

}  // namespace
}  // namespace pgkeel::pgwire
