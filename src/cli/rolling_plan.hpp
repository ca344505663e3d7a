#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"
#include "base/settings.hpp"

#include <boost/json/object.hpp>

#include <string>
#include <vector>

// What a rolling restart does, in which order, and when it may go on. Pure: facts in, steps or a refusal out; asking
// and doing are rolling_restart.cpp's.

namespace pgkeel::cli {

/// A member as its key and its agent tell it.
struct RollingMember {
    std::string name;
    bool leads = false;
    bool standby_leader = false;
    std::string silence;  ///< why its agent did not answer; empty: it did
    std::string state;    ///< "running", "starting", …
    std::string replication_state;
    Timeline timeline;
    Lsn position;
    bool history_diverged = false;
    bool synchronous = false;  ///< the key `sync` names it
    bool pending_restart = false;
    boost::json::object pending_restart_reason;  ///< parameter → {old_value, new_value}
    std::string started_at;                      ///< when its postmaster was started
    int running_version = 0;                     ///< 150018; 0: unknown
    int installed_version = 0;                   ///< what it would run after a restart; 0: unknown
    Tags tags;

    bool is_outdated() const { return running_version != 0 && running_version < installed_version; }
};

struct RollingCluster {
    std::string scope;
    ClusterSettings settings;
    std::vector<RollingMember> members;        ///< sorted by name
    std::vector<std::string> missing_slots{};  ///< slots that are kept for members which are not there

    const RollingMember* leader() const;
    const RollingMember* member(const std::string& name) const;
    std::size_t synchronous_count() const;
};

struct RollingWishes {
    std::vector<std::string> members;  ///< empty: all
    bool only_pending = false;
    bool only_outdated = false;
    bool switchover = true;  ///< false: the primary is restarted where it is, and nobody can write meanwhile
    std::string candidate;   ///< empty: the agents choose
    bool missing_is_fine = false;
};

struct RollingStep {
    enum class Kind {
        restart,     ///< of a standby
        switchover,  ///< away from `member`, whose server starts again as a standby
        in_place,    ///< restart of the primary
    };
    Kind kind = Kind::restart;
    std::string member;
    bool operator==(const RollingStep&) const = default;
};

/// Why the cluster should not lose one more member for a moment; empty: it may. Every member of `start` has to be
/// there, every standby has to stream on the leader's timeline and be nearly as far as it, and as many as in `start`
/// have to be synchronous.
std::string why_unfit(const RollingCluster& cluster, const RollingCluster& start);

/// Who could take over from the leader now.
std::vector<std::string> successors(const RollingCluster& cluster);

/// The steps, in order; none when no member needs a restart. Errors: conflict — the cluster is not fit for it, or the
/// primary cannot be left; not_found — there is no such member.
Result<std::vector<RollingStep>> plan_rolling_restart(const RollingCluster& cluster, const RollingWishes& wishes);

/// The plan with its versions, for people.
std::string plan_table(const RollingCluster& cluster, const std::vector<RollingStep>& steps,
                       const RollingWishes& wishes, std::size_t width);

/// Whose restart is not over while step `from` is not: each once, in the order of the steps.
std::vector<std::string> members_from(const std::vector<RollingStep>& steps, std::size_t from);

/// 150018 → "15.18"; "?" for 0.
std::string version_text(int number);

}  // namespace pgkeel::cli
