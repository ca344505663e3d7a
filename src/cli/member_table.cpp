#include "cli/member_table.hpp"

#include "cli/terminal.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace pgkeel::cli {

namespace {
namespace json = boost::json;
using cluster::ClusterSummary;
using cluster::MemberSummary;
using cluster::Position;

/// Ports are shown when one is not PostgreSQL's usual one, or when a host has several members: patronictl's rule.
bool ports_matter(const ClusterSummary& summary) {
    std::set<std::string> hosts;
    for (const MemberSummary& member : summary.members) {
        if (!member.port.empty() && member.port != "5432") return true;
        if (!member.host.empty() && !hosts.insert(member.host).second) return true;
    }
    return false;
}

std::string address_of(const MemberSummary& member, bool with_port) {
    if (!with_port || member.host.empty() || member.port.empty()) return member.host;
    return fmt::format("{}:{}", member.host, member.port);
}

std::string reason_text(const json::object& reason) {
    std::string text;
    for (const auto& [parameter, values] : reason) {
        const json::object* pair = values.if_object();
        const auto side = [&](const char* key) {
            const json::value* value = pair != nullptr ? pair->if_contains(key) : nullptr;
            if (value == nullptr) return std::string("?");
            return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
        };
        text += fmt::format("{}{}: {}->{}", text.empty() ? "" : "\n", std::string_view(parameter), side("old_value"),
                            side("new_value"));
    }
    return text;
}

std::int64_t megabytes(std::uint64_t bytes) {
    return std::llround(static_cast<double>(bytes) / 1048576.0);
}

struct Extras {
    bool pending = false, reason = false, scheduled = false, tags = false;
};
Extras extras_of(const ClusterSummary& summary, bool extended) {
    Extras extras{extended, extended, extended, extended};
    for (const MemberSummary& member : summary.members) {
        extras.pending |= member.pending_restart;
        extras.reason |= !member.pending_restart_reason.empty();
        extras.scheduled |= !member.scheduled_restart.empty();
        extras.tags |= !member.tags.empty();
    }
    return extras;
}

std::string lsn_text(const Position& position) {
    return position.lsn ? to_string(position.lsn) : "unknown";
}
std::string lag_text(const Position& position) {
    return position.lsn ? human_bytes(position.lag_bytes) : "";
}

/// "noloadbalance: true, az: b"
std::string tags_text(const json::object& tags) {
    std::string text;
    for (const auto& [key, value] : tags)
        text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", std::string_view(key),
                            value.is_string() ? std::string(value.get_string()) : json::serialize(value));
    return text;
}

/// How much a table shows: each layout needs less room than the one before.
struct Layout {
    bool framed;
    bool positions;  ///< LSNs besides the lags
    const char* received_lag;
    const char* replayed_lag;
    const char* pending = "Pending restart";
};
constexpr std::array layouts = {
    Layout{true, true, "Receive Lag", "Replay Lag"},
    Layout{true, true, "Lag", "Lag"},
    Layout{false, true, "Lag", "Lag"},
    Layout{false, false, "Receive Lag", "Replay Lag"},
    Layout{false, false, "Receive", "Replay", "Pending"},
};

Table build(const ClusterSummary& summary, const Layout& layout, const Extras& extras, bool as_tree) {
    std::vector<Column> columns = {{"Member"}, {"Host"}, {"Role"}, {"State"}, {"TL", Align::right}};
    if (layout.positions) columns.push_back({"Receive LSN", Align::right});
    columns.push_back({layout.received_lag, Align::right});
    if (layout.positions) columns.push_back({"Replay LSN", Align::right});
    columns.push_back({layout.replayed_lag, Align::right});
    if (extras.pending) columns.push_back({layout.pending});
    if (extras.scheduled) columns.push_back({"Scheduled restart"});
    if (extras.tags) columns.push_back({"Tags", Align::left, true});
    Table table(std::move(columns));

    std::vector<cluster::TreeEntry> entries;
    if (as_tree) {
        entries = replication_tree(summary);
    } else {
        for (const MemberSummary& member : summary.members) entries.push_back({&member, 0});
    }
    const bool with_port = ports_matter(summary);
    for (const auto& [member, depth] : entries) {
        std::string name = member->name;
        if (depth > 0) name = std::string(static_cast<std::size_t>(depth - 1) * 2, ' ') + "+ " + name;
        const auto standby_only = [&](std::string text) { return member->leads() ? std::string{} : std::move(text); };
        std::vector<std::string> row = {name, address_of(*member, with_port), title_of(member->standing), member->state,
                                        member->timeline ? fmt::format("{}", member->timeline.id) : ""};
        if (layout.positions) row.push_back(standby_only(lsn_text(member->received)));
        row.push_back(standby_only(lag_text(member->received)));
        if (layout.positions) row.push_back(standby_only(lsn_text(member->replayed)));
        row.push_back(standby_only(lag_text(member->replayed)));
        if (extras.pending) row.emplace_back(member->pending_restart ? "*" : "");
        if (extras.scheduled) row.push_back(member->scheduled_restart);
        if (extras.tags) row.push_back(tags_text(member->tags));
        table.add(std::move(row));
    }
    return table;
}

