#pragma once
#include "pool/session_effects.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// Prepared statements of clients who change servers: what a client calls `s1` is on each server under a name that
// stands for its text, so that clients with the same statement share it.

namespace pgkeel::pool {

/// A text to prepare, with the types of its parameters. One object for all who have it.
struct Statement {
    std::uint64_t number = 0;  ///< never used again for another text
    std::string server_name;
    std::string query;
    std::string types;          ///< as in Parse: four bytes each
    SessionEffectsRef effects;  ///< of executing it; null: none
};
using StatementRef = std::shared_ptr<const Statement>;

/// All statements of the process. The only part that several threads use.
class Statements {
  public:
    /// `prefix`: of the names on the servers.
    explicit Statements(std::string prefix) : prefix_(std::move(prefix)) {}

    /// The statement with this text. It is forgotten when no client has it any more; servers may still know it by its
    /// name, which does not come again.
    StatementRef of(std::string_view query, std::string_view types);
    /// The same; if it is new here, its name on the servers is `server_name`, which another process has given it.
    StatementRef of(std::string_view query, std::string_view types, std::string_view server_name);
    /// Names of ours are none of those that the processes before us have given. Before any other call.
    void begin_generation(std::uint32_t generation) { prefix_ += std::to_string(generation) + '_'; }
    std::size_t size() const;

  private:
    mutable std::mutex mutex_;
    std::string prefix_;
    std::uint64_t numbers_ = 0;
    std::unordered_map<std::string, std::weak_ptr<const Statement>> known_;
    std::size_t sweep_at_ = 256;
};

/// What one client has prepared, by its own names.
class ClientStatements {
  public:
    /// Null: it has none of that name.
    StatementRef find(std::string_view name) const;
    /// False: the name is taken, and nothing was changed.
    bool add(std::string_view name, StatementRef statement);
    /// The server has skipped its Parse. The client may use it all the same, as drivers do that take a Parse for done
    /// once it was sent, and may prepare the name again.
    void doubt(std::string_view name);
    bool is_in_doubt(std::string_view name) const;
    void remove(std::string_view name);
    void clear() { by_name_.reset(); }
    std::size_t size() const { return by_name_ ? by_name_->size() : 0; }
    template <class F>
    void each(F visit) const {  ///< visit(name, StatementRef, in doubt)
        if (!by_name_) return;
        for (const auto& [name, known] : *by_name_) visit(name, known.statement, known.in_doubt);
    }

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    struct Known {
        StatementRef statement;
        bool in_doubt = false;
    };
    using ByName = std::unordered_map<std::string, Known, Hash, std::equal_to<>>;
    std::unique_ptr<ByName> by_name_;  ///< most clients prepare nothing
};

/// What one server has prepared, as far as it will know when it has worked through what was sent.
class ServerStatements {
  public:
    /// Whether it has the statement, which is then the one used last.
    bool use(const Statement& statement);
    /// It is being prepared. Returns those that must be closed for it: at most `most` are kept.
    std::vector<StatementRef> add(StatementRef statement, std::size_t most);
    /// It is there after all: it was not closed.
    void keep(StatementRef statement);
    /// It failed, or was closed. Whether it was there.
    bool remove(std::uint64_t number);
    void clear();
    std::size_t size() const { return by_number_.size(); }
    const std::list<StatementRef>& list() const { return by_use_; }  ///< the one used last in front

  private:
    std::list<StatementRef> by_use_;  ///< the one used last in front
    std::unordered_map<std::uint64_t, std::list<StatementRef>::iterator> by_number_;
};

}  // namespace pgkeel::pool
