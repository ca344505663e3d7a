#pragma once
#include "base/result.hpp"
#include "http/message.hpp"

#include <boost/json/object.hpp>

#include <expected>
#include <string>

// The forms that answers have (Patroni's documentation, "REST API"): JSON for what is read, a line of text for what was
// done, an error page for what could not be understood, and a bare status line for load balancers.

namespace pgkeel::agent::rest {

http::Response json_answer(int status, const boost::json::value& value);
http::Response text_answer(int status, std::string text);
http::Response page(int status, const std::string& why = {});
http::Response bare(int status);

/// etcd could not be read or written, so nothing can be said or was done.
http::Response store_trouble(const std::string& doing, const Error& error);

/// Either what was asked for, or the answer that refuses it.
template <class T>
using OrAnswer = std::expected<T, http::Response>;

/// The body as a JSON object. Where the body is optional a missing one is an empty object; where it is not, an empty
/// object is refused too: 411 without Content-Length, else 400.
OrAnswer<boost::json::object> read_body(const http::Request& request, bool optional);

/// The first value of a query parameter; nothing when it is absent or empty.
std::string query_value(const http::Headers& query, std::string_view name);

}  // namespace pgkeel::agent::rest
