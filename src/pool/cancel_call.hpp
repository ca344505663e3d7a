#pragma once
#include "base/clock.hpp"
#include "pool/book.hpp"
#include "pool/wire.hpp"

#include <optional>
#include <string>

namespace pgkeel::pool {

class Worker;

/// One cancel request on its way to a server, on a connection of its own. Until the server's postmaster has closed
/// that, the signal may still come: so long the server works for nobody else.
class CancelCall final : public WireOwner {
  public:
    /// \param server  whose query it is; nothing: the request is passed on to a peer, who knows
    CancelCall(Worker& worker, std::optional<ServerId> server, ClientRef asker, std::string message);
    void send(OwnedWire wire) { wire_ = std::move(wire); }

    std::optional<ServerId> server() const { return server_; }
    ClientRef asker() const { return asker_; }
    const std::string& message() const { return message_; }
    Instant began() const { return began_; }
    bool is_over() const { return over_; }
    /// It has been waited for long enough. Its signal may still come.
    void give_up();
    bool was_given_up() const { return given_up_; }

    std::size_t received(std::string_view bytes) override { return bytes.size(); }
    void connected() override { wire_->pass(message_); }
    void closed(const std::string& why) override;

  private:
    Worker& worker_;
    std::optional<ServerId> server_;
    ClientRef asker_;
    std::string message_;
    OwnedWire wire_;
    Instant began_;
    bool over_ = false, given_up_ = false;
};

}  // namespace pgkeel::pool
