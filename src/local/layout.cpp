#include "local/layout.hpp"

#include "local/files.hpp"

#include <fmt/format.h>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace pgkeel::local {

namespace {
std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

std::string home_directory() {
    if (std::string home = environment("HOME"); !home.empty()) return home;
    const passwd* user = ::getpwuid(::geteuid());
    return user == nullptr ? "/nonexistent" : user->pw_dir;
}
}  // namespace

std::string default_directory() {
    if (::geteuid() == 0) return "/var/lib/pgkeel/local";
    // The XDG base directory specification: a relative value is to be ignored.
    const std::string data = environment("XDG_DATA_HOME");
    return (data.starts_with('/') ? data : home_directory() + "/.local/share") + "/pgkeel/local";
}

std::string current_pointer() {
    if (::geteuid() == 0) return "/run/pgkeel/current";
    const std::string runtime = environment("XDG_RUNTIME_DIR");
    return (runtime.starts_with('/') ? runtime : fmt::format("/tmp/pgkeel-{}", ::geteuid())) + "/pgkeel/current";
}

std::optional<std::string> current_directory() {
    // /tmp is everybody's: a pointer that somebody else has put there is not followed.
    struct stat status{};
    const std::string pointer = current_pointer();
    if (::lstat(pointer.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != ::geteuid())
        return std::nullopt;
    auto directory = read_file(pointer);
    if (!directory) return std::nullopt;
    std::erase(*directory, '\n');
    struct stat plan{};
    if (!directory->starts_with('/') || ::stat(Layout{*directory}.plan().c_str(), &plan) != 0) return std::nullopt;
    return *directory;
}

}  // namespace pgkeel::local
