#include "support/memory_store.hpp"

#include "async/spawn.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

// The simulation and the API's tests stand on it, so it must be as strict as etcd is.

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;
using etcd::Compare;
using etcd::Operation;
using etcd::Transaction;

Transaction put(const std::string& key, const std::string& value, etcd::LeaseId lease = 0) {
    return {{}, {Operation::put(key, value, lease)}, {}};
}

struct Heard {
    std::vector<std::pair<etcd::Revision, std::vector<etcd::WatchEvent>>> batches;
    std::optional<Error> ended;
};

Task<> listen(MemoryStore& store, std::string prefix, etcd::Revision from, Heard& heard) {
    heard.ended = co_await store.watch(prefix, from, [&heard](etcd::Revision revision, const auto& events) {
        heard.batches.emplace_back(revision, events);
    });
}

class MemoryEtcdTest : public testing::Test {
  protected:
    void TearDown() override {
        etcd.break_watches();
        loop.until([] { return false; }, 10ms);
    }
    Heard& follow(const std::string& prefix, etcd::Revision from) {
        Heard& heard = heards.emplace_back();
        spawn(loop.context.get_executor(), "watch", listen(store, prefix, from, heard));
        return heard;
    }

    std::list<Heard> heards;  // what a watch tells until it has ended
    EventLoop loop;
    MemoryEtcd etcd{loop.clock};
    MemoryStore store{etcd};
};

TEST_F(MemoryEtcdTest, a_transaction_makes_one_revision_whatever_it_changes) {
    const auto first = etcd.commit({{}, {Operation::put("a", "1"), Operation::put("b", "2")}, {}});
    ASSERT_TRUE(first);
    const auto range = etcd.range("");
    ASSERT_EQ(range.values.size(), 2U);
    EXPECT_EQ(range.values[0].mod_revision, first->revision);
    EXPECT_EQ(range.values[1].mod_revision, first->revision);
    EXPECT_EQ(range.revision, first->revision);
    EXPECT_EQ(etcd.commit({{}, {Operation::remove("nothing"), Operation::read("a")}, {}})->revision, first->revision);
}

TEST_F(MemoryEtcdTest, a_key_keeps_its_create_revision_until_it_is_removed) {
    const auto created = etcd.commit(put("a", "1"))->revision;
    etcd.commit(put("a", "2"));
    EXPECT_EQ(etcd.range("a").values[0].create_revision, created);
    EXPECT_GT(etcd.range("a").values[0].mod_revision, created);
    etcd.commit({{}, {Operation::remove("a")}, {}});
    EXPECT_TRUE(etcd.range("a").values.empty());
    EXPECT_GT(etcd.commit(put("a", "3"))->revision, created);
    EXPECT_EQ(etcd.range("a").values[0].create_revision, etcd.revision());
}

TEST_F(MemoryEtcdTest, comparisons_choose_the_branch) {
    const auto created = etcd.commit(put("a", "1"))->revision;
    const auto succeeds = [&](Compare compare) { return etcd.commit({{std::move(compare)}, {}, {}})->succeeded; };
    EXPECT_TRUE(succeeds(Compare::unchanged("a", created)));
    EXPECT_FALSE(succeeds(Compare::unchanged("a", created + 1)));
    EXPECT_TRUE(succeeds(Compare::absent("b")));
    EXPECT_FALSE(succeeds(Compare::absent("a")));
    EXPECT_TRUE(succeeds(Compare::holds("a", "1")));
    EXPECT_FALSE(succeeds(Compare::holds("b", "")));
    const auto lost = etcd.commit({{Compare::absent("a")}, {Operation::put("a", "9")}, {Operation::read("a")}});
    EXPECT_FALSE(lost->succeeded);
    ASSERT_EQ(lost->read.size(), 1U);
    EXPECT_EQ(lost->read[0].value, "1");
}

TEST_F(MemoryEtcdTest, a_read_sees_what_was_put_before_it_and_no_key_is_changed_twice) {
    const auto result = etcd.commit({{}, {Operation::put("a", "new"), Operation::read("a")}, {}});
    EXPECT_EQ(result->read.at(0).value, "new");
    const auto before = etcd.revision();
    EXPECT_FALSE(etcd.commit({{}, {Operation::put("a", "1"), Operation::put("a", "2")}, {}}));
    EXPECT_FALSE(etcd.commit({{}, {Operation::remove("a"), Operation::put("a", "2")}, {}}));
    EXPECT_FALSE(etcd.commit({{}, {Operation::put("a/b", "2"), Operation::remove_all("a/")}, {}}));
    EXPECT_EQ(etcd.revision(), before);
}

