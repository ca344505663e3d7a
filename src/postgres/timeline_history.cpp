#include "postgres/timeline_history.hpp"

#include <fmt/format.h>

#include <charconv>

namespace pgkeel::postgres {
namespace {

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    return number;
}

bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view next_word(std::string_view& line) {
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    std::size_t length = 0;
    while (length < line.size() && !is_blank(line[length])) ++length;
    const std::string_view word = line.substr(0, length);
    line.remove_prefix(length);
    return word;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

}  // namespace

Result<std::vector<HistoryEntry>> parse_timeline_history(std::string_view text) {
    std::vector<HistoryEntry> entries;
    for (int number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const std::string_view timeline_word = next_word(line);
        if (timeline_word.empty() || timeline_word.starts_with('#')) continue;
        const auto timeline = whole_number<std::uint32_t>(timeline_word);
        const auto lsn = parse_lsn(next_word(line));
        if (!timeline || *timeline == 0 || !lsn)
            return fail(Errc::invalid_input, fmt::format("line {} of a timeline history is not `timeline position "
                                                         "reason`",
                                                         number));
        if (!entries.empty() && entries.back().timeline.id >= *timeline)
            return fail(Errc::invalid_input, fmt::format("line {} of a timeline history: timeline {} follows {}",
                                                         number, *timeline, entries.back().timeline.id));
        entries.push_back({Timeline{*timeline}, *lsn, std::string(trimmed(line)), {}, {}});
    }
    return entries;
}

Result<SystemIdentity> parse_identify_system(const std::vector<std::string>& row) {
    if (row.size() < 3)
        return fail(Errc::invalid_input, fmt::format("IDENTIFY_SYSTEM answered {} columns instead of 4", row.size()));
    const auto timeline = whole_number<std::uint32_t>(row[1]);
    const auto position = parse_lsn(row[2]);
    if (row[0].empty() || !timeline || !position)
        return fail(Errc::invalid_input, fmt::format("IDENTIFY_SYSTEM answered system {}, timeline {}, position {}",
                                                     row[0], row[1], row[2]));
    return SystemIdentity{row[0], Timeline{*timeline}, *position};
}

std::string history_file_name(Timeline timeline) {
    return fmt::format("{:08X}.history", timeline.id);
}

std::string wal_file_name(Timeline timeline, Lsn lsn, std::uint64_t segment_bytes) {
    const std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_bytes;
    const std::uint64_t segment = lsn.bytes / segment_bytes;
    return fmt::format("{:08X}{:08X}{:08X}", timeline.id, segment / per_id, segment % per_id);
}

}  // namespace pgkeel::postgres
