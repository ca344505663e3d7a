#include "agent/rest/fresh_server.hpp"

#include <memory>

namespace pgkeel::agent::rest {

Task<std::optional<ServerState>> FreshServer::look(Duration age_max, Duration patience) {
    const Instant asked = clock_.now();
    if (seen_ && asked - seen_at_ <= age_max) co_return seen_;
    const Deadline deadline = asked + patience;
    // An answer to a question that was put before we came may be older than `age_max` allows, but not by more than it
    // took.
    const std::uint64_t before = answers_;
    while (asking_ && answers_ == before && clock_.now() < deadline) co_await answered_.wait(clock_, deadline);
    if (asking_ || answers_ != before) co_return seen_;
    asking_ = true;
    // Also when the question ends with an exception: else everybody after would get the last answer for ever.
    const auto asked_it = [](FreshServer* self) {
        self->asking_ = false;
        ++self->answers_;
        self->answered_.set();
    };
    const std::unique_ptr<FreshServer, decltype(asked_it)> end(this, asked_it);
    ServerState state = co_await server_.observe(deadline);
    // What a query that failed could not tell is what it was.
    if (state.query_failed && seen_) state.in_recovery = seen_->in_recovery;
    seen_ = std::move(state);
    seen_at_ = asked;
    co_return seen_;
}

}  // namespace pgkeel::agent::rest
