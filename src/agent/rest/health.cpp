#include "agent/rest/health.hpp"

#include "agent/rest/answers.hpp"
#include "config/dynamic_config.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <limits>
#include <optional>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

bool contains(const std::string& path, const char* part) {
    return path.find(part) != std::string::npos;
}

/// "1048576", "10MB"; nothing when it is absent or no size.
std::optional<std::uint64_t> size_of(const std::string& text) {
    if (text.empty()) return std::nullopt;
    const auto bytes = config::parse_with_unit(text, "B");
    if (!bytes || !(*bytes < 9e18)) return std::nullopt;
    return *bytes <= 0 ? 0 : static_cast<std::uint64_t>(*bytes);
}

/// Who may be sent what, once and for all paths.
struct Answers {
    bool leader = false;
    bool primary = false;
    bool standby_leader = false;
    bool replica = false;
};

Answers answers_of(const NodeFacts& facts, const http::Headers& query) {
    Answers answers;
    const std::uint64_t lag_max =
        size_of(query_value(query, "lag")).value_or(std::numeric_limits<std::uint64_t>::max());
    const std::string wanted_state = query_value(query, "replication_state");
    answers.replica = facts.role == Role::replica && facts.state == "running" && !facts.tags.noloadbalance &&
                      lag_bytes(facts.leader_position, facts.server.replayed) <= lag_max &&
                      (wanted_state.empty() || wanted_state == facts.server.replication_state);
    if (!facts.has_view && facts.paused) {
        // Nobody is promoted meanwhile, so the role that the server has is the role that counts.
        answers.primary = facts.role == Role::primary;
        answers.standby_leader = facts.role == Role::standby_leader;
        answers.leader = answers.primary || answers.standby_leader;
    } else if (facts.holds_lease) {
        answers.leader = true;
        answers.primary = !facts.standby_cluster && facts.is_open;
        answers.standby_leader =
            facts.standby_cluster && (facts.role == Role::replica || facts.role == Role::standby_leader);
        if (facts.standby_cluster) answers.replica = false;
    }
    return answers;
}

std::string tag_text(const json::value& tag) {
    if (tag.is_string()) return {tag.get_string().data(), tag.get_string().size()};
    if (const double* number = tag.if_double()) return fmt::format("{}", *number);
    return json::serialize(tag);
}

bool has_tags(const NodeFacts& facts, const http::Headers& query) {
    constexpr std::string_view prefix = "tag_";
    for (const auto& [key, value] : query) {
        if (!key.starts_with(prefix) || value.empty()) continue;
        if (query_value(query, key) != value) continue;  // only the first of a name counts
        const json::value* tag = facts.published_tags.if_contains(std::string_view(key).substr(prefix.size()));
        if (tag == nullptr || tag->is_null() || tag_text(*tag) != value) return false;
    }
    return true;
}

}  // namespace

int health_status(const NodeFacts& facts, const std::string& given_path, const http::Headers& query) {
    const std::string path = given_path == "/" ? "/primary" : given_path;
    const Answers answers = answers_of(facts, query);
    const auto status = [](bool fits) { return fits ? 200 : 503; };
    if (contains(path, "standby_leader") || contains(path, "standby-leader")) return status(answers.standby_leader);
    if (contains(path, "leader")) return status(answers.leader);
    if (contains(path, "master") || contains(path, "primary") || contains(path, "read-write"))
        return status(answers.primary);

    const bool writable = answers.primary || answers.standby_leader;
    bool fits = false;
    if (contains(path, "replica"))
        fits = answers.replica;
    else if (contains(path, "read-only") && !contains(path, "sync") && !contains(path, "quorum"))
        fits = writable || answers.replica;
    else if (contains(path, "health"))
        fits = facts.state == "running";
    else if (!facts.has_view)
        fits = false;
    else if (path == "/sync" || path == "/synchronous")
        fits = facts.sync_standby && answers.replica;
    else if (path == "/quorum")
        fits = facts.quorum_standby && answers.replica;
    else if (path == "/async" || path == "/asynchronous")
        fits = !facts.sync_standby && !facts.quorum_standby && answers.replica;
    else if (path == "/read-only-sync" || path == "/read-only-synchronous")
        fits = writable || (facts.sync_standby && answers.replica);
    else if (path == "/read-only-quorum")
        fits = writable || (facts.quorum_standby && answers.replica);
    return status(fits && has_tags(facts, query));
}

int liveness_status(const NodeFacts& facts) {
    return facts.paused || facts.alive ? 200 : 503;
}

int readiness_status(const NodeFacts& facts, const http::Headers& query) {
    if (facts.holds_lease) return 200;
    if (facts.state != "running" || facts.server.replication_state != "streaming") return 503;
    if (!facts.has_view && !facts.server.latest_end) return 503;  // nobody knows how far behind it is
    const Lsn here = query_value(query, "mode") == "write" ? std::max(facts.server.received, facts.server.replayed)
                                                           : facts.server.replayed;
    const std::uint64_t lag_max = size_of(query_value(query, "lag")).value_or(facts.maximum_lag_on_failover_bytes);
    return lag_bytes(facts.leader_position, here) <= lag_max ? 200 : 503;
}

}  // namespace pgkeel::agent::rest
