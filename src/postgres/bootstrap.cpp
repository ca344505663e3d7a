#include "postgres/bootstrap.hpp"

#include "base/handles.hpp"
#include "config/dynamic_config.hpp"
#include "log/log.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/program_options.hpp"
#include "postgres/writers.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <filesystem>

namespace pgkeel::postgres {
namespace {

std::string quoted_identifier(const std::string& name) {
    std::string quoted = "\"";
    for (const char c : name) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + '"';
}

/// E'…' is read the same with every setting of standard_conforming_strings.
std::string quoted_literal(const std::string& text) {
    std::string quoted = "E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') quoted += c;
        quoted += c;
    }
    return quoted + '\'';
}

bool is_true(const json::object& options, std::string_view key) {
    const json::value* value = options.if_contains(key);
    return value != nullptr && config::parse_bool(*value).value_or(false);
}

std::string temporary_directory() {
    return std::filesystem::temp_directory_path().string();
}

/// A file of that name makes a server end its recovery.
Result<> remove_promote_trigger(const config::AgentConfig& agent) {
    return remove_file(agent.postgresql.data_dir + "/promote");
}

bool has_own_hba(const config::AgentConfig& agent, const json::object& dynamic) {
    const json::object section = effective_section(agent, dynamic);
    const json::value* parameters = section.if_contains("parameters");
    const bool elsewhere =
        parameters != nullptr && parameters->is_object() && parameters->get_object().contains("hba_file");
    return elsewhere || pg_hba_text(agent, dynamic, Role::primary).has_value();
}

/// recovery_conf of a custom method as settings, and which recovery it asks for.
void read_recovery_conf(const json::object& recovery_conf, Bootstrapped& made) {
    ParameterMap settings;
    std::vector<std::string> warnings;
    made.signal = is_true(recovery_conf, "standby_mode") ? Signal::standby : Signal::recovery;
    std::string action;
    for (const auto& [key, value] : recovery_conf) {
        const std::string name(key);
        if (value.is_null() || name == "standby_mode") continue;
        if (name == "pause_at_recovery_target") {
            if (const auto pause = config::parse_bool(value); pause && action.empty())
                action = *pause ? "pause" : "promote";
            continue;
        }
        if (auto valid = valid_guc(name == "trigger_file" ? "promote_trigger_file" : name, guc_text(value), warnings)) {
            if (name == "recovery_target_action") action = *valid;
            settings[name == "trigger_file" ? "promote_trigger_file" : name] = std::move(*valid);
        }
    }
    if (!action.empty()) settings["recovery_target_action"] = action;
    for (const std::string& warning : warnings) log::warning("recovery_conf: {}", warning);
    // With more connections than the backup's server had, a hot standby would refuse to replay.
    made.hot_standby_off = action == "promote";
    made.recovery_conf = std::move(settings);
}

Result<> prepare_custom(ConfigurationFiles& files, const config::AgentConfig& agent, Bootstrapped& made) {
    const json::object& options = agent.bootstrap.custom->options;
    made.custom = true;
    made.keeps_recovery_conf = is_true(options, "keep_existing_recovery_conf");
    made.hot_standby_off = made.keeps_recovery_conf;
    if (auto restored = files.restore_copies(); !restored) return restored;
    if (auto removed = remove_promote_trigger(agent); !removed) return removed;
    if (const json::value* recovery_conf = options.if_contains("recovery_conf");
        recovery_conf != nullptr && recovery_conf->is_object()) {
        const bool off = made.hot_standby_off;
        read_recovery_conf(recovery_conf->get_object(), made);
        made.hot_standby_off = made.hot_standby_off || off;
        return files.set_signal(made.signal);
    }
    if (made.keeps_recovery_conf) {
        made.signal = files.signal();
        return {};
    }
    return files.set_signal(Signal::none);
}

Result<> prepare_hba(ConfigurationFiles& files, const config::AgentConfig& agent, bool custom) {
    if (!has_own_hba(agent, agent.bootstrap.dcs))
        if (auto appended = files.append_pg_hba(agent.bootstrap.pg_hba); !appended) return appended;
    if (auto saved = files.save_copies(); !saved) return saved;
    return custom ? files.write_pg_hba(bootstrap_hba_text(agent)) : Result<>();
}

Result<SecretFile> initdb_password_file(const Programs& programs) {
    return SecretFile::create(temporary_directory(), programs.agent.postgresql.superuser.password + "\n",
                              programs.account);
}

Task<Result<>> run_initdb(const Programs& programs, Deadline deadline, Cancel* cancel) {
    const config::PgUser& superuser = programs.agent.postgresql.superuser;
    std::optional<SecretFile> password;
    if (!superuser.password.empty()) {
        auto file = co_await programs.workers.run([&programs] { return initdb_password_file(programs); });
        if (!file) co_return std::unexpected(file.error());
        password.emplace(std::move(*file));
    }
    Command command = programs.command("initdb", initdb_arguments(programs.agent, password ? password->path() : ""));
    // The locale is the cluster's: what the agent inherited, or what the options say.
    command.environment.erase("LC_ALL");
    command.environment.erase("LANG");
    mark_as_writer(command, programs.agent.postgresql.data_dir);
    auto done = co_await run_checked(programs.clock, std::move(command), deadline, cancel);
    if (!done) co_return fail("creating a new cluster", done.error());
    co_return Result<>();
}

Task<Result<>> run_custom(const Programs& programs, Deadline deadline, Cancel* cancel) {
    const config::Method& method = *programs.agent.bootstrap.custom;
    const json::value* line = method.options.if_contains("command");
    if (line == nullptr || !line->is_string())
        co_return fail(Errc::invalid_input, fmt::format("bootstrap method {} has no command", method.name));
    auto command = programs.script(guc_text(*line), custom_arguments(method, programs.agent));
    if (!command) co_return std::unexpected(command.error());
    mark_as_writer(*command, programs.agent.postgresql.data_dir);
    auto done = co_await run_checked(programs.clock, std::move(*command), deadline, cancel);
    if (!done) co_return fail(fmt::format("creating a cluster by method {}", method.name), done.error());
    co_return Result<>();
}

/// The session's statements stay out of the log, and wait for no standby: there is none yet.
constexpr const char* quiet_session[] = {
    "SET synchronous_commit TO local",
    "SET log_statement TO none",
    "SET log_min_duration_statement TO -1",
    "SET log_min_error_statement TO panic",
    "SET pg_stat_statements.track_utility TO off",
    "SET pgaudit.log TO none",
};
constexpr const char* loud_session[] = {
    "RESET pgaudit.log",
    "RESET pg_stat_statements.track_utility",
    "RESET log_min_error_statement",
    "RESET log_min_duration_statement",
    "RESET log_statement",
    "RESET synchronous_commit",
};

Task<Result<>> run_statement(RunSql sql, std::string statement) {
    auto answer = co_await sql(std::move(statement), {});
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<>();
}

Task<Result<>> create_role(RunSql sql, config::PgUser user, std::string options) {
    std::string verifier;
    if (!user.password.empty()) {
        auto encryption = co_await sql("SHOW password_encryption", {});
        if (!encryption) co_return std::unexpected(encryption.error());
        const bool known = !encryption->empty() && !encryption->front().empty() && encryption->front().front();
        auto hashed =
            password_verifier(user.username, user.password, known ? *encryption->front().front() : "scram-sha-256");
        if (!hashed) co_return std::unexpected(hashed.error());
        verifier = std::move(*hashed);
    }
    auto rows =
        co_await sql("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) $1", {user.username});
    if (!rows) co_return std::unexpected(rows.error());
    co_return co_await run_statement(sql, role_statement(!rows->empty(), user.username, verifier, options));
}

Task<Result<>> grant_rewind(RunSql sql, std::string user) {
    for (const char* function : {"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)",
                                 "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)"}) {
        auto granted = co_await run_statement(
            sql, fmt::format("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {}", function, quoted_identifier(user)));
        if (!granted) co_return granted;
    }
    co_return Result<>();
}

Task<Result<>> set_up_service_users(const config::AgentConfig& agent, RunSql sql) {
    const auto& postgresql = agent.postgresql;
    if (!postgresql.replication.username.empty()) {
        auto made = co_await create_role(sql, postgresql.replication, "REPLICATION");
        if (!made) co_return fail("setting up the replication user", made.error());
    }
    if (!postgresql.rewind.username.empty() && postgresql.rewind.username != postgresql.superuser.username) {
        auto made = co_await create_role(sql, postgresql.rewind, "");
        if (!made) co_return fail("setting up the rewind user", made.error());
        auto granted = co_await grant_rewind(sql, postgresql.rewind.username);
        if (!granted) co_return fail("setting up the rewind user", granted.error());
    }
    co_return Result<>();
}

Task<Result<>> set_up_superuser(const config::AgentConfig& agent, RunSql sql) {
    const config::PgUser& superuser = agent.postgresql.superuser;
    if (superuser.username.empty() || superuser.password.empty()) co_return Result<>();
    auto made = co_await create_role(sql, superuser, "SUPERUSER");
    if (!made) co_return fail("setting the superuser's password", made.error());
    co_return Result<>();
}

using SetUp = Task<Result<>> (*)(const config::AgentConfig&, RunSql);

Task<Result<>> quietly(const config::AgentConfig& agent, RunSql sql, SetUp set_up) {
    Result<> result;
    for (const char* statement : quiet_session)
        if (result) result = co_await run_statement(sql, statement);
    if (result) result = co_await set_up(agent, sql);
    for (const char* statement : loud_session) {
        // The outcome is decided already; a session that breaks here is opened anew by its owner.
        auto reset = co_await run_statement(sql, statement);
        if (!reset && result) log::debug("after setting up users: {}", reset.error().line());
    }
    co_return result;
}

}  // namespace