TEST_F(MemoryEtcdTest, a_lease_that_ends_takes_its_keys_in_one_revision) {
    const auto lease = etcd.grant(2s);
    ASSERT_TRUE(etcd.commit(
        {{}, {Operation::put("a", "1", lease), Operation::put("b", "1", lease), Operation::put("c", "1")}, {}}));
    const auto before = etcd.revision();
    const Heard& heard = follow("", before + 1);
    EXPECT_TRUE(loop.until([&] { return !heard.batches.empty(); }, 4s));
    ASSERT_EQ(heard.batches.size(), 1U);
    EXPECT_EQ(heard.batches[0].first, before + 1);
    EXPECT_EQ(heard.batches[0].second.size(), 2U);
    EXPECT_TRUE(heard.batches[0].second[0].removed);
    EXPECT_EQ(etcd.range("").values.size(), 1U);
    EXPECT_EQ(etcd.keep_alive(lease).error().code, Errc::lease_gone);
    const auto late = etcd.commit(put("d", "1", lease));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::lease_gone);
}

TEST_F(MemoryEtcdTest, a_lease_that_is_kept_alive_does_not_end_and_a_revoked_one_does) {
    const auto lease = etcd.grant(2s);
    ASSERT_TRUE(etcd.commit(put("a", "1", lease)));
    loop.until([] { return false; }, 1200ms);
    ASSERT_TRUE(etcd.keep_alive(lease));
    loop.until([] { return false; }, 1200ms);
    EXPECT_EQ(etcd.range("a").values.size(), 1U);
    ASSERT_TRUE(etcd.revoke(lease));
    EXPECT_TRUE(etcd.range("a").values.empty());
}

TEST_F(MemoryEtcdTest, a_put_moves_its_key_to_the_lease_it_names) {
    const auto first = etcd.grant(10s);
    const auto second = etcd.grant(10s);
    etcd.commit(put("a", "1", first));
    etcd.commit(put("a", "1", second));
    ASSERT_TRUE(etcd.revoke(first));
    EXPECT_EQ(etcd.range("a").values.size(), 1U);
    etcd.commit(put("a", "1"));
    ASSERT_TRUE(etcd.revoke(second));
    EXPECT_EQ(etcd.range("a").values.size(), 1U);
}

TEST_F(MemoryEtcdTest, a_watch_tells_the_past_and_the_present_in_order_and_only_its_prefix) {
    etcd.commit(put("p/a", "1"));
    etcd.commit(put("q/a", "1"));
    etcd.commit(put("p/a", "2"));
    const Heard& heard = follow("p/", 2);
    EXPECT_TRUE(loop.until([&] { return heard.batches.size() == 2; }, 1s));
    etcd.commit({{}, {Operation::remove_all("p/")}, {}});
    EXPECT_TRUE(loop.until([&] { return heard.batches.size() == 3; }, 1s));
    EXPECT_EQ(heard.batches[0].second[0].value.value, "1");
    EXPECT_EQ(heard.batches[1].second[0].value.value, "2");
    EXPECT_TRUE(heard.batches[2].second[0].removed);
    EXPECT_EQ(heard.batches[2].first, etcd.revision());
}

TEST_F(MemoryEtcdTest, a_watch_ends_with_its_member_with_the_network_and_before_what_is_compacted) {
    for (int i = 0; i < 3; ++i) etcd.commit(put("a", std::to_string(i)));
    const Heard& broken = follow("a", 0);
    loop.until([] { return false; }, 10ms);
    etcd.break_watches();
    EXPECT_TRUE(loop.until([&] { return broken.ended.has_value(); }, 1s));
    EXPECT_EQ(broken.ended->code, Errc::unavailable);

    etcd.compact(etcd.revision());
    const Heard& late = follow("a", 2);
    EXPECT_TRUE(loop.until([&] { return late.ended.has_value(); }, 1s));
    EXPECT_EQ(late.ended->code, Errc::invalid_input);
    const Heard& current = follow("a", 0);
    loop.until([] { return false; }, 10ms);
    EXPECT_FALSE(current.ended);
    store.connect(false);
    EXPECT_TRUE(loop.until([&] { return current.ended.has_value(); }, 1s));
    EXPECT_EQ(loop.run(store.range("a", loop.clock.now() + 1s)).error().code, Errc::unavailable);
    store.connect(true);
    EXPECT_TRUE(loop.run(store.range("a", loop.clock.now() + 1s)));
}

}  // namespace
}  // namespace pgkeel::test
