#include "config/pooler_reader.hpp"

#include <charconv>

namespace pgkeel::config {

template <class Owner>
void PoolerReader::assign_all(std::span<const Declared<Owner>> table, const std::string& where,
                              const std::string& prefix, const std::vector<IniPair>& pairs, Owner& owner) {
    bool password_seen = false;  // what follows may be the rest of one with a blank in it
    for (const IniPair& pair : pairs) {
        assign(table, where, prefix, pair.key, pair.value, owner, !password_seen);
        password_seen = password_seen || pair.key == "password";
    }
}

void PoolerReader::again(const std::string& what, const std::string& where) {
    auto& places = reading.config.places;
    if (const auto first = places.find(what); first != places.end())
        warn(where, fmt::format("{} comes again; {} has no effect", what, first->second));
    places[what] = where;
}

void PoolerReader::database(const std::string& name, const std::string& where, const std::vector<IniPair>& pairs) {
    const std::string prefix = fmt::format("database {}: ", name);
    if (name == "pgbouncer") return error(where, prefix + "the name is the admin console's", "give it another name");
    again("databases." + name, where);
    DatabaseEntry entry;
    entry.name = name;
    assign_all(database_keys(), where, prefix, pairs, entry);
    if (entry.user.empty() && !entry.password.empty())
        warn(where, prefix + "has a password and no user, so that it is not used", "whose is it? add user=");
    reading.config.databases.insert_or_assign(name, std::move(entry));
}

void PoolerReader::user(const std::string& name, const std::string& where, const std::vector<IniPair>& pairs) {
    again("users." + name, where);
    UserEntry entry;
    entry.name = name;
    assign_all(user_keys(), where, fmt::format("user {}: ", name), pairs, entry);
    reading.config.users.insert_or_assign(name, std::move(entry));
}

void PoolerReader::peer(const std::string& name, const std::string& where, const std::vector<IniPair>& pairs) {
    const std::string prefix = fmt::format("peer {}: ", name);
    constexpr std::int64_t id_max = 16383;
    PeerEntry entry;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), entry.id);
    if (wrong != std::errc{} || end != name.data() + name.size() || entry.id < 1 || entry.id > id_max)
        return error(where, prefix + "the name is no peer_id", fmt::format("it is a number from 1 to {}", id_max));
    again("peers." + name, where);
    assign_all(peer_keys(), where, prefix, pairs, entry);
    if (entry.host.empty()) error(where, prefix + "has no host", "add host=");
    reading.config.peers.insert_or_assign(entry.id, std::move(entry));
}

PoolerReading PoolerReader::finish(bool as_pgbouncer) {
    if (reading.errors.empty()) {
        PoolerConfig& config = reading.config;
        for (Problem& problem : check_pooler(config))
            (problem.tolerated && as_pgbouncer ? config.warnings : reading.errors).push_back(std::move(problem));
    }
    return std::move(reading);
}

}  // namespace pgkeel::config
