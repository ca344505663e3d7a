#pragma once
#include "etcd/types.hpp"

#include <map>
#include <string>
#include <vector>

namespace pgkeel::cluster {

/// A copy of the cluster's keys: read whole now and then, moved by the watch in between. Pure.
///
/// A watch may repeat, and a read may be older than what the watch has told while it was under way; a key therefore
/// never goes back to an older revision. Only a read can: that of an etcd which was replaced.
class WatchedKeys {
  public:
    /// A read is on its way: what the watch tells from now on may be newer than its answer.
    void begin_read();
    void end_read(etcd::RangeResult read);
    /// \return something is different now
    bool apply(etcd::Revision revision, const std::vector<etcd::WatchEvent>& events);

    std::vector<etcd::KeyValue> values() const;
    etcd::Revision revision() const { return revision_; }

  private:
    bool apply_one(const etcd::WatchEvent& event);

    std::map<std::string, etcd::KeyValue> values_;
    etcd::Revision revision_ = 0;  ///< everything up to this one is in `values_`
    etcd::Revision revision_at_begin_ = 0;
    std::vector<etcd::WatchEvent> since_begin_;
    bool reading_ = false;
};

}  // namespace pgkeel::cluster
