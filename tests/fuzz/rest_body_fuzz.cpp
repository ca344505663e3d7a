#include "agent/rest/access.hpp"
#include "agent/rest/handover.hpp"
#include "agent/rest/health.hpp"
#include "agent/rest/json_text.hpp"
#include "agent/rest/requests.hpp"

#include <boost/json/parse.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// What strangers may send to the REST API: a path with a query in the first line, then a body. Whatever it is, there is
// an answer with a code of Patroni's, and what is accepted can be stored and read again.

using namespace pgkeel;
using namespace pgkeel::agent::rest;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

bool is_refusal(const http::Response& answer) {
    return answer.status == 400 || answer.status == 411 || answer.status == 422 || answer.status == 500;
}

NodeFacts standby() {
    NodeFacts facts;
    facts.state = "running";
    facts.role = Role::replica;
    facts.has_view = true;
    facts.server.accepts_connections = facts.server.in_recovery = true;
    facts.server.replayed = Lsn{1000};
    facts.server.replication_state = "streaming";
    facts.leader_position = Lsn{2000};
    facts.published_tags = {{"zone", "a"}, {"weight", 1.5}, {"none", nullptr}, {"list", {1, 2}}};
    return facts;
}

void check_time(std::string_view text) {
    const ReadTime read = read_time(text);
    if (read.kind != ReadTime::Kind::time) return;
    const ReadTime again = read_time(iso_with_zone(read.time));
    require(again.kind == ReadTime::Kind::time && again.time == read.time);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t line = std::min(bytes.find('\n'), bytes.size());
    http::Request request;
    request.target = bytes.substr(0, line);
    request.body = bytes.substr(std::min(line + 1, bytes.size()));
    request.has_content_length = true;

    const NodeFacts facts = standby();
    const int health = health_status(facts, request.path(), request.query());
    require(health == 200 || health == 503);
    const int readiness = readiness_status(facts, request.query());
    require(readiness == 200 || readiness == 503);
    check_time(request.target);
    (void)version_number(request.target);
    (void)Network::parse(request.target);
    if (const auto network = Network::parse(request.body))
        (void)network->contains(asio::ip::make_address("2001:db8::1"));

    const WallTime now{std::chrono::sys_days(std::chrono::year(2026) / 11 / 21)};
    for (const bool optional : {false, true}) {
        const auto body = read_body(request, optional);
        if (!body) {
            require(is_refusal(body.error()));
            continue;
        }
        boost::system::error_code error;
        const auto stored = boost::json::parse(compact_json(*body), error);
        require(!error && stored.is_object() && stored.get_object().size() == body->size());
        (void)boost::json::parse(spaced_json(*body), error);
        require(!error);
        for (const bool paused : {false, true}) {
            const auto restart = read_restart(*body, paused, now);
            require(restart ? (!restart->at || *restart->at >= now) : is_refusal(restart.error()));
            for (const bool is_switchover : {false, true}) {
                const auto asked = read_handover(*body, is_switchover, paused, now);
                require(asked ? asked->leader != asked->candidate && (!asked->at || *asked->at >= now)
                              : is_refusal(asked.error()));
                if (asked) (void)candidates_of(*asked, {}, {});
            }
        }
    }
    return 0;
}
