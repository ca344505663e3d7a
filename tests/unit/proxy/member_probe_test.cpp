#include "proxy/member_probe.hpp"

#include "http/server.hpp"
#include "support/event_loop.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;

constexpr const char* standby_answer =
    R"({"state":"running","role":"replica","server_version":150020,"xlog":{"received_location":67108960,)"
    R"("replayed_location":67108864,"replayed_timestamp":null,"paused":false},"timeline":3,)"
    R"("replication_state":"streaming","tags":{"noloadbalance":true},"database_system_identifier":"7",)"
    R"("patroni":{"version":"4.0.7","scope":"batman","name":"b"}})";

TEST(member_answer, of_a_standby_tells_what_it_has_replayed) {
    const auto facts = parse_member_answer("batman", "b", standby_answer);
    ASSERT_TRUE(facts);
    EXPECT_EQ(*facts, (MemberFacts{.role = Role::replica,
                                   .state = "running",
                                   .replication_state = "streaming",
                                   .timeline = Timeline{3},
                                   .position = Lsn{67108864},
                                   .noloadbalance = true}));
}

TEST(member_answer, of_an_older_patronis_primary_is_understood) {
    const auto facts = parse_member_answer(
        "batman", "a",
        R"({"state":"running","role":"master","xlog":{"location":42},"timeline":1,"patroni":{"version":"2.1.4","scope":"batman"}})");
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->role, Role::primary);
    EXPECT_EQ(facts->position, Lsn{42});
}

TEST(member_answer, of_a_server_that_does_not_answer_tells_no_position) {
    const auto facts = parse_member_answer(
        "batman", "a", R"({"state":"stopped","role":"demoted","patroni":{"scope":"batman","name":"a"}})");
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->role, Role::demoted);
    EXPECT_EQ(facts->state, "stopped");
    EXPECT_FALSE(facts->position);
}

TEST(member_answer, of_somebody_else_does_not_count) {
    EXPECT_FALSE(parse_member_answer("batman", "a", standby_answer));
    EXPECT_FALSE(parse_member_answer("robin", "b", standby_answer));
    for (const char* text :
         {"", "null", "[]", "{}", R"({"patroni":"batman"})", R"({"state":"running","role":"primary"})"})
        EXPECT_FALSE(parse_member_answer("batman", "b", text)) << text;
}

Task<http::Response> answer(http::Request request) {
    http::Response response{.status = request.path() == "/patroni" ? 503 : 404};
    response.body = standby_answer;
    co_return response;
}

TEST(member_probe, reads_the_answer_whatever_its_status_says) {
    test::EventLoop loop;
    auto server = http::Server::start(loop.context.get_executor(), loop.clock, {.listen = "127.0.0.1:0"}, answer);
    ASSERT_TRUE(server) << server.error().line();
    Member member;
    member.name = "b";
    member.api_url = fmt::format("http://127.0.0.1:{}/patroni", (*server)->port());
    MemberProbe probe({}, "batman");
    const auto facts = loop.run(probe.ask(member, loop.clock.now() + 5s));
    ASSERT_TRUE(facts) << facts.error().line();
    EXPECT_EQ(facts->timeline, Timeline{3});

    member.name = "a";
    const auto wrong = loop.run(probe.ask(member, loop.clock.now() + 5s));
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().text.find("is not that of member a"), std::string::npos) << wrong.error().line();
    member.api_url = "not a url";
    EXPECT_FALSE(loop.run(probe.ask(member, loop.clock.now() + 5s)));
    loop.run((*server)->stopped());
    member.name = "b";
    member.api_url = fmt::format("http://127.0.0.1:{}/patroni", (*server)->port());
    const auto gone = loop.run(probe.ask(member, loop.clock.now() + 5s));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Errc::unavailable);
}

}  // namespace
}  // namespace pgkeel::proxy
