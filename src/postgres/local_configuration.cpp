#include "log/log.hpp"
#include "postgres/control_data.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/local_server.hpp"
#include "postgres/passwords.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>

// Which configuration the server gets, and when it is written.

namespace pgkeel::postgres {

Role LocalServer::role_of(bool as_primary, const std::optional<Source>& source) const {
    if (as_primary) return Role::primary;
    return source && source->remote ? Role::standby_leader : Role::replica;
}

/// Before etcd was read once: what it said last time, or what it will say first.
Task<Result<>> LocalServer::load_configuration() {
    if (has_dynamic_) co_return Result<>{};
    auto cached =
        co_await workers_.run([directory = agent_.postgresql.data_dir] { return load_dynamic_cache(directory); });
    if (cached && *cached)
        dynamic_ = std::move(**cached);
    else
        dynamic_ = agent_.bootstrap.dcs;
    has_dynamic_ = true;
    co_return Result<>{};
}

Task<Parameters> LocalServer::parameters_for(Role role, std::optional<Source> source) {
    co_await load_configuration();
    ParameterInput input{
        .agent = agent_, .dynamic = dynamic_, .role = role, .control = {}, .source = std::move(source)};
    // Only a standby is bound to what its primary had, and the control file remembers it.
    if (role != Role::primary)
        if (auto control = co_await read_control_data(programs_, clock_.now() + std::chrono::seconds(5)); control)
            input.control = std::move(*control);
    if (feedback_forced_) input.overrides["hot_standby_feedback"] = "on";
    add_synchronous_standbys(role, input.overrides);
    Parameters parameters = effective_parameters(input);
    if (role != Role::primary && !source_known_ && !input.source && last_.accepts_connections) {
        // An adopted standby keeps streaming from where it does until somebody says otherwise.
        parameters.recovery["primary_conninfo"] = last_.primary_conninfo;
        parameters.recovery["primary_slot_name"] = last_.primary_slot_name;
    }
    if (parameters.warnings != warned_)
        for (const std::string& warning : parameters.warnings) log::warning("{}", warning);
    warned_ = parameters.warnings;
    co_return parameters;
}

Task<Result<bool>> LocalServer::write_configuration(Role role, Parameters parameters, std::optional<Source> source) {
    std::string passwords;
    if (source && !source->host.empty() && !agent_.postgresql.replication.password.empty()) {
        const Endpoint from{source->host, source->port};
        passwords =
            pgpass_text({from}, {co_await accepted_first(clock_, agent_.postgresql.replication, from, true, {})});
    }
    const Counted writing(writing_);
    auto written = co_await workers_.run(
        [this, role, parameters, passwords, dynamic = dynamic_]() -> Result<ConfigurationFiles::Written> {
            if (!passwords.empty())
                if (auto done = files_.write_pgpass(passwords); !done) return std::unexpected(std::move(done.error()));
            return files_.write(parameters, dynamic, role);
        });
    if (!written) co_return std::unexpected(std::move(written.error()));
    const bool changed = written->any();
    parameters_ = std::move(parameters);
    role_ = role;
    co_return changed;
}

/// Writes for the server as it runs now; true: something changed.
Task<Result<bool>> LocalServer::rewrite_running() {
    // One at a time: of two, the one that was read first could be written last.
    while (rewriting_) co_await rewritten_.wait();
    rewriting_ = true;
    const auto done = [](LocalServer* self) {
        self->rewriting_ = false;
        self->rewritten_.set();
    };
    const std::unique_ptr<LocalServer, decltype(done)> end(this, done);
    const Role role = role_of(!last_.in_recovery, source_);
    auto parameters = co_await parameters_for(role, source_);
    if (role == Role::primary) {
        // A promoted server still has the recovery targets it was started with; to take them out of its file would look
        // like a change that waits for a restart.
        auto kept = co_await sql(
            "SELECT name, setting FROM pg_settings WHERE name LIKE 'recovery\\_target%' AND source = 'configuration "
            "file'",
            {});
        if (!kept) co_return std::unexpected(std::move(kept.error()));
        for (const auto& row : *kept) parameters.recovery[row.at(0).value_or("")] = row.at(1).value_or("");
    }
    co_return co_await write_configuration(role, std::move(parameters), source_);
}

Task<> LocalServer::rewrite_when_known() {
    auto changed = co_await rewrite_running();
    if (!changed)
        log::error("PostgreSQL's configuration was not written: {}", changed.error().line());
    else if (*changed)
        reload_server(last_.postmaster_pid);
    co_await refresh_pending_restart(clock_.now() + std::chrono::seconds(2));
}

Task<Result<>> LocalServer::apply_configuration(std::string dynamic_config_json, bool force_reload) {
    boost::system::error_code error;
    json::value parsed = json::parse(dynamic_config_json, error);
    if (error || !parsed.is_object())
        co_return fail(Errc::invalid_input,
                       fmt::format("the dynamic configuration is no JSON object: {}", error.message()));
    dynamic_ = std::move(parsed.get_object());
    has_dynamic_ = true;
    auto cached = co_await workers_.run(
        [directory = agent_.postgresql.data_dir, dynamic = dynamic_, account = programs_.account] {
            return save_dynamic_cache(directory, dynamic, account);
        });
    if (!cached) log::warning("the dynamic configuration was not kept on disk: {}", cached.error().line());
    co_await refresh_abilities();
    const auto found = co_await find_server();
    // A server that is down gets its files when it is started.
    if (found.state != Postmaster::running || bootstrapped_) co_return Result<>{};
    if (!last_.accepts_connections || last_.postmaster_pid != found.pid) {
        rewrite_pending_ = true;  // is it a primary, and whom does it follow? The next observation tells
        if (force_reload) reload_server(found.pid);
        co_return Result<>{};
    }
    auto changed = co_await rewrite_running();
    if (!changed) co_return std::unexpected(std::move(changed.error()));
    if (*changed || force_reload) reload_server(found.pid);
    co_await refresh_pending_restart(clock_.now() + std::chrono::seconds(2));
    co_return Result<>{};
}

}  // namespace pgkeel::postgres
