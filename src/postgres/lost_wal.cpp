#include "postgres/lost_wal.hpp"

#include "base/descriptor.hpp"
#include "log/log.hpp"
#include "postgres/timeline_history.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <ranges>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
namespace {

/// The copy must not be what fills the disk of a server that is about to start.
constexpr std::uint64_t spare_bytes = std::uint64_t{64} << 20;
constexpr std::string_view unfinished_suffix = ".unfinished";

/// A timeline and where it was left; the last one goes on for ever.
struct Stretch {
    Timeline timeline;
    Lsn end;
};
std::vector<Stretch> stretches(const std::vector<HistoryEntry>& entries, Timeline last) {
    std::vector<Stretch> all;
    for (const HistoryEntry& entry : entries)
        if (entry.timeline < last) all.push_back({entry.timeline, entry.lsn});
    all.push_back({last, Lsn{UINT64_MAX}});
    return all;
}

std::optional<std::uint32_t> hex8(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return problem == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// "0000000300000000000000A1": timeline and number of a segment.
struct Segment {
    Timeline timeline;
    std::uint64_t number = 0;
};
std::optional<Segment> read_segment_name(std::string_view name, std::uint64_t segment_bytes) {
    if (name.size() != 24) return {};
    const auto timeline = hex8(name.substr(0, 8)), high = hex8(name.substr(8, 8)), low = hex8(name.substr(16));
    if (!timeline || !high || !low) return {};
    return Segment{Timeline{*timeline}, *high * ((std::uint64_t{1} << 32) / segment_bytes) + *low};
}

std::uint64_t bytes_below(const fs::path& directory) {
    std::uint64_t bytes = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
        if (entry->is_regular_file(error)) bytes += entry->file_size(error);
    return bytes;
}

std::unexpected<Error> trouble(std::string_view doing, const std::string& what) {
    return fail(Errc::io_error, fmt::format("cannot {} {}: {}", doing, what, std::strerror(errno)));
}

Result<> give(int file, const std::string& path, Account account) {
    if (account.user != 0 && ::fchown(file, account.user, account.group) != 0) return trouble("give away", path);
    return {};
}

Result<> copy_file(const std::string& from, const std::string& to, Account account) {
    const Descriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    if (in.number() < 0) return trouble("read", from);
    const Descriptor out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (out.number() < 0) return trouble("create", to);
    if (auto given = give(out.number(), to, account); !given) return given;
    std::vector<char> buffer(std::size_t{1} << 20);
    while (true) {
        const ssize_t got = ::read(in.number(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return trouble("read", from);
        if (got == 0) break;
        for (ssize_t done = 0; done < got;) {
            const ssize_t put = ::write(out.number(), buffer.data() + done, static_cast<std::size_t>(got - done));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return trouble("write", to);
            done += put;
        }
    }
    if (::fsync(out.number()) != 0) return trouble("write", to);
    return {};
}

Result<> make_directory(const std::string& path, Account account) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return trouble("create directory", path);
    const Descriptor made(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (made.number() < 0) return trouble("open directory", path);
    if (::fchmod(made.number(), 0700) != 0) return trouble("protect directory", path);
    return give(made.number(), path, account);
}

/// What earlier losses have left, oldest first; half-made copies are removed.
std::vector<fs::path> kept_before(const std::string& directory) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        std::error_code ignored;
        if (name.ends_with(unfinished_suffix))
            fs::remove_all(entry->path(), ignored);
        else if (name.starts_with("timeline-") && entry->is_directory(ignored))
            found.push_back(entry->path());
    }
    std::ranges::sort(found, {}, [](const fs::path& path) {
        std::error_code ignored;
        return fs::last_write_time(path, ignored);
    });
    return found;
}

std::string name_of(const LostWal& lost) {
    std::string at = to_string(lost.begin);
    std::ranges::replace(at, '/', '_');
    return fmt::format("timeline-{}-{}", lost.timeline.id, at);
}

/// Removes what was kept of earlier losses until `bytes` fit.
void make_room(const std::string& directory, std::uint64_t bytes, std::uint64_t bytes_max) {
    auto kept = kept_before(directory);
    std::uint64_t taken = bytes_below(directory);
    for (const fs::path& oldest : kept) {
        if (taken + bytes <= bytes_max) return;
        const std::uint64_t freed = bytes_below(oldest);
        std::error_code error;
        fs::remove_all(oldest, error);
        if (error) continue;
        log::warning("removed {} ({} bytes): older lost WAL makes room for newer", oldest.string(), freed);
        taken -= std::min(taken, freed);
    }
}

std::string about(const LostWal& lost, const std::string& directory, bool whole) {
    return fmt::format(
        "WAL that this node had written on timeline {} after {}{}, and that the cluster's next primary did not have.\n"
        "It was copied here before this node was rewound or copied anew{}. To see it:\n\n    {}\n",
        lost.timeline.id, to_string(lost.begin), lost.end ? " and up to " + to_string(lost.end) : std::string{},
        whole ? "" : "; it was more than may be kept, and this is its beginning", show_command(lost, directory));
}

constexpr const char* about_name = "README";

Result<> fill(const std::vector<std::string>& names, const KeepRequest& request, const std::string& directory,
              const std::string& called, bool whole) {
    if (auto made = make_directory(directory, request.account); !made) return made;
    for (const std::string& name : names)
        if (auto copied = copy_file(request.pg_wal + "/" + name, directory + "/" + name, request.account); !copied)
            return copied;
    if (auto said = write_file(directory + "/" + about_name, about(request.lost, called, whole), 0600, request.account);
        !said)
        return said;
    return sync_directory(directory);
}

}  // namespace

std::optional<LostWal> lost_wal(const std::vector<HistoryEntry>& ours, const LocalHistory& here,
                                const LeaderHistory& leader) {
    if (!here.timeline || !here.position || !leader.timeline) return {};
    const auto we = stretches(ours, here.timeline), they = stretches(leader.entries, leader.timeline);
    Lsn begin_of_stretch{};
    for (std::size_t i = 0; i < we.size() && i < they.size(); ++i) {
        const bool parted_before = we[i].timeline != they[i].timeline;
        const bool parts_here = !parted_before && we[i].end != they[i].end;
        if (!parted_before && !parts_here) {
            begin_of_stretch = we[i].end;
            continue;
        }
        const Lsn begin = parted_before ? begin_of_stretch : std::min(we[i].end, they[i].end);
        // Whoever ended first is part of the other's history; what counts is whether we went on.
        if (!begin || begin.bytes == UINT64_MAX || here.position <= begin) return {};
        return LostWal{we[i].timeline, begin, here.timeline, here.position};
    }
    return {};
}

std::vector<std::string> files_with(const LostWal& lost, std::vector<std::string> names, std::uint64_t segment_bytes) {
    if (segment_bytes == 0) return {};
    std::vector<std::string> histories, segments;
    std::ranges::sort(names);
    for (const std::string& name : names) {
        if (name.size() == 16 && name.ends_with(".history")) {
            const auto timeline = hex8(std::string_view(name).substr(0, 8));
            if (timeline && *timeline >= lost.timeline.id && *timeline <= lost.last_timeline.id)
                histories.push_back(name);
        }
        const auto segment = read_segment_name(name, segment_bytes);
        if (!segment || segment->timeline < lost.timeline || segment->timeline > lost.last_timeline) continue;
        const bool too_old = segment->number < lost.begin.bytes / segment_bytes;
        const bool too_new = lost.end && segment->number > lost.end.bytes / segment_bytes;
        if (!too_old && !too_new) segments.push_back(name);
    }
    histories.insert(histories.end(), segments.begin(), segments.end());
    return histories;
}

namespace {

/// What starting and stopping a server writes (src/backend/access/transam/xlog.c): nobody's data.
constexpr std::string_view bookkeeping[] = {"CHECKPOINT_SHUTDOWN", "SWITCH", "PARAMETER_CHANGE", "FPW_CHANGE",
                                            "END_OF_RECOVERY"};

/// A line of pg_waldump's.
struct WalRecord {
    Lsn at, previous;
    std::string_view description;

