#include "ha/sync_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <functional>

namespace pgkeel::ha {
namespace {

// ---- a model that knows nothing of the planner's own rule

using Bits = unsigned;  // a set of standbys, or of standbys and the leader

std::set<std::string> names(Bits bits) {
    std::set<std::string> out;
    for (int i = 0; i < 5; ++i)
        if ((bits >> i & 1U) != 0) out.insert(std::string(1, static_cast<char>('a' + i)));
    return out;
}
Bits bits(const std::set<std::string>& set) {
    Bits out = 0;
    for (const std::string& name : set)
        if (name.size() == 1) out |= 1U << (name[0] - 'a');
    return out;
}

/// Calls `visit` with every subset of `of` that has `size` members; true: with all of them.
bool every_subset(Bits of, int size, const std::function<bool(Bits)>& visit) {
    for (Bits subset = of;; subset = (subset - 1) & of) {
        if (std::popcount(subset) == size && !visit(subset)) return false;
        if (subset == 0) return true;
    }
}

/// Whoever may be elected has every commit that the rule may have acknowledged. `always`: nodes that have it anyhow.
bool nothing_is_lost(const SyncRule& rule, const SyncVotes& votes, Bits always = 0) {
    if (rule.names == std::set<std::string>{impossible_standby}) return true;
    const Bits voters = bits(votes.voters);
    return every_subset(bits(rule.names), rule.count, [&](Bits holders) {
        return every_subset(voters, votes.quorum + 1,
                            [&](Bits electing) { return ((holders | always) & electing) != 0; });
    });
}

struct Model {
    SyncVotes votes;
    std::vector<SyncRule> rules;  ///< that may have acknowledged something that the newest one does not vouch for

