#pragma once
#include "config/nearest.hpp"
#include "config/pooler.hpp"

#include <boost/json/value.hpp>

#include <cstdlib>
#include <span>
#include <string_view>
#include <type_traits>
#include <variant>

// How a setting is declared: once, in a table, with the member that holds it. Reading and printing follow from that.

namespace pgkeel::config {

/// What a value may be, without the member that holds it.
struct Limits {
    std::string_view unit = {};  ///< of a time: "s" or "ms"; of a size: "B"; of file modes: "mode"
    std::int64_t minimum = 0;    ///< of whole numbers; of times in their unit
    std::int64_t maximum = 2147483647;
};

// Text to value; what is wrong with it is said without the key. `out` is untouched then.
// Whole numbers are in C's notation (0777, 0x10), sizes may have a unit (4kB); a time is a number with a fraction in
// the declared unit, or has one of its own (500ms).
Result<> read_value(const Limits& limits, std::string_view text, std::string& out);
Result<> read_value(const Limits& limits, std::string_view text, Secret& out);
Result<> read_value(const Limits& limits, std::string_view text, bool& out);
Result<> read_value(const Limits& limits, std::string_view text, std::int64_t& out);
Result<> read_value(const Limits& limits, std::string_view text, Duration& out);
Result<> read_value(const Limits& limits, std::string_view text, std::vector<std::string>& out);
Result<> read_value(const Limits& limits, std::string_view text, PoolMode& out);
Result<> read_value(const Limits& limits, std::string_view text, AuthType& out);
Result<> read_value(const Limits& limits, std::string_view text, TlsMode& out);
Result<> read_value(const Limits& limits, std::string_view text, LoadBalance& out);
Result<> read_value(const Limits& limits, std::string_view text, LogFormat& out);
Result<> read_value(const Limits& limits, std::string_view text, IoEngine& out);
Result<> read_value(const Limits& limits, std::string_view text, Route& out);
/// -1 is PgBouncer's word for "not set".
template <class T>
Result<> read_value(const Limits& limits, std::string_view text, std::optional<T>& out) {
    if (text == "-1") {
        out.reset();
        return {};
    }
    T value{};
    if (auto read = read_value(limits, text, value); !read) return read;
    out = std::move(value);
    return {};
}

// Value to text, which `read_value` reads back to the same — but for a secret, which is shown as stars.
std::string print_value(const Limits& limits, const std::string& value);
std::string print_value(const Limits& limits, const Secret& value);
std::string print_value(const Limits& limits, bool value);
std::string print_value(const Limits& limits, std::int64_t value);
std::string print_value(const Limits& limits, Duration value);
std::string print_value(const Limits& limits, const std::vector<std::string>& value);
template <class Enum>
    requires std::is_enum_v<Enum>
std::string print_value(const Limits&, Enum value) {
    return to_string(value);
}

template <class Owner, class... T>
using MemberOf = std::variant<T Owner::*...>;

template <class Owner>
using AnyMember = MemberOf<Owner, std::string, Secret, bool, std::int64_t, Duration, std::vector<std::string>, PoolMode,
                           AuthType, TlsMode, LoadBalance, LogFormat, IoEngine, Route, std::optional<std::int64_t>,
                           std::optional<Duration>, std::optional<PoolMode>>;

/// One key of a section whose values `Owner` holds.
template <class Owner>
struct Declared {
    std::string_view name;
    AnyMember<Owner> member;
    std::string_view help = {};
    std::string_view default_value = {};  ///< as it would be written
    Limits limits = {};
    bool changeable = true;        ///< RELOAD and SET do it; else a restart
    bool null_when_empty = false;  ///< SHOW CONFIG shows NULL, not an empty text
    bool only_ini = false;         ///< YAML says it in another way

    Result<> read(std::string_view text, Owner& owner) const {
        return std::visit([&](auto field) { return read_value(limits, text, owner.*field); }, member);
    }
    bool is_secret() const { return std::holds_alternative<Secret Owner::*>(member); }
    bool is_text() const { return std::holds_alternative<std::string Owner::*>(member) || is_secret(); }
    bool is_list() const { return std::holds_alternative<std::vector<std::string> Owner::*>(member); }
    bool equal(const Owner& a, const Owner& b) const {
        return std::visit([&](auto field) { return a.*field == b.*field; }, member);
    }
    void copy(const Owner& from, Owner& to) const {
        std::visit([&](auto field) { to.*field = from.*field; }, member);
    }
};

using PoolerSetting = Declared<PoolerSettings>;

/// Sorted by name.
std::span<const PoolerSetting> pooler_settings();
std::span<const Declared<DatabaseEntry>> database_keys();
std::span<const Declared<UserEntry>> user_keys();
std::span<const Declared<PeerEntry>> peer_keys();
/// Of a listener, but for `listen`.
std::span<const Declared<Listener>> listener_keys();

/// PgBouncer's older names, under which a key is still accepted: reserve_pool, service_name. Else `name` itself.
std::string_view current_name(std::string_view name);

template <class Owner>
const Declared<Owner>* find_declared(std::span<const Declared<Owner>> table, std::string_view name) {
    name = current_name(name);
    for (const auto& declared : table)
        if (declared.name == name) return &declared;
    return nullptr;
}

/// "is 'pool_size' meant?", or nothing when no name is near.
template <class Owner>
std::string nearest_hint(std::span<const Declared<Owner>> table, std::string_view name) {
    std::vector<std::string> names;
    for (const auto& declared : table) names.emplace_back(declared.name);
    const auto meant = nearest(name, names);
    return meant ? "is '" + *meant + "' meant?" : std::string();
}

/// A scalar of YAML, or for a list also a list of them, as the text that an ini would have. Errors: invalid_input.
Result<std::string> yaml_text(bool is_text, bool is_list, const boost::json::value& value);

/// The declared default of every key.
template <class Owner>
void assign_defaults(std::span<const Declared<Owner>> table, Owner& owner) {
    for (const auto& declared : table)
        if (const auto read = declared.read(declared.default_value, owner); !read) std::abort();  // the table is wrong
}

}  // namespace pgkeel::config
