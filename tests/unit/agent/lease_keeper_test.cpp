#include "agent/lease_keeper.hpp"

#include "async/spawn.hpp"
#include "support/event_loop.hpp"
#include "support/memory_store.hpp"

#include <gtest/gtest.h>

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;

struct Keeper {
    EventLoop loop;
    MemoryEtcd etcd{loop.clock};
    MemoryStore store{etcd};
    agent::LeaseKeeper keeper{loop.clock,
                              store,
                              cluster::Keys{"/service/demo/"},
                              "pg-a",
                              {[this] { return on_status(), StatusKey{}; }, [](const std::string&) {}, [] {},
                               [this](const ha::HeldLease&) { ++renewed; }}};
    std::function<void()> on_status = [] {};  ///< a renewal is about to be sent
    int renewed = 0;

    Keeper() {
        ClusterSettings settings;
        settings.ttl = 2s;
        settings.loop_wait = 1s;
        keeper.use(settings);
    }
};

Task<> ask_for_lease(agent::LeaseKeeper& keeper, etcd::LeaseId& lease) {
    lease = (co_await keeper.ensure_lease()).value_or(0);
}

/// Two tasks of one agent ask at the same time: one publishes the member key, the other bootstraps.
Task<> ask_twice(agent::LeaseKeeper& keeper, etcd::LeaseId& first, etcd::LeaseId& second) {
    std::vector<Task<>> both;
    both.push_back(ask_for_lease(keeper, first));
    both.push_back(ask_for_lease(keeper, second));
    co_await all_of(std::move(both));
}

TEST(lease_keeper, all_who_ask_are_given_one_lease_and_that_is_kept_alive) {
    Keeper made;
    etcd::LeaseId first = 0;
    etcd::LeaseId second = 0;
    made.loop.run(ask_twice(made.keeper, first, second));
    ASSERT_NE(first, 0);
    EXPECT_EQ(first, second);
    bool ended = false;
    asio::co_spawn(made.loop.context, made.keeper.run(), [&](std::exception_ptr) { ended = true; });
    made.loop.until([] { return false; }, 3s);
    EXPECT_TRUE(made.etcd.has_lease(first)) << "it ended after its ttl";
    made.keeper.stop();
    EXPECT_TRUE(made.loop.until([&] { return ended; }, 2s));
}

TEST(lease_keeper, news_of_an_older_lease_do_not_take_the_present_one) {
    Keeper made;
    etcd::LeaseId first = 0;
    made.loop.run(ask_for_lease(made.keeper, first));
    made.keeper.forget_lease(first);
    etcd::LeaseId second = 0;
    made.loop.run(ask_for_lease(made.keeper, second));
    EXPECT_NE(second, first);
    made.keeper.forget_lease(first);
    EXPECT_EQ(made.keeper.lease(), second);
}

TEST(lease_keeper, a_renewal_that_is_asked_for_comes_at_once_also_during_another) {
    Keeper made;
    bool ended = false;
    asio::co_spawn(made.loop.context, made.keeper.run(), [&](std::exception_ptr) { ended = true; });
    ASSERT_TRUE(made.loop.run(made.keeper.take({}, {})).value_or(false));
    made.loop.until([] { return false; }, 100ms);
    ASSERT_EQ(made.renewed, 1);
    made.keeper.renew_now();
    EXPECT_TRUE(made.loop.until([&] { return made.renewed == 2; }, 200ms)) << "the next is due in 400 ms";
    made.on_status = [&] {
        if (made.renewed == 2) made.keeper.renew_now();
    };
    EXPECT_TRUE(made.loop.until([&] { return made.renewed == 4; }, 550ms)) << "the third when it is due, and another";
    made.keeper.stop();
    EXPECT_TRUE(made.loop.until([&] { return ended; }, 2s));
}

}  // namespace
}  // namespace pgkeel::test
