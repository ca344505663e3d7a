#include "local/prepare.hpp"

#include "local/generated_files.hpp"
#include "local/rotated_passwords.hpp"
#include "log/log.hpp"

#include <fmt/format.h>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace pgkeel::local {

namespace {
constexpr std::uint64_t disk_bytes_for_new_nodes = 1ULL << 30U;

std::unexpected<Error> system_failure(std::string text) {
    return fail(Errc::io_error, fmt::format("{}: {}", text, std::strerror(errno)));
}

/// Makes the directory and those above it; only the last one is private.
Result<> make_directory(const std::string& directory, const ServerUser& user) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(directory).parent_path(), error);
    if (error)
        return fail(Errc::io_error,
                    fmt::format("cannot make the directories above {}: {}", directory, error.message()));
    if (auto made = make_private_directory(directory); !made) return made;
    if (::geteuid() == 0 && ::lchown(directory.c_str(), user.uid, user.gid) != 0)
        return system_failure(fmt::format("cannot give {} to user {}", directory, user.name));
    if (::chmod(directory.c_str(), 0700) != 0) return system_failure(fmt::format("cannot make {} private", directory));
    return {};
}

Result<Plan> make_or_load(const UpOptions& options, const Layout& layout, bool is_new) {
    if (is_new)
        return make_plan(options.scope.empty() ? "demo" : options.scope,
                         options.nodes == 0 ? nodes_default : options.nodes);
    auto plan = load_plan(layout);
    if (!plan) return plan;
    if (!options.scope.empty() && options.scope != plan->scope)
        return fail(Errc::invalid_input,
                    fmt::format("the cluster in {} is named {}, not {}", layout.directory, plan->scope, options.scope),
                    "leave --scope away, or name another directory with --dir");
    if (options.nodes != 0)
        if (auto grown = grow(*plan, options.nodes); !grown) return std::unexpected(grown.error());
    if (auto added = add_proxy(*plan); !added) return std::unexpected(added.error());
    return plan;
}
}  // namespace

Result<> become(const ServerUser& user) {
    ::umask(0077);
    if (::geteuid() == user.uid) return {};
    if (::initgroups(user.name.c_str(), user.gid) != 0 || ::setresgid(user.gid, user.gid, user.gid) != 0 ||
        ::setresuid(user.uid, user.uid, user.uid) != 0)
        return system_failure(fmt::format("cannot become user {}", user.name));
    ::setenv("HOME", user.home.c_str(), 1);
    ::setenv("USER", user.name.c_str(), 1);
    ::setenv("LOGNAME", user.name.c_str(), 1);
    ::unsetenv("XDG_RUNTIME_DIR");
    return {};
}

Result<> remember_directory(const std::string& directory) {
    const std::string pointer = current_pointer();
    const std::string place = std::filesystem::path(pointer).parent_path();
    if (::geteuid() != 0) {  // /tmp/pgkeel-UID comes before it, and must be ours
        if (auto made = make_private_directory(std::filesystem::path(place).parent_path()); !made) return made;
    }
    if (auto made = make_private_directory(place); !made) return made;
    struct stat status{};
    if (::lstat(place.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid())
        return fail(Errc::denied, fmt::format("{} is not a directory of ours", place),
                    "remove it, or set XDG_RUNTIME_DIR");
    return write_file(pointer, directory + "\n", 0600);
}

Result<Prepared> prepare(const UpOptions& options) {
    const Layout layout{options.directory};
    const auto user = server_user();
    if (!user) return std::unexpected(user.error());
    if (auto good = check_directory(layout.directory, *user); !good) return std::unexpected(good.error());
    const char* path = std::getenv("PATH");
    auto programs = find_programs(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path);
    if (!programs) return std::unexpected(programs.error());
    if (options.agent_program.empty() || options.proxy_program.empty())
        if (auto good = check_own_program(*user); !good) return std::unexpected(good.error());

    if (auto made = make_directory(layout.directory, *user); !made) return std::unexpected(made.error());
    auto lock = DirectoryLock::take(layout.directory, lock_patience);
    if (!lock) return std::unexpected(lock.error());
    // Only under the lock: another `up` may have been making the cluster until now.
    const bool is_new = !std::filesystem::exists(layout.plan());
    if (is_new)
        if (auto room = check_disk(layout.directory, disk_bytes_for_new_nodes); !room)
            return std::unexpected(room.error());
    auto plan = make_or_load(options, layout, is_new);
    if (!plan) return std::unexpected(plan.error());
    // While we are still root: then we can say whose process has a port.
    if (auto free = check_ports(*plan, layout); !free) return std::unexpected(free.error());
    if (options.remember)
        if (auto remembered = remember_directory(layout.directory); !remembered)
            log::warning("other commands will need --dir {}: {}", layout.directory, remembered.error().line());

    if (auto became = become(*user); !became) return std::unexpected(became.error());
    if (::chdir(layout.directory.c_str()) != 0)
        return system_failure(fmt::format("user {} cannot enter {}", user->name, layout.directory));
    adopt_rotated(*plan, layout);
    if (auto saved = save_plan(layout, *plan); !saved) return std::unexpected(saved.error());
    if (auto written = write_files(*plan, layout, *programs); !written) return std::unexpected(written.error());
    return Prepared{*plan, layout, *programs, options.agent_program, options.proxy_program, is_new, std::move(*lock)};
}

}  // namespace pgkeel::local
