#pragma once
#include "config/pooler_declared.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

// What both front ends do with a key once they have its text.

namespace pgkeel::config {

/// Collects a configuration and every problem of its text.
struct PoolerReader {
    PoolerReading reading;

    void error(std::string where, std::string text, std::string hint = {}) {
        reading.errors.push_back({.where = std::move(where), .text = std::move(text), .hint = std::move(hint)});
    }
    void warn(std::string where, std::string text, std::string hint = {}) {
        reading.config.warnings.push_back(
            {.where = std::move(where), .text = std::move(text), .hint = std::move(hint)});
    }

    /// `prefix` of messages names the entry: "database app: ". `show_key`: the key may be told.
    template <class Owner>
    void assign(std::span<const Declared<Owner>> table, const std::string& where, const std::string& prefix,
                std::string_view key, std::string_view text, Owner& owner, bool show_key = true) {
        const auto* declared = find_declared(table, key);
        if (declared == nullptr && !show_key)
            return error(where, prefix + "has a word behind the password that is no known key",
                         "a password with blanks stands in single quotes: password='…'");
        if (declared == nullptr)
            return error(where, fmt::format("{}'{}' is not a known key", prefix, key), nearest_hint(table, key));
        if (const auto read = declared->read(text, owner); !read)
            error(where, fmt::format("{}{}: {}", prefix, declared->name, read.error().text), read.error().hint);
    }

    void database(const std::string& name, const std::string& where, const std::vector<IniPair>& pairs);
    void user(const std::string& name, const std::string& where, const std::vector<IniPair>& pairs);
    void peer(const std::string& name, const std::string& where, const std::vector<IniPair>& pairs);

    /// Looks at the whole and hands it over. `as_pgbouncer`: what PgBouncer tolerates is a warning.
    PoolerReading finish(bool as_pgbouncer);

  private:
    template <class Owner>
    void assign_all(std::span<const Declared<Owner>> table, const std::string& where, const std::string& prefix,
                    const std::vector<IniPair>& pairs, Owner& owner);
    void again(const std::string& what, const std::string& where);
};

}  // namespace pgkeel::config
