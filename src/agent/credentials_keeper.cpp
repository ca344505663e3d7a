#include "agent/credentials_keeper.hpp"

#include "auth/scram.hpp"
#include "log/log.hpp"
#include "postgres/files.hpp"
#include "postgres/passwords.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace pgkeel::agent {

namespace {

struct Section {
    const char* name;
    config::PgUser config::Postgresql::* user;
};
constexpr std::array sections{Section{"superuser", &config::Postgresql::superuser},
                              Section{"replication", &config::Postgresql::replication},
                              Section{"rewind", &config::Postgresql::rewind}};

const config::PgUser* user_of(const config::Postgresql& postgresql, const std::string& role) {
    for (const Section& section : sections)
        if (const config::PgUser& user = postgresql.*section.user; user.username == role) return &user;
    return nullptr;
}

}  // namespace

CredentialsKeeper::CredentialsKeeper(Clock& clock, Workers& workers, postgres::LocalServer& server,
                                     config::AgentConfig& config)
    : clock_(clock), workers_(workers), server_(server), config_(config), path_(config.credentials_file) {}

Result<> CredentialsKeeper::load() {
    auto read = config::load_credentials(path_);
    if (!read) return std::unexpected(std::move(read.error()));
    credentials_ = std::move(*read);
    apply();
    return {};
}

void CredentialsKeeper::apply() {
    config::apply_credentials(credentials_, path_, config_.postgresql, nullptr);
}

std::vector<CredentialsKeeper::Role> CredentialsKeeper::roles() const {
    std::vector<Role> roles;
    for (const Section& section : sections) {
        const config::PgUser& user = config_.postgresql.*section.user;
        if (user.username.empty()) continue;
        auto known = std::ranges::find(roles, user.username, &Role::name);
        if (known == roles.end()) known = roles.insert(roles.end(), Role{user.username, {}, true});
        known->sections.emplace_back(section.name);
        known->has_password = known->has_password && !user.configured_password.empty();
    }
    return roles;
}

std::string CredentialsKeeper::trouble() const {
    if (path_.empty())
        return "its configuration is no file beside which passwords could be kept: set pgkeel.credentials_file";
    const std::string directory = std::filesystem::path(path_).parent_path();
    if (::access(directory.empty() ? "." : directory.c_str(), W_OK | X_OK) == 0) return {};
    return fmt::format(
        "its agent may not write into {}: set pgkeel.credentials_file to a file in a directory of its own", directory);
}

Result<> CredentialsKeeper::check(const std::string& rotation) const {
    if (credentials_.rotation == rotation) return {};
    return fail(Errc::conflict, fmt::format("this agent has no passwords of rotation {}", rotation));
}

Task<Result<>> CredentialsKeeper::keep(config::RotatedCredentials next) {
    const std::string text = config::write_credentials(next);
    auto written =
        co_await workers_.run([path = path_, text, account = postgres::account_for(config_.postgresql.data_dir)] {
            return postgres::write_file(path, text, 0600, account);
        });
    if (!written) co_return written;
    credentials_ = std::move(next);
    apply();
    co_return Result<>{};
}

/// What is known, each role with one password: one rotation may have ended in the middle, and its key be gone. The one
/// that the server has is kept.
Task<Result<config::RotatedCredentials>> CredentialsKeeper::without_older_rotation() {
    config::RotatedCredentials known = credentials_;
    std::vector<std::string> doubtful;
    for (const auto& [role, entry] : known.roles)
        if (!entry.other.empty()) doubtful.push_back(role);
    if (!doubtful.empty()) {
        auto stored = co_await server_.stored_passwords(doubtful);
        if (!stored) co_return std::unexpected(std::move(stored.error()));
        co_await workers_.run([&] {
            for (const std::string& role : doubtful) {
                config::RotatedPassword& entry = known.roles.at(role);
                const auto is = [&](const std::string& password) {
                    return stored->contains(role) && postgres::is_password_of(stored->at(role), role, password);
                };
                if (!is(entry.password) && is(entry.other)) std::swap(entry.password, entry.other);
                entry.other.clear();
            }
            return true;
        });
    }
    known.rotation.clear();
    known.switched = false;
    co_return known;
}

