#include "cluster/transactions.hpp"
#include "etcd/gateway_store.hpp"

#include "async/spawn.hpp"
#include "support/etcd_server.hpp"
#include "support/event_loop.hpp"
#include "unit/http/certificates.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace pgkeel::etcd {
namespace {

using namespace std::chrono_literals;
using test::EtcdServer;
using test::EventLoop;

constexpr const char* prefix = "/service/batman/";

/// A store on a loop of its own, with calls that wait.
struct Client {
    explicit Client(GatewayOptions options) {
        auto created = GatewayStore::create(loop.clock, std::move(options));
        if (!created) throw std::runtime_error(created.error().line());
        store = *std::move(created);
    }
    explicit Client(const EtcdServer& etcd) : Client(GatewayOptions{.endpoints = etcd.endpoints()}) {}

    Deadline in(Duration time) { return loop.clock.now() + time; }
    Result<RangeResult> range(Duration time = 5s) { return loop.run(store->range(prefix, in(time))); }
    Result<TransactionResult> commit(Transaction transaction, Duration time = 5s) {
        return loop.run(store->commit(std::move(transaction), in(time)));
    }
    Result<TransactionResult> put(const std::string& name, const std::string& value, LeaseId lease = 0,
                                  Duration time = 5s) {
        return commit({{}, {Operation::put(prefix + name, value, lease)}, {}}, time);
    }
    Result<LeaseId> grant(std::chrono::seconds ttl) { return loop.run(store->grant(ttl, in(5s))); }

    EventLoop loop;
    std::unique_ptr<GatewayStore> store;
};

/// A watch that runs beside the test.
struct Watcher {
    Watcher(Client& client, Revision from) : client_(client) {
        spawn(client.loop.context.get_executor(), "watcher", run(this, from));
    }
    static Task<> run(Watcher* self, Revision from) {
        self->ended =
            co_await self->client_.store->watch(prefix, from, [self](Revision, const std::vector<WatchEvent>& events) {
                for (const WatchEvent& event : events)
                    self->seen.push_back((event.removed ? "-" : "") +
                                         event.value.key.substr(std::string(prefix).size()));
            });
    }
    bool sees(const std::string& what, Duration time = 5s) {
        return client_.loop.until([&] { return std::ranges::find(seen, what) != seen.end(); }, time);
    }
    bool ends(Duration time) {
        return client_.loop.until([&] { return ended.has_value(); }, time);
    }

    Client& client_;
    std::vector<std::string> seen;
    std::optional<Error> ended;
};

TEST(etcd_store, reads_back_what_was_committed) {
    EtcdServer etcd;
    Client client(etcd);
    const auto empty = client.range();
    ASSERT_TRUE(empty) << empty.error().line();
    EXPECT_TRUE(empty->values.empty());

    std::string every_byte;
    for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
    const auto put = client.put("a", every_byte);
    ASSERT_TRUE(put) << put.error().line();
    EXPECT_TRUE(put->succeeded);
    ASSERT_TRUE(client.commit({{}, {Operation::put("/service/batman2/a", "not ours")}, {}}));
    const auto found = client.range();
    ASSERT_TRUE(found);
    ASSERT_EQ(found->values.size(), 1U);
    EXPECT_EQ(found->values[0].key, "/service/batman/a");
    EXPECT_EQ(found->values[0].value, every_byte);
    EXPECT_EQ(found->values[0].mod_revision, put->revision);
    EXPECT_GE(found->revision, put->revision);
}

TEST(etcd_store, compares_before_it_changes) {
    EtcdServer etcd;
    Client client(etcd);
    const std::string key = std::string(prefix) + "a";
    const auto create = [&](const char* value) {
        return client.commit({{Compare::absent(key)}, {Operation::put(key, value)}, {Operation::read(key)}});
    };
    const auto first = create("1");
    ASSERT_TRUE(first) << first.error().line();
    EXPECT_TRUE(first->succeeded);
    const auto second = create("2");
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->succeeded);
    ASSERT_EQ(second->read.size(), 1U);
    EXPECT_EQ(second->read[0].value, "1");

