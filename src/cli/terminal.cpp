#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <numeric>

namespace pgkeel::cli {

namespace {
struct Character {
    char32_t code = 0;
    std::size_t bytes = 1;
};

/// The character at the front of `text`; a byte that is not UTF-8 counts as one character.
Character first_character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    std::size_t bytes = 1;
    char32_t code = lead;
    if (lead >= 0xF0 && lead < 0xF8) {
        bytes = 4;
        code = lead & 0x07U;
    } else if (lead >= 0xE0 && lead < 0xF0) {
        bytes = 3;
        code = lead & 0x0FU;
    } else if (lead >= 0xC2 && lead < 0xE0) {
        bytes = 2;
        code = lead & 0x1FU;
    }
    if (bytes > text.size()) return {lead, 1};
    for (std::size_t i = 1; i < bytes; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xC0U) != 0x80U) return {lead, 1};
        code = (code << 6U) | (next & 0x3FU);
    }
    return {code, bytes};
}

/// Length of the escape sequence (ESC [ … letter) at the front of `text`, 0 when there is none.
std::size_t escape_length(std::string_view text) {
    if (text.size() < 2 || text[0] != '\033' || text[1] != '[') return 0;
    for (std::size_t i = 2; i < text.size(); ++i)
        if (text[i] >= '@' && text[i] <= '~') return i + 1;
    return text.size();
}

struct Range {
    char32_t first, last;
};
bool in(char32_t code, const auto& ranges) {
    return std::ranges::any_of(ranges,
                               [code](const Range& range) { return code >= range.first && code <= range.last; });
}

/// Unicode's East Asian Width W and F (UAX #11) and the zero-width marks, by block: enough for names and messages, and
/// independent of the locale, which wcwidth is not.
std::size_t character_width(char32_t code) {
    static constexpr Range zero[] = {{0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A},
                                     {0x064B, 0x065F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F},
                                     {0x2028, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F},
                                     {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};
    static constexpr Range wide[] = {{0x1100, 0x115F},  {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x2614, 0x2615},
                                     {0x26A1, 0x26A1},  {0x2705, 0x2705},   {0x274C, 0x274C},   {0x2E80, 0x303E},
                                     {0x3041, 0x33FF},  {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},
                                     {0xAC00, 0xD7A3},  {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},   {0xFF00, 0xFF60},
                                     {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
                                     {0x20000, 0x3FFFD}};
    if (code < 0x20 || (code >= 0x7F && code < 0xA0) || in(code, zero)) return 0;
    return in(code, wide) ? 2 : 1;
}

std::string padded(std::string_view text, std::size_t width, Align align) {
    const std::string cell = cut_to_width(text, width);
    const std::string blanks(width - display_width(cell), ' ');
    return align == Align::right ? blanks + cell : cell + blanks;
}
}  // namespace

bool is_terminal(int descriptor) {
    return isatty(descriptor) == 1;
}

std::size_t terminal_width(int descriptor) {
    if (const char* columns = std::getenv("COLUMNS")) {
        const long value = std::strtol(columns, nullptr, 10);
        if (value >= 20 && value <= 10000) return static_cast<std::size_t>(value);
    }
    winsize size{};
    if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

bool wants_colour(int descriptor) {
    const char* refused = std::getenv("NO_COLOR");  // https://no-color.org: any value that is not empty
    if (refused != nullptr && *refused != '\0') return false;
    const char* terminal = std::getenv("TERM");
    if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
    return is_terminal(descriptor);
}

std::string coloured(std::string_view text, Colour colour, int descriptor) {
    const char* code = "";
    switch (colour) {
        case Colour::none:
            break;
        case Colour::bold:
            code = "1";
            break;
        case Colour::dim:
            code = "2";
            break;
        case Colour::red:
            code = "31";
            break;
        case Colour::green:
            code = "32";
            break;
        case Colour::yellow:
            code = "33";
            break;
    }
    if (colour == Colour::none || !wants_colour(descriptor)) return std::string(text);
    return std::string("\033[") + code + "m" + std::string(text) + "\033[0m";
}

std::size_t display_width(std::string_view utf8) {
    std::size_t width = 0;
    while (!utf8.empty()) {
        if (const std::size_t escape = escape_length(utf8)) {
            utf8.remove_prefix(escape);
            continue;
        }
        const Character next = first_character(utf8);
        width += character_width(next.code);
        utf8.remove_prefix(next.bytes);
    }
    return width;
}

std::string cut_to_width(std::string_view utf8, std::size_t width) {
    if (display_width(utf8) <= width) return std::string(utf8);
    if (width == 0) return {};
    std::string kept;
    std::size_t used = 0;
    bool escaped = false;
    while (!utf8.empty()) {
        const std::size_t escape = escape_length(utf8);
        const Character next = first_character(utf8);
        const std::size_t bytes = escape != 0 ? escape : next.bytes;
        if (escape == 0) {
            if (used + character_width(next.code) > width - 1) break;
            used += character_width(next.code);
        }
        escaped = escaped || escape != 0;
        kept += utf8.substr(0, bytes);
        utf8.remove_prefix(bytes);
    }
    return kept + "…" + (escaped ? "\033[0m" : "");
}

std::vector<std::size_t> Table::widths(std::size_t available) const {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t width = display_width(columns_[i].title);
        for (const auto& row : rows_)
            if (i < row.size()) width = std::max(width, display_width(row[i]));
        widths.push_back(width);
    }
    std::size_t total = std::accumulate(widths.begin(), widths.end(), std::size_t{0});
    constexpr std::size_t shortest = 6;
    // The widest of those that may shrink gives first, so that several long columns end up about equal.
    while (available != 0 && total > available) {
        std::size_t widest = columns_.size();
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (!columns_[i].may_shrink || widths[i] <= shortest) continue;
            if (widest == columns_.size() || widths[i] > widths[widest]) widest = i;
        }
        if (widest == columns_.size()) break;
        --widths[widest];
        --total;
    }
    return widths;
}

