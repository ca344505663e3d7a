#include "log/log.hpp"
#include "postgres/control_data.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/local_server.hpp"
#include "postgres/lost_wal.hpp"
#include "postgres/replica_methods.hpp"
#include "postgres/rewind.hpp"
#include "postgres/timeline_history.hpp"

// Where a node's data comes from and how it is brought back into line.

namespace pgkeel::postgres {

namespace {

/// A copy of a large database takes a day; it is ended by `cancel`, not by a clock.
constexpr Duration copy_time = std::chrono::hours(24 * 7);
/// An archive that does not answer must not keep a node down.
constexpr Duration archive_time = std::chrono::minutes(1);
constexpr Duration question_time = std::chrono::seconds(5);

Endpoint endpoint_of(const Member& member) {
    return {member.host, member.port};
}

}  // namespace

Task<Result<>> LocalServer::create_cluster() {
    Cancel& cancel = begin_operation();
    auto created = co_await create_cluster_files(programs_, files_, clock_.now() + copy_time, &cancel);
    if (!created) co_return std::unexpected(std::move(created.error()));
    bootstrapped_ = std::move(*created);
    co_return Result<>{};
}

namespace {

/// Statements on one session, because some of them are settings for those that follow.
Task<Result<SqlRows>> run_on(std::shared_ptr<Connection> session, Clock& clock, std::string statement,
                             std::vector<std::string> parameters) {
    co_return co_await session->query(std::move(statement), std::move(parameters),
                                      clock.now() + std::chrono::seconds(30));
}

}  // namespace

Task<Result<>> LocalServer::finish_bootstrap() {
    Cancel& cancel = begin_operation();
    auto opened = co_await connect("Patroni", std::chrono::milliseconds(0), clock_.now() + question_time);
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    const std::shared_ptr<Connection> session = std::move(*opened);
    const RunSql run = [session, &clock = clock_](std::string statement, std::vector<std::string> parameters) {
        return run_on(session, clock, std::move(statement), std::move(parameters));
    };
    if (auto done = co_await set_superuser_password(agent_, run); !done) co_return done;
    FileFacts facts;
    facts.postmaster = co_await find_server();
    const Endpoint endpoint = login_for(facts, "Patroni").endpoint;
    if (auto done = co_await run_post_bootstrap(programs_, endpoint, clock_.now() + copy_time, &cancel); !done)
        co_return done;
    if (auto done = co_await create_service_users(agent_, run); !done) co_return done;
    if (bootstrapped_ && bootstrapped_->custom) {
        auto ended =
            co_await workers_.run([this, dynamic = dynamic_] { return end_custom_bootstrap(files_, agent_, dynamic); });
        if (!ended) co_return ended;
    }
    bootstrapped_.reset();
    last_.in_recovery = false;
    auto changed = co_await rewrite_running();
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    reload_server(facts.postmaster.pid);
    co_await refresh_abilities();
    co_return Result<>{};
}

Task<Result<>> LocalServer::clone(std::optional<Member> source) {
    co_await load_configuration();
    Cancel& cancel = begin_operation();
    std::vector<std::string> warnings;
    const bool leads_standby_cluster =
        dynamic_.contains("standby_cluster") && (!source || source->role == Role::primary);
    auto methods = replica_methods(agent_, dynamic_, leads_standby_cluster, warnings);
    for (const std::string& warning : warnings) log::warning("{}", warning);
    std::optional<Endpoint> from;
    if (source) from = endpoint_of(*source);
    bootstrapped_.reset();
    auto created = co_await create_replica(programs_, files_, std::move(methods), std::move(from),
                                           clock_.now() + copy_time, &cancel);
    if (created) co_await refresh_abilities();
    co_return created;
}

Task<Result<>> LocalServer::remove_data(std::string keep_as) {
    const auto found = co_await find_server();
    if (found.state != Postmaster::absent)
        co_return fail(Errc::unsafe, fmt::format("cannot remove {}: its server runs", agent_.postgresql.data_dir));
    observer_.disconnect();
    co_return co_await workers_.run([directory = agent_.postgresql.data_dir, keep_as] {
        return keep_as.empty() ? wipe_data_directory(directory) : set_data_directory_aside(directory, keep_as);
    });
}

namespace {

Login replication_login(const config::AgentConfig& agent, const Member& to) {
    return {.endpoint = endpoint_of(to), .user = agent.postgresql.replication, .replication = true};
}

Task<Result<SystemIdentity>> identify_system(Connection& connection, Deadline deadline) {
    auto rows = co_await connection.query("IDENTIFY_SYSTEM", {}, deadline);
    if (!rows) co_return std::unexpected(std::move(rows.error()));
    if (rows->empty()) co_return fail(Errc::postgres_error, "IDENTIFY_SYSTEM returned nothing");
    std::vector<std::string> row;
    for (const auto& field : rows->front()) row.push_back(field.value_or(""));
    co_return parse_identify_system(row);
}

/// The leader's own word about its past, over the replication protocol.
Task<Result<LeaderHistory>> history_of(Clock& clock, const config::AgentConfig& agent, Member leader) {
    const Deadline deadline = clock.now() + question_time;
    auto connection = co_await Connection::open(clock, replication_login(agent, leader), deadline);
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    auto identity = co_await identify_system(**connection, deadline);
    if (!identity) co_return std::unexpected(std::move(identity.error()));
    LeaderHistory history{identity->timeline, {}};
    if (history.timeline.id > 1) {
        auto file =
            co_await (*connection)->query(fmt::format("TIMELINE_HISTORY {}", history.timeline.id), {}, deadline);
        if (!file) co_return std::unexpected(std::move(file.error()));
        if (file->empty() || file->front().size() < 2)
            co_return fail(Errc::postgres_error, fmt::format("timeline {} has no history", history.timeline.id));
        auto entries = parse_timeline_history(file->front()[1].value_or(""));
        if (!entries) co_return std::unexpected(std::move(entries.error()));
        history.entries = std::move(*entries);
    }
    co_return history;
}

/// Only a primary's history is worth comparing with: a standby may still change its own.
Task<Result<>> must_be_primary(Clock& clock, const config::AgentConfig& agent, Member leader) {
    const Deadline deadline = clock.now() + question_time;
    Login login{.endpoint = endpoint_of(leader), .user = rewind_user(agent), .database = agent.postgresql.database};
    auto connection = co_await Connection::open(clock, std::move(login), deadline);
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    auto rows = co_await (*connection)->query("SELECT pg_is_in_recovery()", {}, deadline);
    if (!rows) co_return std::unexpected(std::move(rows.error()));
    if (rows->empty() || rows->front()[0] != "f")
        co_return fail(Errc::unavailable, fmt::format("{} is still in recovery", leader.name));
    co_return Result<>{};
}

/// What pg_rewind has made is consistent once it has replayed all up to where the primary would have put its next
/// record. Behind a segment that was just ended that is past a header which nobody writes before there is a record:
/// without one a standby of an idle primary would accept no connections for a long while.
Task<Result<>> write_a_record(Clock& clock, const config::AgentConfig& agent, Member leader) {
    const Deadline deadline = clock.now() + question_time;
    Login login{.endpoint = endpoint_of(leader), .user = rewind_user(agent), .database = agent.postgresql.database};
    auto connection = co_await Connection::open(clock, std::move(login), deadline);
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    // It waits for no synchronous standby: this node may be the only one.
    for (const char* sql :
         {"SET synchronous_commit = local", "SELECT pg_logical_emit_message(true, 'pgkeel', 'a node was rewound')"})
        if (auto done = co_await (*connection)->query(sql, {}, deadline); !done)
            co_return std::unexpected(std::move(done.error()));
    co_return Result<>{};
}

/// `leader` with the one of its hosts that is the primary: the other cluster of a standby cluster may name several.
Task<Result<Member>> primary_among(Clock& clock, const config::AgentConfig& agent, Member leader) {
    const auto hosts = split_commas(leader.host), ports = split_commas(leader.port);
    Result<Member> found = fail(Errc::invalid_input, fmt::format("{} has no address", leader.name));
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        leader.host = hosts[i];
        leader.port = i < ports.size() ? ports[i] : ports.front();
        const auto primary = co_await must_be_primary(clock, agent, leader);
        if (primary) co_return leader;
        found = fail(fmt::format("asking {}", leader.name), primary.error());
    }
    co_return found;
}

}  // namespace

