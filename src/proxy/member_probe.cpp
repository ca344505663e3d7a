#include "proxy/member_probe.hpp"

#include "cluster/json_reading.hpp"

#include <fmt/format.h>

namespace pgkeel::proxy {
namespace {

using cluster::lsn_of;
using cluster::object_of;
using cluster::text_of;

Role read_role(std::string_view text) {
    if (text == "primary" || text == "master" || text == "promoted") return Role::primary;
    if (text == "standby_leader") return Role::standby_leader;
    if (text == "replica") return Role::replica;
    if (text == "demoted") return Role::demoted;
    return Role::uninitialized;
}

}  // namespace

MemberFacts facts_of(const Member& member) {
    const bool standby = member.role == Role::replica || member.role == Role::standby_leader;
    return {.role = member.role,
            .state = member.state,
            .replication_state = member.replication_state,
            .timeline = member.timeline,
            .position = standby && member.replayed ? member.replayed : member.location,
            .noloadbalance = member.tags.noloadbalance};
}

std::optional<MemberFacts> parse_member_answer(const std::string& scope, const std::string& name,
                                               std::string_view body) {
    const auto in = cluster::read_object(body);
    if (!in) return std::nullopt;
    const auto* about = object_of(*in, "patroni");
    if (about == nullptr) return std::nullopt;
    // Older ones of Patroni tell no name.
    const std::string own_name = text_of(*about, "name");
    if (text_of(*about, "scope") != scope || (!own_name.empty() && own_name != name)) return std::nullopt;
    MemberFacts facts;
    facts.state = text_of(*in, "state");
    facts.role = read_role(text_of(*in, "role"));
    facts.replication_state = text_of(*in, "replication_state");
    facts.timeline = cluster::timeline_of(*in, "timeline");
    facts.noloadbalance = cluster::read_tags(object_of(*in, "tags")).noloadbalance;
    const auto* positions = object_of(*in, "xlog");
    if (positions == nullptr) positions = object_of(*in, "wal");
    if (positions == nullptr) return facts;
    const Lsn flushed = lsn_of(*positions, "location");
    facts.position = flushed ? flushed : lsn_of(*positions, "replayed_location");
    return facts;
}

Task<Result<MemberFacts>> MemberProbe::ask(Member member, Deadline deadline) {
    auto url = http::parse_url(member.api_url);
    if (!url) co_return fail(fmt::format("api_url of member {}", member.name), url.error());
    http::Request request;
    // An agent of pgkeel need not ask its server again for us; Patroni's ignores the parameter.
    request.target = url->target = url->target + "?max_age_ms=1000";
    // Whether it is a primary or not is in the status code for health checks; the body says it too.
    const auto response = co_await client_.request(*std::move(url), std::move(request), deadline);
    if (!response) co_return fail(fmt::format("asking member {} at {}", member.name, member.api_url), response.error());
    auto facts = parse_member_answer(scope_, member.name, response->body);
    if (!facts)
        co_return fail(Errc::invalid_input,
                       fmt::format("the answer of {} is not that of member {}", member.api_url, member.name),
                       "does restapi.connect_address of that member lead to it?");
    co_return *std::move(facts);
}

}  // namespace pgkeel::proxy