std::string Table::framed(std::string_view title, std::size_t width_max) const {
    const std::size_t frame = columns_.size() * 3 + 1;
    const auto width = widths(width_max > frame ? width_max - frame : width_max);
    std::string edge = "+";
    for (const std::size_t each : width) edge += std::string(each + 2, '-') + "+";
    std::string top = edge;
    if (!title.empty() && edge.size() > 4) {
        const std::string text = " " + cut_to_width(title, edge.size() - 4) + " ";
        top = "+" + text + edge.substr(1 + display_width(text));
    }
    const auto line = [&](const auto& cell) {
        std::string text = "|";
        for (std::size_t i = 0; i < columns_.size(); ++i)
            text += " " + padded(cell(i), width[i], columns_[i].align) + " |";
        return text + "\n";
    };
    std::string all =
        top + "\n" + line([&](std::size_t i) { return std::string_view(columns_[i].title); }) + edge + "\n";
    for (const auto& row : rows_) {
        all += line([&](std::size_t i) { return i < row.size() ? std::string_view(row[i]) : std::string_view(); });
    }
    return all + edge + "\n";
}

std::string Table::plain(std::size_t width_max) const {
    const std::size_t gaps = columns_.empty() ? 0 : (columns_.size() - 1) * 2;
    const auto width = widths(width_max > gaps ? width_max - gaps : width_max);
    const auto line = [&](const auto& cell) {
        std::string text;
        for (std::size_t i = 0; i < columns_.size(); ++i)
            text += (i == 0 ? "" : "  ") + padded(cell(i), width[i], columns_[i].align);
        text.erase(text.find_last_not_of(' ') + 1);
        return text + "\n";
    };
    std::string all = line([&](std::size_t i) { return std::string_view(columns_[i].title); });
    for (const auto& row : rows_)
        all += line([&](std::size_t i) { return i < row.size() ? std::string_view(row[i]) : std::string_view(); });
    return all;
}

std::string ask(std::string_view question, std::string_view preset) {
    std::cerr << question;
    if (!preset.empty()) std::cerr << " [" << preset << "]";
    std::cerr << ": " << std::flush;
    std::string answer;
    if (!std::getline(std::cin, answer)) {
        std::cerr << '\n';
        return std::string(preset);
    }
    const auto first = answer.find_first_not_of(" \t\r");
    if (first == std::string::npos) return std::string(preset);
    return answer.substr(first, answer.find_last_not_of(" \t\r") - first + 1);
}

bool confirm(std::string_view question) {
    const std::string answer = ask(std::string(question) + " [y/N]");
    return answer == "y" || answer == "Y" || answer == "yes" || answer == "Yes" || answer == "YES";
}

}  // namespace pgkeel::cli