Task<Result<Server::Divergence>> LocalServer::compare_history(Member source, ServerState here) {
    auto primary = co_await primary_among(clock_, agent_, std::move(source));
    if (!primary) co_return std::unexpected(std::move(primary.error()));
    const Member leader = std::move(*primary);
    auto theirs = co_await history_of(clock_, agent_, leader);
    if (!theirs) co_return fail(fmt::format("comparing with {}", leader.name), std::move(theirs.error()));
    std::optional<LocalHistory> ours;
    std::optional<ControlData> control;
    if (here.accepts_connections) {
        ours = LocalHistory{.timeline = here.timeline,
                            .position = here.in_recovery ? here.replayed : here.written,
                            .was_primary = !here.in_recovery,
                            .checkpoint_end = {}};
    } else {
        auto read = co_await read_control_data(programs_, clock_.now() + question_time);
        if (!read) co_return std::unexpected(std::move(read.error()));
        control = std::move(*read);
        ours = local_history(*control);
    }
    if (!ours) co_return fail(Errc::not_found, "this node's own timeline and position are not known");
    if (control && wants_checkpoint_end(*ours, *theirs))
        ours->checkpoint_end = co_await shutdown_checkpoint_end(programs_, ours->timeline, control->checkpoint,
                                                                clock_.now() + std::chrono::seconds(30));
    const RewindNeed need = needs_rewind(*ours, *theirs);
    if (!need.needed) co_return fail(Errc::not_found, fmt::format("cannot compare with {}: {}", leader.name, need.why));
    Divergence found{*need.needed, need.why};
    if (found.needs_rewind) {
        const auto lines = co_await timeline_history(ours->timeline);
        if (lines)
            found.lost = lost_wal(*lines, *ours, *theirs).value_or(LostWal{});
        else
            log::warning("what this node has alone is not known: {}", lines.error().line());
    }
    co_return found;
}

