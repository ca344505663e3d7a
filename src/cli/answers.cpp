#include "cli/answers.hpp"
#include "cli/put.hpp"

#include "cli/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace pgkeel::cli {

Task<Result<http::Response>> ask_member(Session& session, Member member, std::string method, std::string path,
                                        std::string body, Duration patience, std::string waiting_for) {
    const Progress progress(session.clock, std::move(waiting_for));
    co_return co_await session.admin().call(std::move(member), std::move(method), std::move(path), std::move(body),
                                            session.clock.now() + patience);
}

bool say_done(const Member& member, const std::string& text) {
    put("{}: {}\n", member.name, text);
    std::fflush(stdout);
    return true;
}

bool say_failed(const Member& member, const std::string& what, const http::Response& response) {
    put(stderr, "{}: {} failed: {} (HTTP {})\n", member.name, what, text_of(response), response.status);
    if (response.status == 401)
        put(stderr,
            "  hint: set ctl.authentication (or restapi.authentication) in the configuration file to the "
            "agents' own\n");
    if (response.status == 403)
        put(stderr,
            "  hint: without restapi.authentication an agent obeys its own host and the members alone: set it, or "
            "allow this host with restapi.allowlist: [CIDR]\n");
    return false;
}

bool say_failed(const Member& member, const std::string& what, const Error& error) {
    put(stderr, "{}: {} failed: {}\n", member.name, what, error.text);
    if (!error.hint.empty()) put(stderr, "  hint: {}\n", error.hint);
    return false;
}

std::string text_of(const http::Response& response) {
    std::string text = response.body;
    std::ranges::replace(text, '\n', ' ');
    text.erase(text.find_last_not_of(' ') + 1);
    // An HTML error page says no more than its status.
    return text.empty() || text.starts_with('<') ? fmt::format("HTTP {}", response.status) : text;
}

}  // namespace pgkeel::cli
