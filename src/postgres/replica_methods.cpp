#include "postgres/replica_methods.hpp"

#include "config/dynamic_config.hpp"
#include "log/log.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/passwords.hpp"
#include "postgres/program_options.hpp"
#include "postgres/writers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::postgres {
namespace {

constexpr int basebackup_tries = 2;
constexpr std::chrono::seconds basebackup_pause{5};

bool is_true(const json::object& options, std::string_view key) {
    const json::value* value = options.if_contains(key);
    return value != nullptr && config::parse_bool(*value).value_or(false);
}

ReplicaMethod basebackup_method(const json::value* options, std::vector<std::string>& warnings) {
    ReplicaMethod method;
    method.name = "basebackup";
    method.basebackup = true;
    for (std::string& argument :
         program_options(options, "pg_basebackup",
                         {"pgdata", "format", "wal-method", "xlog-method", "gzip", "version", "help", "dbname", "host",
                          "port", "username", "password", "no-password", "target"},
                         warnings)) {
        // What the client compresses is an archive, not a data directory.
        if (argument.starts_with("--compress") && !argument.starts_with("--compress=server-")) {
            warnings.push_back(fmt::format("option {} of pg_basebackup: only server-… makes a data directory, dropped",
                                           argument.substr(2)));
            continue;
        }
        method.arguments.push_back(std::move(argument));
    }
    return method;
}

ReplicaMethod script_method(const std::string& name, const json::value* section) {
    ReplicaMethod method;
    method.name = method.command = name;
    if (section == nullptr || !section->is_object()) return method;
    const json::object& options = section->get_object();
    method.no_leader = is_true(options, "no_leader");
    method.keep_data = is_true(options, "keep_data");
    method.no_params = is_true(options, "no_params");
    for (const auto& [key, value] : options) {
        if (key == "command") {
            method.command = guc_text(value);
            continue;
        }
        if (key == "scope" || key == "role" || key == "datadir" || key == "connstring") {
            if (!method.no_params) continue;
        }
        if (method.no_params && (key == "no_params" || key == "no_leader" || key == "keep_data")) continue;
        method.arguments.push_back(fmt::format("--{}={}", std::string_view(key), argument_text(value)));
    }
    return method;
}

/// What every try of every method needs.
struct Copy {
    const Programs& programs;
    std::string directory;
    std::string connection;  ///< without the password; empty without a source
    std::string passfile;
    Deadline deadline;
    Cancel* cancel;
};

Command for_copying(Command command, const Copy& copy) {
    mark_as_writer(command, copy.directory);
    if (!copy.passfile.empty()) command.environment["PGPASSFILE"] = copy.passfile;
    return command;
}

Result<> make_room(const std::string& directory, Account account) {
    if (inspect_data_directory(directory) != DataDirectory::empty || is_unfinished(directory))
        if (auto wiped = wipe_data_directory(directory); !wiped) return wiped;
    return begin_filling(directory, account);
}

/// \param keep_data  the method goes on with what is there
Task<Result<>> prepare(const Copy& copy, bool keep_data) {
    co_return co_await copy.programs.workers.run(
        [&] { return keep_data ? end_writers(copy.directory) : make_room(copy.directory, copy.programs.account); });
}

Task<Result<>> run_script(const Copy& copy, const ReplicaMethod& method) {
    std::vector<std::string> arguments = method.arguments;
    if (!method.no_params)
        for (std::string argument : {"--scope=" + copy.programs.agent.scope, std::string("--role=replica"),
                                     "--datadir=" + copy.directory, "--connstring=" + copy.connection})
            arguments.push_back(std::move(argument));
    auto command = copy.programs.script(method.command, std::move(arguments));
    if (!command) co_return std::unexpected(command.error());
    auto done =
        co_await run_checked(copy.programs.clock, for_copying(std::move(*command), copy), copy.deadline, copy.cancel);
    if (!done) co_return std::unexpected(done.error());
    co_return Result<>();
}

Task<Result<>> run_basebackup(const Copy& copy, const ReplicaMethod& method) {
    std::vector<std::string> arguments = {"--pgdata=" + copy.directory, "-X", "stream", "--dbname=" + copy.connection,
                                          "--no-password"};
    arguments.insert(arguments.end(), method.arguments.begin(), method.arguments.end());
    auto done = co_await run_checked(copy.programs.clock,
                                     for_copying(copy.programs.command("pg_basebackup", std::move(arguments)), copy),
                                     copy.deadline, copy.cancel);
    if (!done) co_return std::unexpected(done.error());
    co_return Result<>();
}

Task<Result<>> try_once(const Copy& copy, const ReplicaMethod& method) {
    auto ready = co_await prepare(copy, method.keep_data);
    if (!ready) co_return ready;
    Result<> ran;
    if (method.basebackup)
        ran = co_await run_basebackup(copy, method);
    else
        ran = co_await run_script(copy, method);
    if (!ran) co_return ran;
    if (inspect_data_directory(copy.directory) != DataDirectory::present)
        co_return fail(Errc::process_failed, fmt::format("it left no cluster in {}", copy.directory));
    co_return Result<>();
}

bool is_final(const Error& error, const Copy& copy) {
    return error.code == Errc::cancelled || error.code == Errc::unsafe ||
           (copy.cancel != nullptr && copy.cancel->requested()) || copy.programs.clock.now() >= copy.deadline;
}

Task<Result<>> try_method(const Copy& copy, const ReplicaMethod& method) {
    const int tries = method.basebackup ? basebackup_tries : 1;
    for (int attempt = 1;; ++attempt) {
        auto done = co_await try_once(copy, method);
        if (done || attempt == tries || is_final(done.error(), copy)) co_return done;
        log::warning("pg_basebackup: {}; trying again in {} s", done.error().line(), basebackup_pause.count());
        co_await copy.programs.clock.sleep_until(std::min(copy.deadline, copy.programs.clock.now() + basebackup_pause));
        if (copy.cancel != nullptr && copy.cancel->requested())
            co_return fail(Errc::cancelled, "the copy was given up on request");
    }
}

/// The copy is whole: what it took over from its source and must not keep, and what a base backup leaves out.
Result<> finish_copy(const std::string& directory, ConfigurationFiles& files, Account account) {
    if (auto fixed = fix_permissions(directory, account); !fixed) return fixed;
    if (auto removed = remove_file(directory + "/promote"); !removed) return removed;
    if (auto restored = files.restore_copies(); !restored) return restored;
    return end_filling(directory);
}

}  // namespace

