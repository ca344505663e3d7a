#include "postgres/data_directory.hpp"

#include "log/log.hpp"
#include "postgres/writers.hpp"
#include "process/all_processes.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <vector>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
namespace {

/// What PostgreSQL itself puts at the top of a data directory.
constexpr std::string_view cluster_names[] = {
    "PG_VERSION",
    "backup_label",
    "backup_manifest",
    "base",
    "current_logfiles",
    "global",
    "log",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_hba.conf",
    "pg_ident.conf",
    "pg_log",
    "pg_logical",
    "pg_multixact",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_xact",
    "pgkeel_rewinding",
    "postgresql.auto.conf",
    "postgresql.conf",
    "postmaster.opts",
    "postmaster.pid",
    "tablespace_map",
};

bool is_cluster(const std::string& path) {
    return file_exists(path + "/PG_VERSION") && file_exists(path + "/global/pg_control");
}

/// Entries that say nothing: hidden ones, and what a file system makes at its root.
bool is_unremarkable(const std::string& name) {
    return name.starts_with('.') || name == "lost+found";
}

Result<std::vector<std::string>> entries_of(const std::string& path) {
    std::error_code error;
    std::vector<std::string> names;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
        names.push_back(entry->path().filename().string());
    if (error && error != std::errc::no_such_file_or_directory)
        return fail(Errc::io_error, fmt::format("cannot read directory {}: {}", path, error.message()));
    return names;
}

/// Marks lie beside the data directory, and its parent may be closed to us, as with a mount point: then work goes on
/// without one.
void put_mark(const std::string& mark, Account account) {
    if (const auto put = write_file(mark, "", 0600, account); !put) log::warning("{}", put.error().line());
}

std::unexpected<Error> io_failure(std::string_view what, const std::string& path, const std::error_code& error) {
    return fail(Errc::io_error, fmt::format("cannot {} {}: {}", what, path, error.message()));
}

/// Part of a cluster at least: PostgreSQL's own version file or control file, or nothing but names that are
/// PostgreSQL's.
bool looks_like_cluster(const std::string& path, const std::vector<std::string>& names) {
    if (file_exists(path + "/PG_VERSION") || file_exists(path + "/global/pg_control")) return true;
    return std::ranges::all_of(names, [](const std::string& name) {
        return is_unremarkable(name) || std::ranges::find(cluster_names, name) != std::end(cluster_names);
    });
}

bool is_wal_name(const std::string& name) {
    return name == "archive_status" || name.starts_with("xlogtemp.") || name.ends_with(".history") ||
           (name.size() >= 24 && name.find_first_not_of("0123456789ABCDEF") >= 24);
}

/// Zombies are dead: containers without an init keep them for ever.
bool is_alive(int pid) {
    const auto stat = read_file(fmt::format("/proc/{}/stat", pid), 65536);
    if (!stat) return false;
    const auto name_end = stat->rfind(") ");
    if (name_end == std::string::npos || name_end + 2 >= stat->size()) return true;
    const char state = (*stat)[name_end + 2];
    return state != 'Z' && state != 'X';
}

/// The directory behind a link, if `path` is one and leads to one.
std::optional<std::string> link_target(const std::string& path) {
    std::error_code error;
    if (!fs::is_symlink(fs::symlink_status(path, error)) || error) return {};
    const fs::path target = fs::canonical(path, error);
    if (error || !fs::is_directory(target, error)) return {};
    return target.string();
}

/// Directories outside that hold parts of this cluster.
struct OutsideParts {
    struct Part {
        std::string link, target;
    };
    std::vector<Part> wal, tablespaces;
};

OutsideParts outside_parts(const std::string& path) {
    OutsideParts parts;
    for (const char* name : {"pg_wal", "pg_xlog"})
        if (auto target = link_target(fmt::format("{}/{}", path, name)))
            parts.wal.push_back({fmt::format("{}/{}", path, name), *target});
    if (const auto names = entries_of(path + "/pg_tblspc"))
        for (const std::string& name : *names)
            if (auto target = link_target(fmt::format("{}/pg_tblspc/{}", path, name)))
                parts.tablespaces.push_back({fmt::format("{}/pg_tblspc/{}", path, name), *target});
    return parts;
}

/// Removes what `is_ours` says in the directory, which stays.
template <class Predicate>
Result<> empty_directory(const std::string& path, Predicate is_ours) {
    auto names = entries_of(path);
    if (!names) return std::unexpected(names.error());
    for (const std::string& name : *names) {
        if (!is_ours(name)) continue;
        std::error_code error;
        fs::remove_all(fs::path(path) / name, error);  // removes links, never follows them
        if (error) return io_failure("remove", path + "/" + name, error);
    }
    return sync_directory(path);
}

std::string beside(const std::string& data_directory, std::string_view suffix) {
    std::string path = data_directory;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path.append(suffix);
}

constexpr std::string_view rewinding_mark = "pgkeel_rewinding";

/// What is in there is a part of a cluster, or of two.
Result<> put_mark_inside(const std::string& path, Account account) {
    const std::string mark = fmt::format("{}/{}", path, rewinding_mark);
    const auto cannot = [&path](const char* why) {
        return fail(Errc::io_error, fmt::format("cannot mark {} as half rewound: {}", path, why));
    };
    if (::mkfifo(mark.c_str(), 0600) != 0 && errno != EEXIST) return cannot(std::strerror(errno));
    struct stat about{};
    if (::lstat(mark.c_str(), &about) != 0) return cannot(std::strerror(errno));
    if (!S_ISFIFO(about.st_mode)) return cannot("a file of the mark's name, which pg_rewind would remove, is there");
    if (account.user != 0 && ::lchown(mark.c_str(), account.user, account.group) != 0)
        return cannot(std::strerror(errno));
    return sync_directory(path);
}

}  // namespace

