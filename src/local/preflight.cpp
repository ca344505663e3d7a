#include "local/preflight.hpp"

#include "local/ports.hpp"
#include "local/process_id.hpp"

#include <fmt/format.h>

#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>
#include <vector>

namespace pgkeel::local {

namespace {
ServerUser to_user(const passwd& entry) {
    return {entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
}

std::string name_of(uid_t uid) {
    const passwd* entry = ::getpwuid(uid);
    return entry == nullptr ? fmt::format("user {}", uid) : fmt::format("user {}", entry->pw_name);
}

bool is_program(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string find_in(const std::vector<std::string>& directories, const std::string& program) {
    for (const std::string& directory : directories)
        if (is_program(directory + "/" + program)) return directory;
    return {};
}

/// Whether mode bits let `user` pass (x) through or run a file.
bool may_execute(const struct stat& status, const ServerUser& user) {
    if (status.st_uid == user.uid) return (status.st_mode & S_IXUSR) != 0;
    if (status.st_gid == user.gid) return (status.st_mode & S_IXGRP) != 0;
    return (status.st_mode & S_IXOTH) != 0;
}

/// The first directory on the way to `path` that `user` cannot enter; empty: none.
std::string closed_to(const ServerUser& user, const std::filesystem::path& path) {
    std::filesystem::path way;
    for (const auto& part : path) {
        way /= part;
        struct stat status{};
        if (::stat(way.c_str(), &status) != 0) return {};  // not there yet: made with the right owner
        if (S_ISDIR(status.st_mode) && !may_execute(status, user)) return way;
    }
    return {};
}

/// Nothing in it, or no more than what an `up` leaves that failed before it made a plan.
bool is_vacant(const std::string& directory) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
        if (const std::string name = entry.path().filename(); name != "lock" && !name.starts_with("cluster.json.new."))
            return false;
    return !error;
}

struct UsedPort {
    int port;
    std::string node;
    std::string purpose;
};

/// A server that has just been killed keeps its port for a moment: threads end one by one.
bool becomes_free(int port) {
    constexpr int looks = 40;
    constexpr std::chrono::milliseconds between(25);
    for (int look = 0; look < looks; ++look) {
        if (port_is_free(port)) return true;
        std::this_thread::sleep_for(between);
    }
    return false;
}

Result<> check_port(const UsedPort& used) {
    if (becomes_free(used.port)) return {};
    const auto pid = listener_of(used.port);
    const std::string by =
        pid ? fmt::format("pid {} ({})", *pid, describe(*pid)) : "a process that this user cannot see";
    return fail(Errc::already_exists,
                fmt::format("port {} of {} ({}) is taken by {}", used.port, used.node, used.purpose, by),
                fmt::format("stop that process, or see who it is: ss -ltnp 'sport = :{}'", used.port));
}
}  // namespace

Result<ServerUser> server_user() {
    if (::geteuid() != 0) {
        const passwd* entry = ::getpwuid(::geteuid());
        if (entry != nullptr) return to_user(*entry);
        return fail(Errc::not_found, fmt::format("the user with the id {} has no name in /etc/passwd", ::geteuid()),
                    "initdb needs one: add the user, or run as another");
    }
    const passwd* entry = ::getpwnam("postgres");
    if (entry != nullptr) return to_user(*entry);
    return fail(Errc::not_found, "PostgreSQL does not run as root, and there is no user postgres to run it as",
                "apt install postgresql-15 makes one; or run pgkeel as another user than root");
}

Result<ServerUser> owner_of(const std::string& directory) {
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0)
        return fail(Errc::not_found, fmt::format("there is no directory {}", directory),
                    "make a cluster in it with `pgkeel up`");
    const passwd* entry = ::getpwuid(status.st_uid);
    if (entry == nullptr || (::geteuid() != 0 && status.st_uid != ::geteuid()))
        return fail(Errc::denied, fmt::format("{} belongs to {}", directory, name_of(status.st_uid)),
                    "run the command as that user or as root");
    return to_user(*entry);
}

Result<Programs> find_programs(const std::string& search_path) {
    std::vector<std::string> path;
    std::istringstream parts(search_path);
    for (std::string part; std::getline(parts, part, ':');)
        if (part.starts_with('/')) path.push_back(part);
    std::vector<std::string> postgres_places = path;
    // Debian keeps the server's programs out of PATH; its own order goes first so that the version is the one we
    // support.
    postgres_places.insert(postgres_places.begin(), "/usr/lib/postgresql/15/bin");
    Programs programs;
    const auto missing = [](const std::string& program, const std::string& package) {
        return fail(Errc::not_found, fmt::format("the program {} is not installed", program),
                    fmt::format("apt install {}", package));
    };
    const std::string etcd = find_in(path, "etcd");
    if (etcd.empty()) return missing("etcd", "etcd-server");
    programs.etcd = etcd + "/etcd";
    programs.postgres_directory = find_in(postgres_places, "initdb");
    if (programs.postgres_directory.empty()) return missing("initdb of PostgreSQL 15", "postgresql-15");
    for (const char* program : {"postgres", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_controldata"})
        if (!is_program(programs.postgres_directory + "/" + program)) return missing(program, "postgresql-15");
    if (!is_program(programs.postgres_directory + "/psql")) return missing("psql", "postgresql-client-15");
    return programs;
}

Result<> check_disk(const std::string& path, std::uint64_t bytes_needed) {
    std::filesystem::path place = path;
    struct statvfs space{};
    while (::statvfs(place.c_str(), &space) != 0) {
        if (!place.has_relative_path()) return {};
        place = place.parent_path();
    }
    const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
    if (free >= bytes_needed) return {};
    return fail(Errc::unavailable,
                fmt::format("the disk of {} has {} bytes free, a cluster needs {}", place.string(), free, bytes_needed),
                "make room, or put the cluster elsewhere with --dir");
}

Result<> check_directory(const std::string& directory, const ServerUser& user) {
    if (const std::string closed = closed_to(user, std::filesystem::path(directory).parent_path()); !closed.empty())
        return fail(Errc::denied,
                    fmt::format("user {} cannot reach {}: {} is closed to it", user.name, directory, closed),
                    "put the cluster elsewhere with --dir");
    struct stat status{};
    if (::lstat(directory.c_str(), &status) != 0) return {};
    if (!S_ISDIR(status.st_mode))
        return fail(Errc::unsafe, fmt::format("{} is not a directory", directory), "name another one with --dir");
    const bool vacant = is_vacant(directory);
    const bool ours_to_give = ::geteuid() == 0 && vacant;  // root has made it for us
    if (status.st_uid != user.uid && !ours_to_give)
        return fail(
            Errc::denied,
            fmt::format("{} belongs to {}, the servers run as user {}", directory, name_of(status.st_uid), user.name),
            "name another directory with --dir, or run pgkeel as its owner");
    if (!vacant && !std::filesystem::exists(Layout{directory}.plan()))
        return fail(Errc::unsafe, fmt::format("{} is not empty and holds no local cluster", directory),
                    "name an empty or a new directory with --dir");
    return {};
}

Result<> check_ports(const Plan& plan, const Layout& layout) {
    std::vector<UsedPort> used;
    for (const EtcdPlan& member : plan.etcd) {
        if (running(layout.pid_file(member.name))) continue;
        used.push_back({member.client_port, member.name, "clients"});
        used.push_back({member.peer_port, member.name, "peers"});
    }
    for (const NodePlan& node : plan.nodes) {
        if (!running(layout.pid_file(node.name))) used.push_back({node.rest_port, node.name, "REST API"});
        // PostgreSQL outlives its agent, which takes it over again.
        if (!running_postmaster(layout.data(node.name))) used.push_back({node.postgres_port, node.name, "PostgreSQL"});
    }
    if (!running(layout.pid_file(Layout::proxy_name)))
        for (const ProxyPort& each : plan.proxy) used.push_back({each.port, Layout::proxy_name, each.listener});
    for (const UsedPort& port : used)
        if (auto free = check_port(port); !free) return free;
    return {};
}

Result<> check_own_program(const ServerUser& user) {
    struct stat status{};
    if (::stat("/proc/self/exe", &status) != 0 || may_execute(status, user)) return {};
    std::error_code error;
    const std::string path = std::filesystem::read_symlink("/proc/self/exe", error);
    return fail(Errc::denied, fmt::format("user {} may not run {}", user.name, path),
                fmt::format("chmod o+x {}", path));
}

}  // namespace pgkeel::local
