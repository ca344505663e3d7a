#include "proxy/process_user.hpp"

#include <fmt/format.h>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace pgkeel::proxy {
namespace {

struct Account {
    uid_t user = 0;
    gid_t group = 0;
};

Result<Account> account_named(const std::string& name) {
    std::vector<char> buffer(4096);
    passwd entry{};
    passwd* found = nullptr;
    int problem = 0;
    while ((problem = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE)
        buffer.resize(buffer.size() * 2);
    if (found != nullptr) return Account{.user = entry.pw_uid, .group = entry.pw_gid};
    return fail(Errc::not_found,
                problem == 0 ? fmt::format("there is no system user '{}'", name)
                             : fmt::format("cannot look system user '{}' up: {}", name, std::strerror(problem)),
                "see -u and the setting user");
}

}  // namespace

Result<> check_user(const std::string& name) {
    if (name.empty()) return {};
    if (const auto account = account_named(name); !account) return std::unexpected(account.error());
    return {};
}

Result<> become_user(const std::string& name) {
    if (name.empty()) {
        if (getuid() != 0 && geteuid() != 0) return {};
        return fail(Errc::denied, "the proxy does not run as root",
                    "start it as another user, or name one with -u or the setting user");
    }
    const auto account = account_named(name);
    if (!account) return std::unexpected(account.error());
    if (account->user == 0)
        return fail(Errc::denied, fmt::format("the proxy does not run as root, and user '{}' is root", name),
                    "name another user with -u or the setting user");
    if (getuid() == account->user && geteuid() == account->user) return {};
    if (initgroups(name.c_str(), account->group) != 0 || setgid(account->group) != 0 || setuid(account->user) != 0)
        return fail(Errc::denied, fmt::format("cannot become system user '{}': {}", name, std::strerror(errno)),
                    "only root can become another user: start the proxy as root, or as that user");
    if (setuid(0) == 0) return fail(Errc::denied, fmt::format("user '{}' could become root again", name));
    return {};
}

}  // namespace pgkeel::proxy
