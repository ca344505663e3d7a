#include "postgres/rewind.hpp"

#include "config/dynamic_config.hpp"
#include "log/log.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/passwords.hpp"
#include "postgres/program_options.hpp"
#include "postgres/timeline_history.hpp"
#include "postgres/writers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
namespace {

/// Names in pg_wal/archive_status that end so, without the ending, sorted: history and segments in WAL order.
std::vector<std::string> archive_marks(const std::string& data_directory, std::string_view ending) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator entry(data_directory + "/pg_wal/archive_status", error), end; !error && entry != end;
         entry.increment(error)) {
        std::string name = entry->path().filename().string();
        if (!name.ends_with(ending)) continue;
        name.resize(name.size() - ending.size());
        if (name.size() >= 16) names.push_back(std::move(name));
    }
    std::ranges::sort(names);
    return names;
}

std::string mark_path(const std::string& data_directory, const std::string& name, std::string_view ending) {
    return fmt::format("{}/pg_wal/archive_status/{}{}", data_directory, name, ending);
}

Result<> rename_mark(const std::string& data_directory, const std::string& name, std::string_view from,
                     std::string_view to) {
    std::error_code error;
    fs::rename(mark_path(data_directory, name, from), mark_path(data_directory, name, to), error);
    if (error) return fail(Errc::io_error, fmt::format("cannot mark {} as archived: {}", name, error.message()));
    return sync_directory(data_directory + "/pg_wal/archive_status");
}

/// archive_command with its placeholders filled in (PostgreSQL, archive_command).
std::string filled_in(const std::string& command, const std::string& name) {
    std::string result;
    for (std::size_t i = 0; i < command.size(); ++i) {
        const char next = command[i] == '%' && i + 1 < command.size() ? command[i + 1] : '\0';
        if (next == 'p')
            result += "pg_wal/" + name;
        else if (next == 'f')
            result += name;
        else if (next == '%')
            result += '%';
        else {
            result += command[i];
            continue;
        }
        ++i;
    }
    return result;
}

Result<> check_single_user(const std::string& directory) {
    if (auto whole = must_be_whole(directory); !whole) return fail("recovering in single-user mode", whole.error());
    if (file_exists(directory + "/backup_label"))
        return fail(Errc::unsafe,
                    fmt::format("refused to recover {} in single-user mode: it is a base backup that was never "
                                "started",
                                directory));
    if (const auto pid = process_working_in(directory))
        return fail(Errc::unsafe,
                    fmt::format("refused to recover {} in single-user mode: process {} works in it", directory, *pid),
                    "stop that PostgreSQL first");
    // Nobody works here, so the number in an old file is some other program's by now, and would stop PostgreSQL.
    if (const auto pid = living_postmaster(directory))
        return fail(
            Errc::unsafe,
            fmt::format("refused to recover {} in single-user mode: postmaster.pid names process {}", directory, *pid));
    return remove_file(directory + "/postmaster.pid");
}

/// A segment that is marked as archived may be recycled at the end of crash recovery, and pg_rewind needs it: the marks
/// are taken away for that time.
class HiddenMarks {
  public:
    explicit HiddenMarks(std::string directory) : directory_(std::move(directory)) {}
    void hide() {
        names_ = archive_marks(directory_, ".done");
        for (const std::string& name : names_)
            if (auto removed = remove_file(mark_path(directory_, name, ".done")); !removed)
                log::warning("{}", removed.error().line());
    }
    /// The recovery may have marked them as ready: they were archived already, and an archive does not take a file
    /// twice.
    void show(Account account) {
        for (const std::string& name : names_) {
            if (!file_exists(fmt::format("{}/pg_wal/{}", directory_, name))) continue;
            auto shown = file_exists(mark_path(directory_, name, ".ready"))
                             ? rename_mark(directory_, name, ".ready", ".done")
                             : write_file(mark_path(directory_, name, ".done"), "", file_mode(directory_), account);
            if (!shown) log::warning("{}", shown.error().line());
        }
        names_.clear();
    }

  private:
    std::string directory_;
    std::vector<std::string> names_;
};

Errc rewind_failure(const std::string& output) {
    for (const char* sign :
         {"password authentication failed", "no pg_hba.conf entry", "permission denied for", "no password supplied"})
        if (output.find(sign) != std::string::npos) return Errc::denied;
    return Errc::process_failed;
}

/// pg_rewind has done all or nothing.
bool is_whole_after(const Result<ExitStatus>& ran) {
    if (!ran) return ran.error().code != Errc::timed_out && ran.error().code != Errc::cancelled;  // never started
    if (ran->ok()) return true;
    // It says so before it changes the first file. Of much text the beginning is not kept.
    return ran->errors.size() < captured_bytes_max && !ran->errors.contains("rewinding from last common checkpoint");
}