Task<Result<std::string>> LocalServer::system_identifier_of(Member source) {
    const Deadline deadline = clock_.now() + question_time;
    auto connection = co_await Connection::open(clock_, replication_login(agent_, source), deadline);
    if (!connection) co_return std::unexpected(std::move(connection.error()));
    auto identity = co_await identify_system(**connection, deadline);
    if (!identity) co_return std::unexpected(std::move(identity.error()));
    co_return std::move(identity->system_identifier);
}

Task<Result<Server::KeptWal>> LocalServer::keep_lost_wal(LostWal lost) {
    if (lost.bytes() == 0) co_return KeptWal{};
    const std::string& data = agent_.postgresql.data_dir;
    const KeepRequest request{
        .lost = lost,
        .pg_wal = data + "/pg_wal",
        .directory = agent_.lost_wal_dir.empty() ? data + "_lost_wal" : agent_.lost_wal_dir,
        .bytes_max = static_cast<std::uint64_t>(agent_.lost_wal_max_megabytes) << 20,
        .account = programs_.account,
    };
    KeptWal kept;
    if (agent_.lost_wal_max_megabytes == 0) {
        kept.why_not = "lost_wal_max_size is 0";
    } else {
        auto copied = co_await workers_.run([&request] { return postgres::keep_lost_wal(request); });
        // Who says that it is required prefers a node that waits for its operator.
        if (!copied && agent_.lost_wal_required)
            co_return fail(Errc::unsafe, "pgkeel.lost_wal_required: " + copied.error().text,
                           "make room, or set pgkeel.lost_wal_required to false and reload");
        if (copied)
            kept = std::move(*copied);
        else
            kept.why_not = copied.error().line();
    }
    if (lost.timeline != lost.last_timeline) co_return kept;
    // Reading the copy proves that it can be read.
    const std::string& place = kept.whole && !kept.directory.empty() ? kept.directory : request.pg_wal;
    auto shown =
        co_await run(clock_,
                     programs_.command("pg_waldump", {"--path=" + place, fmt::format("--timeline={}", lost.timeline.id),
                                                      "--start=" + to_string(lost.begin), "--rmgr=XLOG"}),
                     clock_.now() + std::chrono::seconds(30));
    const auto end = shown ? end_of_own_wal(shown->output, lost.begin) : std::nullopt;
    if (!end)
        log::warning(
            "pg_waldump does not show where this node's own WAL behind {} ends: up to a segment of what is told as "
            "lost may be empty",
            to_string(lost.begin));
    kept.end = end.value_or(Lsn{});
    co_return kept;
}

