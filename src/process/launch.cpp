#include "process/launch.hpp"

#include "process/reaper.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

#include <algorithm>
#include <array>

extern char** environ;

namespace pgkeel {

namespace {

std::vector<std::string> environment_of(const Command& command) {
    std::vector<std::string> all;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::string name(text.substr(0, text.find('=')));
        const bool dropped = std::ranges::any_of(command.without_environment_prefixes,
                                                 [&](const std::string& prefix) { return text.starts_with(prefix); });
        if (!dropped && !command.environment.contains(name)) all.emplace_back(text);
    }
    for (const auto& [name, value] : command.environment) all.push_back(name + "=" + value);
    return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// The supplementary groups of `user`: looked up before the fork, because the lookup takes locks.
std::vector<gid_t> groups_of(uid_t user, gid_t group) {
    std::vector<gid_t> groups(64, group);
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return {group};
    int count = static_cast<int>(groups.size());
    if (getgrouplist(found->pw_name, group, groups.data(), &count) < 0) return {group};
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

enum class Step : int { user, directory, exec };
struct Failure {
    Step step;
    int error;
};

struct Prepared {
    const char* program;
    char** arguments;
    char** environment;
    const Command* command;
    const std::vector<gid_t>* groups;
    Streams streams;
    int report;  ///< closed by a successful exec; else tells what failed
};

/// Between fork and exec of a program with threads only async-signal-safe functions may be called.
[[noreturn]] void become(const Prepared& child) {
    const auto stop = [&](Step step) {
        const Failure failure{step, errno};
        (void)!write(child.report, &failure, sizeof failure);
        _exit(127);
    };
    if (child.command->new_session)
        setsid();
    else
        setpgid(0, 0);
    // An ignored signal stays ignored through exec, and a blocked one blocked: neither must leak into the child.
    for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    // The three may be 0, 1 or 2 themselves, so they are lifted out of the way first.
    const int input = fcntl(child.streams.input, F_DUPFD, 3);
    const int output = fcntl(child.streams.output, F_DUPFD, 3);
    const int errors = fcntl(child.streams.errors, F_DUPFD, 3);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    close(input);
    close(output);
    close(errors);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (child.command->user != 0 && (setgroups(child.groups->size(), child.groups->data()) != 0 ||
                                     setgid(child.command->group) != 0 || setuid(child.command->user) != 0))
        stop(Step::user);
    if (!child.command->directory.empty() && chdir(child.command->directory.c_str()) != 0) stop(Step::directory);
    execve(child.program, child.arguments, child.environment);
    stop(Step::exec);
    _exit(127);
}

std::string why(const Failure& failure, const Command& command) {
    const std::string cause = std::strerror(failure.error);
    switch (failure.step) {
        case Step::user:
            return fmt::format("becoming user {} failed: {}", command.user, cause);
        case Step::directory:
            return fmt::format("entering {} failed: {}", command.directory, cause);
        case Step::exec:
            break;
    }
    return cause;
}

}  // namespace

Result<pid_t> launch(const Command& command, Streams streams) {
    if (command.arguments.empty()) return fail(Errc::invalid_input, "cannot start a program: no program is named");
    const auto program = find_program(command.arguments.front());
    if (!program) return std::unexpected(program.error());
    auto arguments = command.arguments;
    auto environment = environment_of(command);
    const auto argument_pointers = pointers_to(arguments);
    const auto environment_pointers = pointers_to(environment);
    const auto groups = command.user != 0 ? groups_of(command.user, command.group) : std::vector<gid_t>{};
    std::array<int, 2> report{};
    if (pipe2(report.data(), O_CLOEXEC) != 0)
        return fail(Errc::process_failed, fmt::format("cannot start {}: no pipe: {}", *program, std::strerror(errno)));
    const Prepared prepared{program->c_str(),
                            const_cast<char**>(argument_pointers.data()),
                            const_cast<char**>(environment_pointers.data()),
                            &command,
                            &groups,
                            streams,
                            report[1]};
    // No signal handler of ours may run in the child before its handlers are reset.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork_owned();
    if (pid == 0) become(prepared);
    const int fork_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return fail(Errc::process_failed, fmt::format("cannot start {}: {}", *program, std::strerror(fork_error)));
    }
    if (!command.new_session) setpgid(pid, pid);  // also here: the caller may signal the group before the child has run
    Failure failure{};
    ssize_t got = 0;
    do got = read(report[0], &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    close(report[0]);
    if (got == static_cast<ssize_t>(sizeof failure)) {
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        disown(pid);
        return fail(Errc::process_failed, fmt::format("cannot start {}: {}", *program, why(failure, command)));
    }
    return pid;
}

}  // namespace pgkeel
