#pragma once
#include "agent/rest/requests.hpp"
#include "base/cluster_view.hpp"
#include "base/peer_status.hpp"

#include <string>
#include <vector>

// Whether a switchover or failover can be, and how it ended. Pure; the leader checks again, and more, when it acts.

namespace pgkeel::agent::rest {

/// Who has to be asked before the request is accepted, or the text that refuses it.
std::expected<std::vector<Member>, std::string> candidates_of(const HandoverAsked& asked, const ClusterView& view,
                                                              const ClusterSettings& settings);

/// At least one of them could be promoted.
bool anyone_fit(const std::vector<Member>& candidates, const std::vector<PeerStatus>& answers);

/// What the operator is told as soon as the cluster shows how it ended; nothing while it does not.
/// \param leader_before  empty: there was none
std::optional<http::Response> outcome(const HandoverAsked& asked, const std::string& leader_before,
                                      const ClusterView& view);
/// When waiting has ended without one.
http::Response outcome_unknown(const HandoverAsked& asked, std::chrono::seconds waited);

/// "Switchover", "Failover"
std::string title(const HandoverAsked& asked);

}  // namespace pgkeel::agent::rest