    void check(const char* when) const {
        for (const SyncRule& rule : rules)
            EXPECT_TRUE(nothing_is_lost(rule, votes)) << when << ": " << to_setting(rule) << " beside "
                                                      << votes.voters.size() << " voters, quorum " << votes.quorum;
    }
    bool is_safe() const {
        return std::ranges::all_of(rules, [&](const SyncRule& rule) { return nothing_is_lost(rule, votes); });
    }
    void take(const SyncStep& step, SyncState& state) {
        if (const auto* set = std::get_if<SetNames>(&step)) {
            rules.push_back(set->rule);
            state.begin(set->rule);
            state.set(set->rule);
        }
        if (std::holds_alternative<ConfirmNames>(step)) {
            rules.erase(rules.begin(), rules.end() - 1);
            state.confirm();
        }
        if (const auto* write = std::get_if<WriteVotes>(&step)) state.votes = votes = write->votes;
    }
};

constexpr int steps_max = 6;

std::vector<SyncTarget> every_target(int standbys) {
    std::vector<SyncTarget> targets{{}, {{{impossible_standby}, 1, true}, {}}};
    for (Bits set = 1; set < 1U << standbys; ++set)
        for (int count = 1; count <= std::popcount(set); ++count) {
            const int size = std::popcount(set);
            targets.push_back({{names(set), count, true}, {names(set), size - count}});
            if (count == size) targets.push_back({{names(set), count, false}, {names(set), 0}});
        }
    return targets;
}

std::vector<Model> every_safe_start(int standbys) {
    std::vector<Model> starts;
    for (Bits set = 0; set < 1U << standbys; ++set)
        for (int count = set == 0 ? 0 : 1; count <= std::popcount(set); ++count)
            for (Bits voters = 0; voters < 1U << standbys; ++voters)
                for (int quorum = 0; quorum < std::max(1, std::popcount(voters)); ++quorum) {
                    Model model{{names(voters), quorum}, {{names(set), count, true}}};
                    if (model.is_safe()) starts.push_back(std::move(model));
                }
    return starts;
}

/// Goes to the target, and after every step looks at what would be if everything ended there.
void go(Model& model, SyncState& state, const SyncTarget& target, const std::function<void(const Model&)>& crashed) {
    for (int i = 0; i < steps_max; ++i) {
        const SyncStep step = next_sync_step(state, target);
        if (std::holds_alternative<std::monostate>(step)) {
            EXPECT_EQ(model.votes, target.votes);
            EXPECT_EQ(model.rules, std::vector<SyncRule>{target.rule});
            return;
        }
        model.take(step, state);
        model.check("after a step");
        if (testing::Test::HasFailure()) return;
        crashed(model);
    }
    ADD_FAILURE() << "no end after " << steps_max << " steps";
}

TEST(sync_plan, loses_nothing_on_the_way_from_any_state_to_any_other_of_five_nodes) {
    const auto targets = every_target(4);
    EXPECT_GT(targets.size() * every_safe_start(4).size(), 10000U);
    for (const Model& start : every_safe_start(4))
        for (const SyncTarget& target : targets) {
            Model model = start;
            SyncState state{start.votes, start.rules, false};
            go(model, state, target, [](const Model&) {});
            if (HasFailure()) return;
        }
}

TEST(sync_plan, loses_nothing_when_another_process_goes_on_after_any_step_to_any_other_target) {
    const auto targets = every_target(3);
    for (const Model& start : every_safe_start(3))
        for (const SyncTarget& target : targets) {
            Model model = start;
            SyncState state{start.votes, start.rules, false};
            go(model, state, target, [&](const Model& left) {
                for (const SyncTarget& other : targets) {
                    Model taken_over = left;
                    // It sees the key, and nothing of what was in force.
                    SyncState fresh{left.votes, {}, true};
                    go(taken_over, fresh, other, [](const Model&) {});
                    if (HasFailure()) return;
                }
            });
            if (HasFailure()) return;
        }
}

TEST(sync_plan, loses_nothing_when_the_wish_changes_before_anything_was_confirmed) {
    const auto targets = every_target(3);
    for (const Model& start : every_safe_start(3))
        for (std::size_t i = 0; i < targets.size(); ++i) {
            Model model = start;
            SyncState state{start.votes, start.rules, false};
            // Each is tried until it has to be confirmed; a standby that does not answer lets nothing be.
            for (std::size_t k = 0; k < targets.size(); ++k) {
                const SyncTarget& target = targets[(i + k * 7) % targets.size()];
                for (int steps = 0; steps < steps_max; ++steps) {
                    const SyncStep step = next_sync_step(state, target);
                    if (std::holds_alternative<std::monostate>(step) || std::holds_alternative<ConfirmNames>(step))
                        break;
                    model.take(step, state);
                    model.check("unconfirmed");
                    if (HasFailure()) return;
                }
            }
            go(model, state, targets[i], [](const Model&) {});
            if (HasFailure()) return;
        }
}

TEST(sync_plan, by_priority_asks_for_no_votes_on_the_way) {
    const auto targets = every_target(4);
    for (const SyncTarget& from : targets)
        for (const SyncTarget& target : targets) {
            if (from.rule.any || target.rule.any) continue;
            Model model{from.votes, {from.rule}};
            SyncState state{from.votes, {from.rule}, false};
            go(model, state, target, [](const Model& seen) { EXPECT_EQ(seen.votes.quorum, 0); });
            if (HasFailure()) return;
        }
}

TEST(sync_plan, changes_places_at_a_takeover_without_loss) {
    const Bits leader = 1U << 4;
    for (const Model& start : every_safe_start(4))
        for (Bits winner = 1; winner < 1U << 4; winner <<= 1) {
            const SyncKey before{"e", {start.votes.voters.begin(), start.votes.voters.end()}, start.votes.quorum, 1};
            const std::string name = *names(winner).begin();
            if (before.members.empty()) continue;
            const SyncKey after = succeed(before, name);
            EXPECT_EQ(after.leader, name);
            const SyncVotes votes = votes_of(after);
            // What the last leader acknowledged: it has it, and whoever is elected now needs to as well.
            EXPECT_TRUE(nothing_is_lost(start.rules[0], votes, leader))
                << to_setting(start.rules[0]) << " " << name << " wins";
            EXPECT_TRUE(nothing_is_lost(rule_for(votes, true, false), votes));
            EXPECT_TRUE(nothing_is_lost(rule_for(votes, true, true), votes));
        }
}

// ---- the orders of reliability notes 4.3, one by one

const SyncVotes a_votes{{"a"}, 0};
const SyncRule a_rule{{"a"}, 1, false};
const SyncRule ab_rule{{"a", "b"}, 2, false};
const SyncVotes ab_votes{{"a", "b"}, 0};

template <class Step>
Step only(const SyncStep& step) {
    EXPECT_TRUE(std::holds_alternative<Step>(step));
    return std::holds_alternative<Step>(step) ? std::get<Step>(step) : Step{};
}

TEST(sync_plan, more_writes_wait_before_elections_know) {
    SyncState state{a_votes, {a_rule}, false};
    const SyncTarget target{ab_rule, ab_votes};
    EXPECT_EQ(only<SetNames>(next_sync_step(state, target)).rule, ab_rule);
    state.set(ab_rule);
    only<ConfirmNames>(next_sync_step(state, target));
    state.confirm();
    EXPECT_EQ(only<WriteVotes>(next_sync_step(state, target)).votes, ab_votes);
}

TEST(sync_plan, elections_know_before_fewer_writes_wait) {
    SyncState state{ab_votes, {ab_rule}, false};
    const SyncTarget target{a_rule, a_votes};
    EXPECT_EQ(only<WriteVotes>(next_sync_step(state, target)).votes, a_votes);
    state.votes = a_votes;
    EXPECT_EQ(only<SetNames>(next_sync_step(state, target)).rule, a_rule);
}

TEST(sync_plan, the_last_standby_leaves_the_key_before_commits_wait_for_nobody) {
    const SyncState state{a_votes, {a_rule}, false};
    EXPECT_EQ(only<WriteVotes>(next_sync_step(state, {})).votes, SyncVotes{});
}

TEST(sync_plan, one_standby_for_another_goes_by_the_leader_alone) {
    SyncState state{a_votes, {a_rule}, false};
    const SyncTarget target{{{"b"}, 1, false}, {{"b"}, 0}};
    EXPECT_EQ(only<WriteVotes>(next_sync_step(state, target)).votes, SyncVotes{});
    state.votes = {};
    EXPECT_EQ(only<SetNames>(next_sync_step(state, target)).rule, target.rule);
}

TEST(sync_plan, a_quorum_grows_in_the_key_first_and_shrinks_there_last) {
    const SyncTarget two{{{"a", "b"}, 1, true}, {{"a", "b"}, 1}};
    const SyncTarget three{{{"a", "b", "c"}, 1, true}, {{"a", "b", "c"}, 2}};
    EXPECT_EQ(only<WriteVotes>(next_sync_step({two.votes, {two.rule}, false}, three)).votes, three.votes);
    EXPECT_EQ(only<SetNames>(next_sync_step({three.votes, {three.rule}, false}, two)).rule, two.rule);
}

// ---- what wal senders show

ReplicationClient client(const std::string& name, int pid, std::uint64_t flushed) {
    ReplicationClient out;
    out.application_name = name;
    out.pid = pid;
    out.flushed = Lsn{flushed};
    return out;
}

TEST(sync_confirmation, waits_for_each_wal_sender_of_before) {
    const std::vector<int> before{1, 2};
    const auto seen = confirmation(a_rule, before, {client("a", 1, 100), client("b", 2, 99)}, Lsn{100});
    EXPECT_TRUE(seen.holds);
    EXPECT_EQ(seen.stalled, std::vector<int>{2});
    EXPECT_TRUE(confirmation(a_rule, before, {client("a", 1, 100), client("b", 3, 99)}, Lsn{100}).done())
        << "2 is gone, and 3 was born with the new rule";
}

TEST(sync_confirmation, waits_until_the_rule_holds_for_everything_so_far) {
    EXPECT_FALSE(confirmation(ab_rule, {}, {client("a", 1, 100), client("b", 2, 99)}, Lsn{100}).done());
    EXPECT_TRUE(confirmation(ab_rule, {}, {client("a", 1, 100), client("b", 2, 101)}, Lsn{100}).done());
    EXPECT_FALSE(confirmation(ab_rule, {}, {client("a", 1, 100), client("a", 2, 101)}, Lsn{100}).done())
        << "two connections of one standby are one copy";
    EXPECT_TRUE(confirmation({}, {}, {}, Lsn{100}).done());
    EXPECT_TRUE(confirmation({{impossible_standby}, 1, false}, {}, {}, Lsn{100}).done());
}

TEST(sync_rule, is_written_as_postgresql_reads_it) {
    EXPECT_EQ(to_setting({}), "");
    EXPECT_EQ(to_setting(a_rule), R"("a")");
    EXPECT_EQ(to_setting(ab_rule), R"(2 ("a","b"))");
    EXPECT_EQ(to_setting({{"a"}, 1, true}), R"(ANY 1 ("a"))");
    EXPECT_EQ(to_setting({{"a\"b"}, 1, false}), R"("a""b")");
    EXPECT_EQ(to_setting({{impossible_standby}, 1, true}), "ANY 1 (__patroni_strict_sync_replica_placeholder__)");
}

}  // namespace
}  // namespace pgkeel::ha
