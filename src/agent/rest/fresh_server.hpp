#pragma once
#include "async/event.hpp"
#include "postgres/server.hpp"

namespace pgkeel::agent::rest {

/// PostgreSQL as it is now, for all who ask at once: elections compare positions, and the loop's own look may be as old
/// as its tick. However many requests there are, one question is under way at a time and its answer serves for a
/// moment.
class FreshServer {
  public:
    FreshServer(postgres::Server& server, Clock& clock) : server_(server), clock_(clock) {}

    /// Comes back after `patience` at the latest, with the newest there is; nothing before the first answer.
    Task<std::optional<ServerState>> look(Duration age_max, Duration patience);

    /// Of what `look` brings: time since the question for it was put.
    Duration age() const { return clock_.now() - seen_at_; }

  private:
    postgres::Server& server_;
    Clock& clock_;
    Event answered_;
    bool asking_ = false;
    std::uint64_t answers_ = 0;
    Instant seen_at_{};
    std::optional<ServerState> seen_;
};

}  // namespace pgkeel::agent::rest
