#pragma once
#include "base/handles.hpp"
#include "base/result.hpp"
#include "engine/tls.hpp"
#include "pool/wire.hpp"

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::engine {

/// TLS on a non-blocking socket, which somebody else watches and closes. One thread at a time.
class TlsStream {
  public:
    struct Request {
        TlsContext context;
        bool as_server = false;
        std::string host;  ///< client: what to ask for, and to verify when `verify_host`
        bool verify_host = false;
    };
    /// \param first_bytes  of the peer, that were received already: a client that began with TLS without asking. It has
    ///                     to name the protocol (ALPN), as PostgreSQL demands it.
    static Result<std::unique_ptr<TlsStream>> create(int socket, const Request& request, std::string first_bytes);

    enum class Step { done, wants_read, wants_write, failed };
    Step handshake();

    enum class Read { data, nothing, end, failed };
    /// At most `size` bytes into `into`; `got` is how many when there is data.
    Read read(char* into, std::size_t size, std::size_t& got);
    /// Whether a byte, or the end, waits: without taking it.
    Read look();
    enum class Write { all, blocked, failed };
    /// Takes bytes from the front of `bytes`. After `blocked` the next call has to begin with the same bytes.
    Write write(std::string_view& bytes);
    /// Tells the peer that nothing more comes, if the kernel takes that now.
    void close_notify();

    /// Why the last call failed.
    const std::string& problem() const { return problem_; }
    /// Built when it is first asked for.
    const pool::TlsFacts& facts();

    /// The socket may have something to read. With `until_end` it is read until it says so: its end came with its last
    /// bytes, and no event will tell it again.
    void expect_input(bool until_end);

  private:
    struct Channel {
        int socket = -1;
        bool has_input = false;
        bool until_end = false;
        bool ended = false;
        std::string first_bytes;
        static int read(BIO* bio, char* into, int size);
        static int write(BIO* bio, const char* from, int size);
        static long control(BIO* bio, int command, long number, void* pointer);
    };
    static const BIO_METHOD* method();
    void explain(std::string_view what, int result, int saved_errno);

    Channel channel_;
    bool direct_ = false;
    std::unique_ptr<SSL, FreeWith<SSL_free>> ssl_;
    std::unique_ptr<pool::TlsFacts> facts_;
    std::string problem_;
};

}  // namespace pgkeel::engine
