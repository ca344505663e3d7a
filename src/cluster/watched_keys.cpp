#include "cluster/watched_keys.hpp"

#include <algorithm>
#include <utility>

namespace pgkeel::cluster {

void WatchedKeys::begin_read() {
    reading_ = true;
    since_begin_.clear();
    revision_at_begin_ = revision_;
}

void WatchedKeys::end_read(etcd::RangeResult read) {
    reading_ = false;
    std::vector<etcd::WatchEvent> events = std::exchange(since_begin_, {});
    // Reads are linearizable, so this is another etcd than before: what the old one said last is void.
    const bool replaced = read.revision < revision_at_begin_;
    if (replaced) revision_ = 0;
    values_.clear();
    for (etcd::KeyValue& one : read.values) {
        std::string key = one.key;
        values_.emplace(std::move(key), std::move(one));
    }
    if (!replaced)
        for (const etcd::WatchEvent& event : events)
            if (event.value.mod_revision > read.revision) apply_one(event);
    revision_ = std::max(revision_, read.revision);
}

bool WatchedKeys::apply(etcd::Revision revision, const std::vector<etcd::WatchEvent>& events) {
    bool changed = false;
    for (const etcd::WatchEvent& event : events) {
        if (reading_) since_begin_.push_back(event);
        if (event.value.mod_revision > revision_) changed = apply_one(event) || changed;
    }
    revision_ = std::max(revision_, revision);
    return changed;
}

bool WatchedKeys::apply_one(const etcd::WatchEvent& event) {
    if (event.removed) return values_.erase(event.value.key) != 0;
    etcd::KeyValue& known = values_[event.value.key];
    if (known.mod_revision >= event.value.mod_revision) return false;
    known = event.value;
    return true;
}

std::vector<etcd::KeyValue> WatchedKeys::values() const {
    std::vector<etcd::KeyValue> all;
    for (const auto& [key, value] : values_) all.push_back(value);
    return all;
}

}  // namespace pgkeel::cluster
