#pragma once
#include "auth/scram.hpp"
#include "auth/secret_text.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/pooler.hpp"
#include "pool/parameters.hpp"
#include "pool/session_effects.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// All that a session is but its socket, for another process that goes on with it
// (docs/decisions/0006-online-restart.md). Sessions make images of themselves when nothing is under way in them. Pure.

namespace pgkeel::pool {

/// Who logs in to the servers of a pool, with what is known of that user and is not in the configuration.
struct LoginImage {
    std::string user;
    std::optional<auth::PassThrough> keys;
    auth::SecretText shown;    ///< the password that a client has sent in clear
    auth::SecretText queried;  ///< what auth_query has told, as it is stored
};

struct StatementImage {
    std::string client_name;  ///< of a client's; a server has none
    std::string server_name, query, types;
    bool in_doubt = false;
    bool operator==(const StatementImage&) const = default;
};

struct ClientImage {
    std::string database, user;
    LoginImage login;
    config::Listener listener;  ///< it came in by
    config::PoolMode mode = config::PoolMode::session;
    std::uint64_t cancel_key = 0;
    std::uint32_t number = 0;
    WallTime connected_at{};
    Instant began{}, since{};
    std::vector<Setting> settings, login_settings;  ///< in the order of their names
    std::vector<StatementImage> statements;
    PinReasons pins;
};

struct ServerImage {
    std::string database;
    LoginImage login;
    config::Route route = config::Route::configured;
    std::string origin;  ///< server_origin() of what it was made with
    std::int64_t epoch = 0;
    std::string address, connect_address, place;
    std::uint16_t port = 0;
    std::uint32_t number = 0, process_id = 0;
    std::string cancel_key;
    WallTime connected_at{};
    Instant began{}, since{};
    bool needs_reset = false, must_reset = false;
    bool is_old = false;                      ///< to be closed when its client leaves it
    std::vector<Setting> settings, reported;  ///< in the order of their names
    std::vector<StatementImage> statements;   ///< the one used last in front
    std::vector<Setting> welcome;             ///< of its pool: what a client is told that logs in; may be empty
};

/// A client, a server, or both with the client linked to the server.
struct SessionImage {
    std::optional<ClientImage> client;
    std::optional<ServerImage> server;
};

/// What it returns, and every copy of it, holds secrets.
auth::SecretText encode(const SessionImage& image);
/// Errors: invalid_input — the bytes are not exactly those of an image.
Result<SessionImage> decode_session(std::string_view bytes);

/// Stands for everything in the configuration that a server connection was made with: two that differ are no two
/// connections of one pool.
std::string server_origin(const config::PoolerConfig& config, const config::DatabaseEntry& entry);

Settings to_settings(const std::vector<Setting>& list);

}  // namespace pgkeel::pool
