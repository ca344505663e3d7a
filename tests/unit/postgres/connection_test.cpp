#include "postgres/connection.hpp"

#include "postgres/server.hpp"
#include "support/postgres.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pgkeel::postgres {
namespace {

using namespace std::chrono_literals;

std::string value(const std::vector<std::pair<std::string, std::string>>& parameters, const std::string& keyword) {
    const auto found = std::ranges::find(parameters, keyword, [](const auto& pair) { return pair.first; });
    return found == parameters.end() ? "absent" : found->second;
}

TEST(connection, every_session_is_pinned_to_system_objects) {
    Login login{.endpoint = {"db.example", "5433"},
                .user = {.username = "u", .password = "p", .connection = {{"sslmode", "require"}}}};
    auto parameters = libpq_parameters(login, {"10.0.0.1", "::1"});
    EXPECT_TRUE(value(parameters, "options").contains("-c search_path=pg_catalog,pg_temp"));
    EXPECT_TRUE(value(parameters, "options").contains("-c statement_timeout=2000"));
    EXPECT_EQ(value(parameters, "host"), "db.example,db.example");
    EXPECT_EQ(value(parameters, "hostaddr"), "10.0.0.1,::1");
    EXPECT_EQ(value(parameters, "port"), "5433");
    EXPECT_EQ(value(parameters, "sslmode"), "require");
    EXPECT_EQ(value(parameters, "connect_timeout"), "3");
    EXPECT_EQ(value(parameters, "target_session_attrs"), "absent");
    login.replication = true;
    parameters = libpq_parameters(login, {});
    EXPECT_EQ(value(parameters, "replication"), "true");
    EXPECT_TRUE(value(parameters, "options").contains("-c search_path=pg_catalog,pg_temp"));
    EXPECT_EQ(value(parameters, "hostaddr"), "absent");
}

TEST(connection, sqlstates_that_callers_react_to_have_a_code_of_their_own) {
    EXPECT_EQ(errc_of_sqlstate("42710"), Errc::already_exists);
    EXPECT_EQ(errc_of_sqlstate("42704"), Errc::not_found);
    EXPECT_EQ(errc_of_sqlstate("28P01"), Errc::denied);
    EXPECT_EQ(errc_of_sqlstate("57P03"), Errc::unavailable);
    EXPECT_EQ(errc_of_sqlstate("57014"), Errc::postgres_error);
    EXPECT_EQ(errc_of_sqlstate(""), Errc::postgres_error);
}

TEST(connection, nobody_listening_is_unavailable_and_a_silent_one_costs_the_deadline) {
    test::EventLoop loop;
    Login login{.endpoint = {"127.0.0.1", std::to_string(test::free_port())},
                .user = {.username = "u", .password = {}, .connection = {}}};
    auto opened = loop.run(Connection::open(loop.clock, login, loop.clock.now() + 2s));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::unavailable) << opened.error().line();

    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(listener, 5), 0);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    login.endpoint.port = std::to_string(ntohs(address.sin_port));
    const Instant begin = loop.clock.now();
    opened = loop.run(Connection::open(loop.clock, login, begin + 300ms));
    close(listener);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::timed_out);
    EXPECT_GE(loop.clock.now() - begin, 290ms);
    EXPECT_LT(loop.clock.now() - begin, 1s);
}

TEST(connection, literals_and_identifiers_cannot_end_early) {
    EXPECT_EQ(quote_literal("it's"), "'it''s'");
    EXPECT_EQ(quote_literal("a\\b"), " E'a\\\\b'");
    EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
}

}  // namespace
}  // namespace pgkeel::postgres