std::string last_lines(const std::string& text, std::size_t bytes_max = 600) {
    std::string_view end(text);
    while (!end.empty() && (end.back() == '\n' || end.back() == '\r')) end.remove_suffix(1);
    if (end.size() > bytes_max) {
        end.remove_prefix(end.size() - bytes_max);
        if (const auto line = end.find('\n'); line != std::string_view::npos) end.remove_prefix(line + 1);
    }
    std::string result(end);
    std::ranges::replace(result, '\n', ' ');
    return result;
}

}  // namespace

config::PgUser rewind_user(const config::AgentConfig& agent) {
    return agent.postgresql.rewind.username.empty() ? agent.postgresql.superuser : agent.postgresql.rewind;
}

Task<bool> can_rewind(const Programs& programs, json::object dynamic, std::optional<ControlData> control,
                      std::string* why_not) {
    const auto no = [why_not](std::string why) {
        if (why_not != nullptr) *why_not = std::move(why);
        return false;
    };
    const json::object section = effective_section(programs.agent, dynamic);
    const json::value* use = section.if_contains("use_pg_rewind");
    if (use == nullptr || !config::parse_bool(*use).value_or(false)) co_return no("use_pg_rewind is off");
    const std::string path = programs.agent.postgresql.program("pg_rewind");
    auto found = co_await programs.workers.run([&path] { return find_program(path); });
    if (!found) co_return no(found.error().text);
    if (!control) co_return no("pg_control cannot be read");
    if (!control->wal_log_hints && !control->data_checksums)
        co_return no("the server runs without wal_log_hints and without data checksums");
    co_return true;
}

Task<std::optional<Lsn>> shutdown_checkpoint_end(const Programs& programs, Timeline timeline, Lsn checkpoint,
                                                 Deadline deadline) {
    Command command = programs.command(
        "pg_waldump", {"--path=" + programs.agent.postgresql.data_dir + "/pg_wal",
                       fmt::format("--timeline={}", timeline.id), "--start=" + to_string(checkpoint), "--limit=2"});
    auto shown = co_await run(programs.clock, std::move(command), deadline);
    if (!shown) {
        log::warning("cannot read the shutdown checkpoint at {}: {}", to_string(checkpoint), shown.error().line());
        co_return std::nullopt;
    }
    // Reading past the last record fails, and that is what is expected here.
    const auto end = checkpoint_end_of(shown->output, shown->errors, checkpoint);
    if (!end)
        log::warning("pg_waldump does not show where the shutdown checkpoint at {} ends: {} {}", to_string(checkpoint),
                     last_lines(shown->output), last_lines(shown->errors));
    co_return end;
}

std::vector<std::string> rewind_arguments(const config::AgentConfig& agent, const RewindRequest& request,
                                          const std::string& config_file, std::vector<std::string>& warnings) {
    const auto& postgresql = agent.postgresql;
    ConnInfo source = conninfo_for(rewind_user(agent), request.leader);
    source.insert(source.begin(), {"dbname", postgresql.database});
    source.emplace_back("target_session_attrs", "read-write");
    std::vector<std::string> arguments;
    if (!request.restore_command.empty()) {
        arguments.emplace_back("--restore-target-wal");
        if (!postgresql.config_dir.empty() && postgresql.config_dir != postgresql.data_dir)
            arguments.push_back("--config-file=" + config_file);
    }
    arguments.insert(arguments.end(), {"-D", postgresql.data_dir, "--source-server", write_conninfo(source)});
    const json::object section = effective_section(agent, request.dynamic);
    for (std::string& option :
         program_options(section.if_contains("rewind"), "pg_rewind",
                         {"target-pgdata", "source-pgdata", "source-server", "write-recovery-conf", "dry-run",
                          "restore-target-wal", "config-file", "no-ensure-shutdown", "version", "help"},
                         warnings))
        arguments.push_back(std::move(option));
    return arguments;
}

