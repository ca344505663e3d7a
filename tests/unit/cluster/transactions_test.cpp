#include "cluster/transactions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace pgkeel::cluster {
namespace {

using namespace etcd;

const Keys keys{"/service/batman/"};

/// etcd's key space with its rules for one transaction: equality compares, all or nothing, revisions (etcd
/// documentation, "etcd API").
class KeySpace {
  public:
    bool apply(const Transaction& transaction) {
        const bool holds = std::ranges::all_of(transaction.compare, [&](const Compare& c) { return is_so(c); });
        bool counted = false;
        for (const Operation& operation : holds ? transaction.success : transaction.failure) {
            if (operation.kind == Operation::Kind::read) continue;
            if (!counted) ++revision;
            counted = true;
            if (operation.kind == Operation::Kind::remove) {
                values.erase(operation.key);
                continue;
            }
            KeyValue& value = values[operation.key];
            if (value.create_revision == 0) value.create_revision = revision;
            value.key = operation.key;
            value.value = operation.value;
            value.lease = operation.lease;
            value.mod_revision = revision;
        }
        return holds;
    }
    ClusterView view() const {
        std::vector<KeyValue> all;
        for (const auto& [key, value] : values) all.push_back(value);
        return parse_view(keys, all, revision);
    }

    std::map<std::string, KeyValue> values;
    Revision revision = 1;

  private:
    bool is_so(const Compare& compare) const {
        const auto found = values.find(compare.key);
        const KeyValue value = found == values.end() ? KeyValue{} : found->second;
        switch (compare.target) {
            case Compare::Target::create_revision:
                return value.create_revision == compare.number;
            case Compare::Target::mod_revision:
                return value.mod_revision == compare.number;
            case Compare::Target::lease:
                return value.lease == compare.number;
            case Compare::Target::value:
                return found != values.end() && value.value == compare.text;
        }
        return false;
    }
};

StatusKey heartbeat(const std::string& holder, std::uint64_t number, std::int64_t released = 0) {
    StatusKey status;
    status.optime = Lsn{100};
    status.heartbeat = number;
    status.holder = holder;
    status.released_epoch = released;
    return status;
}

void set(KeySpace& space, const std::string& key, const std::string& value) {
    space.apply({{}, {Operation::put(key, value)}, {}});
}

TEST(leader_transactions, one_of_two_candidates_wins_a_free_key) {
    KeySpace space;
    const ClusterView seen = space.view();
    EXPECT_TRUE(space.apply(take_lease(keys, seen, "a", 1, heartbeat("a", 1))));
    EXPECT_FALSE(space.apply(take_lease(keys, seen, "b", 2, heartbeat("b", 1))));
    EXPECT_EQ(space.view().leader->name, "a");
    EXPECT_EQ(space.view().leader->lease, 1);
    EXPECT_EQ(space.view().status.holder, "a");
}

TEST(leader_transactions, a_candidate_loses_when_anything_it_relied_on_has_changed) {
    for (const std::string& key : {keys.leader(), keys.status(), keys.sync(), keys.history()}) {
        KeySpace space;
        set(space, keys.history(), "[]");
        set(space, keys.sync(), R"({"leader":"a","sync_standby":"b","quorum":0})");
        ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
        const ClusterView seen = space.view();
        set(space, key, space.values[key].value);
        EXPECT_FALSE(space.apply(take_lease(keys, seen, "b", 2, heartbeat("b", 2)))) << key;
        EXPECT_FALSE(space.apply(drop_stale_lease(keys, seen))) << key;
        EXPECT_TRUE(space.apply(take_lease(keys, space.view(), "b", 2, heartbeat("b", 2)))) << key;
    }
}

TEST(leader_transactions, nobody_wins_while_the_sync_key_cannot_be_read) {
    KeySpace space;
    set(space, keys.sync(), "garbage");
    EXPECT_FALSE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
}

TEST(leader_transactions, only_the_holder_renews) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    const Revision epoch = space.view().leader->create_revision;
    EXPECT_TRUE(space.apply(renew_lease(keys, "a", 1, epoch, heartbeat("a", 2))));
    EXPECT_EQ(space.view().status.heartbeat, 2U);
    EXPECT_FALSE(space.apply(renew_lease(keys, "b", 1, epoch, heartbeat("b", 3))));
    EXPECT_FALSE(space.apply(renew_lease(keys, "a", 2, epoch, heartbeat("a", 3))));
    EXPECT_FALSE(space.apply(renew_lease(keys, "a", 1, epoch + 1, heartbeat("a", 3))));
    space.values.erase(keys.leader());
    EXPECT_FALSE(space.apply(renew_lease(keys, "a", 1, epoch, heartbeat("a", 3))));
    EXPECT_EQ(space.view().status.heartbeat, 2U);
}