std::vector<std::string> initdb_arguments(const config::AgentConfig& agent, const std::string& password_file) {
    std::vector<std::string> arguments = {"--pgdata=" + agent.postgresql.data_dir};
    const std::vector<std::string>& options = agent.bootstrap.initdb;
    arguments.insert(arguments.end(), options.begin(), options.end());
    if (!agent.postgresql.superuser.username.empty())
        arguments.push_back("--username=" + agent.postgresql.superuser.username);
    if (!password_file.empty()) arguments.push_back("--pwfile=" + password_file);
    return arguments;
}

std::vector<std::string> custom_arguments(const config::Method& method, const config::AgentConfig& agent) {
    std::vector<std::string> arguments;
    if (!is_true(method.options, "no_params"))
        arguments = {"--scope=" + agent.scope, "--datadir=" + agent.postgresql.data_dir};
    static constexpr std::string_view ours[] = {"command",       "no_params", "keep_existing_recovery_conf",
                                                "recovery_conf", "scope",     "datadir"};
    for (const auto& [key, value] : method.options)
        if (std::ranges::find(ours, std::string_view(key)) == std::end(ours))
            arguments.push_back(fmt::format("--{}={}", std::string_view(key), argument_text(value)));
    return arguments;
}

std::string bootstrap_hba_text(const config::AgentConfig& agent) {
    const auto user = [](const std::string& name) {
        return name.empty() ? std::string("all") : quoted_identifier(name);
    };
    const std::string superuser = user(agent.postgresql.superuser.username);
    const std::string replication = user(agent.postgresql.replication.username);
    return fmt::format(
        "# Only while the cluster is being restored: this host alone, so that the agent can set the passwords.\n"
        "local all {0} trust\n"
        "local replication {1} trust\n"
        "host all {0} samehost trust\n"
        "host replication {1} samehost trust\n",
        superuser, replication);
}

