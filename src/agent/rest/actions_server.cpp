// What operators ask of this node's own server: reload, restart, reinitialize.
#include "agent/rest/answers.hpp"
#include "agent/rest/api.hpp"
#include "config/dynamic_config.hpp"
#include "log/log.hpp"

namespace pgkeel::agent::rest {
namespace {

bool flag(const boost::json::object& body, std::string_view name) {
    const boost::json::value* value = body.if_contains(name);
    return value != nullptr && config::parse_bool(*value).value_or(false);
}

}  // namespace

http::Response RestApi::reload() {
    if (parts_.reload) parts_.reload();
    return text_answer(202, "reload scheduled");
}

Task<http::Response> RestApi::restart(http::Request request) {
    const auto body = read_body(request, true);
    if (!body) co_return body.error();
    auto asked = read_restart(*body, parts_.node.last().settings.pause, parts_.clock.wall_now());
    if (!asked) co_return asked.error();
    if (!asked->at) {
        log::info("a restart was requested by {}", request.peer_address);
        const Node::RestartOutcome outcome = co_await parts_.node.restart(std::move(asked->filters));
        co_return text_answer(outcome.status, outcome.text);
    }
    if (parts_.node.scheduled_restart()) co_return text_answer(409, "Another restart is already scheduled");
    log::info("a restart at {} was requested by {}", asked->filters.schedule, request.peer_address);
    asked->filters.as_given["postmaster_start_time"] = parts_.node.last().server.postmaster_start_time;
    parts_.node.schedule_restart(std::move(asked->filters));
    co_return text_answer(202, "Restart scheduled");
}

http::Response RestApi::cancel_restart() {
    if (parts_.node.cancel_scheduled_restart()) return text_answer(200, "scheduled restart deleted");
    return text_answer(404, "no restarts are scheduled");
}

http::Response RestApi::reinitialize(http::Request request) {
    const auto body = read_body(request, true);
    if (!body) return body.error();
    log::info("a reinitialization was requested by {}", request.peer_address);
    const Node::RestartOutcome outcome = parts_.node.reinitialize(flag(*body, "force"), flag(*body, "from_leader"));
    return text_answer(outcome.status, outcome.text);
}

}  // namespace pgkeel::agent::rest
