#pragma once
#include "cluster/keys.hpp"

#include <boost/json/array.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// WAL that was lost with a leader, as the keys below `lost_wal/` tell it: `lost_wal/3/leader` is what the new leader
// knew when timeline 3 ended, `lost_wal/3/members/pg-a` what pg-a found of it on its own disk when it came back.

namespace pgkeel::cluster {

struct LostWalReport {
    Timeline timeline;      ///< that was left
    Lsn begin;              ///< where; what was written on it from there on is lost
    std::string member;     ///< who wrote it
    Lsn end;                ///< where that ends
    bool exact = false;     ///< false: it had written at least as far
    std::string kept_in{};  ///< directory on `member`; empty: it was not kept
    std::uint64_t kept_bytes = 0;
    bool kept_whole = true;
    std::string not_kept{};  ///< why
    std::string at{};        ///< ISO 8601

    std::uint64_t bytes() const { return lag_bytes(end, begin); }
};

std::string lost_wal_key(const Keys& keys, const LostWalReport& report);
/// What all keys of a timeline begin with. Each leader removes those of one timeline, so that they do not grow for
/// ever.
std::string lost_wal_keys(const Keys& keys, Timeline timeline);
constexpr std::uint32_t lost_wal_timelines_kept = 64;
std::string write_lost_wal(const LostWalReport& report);

/// From the keys below `lost_wal/`, oldest timeline first; what a member found on its disk takes the place of what the
/// leader knew of it. What cannot be read is left out.
std::vector<LostWalReport> read_lost_wal(const Keys& keys, const std::vector<etcd::KeyValue>& values);

/// For programs: positions as PostgreSQL prints them, and how many bytes lie between them.
boost::json::array lost_wal_json(const std::vector<LostWalReport>& reports);

/// "74232 bytes of pg-a's WAL after 0/5000148" or "at least …".
std::string describe(const LostWalReport& report);

}  // namespace pgkeel::cluster
