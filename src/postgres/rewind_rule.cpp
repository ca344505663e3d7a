#include "postgres/rewind_rule.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace pgkeel::postgres {
namespace {

RewindNeed verdict(std::optional<bool> needed, RewindReason reason, std::string why) {
    return {needed, reason, std::move(why)};
}

/// The leader's entry for our timeline, or nothing when its history does not go through it.
const HistoryEntry* switch_from(Timeline timeline, const LeaderHistory& leader) {
    for (const HistoryEntry& entry : leader.entries)
        if (entry.timeline == timeline) return &entry;
    return nullptr;
}

constexpr std::uint64_t page_bytes = 8192;          // XLOG_BLCKSZ
constexpr std::uint64_t page_header_bytes = 24;     // SizeOfXLogShortPHD
constexpr std::uint64_t segment_header_bytes = 40;  // SizeOfXLogLongPHD, on the first page of a segment
constexpr std::uint64_t segment_bytes_min = 1 << 20;

std::uint64_t aligned(std::uint64_t bytes) {
    return (bytes + 7) & ~std::uint64_t{7};
}

/// Where a record of `total_bytes` at `start` ends: page headers interrupt it, alignment follows it. See PostgreSQL,
/// src/backend/access/transam/README and xlogrecord.h.
std::uint64_t record_end(std::uint64_t start, std::uint64_t total_bytes, std::uint64_t header_at_segment_start) {
    std::uint64_t position = start;
    while (true) {
        const std::uint64_t room = page_bytes - position % page_bytes;
        if (total_bytes <= room) return aligned(position + total_bytes);
        total_bytes -= room;
        position += room;
        position += position % segment_bytes_min == 0 ? header_at_segment_start : page_header_bytes;
    }
}

/// The LSN after `marker`.
std::optional<Lsn> lsn_after(std::string_view text, std::string_view marker) {
    const auto at = text.find(marker);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + marker.size());
    return parse_lsn(text.substr(0, text.find_first_not_of("0123456789abcdefABCDEF/")));
}

}  // namespace

const char* to_string(RewindReason reason) {
    switch (reason) {
        case RewindReason::same_timeline:
            return "same_timeline";
        case RewindReason::local_timeline_is_newer:
            return "local_timeline_is_newer";
        case RewindReason::position_before_switchpoint:
            return "position_before_switchpoint";
        case RewindReason::position_after_switchpoint:
            return "position_after_switchpoint";
        case RewindReason::shutdown_checkpoint_is_the_switchpoint:
            return "shutdown_checkpoint_is_the_switchpoint";
        case RewindReason::shutdown_checkpoint_end_differs:
            return "shutdown_checkpoint_end_differs";
        case RewindReason::shutdown_checkpoint_end_unknown:
            return "shutdown_checkpoint_end_unknown";
        case RewindReason::timeline_not_in_history:
            return "timeline_not_in_history";
        case RewindReason::position_unknown:
            return "position_unknown";
    }
    return "unknown";
}

RewindNeed needs_rewind(const LocalHistory& here, const LeaderHistory& leader) {
    using enum RewindReason;
    if (!here.timeline || !here.position || !leader.timeline)
        return verdict(std::nullopt, position_unknown,
                       fmt::format("timeline {} at {} here, timeline {} on the leader: not enough to tell",
                                   here.timeline.id, to_string(here.position), leader.timeline.id));
    if (here.timeline > leader.timeline)
        return verdict(
            true, local_timeline_is_newer,
            fmt::format("this node is on timeline {}, its leader on {}", here.timeline.id, leader.timeline.id));
    if (here.timeline == leader.timeline)
        return verdict(false, same_timeline, fmt::format("both are on timeline {}", here.timeline.id));
    if (leader.entries.empty())
        return verdict(std::nullopt, position_unknown,
                       fmt::format("the history of the leader's timeline {} is not known", leader.timeline.id));

    const HistoryEntry* left = switch_from(here.timeline, leader);
    if (left == nullptr)
        return verdict(true, timeline_not_in_history,
                       fmt::format("the leader's timeline {} does not descend from this node's timeline {}",
                                   leader.timeline.id, here.timeline.id));
    const std::string at =
        fmt::format("the leader left timeline {} at {}, this node", here.timeline.id, to_string(left->lsn));
    if (!here.was_primary) {
        if (here.position > left->lsn)
            return verdict(true, position_after_switchpoint, fmt::format("{} has {}", at, to_string(here.position)));
        return verdict(false, position_before_switchpoint, fmt::format("{} has {}", at, to_string(here.position)));
    }
    // A former primary's position is where its last checkpoint record begins, so equal is already too far.
    if (here.position >= left->lsn)
        return verdict(true, position_after_switchpoint,
                       fmt::format("{} wrote a checkpoint at {}", at, to_string(here.position)));
    // Without a clean shutdown there is WAL after the checkpoint, and how far it goes is not known.
    if (!here.clean_shutdown || !here.checkpoint_end)
        return verdict(true, shutdown_checkpoint_end_unknown,
                       fmt::format("{} wrote a checkpoint at {}, and where its WAL ends is not known", at,
                                   to_string(here.position)));
    if (*here.checkpoint_end != left->lsn)
        return verdict(true, shutdown_checkpoint_end_differs,
                       fmt::format("{} shut down at {}", at, to_string(*here.checkpoint_end)));
    return verdict(false, shutdown_checkpoint_is_the_switchpoint, fmt::format("{} shut down exactly there", at));
}

