#include "config/ini.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace pgkeel::config {
namespace {

constexpr std::size_t include_depth_max = 10;
constexpr std::size_t include_count_max = 1000;
constexpr std::size_t bytes_max = std::size_t{16} << 20;
constexpr std::size_t problems_max = 100;  ///< a file that is no ini at all is not listed line by line

constexpr std::string_view white = " \t\v\f\r";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(white);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

bool is_plain_key_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.-*").contains(c);
}

/// Takes the key off the front of `line`; nothing when its quote does not end.
std::optional<std::string> take_key(std::string_view& line) {
    std::string key;
    if (!line.starts_with('"') && !line.starts_with('\'')) {
        const auto end = std::ranges::find_if_not(line, is_plain_key_character);
        const auto length = static_cast<std::size_t>(end - line.begin());
        key = line.substr(0, length);
        line.remove_prefix(length);
        return key;
    }
    const char quote = line.front();
    for (std::size_t i = 1; i < line.size(); ++i) {
        if (line[i] != quote) {
            key += line[i];
        } else if (line.substr(i + 1).starts_with(quote)) {
            key += line[++i];
        } else {
            line.remove_prefix(i + 1);
            return key;
        }
    }
    return std::nullopt;
}

class Parser {
  public:
    explicit Parser(const ReadIniFile& read) : read_(read) {}

    void file(std::string_view text, const std::string& name) {
        bytes_ += text.size();
        if (bytes_ > bytes_max) {
            where_ = name;
            return problem("is too large: together with its includes it has more than 16 MiB", "is it the right file?");
        }
        open_.push_back(name);
        std::size_t number = 0;
        while (!text.empty() && !gave_up_) {
            const auto end = std::min(text.find('\n'), text.size());
            where_ = fmt::format("{}:{}", name, ++number);
            line(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        open_.pop_back();
    }

    Ini take() { return std::move(ini_); }

  private:
    void problem(std::string text, std::string hint) {
        if (gave_up_) return;
        ini_.problems.push_back({.where = where_, .text = std::move(text), .hint = std::move(hint)});
        gave_up_ = ini_.problems.size() >= problems_max;
    }

    void line(std::string_view text) {
        if (text.contains('\0')) return problem("has a zero byte in it", "is this a text file?");
        text = trimmed(text);
        if (text.empty() || text.starts_with(';') || text.starts_with('#')) return;
        if (text.starts_with('[')) return section(text);
        if (text.starts_with('%')) return directive(text);
        entry(text);
    }

    void section(std::string_view text) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return problem("begins a section and has no ]", "write [name]");
        ini_.sections.push_back({.name = std::string(text.substr(1, end - 1)), .where = where_, .entries = {}});
        line(text.substr(end + 1));
    }

    void directive(std::string_view text) {
        const auto end = std::min(text.find_first_of(white), text.size());
        const std::string path(trimmed(text.substr(end)));
        if (text.substr(0, end) != "%include")
            return problem("begins with % and is no %include", "the one directive is `%include FILE`");
        if (path.empty()) return problem("includes no file", "write `%include FILE`");
        if (std::ranges::find(open_, path) != open_.end())
            return problem(fmt::format("includes {}, which is being read already", path), "take one of the two out");
        if (open_.size() > include_depth_max)
            return problem(fmt::format("includes {} more than {} files deep", path, include_depth_max),
                           "include it from a file nearer to the top");
        if (++includes_ > include_count_max)
            return problem(fmt::format("includes {} as more than the {}th file", path, include_count_max),
                           "put some of them together");
        auto content = read_(path);
        if (!content) return problem(fmt::format("cannot include: {}", content.error().text), content.error().hint);
        const std::string here = where_;
        file(*content, path);
        where_ = here;
    }

    void entry(std::string_view text) {
        const auto key = take_key(text);
        if (!key) return problem("has a name whose quote does not end", "write 'name' = …, a quote in it twice");
        if (key->empty()) return problem("has no name that ends before =", "put a name with other signs into quotes");
        text = trimmed(text);
        if (!text.starts_with('='))
            return problem("is no section, no `key = value` and no comment",
                           "comments begin with ; or #, and a name with blanks or other signs stands in quotes");
        if (ini_.sections.empty())
            return problem(fmt::format("sets {} before any section", *key), "begin with [pgbouncer] or [databases]");
        ini_.sections.back().entries.push_back(
            {.key = *key, .value = std::string(trimmed(text.substr(1))), .where = where_});
    }

    const ReadIniFile& read_;
    Ini ini_;
    std::vector<std::string> open_;  ///< files being read, the outermost first
    std::string where_;
    std::size_t includes_ = 0, bytes_ = 0;
    bool gave_up_ = false;
};

}  // namespace

std::string Problem::line() const {
    return hint.empty() ? fmt::format("{}: {}", where, text) : fmt::format("{}: {} ({})", where, text, hint);
}

Ini parse_ini(std::string_view text, const std::string& name, const ReadIniFile& read) {
    Parser parser(read);
    parser.file(text, name);
    return parser.take();
}

std::string print_ini_key(std::string_view key) {
    if (!key.empty() && std::ranges::all_of(key, is_plain_key_character)) return std::string(key);
    const char quote = key.contains('\'') ? '"' : '\'';
    std::string out(1, quote);
    for (const char c : key) {
        if (c == quote) out += c;
        out += c;
    }
    return out + quote;
}

}  // namespace pgkeel::config
