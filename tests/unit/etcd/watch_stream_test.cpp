#include "etcd/watch_stream.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace pgkeel::etcd {
namespace {

std::string created(Revision revision) {
    return fmt::format(
               R"({{"result":{{"header":{{"cluster_id":"1","revision":"{}","raft_term":"2"}},"created":true}}}})",
               revision) +
           "\n";
}

std::string event(Revision revision) {
    return fmt::format(R"({{"result":{{"header":{{"cluster_id":"1","revision":"{0}","raft_term":"2"}},)"
                       R"("events":[{{"kv":{{"key":"YQ==","mod_revision":"{0}","value":"dg=="}}}}]}}}})",
                       revision) +
           "\n";
}

struct Listener {
    std::vector<Revision> seen;
    std::optional<std::string> refuse;

    std::optional<Error> feed(WatchStream& stream, std::string_view bytes) {
        return stream.feed(
            bytes, [&](const Header&) { return refuse; },
            [&](Revision revision, const std::vector<WatchEvent>&) { seen.push_back(revision); });
    }
};

TEST(watch_stream, finds_the_same_events_however_the_bytes_are_cut) {
    const std::string bytes = created(4) + event(5) + "\n" + event(9);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        WatchStream stream(5);
        Listener listener;
        EXPECT_FALSE(listener.feed(stream, bytes.substr(0, cut)));
        EXPECT_FALSE(listener.feed(stream, bytes.substr(cut)));
        EXPECT_EQ(listener.seen, (std::vector<Revision>{5, 9})) << "cut at " << cut;
        EXPECT_EQ(stream.next(), 10);
    }
}

TEST(watch_stream, knows_where_to_go_on) {
    WatchStream from_now(0);
    Listener listener;
    ASSERT_FALSE(listener.feed(from_now, created(7)));
    EXPECT_EQ(from_now.next(), 8) << "what comes after the watch was opened must not be missed";

    WatchStream from_past(3);
    ASSERT_FALSE(listener.feed(from_past, created(7)));
    EXPECT_EQ(from_past.next(), 3) << "3 to 7 are still to come";
    ASSERT_FALSE(listener.feed(from_past, event(7)));
    ASSERT_FALSE(listener.feed(from_past, R"({"result":{"header":{"cluster_id":"1","revision":"20","raft_term":"2"}}})"
                                          "\n"));
    EXPECT_EQ(from_past.next(), 21) << "a sign of life says that there is nothing older";
}

TEST(watch_stream, forgets_half_a_line_of_a_broken_connection) {
    WatchStream stream(5);
    Listener listener;
    ASSERT_FALSE(listener.feed(stream, created(4) + event(6).substr(0, 20)));
    stream.restart();
    EXPECT_FALSE(stream.created());
    ASSERT_FALSE(listener.feed(stream, created(6) + event(6)));
    EXPECT_EQ(listener.seen, std::vector<Revision>{6});
}

TEST(watch_stream, tells_why_it_is_over) {
    const std::pair<const char*, Errc> ends[] = {
        {R"({"result":{"header":{"cluster_id":"1"},"canceled":true,"compact_revision":"9"}})", Errc::invalid_input},
        {R"({"result":{"header":{"cluster_id":"1"},"canceled":true,"cancel_reason":"etcdserver: permission denied"}})",
         Errc::denied},
        {R"({"result":{"header":{"cluster_id":"1"},"canceled":true}})", Errc::unavailable},
        {R"({"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}})", Errc::unavailable},
        {R"({"error":{"grpc_code":16,"http_code":401,"message":"etcdserver: invalid auth token"}})", Errc::denied},
        {"garbage", Errc::unavailable},
    };
    for (const auto& [line, code] : ends) {
        WatchStream stream(5);
        Listener listener;
        const auto over = listener.feed(stream, std::string(line) + "\n");
        ASSERT_TRUE(over) << line;
        EXPECT_EQ(over->code, code) << line;
    }
}

TEST(watch_stream, does_not_begin_with_a_member_of_another_etcd) {
    WatchStream stream(5);
    Listener listener;
    listener.refuse = "it belongs to another etcd cluster";
    const auto over = listener.feed(stream, created(7) + event(8));
    ASSERT_TRUE(over);
    EXPECT_TRUE(listener.seen.empty());
    EXPECT_FALSE(stream.created());
}

}  // namespace
}  // namespace pgkeel::etcd
