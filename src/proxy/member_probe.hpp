#pragma once
#include "async/clock.hpp"
#include "base/cluster_view.hpp"
#include "http/client.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::proxy {

/// What routing has to know of a member, from its key in etcd or from its REST API.
struct MemberFacts {
    Role role = Role::uninitialized;
    std::string state{};
    std::string replication_state{};
    Timeline timeline{};
    Lsn position{};  ///< a primary's flushed one; what a standby has replayed
    bool noloadbalance = false;
    bool operator==(const MemberFacts&) const = default;
};

MemberFacts facts_of(const Member& member);

/// Reads the answer to GET /patroni, of pgkeel and of Patroni from 2.1 on. Pure. Nothing: it is no such answer, or it
/// is about another member or another cluster, who has got the address since.
std::optional<MemberFacts> parse_member_answer(const std::string& scope, const std::string& name,
                                               std::string_view body);

/// Asks the members' REST APIs. GET /patroni needs no password anywhere; with `verify_client: required` it needs the
/// certificate in `tls`.
class MemberProbe {
  public:
    MemberProbe(http::ClientTls tls, std::string scope) : client_(std::move(tls)), scope_(std::move(scope)) {}

    /// Errors: as http::Client::request; invalid_input — the api_url, or an answer that is not this member's.
    Task<Result<MemberFacts>> ask(Member member, Deadline deadline);
    void reload(http::ClientTls tls) { client_.reload(std::move(tls)); }

  private:
    http::Client client_;
    std::string scope_;
};

}  // namespace pgkeel::proxy
