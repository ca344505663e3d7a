#include "pool/parameters.hpp"

#include <algorithm>
#include <array>
#include <compare>

namespace pgkeel::pool {
namespace {

/// PostgreSQL folds ASCII alone in the names of settings.
char folded(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool less_without_case(std::string_view left, std::string_view right) {
    return std::ranges::lexicographical_compare(left, right, {}, folded, folded);
}

auto place_of(auto& list, std::string_view name) {
    return std::ranges::lower_bound(list, name, less_without_case, &Setting::name);
}

/// Every character that could end a literal, or begin an escape, doubled; E'' so that backslashes mean the same
/// whatever standard_conforming_strings says.
void append_literal(std::string& sql, std::string_view text) {
    const bool escapes = text.contains('\\');
    sql += escapes ? " E'" : "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') sql += c;
        sql += c;
    }
    sql += '\'';
}

void append_identifier(std::string& sql, std::string_view name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    const auto is_plain = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
    if (!name.empty() && is_letter(name.front()) && std::ranges::all_of(name, is_plain)) {
        sql += name;  // no setting has a reserved word for its name
        return;
    }
    // A name with dots is a class and a name: "a"."b".
    sql += '"';
    for (const char c : name) {
        if (c == '.') {
            sql += "\".\"";
            continue;
        }
        if (c == '"') sql += c;
        sql += c;
    }
    sql += '"';
}

}  // namespace

bool is_list_setting(std::string_view name) {
    constexpr auto lists =
        std::to_array<std::string_view>({"local_preload_libraries", "search_path", "session_preload_libraries",
                                         "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"});
    return std::ranges::any_of(lists, [name](std::string_view list) { return equal_without_case(list, name); });
}

bool equal_without_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, {}, folded, folded);
}

const std::vector<Setting>& Settings::list() const {
    static const List none;
    return shared_ ? *shared_ : none;
}

const std::string* Settings::find(std::string_view name) const {
    const auto place = place_of(list(), name);
    return place != list().end() && equal_without_case(place->name, name) ? &place->value : nullptr;
}

Settings Settings::with(std::string_view name, std::string_view value) const {
    if (const std::string* has = find(name); has != nullptr && *has == value) return *this;
    List changed = list();
    const auto place = place_of(changed, name);
    if (place != changed.end() && equal_without_case(place->name, name))
        place->value = value;
    else
        changed.insert(place, {std::string(name), std::string(value)});
    return Settings(std::move(changed));
}

Settings Settings::without(std::string_view name) const {
    if (find(name) == nullptr) return *this;
    List changed = list();
    changed.erase(place_of(changed, name));
    return Settings(std::move(changed));
}

Settings SharedSettings::share(const Settings& settings) {
    if (settings.empty()) return {};
    std::string key;
    for (const Setting& setting : settings.list()) {
        key += setting.name;
        key += '\0';
        key += setting.value;
        key += '\0';
    }
    if (known_.size() >= sweep_at_) {
        std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
        sweep_at_ = std::max<std::size_t>(64, known_.size() * 2);
    }
    auto& known = known_[std::move(key)];
    Settings shared;
    shared.shared_ = known.lock();
    if (!shared.shared_) {
        shared = settings;
        known = shared.shared_;
    }
    return shared;
}

std::string settings_statement(const Settings& has, const Settings& wanted, const Settings* reported) {
    std::string sql;
    const auto begin = [&sql](std::string_view words) {
        if (!sql.empty()) sql += "; ";
        sql += words;
    };
    for (const Setting& setting : wanted.list()) {
        const std::string* now = has.find(setting.name);
        const bool may_differ_in_case = reported == nullptr || reported->find(setting.name) != nullptr;
        if (now != nullptr && (may_differ_in_case ? equal_without_case(*now, setting.value) : *now == setting.value))
            continue;
        if (is_list_setting(setting.name)) {
            // SET would take the whole literal for one name, and the bare value for SQL of the client's choice.
            begin("SELECT pg_catalog.set_config(");
            append_literal(sql, setting.name);
            sql += ", ";
            append_literal(sql, setting.value);
            sql += ", false)";
        } else {
            begin("SET ");
            append_identifier(sql, setting.name);
            sql += '=';
            append_literal(sql, setting.value);
        }
    }
    for (const Setting& setting : has.list()) {
        if (wanted.find(setting.name) != nullptr) continue;
        begin("RESET ");
        append_identifier(sql, setting.name);
    }
    return sql;
}

}  // namespace pgkeel::pool
