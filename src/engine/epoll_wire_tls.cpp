#include "engine/epoll_loop.hpp"
#include "engine/epoll_wire.hpp"

#include <utility>

namespace pgkeel::engine {
namespace {

/// The first byte of a TLS connection (RFC 8446 §5.1), which begins no message of PostgreSQL's.
constexpr char handshake_record = 0x16;

}  // namespace

void EpollWire::start_tls(TlsContext context, bool as_server, const std::string& host, bool verify_host) {
    if (over() || failed_ || tls_wanted_ || handshaking_ || state_.secured) return;
    flush();  // in the clear
    extra().tls_request = TlsStream::Request{std::move(context), as_server, host, verify_host};
    tls_wanted_ = true;
    if (!showing_) begin_tls();
}

void EpollWire::begin_tls() {
    if (state_.connecting || blocked_ || write_broken_) return;
    const TlsStream::Request request = *std::exchange(extra().tls_request, std::nullopt);
    tls_wanted_ = false;
    std::string first_bytes;
    if (!state_.unused.empty()) {
        // Whoever sits between could have put them there, to be taken for the words of the one who is encrypted. Only
        // a client whose very first byte is TLS may have sent more than was asked for.
        if (!request.as_server || state_.used_any || state_.unused.front() != handshake_record)
            return fail_later("received plaintext data after the request for TLS (CVE-2021-23214)");
        first_bytes.swap(state_.unused);
    }
    auto stream = TlsStream::create(socket(), request, std::move(first_bytes));
    if (!stream) return fail_later(stream.error().text);
    extra().tls = std::move(*stream);
    handshaking_ = true;
    take_handshake_step();
}

/// Milliseconds of arithmetic: a helper does it, and until it is back the loop only collects events.
void EpollWire::take_handshake_step() {
    busy_ = true;
    readable_ = writable_ = false;
    TlsStream* const tls = extra().tls.get();
    tls->expect_input(hangup_);
    auto step = std::make_shared<TlsStream::Step>();
    loop_->offload([tls, step] { *step = tls->handshake(); },
                   [this, step] {
                       busy_ = false;
                       handshake_stepped(*step);
                   });
}

void EpollWire::handshake_stepped(TlsStream::Step step) {
    if (closing_) return finish_closing();
    step_wants_write_ = step == TlsStream::Step::wants_write;
    switch (step) {
        case TlsStream::Step::wants_read:
        case TlsStream::Step::wants_write:
            if (readable_ || (writable_ && step_wants_write_)) take_handshake_step();
            return;
        case TlsStream::Step::failed:
            return tell_closed(extra().tls->problem());
        case TlsStream::Step::done:
            break;
    }
    handshaking_ = false;
    state_.secured = true;
    state_.unsent = std::exchange(extra().after_handshake, {});
    readable_ = true;  // the last flight may have brought the first message with it
    owner_->secured();
    if (over()) return;
    flush();
    look_at_it_later();
}

}  // namespace pgkeel::engine