    EXPECT_FALSE(
        client.commit({{Compare::unchanged(key, first->revision + 1)}, {Operation::remove(key)}, {}})->succeeded);
    EXPECT_FALSE(client.commit({{Compare::holds(key, "2")}, {Operation::remove(key)}, {}})->succeeded);
    EXPECT_FALSE(client.commit({{{key, Compare::Target::lease, 7, {}}}, {Operation::remove(key)}, {}})->succeeded);
    EXPECT_EQ(client.range()->values.size(), 1U);
    EXPECT_TRUE(client
                    .commit({{Compare::unchanged(key, first->revision), Compare::holds(key, "1")},
                             {Operation::remove_all(prefix)},
                             {}})
                    ->succeeded);
    EXPECT_TRUE(client.range()->values.empty());
}

TEST(etcd_store, a_lease_takes_its_keys_with_it) {
    EtcdServer etcd;
    Client client(etcd);
    const auto lease = client.grant(30s);
    ASSERT_TRUE(lease) << lease.error().line();
    ASSERT_TRUE(client.put("leased", "x", *lease));
    EXPECT_EQ(client.range()->values.at(0).lease, *lease);
    EXPECT_TRUE(client.loop.run(client.store->keep_alive(*lease, client.in(5s))));
    EXPECT_TRUE(client.loop.run(client.store->revoke(*lease, client.in(5s))));
    EXPECT_TRUE(client.range()->values.empty());

    const auto dead = client.loop.run(client.store->keep_alive(*lease, client.in(5s)));
    ASSERT_FALSE(dead);
    EXPECT_EQ(dead.error().code, Errc::lease_gone);
    const auto late = client.put("leased", "x", *lease);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::lease_gone);
    EXPECT_TRUE(client.range()->values.empty());
}

TEST(etcd_store, a_lease_nobody_renews_ends) {
    EtcdServer etcd;
    Client client(etcd);
    const auto lease = client.grant(2s);
    ASSERT_TRUE(lease);
    Watcher watcher(client, client.put("leased", "x", *lease)->revision);
    EXPECT_TRUE(watcher.sees("leased"));
    EXPECT_TRUE(watcher.sees("-leased", 6s));
}

TEST(etcd_watch, reports_puts_and_removals_from_where_it_was_told) {
    EtcdServer etcd;
    Client client(etcd);
    ASSERT_TRUE(client.put("before", "x"));
    const auto from = client.put("first", "x");
    ASSERT_TRUE(from);
    Watcher watcher(client, from->revision);
    ASSERT_TRUE(client.put("second", "x"));
    ASSERT_TRUE(client.commit({{}, {Operation::remove(std::string(prefix) + "first")}, {}}));
    EXPECT_TRUE(watcher.sees("-first"));
    EXPECT_EQ(watcher.seen, (std::vector<std::string>{"first", "second", "-first"}));
    EXPECT_FALSE(watcher.ended);
}

TEST(etcd_watch, says_that_its_revision_is_no_longer_kept) {
    EtcdServer etcd;
    Client client(etcd);
    ASSERT_TRUE(client.put("a", "1"));
    const auto last = client.put("a", "2");
    ASSERT_TRUE(last);
    etcd.post(0, "/v3/kv/compaction", fmt::format(R"({{"revision":"{}"}})", last->revision));
    Watcher watcher(client, 1);
    ASSERT_TRUE(watcher.ends(5s));
    EXPECT_EQ(watcher.ended->code, Errc::invalid_input) << watcher.ended->line();
}

