// POST /switchover and /failover, DELETE /switchover. The request becomes the key `failover`; the leader acts on it.
#include "agent/rest/answers.hpp"
#include "agent/rest/api.hpp"
#include "agent/rest/handover.hpp"
#include "cluster/json_reading.hpp"
#include "config/dynamic_config.hpp"
#include "log/log.hpp"

#include <algorithm>

namespace pgkeel::agent::rest {

using namespace std::chrono_literals;

namespace {

constexpr Duration poll_every = 100ms;
/// How long a new leader may take to call itself primary before the operator is told of it anyway.
constexpr Duration promotion_patience = 2s;

ClusterSettings settings_in(const ClusterView& view) {
    std::vector<std::string> warnings;
    const auto dynamic = cluster::read_object(view.config.value_or("{}"));
    return config::settings_of(dynamic.value_or(boost::json::object{}), false, warnings);
}

/// Whoever asks for a switchover wants to write on the new primary next.
bool leader_is_primary(const ClusterView& view) {
    const Member* leader = view.leader_member();
    return leader != nullptr && (leader->role == Role::primary || leader->role == Role::standby_leader);
}

}  // namespace

Task<http::Response> RestApi::hand_over(http::Request request, bool is_switchover) {
    const auto body = read_body(request, false);
    if (!body) co_return body.error();
    const auto view = co_await read_cluster();
    if (!view) co_return store_trouble("reading the cluster", view.error());
    const ClusterSettings settings = settings_in(*view);
    const auto asked = read_handover(*body, is_switchover, settings.pause, parts_.clock.wall_now());
    if (!asked) co_return asked.error();
    log::info("received {} request with leader={} candidate={} scheduled_at={} from {}", asked->action(), asked->leader,
              asked->candidate, asked->at ? iso_with_zone(*asked->at) : "None", request.peer_address);

    if (!asked->at) {
        const auto candidates = candidates_of(*asked, *view, settings);
        if (!candidates) co_return text_answer(412, candidates.error());
        const std::vector<PeerStatus> answers = co_await ask(*candidates);
        if (!anyone_fit(*candidates, answers))
            co_return text_answer(
                412, std::string(asked->action()) + " is not possible: no good candidates have been found");
    }
    const std::string value = cluster::write_failover(
        {asked->leader, asked->candidate, asked->at ? iso_with_zone(*asked->at) : std::string{}, 0});
    const auto written = co_await write_key(parts_.node.keys().failover(), value, std::nullopt);
    if (!written) {
        log::error("could not write the key failover: {}", written.error().line());
        co_return text_answer(503, "failed to write failover key into DCS");
    }
    parts_.node.wake();
    if (asked->at) co_return text_answer(202, title(*asked) + " scheduled");
    co_return co_await await_outcome(*asked, view->leader ? view->leader->name : std::string{},
                                     2 * std::max<std::chrono::seconds>(10s, settings.loop_wait));
}

Task<http::Response> RestApi::await_outcome(HandoverAsked asked, std::string leader_before,
                                            std::chrono::seconds patience) {
    const Instant end = parts_.clock.now() + patience;
    std::optional<Instant> changed_at;
    while (parts_.clock.now() < end) {
        co_await parts_.clock.sleep_for(poll_every);
        const auto view = co_await read_cluster();
        if (!view) continue;
        auto answer = outcome(asked, leader_before, *view);
        if (!answer) continue;
        if (answer->status == 200 && !leader_is_primary(*view)) {
            if (!changed_at) changed_at = parts_.clock.now();
            if (parts_.clock.now() - *changed_at < promotion_patience) continue;
        }
        co_return std::move(*answer);
    }
    co_return outcome_unknown(asked, patience);
}

Task<http::Response> RestApi::cancel_switchover() {
    const auto view = co_await read_cluster();
    if (!view) co_return store_trouble("reading the cluster", view.error());
    if (!view->failover || view->failover->scheduled_at.empty())
        co_return text_answer(404, "no switchover is scheduled");
    const auto written =
        co_await write_key(parts_.node.keys().failover(), cluster::write_failover({}), view->failover->mod_revision);
    if (!written || !*written) co_return page(409, "the request could not be taken back, or has changed meanwhile");
    co_return text_answer(200, "scheduled switchover deleted");
}

}  // namespace pgkeel::agent::rest
