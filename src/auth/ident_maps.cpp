#include "auth/ident_maps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <regex>

namespace pgkeel::auth {

namespace {

constexpr std::size_t pattern_max_bytes = 256;
/// libstdc++ matches by recursion, so what it looks at is short. A system name or a certificate's name is below 64.
constexpr std::size_t name_max_bytes = 255;

Result<std::regex> compile(const std::string& pattern, const std::string& where) {
    if (pattern.size() > pattern_max_bytes)
        return fail(Errc::invalid_input, fmt::format("{}: the regular expression has {} bytes, the limit is {}", where,
                                                     pattern.size(), pattern_max_bytes));
    try {
        // __polynomial, libstdc++'s: bounded time, and no back references.
        return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
    } catch (const std::regex_error& error) {
        return fail(Errc::invalid_input,
                    fmt::format("{}: \"/{}\" is not a regular expression: {}", where, pattern, error.what()));
    }
}

}  // namespace

struct IdentMaps::Entry {
    std::string map;
    std::string system_name;
    std::optional<std::regex> pattern;  ///< instead of system_name
    HbaWord database_user;

    static Result<Entry> read(const HbaLine& line);
    bool allows(std::string_view name, std::string_view user) const;
};

IdentMaps::IdentMaps() = default;
IdentMaps::IdentMaps(IdentMaps&&) noexcept = default;
IdentMaps& IdentMaps::operator=(IdentMaps&&) noexcept = default;
IdentMaps::~IdentMaps() = default;

Result<IdentMaps::Entry> IdentMaps::Entry::read(const HbaLine& line) {
    if (line.fields.size() != 3)
        return fail(Errc::invalid_input,
                    fmt::format("{}: there are {} words instead of three", line.where(), line.fields.size()),
                    "a line is: map system-name database-user");
    for (const HbaField& field : line.fields)
        if (field.size() != 1)
            return fail(Errc::invalid_input,
                        fmt::format("{}: there are {} words, joined by commas or from a file, where one must be",
                                    line.where(), field.size()));
    const HbaWord& system_name = line.fields[1].front();
    Entry entry{.map = line.fields[0].front().text,
                .system_name = system_name.text,
                .pattern = {},
                .database_user = line.fields[2].front()};
    if (!system_name.text.starts_with('/')) return entry;

    auto pattern = compile(system_name.text.substr(1), line.where());
    if (!pattern) return std::unexpected(std::move(pattern.error()));
    if (pattern->mark_count() == 0 && entry.database_user.text.find("\\1") != std::string::npos)
        return fail(Errc::invalid_input,
                    fmt::format("{}: \"{}\" uses \\1, but \"{}\" has no group", line.where(), entry.database_user.text,
                                system_name.text),
                    "put the part to be taken between parentheses");
    entry.pattern = *std::move(pattern);
    return entry;
}

bool IdentMaps::Entry::allows(std::string_view name, std::string_view user) const {
    std::string wanted = database_user.text;
    if (pattern) {
        std::match_results<std::string_view::const_iterator> found;
        try {
            if (name.size() > name_max_bytes || !std::regex_search(name.begin(), name.end(), found, *pattern))
                return false;
        } catch (const std::regex_error&) {
            return false;  // out of memory or patience: not a match
        }
        if (const auto at = wanted.find("\\1"); at != std::string::npos)
            return wanted.replace(at, 2, found[1].str()) == user;
    } else if (name != system_name) {
        return false;
    }
    return database_user.is("all") || wanted == user;
}

Result<IdentMaps> IdentMaps::parse(std::string_view text, const std::string& file, const ReadFile& read) {
    auto lines = read_hba_lines(text, file, read);
    if (!lines) return std::unexpected(std::move(lines.error()));
    IdentMaps maps;
    for (const HbaLine& line : *lines) {
        auto entry = Entry::read(line);
        if (!entry) return std::unexpected(std::move(entry.error()));
        maps.entries_.push_back(*std::move(entry));
    }
    return maps;
}

bool IdentMaps::allows(std::string_view map, std::string_view system_name, std::string_view database_user) const {
    if (system_name.empty() || database_user.empty()) return false;
    if (map.empty()) return system_name == database_user;
    return std::ranges::any_of(
        entries_, [&](const Entry& entry) { return entry.map == map && entry.allows(system_name, database_user); });
}

bool IdentMaps::has(std::string_view map) const {
    return std::ranges::any_of(entries_, [&](const Entry& entry) { return entry.map == map; });
}

}  // namespace pgkeel::auth
