#pragma once
#include "etcd/gateway.hpp"
#include "etcd/store.hpp"

namespace pgkeel::etcd {

/// etcd through its JSON gateway. One event loop; any number of requests and watches at the same time.
class GatewayStore final : public Store {
  public:
    /// Connects to nothing yet. Errors: invalid_input — an address.
    static Result<std::unique_ptr<GatewayStore>> create(Clock& clock, GatewayOptions options);

    Task<Result<RangeResult>> range(std::string prefix, Deadline deadline) override;
    Task<Result<TransactionResult>> commit(Transaction transaction, Deadline deadline) override;
    Task<Result<LeaseId>> grant(std::chrono::seconds ttl, Deadline deadline) override;
    Task<Result<>> keep_alive(LeaseId lease, Deadline deadline) override;
    Task<Result<>> revoke(LeaseId lease, Deadline deadline) override;
    Task<Error> watch(std::string prefix, Revision from, OnEvents on_events) override;

    /// Takes new addresses, credentials and certificates, and trusts whichever etcd answers next: the operator's way to
    /// say that etcd was replaced or restored. Errors: as create; the old options then stay.
    Result<> reload(GatewayOptions options);
    /// The member in use, for messages and status pages.
    std::string endpoint() const { return gateway_->endpoints().current()->name; }

  private:
    explicit GatewayStore(std::shared_ptr<Gateway> gateway) : gateway_(std::move(gateway)) {}
    std::shared_ptr<Gateway> gateway_;
};

}  // namespace pgkeel::etcd
