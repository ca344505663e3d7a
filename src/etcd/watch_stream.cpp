#include "etcd/watch_stream.hpp"

#include "etcd/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pgkeel::etcd {
namespace {

/// Far above etcd's own limit for one message, far below what would hurt.
constexpr std::size_t line_bytes_max = 64UL * 1024 * 1024;

}  // namespace

void WatchStream::restart() {
    line_.clear();
    created_ = false;
}

std::optional<Error> WatchStream::feed(std::string_view bytes, const OnHeader& on_header,
                                       const Store::OnEvents& on_events) {
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        line_ += bytes.substr(0, end);
        if (line_.size() > line_bytes_max)
            return Error{Errc::unavailable, fmt::format("etcd sent a line of more than {} bytes", line_bytes_max), {}};
        if (end == std::string_view::npos) break;
        bytes.remove_prefix(end + 1);
        const std::string line = std::exchange(line_, {});
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        if (auto over = take(line, on_header, on_events)) return over;
    }
    return std::nullopt;
}

std::optional<Error> WatchStream::take(std::string_view line, const OnHeader& on_header,
                                       const Store::OnEvents& on_events) {
    const Result<WatchMessage> message = parse_watch_line(line);
    if (!message) return message.error();
    if (message->refusal) {
        Error why = judge(500, line, false).error;
        why.text = "etcd ended the watch: " + why.text;
        return why;
    }
    if (message->compact_revision != 0)
        return Error{Errc::invalid_input,
                     fmt::format("cannot watch from revision {}: etcd has compacted everything before {}", next_,
                                 message->compact_revision),
                     "read the keys again and watch from there"};
    if (message->canceled) {
        const std::string& reason = message->cancel_reason;
        const bool denied = reason.find("permission denied") != std::string::npos ||
                            reason.find("invalid auth token") != std::string::npos;
        return Error{denied ? Errc::denied : Errc::unavailable,
                     fmt::format("etcd canceled the watch: {}", reason.empty() ? "it gave no reason" : reason),
                     {}};
    }
    if (message->created) {
        if (auto problem = on_header(message->header)) return Error{Errc::unavailable, *std::move(problem), {}};
        created_ = true;
        // From here on everything is reported; without this, what happens between two connections would be lost.
        if (next_ == 0) next_ = message->header.revision + 1;
    }
    if (message->events.empty()) {
        // A sign of life: etcd has nothing older to report.
        if (!message->created) next_ = std::max(next_, message->header.revision + 1);
        return std::nullopt;
    }
    Revision revision = 0;
    for (const WatchEvent& event : message->events) revision = std::max(revision, event.value.mod_revision);
    next_ = std::max(next_, revision + 1);
    on_events(revision, message->events);
    return std::nullopt;
}

}  // namespace pgkeel::etcd