TEST(etcd_watch, loses_nothing_over_silences) {
    EtcdServer etcd;
    Client client(GatewayOptions{.endpoints = etcd.endpoints(), .watch_idle_max = 300ms});
    ASSERT_TRUE(client.put("before", "x"));
    Watcher watcher(client, 0);
    client.loop.run(client.loop.clock.sleep_for(1s));
    std::vector<std::string> all;
    for (int i = 0; i < 4; ++i) {
        all.push_back(std::to_string(i));
        ASSERT_TRUE(client.put(all.back(), "x"));
        client.loop.run(client.loop.clock.sleep_for(i % 2 == 0 ? 700ms : 10ms));
    }
    EXPECT_TRUE(watcher.sees("3"));
    EXPECT_EQ(watcher.seen, all);
    EXPECT_FALSE(watcher.ended);
}

TEST(etcd_members, a_crash_of_the_leader_leaves_every_answer_true) {
    EtcdServer etcd({.members = 3});
    const int leader = etcd.leader();
    Client client(GatewayOptions{.endpoints = {etcd.endpoint(leader)}});  // the others it must learn from etcd itself
    std::set<std::string> done;
    std::set<std::string> not_done;
    int open = 0;
    int after = 0;
    for (int i = 0; i < 400 && after < 20; ++i) {
        if (i == 30) etcd.kill(leader);
        const std::string name = std::to_string(i);
        const auto result = client.put(name, "x", 0, 3s);
        if (result) {
            done.insert(name);
            if (i > 30) ++after;
        } else if (result.error().code == Errc::maybe_done) {
            ++open;
        } else {
            ASSERT_EQ(result.error().code, Errc::unavailable) << result.error().line();
            not_done.insert(name);
        }
    }
    EXPECT_EQ(after, 20) << "and it recovers";
    EXPECT_LE(open, 5);
    const auto found = client.range();
    ASSERT_TRUE(found) << found.error().line();
    std::set<std::string> names;
    for (const KeyValue& value : found->values) names.insert(value.key.substr(std::string(prefix).size()));
    for (const std::string& name : done) EXPECT_TRUE(names.contains(name)) << name << " was acknowledged";
    for (const std::string& name : not_done) EXPECT_FALSE(names.contains(name)) << name << " was refused";
    etcd.restart(leader);
    EXPECT_TRUE(client.put("end", "x"));
}

TEST(etcd_members, a_hung_one_costs_its_share_of_the_time) {
    EtcdServer etcd({.members = 3});
    const int hung = (etcd.leader() + 1) % 3;
    std::vector<std::string> endpoints = {etcd.endpoint(hung)};
    for (int i = 0; i < 3; ++i)
        if (i != hung) endpoints.push_back(etcd.endpoint(i));
    Client client(GatewayOptions{.endpoints = endpoints});
    ASSERT_TRUE(client.put("before", "x"));
    ASSERT_EQ(client.store->endpoint(), etcd.endpoint(hung));
    Watcher watcher(client, 0);
    ASSERT_TRUE(client.loop.until([&] { return false; }, 300ms) == false);

    etcd.freeze(hung);
    const Instant begin = client.loop.clock.now();
    const auto read = client.range(6s);
    const Duration took = client.loop.clock.now() - begin;
    EXPECT_TRUE(read) << read.error().line();
    EXPECT_GE(took, 1900ms);
    EXPECT_LT(took, 3s) << "a third of six seconds";
    EXPECT_NE(client.store->endpoint(), etcd.endpoint(hung));
    EXPECT_TRUE(watcher.ends(1s)) << "its watch is left as well";
    EXPECT_EQ(watcher.ended->code, Errc::unavailable);

    Watcher next(client, read->revision + 1);
    const Instant again = client.loop.clock.now();
    EXPECT_TRUE(client.put("after", "x"));
    EXPECT_LT(client.loop.clock.now() - again, 900ms) << "it stays with the one that serves";
    EXPECT_TRUE(next.sees("after"));
    etcd.thaw(hung);
    EXPECT_TRUE(client.put("end", "x"));
}

