#pragma once
#include "engine/loop.hpp"
#include "engine/socket.hpp"
#include "engine/tls_stream.hpp"
#include "pool/wire.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::engine {

class EpollLoop;

/// What epoll tells events to.
class EventTarget {
  public:
    virtual void on_events(std::uint32_t events) = 0;

  protected:
    ~EventTarget() = default;
};

/// What most wires do not have while they are idle.
struct WireExtra {
    std::unique_ptr<TlsStream> tls;
    std::optional<TlsStream::Request> tls_request;
    std::string after_handshake;  ///< was put between start_tls() and secured()
    std::string problem;          ///< that closed() will tell
    std::optional<pool::WireFacts> facts;
    std::uint64_t linger_timer = 0;
};

/// What moves from one loop to another.
struct LooseWire::State {
    Descriptor socket;
    bool unix_socket = false;
    bool connecting = false;
    bool used_any = false;   ///< its owner has used a byte of it
    bool secured = false;    ///< speaks TLS
    bool is_shared = false;  ///< another process has, or had, a copy of the socket
    bool ended = false;      ///< it failed, and why is in the extra's problem
    std::string unused;      ///< received, and not used by the owner
    std::string unsent;      ///< put, and not taken by the kernel
    std::unique_ptr<WireExtra> extra;
};

/// A socket in an EpollLoop.
///
/// All events are edges, asked for once: the kernel says that something changed, and what it said is kept in a flag
/// until a system call has answered "no more". Owners are called from advance() alone, which the loop calls and nothing
/// else; a wire that has something to do in between enters the loop's queue.
class EpollWire final : public pool::Wire, public EventTarget {
  public:
    EpollWire(EpollLoop& loop, pool::WireOwner& owner, LooseWire::State state);
    virtual ~EpollWire() = default;

    void put(std::string_view bytes) override;
    void pass(std::string_view bytes) override;
    bool backed_up() const override { return blocked_; }
    void stop_reading() override { reading_ = false; }
    void start_reading() override;
    void start_tls(TlsContext context, bool as_server, const std::string& host, bool verify_host) override;
    bool unix_socket() const override { return state_.unix_socket; }
    const pool::WireFacts& facts() const override;
    const pool::TlsFacts* tls() const override;
    void close() override;

    void on_events(std::uint32_t events) override;
    /// Does what its flags ask for; the loop calls it after events and from its queue.
    void advance();
    /// Sends what was put in this turn.
    void flush();

    // What the loop sends for several wires at once.
    int socket() const { return state_.socket.number(); }
    /// What flush() would send in the clear.
    std::string_view bytes_to_flush() const;
    /// \param result  of sending these bytes: how many were taken, or a negative errno, or Ring::not_done
    void sent_together(int result);

    /// Leaves the loop: the object that stays behind is dead.
    LooseWire leave();

    bool dead() const { return dead_; }
    /// Tells the owner that it has failed, when the loop comes to it.
    void fail_later(std::string problem);
    void look_at_it_later();

    // Of the loop's lists.
    bool in_queue = false;
    bool in_flush = false;

  private:
    bool over() const { return dead_ || told_ || closing_; }
    /// What is put has to wait for something else than the end of the turn.
    bool held() const { return state_.connecting || blocked_ || tls_wanted_ || handshaking_; }
    WireExtra& extra() const;
    TlsStream* stream() const { return state_.secured ? state_.extra->tls.get() : nullptr; }

    void finish_connecting();
    void linger_on();
    void read();
    void read_once(std::size_t& budget);
    void show(std::string_view bytes);
    enum class Input { more, nothing, end, failed };
    Input receive(char* into, std::size_t room, std::size_t& got);
    void look_for_the_end();
    void tell_closed(const std::string& why);

    void keep_for_later(std::string_view bytes);
    void send(std::string_view bytes);
    void send_unsent();
    void drop_sent(std::string_view rest);
    void send_some(std::string_view& bytes);
    void sent(std::string_view& bytes, ssize_t result);
    void writing_failed(std::string problem);

    void begin_tls();
    void take_handshake_step();
    void handshake_stepped(TlsStream::Step step);

    void finish_closing();
    void bury();

    EpollLoop* loop_;
    pool::WireOwner* owner_;
    mutable LooseWire::State state_;

    bool reading_ : 1 = true;
    bool readable_ : 1 = false;       ///< the kernel may have bytes, or the end
    bool all_read_ : 1 = false;       ///< nothing but the end is left
    bool writable_ : 1 = false;       ///< an edge said so since the last attempt
    bool hangup_ : 1 = false;         ///< the peer sends no more: read until the end shows
    bool gone_ : 1 = false;           ///< in both directions
    bool blocked_ : 1 = false;        ///< the kernel took no more
    bool unused_is_new_ : 1 = false;  ///< what is unused has to be shown again
    bool showing_ : 1 = false;        ///< inside received()
    bool failed_ : 1 = false;         ///< the problem is to be told
    bool write_broken_ : 1 = false;
    bool told_ : 1 = false;        ///< closed() was called
    bool tls_wanted_ : 1 = false;  ///< start_tls() was called, the handshake has not begun
    bool handshaking_ : 1 = false;
    bool step_wants_write_ : 1 = false;  ///< the handshake waits for the kernel to take bytes
    bool busy_ : 1 = false;              ///< a helper thread has the socket
    bool closing_ : 1 = false;           ///< close() was called: there is no owner
    bool dead_ : 1 = false;              ///< off the loop, goes at the end of the turn
};

}  // namespace pgkeel::engine
