#include "cluster/keys.hpp"
#include "cluster/transactions.hpp"
#include "etcd/gateway_store.hpp"
#include "http/server.hpp"
#include "proxy/cluster_watch.hpp"
#include "support/etcd_server.hpp"
#include "support/event_loop.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

// The proxy's view of a cluster: a real etcd, members that write the keys that agents write and answer GET /patroni.

namespace pgkeel::proxy {
namespace {

using namespace std::chrono_literals;
using config::Route;
using test::EtcdServer;
using test::EventLoop;

const cluster::Keys keys{"/service/batman/"};

config::PoolerConfig proxy_config(const EtcdServer& etcd) {
    config::PoolerConfig config;
    config.follows_cluster = true;
    config.scope = "batman";
    config.etcd.endpoints = etcd.endpoints();
    config.source = "test";
    return config;
}

/// What the callback was told, for a test that waits.
class Told {
  public:
    ClusterWatch::OnChange listener() {
        return [this](std::shared_ptr<const Topology> topology) {
            const std::lock_guard lock(mutex_);
            all_.push_back({Boottime::now(), std::move(topology)});
            news_.notify_all();
        };
    }
    struct One {
        Instant at{};
        std::shared_ptr<const Topology> topology;
    };
    /// The first one after number `from` for which `holds`; without a topology when there is none in time.
    template <class Condition>
    One wait(Condition holds, std::size_t from = 0, std::chrono::milliseconds time = 5s) {
        std::unique_lock lock(mutex_);
        One found;
        news_.wait_for(lock, time, [&] {
            for (std::size_t i = from; i < all_.size(); ++i)
                if (holds(*all_[i].topology)) {
                    found = all_[i];
                    return true;
                }
            return false;
        });
        return found;
    }
    std::size_t count() {
        const std::lock_guard lock(mutex_);
        return all_.size();
    }
    std::shared_ptr<const Topology> last() {
        const std::lock_guard lock(mutex_);
        return all_.empty() ? nullptr : all_.back().topology;
    }

  private:
    std::mutex mutex_;
    std::condition_variable news_;
    std::vector<One> all_;
};

/// The members' side, on a thread of its own: a store that writes, and a REST API for each member.
class Members {
  public:
    explicit Members(const EtcdServer& etcd) {
        auto created = etcd::GatewayStore::create(loop_.clock, {.endpoints = etcd.endpoints()});
        if (!created) throw std::runtime_error(created.error().line());
        store_ = *std::move(created);
        thread_ = std::thread([this] {
            const auto guard = asio::make_work_guard(loop_.context);
            loop_.context.run();
        });
    }
    ~Members() {
        loop_.context.stop();
        thread_.join();
        servers_.clear();
        store_.reset();
    }

    /// Returns when etcd had it.
    Instant commit(etcd::Transaction transaction) {
        auto done = asio::co_spawn(loop_.context, store_->commit(std::move(transaction), Boottime::now() + 5s),
                                   asio::use_future)
                        .get();
        if (!done) throw std::runtime_error(done.error().line());
        if (!done->succeeded) throw std::runtime_error("the transaction lost");
        return Boottime::now();
    }
    void put(const std::string& key, const std::string& value) { commit({{}, {etcd::Operation::put(key, value)}, {}}); }
    void remove(const std::string& key) { commit({{}, {etcd::Operation::remove(key)}, {}}); }
    /// As an agent takes the lease: the key is created, so its epoch grows.
    Instant lead(const std::string& name) {
        return commit({{etcd::Compare::absent(keys.leader())}, {etcd::Operation::put(keys.leader(), name)}, {}});
    }
    void publish(const std::string& name, const std::string& role, std::uint64_t position) {
        cluster::MemberValue value{.conn_url = fmt::format("postgres://127.0.0.1:{}/postgres", 54320 + name[0] - 'a'),
                                   .api_url = api(name),
                                   .state = "running",
                                   .role = role,
                                   .version = "4.0.7",
                                   .pgkeel = "0.1.0",
                                   .with_location = true,
                                   .location = Lsn{position},
                                   .received = Lsn{position},
                                   .replayed = Lsn{position},
                                   .replication_state = role == "replica" ? "streaming" : "",
                                   .timeline = Timeline{1}};
        put(keys.member(name), cluster::write_member(value));
    }