TEST(etcd_members, a_write_to_a_hung_one_is_not_sent_twice) {
    EtcdServer etcd({.members = 3});
    const int hung = (etcd.leader() + 1) % 3;
    Client client(GatewayOptions{.endpoints = {etcd.endpoint(hung), etcd.endpoint((hung + 1) % 3)}});
    ASSERT_TRUE(client.put("before", "x"));
    etcd.freeze(hung);
    const auto open = client.put("counted", "x", 0, 6s);
    ASSERT_FALSE(open);
    EXPECT_EQ(open.error().code, Errc::maybe_done) << open.error().line();
    EXPECT_TRUE(client.put("next", "x"));
    etcd.thaw(hung);
    // The hung member handles the request when it wakes up: that is why it must not have been repeated elsewhere.
    client.loop.run(client.loop.clock.sleep_for(2s));
    const auto found = client.range();
    ASSERT_TRUE(found);
    for (const KeyValue& value : found->values)
        EXPECT_EQ(value.create_revision, value.mod_revision) << value.key << " was written twice";
}

TEST(etcd_members, without_a_majority_nothing_is_done_and_the_watch_says_so) {
    EtcdServer etcd({.members = 3});
    const int leader = etcd.leader();
    const int left = (leader + 1) % 3;
    Client client(GatewayOptions{.endpoints = {etcd.endpoint(left)}, .use_proxies = true});
    ASSERT_TRUE(client.put("before", "x"));
    Watcher watcher(client, 0);
    client.loop.run(client.loop.clock.sleep_for(300ms));
    etcd.kill(leader);
    etcd.kill((left + 1) % 3);
    EXPECT_TRUE(watcher.ends(10s)) << "a member without a leader has no news";
    const auto refused = client.put("refused", "x", 0, 2s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unavailable) << refused.error().line();
    EXPECT_FALSE(client.range(2s));
    etcd.restart(leader);
    EXPECT_TRUE(client.put("after", "x", 0, 10s));
    const auto found = client.range();
    ASSERT_TRUE(found);
    for (const KeyValue& value : found->values) EXPECT_NE(value.key, "/service/batman/refused");
}

TEST(etcd_members, refused_connections_are_waited_out) {
    EtcdServer etcd;
    Client client(etcd);
    ASSERT_TRUE(client.put("before", "x"));
    etcd.kill(0);
    const auto refused = client.put("refused", "x", 0, 500ms);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unavailable) << refused.error().line();
    EXPECT_NE(refused.error().text.find(etcd.endpoint(0)), std::string::npos) << refused.error().text;
    etcd.restart(0);
    EXPECT_TRUE(client.put("after", "x"));
}

TEST(etcd_login, works_with_the_right_password_and_again_after_the_token_is_gone) {
    EtcdServer etcd;
    etcd.enable_login("right \\\" one");
    Client client(GatewayOptions{.endpoints = etcd.endpoints(), .username = "root", .password = "right \" one"});
    ASSERT_TRUE(client.put("a", "1"));
    Watcher watcher(client, 0);
    client.loop.run(client.loop.clock.sleep_for(300ms));
    ASSERT_TRUE(client.put("b", "1"));
    EXPECT_TRUE(watcher.sees("b"));
    etcd.kill(0);
    etcd.restart(0);  // it has forgotten all tokens
    const auto again = client.put("c", "1");
    EXPECT_TRUE(again) << again.error().line();
}

TEST(etcd_login, is_refused_with_names_and_without_the_password) {
    EtcdServer etcd;
    etcd.enable_login("right");
    Client wrong(GatewayOptions{.endpoints = etcd.endpoints(), .username = "root", .password = "wrong-s3cret"});
    const auto refused = wrong.put("a", "1");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::denied);
    EXPECT_NE(refused.error().text.find("'root'"), std::string::npos) << refused.error().text;
    EXPECT_NE(refused.error().text.find(etcd.endpoint(0)), std::string::npos) << refused.error().text;
    EXPECT_EQ(refused.error().line().find("s3cret"), std::string::npos) << refused.error().text;

    Client nobody(etcd);
    const auto anonymous = nobody.range();
    ASSERT_FALSE(anonymous);
    EXPECT_EQ(anonymous.error().code, Errc::denied) << anonymous.error().line();
}

