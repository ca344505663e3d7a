#pragma once
#include "pool/session_effects.hpp"
#include "pool/statements.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// What a server still has to answer, in the order it was asked. The protocol's answers carry no numbers: who counts
// wrong gives one client's rows to another. See PostgreSQL, "Message Flow", Extended Query and Pipelining.

namespace pgkeel::pool {

struct Answer {
    enum class Kind : std::uint8_t {
        query,  ///< also FunctionCall: ends with ReadyForQuery
        sync,
        parse,
        bind,
        describe,
        execute,
        close,
        copy_end,  ///< the client's CopyDone or CopyFail: nobody answers it, but it ends a copy not begun yet
    };
    /// Whose business it is.
    enum class Way : std::uint8_t {
        forward,  ///< the client's
        swallow,  ///< ours: the client knows nothing of it
        make,     ///< the server was not asked: we answer when it is its turn
    };
    /// A statement that it prepares or closes, or what it leaves in the session.
    struct Subject {
        StatementRef statement;   ///< may be null: an unknown one
        std::string client_name;  ///< empty: not the client's
        bool concerns(std::string_view name, const StatementRef& text) const {
            return !unknown && ((!name.empty() && client_name == name) || (text && statement == text));
        }
        bool taken = false;           ///< the client has used the name before: the server's error is about that
        bool unknown = false;         ///< there is none of this name: the server's error is about that
        SessionEffectsRef effects{};  ///< of a query or an execute; null: none
        std::size_t completed = 0;    ///< statements of the query
    };
    Kind kind = Kind::query;
    Way way = Way::forward;
    std::unique_ptr<Subject> subject;  ///< where there is something to know
};

/// A queue that keeps its memory.
class Answers {
  public:
    bool empty() const { return begin_ == queue_.size(); }
    std::size_t size() const { return queue_.size() - begin_; }
    Answer& front() { return queue_[begin_]; }
    const Answer& front() const { return queue_[begin_]; }
    Answer& operator[](std::size_t index) { return queue_[begin_ + index]; }
    void push(Answer answer) {
        if (answer.subject) ++subjects_;
        queue_.push_back(std::move(answer));
    }
    Answer pop() {
        Answer first = std::move(queue_[begin_++]);
        if (first.subject) --subjects_;
        // The server has not copied in, and ignores the end of it.
        while (!empty() && front().kind == Answer::Kind::copy_end) ++begin_;
        if (begin_ == queue_.size()) {
            queue_.clear();
            begin_ = 0;
        } else if (begin_ >= 64 && begin_ * 2 >= queue_.size()) {
            queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(begin_));
            begin_ = 0;
        }
        return first;
    }
    /// A statement of this name or text is being prepared or closed before a Sync: whether that works, only the answers
    /// will tell. Without a Sync between, a question that comes now fails with it.
    bool is_open(std::string_view client_name, const StatementRef& statement) const {
        if (subjects_ == 0) return false;
        bool behind = false;
        for (std::size_t i = queue_.size(); i > begin_; --i) {
            const Answer& answer = queue_[i - 1];
            if (answer.kind == Answer::Kind::sync) behind = true;
            if (behind && answer.subject && answer.subject->concerns(client_name, statement)) return true;
        }
        return false;
    }
    struct Copy {
        std::size_t syncs = 0;   ///< sent already: a server that copies in ignores them (PostgreSQL, "COPY Operations")
        bool has_ended = false;  ///< so has the client's end of the copy
    };
    /// The first copies in: removes what the server will not answer.
    Copy begin_copy() {
        Copy copy;
        for (; size() > 1 && (*this)[1].kind == Answer::Kind::sync; ++copy.syncs) remove_second();
        copy.has_ended = size() > 1 && (*this)[1].kind == Answer::Kind::copy_end;
        if (copy.has_ended) remove_second();
        return copy;
    }

  private:
    void remove_second() { queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(begin_) + 1); }

    std::vector<Answer> queue_;
    std::size_t begin_ = 0;
    std::size_t subjects_ = 0;  ///< answers that have one
};

}  // namespace pgkeel::pool
