#pragma once
#include <set>
#include <string>

namespace pgkeel {

/// Which standbys a commit waits for: `count` of `names` have to have flushed it. No names: it waits for nobody.
/// See: PostgreSQL, "synchronous_standby_names".
struct SyncRule {
    std::set<std::string> names;
    int count = 0;
    /// ANY: whichever answer first; else the first in the list. With `count` equal to the number of names both are the
    /// same.
    bool any = false;

    bool operator==(const SyncRule&) const = default;
};

/// A standby of this name cannot exist: with it alone, commits wait until a real one is there. Patroni's word.
inline constexpr const char* impossible_standby = "__patroni_strict_sync_replica_placeholder__";

/// The value of synchronous_standby_names: "", "a", 2 ("a","b"), ANY 1 ("a","b").
std::string to_setting(const SyncRule& rule);

}  // namespace pgkeel
