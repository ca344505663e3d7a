#pragma once
#include "base/result.hpp"
#include "etcd/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The JSON of etcd's gRPC gateway, both ways. Pure. Its rules (etcd documentation, "gRPC gateway"; protobuf's JSON
// mapping): keys and values are base64, 64-bit numbers are decimal strings, and a field that is false, zero or empty is
// left out.

namespace pgkeel::etcd {

/// What every answer of etcd begins with. A zero: the call does not tell.
struct Header {
    std::uint64_t cluster_id = 0;
    std::uint64_t member_id = 0;
    Revision revision = 0;
    std::uint64_t raft_term = 0;
};

template <class T>
struct Answer {
    Header header;
    T value;
};

// Bodies of requests.

std::string range_request(const std::string& prefix);
std::string transaction_request(const Transaction& transaction);
std::string grant_request(std::chrono::seconds ttl);
std::string lease_request(LeaseId lease);
std::string watch_request(const std::string& prefix, Revision from);
std::string authenticate_request(const std::string& user, const std::string& password);

// Answers to them. Errors: unavailable — it is not what etcd sends.

Result<Answer<RangeResult>> parse_range(std::string_view body);
Result<Answer<TransactionResult>> parse_transaction(std::string_view body);
Result<Answer<LeaseId>> parse_grant(std::string_view body);
/// The TTL left; nothing: the lease does not exist any more.
Result<Answer<std::optional<std::chrono::seconds>>> parse_keep_alive(std::string_view body);
/// For calls whose answer says nothing more.
Result<Header> parse_header_only(std::string_view body);
Result<std::string> parse_token(std::string_view body);
/// The addresses at which the members serve clients, in etcd's order.
Result<Answer<std::vector<std::string>>> parse_members(std::string_view body);
/// The version that the whole cluster speaks ("3.4.0"), or the member's own while the cluster has not agreed on one.
Result<std::string> parse_version(std::string_view body);
/// Path before every call of an etcd of this version: "/v3". Errors: unavailable — older than 3.0.4, or not a version.
Result<std::string> api_prefix(std::string_view version);

/// What etcd says instead of an answer. `code` is gRPC's.
struct Refusal {
    int code = 0;
    std::string message;
};
/// Nothing when `body` is not such a refusal.
std::optional<Refusal> parse_refusal(std::string_view body);

/// One line of a watch's stream.
struct WatchMessage {
    Header header;
    bool created = false;
    bool canceled = false;
    Revision compact_revision = 0;  ///< != 0: revisions before it cannot be watched any more
    std::string cancel_reason;
    std::vector<WatchEvent> events;
    std::optional<Refusal> refusal;
};
Result<WatchMessage> parse_watch_line(std::string_view line);

/// The key after the last one that begins with `prefix`, as etcd wants the end of a range.
std::string range_end(std::string prefix);

}  // namespace pgkeel::etcd
