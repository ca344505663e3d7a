#pragma once
#include "base/clock.hpp"
#include "cluster/keys.hpp"
#include "etcd/store.hpp"

#include <string>

namespace pgkeel::agent {

/// A key that only the leader writes, and whose value others decide on: what it may say is known at any time.
///
/// A write without an answer may still be under way when the key is read again, and come later. So the key is in doubt
/// until a later write of ours has succeeded: each compares the key's revision, and what is still under way loses.
class LedKey {
  public:
    LedKey(etcd::Store& store, const cluster::Keys& keys, std::string name, std::string key)
        : store_(store), keys_(keys), name_(std::move(name)), key_(std::move(key)) {}

    /// Another process of ours may have led in this epoch before.
    void begin_tenure() { in_doubt_ = true; }
    bool in_doubt() const { return in_doubt_; }
    /// What was read at `revision` has our last write in it.
    bool knows(etcd::Revision revision) const { return revision >= written_at_; }

    /// Writes, if the key is still as it was at `mod_revision` and we lead under `epoch`; an empty value removes it.
    /// False: it is not so any more.
    Task<Result<bool>> write(std::string value, etcd::Revision mod_revision, etcd::Revision epoch, Deadline deadline);

  private:
    etcd::Store& store_;
    const cluster::Keys& keys_;
    std::string name_;
    std::string key_;
    bool in_doubt_ = true;
    etcd::Revision written_at_ = 0;
};

}  // namespace pgkeel::agent
