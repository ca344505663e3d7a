#include "postgres/passwords.hpp"

#include "auth/md5.hpp"
#include "auth/scram.hpp"
#include "log/log.hpp"

namespace pgkeel::postgres {

namespace {
constexpr Duration login_patience = std::chrono::seconds(3);
}

Task<Result<>> prove_login(Clock& clock, config::PgUser user, Endpoint endpoint, bool replication,
                           std::string database) {
    user.other_password.clear();
    Login login{.endpoint = std::move(endpoint), .user = std::move(user)};
    if (!database.empty()) login.database = std::move(database);
    login.replication = replication;
    auto opened = co_await Connection::open(clock, std::move(login), clock.now() + login_patience);
    if (!opened) co_return std::unexpected(std::move(opened.error()));
    co_return Result<>{};
}

Task<config::PgUser> accepted_first(Clock& clock, config::PgUser user, Endpoint endpoint, bool replication,
                                    std::string database) {
    if (user.other_password.empty()) co_return user;
    const auto first = co_await prove_login(clock, user, endpoint, replication, database);
    if (first || !is_wrong_password(first.error())) co_return user;
    config::PgUser turned = user;
    std::swap(turned.password, turned.other_password);
    const auto second = co_await prove_login(clock, turned, std::move(endpoint), replication, std::move(database));
    if (!second) {
        log::warning("neither password of role {} is taken: {}", user.username, second.error().line());
        co_return user;
    }
    co_return turned;
}

bool is_password_of(const std::string& stored, const std::string& role, const std::string& password) {
    if (const auto verifier = auth::ScramVerifier::parse(stored)) return auth::verifier_matches(*verifier, password);
    const auto md5 = auth::md5_stored(password, role);
    return md5 && stored == md5->reveal();
}

}  // namespace pgkeel::postgres