/// With the command of the files as they would be written now: what only this node has completed must not be lost with
/// it.
Task<Result<int>> LocalServer::archive_completed_wal(const Parameters& parameters, Deadline deadline, Cancel& cancel) {
    co_return co_await archive_ready_segments(programs_, archive_command_of(parameters), deadline, &cancel);
}

Task<Result<>> LocalServer::rewind(Member from) {
    if ((co_await find_server()).state != Postmaster::absent)
        co_return fail(Errc::unsafe, "cannot rewind a server that runs");
    auto primary = co_await primary_among(clock_, agent_, std::move(from));
    if (!primary) co_return std::unexpected(std::move(primary.error()));
    const Member leader = std::move(*primary);
    Cancel& cancel = begin_operation();
    const Deadline deadline = clock_.now() + copy_time;
    const Source source{.name = leader.name, .host = leader.host, .port = leader.port, .slot_name = {}};
    auto parameters = co_await parameters_for(role_of(false, source), source);
    if (const auto archived = co_await archive_completed_wal(parameters, clock_.now() + archive_time, cancel);
        !archived)
        log::warning("not all WAL was archived before the rewind: {}", archived.error().line());
    const auto restore = parameters.recovery.find("restore_command");
    RewindRequest request{endpoint_of(leader), dynamic_,
                          restore == parameters.recovery.end() ? std::string() : restore->second};
    auto done = co_await run_rewind(programs_, files_, std::move(request), deadline, &cancel);
    observer_.want_control();
    if (done)
        if (const auto written = co_await write_a_record(clock_, agent_, leader); !written)
            log::warning("this node may wait for the next record of {}'s WAL: {}", leader.name, written.error().line());
    co_return done;
}

Task<Result<>> LocalServer::recover_single_user() {
    if ((co_await find_server()).state != Postmaster::absent)
        co_return fail(Errc::unsafe, "cannot recover a server that runs in single-user mode");
    Cancel& cancel = begin_operation();
    auto parameters = co_await parameters_for(Role::primary, std::nullopt);
    // As a standby this server archives nothing: what only it has completed would be a hole in the archive for ever.
    const auto archived = co_await archive_completed_wal(parameters, clock_.now() + archive_time, cancel);
    if (!archived) log::warning("not all completed WAL was archived: {}", archived.error().line());
    co_return co_await postgres::recover_single_user(programs_, files_, parameters, clock_.now() + copy_time, &cancel);
}

Task<Result<std::vector<HistoryEntry>>> LocalServer::timeline_history(Timeline timeline) {
    if (timeline.id <= 1) co_return std::vector<HistoryEntry>{};
    const std::string path = agent_.postgresql.data_dir + "/pg_wal/" + history_file_name(timeline);
    auto text = co_await workers_.run([path] { return read_file(path); });
    if (!text) co_return std::unexpected(std::move(text.error()));
    co_return parse_timeline_history(*text);
}

}  // namespace pgkeel::postgres