std::optional<int> living_postmaster(const std::string& path) {
    const auto text = read_file(path + "/postmaster.pid", 65536);
    if (!text) return {};
    int pid = 0;
    std::from_chars(text->data(), text->data() + text->size(), pid);
    if (pid <= 1 || !is_alive(pid)) return {};
    std::error_code error;
    const fs::path works_in = fs::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
    // Another user's process whose directory is hidden from us may be the one: better to believe the file.
    if (error) return error == std::errc::no_such_file_or_directory ? std::nullopt : std::optional(pid);
    const fs::path here = fs::canonical(path, error);
    if (!error && works_in != here) return {};
    return pid;
}

std::optional<int> process_working_in(const std::string& path) {
    std::error_code error;
    const fs::path here = fs::canonical(path, error);
    if (error) return {};
    for (const pid_t pid : all_processes()) {
        std::error_code unreadable;
        if (fs::read_symlink(fmt::format("/proc/{}/cwd", pid), unreadable) == here && !unreadable && is_alive(pid))
            return pid;
    }
    return {};
}

std::string unfinished_mark(const std::string& data_directory) {
    return beside(data_directory, ".pgkeel-unfinished");
}

DataDirectory inspect_data_directory(const std::string& path) {
    if (is_cluster(path)) return DataDirectory::present;
    const auto names = entries_of(path);
    if (!names) return DataDirectory::foreign;
    return std::ranges::all_of(*names, is_unremarkable) ? DataDirectory::empty : DataDirectory::foreign;
}

bool is_unfinished(const std::string& path) {
    return file_exists(unfinished_mark(path));
}

Result<> begin_filling(const std::string& path, Account account) {
    if (auto ended = end_writers(path); !ended) return ended;
    if (inspect_data_directory(path) != DataDirectory::empty && !is_unfinished(path))
        return fail(Errc::unsafe, fmt::format("cannot fill data directory {}: it is not empty", path),
                    "move its content away");
    // Whoever fills it makes it: initdb and pg_basebackup as private as it has to be, and scripts often insist on doing
    // so themselves. An empty one is in their way, but a mount point stays.
    std::error_code error;
    const std::string parent = fs::path(unfinished_mark(path)).parent_path();
    fs::create_directories(parent, error);
    if (error) return io_failure("create directory", parent, error);
    std::error_code stays;
    if (is_unfinished(path) || inspect_data_directory(path) == DataDirectory::empty) fs::remove(path, stays);
    // What PostgreSQL's programs leave is recognised without it.
    put_mark(unfinished_mark(path), account);
    return {};
}

Result<> end_filling(const std::string& path) {
    // Nothing is left of what a rewind may have broken.
    if (auto ended = end_rewinding(path); !ended) return ended;
    return remove_file(unfinished_mark(path));
}

Result<> must_be_whole(const std::string& path) {
    if (is_unfinished(path))
        return fail(Errc::unsafe,
                    fmt::format("{} is an unfinished copy: {} lies beside it", path, unfinished_mark(path)),
                    "`pgkeel reinit` this node");
    if (is_half_rewound(path))
        return fail(Errc::unsafe,
                    fmt::format("a rewind was interrupted in {}: {} lies in it, and its files are of two histories",
                                path, rewinding_mark),
                    "`pgkeel reinit` this node");
    return {};
}

Result<> begin_rewinding(const std::string& path, Account account) {
    if (auto ended = end_writers(path); !ended) return ended;
    return put_mark_inside(path, account);
}

Result<> end_rewinding(const std::string& path) {
    return remove_file(fmt::format("{}/{}", path, rewinding_mark));
}

bool is_half_rewound(const std::string& path) {
    struct stat about{};
    return ::lstat(fmt::format("{}/{}", path, rewinding_mark).c_str(), &about) == 0;
}

