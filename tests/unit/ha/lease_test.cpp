#include "ha/lease.hpp"

#include "build_snapshot.hpp"
#include "ha/decide.hpp"

#include <gtest/gtest.h>

namespace pgkeel::ha {
namespace {

using namespace std::chrono_literals;

ClusterSettings with_ttl(std::chrono::seconds ttl) {
    ClusterSettings settings;
    settings.ttl = ttl;
    return settings;
}

StatusKey heartbeat(std::uint64_t number, std::int64_t revision, std::int64_t ttl = 5) {
    StatusKey status;
    status.heartbeat = number;
    status.holder = "pg-a";
    status.ttl_seconds = ttl;
    status.mod_revision = revision;
    return status;
}

/// True time that passes until a clock of this rate has gone on by `shown`.
double true_seconds(Duration shown, double rate) {
    return seconds(shown) / rate;
}

TEST(lease, holder_is_fenced_before_anybody_may_take_over_whatever_the_clocks_do) {
    constexpr double fence_seconds = 0.2;       // from the deadline to the last backend's end
    constexpr double scheduling_seconds = 0.1;  // the candidate's timer is not early, and the holder's may be this late
    for (int ttl = 3; ttl <= 600; ++ttl) {
        const ClusterSettings settings = with_ttl(std::chrono::seconds(ttl));
        const HeldLease held{1, Instant(1h), LeaseTerms::of(settings)};
        const Duration holder_has = held.deadline() - held.renewed_at;
        const Duration candidate_waits = takeover_wait(heartbeat(1, 1, ttl), settings);
        for (double holder_rate = 0.99; holder_rate <= 1.0101; holder_rate += 0.0025)
            for (double candidate_rate = 0.99; candidate_rate <= 1.0101; candidate_rate += 0.0025)
                // The worst case: the candidate sees the heartbeat at the very moment at which it was sent.
                EXPECT_LT(true_seconds(holder_has, holder_rate) + fence_seconds + scheduling_seconds,
                          true_seconds(candidate_waits, candidate_rate))
                    << "ttl " << ttl << ", rates " << holder_rate << " and " << candidate_rate;
    }
}

TEST(lease, stopping_begins_before_the_deadline_and_a_renewal_has_several_tries) {
    for (const auto ttl : {3s, 5s, 20s, 30s, 300s}) {
        const LeaseTerms terms = LeaseTerms::of(with_ttl(ttl));
        const HeldLease held{1, Instant(1h), terms};
        EXPECT_LT(held.demote_at(), held.deadline());
        EXPECT_GE(terms.margin, 500ms);
        EXPECT_GE(terms.stop_budget, 300ms);
        EXPECT_LE(2 * terms.renew_every, held.demote_at() - held.renewed_at)
            << "one lost renewal must not end the lease";
    }
}

TEST(lease, usual_ttls_have_the_margins_that_are_documented) {
    EXPECT_EQ(LeaseTerms::of(with_ttl(3s)).margin, 600ms);
    EXPECT_EQ(LeaseTerms::of(with_ttl(5s)).margin, 1s);
    EXPECT_EQ(LeaseTerms::of(with_ttl(20s)).margin, 3s);
    EXPECT_EQ(LeaseTerms::of(with_ttl(30s)).margin, 3s);
}

TEST(lease, candidate_waits_for_the_ttl_that_the_holder_promised_when_it_is_longer) {
    EXPECT_GT(takeover_wait(heartbeat(1, 1, 30), with_ttl(5s)), 30s);
    EXPECT_GT(takeover_wait(heartbeat(1, 1, 5), with_ttl(30s)), 30s);
}

TEST(heartbeat_watch, counts_from_the_last_change_and_not_from_the_last_look) {
    HeartbeatWatch watch;
    EXPECT_FALSE(watch.ever());
    watch.saw(heartbeat(4, 10), Instant(1s));
    watch.saw(heartbeat(4, 10), Instant(9s));
    EXPECT_TRUE(watch.ever());
    EXPECT_EQ(watch.changed_at(), Instant(1s));
    watch.saw(heartbeat(5, 11), Instant(10s));
    EXPECT_EQ(watch.changed_at(), Instant(10s));
}

TEST(heartbeat_watch, takes_a_number_that_goes_backwards_for_a_sign_of_life) {
    HeartbeatWatch watch;
    watch.saw(heartbeat(100, 10), Instant(1s));
    watch.saw(heartbeat(3, 12), Instant(5s));
    EXPECT_EQ(watch.changed_at(), Instant(5s)) << "an etcd put back from a backup counts anew";
    watch.saw(heartbeat(3, 13), Instant(6s));
    EXPECT_EQ(watch.changed_at(), Instant(6s)) << "the same number written again is a write of somebody alive";
}

TEST(heartbeat_watch, does_not_count_what_patroni_writes) {
    HeartbeatWatch watch;
    watch.saw(heartbeat(0, 10), Instant(1s));
    EXPECT_FALSE(watch.ever());
}

Takeover ask(const Snapshot& s) {
    return may_take_lease(*s.view, s.heartbeat, s.name, s.settings, s.now);
}

TEST(takeover, waits_while_the_heartbeat_may_still_be_true) {
    for (const bool key_is_there : {true, false}) {
        BuildSnapshot b = standby();
        if (!key_is_there) b.no_leader_key();
        const Duration wait = takeover_wait(b.s.view->status, b.s.settings);
        EXPECT_FALSE(ask(b.at(wait - 1us)).allowed);
        EXPECT_EQ(ask(b).allowed_at, BuildSnapshot::start + wait);
        EXPECT_TRUE(ask(b.at(wait)).allowed);
    }
}

TEST(takeover, is_allowed_at_once_after_a_release) {
    EXPECT_TRUE(ask(standby().released()).allowed);
}

TEST(takeover, answers_count_from_when_the_release_was_seen) {
    BuildSnapshot b = standby().released();
    ++b.s.view->status.mod_revision;  // another one has taken and released it since the last look
    b.s.heartbeat.saw(b.s.view->status, BuildSnapshot::start + 1s);
    EXPECT_EQ(ask(b.at(2s)).silent_since, BuildSnapshot::start + 1s);
}

TEST(takeover, of_a_key_that_was_released_and_taken_again_waits) {
    BuildSnapshot b = standby();
    b.s.view->status.released_epoch = 30;  // an old mark that a later holder has not cleared
    EXPECT_FALSE(ask(b).allowed);
}

TEST(takeover, never_takes_a_patroni_leaders_key) {
    BuildSnapshot b = standby();
    b.s.view->status = {};
    EXPECT_FALSE(ask(b.at(1h)).allowed);
    EXPECT_EQ(ask(b).allowed_at, Instant::max());
    EXPECT_TRUE(ask(b.no_leader_key()).allowed) << "its key ends when etcd says so";
}

TEST(takeover, never_takes_a_patroni_leaders_key_for_an_old_heartbeat_of_ours) {
    BuildSnapshot b = standby();
    b.s.view->leader->name = "pg-c";  // Patroni carries unknown fields of the status on; they still name pg-a
    EXPECT_FALSE(ask(b.at(1h)).allowed);
}

TEST(takeover, of_a_key_nobody_here_has_seen_alive_waits_for_the_first_sight) {
    BuildSnapshot b = standby();
    b.no_leader_key();
    b.s.heartbeat = {};
    EXPECT_FALSE(ask(b.at(1h)).allowed);
    b.s.heartbeat.saw(b.s.view->status, b.s.now);
    EXPECT_FALSE(ask(b).allowed);
    EXPECT_TRUE(ask(b.at(1h + 6s)).allowed);
}

TEST(takeover, of_its_own_vanished_key_needs_no_wait) {
    EXPECT_TRUE(ask(primary().no_leader_key()).allowed);
}

// ---- failsafe mode

TEST(failsafe, who_let_the_leader_go_on_waits_as_long_as_after_a_heartbeat) {
    auto seen = standby().no_leader_key().at(20s).asked_in_vain("pg-a").asked("pg-c", BuildSnapshot::position);
    seen.s.heartbeat.accepted_failsafe(seen.s.now, 5s);
    auto later = [&](Duration time) {
        auto s = seen.s;
        s.now += time;
        return may_take_lease(*s.view, s.heartbeat, s.name, s.settings, s.now);
    };
    EXPECT_FALSE(later(5199ms).allowed);
    EXPECT_EQ(later(5199ms).allowed_at, seen.s.now + 5200ms);
    EXPECT_TRUE(later(5200ms).allowed);
    seen.s.heartbeat.accepted_failsafe(seen.s.now, 30s);
    EXPECT_FALSE(later(30s).allowed) << "the caller's own ttl is longer than what is configured here";
    seen.released();
    EXPECT_TRUE(later(0s).allowed) << "it has stopped since";
}

TEST(failsafe, who_let_the_leader_go_on_does_not_take_up_a_key_that_it_was_given_without_knowing) {
    auto seen = standby();
    seen.s.view->leader->name = "pg-b";
    EXPECT_TRUE(is<AdoptLease>(decide(seen)));
    seen.s.heartbeat.accepted_failsafe(seen.s.now, 5s);
    EXPECT_EQ(decide(seen).reason, Reason::waiting_for_race);
    EXPECT_TRUE(is<AdoptLease>(decide(seen.at(5200ms))));
}

TEST(failsafe, who_is_not_asked_does_not_race) {
    auto seen = standby().released().asked_in_vain("pg-a").asked("pg-c", BuildSnapshot::position);
    seen.s.view->failsafe = {{"pg-a", ""}, {"pg-c", ""}};
    EXPECT_EQ(decide(seen).reason, Reason::not_allowed_to_promote);
    seen.s.view->failsafe->emplace("pg-b", "");
    EXPECT_TRUE(is<TakeLease>(decide(seen)));
}

}  // namespace
}  // namespace pgkeel::ha