std::vector<ReplicaMethod> replica_methods(const config::AgentConfig& agent, const json::object& dynamic,
                                           bool standby_cluster_leader, std::vector<std::string>& warnings) {
    const json::object section = effective_section(agent, dynamic);
    const json::value* names = section.if_contains("create_replica_methods");
    if (names == nullptr) names = section.if_contains("create_replica_method");
    if (standby_cluster_leader)
        if (const json::value* cluster = dynamic.if_contains("standby_cluster");
            cluster != nullptr && cluster->is_object())
            names = cluster->get_object().if_contains("create_replica_methods");

    std::vector<ReplicaMethod> methods;
    const auto add = [&](const std::string& name) {
        const json::value* options = section.if_contains(name);
        methods.push_back(name == "basebackup" ? basebackup_method(options, warnings) : script_method(name, options));
    };
    if (names != nullptr && names->is_string()) {
        add(guc_text(*names));
    } else if (names != nullptr && names->is_array()) {
        for (const json::value& name : names->get_array())
            if (name.is_string()) add(guc_text(name));
    }
    if (methods.empty()) add("basebackup");
    return methods;
}

bool can_clone_without_leader(const std::vector<ReplicaMethod>& methods) {
    return std::ranges::any_of(methods, &ReplicaMethod::no_leader);
}

Task<Result<>> create_replica(const Programs& programs, ConfigurationFiles& files, std::vector<ReplicaMethod> methods,
                              std::optional<Endpoint> source, Deadline deadline, Cancel* cancel) {
    const auto& postgresql = programs.agent.postgresql;
    Copy copy{programs, postgresql.data_dir, "", "", deadline, cancel};
    if (source) {
        copy.connection = write_conninfo(conninfo_for(postgresql.replication, *source));
        if (!postgresql.replication.password.empty()) {
            copy.passfile = postgresql.pgpass;
            const auto replication = co_await accepted_first(programs.clock, postgresql.replication, *source, true, {});
            const std::string passwords = pgpass_text({*source}, {replication, postgresql.rewind});
            auto written =
                co_await programs.workers.run([&files, &passwords] { return files.write_pgpass(passwords); });
            if (!written) co_return std::unexpected(written.error());
        }
    } else {
        std::erase_if(methods, [](const ReplicaMethod& method) { return !method.no_leader; });
        if (methods.empty())
            co_return fail(Errc::not_found,
                           "cannot create a replica: no member to copy from, and no method does without",
                           "wait for a leader, or set no_leader for a method that restores from an archive");
    }

    std::string reasons;
    for (const ReplicaMethod& method : methods) {
        if (cancel != nullptr && cancel->requested())
            co_return fail(Errc::cancelled, "the copy was given up on request");
        auto done = co_await try_method(copy, method);
        if (done) {
            log::info("replica has been created using {}", method.name);
            co_return co_await programs.workers.run(
                [&] { return finish_copy(copy.directory, files, programs.account); });
        }
        log::error("cannot create a replica by {}: {}", method.name, done.error().line());
        reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", method.name, done.error().text);
        const bool is_end = is_final(done.error(), copy);
        if (done.error().code != Errc::unsafe && !method.keep_data) {
            auto wiped = co_await programs.workers.run([&copy] { return wipe_data_directory(copy.directory); });
            if (!wiped) log::error("cannot clean up after {}: {}", method.name, wiped.error().line());
        }
        if (is_end) co_return done;
    }
    co_return fail(Errc::process_failed, "cannot create a replica: " + reasons,
                   "does the source accept replication connections from this node? see the log of both servers");
}

}  // namespace pgkeel::postgres
