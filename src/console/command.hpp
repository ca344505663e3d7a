#pragma once
#include "base/result.hpp"
#include "config/pooler.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The commands of the admin console: those of PgBouncer 1.25, with its words for what is wrong with them. SHOW FDS is
// not among them, because its answer holds passwords and keys.

namespace pgkeel::console {

enum class Kind : std::uint8_t {
    show_active_sockets,
    show_clients,
    show_config,
    show_databases,
    show_dns_hosts,
    show_dns_zones,
    show_help,
    show_lists,
    show_mem,
    show_peer_pools,
    show_peers,
    show_pools,
    show_servers,
    show_sockets,
    show_state,
    show_stats,
    show_stats_averages,
    show_stats_totals,
    show_totals,
    show_users,
    show_version,
    show_parameter,  ///< of the session: `argument` is its name, `value` its fixed value
    set_parameter,   ///< of the session: allowed and without effect, with the notice "SET ignored"
    set,             ///< the setting `argument` to `value`
    reload,
    pause,
    resume,
    reconnect,
    kill,
    kill_client,
    disable,
    enable,
    wait_close,
    suspend,
    shutdown,
    shutdown_wait_for_servers,
    shutdown_wait_for_clients,
};
inline constexpr std::size_t kinds = static_cast<std::size_t>(Kind::shutdown_wait_for_clients) + 1;

struct Command {
    Kind kind = Kind::show_help;
    std::string argument{};       ///< a database's name, as written, empty for all; or what the kind says
    std::string value{};          ///< of set
    std::uint64_t client_id = 0;  ///< of kill_client: column `id` of SHOW CLIENTS
    bool own_columns = false;     ///< what PgBouncer does not tell follows its columns
    bool operator==(const Command&) const = default;
};

/// A few bytes can ask for many: what one Query may cost is limited.
inline constexpr std::size_t query_bytes_max = 65'536, commands_max = 100;

/// The commands of one Query; none for an empty one. `SELECT x` is `SHOW x`.
/// Errors: invalid_input, for the first command that is none; then none of them may run.
Result<std::vector<Command>> parse(std::string_view sql);

/// What a user may do.
enum class Access { none, stats, admin };
/// The access that a kind needs. Whatever is not expressly for stats users needs admin.
Access access_needed(Kind kind);
/// Errors: denied.
Result<> permit(Kind kind, Access has);
/// What `user` may do after it has logged in.
/// \param is_us  came through a Unix socket, from a process of the user that we run as
Access access_of(const config::PoolerSettings& settings, std::string_view user, bool is_us);

/// The answer is a table.
bool has_rows(Kind kind);
/// The tag of CommandComplete, as in PgBouncer: "SHOW", "PAUSE", "SET pool_mode=session".
std::string tag(const Command& command);

}  // namespace pgkeel::console
