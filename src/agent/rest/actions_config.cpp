// PATCH and PUT /config.
#include "agent/rest/answers.hpp"
#include "agent/rest/api.hpp"
#include "agent/rest/json_text.hpp"
#include "cluster/json_reading.hpp"
#include "config/dynamic_config.hpp"
#include "log/log.hpp"

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

/// Nodes take a default for a value they cannot use, which is not what whoever stored it meant. What was wrong before
/// stays the stored configuration's trouble: it must not keep an operator from pausing the cluster.
std::optional<http::Response> unusable(const json::object& next, const json::object* before) {
    const auto valid = config::validate_dynamic(next);
    if (valid || (before != nullptr && !config::validate_dynamic(*before))) return std::nullopt;
    return text_answer(400, valid.error().line());
}

}  // namespace

Task<http::Response> RestApi::patch_config(http::Request request) {
    const auto patch = read_body(request, false);
    if (!patch) co_return patch.error();
    const auto view = co_await read_cluster();
    if (!view) co_return store_trouble("reading the configuration", view.error());
    if (!view->config) co_return page(503, "there is no dynamic configuration");
    const auto before = cluster::read_object(*view->config);
    if (!before) co_return page(503, "the stored configuration is not a JSON object; replace it with PUT /config");
    json::object next = *before;
    if (config::merge_patch(next, *patch)) {
        if (auto refusal = unusable(next, &*before)) co_return std::move(*refusal);
        const auto written =
            co_await write_key(parts_.node.keys().config(), compact_json(next), view->config_mod_revision);
        if (!written) co_return store_trouble("writing the configuration", written.error());
        if (!*written) co_return page(409, "somebody else changed the configuration at the same time");
        log::info("the configuration was changed by {} through the REST API", request.peer_address);
    }
    parts_.node.wake();
    co_return json_answer(200, next);
}

Task<http::Response> RestApi::put_config(http::Request request) {
    const auto next = read_body(request, false);
    if (!next) co_return next.error();
    const auto view = co_await read_cluster();
    if (!view) co_return store_trouble("reading the configuration", view.error());
    const auto before = view->config ? cluster::read_object(*view->config) : std::nullopt;
    if (!before || !config::deep_equal(*next, *before)) {
        if (auto refusal = unusable(*next, before ? &*before : nullptr)) co_return std::move(*refusal);
        const auto written = co_await write_key(parts_.node.keys().config(), compact_json(*next), std::nullopt);
        if (!written) co_return page(502, "while writing the configuration: " + written.error().line());
        log::info("the configuration was replaced by {} through the REST API", request.peer_address);
    }
    parts_.node.wake();
    co_return json_answer(200, *next);
}

}  // namespace pgkeel::agent::rest
