#include "cli/text_diff.hpp"

#include "cli/terminal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace pgkeel::cli {

namespace {
std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return lines;
}

struct Edit {
    char sign;  ///< ' ' in both, '-' only before, '+' only after
    std::string_view line;
};

/// The shortest way from one text to the other: the longest common subsequence by dynamic programming. Configurations
/// have hundreds of lines, so the table stays small.
std::vector<Edit> edits(const std::vector<std::string_view>& before, const std::vector<std::string_view>& after) {
    const std::size_t width = after.size() + 1;
    std::vector<std::size_t> common((before.size() + 1) * width, 0);  // of the two rests
    for (std::size_t i = before.size(); i-- > 0;)
        for (std::size_t j = after.size(); j-- > 0;)
            common[i * width + j] = before[i] == after[j]
                                        ? common[(i + 1) * width + j + 1] + 1
                                        : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    std::vector<Edit> result;
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < before.size() || j < after.size()) {
        if (i < before.size() && j < after.size() && before[i] == after[j]) {
            result.push_back({' ', before[i++]});
            ++j;
        } else if (j == after.size() ||
                   (i < before.size() && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
            result.push_back({'-', before[i++]});
        } else {
            result.push_back({'+', after[j++]});
        }
    }
    return result;
}

/// "3,7" as in a hunk's head; an empty side begins at the line before it.
std::string extent(std::size_t first, std::size_t count) {
    if (count == 1) return fmt::format("{}", first);
    return fmt::format("{},{}", count == 0 ? first - 1 : first, count);
}
}  // namespace

std::string unified_diff(std::string_view before, std::string_view after) {
    constexpr std::size_t context = 3;
    const auto all = edits(lines_of(before), lines_of(after));
    std::string text;
    std::size_t position = 0;
    std::size_t line_before = 1;
    std::size_t line_after = 1;
    const auto is_change = [](const Edit& edit) { return edit.sign != ' '; };
    while (true) {
        const auto rest = all.begin() + static_cast<std::ptrdiff_t>(position);
        const auto change = static_cast<std::size_t>(std::find_if(rest, all.end(), is_change) - all.begin());
        if (change == all.size()) return text;
        const std::size_t begin = std::max(position, change - std::min(change, context));
        line_before += begin - position;
        line_after += begin - position;
        // The hunk goes on while the next change is near enough for the contexts to touch.
        std::size_t end = change + 1;
        for (std::size_t i = end; i < all.size() && i < end + 2 * context + 1; ++i)
            if (is_change(all[i])) end = i + 1;
        end = std::min(end + context, all.size());
        std::string body;
        std::size_t count_before = 0;
        std::size_t count_after = 0;
        for (std::size_t i = begin; i < end; ++i) {
            body += fmt::format("{}{}\n", all[i].sign, all[i].line);
            count_before += all[i].sign != '+' ? 1 : 0;
            count_after += all[i].sign != '-' ? 1 : 0;
        }
        text +=
            fmt::format("@@ -{} +{} @@\n{}", extent(line_before, count_before), extent(line_after, count_after), body);
        line_before += count_before;
        line_after += count_after;
        position = end;
    }
}

std::string coloured_diff(std::string_view diff) {
    std::string text;
    for (const std::string_view line : lines_of(diff)) {
        const Colour colour = line.starts_with('+')   ? Colour::green
                              : line.starts_with('-') ? Colour::red
                              : line.starts_with('@') ? Colour::dim
                                                      : Colour::none;
        text += coloured(line, colour) + "\n";
    }
    return text;
}

}  // namespace pgkeel::cli