    /// What the REST API of `name` says from now on.
    void say(const std::string& name, const std::string& role, std::uint64_t position, const std::string& tags = "{}") {
        const bool primary = role == "primary";
        const std::string xlog = primary
                                     ? fmt::format(R"({{"location":{}}})", position)
                                     : fmt::format(R"({{"received_location":{0},"replayed_location":{0}}})", position);
        const std::lock_guard lock(mutex_);
        answers_[name] = fmt::format(
            R"({{"state":"running","role":"{}","xlog":{},"timeline":1,{}"tags":{},"patroni":{{"scope":"batman","name":"{}"}}}})",
            role, xlog, primary ? "" : R"("replication_state":"streaming",)", tags, name);
    }
    void hang(const std::string& name) {
        const std::lock_guard lock(mutex_);
        answers_[name].clear();
    }

  private:
    std::string api(const std::string& name) {
        std::promise<int> port;
        asio::post(loop_.context, [&] {
            auto& server = servers_[name];
            if (!server)
                server = *http::Server::start(loop_.context.get_executor(), loop_.clock, {.listen = "127.0.0.1:0"},
                                              [this, name](http::Request) { return answer(this, name); });
            port.set_value(server->port());
        });
        return fmt::format("http://127.0.0.1:{}/patroni", port.get_future().get());
    }
    static Task<http::Response> answer(Members* self, std::string name) {
        std::string body;
        {
            const std::lock_guard lock(self->mutex_);
            body = self->answers_[name];
        }
        if (body.empty()) co_await self->loop_.clock.sleep_for(1h);
        co_return http::Response{.status = 200, .body = body};
    }

    EventLoop loop_;
    std::unique_ptr<etcd::GatewayStore> store_;
    std::map<std::string, std::unique_ptr<http::Server>> servers_;
    std::mutex mutex_;
    std::map<std::string, std::string> answers_;
    std::thread thread_;
};

std::string names(const Topology& topology, Route route) {
    std::string all;
    for (const Place* place : places_for(topology, route)) all += place->name;
    return all;
}

/// Three members, led by a.
struct RoutingWatch : testing::Test {
    explicit RoutingWatch(int etcd_members = 1) : etcd({.members = etcd_members}) {}
    void SetUp() override {
        members.put(keys.initialize(), "7000");
        members.lead("a");
        for (const char* name : {"a", "b", "c"}) {
            const std::string role = *name == 'a' ? "primary" : "replica";
            members.say(name, role, 5000);
            members.publish(name, role, 5000);
        }
    }
    void follow() {
        auto started = ClusterWatch::start(proxy_config(etcd), {}, told.listener());
        ASSERT_TRUE(started) << started.error().line();
        watch = *std::move(started);
        ASSERT_TRUE(told.wait([](const Topology& one) { return one.epoch != 0 && one.places.size() == 3; }).topology);
    }
    /// `latest` comes to hold it.
    template <class Condition>
    bool settles(Condition holds, Duration time = 5s) {
        for (const Instant end = Boottime::now() + time; Boottime::now() < end; std::this_thread::sleep_for(10ms))
            if (holds(*watch->latest())) return true;
        return false;
    }