Task<Result<Bootstrapped>> create_cluster_files(const Programs& programs, ConfigurationFiles& files, Deadline deadline,
                                                Cancel* cancel) {
    const config::AgentConfig& agent = programs.agent;
    const std::string& directory = agent.postgresql.data_dir;
    auto begun =
        co_await programs.workers.run([&programs, &directory] { return begin_filling(directory, programs.account); });
    if (!begun) co_return std::unexpected(begun.error());

    Bootstrapped made;
    const bool custom = agent.bootstrap.custom && agent.bootstrap.custom->options.contains("command");
    Result<> ran;
    if (custom)
        ran = co_await run_custom(programs, deadline, cancel);
    else
        ran = co_await run_initdb(programs, deadline, cancel);
    if (!ran) co_return std::unexpected(ran.error());

    auto ready = co_await programs.workers.run([&]() -> Result<> {
        if (inspect_data_directory(directory) != DataDirectory::present)
            return fail(Errc::process_failed,
                        fmt::format("bootstrap method {} left no cluster in {}", agent.bootstrap.method, directory));
        if (auto fixed = fix_permissions(directory, programs.account); !fixed) return fixed;
        if (custom)
            if (auto prepared = prepare_custom(files, agent, made); !prepared) return prepared;
        if (auto prepared = prepare_hba(files, agent, custom); !prepared) return prepared;
        return end_filling(directory);
    });
    if (!ready) co_return std::unexpected(ready.error());
    co_return made;
}

