#include "postgres/state_query.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <charconv>

namespace pgkeel::postgres {

namespace json = boost::json;

// The functions behind the views pg_stat_replication, pg_stat_wal_receiver and pg_replication_slots: the views join
// more than we use. A standby without a wal receiver knows its timeline from the control file only.
const char* const state_query = R"(SELECT r.recovering,
 CASE WHEN r.recovering
  THEN COALESCE(w.received_tli, (SELECT GREATEST(c.timeline_id, m.min_recovery_end_timeline)
                                 FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() m))
  ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8))::bit(32)::int END,
 CASE WHEN NOT r.recovering THEN pg_catalog.pg_current_wal_flush_lsn() END,
 CASE WHEN r.recovering THEN pg_catalog.pg_last_wal_receive_lsn() END,
 CASE WHEN r.recovering THEN pg_catalog.pg_last_wal_replay_lsn() END,
 CASE WHEN r.recovering THEN w.latest_end_lsn END,
 CASE WHEN r.recovering THEN
  pg_catalog.to_char(pg_catalog.pg_last_xact_replay_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00' END,
 CASE WHEN r.recovering THEN pg_catalog.pg_is_wal_replay_paused() END,
 w.status,
 pg_catalog.current_setting('primary_conninfo', true),
 pg_catalog.current_setting('primary_slot_name', true),
 pg_catalog.current_setting('restore_command', true) <> '',
 pg_catalog.pg_conf_load_time(),
 (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
    s.pid, pg_catalog.pg_get_userbyid(a.usesysid), a.application_name, pg_catalog.host(a.client_addr), s.state, s.sync_state,
    s.sync_priority, s.sent_lsn, s.write_lsn, s.flush_lsn, s.replay_lsn))
  FROM pg_catalog.pg_stat_get_wal_senders() s, LATERAL pg_catalog.pg_stat_get_activity(s.pid) a),
 (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
    p.slot_name, p.slot_type, p.active, d.datname, p.plugin, p.restart_lsn, p.confirmed_flush_lsn,
    p.xmin IS NOT NULL, p.wal_status, p.catalog_xmin::text::bigint, pg_catalog.to_jsonb(p)->'failover'))
  FROM pg_catalog.pg_get_replication_slots() p LEFT JOIN pg_catalog.pg_database d ON d.oid = p.datoid
  WHERE NOT p.temporary),
 pg_catalog.current_setting('synchronous_standby_names'),
 pg_catalog.current_setting('synchronous_commit'),
 CASE WHEN r.recovering THEN
  (SELECT a.wait_event FROM pg_catalog.pg_stat_get_activity(NULL) a WHERE a.backend_type = 'startup') END
FROM pg_catalog.pg_is_in_recovery() r(recovering), pg_catalog.pg_stat_get_wal_receiver() w)";

const char* const identity_query =
    "SELECT pg_catalog.to_char(pg_catalog.pg_postmaster_start_time(), 'YYYY-MM-DD HH24:MI:SS.US') || '+00:00',"
    " system_identifier FROM pg_catalog.pg_control_system()";

