// An HTTP server that strangers cannot silence. Whoever connects costs a socket and a small coroutine until the first
// byte, and has until the header deadline. When the table is full, the connection that has kept us waiting longest
// makes room for the new one, so a health check, which sends its request at once, is always the one that is served.
#include "http/server.hpp"

#include "async/event.hpp"
#include "async/spawn.hpp"
#include "http/answer.hpp"
#include "http/connection.hpp"
#include "http/listen.hpp"
#include "http/request_parser.hpp"
#include "http/tls.hpp"
#include "log/log.hpp"

#include <fmt/format.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <list>

#include <sys/socket.h>

namespace pgkeel::http {
namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr int accepts_per_turn = 64;  // then the connections that are there already have their turn
constexpr auto goodbye_time = 1s;

struct Session {
    enum class Phase { request, handling, answer };

    Session(tcp::socket socket, asio::ip::address address)
        : connection(std::make_shared<Connection>(std::move(socket))), peer(std::move(address)) {}

    std::shared_ptr<Connection> connection;
    asio::ip::address peer;
    TlsContext tls{};  ///< what it was accepted with
    Phase phase = Phase::request;
    std::size_t body_bytes = 0;
    bool dropped = false;  ///< closed by us; the clock may be gone, so nothing more is asked of it
};

/// What the connections share. They keep it alive: a handler may outlast its server.
class Core : public std::enable_shared_from_this<Core> {
  public:
    Core(asio::any_io_executor executor, Clock& clock, ServerOptions options, Server::Handler handler, TlsContext tls,
         std::vector<tcp::acceptor> acceptors)
        : executor_(std::move(executor)),
          clock_(clock),
          options_(std::move(options)),
          frame_{options_.server_header, options_.extra_headers},
          handler_(std::move(handler)),
          tls_(std::move(tls)),
          acceptors_(std::move(acceptors)) {}

    void start() {
        for (tcp::acceptor& acceptor : acceptors_)
            spawn(executor_, "HTTP accept", accept_all(shared_from_this(), acceptor));
    }

    int port() const { return port_of(acceptors_.front()); }

    Result<> reload(ServerTls tls) {
        if (tls.certificate_file.empty()) {
            tls_.reset();
        } else {
            auto context = server_context(tls);
            if (!context) return std::unexpected(std::move(context.error()));
            tls_ = std::move(*context);
        }
        return {};
    }

    void stop() {
        stopped_ = true;
        boost::system::error_code ignored;
        for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
        for (const auto& session : sessions_) {
            session->dropped = true;
            session->connection->close();
        }
    }

    static Task<> stop_and_wait(std::shared_ptr<Core> core) {
        core->stop();
        while (core->serving_ > 0) co_await core->idle_.wait();
    }

  private:
    using Sessions = std::list<std::shared_ptr<Session>>;  // in the order of their arrival

    static int port_of(const tcp::acceptor& acceptor) {
        boost::system::error_code ignored;
        return acceptor.local_endpoint(ignored).port();
    }

    static Task<> accept_all(std::shared_ptr<Core> core, tcp::acceptor& acceptor) {
        while (!core->stopped_) {
            const auto [error] =
                co_await acceptor.async_wait(tcp::acceptor::wait_read, asio::as_tuple(asio::use_awaitable));
            if (core->stopped_ || error == asio::error::operation_aborted) co_return;
            bool exhausted = error.failed();
            for (int i = 0; i < accepts_per_turn && !exhausted; ++i)
                if (!core->accept_one(acceptor, exhausted)) break;
            // Out of descriptors or memory: whoever waits longest gives some back. Without one, no busy loop.
            if (exhausted && !core->drop_one_waiting(std::nullopt)) {
                asio::steady_timer pause(core->executor_, 20ms);
                co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
            }
        }
    }

