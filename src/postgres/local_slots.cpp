#include "log/log.hpp"
#include "postgres/local_server.hpp"
#include "postgres/rewind.hpp"
#include "postgres/slot_files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

// Replication slots: made, moved on and dropped here; logical ones brought from the primary.

namespace pgkeel::postgres {

namespace {

/// The primary's slots by name. The rewind user may read the files: it has the rights that pg_rewind needs.
constexpr const char* slots_query =
    "SELECT s.slot_name, d.datname, s.plugin, s.catalog_xmin::text::bigint, s.confirmed_flush_lsn,"
    " CASE WHEN $2::bool AND s.slot_type = 'logical' THEN"
    "  pg_catalog.encode(pg_catalog.pg_read_binary_file('pg_replslot/' || s.slot_name || '/state'), 'hex') END"
    " FROM pg_catalog.pg_get_replication_slots() s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.datoid"
    " WHERE NOT pg_catalog.pg_is_in_recovery() AND s.slot_name = ANY ($1::name[])";

/// A transaction that runs for long keeps a new logical slot waiting, and a busy one keeps us decoding.
constexpr Duration logical_slot_time = std::chrono::minutes(10);

Result<PrimarysSlot> read_slot(const std::vector<std::optional<std::string>>& row) {
    PrimarysSlot slot{.name = row[0].value_or(""), .database = row[1].value_or(""), .plugin = row[2].value_or("")};
    if (row[3]) std::from_chars(row[3]->data(), row[3]->data() + row[3]->size(), slot.catalog_xmin);
    if (row[4]) slot.confirmed_flush = parse_lsn(*row[4]).value_or(Lsn{});
    if (!row[5]) return slot;
    auto state = bytes_of_hex(*row[5]);
    if (!state) return fail(Errc::invalid_input, fmt::format("the file of slot {} came as no hex text", slot.name));
    slot.state = std::move(*state);
    return slot;
}

}  // namespace

Task<Result<>> LocalServer::create_slot(std::string name) {
    // Immediately reserved: a standby that comes for it later must find its WAL.
    auto done = co_await sql("SELECT pg_catalog.pg_create_physical_replication_slot($1, true)", {name});
    if (!done && done.error().code != Errc::already_exists)
        co_return fail(fmt::format("creating replication slot {}", name), std::move(done.error()));
    co_return Result<>{};
}

Task<Result<>> LocalServer::drop_slot(std::string name) {
    auto done = co_await sql("SELECT pg_catalog.pg_drop_replication_slot($1)", {name});
    if (!done && done.error().code != Errc::not_found)
        co_return fail(fmt::format("dropping replication slot {}", name), std::move(done.error()));
    co_return Result<>{};
}

Task<Result<>> LocalServer::advance_slot(std::string name, std::string database, Lsn to) {
    const char* statement = "SELECT pg_catalog.pg_replication_slot_advance($1, $2)";
    Result<SqlRows> done = SqlRows{};
    if (database.empty()) {
        done = co_await sql(statement, {name, to_string(to)});
    } else {
        auto connection =
            co_await connect("Patroni", std::chrono::milliseconds(0), clock_.now() + std::chrono::seconds(3), database);
        done = connection
                   ? co_await (*connection)->query(statement, {name, to_string(to)}, clock_.now() + logical_slot_time)
                   : Result<SqlRows>(std::unexpected(std::move(connection.error())));
    }
    if (done) co_return Result<>{};
    Error error = std::move(done.error());
    constexpr std::string_view undefined_file = "58P01";
    if (error.text.contains(undefined_file)) error.code = Errc::not_found;
    co_return fail(fmt::format("advancing replication slot {}", name), std::move(error));
}

Task<Result<>> LocalServer::create_logical_slot(std::string name, std::string database, std::string plugin) {
    auto connection =
        co_await connect("Patroni", std::chrono::milliseconds(0), clock_.now() + std::chrono::seconds(3), database);
    auto done = connection ? co_await (*connection)
                                 ->query("SELECT pg_catalog.pg_create_logical_replication_slot($1, $2)", {name, plugin},
                                         clock_.now() + logical_slot_time)
                           : Result<SqlRows>(std::unexpected(std::move(connection.error())));
    if (!done && done.error().code != Errc::already_exists)
        co_return fail(fmt::format("creating logical replication slot {} in database {}", name, database),
                       std::move(done.error()));
    co_return Result<>{};
}

Task<Result<std::vector<PrimarysSlot>>> LocalServer::slots_of(Member leader, std::vector<std::string> names,
                                                              bool with_state) {
    const Deadline deadline = clock_.now() + std::chrono::seconds(5);
    Login login{
        .endpoint = {leader.host, leader.port}, .user = rewind_user(agent_), .database = agent_.postgresql.database};
    auto connection = co_await Connection::open(clock_, std::move(login), deadline);
    auto rows =
        connection
            ? co_await (*connection)
                  ->query(slots_query, {fmt::format("{{{}}}", fmt::join(names, ",")), with_state ? "t" : "f"}, deadline)
            : Result<SqlRows>(std::unexpected(std::move(connection.error())));
    if (!rows) co_return fail(fmt::format("reading the slots of {}", leader.name), std::move(rows.error()));
    std::vector<PrimarysSlot> slots;
    for (const auto& row : *rows) {
        auto slot = read_slot(row);
        if (!slot) co_return std::unexpected(std::move(slot.error()));
        slots.push_back(std::move(*slot));
    }
    co_return slots;
}

Task<Result<>> LocalServer::install_slots(std::vector<PrimarysSlot> slots) {
    if ((co_await find_server()).state != Postmaster::absent)
        co_return fail(Errc::unsafe, "cannot write slots into the directory of a server that runs");
    co_return co_await workers_.run(
        [slots = std::move(slots), directory = agent_.postgresql.data_dir, account = programs_.account]() -> Result<> {
            for (const PrimarysSlot& slot : slots)
                if (auto written = write_slot_file(directory, slot.name, slot.state, account); !written) return written;
            return {};
        });
}

Task<Result<>> LocalServer::force_hot_standby_feedback(bool forced) {
    if (std::exchange(feedback_forced_, forced) == forced) co_return Result<>{};
    if (!last_.accepts_connections) co_return Result<>{};
    auto changed = co_await rewrite_running();
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    if (*changed) reload_server(last_.postmaster_pid);
    co_return Result<>{};
}

}  // namespace pgkeel::postgres