namespace {

using Field = std::optional<std::string>;

std::string text(const Field& field) {
    return field.value_or("");
}
bool flag(const Field& field) {
    return field == "t";
}
Lsn lsn(const Field& field) {
    return field ? parse_lsn(*field).value_or(Lsn{}) : Lsn{};
}

std::string text(const json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : std::string();
}
Lsn lsn(const json::value& value) {
    return parse_lsn(text(value)).value_or(Lsn{});
}
bool flag(const json::value& value) {
    return value.is_bool() && value.get_bool();
}

/// The rows of a json_agg(json_build_array(…)) with `columns` each; NULL is no rows.
Result<json::array> rows_of(const Field& field, std::size_t columns) {
    if (!field) return json::array{};
    boost::system::error_code error;
    json::value parsed = json::parse(*field, error);
    if (error || !parsed.is_array())
        return fail(Errc::invalid_input, "PostgreSQL's state holds a list that cannot be read");
    for (const json::value& row : parsed.get_array())
        if (!row.is_array() || row.get_array().size() != columns)
            return fail(Errc::invalid_input, "PostgreSQL's state holds a list whose rows have the wrong length");
    return std::move(parsed.get_array());
}

ReplicationClient replication_client(const json::array& row) {
    ReplicationClient client;
    client.pid = row[0].is_int64() ? static_cast<int>(row[0].get_int64()) : 0;
    client.usename = text(row[1]);
    client.application_name = text(row[2]);
    client.client_addr = text(row[3]);
    client.state = text(row[4]);
    client.sync_state = text(row[5]);
    client.sync_priority = row[6].is_int64() ? static_cast<int>(row[6].get_int64()) : 0;
    client.sent = lsn(row[7]);
    client.written = lsn(row[8]);
    client.flushed = lsn(row[9]);
    client.replayed = lsn(row[10]);
    return client;
}

Slot slot(const json::array& row) {
    Slot result;
    result.name = text(row[0]);
    result.physical = text(row[1]) == "physical";
    result.active = flag(row[2]);
    result.database = text(row[3]);
    result.plugin = text(row[4]);
    result.restart_lsn = lsn(row[5]);
    result.confirmed_flush_lsn = lsn(row[6]);
    result.has_xmin = flag(row[7]);
    result.wal_status = text(row[8]);
    if (row[9].is_int64()) result.catalog_xmin = static_cast<std::uint32_t>(row[9].get_int64());
    result.failover = flag(row[10]);
    return result;
}

}  // namespace

Result<StateAnswer> read_state(const SqlRows& rows) {
    if (rows.size() != 1 || rows[0].size() != 18 || !rows[0][0])
        return fail(Errc::invalid_input,
                    fmt::format("PostgreSQL answered the question for its state with {} rows", rows.size()));
    const auto& row = rows[0];
    StateAnswer answer;
    ServerState& state = answer.state;
    state.in_recovery = flag(row[0]);
    if (const std::string id = text(row[1]); !id.empty())
        std::from_chars(id.data(), id.data() + id.size(), state.timeline.id);
    state.written = lsn(row[2]);
    state.received = lsn(row[3]);
    state.replayed = lsn(row[4]);
    state.latest_end = lsn(row[5]);
    state.replayed_timestamp = text(row[6]);
    state.replay_paused = flag(row[7]);
    const std::string receiver = text(row[8]);
    state.wal_receiver_active = state.in_recovery && !receiver.empty();
    state.primary_conninfo = text(row[9]);
    state.primary_slot_name = text(row[10]);
    const bool has_archive = flag(row[11]);
    if (state.in_recovery)
        state.replication_state = receiver == "streaming" ? receiver : has_archive ? "in archive recovery" : "";
    answer.conf_load_time = text(row[12]);
    const auto clients = rows_of(row[13], 11);
    if (!clients) return std::unexpected(clients.error());
    for (const json::value& client : *clients) state.replication.push_back(replication_client(client.get_array()));
    const auto slots = rows_of(row[14], 11);
    if (!slots) return std::unexpected(slots.error());
    for (const json::value& one : *slots) state.slots.push_back(slot(one.get_array()));
    state.synchronous_standby_names = text(row[15]);
    state.synchronous_commit = text(row[16]);
    // Streaming is asked for when what is there has been read; without a source recovery waits and looks again.
    const std::string startup = text(row[17]);
    state.knows_its_wal_end = !state.in_recovery || state.received || startup == "RecoveryRetrieveRetryInterval" ||
                              startup == "RecoveryWalStream";
    return answer;
}

Result<> read_identity(const SqlRows& rows, ServerState& state) {
    if (rows.size() != 1 || rows[0].size() != 2) return fail(Errc::invalid_input, "PostgreSQL did not say who it is");
    state.postmaster_start_time = text(rows[0][0]);
    state.system_identifier = text(rows[0][1]);
    return {};
}

}  // namespace pgkeel::postgres