TEST(leader_transactions, the_holder_of_a_stale_key_cannot_renew_after_a_take_over) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    const Revision epoch = space.view().leader->create_revision;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "b", 2, heartbeat("b", 2))));
    EXPECT_FALSE(space.apply(renew_lease(keys, "a", 1, epoch, heartbeat("a", 3))));
    EXPECT_FALSE(space.apply(restore_lease(keys, "a", 1, 2)));
    EXPECT_FALSE(space.apply(release_lease(keys, "a", epoch, heartbeat("a", 3, epoch))));
}

TEST(leader_transactions, dropping_a_stale_key_first_makes_the_epoch_grow) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    const ClusterView seen = space.view();
    ASSERT_TRUE(space.apply(drop_stale_lease(keys, seen)));
    ClusterView dropped = seen;
    dropped.leader.reset();
    ASSERT_TRUE(space.apply(take_lease(keys, dropped, "b", 2, heartbeat("b", 2))));
    EXPECT_GT(space.view().leader->create_revision, seen.leader->create_revision);
}

TEST(leader_transactions, a_holder_that_comes_back_between_drop_and_take_keeps_the_key) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    ClusterView seen = space.view();
    ASSERT_TRUE(space.apply(drop_stale_lease(keys, seen)));
    ASSERT_TRUE(space.apply(restore_lease(keys, "a", 3, seen.status.mod_revision)));
    seen.leader.reset();
    EXPECT_FALSE(space.apply(take_lease(keys, seen, "b", 2, heartbeat("b", 2))));
    EXPECT_EQ(space.view().leader->name, "a");
}

TEST(leader_transactions, a_vanished_key_is_put_back_only_if_nobody_led_in_between) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    const Revision last = space.view().status.mod_revision;
    space.values.erase(keys.leader());
    ASSERT_TRUE(space.apply(restore_lease(keys, "a", 3, last)));
    EXPECT_EQ(space.view().leader->lease, 3);
    space.values.erase(keys.leader());
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "b", 2, heartbeat("b", 2))));
    space.values.erase(keys.leader());
    EXPECT_FALSE(space.apply(restore_lease(keys, "a", 3, last)));
}

TEST(leader_transactions, moving_to_another_lease_keeps_the_epoch) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    const Revision epoch = space.view().leader->create_revision;
    ASSERT_TRUE(space.apply(move_lease(keys, "a", epoch, 9)));
    EXPECT_EQ(space.view().leader->lease, 9);
    EXPECT_EQ(space.view().leader->create_revision, epoch);
    EXPECT_FALSE(space.apply(move_lease(keys, "b", epoch, 9)));
    EXPECT_TRUE(space.apply(renew_lease(keys, "a", 9, epoch, heartbeat("a", 2))));
}

TEST(leader_transactions, a_release_leaves_its_mark) {
    KeySpace space;
    ASSERT_TRUE(space.apply(take_lease(keys, space.view(), "a", 1, heartbeat("a", 1))));
    const Revision epoch = space.view().leader->create_revision;
    EXPECT_FALSE(space.apply(release_lease(keys, "a", epoch + 1, heartbeat("a", 2, epoch))));
    ASSERT_TRUE(space.apply(release_lease(keys, "a", epoch, heartbeat("a", 2, epoch))));
    EXPECT_FALSE(space.view().leader);
    EXPECT_EQ(space.view().status.released_epoch, epoch);
}

TEST(leader_transactions, one_node_bootstraps) {
    KeySpace space;
    EXPECT_TRUE(space.apply(claim_initialize(keys, "a/1", 1)));
    EXPECT_FALSE(space.apply(claim_initialize(keys, "b/1", 2)));
    EXPECT_FALSE(space.apply(abandon_bootstrap(keys, "b/1")));
    EXPECT_FALSE(space.apply(finish_bootstrap(keys, "b/1", "735", "{}", "b", 2, heartbeat("b", 1))));
    EXPECT_TRUE(space.apply(abandon_bootstrap(keys, "a/1")));
    EXPECT_TRUE(space.apply(claim_initialize(keys, "b/1", 2)));
    EXPECT_TRUE(space.apply(finish_bootstrap(keys, "b/1", "735", R"({"ttl":30})", "b", 2, heartbeat("b", 1))));
    const ClusterView view = space.view();
    EXPECT_EQ(view.initialize, "735");
    EXPECT_EQ(space.values[keys.initialize()].lease, 0) << "what is finished outlives the node that did it";
    EXPECT_EQ(view.config, R"({"ttl":30})");
    EXPECT_EQ(view.leader->name, "b");
    EXPECT_EQ(view.status.heartbeat, 1U);
    EXPECT_FALSE(space.apply(abandon_bootstrap(keys, "b/1"))) << "what is finished cannot be abandoned";
}

}  // namespace
}  // namespace pgkeel::cluster
