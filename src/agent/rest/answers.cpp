#include "agent/rest/answers.hpp"

#include "agent/rest/json_text.hpp"
#include "http/answer.hpp"

#include <boost/json/parse.hpp>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;

/// Deeper than any configuration, and far from what a stack minds.
constexpr std::size_t depth_max = 32;

}  // namespace

http::Response json_answer(int status, const json::value& value) {
    return {.status = status, .content_type = "application/json", .body = spaced_json(value)};
}

http::Response text_answer(int status, std::string text) {
    return {.status = status, .content_type = "text/html", .body = std::move(text)};
}

http::Response page(int status, const std::string& why) {
    return http::error_page(status, why.empty() ? http::reason_phrase(status) : why);
}

http::Response bare(int status) {
    return {.status = status, .bare = true};
}

http::Response store_trouble(const std::string& doing, const Error& error) {
    return page(503, "while " + doing + ": " + error.line());
}

OrAnswer<json::object> read_body(const http::Request& request, bool optional) {
    if (!request.has_content_length && request.body.empty()) {
        if (optional) return json::object{};
        return std::unexpected(page(411));
    }
    if (request.body.empty() && optional) return json::object{};
    json::parse_options options;
    options.max_depth = depth_max;
    boost::system::error_code error;
    json::value value = json::parse(request.body, error, {}, options);
    if (error) return std::unexpected(page(400, "the body is not JSON: " + error.message()));
    if (!value.is_object()) return std::unexpected(page(400, "the body must be a JSON object"));
    if (value.get_object().empty() && !optional) return std::unexpected(page(400, "the body is an empty object"));
    return std::move(value.get_object());
}

std::string query_value(const http::Headers& query, std::string_view name) {
    for (const auto& [key, value] : query)
        if (key == name && !value.empty()) return value;
    return {};
}

}  // namespace pgkeel::agent::rest
