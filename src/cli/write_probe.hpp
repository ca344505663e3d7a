#pragma once
#include "base/clock.hpp"
#include "cli/sql.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pgkeel::cli {

/// Measures how long writes stop: on every member a thread tries every few milliseconds to write, and notes each write
/// that was acknowledged. The write is a transactional logical message of a few bytes of WAL, which nothing reads; a
/// standby is only asked whether it still is one.
class WriteProbe {
  public:
    struct Target {
        std::string member;
        SqlParameters parameters;
    };
    explicit WriteProbe(std::vector<Target> targets);
    ~WriteProbe();

    /// Acknowledged writes on one member.
    struct Writes {
        Instant first{}, last{};
        std::uint64_t count = 0;
        std::string last_problem;  ///< why the newest attempt failed; empty: it did not
    };
    Writes writes_on(const std::string& member) const;

    /// From the last acknowledged write on `from` to the first on `to`; nothing when one of the two has none.
    std::optional<Duration> pause(const std::string& from, const std::string& to) const;

  private:
    struct Shared;
    std::unique_ptr<Shared> shared_;
};

}  // namespace pgkeel::cli