void apply_bootstrap(const Bootstrapped& made, const ConfigurationFiles& files, Parameters& parameters) {
    if (!made.custom) return;
    parameters.recovery = made.recovery_conf.value_or(ParameterMap());
    for (const auto& [name, value] : parameters.recovery) parameters.file.erase(name);
    if (made.hot_standby_off) {
        parameters.command_line["hot_standby"] = "off";
        parameters.file["hot_standby"] = "off";
    }
    parameters.file["hba_file"] = files.directory() + "/pg_hba.conf";
}

Result<> end_custom_bootstrap(ConfigurationFiles& files, const config::AgentConfig& agent,
                              const json::object& dynamic) {
    if (!pg_hba_text(agent, dynamic, Role::primary)) {
        if (auto removed = remove_file(files.directory() + "/pg_hba.conf"); !removed) return removed;
        if (auto restored = files.restore_copies(); !restored) return restored;
    }
    return files.set_signal(Signal::none);
}

std::string role_statement(bool exists, const std::string& name, const std::string& verifier,
                           const std::string& options) {
    std::string statement = fmt::format("{} ROLE {} WITH LOGIN", exists ? "ALTER" : "CREATE", quoted_identifier(name));
    if (!options.empty()) statement += ' ' + options;
    if (!verifier.empty()) statement += " PASSWORD " + quoted_literal(verifier);
    return statement;
}

Result<std::string> password_verifier(const std::string& user, const std::string& password,
                                      const std::string& encryption) {
    // libpq only wants a connection object to leave its messages in; this one never tries to connect.
    const std::unique_ptr<PGconn, FreeWith<PQfinish>> nowhere(PQconnectStart("="));
    if (!nowhere) return fail(Errc::postgres_error, "cannot hash a password: out of memory");
    const std::unique_ptr<char, FreeWith<PQfreemem>> verifier(
        PQencryptPasswordConn(nowhere.get(), password.c_str(), user.c_str(), encryption.c_str()));
    if (!verifier)
        return fail(Errc::postgres_error,
                    fmt::format("cannot hash the password of user {}: password_encryption is {}", user, encryption));
    return std::string(verifier.get());
}

Task<Result<>> set_superuser_password(const config::AgentConfig& agent, RunSql sql) {
    co_return co_await quietly(agent, std::move(sql), set_up_superuser);
}

Task<Result<>> create_service_users(const config::AgentConfig& agent, RunSql sql) {
    co_return co_await quietly(agent, std::move(sql), set_up_service_users);
}

Task<Result<>> run_post_bootstrap(const Programs& programs, Endpoint endpoint, Deadline deadline, Cancel* cancel) {
    const config::AgentConfig& agent = programs.agent;
    if (agent.bootstrap.post_bootstrap.empty()) co_return Result<>();
    const config::PgUser& superuser = agent.postgresql.superuser;
    ConnInfo dsn = conninfo_for(superuser, endpoint);
    dsn.insert(dsn.begin(), {"dbname", agent.postgresql.database});
    auto command = programs.script(agent.bootstrap.post_bootstrap, {write_conninfo(dsn)});
    if (!command) co_return fail("reading bootstrap.post_bootstrap", command.error());
    const std::string passwords = pgpass_text({endpoint, {"localhost", endpoint.port}}, {superuser});
    auto passfile = co_await programs.workers.run(
        [&] { return SecretFile::create(temporary_directory(), passwords, programs.account); });
    if (!passfile) co_return std::unexpected(passfile.error());
    command->environment["PGPASSFILE"] = passfile->path();
    command->environment["PGOPTIONS"] = "-c synchronous_commit=local -c statement_timeout=0";
    auto done = co_await run_checked(programs.clock, std::move(*command), deadline, cancel);
    if (!done) co_return fail("running bootstrap.post_bootstrap", done.error());
    co_return Result<>();
}

}  // namespace pgkeel::postgres
