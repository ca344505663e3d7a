#pragma once
#include "auth/auth_file.hpp"
#include "auth/hba.hpp"
#include "auth/ident_maps.hpp"
#include "auth/mock_verifiers.hpp"
#include "auth/scram.hpp"
#include "config/pooler.hpp"
#include "pgwire/backend_builders.hpp"
#include "pool/book.hpp"
#include "pool/parameters.hpp"
#include "pool/places.hpp"
#include "pool/statements.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>

// What all threads share: databases, users, pools, and the book of their servers, behind one mutex. Records live as
// long as the hub: a database that is gone and comes again is the same record.

namespace pgkeel::pool {

/// Who may log in how: the files that the configuration names. Unchanging; a reload makes a new one.
struct Access {
    auth::Users users;
    std::optional<auth::Hba> hba;
    auth::IdentMaps ident_maps;
};

struct UserRecord {
    std::string name;
    UserId id{};
    config::UserEntry entry;
    std::size_t clients = 0;
    /// What auth_query has told last; the auth file comes first.
    std::optional<auth::Secret> queried;
    /// Of the last client that has logged in by SCRAM: they log in to servers, too. Dropped when one refuses them.
    std::shared_ptr<const auth::PassThrough> keys;
    /// Made of a plain secret, which is expensive; for that very secret.
    std::shared_ptr<const auth::ScramVerifier> verifier;
    auth::SecretText verifier_for;
    /// The password that a client has shown in clear, for its own servers (auth_type plain with a hashed secret).
    auth::SecretText shown;
};

struct PoolRecord;

struct DatabaseRecord {
    std::string name;
    DatabaseId id{};
    config::DatabaseEntry entry;
    bool automatic = false;  ///< made of the entry "*"
    bool removed = false;    ///< from the configuration
    bool disabled = false;
    bool paused = false;
    std::size_t clients = 0;
    Instant last_used{};
    std::vector<PoolRecord*> pools;
};

/// What every server of a pool says at its login, as far as clients are to know it.
struct Welcome {
    std::vector<Setting> reported;  ///< every ParameterStatus, in the server's order
    Settings tracked;               ///< of those, what a session may change
};

struct PoolRecord {
    PoolId id{};
    DatabaseRecord* database = nullptr;
    UserRecord* user = nullptr;  ///< who logs in to the server
    config::Route route = config::Route::configured;
    std::shared_ptr<const Welcome> welcome;
    std::size_t clients = 0;    ///< that have this pool
    bool is_forgotten = false;  ///< it was not used for pool_idle_timeout
    Instant last_used{};
    std::size_t next_host = 0;
    std::map<std::string, std::size_t> servers_at;   ///< places of the cluster, by name
    std::map<std::string, Instant> place_failed_at;  ///< the last login there that came to nothing
    /// Why the last login failed; empty when it succeeded.
    std::optional<pgwire::backend::Report> failure;
    Instant failed_at{};
    Instant last_expiry{};  ///< of a server whose lifetime was over
};

enum class Phase {
    running,
    waiting_for_servers,  ///< nobody waits any more; linked clients finish their transaction
    waiting_for_clients,  ///< nobody new; clients stay as long as they like
    ending,
};

class Hub {
  public:
    Hub(std::shared_ptr<const config::PoolerConfig> config, std::shared_ptr<const Access> access,
        auth::MockVerifiers mocks)
        : statements("PGKEEL_"),
          mock_verifiers(std::move(mocks)),
          config_(std::move(config)),
          access_(std::move(access)) {}

    // ---- under the mutex
    std::mutex mutex;
    Book book;
    std::map<std::string, std::unique_ptr<DatabaseRecord>, std::less<>> databases;
    std::map<std::string, std::unique_ptr<UserRecord>, std::less<>> users;
    std::map<std::tuple<DatabaseRecord*, UserRecord*, config::Route>, std::unique_ptr<PoolRecord>> pools;
    std::size_t clients = 0;  ///< logged in or logging in, the console's not counted
    std::size_t console_clients = 0;
    bool paused = false;  ///< all of it
    Phase phase = Phase::running;
    std::unordered_map<std::uint64_t, ClientRef> cancel_keys;
    std::string cancel_randomness;  ///< for the next keys: the generator is asked for many at a time

    std::shared_ptr<const config::PoolerConfig> config() const { return config_; }
    std::shared_ptr<const Access> access() const { return access_; }

    /// The record of a database that may be used: configured, or by "*". Null: there is none.
    DatabaseRecord* find_database(std::string_view name, Instant now, bool& registered);
    /// Made if need be: whoever has a pool, also users of auth_query and forced ones.
    UserRecord& user(std::string_view name);
    PoolRecord& pool(DatabaseRecord& database, UserRecord& user, config::Route route);
    /// Databases, users and limits as `config` says. Servers that would be made otherwise now are to be closed.
    void apply(std::shared_ptr<const config::PoolerConfig> config, Instant now, Orders& orders);
    void apply(std::shared_ptr<const Access> access) { access_ = std::move(access); }

    /// Where the databases without hosts are, by route; without a cluster there are none.
    std::map<config::Route, Places> places;
    /// New places: what has none waits, and servers of an older epoch are closed.
    void set_places(config::Route route, Places now_at, Instant now, Orders& orders);
    /// The place with the fewest servers of this pool, those preferred first; one where a login has just failed only
    /// when there is no other. Null: there is none now.
    const Place* choose(const PoolRecord& pool, Instant now) const;
    /// What a client of this listener wants of this database.
    config::Route route_of(const DatabaseRecord& database, config::Route listener) const;

    config::PoolMode mode_of(const PoolRecord& pool, const UserRecord& client,
                             std::optional<config::PoolMode> listener) const;
    std::uint64_t new_cancel_key(ClientRef client);
    /// Of its eight bytes. How often a request was passed on between peers makes no difference.
    static std::uint64_t cancel_key_of(std::string_view bytes);

    // ---- any time
    std::atomic<std::uint32_t> numbers{0};  ///< of clients and servers, for people
    Statements statements;
    /// The name of a statement that no server has, and no client can guess.
    const std::string unknown_statement = make_unknown_name();
    const auth::MockVerifiers mock_verifiers;

  private:
    static std::string make_unknown_name();
    PoolLimits limits_of(const PoolRecord& pool) const;
    void set_limits(DatabaseRecord& database);
    void set_limits(UserRecord& user);

    std::shared_ptr<const config::PoolerConfig> config_;
    std::shared_ptr<const Access> access_;
};

/// A count whose 0 means that there is no limit.
std::optional<std::size_t> limit_of(std::int64_t count);

}  // namespace pgkeel::pool
