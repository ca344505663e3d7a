#pragma once
#include "base/result.hpp"

#include <liburing.h>

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string_view>

namespace pgkeel::engine {

/// Sends to many sockets in one system call (io_uring).
///
/// Nothing in it waits for a peer: every send is asked for with MSG_DONTWAIT, so the kernel has done it or refused it
/// when run() returns, and none is under way between two calls. So a socket can be closed, or go to another loop, at
/// any time in between.
class Ring {
  public:
    /// Sends of one system call.
    static constexpr std::size_t capacity = 64;

    /// Errors: unavailable — the kernel has none, or does not let us; the hint says what to change.
    static Result<std::unique_ptr<Ring>> create();

    ~Ring();
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    bool is_full() const { return count_ == capacity; }
    /// Asked for, not yet run.
    std::size_t count() const { return count_; }
    /// \param bytes  stay where they are until run() returns
    void send(int socket, std::string_view bytes);

    /// The kernel has not looked at that one.
    static constexpr int not_done = std::numeric_limits<int>::min();
    /// Sends. Each result is, in the order of asking, how many bytes the kernel took, or a negative errno, or
    /// `not_done`; they are valid until the next send().
    std::span<const int> run();
    /// The kernel has refused to work: nothing may be asked for any more.
    bool is_broken() const { return !usable_; }

  private:
    Ring() = default;
    void take_results();
    void close();

    io_uring ring_{};
    bool usable_ = false;
    std::size_t count_ = 0;  ///< asked for
    std::size_t taken_ = 0;  ///< of them, results that have come
    std::array<int, capacity> results_{};
};

}  // namespace pgkeel::engine
