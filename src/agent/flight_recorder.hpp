#pragma once
#include "ha/decision.hpp"
#include "ha/snapshot.hpp"

#include <boost/json/object.hpp>

#include <deque>
#include <string>

namespace pgkeel::agent {

/// The last decisions that differed from the one before, with the facts they used: what `pgkeel why` shows.
class FlightRecorder {
  public:
    explicit FlightRecorder(std::size_t entries_max = 64) : entries_max_(entries_max) {}
    /// True: the decision is not the same as the last one, and worth a log line.
    bool note(const ha::Decision& decision, const ha::Snapshot& seen);
    /// {"name","now","decisions":[…oldest first],"failover_now":{…}} as `GET /pgkeel/decisions` answers.
    boost::json::object report(const ha::Snapshot& seen) const;

  private:
    struct Entry {
        WallTime at;
        std::string action, reason, text;
        std::vector<std::string> notes;
        boost::json::object facts;
        std::uint64_t times = 1;
        WallTime last{};
    };
    std::size_t entries_max_;
    std::deque<Entry> entries_;
};

/// "2026-11-21T02:03:04.567Z"
std::string iso_time(WallTime at);

}  // namespace pgkeel::agent
