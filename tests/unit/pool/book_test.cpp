#include "pool/book.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <ranges>
#include <set>

namespace pgkeel::pool {
namespace {

using namespace std::chrono_literals;
using Kind = Order::Kind;

/// A book with one database, one user and one pool, and a clock.
struct Desk : testing::Test {
    Orders take() { return std::exchange(orders, {}); }
    std::optional<WaiterId> want(std::uint32_t client, WorkerId worker = 0) {
        return book.want(pool, {worker, client}, now, orders);
    }
    /// The servers that are ordered to be opened are opened.
    void log_in() {
        for (const Order& order : take())
            if (order.kind == Kind::open) book.opened(order.server, now, orders);
    }
    ServerId only(Kind kind) {
        const Orders all = take();
        EXPECT_EQ(std::ranges::count(all, kind, &Order::kind), 1);
        const auto found = std::ranges::find(all, kind, &Order::kind);
        return found == all.end() ? ServerId{} : found->server;
    }
    /// A server that a client of `worker` has just got.
    ServerId linked(std::uint32_t client, WorkerId worker = 0) {
        want(client, worker);
        log_in();
        return only(Kind::link);
    }

    Instant now{1h};
    Orders orders;
    Book book;
    DatabaseId database = book.add_database(std::nullopt);
    UserId user = book.add_user(std::nullopt);
    PoolId pool = book.add_pool(database, user, {.size = 2, .logins = 4});
};

TEST_F(Desk, the_first_client_has_a_server_opened_on_its_worker) {
    const auto waiter = want(7, 3);
    ASSERT_TRUE(waiter);
    ASSERT_EQ(orders.size(), 1U);
    EXPECT_EQ(orders[0].kind, Kind::open);
    EXPECT_EQ(orders[0].worker, 3);
    EXPECT_EQ(book.counts(pool), (Book::Counts{.logging_in = 1, .waiting = 1}));
    const ServerId server = only(Kind::open);
    book.opened(server, now, orders);
    ASSERT_EQ(orders.size(), 1U);
    EXPECT_EQ(orders[0].kind, Kind::link);
    EXPECT_EQ(orders[0].client, (ClientRef{3, 7}));
    EXPECT_EQ(book.counts(pool), (Book::Counts{.active = 1}));
}

TEST_F(Desk, the_server_used_last_is_used_next_or_the_one_that_rested_longest) {
    const ServerId first = linked(1);
    const ServerId second = linked(2);
    book.released(first, now, orders);
    book.released(second, now, orders);
    EXPECT_FALSE(want(3));
    EXPECT_EQ(only(Kind::link), second);
    book.released(second, now, orders);
    book.limit(pool, {.size = 2, .logins = 4, .round_robin = true});
    EXPECT_FALSE(want(3));
    EXPECT_EQ(only(Kind::link), first);
}

TEST_F(Desk, who_came_first_is_served_first_whichever_worker_has_the_server) {
    const ServerId a = linked(1, 0);
    linked(2, 1);
    ASSERT_TRUE(want(3, 1));
    ASSERT_TRUE(want(4, 0));
    EXPECT_TRUE(take().empty()) << "the pool is full";
    book.released(a, now, orders);
    ASSERT_EQ(orders.size(), 1U);
    EXPECT_EQ(orders[0].kind, Kind::move) << "client 3 is on another worker, and came before client 4";
    EXPECT_EQ(orders[0].worker, 0);
    EXPECT_EQ(orders[0].client, (ClientRef{1, 3}));
    book.moved(a, 1);
    EXPECT_EQ(book.server(a).worker, 1);
    EXPECT_EQ(book.counts(pool), (Book::Counts{.active = 2, .waiting = 1}));
}

TEST_F(Desk, an_idle_server_of_the_own_worker_is_preferred) {
    const ServerId here = linked(1, 0);
    const ServerId there = linked(2, 1);
    book.released(here, now, orders);
    book.released(there, now, orders);
    EXPECT_FALSE(want(3, 0));
    EXPECT_EQ(only(Kind::link), here);
    EXPECT_FALSE(want(4, 0));
    EXPECT_EQ(only(Kind::move), there);
}

TEST_F(Desk, who_leaves_the_queue_gets_nothing) {
    const ServerId a = linked(1);
    linked(2);
    const auto leaver = want(3);
    want(4);
    book.leave(*leaver, {0, 3});
    book.released(a, now, orders);
    ASSERT_EQ(orders.size(), 1U);
    EXPECT_EQ(orders[0].client.id, 4U);
}

TEST_F(Desk, no_more_logins_at_once_than_allowed) {
    book.limit(pool, {.size = 5, .logins = 1});
    want(1);
    want(2);
    EXPECT_EQ(orders.size(), 1U);
    const ServerId server = only(Kind::open);
    book.opened(server, now, orders);
    ASSERT_EQ(orders.size(), 2U) << "client 1 gets it, and the next login begins for client 2";
    EXPECT_EQ(orders[0].kind, Kind::link);
    EXPECT_EQ(orders[1].kind, Kind::open);
}

TEST_F(Desk, a_login_that_fails_makes_room_for_the_next_try) {
    want(1);
    const ServerId server = only(Kind::open);
    book.gone(server, now, orders);
    EXPECT_EQ(orders.size(), 1U);
    EXPECT_EQ(orders[0].kind, Kind::open);
    EXPECT_EQ(book.servers(database), 1U);
}

TEST_F(Desk, the_reserve_is_for_who_has_waited_long_enough) {
    book.limit(pool, {.size = 1, .reserve = 1, .reserve_after = 5s, .logins = 4});
    linked(1);
    want(2);
    book.tick(now + 4s, orders);
    EXPECT_TRUE(take().empty());
    book.tick(now + 5s, orders);
    EXPECT_EQ(orders.size(), 1U);
    want(3);
    book.tick(now + 60s, orders);
    EXPECT_EQ(orders.size(), 1U) << "the reserve is used up";
}

TEST_F(Desk, a_database_that_is_full_gives_up_what_is_idle_in_another_pool) {
    book.limit(database, 1);
    const PoolId other = book.add_pool(database, book.add_user(std::nullopt), {.size = 2});
    const ServerId server = linked(1);
    book.want(other, {0, 9}, now, orders);
    EXPECT_TRUE(take().empty()) << "it is in use";
    book.released(server, now, orders);
    ASSERT_EQ(orders.size(), 2U);
    EXPECT_EQ(orders[0].kind, Kind::close);
    EXPECT_EQ(orders[0].server, server);
    EXPECT_EQ(orders[0].reason, CloseReason::evicted);
    EXPECT_EQ(orders[1].kind, Kind::open);
    EXPECT_EQ(orders[1].pool, other);
    EXPECT_EQ(book.servers(database), 1U);
}

TEST_F(Desk, a_user_has_a_limit_over_all_databases) {
    book.limit(user, 1);
    const PoolId other = book.add_pool(book.add_database(std::nullopt), user, {.size = 2});
    const ServerId server = linked(1);
    book.want(other, {0, 9}, now, orders);
    EXPECT_TRUE(take().empty());
    book.gone(server, now, orders);
    EXPECT_EQ(only(Kind::open), book.first_waiter(other) ? ServerId{0} : ServerId{1});
    EXPECT_EQ(book.servers(user), 1U);
}

TEST_F(Desk, a_paused_pool_gives_nothing_and_goes_on_in_order) {
    const ServerId server = linked(1);
    book.pause(pool);
    want(2);
    book.released(server, now, orders);
    EXPECT_TRUE(take().empty());
    EXPECT_TRUE(want(3));
    book.resume(pool, now, orders);
    ASSERT_EQ(orders.size(), 2U);
    EXPECT_EQ(orders[0].client.id, 2U);
    EXPECT_EQ(orders[1].kind, Kind::open);
}

TEST_F(Desk, renewing_closes_idle_servers_now_and_busy_ones_when_they_are_free) {
    const ServerId busy = linked(1);
    const ServerId idle = linked(2);
    book.released(idle, now, orders);
    book.renew(pool, CloseReason::asked, now, orders);
    EXPECT_EQ(only(Kind::close), idle);
    book.released(busy, now, orders);
    EXPECT_EQ(only(Kind::close), busy);
    book.gone(idle, now, orders);
    book.gone(busy, now, orders);
    EXPECT_EQ(book.servers(database), 0U);
}

TEST_F(Desk, nobody_gets_a_server_of_a_new_epoch_before_the_last_of_the_old_one_is_gone) {
    const ServerId busy = linked(1);
    const ServerId idle = linked(2);
    book.released(idle, now, orders);
    book.begin_epoch(pool, 11, now, orders);
    const Orders closing = take();
    ASSERT_EQ(closing.size(), 2U) << "also the one under a client";
    for (const Order& order : closing) EXPECT_EQ(order.reason, CloseReason::older_epoch);
    want(3);
    EXPECT_TRUE(take().empty());
    book.gone(idle, now, orders);
    EXPECT_TRUE(take().empty());
    book.released(busy, now, orders);  // its client had finished when the order came
    EXPECT_TRUE(take().empty());
    book.gone(busy, now, orders);
    const ServerId fresh = only(Kind::open);
    EXPECT_EQ(book.server(fresh).epoch, 11);
    book.begin_epoch(pool, 10, now, orders);
    EXPECT_TRUE(take().empty()) << "news of an older epoch that came late";
}

TEST_F(Desk, a_login_to_the_old_primary_that_succeeds_late_is_not_used) {
    want(1);
    const ServerId late = only(Kind::open);
    book.begin_epoch(pool, 2, now, orders);
    EXPECT_EQ(only(Kind::close), late);
    book.opened(late, now, orders);
    EXPECT_TRUE(take().empty());
    book.gone(late, now, orders);
    EXPECT_EQ(book.server(only(Kind::open)).epoch, 2);
}

/// Random days at the desk: whatever happens, the limits hold, nobody is served out of turn, and no server has two
/// clients.
TEST(book, keeps_its_promises_whatever_comes_in_which_order) {
    for (unsigned seed = 1; seed <= 200; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](std::size_t below) { return static_cast<std::size_t>(random() % below); };
        Book book;
        const DatabaseId database = book.add_database(4);
        const std::vector<UserId> users{book.add_user(3), book.add_user(std::nullopt)};
        const std::vector<PoolId> pools{
            book.add_pool(database, users[0], {.size = 3, .reserve = 1, .reserve_after = 2s, .logins = 2}),
            book.add_pool(database, users[1], {.size = 2, .logins = 1, .round_robin = true}),
            book.add_pool(book.add_database(std::nullopt), users[0], {.size = 2, .logins = 4})};
        Instant now{1h};
        Orders orders;
        std::map<ServerId, PoolId> logging_in, closing;
        std::map<ServerId, ClientRef> linked;
        std::map<PoolId, std::vector<std::pair<std::uint32_t, std::pair<WaiterId, ClientRef>>>> queues;
        std::map<PoolId, std::int64_t> epochs;
        std::uint32_t clients = 0;
        const auto carry_out = [&] {
            for (const Order& order : std::exchange(orders, {})) {
                if (order.kind == Kind::open) {
                    logging_in[order.server] = order.pool;
                } else if (order.kind == Kind::close) {
                    logging_in.erase(order.server);
                    linked.erase(order.server);
                    closing[order.server] = order.pool;
                } else {
                    ASSERT_FALSE(linked.contains(order.server));
                    ASSERT_FALSE(closing.contains(order.server));
                    ASSERT_EQ(book.server(order.server).epoch, epochs[order.pool]);
                    for (const auto& [server, pool] : closing)
                        ASSERT_FALSE(pool == order.pool && book.server(server).epoch < epochs[pool]);
                    linked[order.server] = order.client;
                    auto& queue = queues[order.pool];
                    const auto place = std::ranges::find(queue, order.client.id, [](auto& one) { return one.first; });
                    if (place != queue.end()) {
                        ASSERT_EQ(place, queue.begin()) << "seed " << seed << ": out of turn";
                        queue.erase(place);
                    } else {
                        ASSERT_EQ(order.client.id, clients) << "only who has just come need not queue";
                        ASSERT_TRUE(queue.empty());
                    }
                    if (order.kind == Kind::move) book.moved(order.server, order.client.worker);
                    ASSERT_EQ(book.server(order.server).worker, order.client.worker);
                }
            }
        };
        const auto any_of = [&](auto& map) { return std::next(map.begin(), static_cast<long>(pick(map.size()))); };
        for (int step = 0; step < 400; ++step) {
            now += std::chrono::milliseconds(pick(500));
            const PoolId pool = pools[pick(pools.size())];
            switch (pick(10)) {
                case 0:
                case 1:
                case 2: {
                    const ClientRef client{static_cast<WorkerId>(pick(3)), ++clients};
                    if (const auto waiter = book.want(pool, client, now, orders))
                        queues[pool].emplace_back(client.id, std::pair(*waiter, client));
                    break;
                }
                case 3:
                case 4:
                    if (logging_in.empty()) break;
                    if (const auto one = any_of(logging_in); true) {
                        const ServerId server = one->first;
                        logging_in.erase(one);
                        if (pick(4) == 0)
                            book.gone(server, now, orders);
                        else
                            book.opened(server, now, orders);
                    }
                    break;
                case 5:
                case 6:
                    if (linked.empty()) break;
                    if (const auto one = any_of(linked); true) {
                        const ServerId server = one->first;
                        linked.erase(one);
                        if (pick(5) == 0)
                            book.gone(server, now, orders);
                        else
                            book.released(server, now, orders);
                    }
                    break;
                case 7:
                    if (closing.empty()) break;
                    if (const auto one = any_of(closing); true) {
                        const ServerId server = one->first;
                        closing.erase(one);
                        book.gone(server, now, orders);
                    }
                    break;
                case 8:
                    if (auto& queue = queues[pool]; !queue.empty()) {
                        const auto who = queue.begin() + static_cast<long>(pick(queue.size()));
                        book.leave(who->second.first, who->second.second);
                        queue.erase(who);
                    }
                    book.tick(now, orders);
                    break;
                default:
                    if (pick(4) == 0) {
                        book.begin_epoch(pool, ++epochs[pool], now, orders);
                    } else if (pick(2) == 0) {
                        book.renew(pool, CloseReason::asked, now, orders);
                    } else {
                        book.pause(pool);
                        book.resume(pool, now, orders);
                    }
            }
            carry_out();
            if (HasFatalFailure()) return;
            ASSERT_LE(book.servers(database), 4U) << "seed " << seed;
            ASSERT_LE(book.servers(users[0]), 3U) << "seed " << seed;
            for (const PoolId one : pools) {
                const auto counts = book.counts(one);
                ASSERT_LE(counts.idle + counts.active + counts.logging_in, one == pools[0] ? 4U : 2U)
                    << "seed " << seed;
                ASSERT_EQ(counts.waiting, queues[one].size());
            }
        }
        // When everything comes back, everybody is served.
        for (int round = 0; round < 2000; ++round) {
            now += 100ms;
            if (const auto server = closing.begin(); server != closing.end()) {
                const ServerId id = server->first;
                closing.erase(server);
                book.gone(id, now, orders);
            } else if (const auto login = logging_in.begin(); login != logging_in.end()) {
                const ServerId id = login->first;
                logging_in.erase(login);
                book.opened(id, now, orders);
            } else if (const auto busy = linked.begin(); busy != linked.end()) {
                const ServerId id = busy->first;
                linked.erase(busy);
                book.released(id, now, orders);
            }
            book.tick(now, orders);
            carry_out();
            if (HasFatalFailure()) return;
        }
        for (const PoolId one : pools) ASSERT_EQ(book.counts(one).waiting, 0U) << "seed " << seed << ": left waiting";
    }
}

}  // namespace
}  // namespace pgkeel::pool
