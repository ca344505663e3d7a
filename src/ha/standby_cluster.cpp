#include "ha/standby_cluster.hpp"

#include "ha/switchover.hpp"
#include "ha/wal_source.hpp"

#include <fmt/format.h>

namespace pgkeel::ha {

using namespace std::chrono_literals;

namespace {

/// A remote primary that does not answer, or has nothing new, is not asked more often.
constexpr Duration comparison_pause = 10s;

bool has_remote_primary(const Snapshot& s) {
    return s.settings.standby_cluster && !s.settings.remote.host.empty();
}

bool history_is_known(const Snapshot& s) {
    return s.server.replication_state == "streaming" || s.history_diverged || s.tags.nostream;
}

/// A standby leader takes no writes, so it gives its place up without stopping.
Decision make_way(Decision requested) {
    const auto* demote = std::get_if<Demote>(&requested.action);
    if (!demote) return requested;
    return {ReleaseLease{}, requested.reason,
            fmt::format("switchover: releasing the leader key for {}", demote->candidate), std::move(requested.notes),
            Instant::max()};
}

}  // namespace

bool remote_comparison_due(const Snapshot& s) {
    return has_remote_primary(s) && !history_is_known(s) && s.now >= next_remote_comparison(s);
}

Instant next_remote_comparison(const Snapshot& s) {
    if (!has_remote_primary(s) || history_is_known(s)) return Instant::max();
    return s.history_tried_at == Instant{} ? s.now : s.history_tried_at + comparison_pause;
}

Decision lead_standby_cluster(const Snapshot& s) {
    if (s.server.is_primary()) {
        if (s.settings.pause)
            return {Wait{}, Reason::paused, "continue to run as primary: the standby cluster is paused"};
        return {Demote{Demotion::to_standby_cluster, {}}, Reason::standby_cluster,
                "cannot be a real primary in a standby cluster: demoting to a standby leader"};
    }
    if (!s.server.accepts_connections) return {Wait{}, Reason::server_starting, "waiting for postgres to answer"};
    const std::string source = remote_source(s.settings.remote);
    if (s.following != source)
        return {Follow{source}, Reason::leader_changed,
                fmt::format("leading the standby cluster: following {}", source)};
    if (auto requested = decide_requested_failover(s)) return make_way(std::move(*requested));
    if (remote_comparison_due(s))
        return {CompareHistory{source}, Reason::histories_unknown,
                fmt::format("comparing my history with {}'s", source)};
    if (s.history_diverged && !s.settings.pause) {
        if (s.abilities.can_rewind)
            return {Rejoin{source}, Reason::history_diverged, fmt::format("running pg_rewind from {}", source)};
        return {
            Wait{}, Reason::history_diverged,
            fmt::format("my history has left {}'s, and pg_rewind cannot be used: fail over to a member that follows "
                        "it, then run `pgkeel reinit` for {}",
                        source, s.name)};
    }
    return {Wait{},
            Reason::leading,
            fmt::format("no action. I am ({}), the standby leader with the lock", s.name),
            {},
            std::min(next_scheduled(s), next_remote_comparison(s))};
}

Decision start_standby_leader(const Snapshot& s, bool was_primary) {
    if (s.now < s.retry_start_at)
        return {Wait{},
                Reason::start_failed_recently,
                "waiting before the next try to start postgres",
                {},
                s.retry_start_at};
    if (has_remote_primary(s) && (was_primary || s.history_diverged)) return rejoin_standby_cluster(s);
    return {StartServer{false, remote_source(s.settings.remote)}, Reason::leader_in_recovery,
            "starting as a standby leader because i had the session lock"};
}

Decision rejoin_standby_cluster(const Snapshot& s) {
    if (!has_remote_primary(s))
        return {StartServer{false, wal_source(s)}, Reason::server_down,
                "starting as a secondary of the standby cluster"};
    const std::string source = remote_source(s.settings.remote);
    return {Rejoin{source}, Reason::server_down, fmt::format("rejoining: comparing my history with {}'s", source)};
}

}  // namespace pgkeel::ha
