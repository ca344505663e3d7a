#include "pool/session_state.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pgkeel::pool {
namespace {

using Kind = SessionEffect::Kind;

/// What a rollback does not take back.
constexpr PinReasons not_in_transactions = PinReasons(PinReason::prepare) | PinReason::advisory_lock | PinReason::load;

}  // namespace

void SessionState::done(const SessionEffect& effect) {
    switch (effect.kind) {
        case Kind::nothing:
            return;
        case Kind::set:
        case Kind::reset:
            pending_.push_back({effect.kind, effect.name, effect.value});
            return;
        case Kind::reset_all:
            pending_.push_back({effect.kind, {}, {}});
            added_ = added_.without(PinReason::setting);
            removed_ = removed_ | PinReason::setting;
            return;
        case Kind::pin:
            return may_have_done(effect.reasons);
        case Kind::unpin: {
            pins_ = pins_.without(effect.reasons & not_in_transactions);
            added_ = added_.without(effect.reasons);
            removed_ = removed_ | effect.reasons.without(not_in_transactions);
            return;
        }
    }
}

void SessionState::may_have_done(PinReasons reasons) {
    pins_ = pins_ | (reasons & not_in_transactions);
    added_ = added_ | reasons.without(not_in_transactions);
    removed_ = removed_.without(reasons);
}

void SessionState::completed(std::string_view tag) {
    if (tag == "COMMIT" || tag == "PREPARE TRANSACTION") return commit();
    if (tag != "ROLLBACK") return;
    saw_rollback_ = true;
    before_rollback_ = pending_.size();
    added_before_rollback_ = added_before_rollback_ | std::exchange(added_, {});
    removed_ = {};  // a pin too many does no harm
}

void SessionState::commit() {
    if (saw_rollback_ && before_rollback_ > 0) is_in_doubt_ = true;
    if (std::exchange(is_in_doubt_, false) && !pending_.empty())
        added_ = added_ | PinReason::setting;
    else
        std::ranges::move(pending_, std::back_inserter(lasting_));
    pins_ = pins_.without(removed_) | added_ | added_before_rollback_;
    pending_.clear();
    added_ = added_before_rollback_ = removed_ = {};
    saw_rollback_ = false;
    before_rollback_ = 0;
}

void SessionState::roll_back() {
    pending_.clear();
    added_ = added_before_rollback_ = removed_ = {};
    saw_rollback_ = is_in_doubt_ = false;
    before_rollback_ = 0;
}

std::vector<SessionState::Change> SessionState::ready(pgwire::backend::TransactionStatus status) {
    const bool has_failed = std::exchange(has_failed_, false);
    if (status != pgwire::backend::TransactionStatus::idle) {
        if (std::exchange(saw_rollback_, false) && before_rollback_ > 0) is_in_doubt_ = true;
    } else if (has_failed) {
        roll_back();
    } else if (saw_rollback_) {
        // It was the end of the transaction; what came behind it was done by itself.
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(before_rollback_));
        added_before_rollback_ = {};
        saw_rollback_ = is_in_doubt_ = false;
        commit();
    } else {
        commit();
    }
    return std::exchange(lasting_, {});
}

}  // namespace pgkeel::pool