std::string draw(const Table& table, const Layout& layout, const std::string& title, std::size_t width_max) {
    return layout.framed ? table.framed(title, width_max) : title + "\n" + table.plain(width_max);
}

std::size_t widest_line(std::string_view text) {
    std::size_t widest = 0;
    while (!text.empty()) {
        const auto end = text.find('\n');
        widest = std::max(widest, display_width(text.substr(0, end)));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return widest;
}

std::string service_lines(const ClusterSummary& summary) {
    std::string lines;
    if (summary.settings.pause) lines += " Maintenance mode: on (paused: nobody fails over)\n";
    if (summary.scheduled) {
        lines += fmt::format(" Switchover scheduled at: {}\n", summary.scheduled->scheduled_at);
        if (!summary.scheduled->leader.empty())
            lines += fmt::format("                    from: {}\n", summary.scheduled->leader);
        if (!summary.scheduled->candidate.empty())
            lines += fmt::format("                      to: {}\n", summary.scheduled->candidate);
    }
    for (const MemberSummary& member : summary.members) {
        if (member.pending_restart_reason.empty()) continue;
        std::string reason = reason_text(member.pending_restart_reason);
        std::ranges::replace(reason, '\n', ';');
        lines += fmt::format(" {} waits for a restart: {}\n", member.name, reason);
    }
    return lines;
}
}  // namespace

std::string title_of(cluster::Standing standing) {
    switch (standing) {
        case cluster::Standing::leader:
            return "Leader";
        case cluster::Standing::standby_leader:
            return "Standby Leader";
        case cluster::Standing::sync_standby:
            return "Sync Standby";
        case cluster::Standing::quorum_standby:
            return "Quorum Standby";
        case cluster::Standing::replica:
            break;
    }
    return "Replica";
}

std::string human_bytes(std::uint64_t bytes) {
    static constexpr std::array units = {"B", "kB", "MB", "GB", "TB", "PB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // 999.5 and more would print as four digits.
    while (value >= 999.5 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    if (unit == 0 || value >= 9.95) return fmt::format("{:.0f} {}", value, units[unit]);
    return fmt::format("{:.1f} {}", value, units[unit]);
}

json::array member_records(const std::string& cluster, const ClusterSummary& summary, bool extended) {
    const Extras extras = extras_of(summary, extended);
    const bool with_port = ports_matter(summary);
    json::array records;
    for (const MemberSummary& member : summary.members) {
        json::object record;
        record["Cluster"] = cluster;
        record["Member"] = member.name;
        if (!member.host.empty()) record["Host"] = address_of(member, with_port);
        record["Role"] = title_of(member.standing);
        if (!member.state.empty()) record["State"] = member.state;
        if (member.timeline) record["TL"] = member.timeline.id;
        if (!member.leads()) {
            record["Receive LSN"] = lsn_text(member.received);
            if (member.received.lsn) record["Receive Lag"] = megabytes(member.received.lag_bytes);
            record["Replay LSN"] = lsn_text(member.replayed);
            if (member.replayed.lsn) record["Replay Lag"] = megabytes(member.replayed.lag_bytes);
            record["Lag in MB"] =
                member.any.lsn ? json::value(megabytes(member.any.lag_bytes)) : json::value("unknown");
        }
        if (member.pending_restart) record["Pending restart"] = "*";
        if (extras.reason && !member.pending_restart_reason.empty())
            record["Pending restart reason"] = reason_text(member.pending_restart_reason);
        if (!member.scheduled_restart.empty()) record["Scheduled restart"] = member.scheduled_restart;
        if (!member.tags.empty()) record["Tags"] = member.tags;
        records.push_back(std::move(record));
    }
    return records;
}

std::vector<std::string> member_columns(const json::array& records) {
    // A tsv is cut by column number: the first eleven are there even when no member has a value.
    std::vector<std::string> columns = {"Cluster",     "Member",      "Host",       "Role",       "State",    "TL",
                                        "Receive LSN", "Receive Lag", "Replay LSN", "Replay Lag", "Lag in MB"};
    for (const char* extra : {"Pending restart", "Pending restart reason", "Scheduled restart", "Tags"})
        if (std::ranges::any_of(records,
                                [&](const json::value& record) { return record.get_object().contains(extra); }))
            columns.emplace_back(extra);
    return columns;
}

std::string member_table(const std::string& cluster, const ClusterSummary& summary, std::size_t width, bool as_tree,
                         bool extended) {
    const Extras extras = extras_of(summary, extended);
    const std::string title = fmt::format("Cluster: {} ({}){}", cluster, summary.system_identifier,
                                          summary.settings.pause ? " - paused" : "");
    std::string text;
    for (const Layout& layout : layouts) {
        text = draw(build(summary, layout, extras, as_tree), layout, title, 0);
        if (widest_line(text) <= width) return text + service_lines(summary);
    }
    // Not even the smallest fits: columns that may shrink do.
    return draw(build(summary, layouts.back(), extras, as_tree), layouts.back(), title, width) + service_lines(summary);
}

}  // namespace pgkeel::cli