Task<Result<>> run_rewind(const Programs& programs, ConfigurationFiles& files, RewindRequest request, Deadline deadline,
                          Cancel* cancel) {
    const config::AgentConfig& agent = programs.agent;
    const std::string& directory = agent.postgresql.data_dir;
    const config::PgUser user =
        co_await accepted_first(programs.clock, rewind_user(agent), request.leader, false, agent.postgresql.database);
    const std::string passwords = pgpass_text({request.leader}, {user, agent.postgresql.replication});
    auto ready = co_await programs.workers.run([&]() -> Result<> {
        if (const auto pid = process_working_in(directory))
            return fail(Errc::unsafe, fmt::format("refused to rewind {}: process {} works in it", directory, *pid));
        if (!user.password.empty())
            if (auto written = files.write_pgpass(passwords); !written) return std::unexpected(written.error());
        return begin_rewinding(directory, programs.account);
    });
    if (!ready) co_return ready;
    if (cancel != nullptr && cancel->requested()) {
        if (auto ended = co_await programs.workers.run([&] { return end_rewinding(directory); }); !ended)
            co_return ended;
        co_return fail(Errc::cancelled, "the rewind was given up before it began");
    }

    std::vector<std::string> warnings;
    Command command =
        programs.command("pg_rewind", rewind_arguments(agent, request, files.postgresql_conf(), warnings));
    for (const std::string& warning : warnings) log::warning("{}", warning);
    if (!user.password.empty()) command.environment["PGPASSFILE"] = agent.postgresql.pgpass;
    command.environment["PGOPTIONS"] = "-c statement_timeout=0";
    mark_as_writer(command, directory);
    auto ran = co_await run(programs.clock, std::move(command), deadline, cancel);
    if (is_whole_after(ran))
        if (auto ended = co_await programs.workers.run([&] { return end_rewinding(directory); }); !ended)
            co_return ended;
    if (!ran) co_return fail(fmt::format("rewinding to {}", request.leader.host), ran.error());
    if (!ran->ok())
        co_return fail(
            rewind_failure(ran->errors),
            fmt::format("pg_rewind from {} ended with {}: {}", request.leader.host, ran->code, last_lines(ran->errors)),
            "if the data directory is damaged, `pgkeel reinit` this node");
    log::info("pg_rewind from {}: {}", request.leader.host, last_lines(ran->errors));
    co_return Result<>();
}

Task<Result<>> recover_single_user(const Programs& programs, ConfigurationFiles& files, const Parameters& parameters,
                                   Deadline deadline, Cancel* cancel) {
    const std::string& directory = programs.agent.postgresql.data_dir;
    HiddenMarks marks(directory);
    auto ready = co_await programs.workers.run([&]() -> Result<> {
        if (auto safe = check_single_user(directory); !safe) return safe;
        marks.hide();
        return files.set_signal(Signal::none);
    });
    if (!ready) co_return ready;

    ParameterMap settings = parameters.command_line;
    settings["config_file"] = files.postgresql_conf();
    settings["archive_mode"] = "on";
    settings["archive_command"] = "false";
    std::vector<std::string> arguments = {"--single", "-D", directory};
    for (const auto& [name, value] : settings) {
        arguments.emplace_back("-c");
        arguments.push_back(fmt::format("{}={}", name, value));
    }
    arguments.emplace_back("template1");
    auto done =
        co_await run_checked(programs.clock, programs.command("postgres", std::move(arguments)), deadline, cancel);
    co_await programs.workers.run([&]() -> bool {
        marks.show(programs.account);
        return true;
    });
    if (!done) co_return fail("recovering in single-user mode", done.error());
    co_return Result<>();
}

std::string archive_command_of(const Parameters& parameters) {
    const auto value = [&](const char* name) {
        const auto found = parameters.file.find(name);
        return found == parameters.file.end() ? std::string() : found->second;
    };
    const std::string mode = value("archive_mode");
    return mode == "on" || mode == "always" ? value("archive_command") : std::string();
}

Task<Result<>> archive_segment(const Programs& programs, std::string archive_command, std::string name,
                               Deadline deadline, Cancel* cancel) {
    if (archive_command.empty()) co_return Result<>();
    Command command = programs.command("postgres", {});
    command.arguments = {"/bin/sh", "-c", filled_in(archive_command, name)};
    command.directory = programs.agent.postgresql.data_dir;
    auto done = co_await run_checked(programs.clock, std::move(command), deadline, cancel);
    if (!done) co_return std::unexpected(done.error());
    co_return Result<>();
}

Task<Result<int>> archive_ready_segments(const Programs& programs, std::string archive_command, Deadline deadline,
                                         Cancel* cancel) {
    if (archive_command.empty()) co_return 0;
    const std::string& directory = programs.agent.postgresql.data_dir;
    const auto names = co_await programs.workers.run([&directory] { return archive_marks(directory, ".ready"); });
    int archived = 0;
    for (const std::string& name : names) {
        if (!file_exists(fmt::format("{}/pg_wal/{}", directory, name))) continue;
        auto done = co_await archive_segment(programs, archive_command, name, deadline, cancel);
        if (!done) co_return fail(fmt::format("archiving {} after {} others", name, archived), done.error());
        auto marked = co_await programs.workers.run([&] { return rename_mark(directory, name, ".ready", ".done"); });
        if (!marked) co_return std::unexpected(marked.error());
        ++archived;
    }
    co_return archived;
}

}  // namespace pgkeel::postgres