Task<Result<>> CredentialsKeeper::prepare(std::string rotation, std::map<std::string, std::string> passwords) {
    if (const std::string why = trouble(); !why.empty()) co_return fail(Errc::io_error, why);
    std::vector<std::string> names;
    for (const Role& role : roles())
        if (passwords.contains(role.name) && role.has_password) names.push_back(role.name);
    for (const auto& [role, password] : passwords)
        if (password.empty() || std::ranges::find(names, role) == names.end())
            co_return fail(Errc::invalid_input, fmt::format("this agent has no password of role {} to replace", role));

    auto next = co_await without_older_rotation();
    if (!next) co_return std::unexpected(std::move(next.error()));
    const config::Postgresql postgresql = config_.postgresql;
    auto made = co_await workers_.run([&]() -> Result<> {
        for (const std::string& name : names) {
            const config::PgUser& user = *user_of(postgresql, name);
            const auto known = next->roles.find(name);
            const bool holds =
                known != next->roles.end() && config::still_holds(known->second, user.configured_password);
            auto replaces = auth::make_verifier(user.configured_password);
            if (!replaces) return std::unexpected(std::move(replaces.error()));
            next->roles[name] = {holds ? known->second.password : user.configured_password, passwords.at(name),
                                 std::string(replaces->text().reveal())};
        }
        return {};
    });
    if (!made) co_return made;
    next->rotation = rotation;
    auto kept = co_await keep(std::move(*next));
    if (kept) log::info("rotation {}: new passwords of {} are stored in {}", rotation, fmt::join(names, ", "), path_);
    co_return kept;
}

Task<Result<>> CredentialsKeeper::put_new_first() {
    if (credentials_.switched) co_return Result<>{};
    config::RotatedCredentials next = credentials_;
    for (auto& [role, entry] : next.roles)
        if (!entry.other.empty()) std::swap(entry.password, entry.other);
    next.switched = true;
    co_return co_await keep(std::move(next));
}

Task<Result<>> CredentialsKeeper::commit(std::string rotation) {
    if (auto known = check(rotation); !known) co_return known;
    std::map<std::string, std::string> passwords;
    for (const auto& [role, entry] : credentials_.roles)
        if (!entry.other.empty()) passwords[role] = credentials_.switched ? entry.password : entry.other;
    if (auto set = co_await server_.set_passwords(std::move(passwords)); !set) co_return set;
    log::info("rotation {}: this primary has the new passwords", rotation);
    co_return co_await put_new_first();
}

Task<Result<>> CredentialsKeeper::settle(std::string rotation, std::optional<Member> leader) {
    if (auto known = check(rotation); !known) co_return known;
    if (!credentials_.switched && leader) {
        // Not before the primary has them: the order is what libpq's password file is made from.
        config::PgUser user = config_.postgresql.replication;
        if (!user.other_password.empty()) {
            std::swap(user.password, user.other_password);
            auto taken = co_await postgres::prove_login(clock_, user, {leader->host, leader->port}, true, {});
            if (!taken)
                co_return fail(Errc::unavailable,
                               "the primary does not take the new password yet: " + taken.error().text);
        }
    }
    if (auto switched = co_await put_new_first(); !switched) co_return switched;
    co_await server_.renew_passfile();
    co_return co_await server_.prove_passwords(std::move(leader));
}

Task<Result<>> CredentialsKeeper::finish(std::string rotation) {
    if (!credentials_.under_way()) co_return Result<>{};
    if (auto known = check(rotation); !known) co_return known;
    if (auto switched = co_await put_new_first(); !switched) co_return switched;
    config::RotatedCredentials next = credentials_;
    for (auto& [role, entry] : next.roles) entry.other.clear();
    next.rotation.clear();
    next.switched = false;
    auto kept = co_await keep(std::move(next));
    if (kept) log::info("rotation {}: the old passwords are forgotten", rotation);
    co_return kept;
}

Task<Result<>> CredentialsKeeper::abandon(std::string rotation) {
    if (credentials_.rotation != rotation) co_return Result<>{};
    if (credentials_.switched)
        co_return fail(Errc::conflict, "the new passwords are in force already",
                       "run `pgkeel rotate-credentials` again to finish");
    config::RotatedCredentials next = credentials_;
    for (auto& [role, entry] : next.roles) entry.other.clear();
    std::erase_if(next.roles, [&](const auto& role) {
        const config::PgUser* user = user_of(config_.postgresql, role.first);
        return user != nullptr && user->configured_password == role.second.password;
    });
    next.rotation.clear();
    auto kept = co_await keep(std::move(next));
    if (kept) log::info("rotation {}: given up before anything had changed", rotation);
    co_return kept;
}

}  // namespace pgkeel::agent