    /// False: nobody waits to be accepted.
    bool accept_one(tcp::acceptor& acceptor, bool& exhausted) {
        tcp::endpoint peer;
        socklen_t size = static_cast<socklen_t>(peer.capacity());
        // accept4: children of ours must not inherit the socket.
        const int handle = ::accept4(acceptor.native_handle(), peer.data(), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (handle < 0) {
            exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            return errno != EAGAIN && errno != EWOULDBLOCK && !exhausted;  // all else was that one peer's trouble
        }
        tcp::socket socket(executor_);
        boost::system::error_code error;
        socket.assign(peer.protocol(), handle, error);
        if (error) {
            ::close(handle);
            return true;
        }
        asio::ip::address address = peer.address();
        if (address.is_v6() && address.to_v6().is_v4_mapped())
            address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
        if (!make_room(address)) return true;  // the socket closes

        auto session = std::make_shared<Session>(std::move(socket), address);
        session->connection->expire_at(clock_, clock_.now() + options_.limits.header_deadline);
        sessions_.push_back(session);
        ++serving_;
        spawn(executor_, "HTTP connection", serve(shared_from_this(), session));
        return true;
    }

    bool make_room(const asio::ip::address& address) {
        const auto same_address = [&address](const auto& session) { return session->peer == address; };
        const auto of_address = static_cast<std::size_t>(std::ranges::count_if(sessions_, same_address));
        if (of_address >= options_.limits.connections_per_address_max && !drop_one_waiting(address)) return false;
        return sessions_.size() < options_.limits.connections_max || drop_one_waiting(std::nullopt);
    }

    /// Drops the connection (of `address`, if given) that has waited longest for its request; else the one that has
    /// taken longest to read its answer. Connections in the hands of the handler stay. False: there is none to drop.
    bool drop_one_waiting(std::optional<asio::ip::address> address) {
        for (const auto phase : {Session::Phase::request, Session::Phase::answer})
            for (const auto& session : sessions_)
                if (session->phase == phase && (!address || session->peer == *address)) {
                    drop(session);
                    return true;
                }
        return false;
    }

    void drop(std::shared_ptr<Session> session) {
        session->dropped = true;
        session->connection->close();
        forget(*session);
    }

    void forget(const Session& session) {
        std::erase_if(sessions_, [&session](const auto& one) { return one.get() == &session; });
    }

    /// Strangers could make us keep a body of the largest size on every connection: all together have a limit too.
    void limit_bodies() {
        const auto held = [this] {
            std::size_t bytes = 0;
            for (const auto& session : sessions_)
                if (session->phase == Session::Phase::request) bytes += session->body_bytes;
            return bytes;
        };
        while (held() > options_.limits.all_bodies_bytes_max) {
            const auto oldest = std::ranges::find_if(sessions_, [](const auto& session) {
                return session->phase == Session::Phase::request && session->body_bytes > 0;
            });
            drop(*oldest);
        }
    }

    static Task<> serve(std::shared_ptr<Core> core, std::shared_ptr<Session> session) {
        try {
            co_await core->talk(*session);
        } catch (const std::exception&) {
            // Out of memory, or a cancelled task: this connection ends, the others go on.
        }
        session->connection->close();
        core->forget(*session);
        if (--core->serving_ == 0) core->idle_.set();
    }

    Task<> talk(Session& session) {
        Connection& connection = *session.connection;
        // Until the first byte there is no TLS state and no buffer: idle strangers are cheap.
        if (co_await connection.wait_readable() || session.dropped) co_return;
        session.tls = tls_;
        if (session.tls && co_await connection.accept_tls(session.tls)) co_return;
        while (!session.dropped && co_await answer_one(session)) {
            session.phase = Session::Phase::request;
            session.body_bytes = 0;
            connection.expire_at(clock_, clock_.now() + options_.limits.idle_deadline);
            if (co_await connection.wait_readable() || session.dropped) co_return;
            connection.expire_at(clock_, clock_.now() + options_.limits.header_deadline);
        }
    }

    /// True: the connection stays for another request.
    Task<bool> answer_one(Session& session) {
        Connection& connection = *session.connection;
        RequestParser parser(options_.limits.header_bytes_max, options_.limits.body_bytes_max);
        if (!co_await read_request(session, parser)) co_return false;
        const bool refused = parser.stage() == RequestParser::Stage::refused;
        Response response;
        if (refused) {
            response = error_page(parser.refusal().status, parser.refusal().reason);
        } else {
            session.phase = Session::Phase::handling;
            connection.never_expire();
            Request request = parser.take();
            request.peer_address = session.peer.to_string();
            request.tls = connection.is_tls();
            request.client_certificate = connection.client_certificate();
            const bool head = request.method == "HEAD";
            response = co_await handle(std::move(request));
            if (session.dropped) co_return false;
            if (head) response.body.clear();
        }
        session.phase = Session::Phase::answer;
        connection.expire_at(clock_, clock_.now() + options_.limits.body_deadline);
        // New certificates, and new rules for the client's, are for everybody.
        const bool stays = parser.keeps_connection() && !response.bare && session.tls == tls_;
        const auto failed = co_await connection.write(answer_bytes(response, frame_, clock_.wall_now(), stays));
        if (failed || session.dropped || stays) co_return !failed && !session.dropped;
        // A peer that is still sending would lose the answer to a reset, and TLS says goodbye.
        if (refused || connection.is_tls()) {
            connection.expire_at(clock_, clock_.now() + goodbye_time);
            co_await connection.finish();
        }
        co_return false;
    }

    /// False: the connection has ended, or took too long.
    Task<bool> read_request(Session& session, RequestParser& parser) {
        Connection& connection = *session.connection;
        std::vector<char> buffer(2048);
        bool in_body = false;
        for (;;) {
            const auto [error, bytes] = co_await connection.read_some(buffer);
            if (error || session.dropped) co_return false;
            switch (parser.feed({buffer.data(), bytes})) {
                case RequestParser::Stage::head:
                    break;
                case RequestParser::Stage::body:
                    session.body_bytes = parser.body_bytes();
                    limit_bodies();
                    if (session.dropped) co_return false;
                    if (in_body) break;
                    in_body = true;
                    buffer.resize(16UL * 1024);
                    connection.expire_at(clock_, clock_.now() + options_.limits.body_deadline);
                    if (parser.wants_continue() && co_await connection.write("HTTP/1.1 100 Continue\r\n\r\n"))
                        co_return false;
                    break;
                case RequestParser::Stage::complete:
                case RequestParser::Stage::refused:
                    co_return true;
            }
        }
    }

    Task<Response> handle(Request request) {
        const std::string what = fmt::format("{} {}", request.method, request.path());
        try {
            co_return co_await handler_(std::move(request));
        } catch (const std::exception& error) {
            log::error("REST API: {} failed with an exception, which is a bug: {}", what, error.what());
        }
        co_return error_page(500, "the request could not be handled because of a bug in the server");
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    ServerOptions options_;
    AnswerFrame frame_;
    Server::Handler handler_;
    TlsContext tls_;
    std::vector<tcp::acceptor> acceptors_;
    Sessions sessions_;
    bool stopped_ = false;
    std::size_t serving_ = 0;  ///< tasks of connections, dropped ones included
    Event idle_;
};

class AsioServer final : public Server {
  public:
    explicit AsioServer(std::shared_ptr<Core> core) : core_(std::move(core)), port_(core_->port()) { core_->start(); }
    ~AsioServer() override { core_->stop(); }

    int port() const override { return port_; }
    Result<> reload_tls(ServerTls tls) override { return core_->reload(std::move(tls)); }
    void stop() override { core_->stop(); }
    Task<> stopped() override { return Core::stop_and_wait(core_); }

  private:
    std::shared_ptr<Core> core_;
    int port_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(asio::any_io_executor executor, Clock& clock, ServerOptions options,
                                              Handler handler) {
    TlsContext tls;
    if (!options.tls.certificate_file.empty()) {
        auto context = server_context(options.tls);
        if (!context) return std::unexpected(std::move(context.error()));
        tls = std::move(*context);
    }
    auto acceptors = listen_on(executor, options.listen);
    if (!acceptors) return std::unexpected(std::move(acceptors.error()));
    return std::make_unique<AsioServer>(std::make_shared<Core>(executor, clock, std::move(options), std::move(handler),
                                                               std::move(tls), std::move(*acceptors)));
}

}  // namespace pgkeel::http
