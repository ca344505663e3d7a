#include "agent/rest/metrics.hpp"

#include "agent/rest/schedule.hpp"
#include "base/version.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgkeel::agent::rest {
namespace {

/// Patroni's numbers of the states; -1 for what has none.
constexpr std::array state_words{
    "initializing new cluster",
    "initdb failed",
    "running custom bootstrap script",
    "custom bootstrap failed",
    "creating replica",
    "running",
    "starting",
    "starting after custom bootstrap",
    "start failed",
    "restarting",
    "restart failed",
    "stopping",
    "stopped",
    "stop failed",
    "crashed",
};

int state_number(const std::string& state) {
    const auto* const found = std::ranges::find(state_words, state);
    return found == state_words.end() ? -1 : static_cast<int>(found - state_words.begin());
}

std::string state_legend() {
    std::string legend = "The state of PostgreSQL as a number:";
    for (std::size_t i = 0; i < state_words.size(); ++i)
        legend += fmt::format(" {} {}{}", i, state_words.at(i), i + 1 < state_words.size() ? "," : "");
    return legend;
}

/// "4.1.4" → "040104"
std::string padded_version(const std::string& text) {
    std::string out;
    std::string part;
    for (const char c : text + ".") {
        if (c == '.') {
            out += std::string(part.size() < 2 ? 2 - part.size() : 0, '0') + part;
            part.clear();
        } else if (c >= '0' && c <= '9') {
            part += c;
        }
    }
    return out;
}

/// Unix time of "2026-11-21 02:03:04.567890+00:00"; "0" when there is none.
std::string unix_time(const std::string& text) {
    const ReadTime read = read_time(text);
    if (read.kind != ReadTime::Kind::time) return "0";
    const auto microseconds =
        std::chrono::duration_cast<std::chrono::microseconds>(read.time.time_since_epoch()).count();
    return fmt::format("{}.{:06}", microseconds / 1000000, microseconds % 1000000);
}

std::string escape_label(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

class Page {
  public:
    Page(const std::string& scope, const std::string& name)
        : labels_(fmt::format(R"(scope="{}",name="{}")", escape_label(scope), escape_label(name))) {}

    void gauge(std::string_view name, std::string_view help, std::string_view value) {
        add(name, "gauge", help, {}, value);
    }
    void gauge(std::string_view name, std::string_view help, bool value) {
        gauge(name, help, std::string_view(value ? "1" : "0"));
    }
    void gauge(std::string_view name, std::string_view help, std::int64_t value) {
        gauge(name, help, std::string_view(fmt::to_string(value)));
    }
    void counter(std::string_view name, std::string_view help, std::uint64_t value) {
        add(name, "counter", help, {}, fmt::to_string(value));
    }
    void labelled(std::string_view name, std::string_view help, const std::string& label, const std::string& text) {
        add(name, "gauge", help, fmt::format(R"(,{}="{}")", label, escape_label(text)), "1");
    }
    std::string text() && { return std::move(text_); }

  private:
    void add(std::string_view name, std::string_view type, std::string_view help, std::string_view more,
             std::string_view value) {
        fmt::format_to(std::back_inserter(text_), "# HELP {0} {1}\n# TYPE {0} {2}\n{0}{{{3}{4}}} {5}\n", name, help,
                       type, labels_, more, value);
    }
    std::string labels_;
    std::string text_;
};

void add_patroni(Page& page, const NodeFacts& facts) {
    const ServerState& server = facts.server;
    const bool answers = server.accepts_connections;
    const bool standby = answers && server.in_recovery;
    const bool primary = facts.role == Role::primary;
    const auto known = [](bool holds, Lsn position) { return holds ? position.bytes : 0; };
    page.gauge("patroni_version", "Version of Patroni whose contract is kept, two digits a part",
               std::string_view(padded_version(facts.patroni_version)));
    page.gauge("patroni_postgres_running", "1 while PostgreSQL runs", facts.state == "running");
    page.gauge("patroni_postmaster_start_time", "Unix time at which PostgreSQL was started",
               std::string_view(unix_time(answers ? server.postmaster_start_time : std::string{})));
    page.gauge("patroni_primary", "1 on the primary", primary);
    page.gauge("patroni_master", "1 on the primary; the old name of patroni_primary", primary);
    page.counter("patroni_xlog_location", "Bytes of WAL flushed by the primary, 0 elsewhere",
                 known(answers && !standby, server.written));
    page.gauge("patroni_standby_leader", "1 on the leader of a standby cluster", facts.role == Role::standby_leader);
    page.gauge("patroni_replica", "1 on a standby", facts.role == Role::replica);
    page.gauge("patroni_sync_standby", "1 on a synchronous standby", facts.sync_standby);
    page.gauge("patroni_quorum_standby", "1 on a standby that counts for the quorum", facts.quorum_standby);
    page.counter("patroni_xlog_received_location", "Bytes of WAL received by the standby, 0 elsewhere",
                 known(standby, server.received ? server.received : server.replayed));
    page.counter("patroni_xlog_replayed_location", "Bytes of WAL replayed by the standby, 0 elsewhere",
                 known(standby, server.replayed));
    page.gauge("patroni_xlog_replayed_timestamp", "Unix time of the last transaction replayed, 0 when there is none",
               std::string_view(unix_time(standby ? server.replayed_timestamp : std::string{})));
    page.gauge("patroni_xlog_paused", "1 while replay is paused", standby && server.replay_paused);
    page.gauge("patroni_postgres_streaming", "1 while WAL is streamed from another node",
               standby && server.replication_state == "streaming");
    page.gauge("patroni_postgres_in_archive_recovery", "1 while WAL comes from the archive",
               standby && server.replication_state == "in archive recovery");
    page.gauge("patroni_postgres_server_version", "Version of PostgreSQL, 0 while it does not answer",
               std::int64_t{answers ? server.version_number : 0});
    page.gauge("patroni_cluster_unlocked", "1 while nobody holds the leader key", facts.cluster_unlocked);
    page.gauge("patroni_failsafe_mode_is_active", "1 while the failsafe mode keeps a primary up",
               facts.failsafe_is_active);
    page.gauge("patroni_failsafe_mode_enabled", "1 when the failsafe mode is configured", facts.failsafe_mode);
    page.gauge("patroni_failsafe_member", "1 when this node is a member of the failsafe topology",
               facts.failsafe_member);
    page.gauge("patroni_postgres_timeline", "Timeline of this server, 0 while it is not known",
               std::int64_t{answers ? server.timeline.id : 0});
    page.gauge("patroni_dcs_last_seen", "Unix time at which etcd last answered",
               std::max<std::int64_t>(0, facts.store_last_seen_s));
    page.gauge("patroni_pending_restart", "1 when a parameter waits for a restart", server.pending_restart);
    page.gauge("patroni_is_paused", "1 while automatic failover is off", facts.paused);
    page.gauge("patroni_postgres_state", state_legend(), std::int64_t{state_number(facts.state)});
    page.gauge("patroni_failover_priority", "How much this node is preferred in an election, 0 is never",
               std::int64_t{facts.tags.failover_priority});
}

void add_own(Page& page, const NodeFacts& facts, const RequestCounts& counts) {
    page.labelled("pgkeel_build_info", "Always 1; the label tells the version", "version", version());
    page.gauge("pgkeel_lease_seconds_left",
               "Seconds until this leader must have stopped unless it renews its lease, 0 elsewhere",
               std::string_view(fmt::format("{:.3f}", facts.lease_seconds_left)));
    page.gauge("pgkeel_leader_epoch", "Grows with every change of leader, 0 without a leader", facts.epoch);
    page.gauge(
        "pgkeel_heartbeat_age_seconds", "Seconds since the leader's last sign of life, -1 when there was none",
        std::string_view(fmt::format("{:.3f}", facts.heartbeat_age_seconds < 0 ? -1.0 : facts.heartbeat_age_seconds)));
    page.gauge("pgkeel_etcd_reachable", "1 when etcd answered the last time it was asked", facts.has_view);
    page.gauge("pgkeel_loop_alive", "1 while the agent's loop comes round", facts.alive);
    page.gauge("pgkeel_operation_running", "1 while a start, stop, promotion, copy or rewind is going on",
               !facts.operation.empty());
    const bool standby = facts.server.accepts_connections && facts.server.in_recovery;
    page.gauge("pgkeel_replay_lag_bytes",
               "Bytes of WAL that the leader has written and this standby has not replayed, 0 elsewhere",
               static_cast<std::int64_t>(standby ? lag_bytes(facts.leader_position, facts.server.replayed) : 0));
    page.counter("pgkeel_rest_requests_total", "Requests answered by this API", counts.answered);
    page.counter("pgkeel_rest_refused_total", "Requests refused by the access rules", counts.refused);
    page.counter("pgkeel_rest_failed_total", "Requests that failed here, health checks left out", counts.failed);
}

}  // namespace

std::string metrics_text(const NodeFacts& facts, const RequestCounts& counts) {
    Page page(facts.scope, facts.name);
    add_patroni(page, facts);
    add_own(page, facts, counts);
    return std::move(page).text();
}

}  // namespace pgkeel::agent::rest
