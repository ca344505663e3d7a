#include "cluster/lost_wal.hpp"

#include "cluster/json_reading.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace pgkeel::cluster {

namespace {
namespace json = boost::json;

/// `key` below `lost_wal/`: "3/leader" or "3/members/pg-a".
std::optional<Timeline> timeline_of_key(std::string_view name) {
    std::uint32_t id = 0;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), id);
    const std::string_view rest(end, static_cast<std::size_t>(name.data() + name.size() - end));
    const bool whose = rest == "/leader" || (rest.starts_with("/members/") && rest.size() > 9);
    if (problem != std::errc() || id == 0 || !whose) return {};
    return Timeline{id};
}
}  // namespace

std::string lost_wal_keys(const Keys& keys, Timeline timeline) {
    return fmt::format("{}{}/", keys.lost_wal(), timeline.id);
}

std::string lost_wal_key(const Keys& keys, const LostWalReport& report) {
    return lost_wal_keys(keys, report.timeline) + (report.exact ? "members/" + report.member : "leader");
}

std::string write_lost_wal(const LostWalReport& report) {
    json::object out{
        {"member", report.member}, {"begin", report.begin.bytes}, {"end", report.end.bytes}, {"exact", report.exact}};
    if (!report.kept_in.empty()) {
        out["kept_in"] = report.kept_in;
        out["kept_bytes"] = report.kept_bytes;
        out["kept_whole"] = report.kept_whole;
    }
    if (!report.not_kept.empty()) out["not_kept"] = report.not_kept;
    out["at"] = report.at;
    return json::serialize(out);
}

std::vector<LostWalReport> read_lost_wal(const Keys& keys, const std::vector<etcd::KeyValue>& values) {
    std::map<std::pair<Timeline, std::string>, LostWalReport> reports;
    for (const etcd::KeyValue& value : values) {
        if (!value.key.starts_with(keys.lost_wal())) continue;
        const auto timeline = timeline_of_key(std::string_view(value.key).substr(keys.lost_wal().size()));
        const auto in = read_object(value.value);
        if (!timeline || !in) continue;
        LostWalReport report{.timeline = *timeline,
                             .begin = lsn_of(*in, "begin"),
                             .member = text_of(*in, "member"),
                             .end = lsn_of(*in, "end"),
                             .exact = truth_of(*in, "exact"),
                             .kept_in = text_of(*in, "kept_in"),
                             .kept_bytes = number_of(in->if_contains("kept_bytes")).value_or(0),
                             .kept_whole = truth_of(*in, "kept_whole"),
                             .not_kept = text_of(*in, "not_kept"),
                             .at = text_of(*in, "at")};
        if (!report.begin || report.member.empty()) continue;
        LostWalReport& known = reports[{*timeline, report.member}];
        if (known.member.empty() || report.exact) known = std::move(report);
    }
    std::vector<LostWalReport> sorted;
    for (auto& [place, report] : reports) sorted.push_back(std::move(report));
    return sorted;
}

json::array lost_wal_json(const std::vector<LostWalReport>& reports) {
    json::array all;
    for (const LostWalReport& report : reports) {
        json::object one{{"timeline", report.timeline.id},
                         {"member", report.member},
                         {"begin", to_string(report.begin)},
                         {"end", to_string(report.end)},
                         {"bytes", report.bytes()},
                         {"exact", report.exact},
                         {"at", report.at}};
        if (!report.kept_in.empty()) {
            one["kept_in"] = report.kept_in;
            one["kept_bytes"] = report.kept_bytes;
            one["kept_whole"] = report.kept_whole;
        }
        if (!report.not_kept.empty()) one["not_kept"] = report.not_kept;
        all.push_back(std::move(one));
    }
    return all;
}

std::string describe(const LostWalReport& report) {
    if (report.bytes() == 0)
        return fmt::format("nothing is {}lost of what {} wrote on timeline {}", report.exact ? "" : "known to be ",
                           report.member, report.timeline.id);
    return fmt::format("{}{} bytes of WAL that {} wrote on timeline {} after {}", report.exact ? "" : "at least ",
                       report.bytes(), report.member, report.timeline.id, to_string(report.begin));
}

}  // namespace pgkeel::cluster
