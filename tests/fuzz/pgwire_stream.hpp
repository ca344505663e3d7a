#pragma once
#include "pgwire/framing.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::pgwire {

/// What a scanner made of a stream: the messages begun, and where it stopped.
struct Walk {
    std::vector<Head> heads;
    std::vector<std::string> bodies;  ///< as far as they came
    std::size_t taken = 0;
    bool refused = false;
    bool operator==(const Walk&) const = default;
};

/// Receives `piece` bytes at a time, and takes at most `room` of a body at once.
inline Walk walk(Origin origin, std::string_view stream, std::size_t piece, std::size_t room) {
    Walk out;
    Scanner scanner(origin);
    std::size_t received = 0;
    while (received < stream.size() && !out.refused) {
        received = std::min(stream.size(), received + piece);
        while (true) {
            const std::string_view held = stream.substr(out.taken, received - out.taken);
            const Front front = scanner.look(held);
            if (front.kind == Front::Kind::nothing) break;
            if (front.kind == Front::Kind::refused) {
                out.refused = true;
                REQUIRE(!scanner.refusal(front).text.empty());
                break;
            }
            REQUIRE(front.bytes > 0 && front.bytes <= held.size());
            const bool begins = front.kind != Front::Kind::body;
            REQUIRE(begins == scanner.at_border());
            const std::size_t count = std::min(front.bytes, begins ? std::max(room, head_bytes) : room);
            if (begins) {
                const LengthLimits limits = length_limits(origin, front.head.type);
                REQUIRE(front.head.length >= limits.min && front.head.length <= limits.max);
                REQUIRE((front.kind == Front::Kind::whole) == (front.head.message_bytes() <= held.size()));
                out.heads.push_back(front.head);
                out.bodies.emplace_back(held.substr(head_bytes, count - head_bytes));
            } else {
                REQUIRE(front.head == out.heads.back());
                out.bodies.back() += held.substr(0, count);
            }
            scanner.take(front, count);
            out.taken += count;
            REQUIRE(out.bodies.back().size() + scanner.body_left() == out.heads.back().body_bytes());
        }
    }
    return out;
}

/// The same by runs: what is passed unseen and what is stopped at must be the same messages.
inline Walk walk_by_runs(Origin origin, std::string_view stream, std::size_t piece, const TypeSet& stops) {
    Walk out;
    Scanner scanner(origin);
    std::size_t passed = 0;
    std::size_t received = 0;
    while (received < stream.size() && !out.refused) {
        received = std::min(stream.size(), received + piece);
        while (true) {
            const std::string_view held = stream.substr(out.taken, received - out.taken);
            const Passed run = scanner.pass(held, stops);
            REQUIRE(run.bytes <= held.size());
            out.taken += run.bytes;
            passed += run.messages;
            if (run.next.kind == Front::Kind::nothing) break;
            if (run.next.kind == Front::Kind::refused) {
                out.refused = true;
                break;
            }
            REQUIRE(stops.has(run.next.head.type));
            out.heads.push_back(run.next.head);
            scanner.take(run.next, run.next.bytes);
            out.taken += run.next.bytes;
        }
    }
    out.bodies.resize(passed);  // only their number counts
    return out;
}

/// \return the walk over the stream in one piece, after its checks against all others
inline Walk check_stream(Origin origin, std::string_view stream, std::size_t piece, const TypeSet& stops) {
    const Walk whole = walk(origin, stream, std::max<std::size_t>(stream.size(), 1), static_cast<std::size_t>(-1));
    REQUIRE(walk(origin, stream, 1, 1) == whole);
    REQUIRE(walk(origin, stream, piece, 3) == whole);
    for (const std::size_t step : {std::size_t{1}, piece, stream.size() + 1}) {
        const Walk runs = walk_by_runs(origin, stream, step, stops);
        REQUIRE(runs.taken == whole.taken && runs.refused == whole.refused);
        REQUIRE(runs.heads.size() + runs.bodies.size() == whole.heads.size());
        std::vector<Head> seen = whole.heads;
        std::erase_if(seen, [&](const Head& head) { return !stops.has(head.type); });
        REQUIRE(runs.heads == seen);
    }
    return whole;
}

}  // namespace pgkeel::pgwire
