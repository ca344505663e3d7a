// What operators ask of a node through its REST API: restart, reinitialize, reload.
#include "agent/node.hpp"
#include "ha/switchover.hpp"
#include "log/log.hpp"

#include <fmt/format.h>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

/// Whether the conditions of a restart request hold for this server now.
bool matches(const RestartRequest& request, const ServerState& server, Role role) {
    if (!request.role.empty() && request.role != to_string(role)) return false;
    if (request.version_below != 0 && server.version_number >= request.version_below) return false;
    return !request.only_pending || server.pending_restart;
}

}  // namespace

Task<Node::RestartOutcome> Node::restart(RestartRequest request) {
    // The end of the agent releases the lease when the server is down; nobody may start it again in between.
    if (stopping_) co_return RestartOutcome{503, "the agent is stopping"};
    if (seen_.operation)
        co_return RestartOutcome{503, fmt::format("{} already in progress", ha::to_string(seen_.operation->kind))};
    if (!matches(request, seen_.server, role())) co_return RestartOutcome{503, "restart conditions are not satisfied"};
    const Duration timeout = request.timeout.value_or(seen_.settings.primary_start_timeout);
    const auto done = std::make_shared<Event>();
    restart_done_ = done;
    start(ha::Operation::restart, restart_server(timeout));
    if (!co_await done->wait(out_.clock, out_.clock.now() + std::max<Duration>(timeout, 60s) + 60s))
        co_return RestartOutcome{503, "postgres is still starting"};
    co_return restart_result_;
}

bool Node::cancel_scheduled_restart() {
    const bool was = scheduled_restart_.has_value();
    scheduled_restart_.reset();
    wake_.set();
    return was;
}

void Node::schedule_restart(RestartRequest request) {
    scheduled_restart_ = std::move(request);
    wake_.set();
}

Task<> Node::run_due_restart() {
    if (!scheduled_restart_) co_return;
    const auto due = ha::parse_iso_time(scheduled_restart_->schedule);
    const WallTime now = out_.clock.wall_now();
    if (due && now < *due) {
        schedule_wakes_at_ = out_.clock.now() + std::chrono::duration_cast<Duration>(*due - now);
        co_return;
    }
    const RestartRequest request = *std::exchange(scheduled_restart_, std::nullopt);
    schedule_wakes_at_ = Instant::max();
    if (!due || seen_.settings.pause || seen_.operation || !matches(request, seen_.server, role())) {
        log::info("skipping the restart scheduled for {}: its conditions do not hold", request.schedule);
        co_return;
    }
    log::info("running the restart scheduled for {}", request.schedule);
    start(ha::Operation::restart, restart_server(request.timeout.value_or(seen_.settings.primary_start_timeout)));
}

Node::RestartOutcome Node::reinitialize(bool force, bool from_leader) {
    if (!seen_.view || !seen_.view->leader) return {503, "Cluster has no leader, can not reinitialize"};
    if (seen_.view->leader->name == identity_.name) return {503, "I am the leader, can not reinitialize"};
    if (seen_.operation) {
        if (!force) return {503, fmt::format("{} already in progress", ha::to_string(seen_.operation->kind))};
        out_.server.cancel();
    }
    seen_.reinit_requested = true;
    reinit_from_leader_ = from_leader;
    wake_.set();
    return {200, "reinitialize started"};
}

void Node::reload(Identity identity, std::function<bool()> change_server) {
    identity.id = identity_.id;
    identity_ = std::move(identity);
    seen_.tags = identity_.tags;
    change_server_ = std::move(change_server);
    if (seen_.operation)
        log::info("PostgreSQL's part of the configuration waits for the end of: {}",
                  ha::to_string(seen_.operation->kind));
    wake_.set();
}

}  // namespace pgkeel::agent
