#include "cli/cluster_choice.hpp"
#include "cli/commands.hpp"
#include "cli/event_loop.hpp"
#include "cli/put.hpp"
#include "cli/terminal.hpp"
#include "local/cluster.hpp"
#include "local/files.hpp"
#include "local/preflight.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace pgkeel::cli {

namespace {
struct DownFlags {
    std::string directory;
    bool purge = false;
    bool force = false;
};

/// Runs `body` in a child that has become the owner of the directory: root's rights are needed for nothing here, except
/// to remove the empty directory at the end.
int as_owner(const local::ServerUser& owner, const std::function<int()>& body) {
    if (::geteuid() == owner.uid) return body();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) return report(Error{Errc::process_failed, "cannot fork", ""});
    if (child == 0) {
        const auto became = local::become(owner);
        const int status = became ? body() : report(became.error());
        std::fflush(nullptr);
        std::_Exit(status);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Task<int> stop(Clock& clock, std::shared_ptr<local::Cluster> cluster) {
    const Instant began = clock.now();
    const auto say = [&](const std::string& line) {
        put(stderr, "[{:5.1f} s] {}\n", seconds(clock.now() - began), line);
    };
    if (cluster->running_now().empty()) {
        put(stderr, "nothing of the cluster in {} was running\n", cluster->layout().directory);
        co_return 0;
    }
    const auto stopped = co_await cluster->stop(clock, say);
    if (stopped) co_return 0;
    co_return report(stopped.error());
}

int stop_and_purge(const std::string& directory, bool purge) {
    ::chdir("/") == 0 ? void() : void();
    auto lock = local::DirectoryLock::take(directory, local::lock_patience);
    if (!lock) return report(lock.error());
    auto cluster = local::Cluster::open(directory);
    if (!cluster) return report(cluster.error());
    const std::shared_ptr<local::Cluster> shared = std::move(*cluster);
    const int status = run_task([shared](Clock& clock) { return stop(clock, shared); });
    if (status != 0 || !purge) return status;
    if (const auto left = shared->running_now(); !left.empty())
        return report(Error{Errc::unsafe, fmt::format("{} runs again: nothing was removed", left.front()),
                            "run the command again"});
    const auto removed = local::remove_tree(directory);
    return removed ? 0 : report(removed.error());
}

int run_down(const DownFlags& flags) {
    const std::string directory = local_directory(flags.directory);
    const auto owner = local::owner_of(directory);
    if (!owner) return report(owner.error());
    const auto plan = local::load_plan(local::Layout{directory});
    if (!plan) return report(plan.error());
    if (flags.purge && !flags.force &&
        !confirm(fmt::format("Stop the cluster {} and remove {} with all its data?", plan->scope, directory))) {
        put(stderr, "nothing was stopped or removed\n");
        return 1;
    }
    const int status = as_owner(*owner, [&] { return stop_and_purge(directory, flags.purge); });
    if (status != 0 || !flags.purge) return status;
    ::rmdir(directory.c_str());  // what the owner may not do in root's directory; gone already otherwise
    put(stderr, "removed {}\n", directory);
    return 0;
}
}  // namespace

void add_down(CLI::App& app, Context& context) {
    auto* command = app.add_subcommand("down", "stop the cluster that `pgkeel up` has started");
    auto flags = std::make_shared<DownFlags>();
    command->add_option("--dir", flags->directory, directory_help);
    command->add_flag("--purge", flags->purge, "also remove its data, passwords and logs");
    command->add_flag("--force", flags->force, "do not ask before --purge");
    command->footer("The data stay: `pgkeel up` goes on with them.\nExample:\n  pgkeel down --purge --force");
    command->callback([flags, &context] { context.action = [flags] { return run_down(*flags); }; });
}

}  // namespace pgkeel::cli
