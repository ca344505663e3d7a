#include "etcd/verdict.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::etcd {
namespace {

using Next = Verdict::Next;

std::string refusal(int code, const char* message) {
    return fmt::format(R"({{"error":"{0}","message":"{0}","code":{1}}})", message, code);
}

TEST(verdict, a_lost_lease_is_an_answer_and_no_trouble) {
    const auto verdict = judge(404, refusal(5, "etcdserver: requested lease not found"), true);
    EXPECT_EQ(verdict.next, Next::give_up);
    EXPECT_EQ(verdict.error.code, Errc::lease_gone);
}

TEST(verdict, another_missing_thing_is_not_a_lost_lease) {
    EXPECT_EQ(judge(404, refusal(5, "etcdserver: member not found"), false).error.code, Errc::unavailable);
}

TEST(verdict, old_and_missing_tokens_ask_for_a_login) {
    for (const auto& [code, message] : {std::pair{16, "etcdserver: invalid auth token"},
                                        {3, "etcdserver: user name is empty"},
                                        {3, "etcdserver: revision of auth store is old"},
                                        {7, "etcdserver: permission denied"},
                                        {2, "etcdserver: invalid auth token"}}) {
        const auto verdict = judge(400, refusal(code, message), true);
        EXPECT_EQ(verdict.next, Next::authenticate) << message;
        EXPECT_EQ(verdict.error.code, Errc::denied) << message;
    }
}

TEST(verdict, a_write_that_timed_out_inside_etcd_may_be_done) {
    for (const auto& [code, message] : {std::pair{14, "etcdserver: request timed out"},
                                        {14, "etcdserver: request timed out, possibly due to previous leader failure"},
                                        {14, "etcdserver: leader changed"},
                                        {4, "context deadline exceeded"},
                                        {1, "context canceled"},
                                        {2, "something nobody has seen before"},
                                        {13, "stream terminated"}}) {
        const auto write = judge(503, refusal(code, message), true);
        EXPECT_EQ(write.next, Next::give_up) << message;
        EXPECT_EQ(write.error.code, Errc::maybe_done) << message;
        const auto read = judge(503, refusal(code, message), false);
        EXPECT_EQ(read.next, Next::next_member) << message;
        EXPECT_EQ(read.error.code, Errc::unavailable) << message;
    }
}

TEST(verdict, a_write_that_was_refused_before_it_began_goes_to_the_next_member) {
    for (const auto& [code, message] : {std::pair{14, "etcdserver: no leader"},
                                        {8, "etcdserver: mvcc: database space exceeded"},
                                        {8, "etcdserver: too many requests"}}) {
        const auto verdict = judge(503, refusal(code, message), true);
        EXPECT_EQ(verdict.next, Next::next_member) << message;
        EXPECT_EQ(verdict.error.code, Errc::unavailable) << message;
    }
}

TEST(verdict, a_missing_gateway_is_named_with_its_cure) {
    const auto verdict = judge(404, "404 page not found\n", true);
    EXPECT_EQ(verdict.error.code, Errc::unavailable);
    EXPECT_TRUE(verdict.lasting);
    EXPECT_NE(verdict.error.text.find("gateway"), std::string::npos);
    EXPECT_NE(verdict.error.hint.find("enable-grpc-gateway: true"), std::string::npos);
}

TEST(verdict, a_proxy_that_lost_etcd_leaves_a_write_open) {
    EXPECT_EQ(judge(502, "<html>bad gateway</html>", true).error.code, Errc::maybe_done);
    EXPECT_EQ(judge(502, "<html>bad gateway</html>", false).error.code, Errc::unavailable);
    EXPECT_EQ(judge(400, "<html>bad request</html>", true).error.code, Errc::unavailable);
}

}  // namespace
}  // namespace pgkeel::etcd
