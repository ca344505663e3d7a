#include "postgres/programs.hpp"

#include <pwd.h>

#include <array>

namespace pgkeel::postgres {
namespace {

/// The account's home: libpq looks for certificates there, and root's is closed to others, which libpq takes for an
/// error.
std::string home_of(uid_t user) {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return "/";
    return found->pw_dir;
}

}  // namespace

Command Programs::command(const std::string& program, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), agent.postgresql.program(program));
    std::map<std::string, std::string> environment = {{"LC_ALL", "C"}, {"LANG", "C"}};
    if (account.user != 0) environment["HOME"] = home_of(account.user);
    return {.arguments = std::move(arguments),
            .environment = std::move(environment),
            .without_environment_prefixes = {"PATRONI_", "PGKEEL_", "KUBERNETES_"},
            .directory = account.user != 0 ? "/" : "",  // root's directory may be closed to the account
            .user = account.user,
            .group = account.group};
}

Result<Command> Programs::script(const std::string& line, std::vector<std::string> arguments) const {
    auto words = split_shell_words(line);
    if (!words) return fail("reading the command " + line, words.error());
    if (words->empty()) return fail(Errc::invalid_input, "a command is empty");
    words->insert(words->end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
    std::map<std::string, std::string> environment;
    if (account.user != 0) environment["HOME"] = home_of(account.user);
    return Command{.arguments = std::move(*words),
                   .environment = std::move(environment),
                   .without_environment_prefixes = {"PATRONI_", "PGKEEL_", "KUBERNETES_"},
                   .user = account.user,
                   .group = account.group};
}

}  // namespace pgkeel::postgres
