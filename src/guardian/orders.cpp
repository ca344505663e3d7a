#include "guardian/orders.hpp"

#include <algorithm>

namespace pgkeel::guardian {

using namespace std::chrono_literals;

namespace {

/// New orders are not announced: the page is read again this often. The agent never arms for less than its stop budget,
/// which is longer (ha::LeaseTerms).
constexpr Duration look_interval = 100ms;
/// After the deadline: an agent that stood still while it started the server may go on with that.
constexpr Duration overdue_interval = 10ms;

}  // namespace

const char* to_string(State state) {
    switch (state) {
        case State::disarmed:
            return "disarmed";
        case State::armed:
            return "armed";
        case State::paused:
            return "paused";
    }
    return "unknown";
}

Verdict verdict(const Orders& orders, bool agent_lives, Instant now) {
    if (orders.state != State::armed) return {agent_lives ? Act::wait : Act::leave, now + look_interval};
    if (now >= orders.deadline || (orders.ends_with_agent && !agent_lives)) return {Act::fence, now + overdue_interval};
    return {Act::wait, std::min(orders.deadline, now + look_interval)};
}

}  // namespace pgkeel::guardian
