#pragma once
#include "engine/loop.hpp"
#include "pool/book.hpp"
#include "pool/session_image.hpp"
#include "proxy/handover_outbox.hpp"
#include "proxy/handover_peer.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace pgkeel::proxy {

class World;

/// A session that leaves, with its connections.
struct Departing {
    pool::SessionImage image;
    pool::WorkerId thread = 0;  ///< it was on
    std::optional<engine::LooseWire> client, server;
};

/// The process that takes over from this one, if one comes. A thread waits for it, and hands over what it can. A
/// session is ours until the other process has said that it is its own: whatever becomes of that one before, it goes on
/// here.
class Successor final : public HandoverPeer {
  public:
    explicit Successor(World& world) : world_(world) {}

    /// \param listening_socket  where a successor asks; none: there will not be one
    void wait_at(std::string path, Descriptor listening_socket, std::uint32_t generation);
    /// Nobody finds us there any more.
    void close();

    /// From the thread of the session. It comes back with World::take_back, if it is not taken.
    void offer(Departing departing);
    bool tell(handover::Message message) override;
    /// There is one, or was: this process only ends what it has.
    bool has_come() const { return has_come_; }

    /// Nothing more is going to leave, or to come back.
    bool is_done();

    /// On the first thread, with the others at rest, some times a second while has_come().
    void look();

  private:
    struct Pending {
        Departing departing;
        Instant since{};
    };

    void wait();
    void serve(HandoverChannel channel);
    Result<> greet(HandoverChannel& channel);
    void begin();
    void receive(HandoverChannel& channel);
    void take(handover::Message message);
    void taken(std::uint64_t number);
    void not_taken(const handover::NotTaken& answer);
    void ended(const std::string& why);
    std::map<std::uint64_t, Pending> forget_channel();
    void settle();
    template <class Job>
    void with_threads_at_rest(Job job);

    World& world_;
    std::string path_;
    Descriptor listening_;
    std::uint32_t generation_ = 0;
    std::thread thread_;
    std::atomic<bool> has_come_ = false;
    std::atomic<bool> settled_ = false, farewell_ = false;
    std::atomic<std::size_t> threads_swept_ = 0;
    Instant swept_at_{};

    std::mutex mutex_;
    std::map<std::uint64_t, Pending> pending_;
    std::uint64_t numbers_ = 0;
    std::unique_ptr<HandoverOutbox> outbox_;  ///< null: there is no successor now
    HandoverChannel* channel_ = nullptr;
};

}  // namespace pgkeel::proxy
