#pragma once
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// What a session sees of its connection: bytes come in, bytes go out. The engine implements it on sockets, tests in
// memory. A wire and its owner belong to one thread.

struct ssl_ctx_st;

namespace pgkeel::pool {

/// Who is at the other end, and how it came in.
struct WireFacts {
    bool unix_socket = false;
    std::string address;  ///< "192.0.2.1"; of a unix socket "unix"
    std::uint16_t port = 0;
    std::string local_address;
    std::uint16_t local_port = 0;
    std::int64_t peer_pid = 0, peer_uid = -1;  ///< of a unix socket
};

/// After a handshake.
struct TlsFacts {
    std::string version;             ///< "TLSv1.3"
    std::string cipher;              ///< "TLS_AES_256_GCM_SHA384"
    std::string peer_common_name;    ///< of a certificate that was verified; empty: none
    bool peer_verified = false;      ///< the peer showed a certificate, and its chain was verified
    std::string server_certificate;  ///< DER, of the end that is the TLS server: for channel binding
};

/// Is called by the loop only, never from inside a call of Wire. It may destroy itself and close any wire in each of
/// them.
class WireOwner {
  public:
    /// `bytes` begins with the first byte not used yet. Returns how many bytes of the front were used; the rest is
    /// shown again, when more has come or after start_reading().
    virtual std::size_t received(std::string_view bytes) = 0;
    /// A connection that we opened is there.
    virtual void connected() {}
    /// The handshake that start_tls began has succeeded.
    virtual void secured() {}
    /// backed_up() was true, and everything has been sent since.
    virtual void drained() {}
    /// The other side has closed it (empty), or it failed: why. Nothing comes after this; the wire still has to be
    /// closed.
    virtual void closed(const std::string& why) = 0;

  protected:
    ~WireOwner() = default;
};

class Wire {
  public:
    /// Appends to what is sent at the end of this turn of the loop, or with the next pass().
    virtual void put(std::string_view bytes) = 0;
    /// Sends now, after all that was put, and copies only what the kernel does not take; or, when that saves system
    /// calls, together with what other wires send in this turn.
    virtual void pass(std::string_view bytes) = 0;
    /// Bytes wait for the kernel to take them: whoever produces them should stop until drained().
    virtual bool backed_up() const = 0;

    /// received() is not called until start_reading(), and then with what is there already; not from inside the call.
    virtual void stop_reading() = 0;
    virtual void start_reading() = 0;

    /// From now on TLS, as its server or as its client. What was put before is sent in the clear first. Bytes of the
    /// other side that have come and were not used are an error, and closed() tells it (CVE-2021-23214).
    /// \param host  client: the name to ask for (SNI), and to verify when `verify_host`
    virtual void start_tls(std::shared_ptr<ssl_ctx_st> context, bool as_server, const std::string& host = {},
                           bool verify_host = false) = 0;
    virtual bool unix_socket() const = 0;
    /// The kernel is asked for them the first time.
    virtual const WireFacts& facts() const = 0;
    /// Null without TLS.
    virtual const TlsFacts* tls() const = 0;

    /// Sends what was put, then closes; what the other side does not take within some seconds is dropped. The owner is
    /// not called any more, and must not use the wire again.
    virtual void close() = 0;

  protected:
    ~Wire() = default;
};

struct CloseWire {
    void operator()(Wire* wire) const { wire->close(); }
};
/// Closes the wire when it goes.
using OwnedWire = std::unique_ptr<Wire, CloseWire>;

}  // namespace pgkeel::pool
