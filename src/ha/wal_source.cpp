#include "ha/wal_source.hpp"

#include <fmt/format.h>

namespace pgkeel::ha {

namespace {
constexpr std::string_view remote_prefix = "the remote ";
}

std::string remote_source(const RemotePrimary& remote) {
    if (remote.host.empty()) return fmt::format("{}archive", remote_prefix);
    std::string name = fmt::format("{}primary {}:{}", remote_prefix, remote.host, remote.port);
    if (!remote.slot_name.empty()) name += " with slot " + remote.slot_name;
    return name;
}

bool is_remote_source(std::string_view name) {
    return name.starts_with(remote_prefix);
}

std::string wal_source(const Snapshot& s) {
    if (!s.view || !s.view->leader) return {};
    if (s.tags.nostream) return std::string(archive_source);
    if (s.settings.standby_cluster && s.view->leader->name == s.name) return remote_source(s.settings.remote);
    // The member it was told to, while that one is there; else the leader.
    const std::string& wanted = s.tags.replicatefrom;
    if (!wanted.empty() && wanted != s.name) {
        const Member* member = s.view->member(wanted);
        if (member && !member->conn_url.empty() &&
            (member->state == "running" || member->state == "streaming" || member->state == "starting"))
            return wanted;
    }
    return s.view->leader->name;
}

}  // namespace pgkeel::ha
