#pragma once
#include "proxy/handover_channel.hpp"
#include "proxy/handover_peer.hpp"
#include "proxy/listeners.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace pgkeel::proxy {

class World;

/// The process that ran before us, as long as it hands over. Until commit() it does not notice.
class Predecessor final : public HandoverPeer {
  public:
    /// Asks the process that listens there. Errors: not_found — there is none; denied — it is another user's;
    /// conflict — it refuses; invalid_input, timed_out, unavailable — it does not answer, or not what we understand.
    static Result<std::unique_ptr<Predecessor>> ask(const std::string& path);
    ~Predecessor();

    std::vector<Listeners::Inherited> take_listeners() { return std::move(listeners_); }
    /// Where the process after us will ask. None: it has none.
    Descriptor take_handover_socket() { return std::move(handover_socket_); }
    std::uint32_t generation() const { return generation_; }

    /// The point of no return: it stops to accept clients, and we have to. Errors: it serves on, and we must not.
    Result<> commit();
    const handover::Go& state() const { return go_; }

    /// Its sessions come, on a thread of its own.
    void receive_for(World& world);
    bool tell(handover::Message message) override;
    /// We end on request: it shall not think that we have failed.
    void farewell();
    /// It has handed over, or it ended before that: nobody else serves.
    bool is_settled() const { return settled_; }
    bool is_gone() const { return gone_; }

  private:
    explicit Predecessor(HandoverChannel channel) : channel_(std::move(channel)) {}
    Result<> greet();
    Result<HandoverFrame> next(Duration within);
    void receive();
    void take(HandoverFrame frame);
    void take_session(handover::Session session, std::vector<Descriptor> sockets);
    bool confirm(std::uint64_t number);
    void ended(const std::string& why);
    bool has_died() const;

    HandoverChannel channel_;
    Descriptor process_;  ///< a pidfd
    std::vector<Listeners::Inherited> listeners_;
    Descriptor handover_socket_;
    std::uint32_t generation_ = 0;
    std::int64_t process_id_ = 0;
    handover::Go go_;
    World* world_ = nullptr;
    std::size_t next_thread_ = 0;
    std::atomic<bool> settled_ = false, gone_ = false;
    std::thread thread_;
};

}  // namespace pgkeel::proxy
