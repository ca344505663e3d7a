#include "pool/hub.hpp"

#include "auth/crypto.hpp"
#include "config/pooler_compare.hpp"

#include <algorithm>
#include <cstring>

namespace pgkeel::pool {

std::optional<std::size_t> limit_of(std::int64_t count) {
    return count <= 0 ? std::nullopt : std::optional(static_cast<std::size_t>(count));
}

DatabaseRecord* Hub::find_database(std::string_view name, Instant now, bool& registered) {
    registered = false;
    const auto known = databases.find(name);
    if (known != databases.end() && !known->second->removed) return known->second.get();
    const auto configured = config_->databases.find(std::string(name));
    const bool automatic = configured == config_->databases.end();
    const auto entry = automatic ? config_->databases.find("*") : configured;
    if (entry == config_->databases.end()) return nullptr;
    auto& record = databases[std::string(name)];
    if (!record) {
        record = std::make_unique<DatabaseRecord>();
        record->name = name;
        record->id = book.add_database(std::nullopt);
    }
    registered = automatic;
    record->entry = entry->second;
    record->automatic = automatic;
    record->removed = record->disabled = record->paused = false;
    record->last_used = now;
    set_limits(*record);
    return record.get();
}

UserRecord& Hub::user(std::string_view name) {
    const auto known = users.find(name);
    if (known != users.end()) return *known->second;
    auto& record = users[std::string(name)];
    record = std::make_unique<UserRecord>();
    record->name = name;
    record->id = book.add_user(std::nullopt);
    set_limits(*record);
    return *record;
}

PoolRecord& Hub::pool(DatabaseRecord& database, UserRecord& user, config::Route route) {
    auto& record = pools[{&database, &user, route}];
    if (record) record->is_forgotten = false;
    if (!record) {
        record = std::make_unique<PoolRecord>();
        record->database = &database;
        record->user = &user;
        record->route = route;
        record->id = book.add_pool(database.id, user.id, limits_of(*record));
        database.pools.push_back(record.get());
        if (paused || database.paused) book.pause(record->id);
        if (route != config::Route::configured) {
            const Places& known = places[route];
            Orders none;  // nobody waits yet
            if (known.epoch != 0) book.begin_epoch(record->id, known.epoch, {}, none);
            if (known.all.empty()) book.hold(record->id);
        }
    }
    return *record;
}

config::Route Hub::route_of(const DatabaseRecord& database, config::Route listener) const {
    if (!config_->follows_cluster || !database.entry.hosts.empty()) return config::Route::configured;
    const bool to_primary = listener == config::Route::configured || listener == config::Route::split;
    return to_primary ? config::Route::primary : listener;
}

void Hub::set_places(config::Route route, Places now_at, Instant now, Orders& orders) {
    Places& known = places[route];
    known = std::move(now_at);
    for (const auto& [key, pool] : pools) {
        if (pool->route != route) continue;
        if (known.epoch != 0) book.begin_epoch(pool->id, known.epoch, now, orders);
        if (known.all.empty())
            book.hold(pool->id);
        else
            book.unhold(pool->id, now, orders);
    }
}

const Place* Hub::choose(const PoolRecord& pool, Instant now) const {
    // A dead standby stays a place until its lease has ended, and nobody has fewer servers.
    constexpr Duration avoided = std::chrono::seconds(1);
    const auto known = places.find(pool.route);
    if (known == places.end()) return nullptr;
    const Place* best = nullptr;
    std::pair<bool, std::size_t> fewest;
    for (const Place& place : known->second.all) {
        const auto there = pool.servers_at.find(place.name);
        const auto failed = pool.place_failed_at.find(place.name);
        const std::pair rank(failed != pool.place_failed_at.end() && now - failed->second < avoided,
                             there == pool.servers_at.end() ? 0 : there->second);
        if (best != nullptr && rank >= fewest) continue;
        best = &place;
        fewest = rank;
    }
    return best;
}

PoolLimits Hub::limits_of(const PoolRecord& pool) const {
    const config::PoolerSettings& settings = config_->settings;
    const config::DatabaseEntry& database = pool.database->entry;
    const config::UserEntry& user = pool.user->entry;
    PoolLimits limits;
    const auto most = user.pool_size ? *user.pool_size : database.pool_size.value_or(settings.default_pool_size);
    limits.size = static_cast<std::size_t>(most);
    limits.reserve = static_cast<std::size_t>(user.reserve_pool_size
                                                  ? *user.reserve_pool_size
                                                  : database.reserve_pool_size.value_or(settings.reserve_pool_size));
    limits.reserve_after = settings.reserve_pool_timeout;
    if (limits.reserve_after == Duration::zero()) limits.reserve = 0;
    limits.logins = settings.pgbouncer_compat ? 1 : 4;
    limits.round_robin = settings.server_round_robin;
    return limits;
}

void Hub::set_limits(DatabaseRecord& database) {
    book.limit(database.id, limit_of(database.entry.max_db_connections.value_or(config_->settings.max_db_connections)));
    for (const PoolRecord* pool : database.pools) book.limit(pool->id, limits_of(*pool));
}

void Hub::set_limits(UserRecord& user) {
    const auto entry = config_->users.find(user.name);
    user.entry = entry == config_->users.end() ? config::UserEntry{} : entry->second;
    book.limit(user.id, limit_of(user.entry.max_user_connections.value_or(config_->settings.max_user_connections)));
}

void Hub::apply(std::shared_ptr<const config::PoolerConfig> config, Instant now, Orders& orders) {
    const config::PoolerChanges changes = compare(*config_, *config);
    config_ = std::move(config);
    for (const auto& [name, user] : users) set_limits(*user);
    const auto has = [](const std::vector<std::string>& names, const std::string& name) {
        return std::ranges::find(names, name) != names.end();
    };
    for (const auto& [name, database] : databases) {
        if (database->removed) continue;
        const std::string& written_as = database->automatic ? "*" : name;
        // An entry of its own has come for what was automatic.
        const bool other_entry = database->automatic && config_->databases.contains(name);
        const auto entry = config_->databases.find(other_entry ? name : written_as);
        database->removed = entry == config_->databases.end();
        if (!database->removed) database->entry = entry->second;
        database->automatic = database->automatic && !other_entry;
        set_limits(*database);
        if (!database->removed && !other_entry && !changes.server_tls &&
            !has(changes.databases_to_reconnect, written_as))
            continue;
        for (PoolRecord* pool : database->pools) {
            pool->welcome.reset();
            pool->failure.reset();
            book.renew(pool->id, CloseReason::changed, now, orders);
        }
    }
}

config::PoolMode Hub::mode_of(const PoolRecord& pool, const UserRecord& client,
                              std::optional<config::PoolMode> listener) const {
    if (client.entry.pool_mode) return *client.entry.pool_mode;
    if (pool.database->entry.pool_mode) return *pool.database->entry.pool_mode;
    return listener.value_or(config_->settings.pool_mode);
}

std::uint64_t Hub::cancel_key_of(std::string_view bytes) {
    std::uint64_t key = 0;
    std::memcpy(&key, bytes.data(), 8);
    const char last = static_cast<char>(bytes[7] | 3);
    std::memcpy(reinterpret_cast<char*>(&key) + 7, &last, 1);
    return key;
}

std::string Hub::make_unknown_name() {
    std::string name = "PGKEEL_none";
    // Without randomness it is only unusual.
    for (const char byte : auth::random_bytes(16).value_or(""))
        name += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return name;
}

std::uint64_t Hub::new_cancel_key(ClientRef client) {
    for (;;) {
        // Without randomness nobody may guess it from the number before: then there is no key, and 0 means that.
        if (cancel_randomness.empty()) cancel_randomness = auth::random_bytes(64UL * 8).value_or("");
        if (cancel_randomness.empty()) return 0;
        std::string bytes = cancel_randomness.substr(cancel_randomness.size() - 8);
        cancel_randomness.resize(cancel_randomness.size() - 8);
        bytes[0] = static_cast<char>(bytes[0] & 0x7f);  // some clients take the first half for a process id
        if (const std::int64_t peer = config_->settings.peer_id; peer > 0) {
            bytes[1] = static_cast<char>(peer & 0xff);
            bytes[2] = static_cast<char>(peer >> 8);
        }
        bytes[7] = static_cast<char>(bytes[7] | 3);  // how many peers may pass it on
        const std::uint64_t key = cancel_key_of(bytes);
        if (key != 0 && cancel_keys.try_emplace(key, client).second) return key;
    }
}

}  // namespace pgkeel::pool
