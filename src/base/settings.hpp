#pragma once
#include "base/slot_settings.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pgkeel {

enum class SynchronousMode { off, on, quorum };

/// The cluster-wide settings that decisions read, from the dynamic configuration (etcd key `config`). Defaults are
/// Patroni's.
struct ClusterSettings {
    std::chrono::seconds ttl{30};            ///< leader lease
    std::chrono::seconds loop_wait{10};      ///< the fallback tick
    std::chrono::seconds retry_timeout{10};  ///< budget for one etcd operation with its retries
    std::uint64_t maximum_lag_on_failover_bytes = 1048576;
    bool check_timeline = false;
    std::uint32_t max_timelines_history = 0;  ///< entries kept in `/history`, 0 = all
    std::chrono::seconds primary_start_timeout{300};
    std::chrono::seconds primary_stop_timeout{0};
    std::chrono::seconds primary_race_backoff{0};
    std::chrono::seconds member_slots_ttl{1800};
    SynchronousMode synchronous_mode = SynchronousMode::off;
    bool synchronous_mode_strict = false;
    std::uint32_t synchronous_node_count = 1;
    std::int64_t maximum_lag_on_syncnode_bytes = -1;  ///< below zero: no limit
    bool failsafe_mode = false;
    bool pause = false;
    bool standby_cluster = false;
    RemotePrimary remote;  ///< of a standby cluster
    std::map<std::string, PermanentSlot> permanent_slots;
    std::vector<SlotMatcher> ignored_slots;
    bool use_slots = true;
    bool use_pg_rewind = false;

    bool operator==(const ClusterSettings&) const = default;
};

}  // namespace pgkeel
