// GET and POST /failsafe.
#include "agent/rest/answers.hpp"
#include "agent/rest/api.hpp"

namespace pgkeel::agent::rest {

Task<http::Response> RestApi::show_failsafe() {
    const auto view = co_await read_cluster();
    if (!view) co_return store_trouble("reading the key failsafe", view.error());
    if (!view->failsafe) co_return page(502, "there is no failsafe topology");
    boost::json::object members;
    for (const auto& [name, api_url] : *view->failsafe) members[name] = api_url;
    co_return json_answer(200, members);
}

http::Response RestApi::accept_failsafe(const http::Request& request) {
    if (const auto body = read_body(request, false); !body) return body.error();
    const auto call = cluster::read_failsafe_call(request.body);
    if (!call) return page(400, "the body does not say who asks");
    const Node::RestartOutcome outcome = parts_.node.accept_failsafe(*call);
    if (outcome.status == 502) return page(502, outcome.text);
    http::Response answer = text_answer(outcome.status, outcome.text);
    if (outcome.status == 200)
        answer.headers.emplace_back("lsn", std::to_string(parts_.node.last().server.position().bytes));
    return answer;
}

}  // namespace pgkeel::agent::rest
