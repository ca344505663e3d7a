#pragma once
#include "pool/wire.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A connection in memory. It keeps the promises of pool/wire.hpp and no more: bytes come in pieces of any size, at an
// address that is never the same, and nothing is called from inside a call.

namespace pgkeel::pool {

/// Who is at the other end of a wire: a client, or a PostgreSQL.
class Peer {
  public:
    virtual ~Peer() = default;
    /// Everything that the session has sent.
    virtual void got(std::string_view bytes) = 0;
    /// The session has closed, and this was all.
    virtual void hung_up() {}
    virtual void connected() {}
    /// Takes nothing from the wire for now.
    bool deaf = false;
};

class MemoryWire final : public Wire {
  public:
    MemoryWire(Peer& peer, WireFacts facts) : peer_(&peer), facts_(std::move(facts)) {}

    // ---- the session's side
    void put(std::string_view bytes) override { put_ += bytes; }
    void pass(std::string_view bytes) override {
        put_ += bytes;
        flush();
    }
    bool backed_up() const override { return !backlog_.empty(); }
    void stop_reading() override { reading_ = false; }
    void start_reading() override {
        reading_ = true;
        show_again_ = true;
    }
    void start_tls(std::shared_ptr<ssl_ctx_st>, bool, const std::string&, bool) override {
        flush();
        tls_wanted_ = true;
    }
    bool unix_socket() const override { return facts_.unix_socket; }
    const WireFacts& facts() const override { return facts_; }
    const TlsFacts* tls() const override { return secure_ ? &tls_facts : nullptr; }
    void close() override {
        flush();
        owner_ = nullptr;
        closing_ = true;
    }

    // ---- the other side
    void send(std::string_view bytes) {
        if (!hung_up_) coming_ += bytes;
    }
    void hang_up() { hung_up_ = true; }
    bool is_closed() const { return closing_; }
    TlsFacts tls_facts{.version = "TLSv1.3",
                       .cipher = "TLS_AES_256_GCM_SHA384",
                       .peer_common_name = {},
                       .peer_verified = false,
                       .server_certificate = {}};

    // ---- the world's
    /// To a thread that may begin at once.
    void hand_on() {
        if (is_showing_) broken = "handed on while its owner reads from it: two threads have one session";
        own(nullptr);
    }
    void own(WireOwner* owner) {
        owner_ = owner;
        show_again_ = !seen_.empty();
    }
    /// "The kernel" takes this much before the other side has read it.
    std::size_t room = std::size_t{1} << 30;
    bool waits_for_connection = false;

    bool can_connect() const { return owner_ != nullptr && waits_for_connection; }
    void connect() {
        waits_for_connection = false;
        peer_->connected();
        owner_->connected();
    }
    bool can_receive() const {
        return owner_ != nullptr && !waits_for_connection && reading_ && !tls_wanted_ &&
               (!coming_.empty() || (show_again_ && !seen_.empty()));
    }
    void receive(std::size_t most) {
        const std::size_t more = std::min(most, coming_.size());
        seen_ += coming_.substr(0, more);
        coming_.erase(0, more);
        show_again_ = false;
        // At a fresh address and without a byte behind it, for whoever keeps a view, or reads on.
        const auto shown = std::make_unique<char[]>(seen_.size());
        std::memcpy(shown.get(), seen_.data(), seen_.size());
        is_showing_ = true;
        const std::size_t used = owner_->received({shown.get(), seen_.size()});
        is_showing_ = false;
        if (used > seen_.size()) broken = "used more bytes than there were";
        seen_.erase(0, used);
    }
    bool can_secure() const { return owner_ != nullptr && tls_wanted_; }
    void secure() {
        tls_wanted_ = false;
        if (!seen_.empty()) {
            told_ = true;
            return owner_->closed("unencrypted bytes before TLS");
        }
        secure_ = true;
        owner_->secured();
    }
    bool can_tell_end() const {
        return owner_ != nullptr && hung_up_ && !told_ && (coming_.empty() || waits_for_connection) &&
               !(show_again_ && reading_ && !seen_.empty());
    }
    void tell_end() {
        told_ = true;
        owner_->closed(waits_for_connection ? "Connection refused" : "");
    }
    bool can_deliver() const { return !taken_.empty() && !peer_->deaf && !waits_for_connection; }
    void deliver(std::size_t most) {
        const std::string bytes = taken_.substr(0, most);
        taken_.erase(0, bytes.size());
        const bool was_full = !backlog_.empty();
        take();
        if (was_full && backlog_.empty()) drained_ = true;
        peer_->got(bytes);
    }
    bool can_drain() const { return owner_ != nullptr && drained_; }
    void drain() {
        drained_ = false;
        if (backlog_.empty()) owner_->drained();
    }
    bool can_tell_peer() const { return closing_ && !peer_told_ && taken_.empty() && backlog_.empty(); }
    void tell_peer() {
        peer_told_ = true;
        peer_->hung_up();
    }
    /// At the end of a turn of the loop.
    void flush() {
        backlog_ += put_;
        put_.clear();
        take();
    }
    std::size_t unread() const { return coming_.size() + seen_.size(); }
    std::string broken;

  private:
    void take() {
        const std::size_t free = room > taken_.size() ? room - taken_.size() : 0;
        const std::size_t count = std::min(free, backlog_.size());
        taken_ += backlog_.substr(0, count);
        backlog_.erase(0, count);
    }

    Peer* peer_;
    WireOwner* owner_ = nullptr;
    WireFacts facts_;
    std::string put_, backlog_, taken_;  ///< to the peer
    std::string coming_, seen_;          ///< from it
    bool reading_ = true, show_again_ = false, tls_wanted_ = false, secure_ = false;
    bool closing_ = false, hung_up_ = false, told_ = false, peer_told_ = false, drained_ = false, is_showing_ = false;
};

}  // namespace pgkeel::pool