    bool is_bookkeeping() const {
        return std::ranges::any_of(bookkeeping, [this](auto name) { return description.starts_with(name); });
    }
};

std::optional<WalRecord> parse_record(std::string_view line) {
    const auto lsn_behind = [line](std::string_view name) -> std::optional<Lsn> {
        const auto at = line.find(name);
        if (at == std::string_view::npos) return {};
        const std::string_view text = line.substr(at + name.size());
        return parse_lsn(text.substr(0, text.find(',')));
    };
    constexpr std::string_view before_description = ", desc: ";
    const auto at = lsn_behind(", lsn: "), previous = lsn_behind(", prev ");
    const auto description = line.find(before_description);
    if (!at || !previous || description == std::string_view::npos) return {};
    return WalRecord{*at, *previous, line.substr(description + before_description.size())};
}

}  // namespace

std::optional<Lsn> end_of_own_wal(std::string_view waldump_output, Lsn begin) {
    // XLOG_BLCKSZ and SizeOfXLogLongPHD of PostgreSQL's access/xlog_internal.h: what stands before the first record.
    constexpr std::uint64_t page = 8192, header_max = 40;
    if (!waldump_output.ends_with('\n')) return {};  // cut off
    std::vector<WalRecord> records;
    for (const auto line : std::views::split(waldump_output, '\n'))
        if (const auto record = parse_record(std::string_view(line))) records.push_back(*record);
    if (records.empty() || !records.back().description.starts_with("CHECKPOINT_SHUTDOWN")) return {};
    // Of a start after which the server went on to write, the next record listed here does not follow: between them are
    // those of other kinds.
    Lsn found = records.back().at;
    for (std::size_t i = records.size() - 1; i > 0; --i) {
        const WalRecord& before = records[i - 1];
        if (!before.is_bookkeeping() || records[i].previous != before.at) break;
        found = before.at;
    }
    const bool is_header = begin.bytes % page == 0 && found >= begin && found.bytes - begin.bytes <= header_max;
    return is_header ? begin : found;
}

std::string show_command(const LostWal& lost, const std::string& directory) {
    return fmt::format("pg_waldump --path={} --timeline={} --start={}", directory, lost.timeline.id,
                       to_string(lost.begin));
}

Result<Server::KeptWal> keep_lost_wal(const KeepRequest& request) {
    const std::string target = request.directory + "/" + name_of(request.lost);
    std::error_code error;
    const std::string part = target + "-part";
    for (const std::string& before : {target, part})
        if (fs::is_directory(before, error))
            return Server::KeptWal{.directory = before, .bytes = bytes_below(before), .whole = before == target};

    std::vector<std::string> names;
    std::uint64_t segment_bytes = 0;
    for (fs::directory_iterator entry(request.pg_wal, error), end; !error && entry != end; entry.increment(error)) {
        if (!entry->is_regular_file(error)) continue;
        names.push_back(entry->path().filename().string());
        if (names.back().size() == 24) segment_bytes = std::max<std::uint64_t>(segment_bytes, entry->file_size(error));
    }
    if (error) return fail(Errc::io_error, fmt::format("cannot read {}: {}", request.pg_wal, error.message()));
    names = files_with(request.lost, std::move(names), segment_bytes);
    std::uint64_t bytes = 0;
    bool whole = true;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::uint64_t size = fs::file_size(request.pg_wal + "/" + names[i], error);
        if (bytes + size > request.bytes_max) {
            names.resize(i);
            whole = false;
            break;
        }
        bytes += size;
    }
    if (bytes < segment_bytes || segment_bytes == 0)
        return fail(Errc::io_error,
                    whole ? fmt::format("{} holds no WAL of timeline {} from {} on", request.pg_wal,
                                        request.lost.timeline.id, to_string(request.lost.begin))
                          : fmt::format("one segment of {} bytes is more than lost_wal_max_size", segment_bytes),
                    whole ? "" : "set pgkeel.lost_wal_max_size higher, or to 0 to keep none");

    if (auto made = make_directory(request.directory, request.account); !made) return std::unexpected(made.error());
    make_room(request.directory, bytes, request.bytes_max);
    struct statvfs room{};
    if (::statvfs(request.directory.c_str(), &room) != 0) return trouble("see how much room is in", request.directory);
    const std::uint64_t available = std::uint64_t{room.f_bavail} * room.f_frsize;
    if (available < bytes + spare_bytes)
        return fail(Errc::io_error,
                    fmt::format("{} has {} bytes free, and {} would be needed for {} bytes of WAL", request.directory,
                                available, bytes + spare_bytes, bytes),
                    "set pgkeel.lost_wal_dir to a place with more room");
    const std::string& called = whole ? target : part;
    const std::string unfinished = called + std::string(unfinished_suffix);
    if (auto filled = fill(names, request, unfinished, called, whole); !filled) {
        fs::remove_all(unfinished, error);
        return std::unexpected(filled.error());
    }
    if (::rename(unfinished.c_str(), called.c_str()) != 0) return trouble("create", called);
    if (auto synced = sync_directory(request.directory); !synced) return std::unexpected(synced.error());
    return Server::KeptWal{.directory = called, .bytes = bytes, .whole = whole};
}

}  // namespace pgkeel::postgres
