#include "cluster/peer_answer.hpp"

#include "cluster/json_reading.hpp"

#include <algorithm>

namespace pgkeel::cluster {

PeerStatus parse_peer_status(const std::string& name, std::string_view body) {
    PeerStatus status;
    status.name = name;
    const auto object = read_object(body);
    if (!object) return status;
    const boost::json::object& in = *object;
    status.state = text_of(in, "state");
    status.system_identifier = text_of(in, "database_system_identifier");
    status.timeline = timeline_of(in, "timeline");
    status.watchdog_failed = truth_of(in, "watchdog_failed");
    status.tags = read_tags(object_of(in, "tags"));
    if (const boost::json::object* ours = object_of(in, "pgkeel")) {
        status.history_diverged = truth_of(*ours, "history_diverged");
        status.cannot_write = !text_of(*ours, "cannot_write").empty();
    }

    const std::string role = text_of(in, "role");
    const boost::json::object* xlog = object_of(in, "wal");
    if (xlog == nullptr) xlog = object_of(in, "xlog");
    const Lsn location = xlog != nullptr ? lsn_of(*xlog, "location") : Lsn{};
    status.in_recovery = !location && role != "primary" && role != "master";
    if (xlog == nullptr) return status;
    status.position =
        location ? location : std::max(lsn_of(*xlog, "received_location"), lsn_of(*xlog, "replayed_location"));

    if (const boost::json::object* ours = object_of(in, "pgkeel"))
        status.position_known = !ours->contains("position_known") || truth_of(*ours, "position_known");

    // Somebody else may have got the address since: its word does not count for this member.
    const boost::json::object* about = object_of(in, "patroni");
    const std::string own_name = about != nullptr ? text_of(*about, "name") : std::string{};
    status.reachable = own_name.empty() || own_name == name;
    return status;
}

}  // namespace pgkeel::cluster
