#pragma once
#include "engine/epoll_wire.hpp"
#include "engine/helpers.hpp"
#include "engine/loop.hpp"
#include "engine/mailbox.hpp"
#include "engine/ring.hpp"
#include "engine/timers.hpp"

#include <atomic>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace pgkeel::engine {

class EpollListener;

/// A turn: wait; events; timers; posted jobs; the queue of wires that have something to do; one send for each wire that
/// something was put to; and only then objects go.
///
/// With a ring the sends of a turn are one system call (docs/decisions/0005-io-uring.md); a wire that is alone in its
/// turn does as it would without.
class EpollLoop final : public Loop {
  public:
    /// \param ring  null: none
    EpollLoop(Descriptor epoll, std::unique_ptr<Mailbox> mailbox, std::unique_ptr<Ring> ring);
    ~EpollLoop() override;

    void run() override;
    void stop() override;
    void post(Job job) override { mailbox_->post(std::move(job)); }
    void offload(Job work, Job done) override;
    Instant now() const override { return now_; }
    std::uint64_t after(Duration wait, Job job) override;
    void cancel(std::uint64_t timer) override { timers_.cancel(timer); }
    pool::OwnedWire adopt(int socket, pool::WireOwner& owner, const SocketOptions& options) override;
    pool::OwnedWire adopt_accepted(int socket, bool unix_socket, pool::WireOwner& owner,
                                   const SocketOptions& options) override;
    pool::OwnedWire connect(const Endpoint& to, pool::WireOwner& owner, const SocketOptions& options) override;
    LooseWire detach(pool::OwnedWire wire) override;
    pool::OwnedWire attach(LooseWire wire, pool::WireOwner& owner) override;
    std::uint64_t listen(int listening_socket, std::function<void(int socket)> accepted) override;
    void stop_listening(std::uint64_t listener) override;
    LoopCounters counters() const override { return counters_; }

    // For its wires and listeners.

    /// What is received goes here first: one buffer for all, since a wire's bytes are used before the next one reads.
    static constexpr std::size_t buffer_size = 64 * 1024;
    char* buffer() { return buffer_.get(); }
    bool watch(int socket, std::uint32_t events, EventTarget& target);
    void unwatch(int socket);
    void queue(EpollWire& wire) { enter(queue_, wire); }
    void queue_for_next_turn(EpollWire& wire) { enter(next_queue_, wire); }
    void flush_at_the_end(EpollWire& wire) { to_flush_.push_back(&wire); }

    /// Whether a wire with so many bytes to send should wait for the others.
    bool gathers(std::size_t size) const { return gathering_ && size <= gathered_max; }

    /// Closed by its owner, and not done yet: the loop owns it until it is buried.
    void keep(EpollWire& wire) { ownerless_.insert(&wire); }
    void bury(EpollWire& wire);
    LoopCounters& count() { return counters_; }

  private:
    /// Copying more costs more than a system call.
    static constexpr std::size_t gathered_max = 16 * 1024;

    void wait_for_events();
    void send_together();
    int wait_ms();
    static void enter(std::vector<EpollWire*>& queue, EpollWire& wire);
    void run_queue();
    void flush_wires();
    void clear_graves();
    pool::OwnedWire start(LooseWire::State state, pool::WireOwner& owner, std::string problem);

    Descriptor epoll_;
    std::unique_ptr<Mailbox> mailbox_;
    std::shared_ptr<Helpers> helpers_ = Helpers::shared();
    std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(buffer_size);
    std::unique_ptr<Ring> ring_;
    bool gathering_ = false;           ///< several wires act in this turn, and there is a ring
    std::vector<EpollWire*> sending_;  ///< in the ring, in its order
    std::atomic<bool> stopping_ = false;
    bool running_ = false;
    Instant now_ = Boottime::now();
    Timers timers_;
    std::vector<EpollWire*> queue_, next_queue_, to_flush_;
    std::vector<std::unique_ptr<EpollWire>> graves_;
    std::unordered_set<EpollWire*> ownerless_;
    std::unordered_map<std::uint64_t, std::unique_ptr<EpollListener>> listeners_;
    std::vector<std::unique_ptr<EpollListener>> listener_graves_;
    std::uint64_t listener_numbers_ = 0;
    LoopCounters counters_;
};

}  // namespace pgkeel::engine
