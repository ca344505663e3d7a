#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"
#include "cli/session.hpp"

#include <string>

namespace pgkeel::cli {

/// One request to a member while a progress line says `waiting_for`.
Task<Result<http::Response>> ask_member(Session& session, Member member, std::string method, std::string path,
                                        std::string body, Duration patience, std::string waiting_for);

/// Prints "pg-a: TEXT" on stdout for what was done, on stderr for what failed, and returns whether it was done.
bool say_done(const Member& member, const std::string& text);
bool say_failed(const Member& member, const std::string& what, const http::Response& response);
bool say_failed(const Member& member, const std::string& what, const Error& error);

/// The answer's text on one line, or "HTTP 503" when it has none.
std::string text_of(const http::Response& response);

}  // namespace pgkeel::cli
