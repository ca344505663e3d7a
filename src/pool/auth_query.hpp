#pragma once
#include "pool/hub.hpp"
#include "pool/partner.hpp"

#include <string>

namespace pgkeel::pool {

class Client;

/// Asks a server for the secret of a user who logs in (auth_query), as auth_user, whose servers no client's settings
/// ever reach (CVE-2025-12819).
class AuthQuery final : public Partner {
  public:
    AuthQuery(Client& client, std::string auth_user) : client_(client), auth_user_(std::move(auth_user)) {}
    ~AuthQuery();

    /// Client::auth_query_answered follows, perhaps at once.
    void ask();

    void linked(Server& server) override;
    void deliver(std::string_view bytes) override { answer_ += bytes; }
    bool is_full() const override { return false; }
    void answered() override;
    void server_gone(const pgwire::backend::Report& why, bool told) override;
    void refused(const pgwire::backend::Report& why) override;

    PoolRecord* pool() { return pool_; }

  private:
    void finish(Result<std::optional<auth::Secret>> secret);
    Result<std::optional<auth::Secret>> read_answer() const;

    Client& client_;
    std::string auth_user_;
    PoolRecord* pool_ = nullptr;
    Server* server_ = nullptr;
    std::string answer_;
};

}  // namespace pgkeel::pool
