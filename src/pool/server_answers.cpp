#include "pool/server.hpp"

#include "pgwire/error_fields.hpp"
#include "pgwire/message_types.hpp"
#include "pool/server_login.hpp"
#include "pool/withheld.hpp"
#include "pool/worker.hpp"

#include <utility>

// What a server sends: cut into messages, and passed on.

namespace pgkeel::pool {

using pgwire::backend::Severity;
namespace types = pgwire::backend::types;

namespace {

/// A longer error is not looked into: its connection is closed.
constexpr std::uint32_t seen_message_max = 1 << 16;

bool needs_body(char type) {
    return type == types::ready_for_query || type == types::command_complete || type == types::error_response ||
           type == types::notice_response || type == types::parameter_status;
}

/// An error says that there is less than the client believes, the others belong to the session.
bool is_seen_in_doubt(char type) {
    return type == types::ready_for_query || type == types::error_response || type == types::parameter_status ||
           type == types::notification_response;
}

}  // namespace

std::size_t Server::received(std::string_view bytes) {
    std::size_t used = 0;
    while (used < bytes.size() && state_ != State::gone) {
        const std::string_view rest = bytes.substr(used);
        std::size_t taken = 0;
        if (state_ == State::connecting || state_ == State::logging_in)
            taken = login_->waits_for_tls_answer ? read_tls_answer(rest) : read_login(rest);
        else if (state_ == State::idle)
            taken = read_idle(rest);
        else
            taken = read_answers(rest);
        if (taken == 0) break;
        used += taken;
    }
    return state_ == State::gone ? bytes.size() : used;
}

std::size_t Server::read_idle(std::string_view bytes) {
    const pgwire::Front front = scanner_.look(bytes);
    if (front.kind == pgwire::Front::Kind::refused) {
        end(scanner_.refusal(front).text);
        return 0;
    }
    if (front.kind == pgwire::Front::Kind::nothing ||
        (front.kind == pgwire::Front::Kind::begun && front.head.length <= seen_message_max))
        return 0;
    const std::string_view body = front.kind == pgwire::Front::Kind::whole ? front.body(bytes) : std::string_view();
    scanner_.take(front, front.bytes);
    if (front.kind == pgwire::Front::Kind::body) return front.bytes;
    if (front.head.type == types::parameter_status)
        judge_parameter(body);
    else if (front.head.type == types::error_response) {
        const auto fields = pgwire::backend::read_error_fields(body);
        end(fields ? std::string(fields->message) : "an error of an idle server");
    } else if (front.head.type != types::notice_response && front.head.type != types::notification_response) {
        end("unexpected message of an idle server");
    }
    return front.bytes;
}

std::size_t Server::read_answers(std::string_view bytes) {
    using Kind = pgwire::Front::Kind;
    std::size_t used = 0;
    std::size_t run = 0;  // from here to `used` is for the partner
    const auto deliver = [&] {
        if (used > run && partner_ != nullptr) partner_->deliver(bytes.substr(run, used - run));
        run = used;
    };
    const auto deliver_made = [&] {
        if (made_.empty()) return;
        deliver();
        if (partner_ != nullptr) partner_->deliver(made_);
        made_.clear();
    };
    while (used < bytes.size()) {
        pgwire::Front front;
        const bool own = swallowing_body_ || in_doubt_ || is_suspect_ || withheld_ || partner_ == nullptr ||
                         (!answers_.empty() && answers_.front().way == Answer::Way::swallow);
        if (own) {
            front = scanner_.look(bytes.substr(used));
        } else {
            const pgwire::Passed passed = scanner_.pass(bytes.substr(used), pgwire::server_landmarks);
            used += passed.bytes;
            front = passed.next;
        }
        if (front.kind == Kind::nothing) break;
        if (front.kind == Kind::refused) {
            deliver();
            fail({.severity = Severity::fatal,
                  .sqlstate = "08P01",
                  .message = "server sent what is not the protocol",
                  .detail = scanner_.refusal(front).text,
                  .hint = {}});
            return used;
        }
        const std::string_view rest = bytes.substr(used);
        if (front.kind == Kind::body) {
            scanner_.take(front, front.bytes);
            if (swallowing_body_) {
                deliver();
                run = used + front.bytes;
                swallowing_body_ = !scanner_.at_border();
            }
            used += front.bytes;
            continue;
        }
        const bool is_part = front.kind == Kind::begun;
        if (is_part && (needs_body(front.head.type) || withheld_) && front.head.length <= seen_message_max) break;
        const std::string_view body = front.kind == Kind::whole ? front.body(rest) : std::string_view();
        if (is_part && withheld_) {  // more than can be kept
            give_unless_committed();
            deliver_made();
        }
        const bool forward = judge(front.head.type, body) && (!in_doubt_ || is_seen_in_doubt(front.head.type)) &&
                             !withhold(front.head.type, rest.substr(0, front.bytes), body);
        scanner_.take(front, front.bytes);
        if (!forward) {
            deliver();
            run = used + front.bytes;
            swallowing_body_ = is_part;
        }
        used += front.bytes;
        if (confused_) {
            deliver();
            fail({.severity = Severity::fatal,
                  .sqlstate = "08P01",
                  .message = "server answers what it was not asked",
                  .detail = {},
                  .hint = {}});
            return used;
        }
        if (withheld_ && withheld_->hopeless) {
            deliver();
            fail_unconfirmed();
            return used;
        }
        if (withheld_)
            withheld_->messages += std::exchange(made_, {});
        else
            deliver_made();
        if (!answers_.empty() && answers_.front().way == Answer::Way::make) {
            deliver();
            answer_what_is_due();
        }
        if (std::exchange(ready_now_, false)) {
            deliver();
            after_ready();
            return used;
        }
    }
    deliver();
    if (partner_ != nullptr && partner_->is_full()) wire_->stop_reading();
    return used;
}

}  // namespace pgkeel::pool
