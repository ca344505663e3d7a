#include "auth/hba.hpp"

#include "auth/hba_rule.hpp"

#include <algorithm>

namespace pgkeel::auth {

namespace {

bool fits_connection(const HbaRule& rule, const HbaConnectionFacts& asked) {
    switch (rule.connection) {
        case HbaConnection::local:
            return !asked.peer;
        case HbaConnection::host:
            return asked.peer.has_value();
        case HbaConnection::hostssl:
            return asked.peer && asked.tls;
        case HbaConnection::hostnossl:
            return asked.peer && !asked.tls;
    }
    return false;
}

/// A physical replication connection has no database: it fits the keyword and nothing else, `all` neither.
bool fits_database(const HbaWord& word, const HbaConnectionFacts& asked) {
    if (asked.physical_replication || word.is("replication"))
        return asked.physical_replication && word.is("replication");
    if (word.is("all")) return true;
    if (word.is("sameuser")) return asked.database == asked.user;
    return word.text == asked.database;
}

bool fits_user(const HbaWord& word, const HbaConnectionFacts& asked) {
    return word.is("all") || word.text == asked.user;
}

}  // namespace

Result<Hba> Hba::parse(std::string_view text, const std::string& file, const ReadFile& read) {
    auto lines = read_hba_lines(text, file, read);
    if (!lines) return std::unexpected(std::move(lines.error()));
    Hba hba;
    for (const HbaLine& line : *lines) {
        auto rule = read_hba_rule(line);
        if (!rule) return std::unexpected(std::move(rule.error()));
        hba.rules_.push_back(*std::move(rule));
    }
    return hba;
}

const HbaRule* Hba::match(const HbaConnectionFacts& asked) const {
    const auto found = std::ranges::find_if(rules_, [&](const HbaRule& rule) {
        return fits_connection(rule, asked) && (!rule.network || rule.network->contains(*asked.peer)) &&
               std::ranges::any_of(rule.databases, [&](const HbaWord& word) { return fits_database(word, asked); }) &&
               std::ranges::any_of(rule.users, [&](const HbaWord& word) { return fits_user(word, asked); });
    });
    return found == rules_.end() ? nullptr : &*found;
}

}  // namespace pgkeel::auth
