#pragma once
#include "agent/lease_keeper.hpp"
#include "agent/led_key.hpp"
#include "cluster/peer.hpp"
#include "ha/snapshot.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace pgkeel::agent {

/// The failsafe mode: a leader that cannot renew its lease goes on while every node that could take it agrees. Keeps
/// the key `failsafe`, which says who that is, and asks them. The argument is docs/decisions/0009-failsafe.md.
class Failsafe {
  public:
    struct Parts {
        asio::any_io_executor executor;
        Clock& clock;
        etcd::Store& store;
        cluster::Peers& peers;
        const cluster::Keys& keys;
        LeaseKeeper& lease;
        std::function<void()> wake;
    };
    Failsafe(Parts parts, std::string name);

    /// Asks the members whenever renewals of the lease are overdue, until `stop`. Run it as a task of its own.
    Task<> run();
    void stop() {
        stopped_ = true;
        wake_.set();
    }

    /// With every look at the cluster: writes the key when the members have changed.
    void consider(const ha::Snapshot& seen, const std::string& conn_url, const std::string& api_url,
                  std::map<std::string, Lsn> slots);
    /// The lease was last extended by the members.
    bool extends_lease() const;
    bool is_active(const ha::Snapshot& seen) const;
    /// How far the members are, as they said when they last accepted; those of this tenure.
    const std::map<std::string, Lsn>& positions() const { return positions_; }

  private:
    using ApiUrls = std::map<std::string, std::string>;
    ApiUrls members_to_ask(const ha::Snapshot& seen, const std::string& api_url);
    Task<> write_key(std::optional<ApiUrls> members, etcd::Revision mod_revision);
    Task<> ask_everybody();
    Task<> ask(std::string name, std::string api_url, Deadline deadline, cluster::FailsafeAnswer& answer);

    Parts parts_;
    std::string name_;
    LedKey key_;
    std::int64_t epoch_ = 0;
    bool enabled_ = false;
    /// Whom the key names, as far as this tenure knows; nothing: it is not known. A write without an answer adds.
    std::optional<ApiUrls> members_;
    ApiUrls maybe_members_;
    /// After an outage etcd has forgotten members that are well: those that the key does not name may not lead.
    std::map<std::string, Instant> missing_since_;
    cluster::FailsafeCall call_;
    std::map<std::string, Lsn> positions_;
    Duration ttl_{};
    bool writing_ = false;
    Instant retry_at_{};
    Instant extended_at_{};  ///< `sent` of the last round that everybody accepted
    std::string refused_;    ///< said last
    bool stopped_ = false;
    Event wake_;  ///< there may be somebody to ask
};

}  // namespace pgkeel::agent
