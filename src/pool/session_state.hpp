#pragma once
#include "pgwire/backend_builders.hpp"
#include "pool/session_effects.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::pool {

/// What statements have left in the session of one client: it becomes lasting when their transaction is committed, and
/// is gone when it is rolled back. Some of it PostgreSQL does not roll back: SQL's prepared statements, session-level
/// advisory locks, libraries. Pure.
class SessionState {
  public:
    struct Change {
        SessionEffect::Kind kind;  ///< set, reset or reset_all
        std::string name, value;
    };

    /// The statement that has this effect has succeeded.
    void done(const SessionEffect& effect);
    /// It may have: its text is not known, or not where it ended.
    void may_have_done(PinReasons reasons);
    /// At once, whatever becomes of the transaction.
    void pin(PinReasons reasons) { pins_ = pins_ | reasons; }
    /// Every CommandComplete: the ends of transactions are seen by their tags.
    void completed(std::string_view tag);
    /// An ErrorResponse.
    void failed() { has_failed_ = true; }
    /// ReadyForQuery. Returns the changes of settings that are lasting since the last one, in their order.
    std::vector<Change> ready(pgwire::backend::TransactionStatus status);

    /// Outside a transaction.
    PinReasons pins() const { return pins_; }
    /// Nothing is known that the future could depend on.
    bool is_over() const { return pins_.none() && !is_open(); }

  private:
    bool is_open() const {
        return !pending_.empty() || !added_.none() || !added_before_rollback_.none() || !removed_.none();
    }
    void commit();
    void roll_back();

    PinReasons pins_, added_, removed_;  ///< held; in this transaction
    PinReasons added_before_rollback_;
    std::vector<Change> pending_, lasting_;
    std::size_t before_rollback_ = 0;  ///< so many pending ones came before a ROLLBACK that may be one to a savepoint
    bool saw_rollback_ = false;
    bool is_in_doubt_ = false;  ///< a savepoint was rolled back to: what of this transaction is left, nobody has said
    bool has_failed_ = false;
};

}  // namespace pgkeel::pool