Result<> wipe_data_directory(const std::string& path) {
    if (auto ended = end_writers(path); !ended) return ended;
    auto names = entries_of(path);
    if (!names) return std::unexpected(names.error());
    if (names->empty()) return end_filling(path);
    if (!is_unfinished(path) && !looks_like_cluster(path, *names))
        return fail(Errc::unsafe, fmt::format("refused to empty {}: it does not hold a PostgreSQL cluster", path),
                    "check postgresql.data_dir; if its content can go, remove it by hand");
    if (const auto pid = living_postmaster(path))
        return fail(Errc::unsafe, fmt::format("refused to empty {}: process {} runs in it", path, *pid),
                    "stop that PostgreSQL first");
    const OutsideParts outside = outside_parts(path);
    for (const auto& [link, target] : outside.wal) {
        const auto wal = entries_of(target);
        if (!wal || !std::ranges::all_of(
                        *wal, [](const std::string& name) { return is_unremarkable(name) || is_wal_name(name); }))
            return fail(Errc::unsafe,
                        fmt::format("refused to empty {}, which {} leads to: it holds more than WAL", target, link),
                        "move away what is not PostgreSQL's");
    }
    // From here on it is only a part of a cluster, whatever happens.
    if (!is_unfinished(path))
        if (auto marked = write_file(unfinished_mark(path), "", 0600, {}); !marked)
            if (auto inside = put_mark_inside(path, {}); !inside) return inside;
    for (const auto& [link, target] : outside.wal)
        if (auto emptied = empty_directory(target, is_wal_name); !emptied) return emptied;
    for (const auto& [link, target] : outside.tablespaces)
        if (auto emptied = empty_directory(target, [](const std::string& name) { return name.starts_with("PG_"); });
            !emptied)
            return emptied;
    // The mark goes last: what is left until then stays marked.
    const auto goes = [](const std::string& name) { return name != "lost+found" && name != rewinding_mark; };
    if (auto emptied = empty_directory(path, goes); !emptied) return emptied;
    return end_filling(path);
}

Result<> set_data_directory_aside(const std::string& path, const std::string& suffix) {
    if (auto ended = end_writers(path); !ended) return ended;
    if (const auto pid = living_postmaster(path))
        return fail(Errc::unsafe, fmt::format("refused to rename {}: process {} runs in it", path, *pid),
                    "stop that PostgreSQL first");
    fs::path trimmed(path);
    if (!trimmed.has_filename()) trimmed = trimmed.parent_path();
    const std::string aside = trimmed.string() + "." + suffix;
    std::error_code error;
    if (fs::exists(fs::symlink_status(aside, error))) {
        const auto names = entries_of(aside);
        if (!names || !looks_like_cluster(aside, *names))
            return fail(Errc::unsafe,
                        fmt::format("refused to replace {}: it does not hold a PostgreSQL cluster", aside),
                        "move it away");
        fs::remove_all(aside, error);
        if (error) return io_failure("remove", aside, error);
    }
    const OutsideParts outside = outside_parts(path);
    for (const auto* parts : {&outside.wal, &outside.tablespaces})
        for (const auto& [link, target] : *parts) {
            const std::string moved = target + "." + suffix;
            fs::remove_all(moved, error);
            fs::rename(target, moved, error);
            if (error) {
                // A mount point cannot be renamed; its content stays with the cluster that is set aside.
                log::warning("cannot rename {}: {}", target, error.message());
                continue;
            }
            fs::remove(link, error);
            fs::create_directory_symlink(moved, link, error);
            if (error) return io_failure("link", link, error);
        }
    fs::rename(path, aside, error);
    if (error) return io_failure("rename", path, error);
    if (auto removed = end_filling(path); !removed) return removed;
    return sync_directory(fs::path(aside).parent_path().string());
}

Result<> fix_permissions(const std::string& path, Account) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0)
        return fail(Errc::io_error, fmt::format("cannot look at {}: {}", path, std::strerror(errno)));
    if ((status.st_mode & 07777) == 0700 || (status.st_mode & 07777) == 0750) return {};
    if (::chmod(path.c_str(), 0700) != 0)
        return fail(Errc::io_error, fmt::format("cannot change the mode of {}: {}", path, std::strerror(errno)));
    return {};
}

mode_t file_mode(const std::string& data_directory) {
    struct stat status{};
    return ::stat(data_directory.c_str(), &status) == 0 && (status.st_mode & S_IRGRP) != 0 ? 0640 : 0600;
}

Result<std::optional<boost::json::object>> load_dynamic_cache(const std::string& data_directory) {
    const std::string path = data_directory + "/patroni.dynamic.json";
    auto text = read_file(path);
    if (!text && text.error().code == Errc::not_found) return std::nullopt;
    if (!text) return std::unexpected(text.error());
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(*text, error);
    if (error || !value.is_object())
        return fail(Errc::invalid_input, fmt::format("{} does not hold a configuration: {}", path,
                                                     error ? error.message() : "it is not an object"));
    return std::optional(std::move(value.get_object()));
}

Result<> save_dynamic_cache(const std::string& data_directory, const boost::json::object& dynamic, Account account) {
    if (!is_cluster(data_directory)) return {};
    auto written = write_file_if_changed(data_directory + "/patroni.dynamic.json", boost::json::serialize(dynamic),
                                         file_mode(data_directory), account);
    return written ? Result<>() : std::unexpected(written.error());
}

}  // namespace pgkeel::postgres