TEST(etcd_login, is_left_out_when_etcd_wants_none) {
    EtcdServer etcd;
    Client client(GatewayOptions{.endpoints = etcd.endpoints(), .username = "root", .password = "any"});
    EXPECT_TRUE(client.put("a", "1"));
    etcd.enable_login("any");
    const auto after = client.put("b", "1");
    EXPECT_TRUE(after) << after.error().line();
}

TEST(etcd_tls, is_spoken_with_a_member_that_shows_a_good_certificate) {
    test::TemporaryDirectory directory;
    const test::Authority authority(directory, "good");
    const test::Authority stranger(directory, "stranger");
    const auto files = authority.issue("etcd", "IP:127.0.0.1");
    EtcdServer etcd({.certificate_file = files.certificate, .key_file = files.key});
    Client client(GatewayOptions{.endpoints = etcd.endpoints(), .tls = {.ca_file = authority.ca_file()}});
    const auto put = client.put("a", "1");
    EXPECT_TRUE(put) << put.error().line();
    Watcher watcher(client, put->revision);
    EXPECT_TRUE(watcher.sees("a"));

    Client distrusting(GatewayOptions{.endpoints = etcd.endpoints(), .tls = {.ca_file = stranger.ca_file()}});
    const auto refused = distrusting.put("b", "1");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::denied) << refused.error().line();
    EXPECT_EQ(client.range()->values.size(), 1U);
}

TEST(etcd_gateway, that_is_switched_off_is_named_with_its_cure) {
    EtcdServer etcd({.gateway = false});
    Client client(etcd);
    const Instant begin = client.loop.clock.now();
    const auto refused = client.put("a", "1", 0, 10s);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("gateway"), std::string::npos) << refused.error().text;
    EXPECT_NE(refused.error().hint.find("enable-grpc-gateway: true"), std::string::npos) << refused.error().hint;
    EXPECT_LT(client.loop.clock.now() - begin, 5s) << "waiting cures nothing";
}

TEST(etcd_identity, a_wiped_etcd_is_not_believed) {
    EtcdServer etcd;
    Client client(etcd);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.put("a", "1"));
    etcd.wipe("first");  // the same id, but its revisions begin anew
    const auto read = client.range(2s);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::unavailable);
    EXPECT_NE(read.error().text.find("revision"), std::string::npos) << read.error().text;
    ASSERT_TRUE(client.store->reload(GatewayOptions{.endpoints = etcd.endpoints()}));
    EXPECT_TRUE(client.range()) << "an operator's word counts";
}

Task<> freeze_after(EventLoop* loop, Duration time, EtcdServer* etcd) {
    co_await loop->clock.sleep_until(loop->clock.now() + time);
    etcd->freeze(0);
}

TEST(etcd_identity, a_refusal_is_told_though_the_last_try_ran_out_of_time) {
    EtcdServer etcd;
    Client client(etcd);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(client.put("a", "1"));
    etcd.wipe("first");
    spawn(client.loop.context.get_executor(), "freezer", freeze_after(&client.loop, 1s, &etcd));
    const auto read = client.range(2s);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().text.find("revision"), std::string::npos) << read.error().text;
}

TEST(etcd_identity, another_etcd_at_the_address_is_not_believed_and_then_left_alone) {
    EtcdServer etcd;
    Client client(etcd);
    ASSERT_TRUE(client.put("a", "1"));
    etcd.wipe("second");
    const auto first = client.put("b", "1", 0, 1s);
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().code, Errc::maybe_done) << first.error().line();
    EXPECT_NE(first.error().text.find("another etcd cluster"), std::string::npos) << first.error().text;
    const auto second = client.put("c", "1", 0, 1s);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::unavailable) << second.error().line();
    Client fresh(etcd);
    const auto found = fresh.range();
    ASSERT_TRUE(found);
    for (const KeyValue& value : found->values) EXPECT_NE(value.key, "/service/batman/c");
}