bool wants_checkpoint_end(const LocalHistory& here, const LeaderHistory& leader) {
    if (!here.was_primary || !here.clean_shutdown || here.checkpoint_end || here.timeline >= leader.timeline)
        return false;
    const HistoryEntry* left = switch_from(here.timeline, leader);
    return left != nullptr && here.position < left->lsn;
}

std::optional<LocalHistory> local_history(const ControlData& control) {
    const bool recovery =
        control.state == ControlState::shut_down_in_recovery || control.state == ControlState::in_archive_recovery;
    if (recovery && control.min_recovery_end && control.min_recovery_timeline)
        return LocalHistory{.timeline = control.min_recovery_timeline,
                            .position = control.min_recovery_end,
                            .was_primary = false,
                            .clean_shutdown = control.state == ControlState::shut_down_in_recovery,
                            .checkpoint_end = {}};
    // In recovery without a minimum: a former primary that came no further than its own WAL.
    if ((recovery || control.state == ControlState::shut_down) && control.checkpoint && control.checkpoint_timeline)
        return LocalHistory{.timeline = control.checkpoint_timeline,
                            .position = control.checkpoint,
                            .was_primary = true,
                            .clean_shutdown = control.state == ControlState::shut_down,
                            .checkpoint_end = {}};
    return {};
}

std::optional<Lsn> checkpoint_end_of(std::string_view waldump_output, std::string_view waldump_errors, Lsn checkpoint) {
    // One record, the checkpoint itself: "rmgr: XLOG  len (rec/tot):  114/   114, tx: 0, lsn: 0/0182E220, prev …,
    // desc: CHECKPOINT_SHUTDOWN redo …". A second one would be WAL written after it.
    std::string_view line = waldump_output.substr(0, waldump_output.find('\n'));
    const std::string_view more = waldump_output.substr(line.size());
    if (more.find("rmgr:") != std::string_view::npos) return {};
    if (line.find("CHECKPOINT_SHUTDOWN") == std::string_view::npos || lsn_after(line, ", lsn: ") != checkpoint)
        return {};

    constexpr std::string_view length_label = "len (rec/tot):";
    const auto label = line.find(length_label);
    if (label == std::string_view::npos) return {};
    std::string_view lengths = line.substr(label + length_label.size());
    const auto slash = lengths.find('/');
    if (slash == std::string_view::npos) return {};
    lengths.remove_prefix(slash + 1);
    lengths.remove_prefix(std::min(lengths.find_first_not_of(' '), lengths.size()));
    std::uint64_t total_bytes = 0;
    const auto [end, error] = std::from_chars(lengths.data(), lengths.data() + lengths.size(), total_bytes);
    if (error != std::errc() || total_bytes < 24 || total_bytes > page_bytes) return {};

    // A multiple of 1 MB may or may not begin a segment; the place where reading on failed then tells which header is
    // there.
    const Lsn short_end{record_end(checkpoint.bytes, total_bytes, page_header_bytes)};
    const Lsn long_end{record_end(checkpoint.bytes, total_bytes, segment_header_bytes)};
    if (short_end == long_end) return short_end;
    // "error in WAL record at 0/182E220: invalid record length at 0/182E298: wanted 24, got 0"
    const auto after = waldump_errors.find(fmt::format("error in WAL record at {}: ", to_string(checkpoint)));
    if (after == std::string_view::npos) return {};
    const std::string_view failure = waldump_errors.substr(waldump_errors.find(": ", after) + 2);
    const auto failed_at = lsn_after(failure, " at ");
    if (failed_at == short_end || failed_at == long_end) return failed_at;
    return {};
}

}  // namespace pgkeel::postgres
