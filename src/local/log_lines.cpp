#include "local/log_lines.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <tuple>

namespace pgkeel::local {

namespace {
constexpr std::string_view pattern = "dddd-dd-dd dd:dd:dd";
constexpr std::size_t milliseconds = 4;  // ".123" or ",123"
constexpr std::size_t first_look_bytes = 1UL << 20U;

/// The time at the front of `text`, with a blank between day and hour and a dot before the milliseconds; else nothing.
std::string time_at_front(std::string_view text) {
    if (text.size() < pattern.size()) return {};
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        const bool same = text[i] == pattern[i] || (pattern[i] == ' ' && text[i] == 'T');
        if (pattern[i] == 'd' ? !digit : !same) return {};
    }
    std::string time(text.substr(0, pattern.size() + milliseconds));
    time[pattern.find(' ')] = ' ';
    if (time.size() > pattern.size()) time[pattern.size()] = '.';
    return time;
}

/// Agents and PostgreSQL begin a line with the time, etcd has it in a JSON field near the front.
std::string time_of(std::string_view line) {
    static constexpr std::string_view field = R"("ts":")";
    const auto json = line.starts_with('{') ? line.substr(0, 64).find(field) : std::string_view::npos;
    return time_at_front(json == std::string_view::npos ? line : line.substr(json + field.size()));
}
}  // namespace

std::vector<LogEntry> log_entries(std::string_view log, const std::string& source) {
    std::vector<LogEntry> entries;
    while (!log.empty()) {
        const auto end = std::min(log.find('\n'), log.size());
        const std::string_view line = log.substr(0, end);
        log.remove_prefix(std::min(end + 1, log.size()));
        std::string time = time_of(line);
        if (time.empty() && !entries.empty()) {
            entries.back().text += "\n" + std::string(line);
        } else {
            entries.push_back({std::move(time), source, std::string(line)});
        }
    }
    return entries;
}

std::vector<LogEntry> merge_logs(std::vector<std::vector<LogEntry>> logs, std::size_t most) {
    std::vector<LogEntry> all;
    for (std::vector<LogEntry>& log : logs) std::ranges::move(log, std::back_inserter(all));
    // libstdc++ 12's stable_sort warns of itself under this compiler, so the order of origin is a second key.
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(
        order, [&all](std::size_t a, std::size_t b) { return std::tie(all[a].time, a) < std::tie(all[b].time, b); });
    std::vector<LogEntry> sorted;
    for (const std::size_t i : order) sorted.push_back(std::move(all[i]));
    all = std::move(sorted);
    if (all.size() > most) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(most));
    return all;
}

std::string GrowingFile::read_new_lines() {
    std::ifstream file(path_, std::ios::binary | std::ios::ate);
    if (!file) return {};
    const auto size = static_cast<std::size_t>(file.tellg());
    bool cut = false;
    if (!begun_ && size > first_look_bytes) {
        offset_ = size - first_look_bytes;
        cut = true;
    }
    begun_ = true;
    if (size < offset_) offset_ = 0;
    std::string content(size - offset_, '\0');
    file.seekg(static_cast<std::streamoff>(offset_));
    file.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    const auto last = content.rfind('\n');
    content.resize(last == std::string::npos ? 0 : last + 1);
    offset_ += content.size();
    if (cut) content.erase(0, content.find('\n') + 1);
    return content;
}

}  // namespace pgkeel::local
