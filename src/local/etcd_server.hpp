#pragma once
#include "http/client.hpp"
#include "local/plan.hpp"
#include "process/child.hpp"

namespace pgkeel::local {

/// How to start one member of etcd: TLS for clients and, with certificates on both sides, between members.
Command etcd_command(const Plan& plan, const Layout& layout, const EtcdPlan& member, const std::string& program);

/// The etcd of a local cluster as its administrator.
class EtcdAdmin {
  public:
    EtcdAdmin(const Plan& plan, const Layout& layout);

    /// How many members say of themselves that they are healthy.
    Task<int> healthy_members(Clock& clock);
    /// Turns password authentication on and gives the user pgkeel the keys of this cluster alone; does nothing that is
    /// done already. Errors: denied — it is on with other passwords; unavailable.
    Task<Result<>> secure(Clock& clock, Deadline deadline);

  private:
    struct Answer {
        bool ok = false;
        std::string error;  ///< etcd's words
        std::string token;
    };
    Task<Result<Answer>> call(std::string path, std::string body, std::string token, Deadline deadline);

    Plan plan_;
    http::Client client_;
};

}  // namespace pgkeel::local