TEST(etcd_identity, a_foreign_member_among_ours_gets_nothing) {
    EtcdServer ours;
    EtcdServer foreign;
    Client client(GatewayOptions{.endpoints = {ours.endpoint(0), foreign.endpoint(0)}});
    ASSERT_TRUE(client.put("a", "1"));
    ours.kill(0);
    const auto refused = client.put("b", "1", 0, 1s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unavailable) << refused.error().line();
    EXPECT_FALSE(client.range(1s));
    Client stranger(foreign);
    EXPECT_TRUE(stranger.range()->values.empty());
    ours.restart(0);
    const auto found = client.range();
    ASSERT_TRUE(found) << found.error().line();
    EXPECT_EQ(found->values.size(), 1U);
}

TEST(leader_lease, lives_through_all_its_transactions_on_etcd) {
    EtcdServer etcd;
    Client client(etcd);
    const cluster::Keys keys{prefix};
    const auto view = [&] {
        const auto read = client.range();
        return cluster::parse_view(keys, read.value().values, read.value().revision);
    };
    const auto wins = [&](Transaction transaction) {
        const auto result = client.commit(std::move(transaction));
        EXPECT_TRUE(result) << result.error().line();
        return result && result->succeeded;
    };
    const auto status = [](const std::string& holder, std::uint64_t beat) {
        StatusKey key;
        key.optime = Lsn{beat * 100};
        key.holder = holder;
        key.heartbeat = beat;
        return key;
    };
    const LeaseId a = client.grant(30s).value();
    const LeaseId b = client.grant(30s).value();
    ASSERT_TRUE(wins(cluster::claim_initialize(keys, "a/1", a)));
    EXPECT_FALSE(wins(cluster::claim_initialize(keys, "b/1", b)));
    ASSERT_TRUE(wins(cluster::finish_bootstrap(keys, "a/1", "735", R"({"ttl":30})", "a", a, status("a", 1))));
    ClusterView seen = view();
    EXPECT_EQ(seen.initialize, "735");
    ASSERT_TRUE(seen.leader);
    const Revision epoch = seen.leader->create_revision;
    EXPECT_TRUE(wins(cluster::renew_lease(keys, "a", a, epoch, status("a", 2))));
    EXPECT_FALSE(wins(cluster::renew_lease(keys, "a", b, epoch, status("a", 3))));
    EXPECT_FALSE(wins(cluster::take_lease(keys, seen, "b", b, status("b", 3)))) << "the heartbeat came in between";

    // The key vanishes under its holder.
    ASSERT_TRUE(client.loop.run(client.store->revoke(a, client.in(5s))));
    const LeaseId a2 = client.grant(30s).value();
    EXPECT_TRUE(wins(cluster::restore_lease(keys, "a", a2, view().status.mod_revision)));
    seen = view();
    EXPECT_GT(seen.leader->create_revision, epoch);
    const LeaseId a3 = client.grant(30s).value();
    EXPECT_TRUE(wins(cluster::move_lease(keys, "a", seen.leader->create_revision, a3)));
    EXPECT_TRUE(wins(cluster::renew_lease(keys, "a", a3, seen.leader->create_revision, status("a", 4))));

    // Its time is over by b's clock, and etcd still has the key.
    seen = view();
    EXPECT_TRUE(wins(cluster::drop_stale_lease(keys, seen)));
    ClusterView dropped = seen;
    dropped.leader.reset();
    EXPECT_TRUE(wins(cluster::take_lease(keys, dropped, "b", b, status("b", 5))));
    EXPECT_GT(view().leader->create_revision, seen.leader->create_revision);
    EXPECT_FALSE(wins(cluster::renew_lease(keys, "a", a3, seen.leader->create_revision, status("a", 6))));

    StatusKey last = status("b", 6);
    last.released_epoch = view().leader->create_revision;
    EXPECT_TRUE(wins(cluster::release_lease(keys, "b", last.released_epoch, last)));
    EXPECT_FALSE(view().leader);
    EXPECT_EQ(view().status.released_epoch, last.released_epoch);
}

}  // namespace
}  // namespace pgkeel::etcd
