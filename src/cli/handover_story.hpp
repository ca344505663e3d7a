#pragma once
#include "base/cluster_view.hpp"
#include "cluster/keys.hpp"
#include "etcd/types.hpp"

#include <map>
#include <string>
#include <vector>

namespace pgkeel::cli {

/// Tells a switchover from the changes of the cluster's keys: changes in, sentences out. Pure.
class HandoverStory {
  public:
    HandoverStory(cluster::Keys keys, const ClusterView& start);

    /// What these changes mean to somebody who watches; often nothing.
    std::vector<std::string> tell(const std::vector<etcd::WatchEvent>& events);

    /// Who leads now; empty: nobody.
    const std::string& leader() const { return leader_; }
    const std::string& old_leader() const { return old_leader_; }
    bool leader_changed() const { return !leader_.empty() && leader_ != old_leader_; }
    /// The agents have taken the request off the table: carried out, or refused.
    bool request_cleared() const { return request_seen_ && !request_pending_; }
    /// The new leader has published that it is a running primary (or leads a standby cluster).
    bool new_leader_runs() const;

  private:
    void tell_leader(const etcd::WatchEvent& event, std::vector<std::string>& lines);
    void tell_request(const etcd::WatchEvent& event, std::vector<std::string>& lines);
    void tell_member(const etcd::WatchEvent& event, std::vector<std::string>& lines);

    cluster::Keys keys_;
    std::string old_leader_;
    std::string leader_;
    bool request_pending_ = false;
    bool request_seen_ = false;
    std::map<std::string, Member> members_;
};

}  // namespace pgkeel::cli