    EtcdServer etcd;
    Members members{etcd};
    Told told;
    std::unique_ptr<ClusterWatch> watch;
};
using routing_watch = RoutingWatch;

struct RoutingWatchOfThree : RoutingWatch {
    RoutingWatchOfThree() : RoutingWatch(3) {}
};
using routing_watch_of_three = RoutingWatchOfThree;

TEST_F(routing_watch, knows_the_cluster_at_once) {
    follow();
    const auto topology = watch->latest();
    EXPECT_EQ(topology->cluster_id, "7000");
    EXPECT_FALSE(topology->stale);
    EXPECT_EQ(names(*topology, Route::primary), "a");
    EXPECT_EQ(names(*topology, Route::standby), "bc");
    EXPECT_EQ(topology->leader_place()->port, "54320");
    EXPECT_TRUE(settles([](const Topology& one) {
        return std::ranges::all_of(one.places, [](const Place& place) { return place.last_heard.has_value(); });
    }));
}

TEST_F(routing_watch, tells_a_change_of_leader_within_milliseconds) {
    follow();
    std::vector<Duration> times;
    const char* const order[] = {"b", "c", "a", "b", "a", "c", "b", "c", "a", "b"};
    for (const char* next : order) {
        const std::int64_t before = watch->latest()->epoch;
        members.remove(keys.leader());
        ASSERT_TRUE(told.wait([](const Topology& one) { return one.epoch == 0; }, told.count() - 1).topology);
        EXPECT_EQ(names(*told.last(), Route::primary), "");
        EXPECT_NE(names(*told.last(), Route::standby), "") << "reads go on";
        const std::size_t from = told.count();
        const Instant sent = Boottime::now();
        members.lead(next);
        const auto news = told.wait([&](const Topology& one) { return one.leader == next; }, from);
        ASSERT_TRUE(news.topology);
        EXPECT_GT(news.topology->epoch, before);
        times.push_back(news.at - sent);
    }
    // The median: a machine that does something else for a moment must not fail this, and polling would.
    std::ranges::sort(times);
    const Duration median = times[times.size() / 2];
    EXPECT_LT(median, 50ms) << seconds(median) << " s from before the put to the callback";
}

TEST_F(routing_watch, sees_a_promotion_sooner_than_the_next_round_of_questions) {
    follow();
    members.remove(keys.leader());
    members.lead("b");
    ASSERT_TRUE(told.wait([](const Topology& one) { return one.leader == "b"; }).topology);
    EXPECT_EQ(watch->latest()->leader_place()->role, Role::replica);
    std::this_thread::sleep_for(300ms);
    const Instant promoted = Boottime::now();
    members.say("b", "primary", 5100);
    const auto news =
        told.wait([](const Topology& one) { return one.leader == "b" && one.leader_place()->role == Role::primary; });
    ASSERT_TRUE(news.topology);
    EXPECT_LT(news.at - promoted, 400ms);
}

TEST_F(routing_watch, sends_no_reads_to_who_lags_hangs_or_must_not_be_used_and_comes_back) {
    follow();
    members.say("a", "primary", 100'000'000);
    members.say("b", "replica", 100'000'000);
    members.say("c", "replica", 50'000'000);
    EXPECT_TRUE(settles([](const Topology& one) { return names(one, Route::standby) == "b"; }));
    EXPECT_EQ(watch->latest()->place("c")->lag_bytes, 50'000'000U);
    members.say("c", "replica", 100'000'000);
    EXPECT_TRUE(settles([](const Topology& one) { return names(one, Route::standby) == "bc"; }));
    members.say("b", "replica", 100'000'000, R"({"noloadbalance":true})");
    EXPECT_TRUE(settles([](const Topology& one) { return names(one, Route::standby) == "c"; }));
    members.hang("c");
    EXPECT_TRUE(settles([](const Topology& one) { return names(one, Route::standby) == "a"; }, 8s));
    members.say("c", "replica", 100'000'000);
    EXPECT_TRUE(settles([](const Topology& one) { return names(one, Route::standby) == "c"; }));
    EXPECT_EQ(names(*told.last(), Route::standby), "c") << "the callback was told too";
}

TEST_F(routing_watch, goes_by_other_limits_as_soon_as_it_is_told) {
    follow();
    const auto c_lags = [](const Topology& one) { return one.place("c")->lag_bytes == 1000U; };
    const RouteLimits tight{.lag_bytes_max = 100};
    members.say("a", "primary", 7000);
    members.say("b", "replica", 7000);
    members.say("c", "replica", 6000);
    ASSERT_TRUE(settles(c_lags));
    std::this_thread::sleep_for(50ms);
    std::size_t from = told.count();
    EXPECT_FALSE(told.wait(c_lags, 0, 0ms).topology) << "it is nothing to the limits of the start";
    watch->use({.limits = tight});
    const auto news = told.wait(c_lags, from);
    ASSERT_TRUE(news.topology);
    EXPECT_EQ(places_for(*news.topology, Route::standby, tight).size(), 1U);
    from = told.count();
    members.say("c", "replica", 7000);
    EXPECT_TRUE(told.wait([](const Topology& one) { return one.place("c")->lag_bytes == 0U; }, from).topology)
        << "later changes are measured by them as well";
}

TEST_F(routing_watch, tells_nothing_while_only_figures_move) {
    follow();
    ASSERT_TRUE(settles([](const Topology& one) { return one.place("b")->last_heard.has_value(); }));
    const std::size_t before = told.count();
    for (std::uint64_t position = 5000; position < 5020; ++position) {
        members.say("a", "primary", position);
        members.publish("a", "primary", position);
        StatusKey status;
        status.optime = Lsn{position};
        status.heartbeat = position;
        status.holder = "a";
        members.put(keys.status(), cluster::write_status(status));
        std::this_thread::sleep_for(50ms);
    }
    EXPECT_EQ(told.count(), before);
    EXPECT_TRUE(settles([](const Topology& one) { return one.leader_place()->position >= Lsn{5019}; }));
}

TEST_F(routing_watch, learns_of_members_that_come_and_go) {
    follow();
    members.say("d", "replica", 5000);
    members.publish("d", "replica", 5000);
    ASSERT_TRUE(told.wait([](const Topology& one) { return names(one, Route::standby) == "bcd"; }, 0, 200ms).topology);
    const std::size_t from = told.count();
    members.remove(keys.member("b"));
    ASSERT_TRUE(
        told.wait([](const Topology& one) { return names(one, Route::standby) == "cd"; }, from, 200ms).topology);
}

TEST_F(routing_watch, keeps_the_last_topology_while_etcd_is_away_and_recovers) {
    follow();
    const std::int64_t epoch = watch->latest()->epoch;
    etcd.kill(0);
    ASSERT_TRUE(told.wait([](const Topology& one) { return one.stale; }).topology);
    EXPECT_EQ(watch->latest()->epoch, epoch);
    EXPECT_EQ(names(*watch->latest(), Route::primary), "a");
    EXPECT_EQ(names(*watch->latest(), Route::standby), "bc");
    // The members still answer for themselves.
    members.say("c", "replica", 5000, R"({"noloadbalance":true})");
    EXPECT_TRUE(settles([](const Topology& one) { return one.stale && names(one, Route::standby) == "b"; }));

    const std::size_t from = told.count();
    etcd.restart(0);
    ASSERT_TRUE(told.wait([](const Topology& one) { return !one.stale; }, from).topology);
    EXPECT_EQ(watch->latest()->epoch, epoch);
    // The watch is there again, not only the reads.
    std::this_thread::sleep_for(500ms);
    members.remove(keys.leader());
    const Instant sent = Boottime::now();
    members.lead("b");
    const auto news = told.wait([](const Topology& one) { return one.leader == "b"; }, from);
    ASSERT_TRUE(news.topology);
    EXPECT_LT(news.at - sent, 300ms);
}

TEST_F(routing_watch, an_etcd_that_hangs_is_away_too) {
    follow();
    etcd.freeze(0);
    const Instant frozen = Boottime::now();
    const auto news = told.wait([](const Topology& one) { return one.stale; }, 0, 10s);
    etcd.thaw(0);
    ASSERT_TRUE(news.topology);
    EXPECT_LT(news.at - frozen, 6s);
    EXPECT_TRUE(settles([](const Topology& one) { return !one.stale; }, 10s));
}

TEST_F(routing_watch_of_three, goes_on_with_another_member_of_etcd) {
    follow();
    for (int gone = 0; gone < 3; ++gone) {
        etcd.kill(gone);
        etcd.leader();  // there is one again, so that keys can be written
        const char* const next = gone % 2 == 0 ? "b" : "a";
        const std::size_t from = told.count();
        members.remove(keys.leader());
        members.lead(next);
        const auto news = told.wait([&](const Topology& one) { return one.leader == next && !one.stale; }, from, 8s);
        ASSERT_TRUE(news.topology) << "without member " << gone;
        etcd.restart(gone);
        etcd.leader();
    }
    EXPECT_TRUE(settles([](const Topology& one) { return !one.stale && names(one, Route::primary) == "b"; }));
}

TEST_F(routing_watch, an_etcd_that_was_replaced_is_followed_only_when_told_so) {
    follow();
    etcd.wipe("second");
    // Another etcd has answered: nobody's word for it that it is ours.
    ASSERT_TRUE(told.wait([](const Topology& one) { return one.stale; }).topology);
    Members others(etcd);
    others.say("b", "primary", 9000);
    others.publish("b", "primary", 9000);
    others.lead("b");
    std::this_thread::sleep_for(1s);
    EXPECT_EQ(watch->latest()->leader, "a");
    const auto reloaded = watch->reload(proxy_config(etcd), {});
    ASSERT_TRUE(reloaded) << reloaded.error().line();
    EXPECT_TRUE(settles([](const Topology& one) { return !one.stale && one.leader == "b" && one.places.size() == 1; }));
    // It is watched as well, and not only read.
    std::this_thread::sleep_for(200ms);
    others.remove(keys.leader());
    EXPECT_TRUE(settles([](const Topology& one) { return one.epoch == 0; }, 100ms));
}

TEST_F(routing_watch, begins_with_an_etcd_that_is_not_there_yet) {
    etcd.kill(0);
    auto started = ClusterWatch::start(proxy_config(etcd), {}, told.listener());
    ASSERT_TRUE(started) << started.error().line();
    watch = *std::move(started);
    const auto first = told.wait([](const Topology&) { return true; });
    ASSERT_TRUE(first.topology);
    EXPECT_TRUE(first.topology->stale);
    EXPECT_TRUE(first.topology->places.empty());
    etcd.restart(0);
    EXPECT_TRUE(told.wait([](const Topology& one) { return !one.stale && one.leader == "a"; }, 0, 10s).topology);
}

TEST_F(routing_watch, ends_at_any_moment_and_calls_nobody_afterwards) {
    for (int i = 0; i < 20; ++i) {
        auto started = ClusterWatch::start(proxy_config(etcd), {}, told.listener());
        ASSERT_TRUE(started);
        std::this_thread::sleep_for(std::chrono::milliseconds(3 * i));
        const Instant asked = Boottime::now();
        started->reset();
        EXPECT_LT(Boottime::now() - asked, 200ms);
        const std::size_t count = told.count();
        std::this_thread::sleep_for(5ms);
        EXPECT_EQ(told.count(), count);
    }
}

TEST_F(routing_watch, names_what_is_wrong_with_its_configuration) {
    config::PoolerConfig config = proxy_config(etcd);
    config.etcd.endpoints = {"not an address"};
    EXPECT_FALSE(ClusterWatch::start(config, {}, told.listener()));
    config = proxy_config(etcd);
    config.scope.clear();
    const auto started = ClusterWatch::start(config, {}, told.listener());
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().hint, "set scope and etcd3");
}

}  // namespace
}  // namespace pgkeel::proxy
