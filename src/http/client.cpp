#include "http/client.hpp"

#include "http/connection.hpp"
#include "http/kept_connections.hpp"
#include "http/resolve.hpp"
#include "http/response_parser.hpp"
#include "http/tls.hpp"

#include <fmt/format.h>
#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace pgkeel::http {
namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr std::uint64_t answer_bytes_max = 64UL * 1024 * 1024;
constexpr std::size_t read_bytes = 16UL * 1024;

using ConnectionPtr = std::shared_ptr<Connection>;

std::string where(const Url& url) {
    return fmt::format(fmt::runtime(url.host.contains(':') ? "[{}]:{}" : "{}:{}"), url.host, url.port);
}

bool is_harmless(const Request& request) {
    return request.repeatable || request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
}

bool is_one_line(std::string_view text) {
    return std::ranges::none_of(
        text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

Result<std::string> request_bytes(const Url& url, const Request& request) {
    const std::string& target = request.target == "/" || request.target.empty() ? url.target : request.target;
    const auto wrong = [&url](std::string_view what) {
        return fail(Errc::invalid_input,
                    fmt::format("cannot ask {}: the {} holds a blank or a control character", where(url), what));
    };
    if (request.method.empty() || request.method.contains(' ') || !is_one_line(request.method)) return wrong("method");
    if (target.contains(' ') || target.contains('\t') || !is_one_line(target)) return wrong("target");
    const bool default_port = url.port == (url.tls ? "443" : "80");
    const std::string host = url.host.contains(':') ? fmt::format("[{}]", url.host) : url.host;
    std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: {}{}\r\n", request.method, target, host,
                                  default_port ? std::string() : ":" + url.port);
    out += "Connection: keep-alive\r\n";  // said aloud for the servers of HTTP/1.0
    for (const auto& [name, value] : request.headers) {
        if (name.empty() || !is_one_line(name) || !is_one_line(value)) return wrong("header " + name);
        fmt::format_to(std::back_inserter(out), "{}: {}\r\n", name, value);
    }
    const bool takes_body = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (takes_body || !request.body.empty())
        fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", request.body.size());
    out += "\r\n";
    return out + request.body;
}

/// How far an exchange came before it failed.
struct Broken {
    bool sent = false;       ///< the whole request was handed to the kernel
    bool answering = false;  ///< at least one byte of the answer came
    bool expired = false;
    bool refused_by_tls = false;
    std::string why;
};

}  // namespace

struct Client::Impl {
    ClientTls tls;
    TlsContext context;            ///< made by the first request that needs it
    std::uint64_t generation = 0;  ///< connections of an older one are not kept
    KeptConnections kept;
    Resolver resolver;

    Result<TlsContext> tls_context() {
        if (!context) {
            auto made = client_context(tls);
            if (!made) return made;
            context = std::move(*made);
        }
        return context;
    }

    Task<Result<ConnectionPtr>> connect(Clock& clock, Url url, Deadline deadline);
};

namespace {

Task<Result<>> start_tls(Connection& connection, Url url, TlsContext context) {
    const auto error = co_await connection.connect_tls(std::move(context), url.host);
    if (!error) co_return Result<>();
    if (connection.expired())
        co_return fail(Errc::timed_out, fmt::format("no TLS handshake with {} before the deadline", where(url)));
    const std::string why = connection.tls_problem(error);
    if (Connection::is_tls_error(error))
        co_return fail(Errc::denied, fmt::format("TLS with {} failed: {}", where(url), why),
                       "does that port speak TLS, and do the CA file and the names in the certificate fit?");
    co_return fail(Errc::unavailable, fmt::format("TLS with {} failed: {}", where(url), why),
                   "does that port speak TLS?");
}

Task<std::optional<Broken>> send(Connection& connection, std::string bytes) {
    const auto error = co_await connection.write(std::move(bytes));
    if (!error) co_return std::nullopt;
    co_return Broken{.expired = connection.expired(),
                     .refused_by_tls = Connection::is_tls_error(error),
                     .why = connection.tls_problem(error)};
}

/// Reads once. Nothing: go on, or the parser is at an end.
Task<std::optional<Broken>> receive(Connection& connection, ResponseParser& parser, std::span<char> buffer) {
    const auto [error, bytes] = co_await connection.read_some(buffer);
    Broken broken{
        .sent = true, .answering = parser.got_some() || bytes > 0, .expired = connection.expired(), .why = {}};
    if (!error) {
        parser.feed({buffer.data(), bytes});
    } else if (error == asio::error::eof && parser.got_some()) {
        parser.feed_end();
    } else {
        broken.refused_by_tls = !broken.answering && Connection::is_tls_error(error);
        broken.why = error == asio::error::eof ? "the peer closed the connection" : connection.tls_problem(error);
        co_return broken;
    }
    if (parser.stage() != ResponseParser::Stage::broken) co_return std::nullopt;
    broken.why = parser.problem();
    co_return broken;
}

Task<std::optional<Broken>> exchange(Connection& connection, std::string bytes, ResponseParser& parser) {
    if (auto broken = co_await send(connection, std::move(bytes))) co_return broken;
    std::vector<char> buffer(read_bytes);
    while (parser.stage() != ResponseParser::Stage::complete)
        if (auto broken = co_await receive(connection, parser, buffer)) co_return broken;
    co_return std::nullopt;
}

std::unexpected<Error> to_error(const Broken& broken, const Url& url, const Request& request) {
    const std::string what =
        fmt::format("{} {} at {}", request.method, request.target == "/" ? url.target : request.target, where(url));
    if (broken.refused_by_tls)
        return fail(Errc::denied, fmt::format("{}: TLS refused: {}", what, broken.why),
                    "does the other side want a client certificate, and know its CA?");
    if (broken.sent && !is_harmless(request))
        return fail(Errc::maybe_done,
                    fmt::format("{} was sent, and {}", what,
                                broken.expired ? "no answer came before the deadline" : "then: " + broken.why));
    if (broken.expired) return fail(Errc::timed_out, fmt::format("{}: no answer before the deadline", what));
    return fail(Errc::unavailable, fmt::format("{} failed: {}", what, broken.why));
}

}  // namespace

Task<Result<ConnectionPtr>> Client::Impl::connect(Clock& clock, Url url, Deadline deadline) {
    TlsContext tls_to_use;
    if (url.tls) {
        auto made = tls_context();
        if (!made) co_return std::unexpected(std::move(made.error()));
        tls_to_use = std::move(*made);
    }
    auto endpoints = co_await resolver.resolve(clock, url.host, url.port, deadline);
    if (!endpoints) co_return std::unexpected(std::move(endpoints.error()));
    std::string why = "it has no address";
    bool timed_out = false;
    for (std::size_t i = 0; i < endpoints->size(); ++i) {
        const Instant now = clock.now();
        if (now >= deadline) break;
        auto connection = std::make_shared<Connection>(tcp::socket(co_await asio::this_coro::executor));
        // An address that swallows packets must leave time for the next one.
        const auto left = static_cast<Duration::rep>(endpoints->size() - i);
        connection->expire_at(clock, now + (deadline - now) / left);
        if (const auto error = co_await connection->connect((*endpoints)[i])) {
            timed_out = connection->expired();
            why = timed_out ? "no answer before the deadline" : error.message();
            continue;
        }
        connection->expire_at(clock, deadline);
        if (!url.tls) co_return connection;
        if (auto done = co_await start_tls(*connection, url, tls_to_use); !done)
            co_return std::unexpected(std::move(done.error()));
        co_return connection;
    }
    timed_out = timed_out || clock.now() >= deadline;
    co_return fail(timed_out ? Errc::timed_out : Errc::unavailable,
                   fmt::format("could not connect to {}: {}", where(url), why));
}

Client::Client(ClientTls tls) : impl_(std::make_shared<Impl>()) {
    impl_->tls = std::move(tls);
}
Client::~Client() = default;

void Client::reload(ClientTls tls) {
    impl_->tls = std::move(tls);
    impl_->context.reset();
    impl_->kept.clear();
    ++impl_->generation;
}

Task<Result<Response>> Client::request(Url url, Request request, Deadline deadline) {
    const auto impl = impl_;
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    BoottimeClock clock(executor);
    auto bytes = request_bytes(url, request);
    if (!bytes) co_return std::unexpected(std::move(bytes.error()));
    const KeptConnections::Key key{url.host, url.port, url.tls};
    const auto generation = impl->generation;

    ConnectionPtr connection = impl->kept.take(key, clock.now());
    for (bool reused = connection != nullptr;; reused = false) {
        if (reused) {
            connection->expire_at(clock, deadline);
        } else {
            auto made = co_await impl->connect(clock, url, deadline);
            if (!made) co_return std::unexpected(std::move(made.error()));
            connection = std::move(*made);
        }
        ResponseParser parser(request.method == "HEAD", answer_bytes_max);
        const auto broken = co_await exchange(*connection, *bytes, parser);
        if (!broken) {
            if (parser.keep_alive() && generation == impl->generation)
                impl->kept.keep(asio::query(executor, asio::execution::context), key, connection, clock.now());
            co_return parser.take();
        }
        // The peer may have closed the idle connection while we sent: that is nobody's fault, and a request that did
        // not get through or does no harm is worth a second connection.
        const bool once_more =
            reused && !broken->answering && !broken->expired && (!broken->sent || is_harmless(request));
        if (!once_more) co_return to_error(*broken, url, request);
    }
}

namespace {

Error status_error(const Response& response, const Url& url, const Request& request) {
    Errc code = Errc::unavailable;
    if (response.status == 401 || response.status == 403) code = Errc::denied;
    if (response.status == 404) code = Errc::not_found;
    constexpr std::size_t shown_bytes_max = 200;
    return {code,
            fmt::format("{} {} at {} was answered with {} {}: {}", request.method,
                        request.target == "/" ? url.target : request.target, where(url), response.status,
                        reason_phrase(response.status), response.body.substr(0, shown_bytes_max)),
            {}};
}

}  // namespace

Task<Error> Client::stream(Url url, Request request, Deadline headers_deadline, Duration idle_max,
                           std::function<bool(std::string_view)> on_data) {
    using Stage = ResponseParser::Stage;
    const auto impl = impl_;
    BoottimeClock clock(co_await asio::this_coro::executor);
    request.repeatable = true;  // what follows changes nothing, so no failure is "maybe done"
    auto bytes = request_bytes(url, request);
    if (!bytes) co_return std::move(bytes.error());
    auto made = co_await impl->connect(clock, url, headers_deadline);
    if (!made) co_return std::move(made.error());
    const ConnectionPtr connection = std::move(*made);

    ResponseParser parser(request.method == "HEAD", 0, std::move(on_data));
    if (const auto broken = co_await send(*connection, std::move(*bytes)))
        co_return to_error(*broken, url, request).error();
    std::vector<char> buffer(read_bytes);
    for (;;) {
        const bool in_head = parser.stage() == Stage::head;
        const bool refused = !in_head && parser.status() / 100 != 2;
        if (!in_head && !refused) connection->expire_at(clock, clock.now() + idle_max);
        if (const auto broken = co_await receive(*connection, parser, buffer)) {
            if (refused) co_return status_error(parser.take(), url, request);
            if (broken->expired && !in_head)
                co_return Error{
                    Errc::timed_out, fmt::format("nothing came from {} for {} s", where(url), seconds(idle_max)), {}};
            co_return to_error(*broken, url, request).error();
        }
        if (parser.stage() == Stage::stopped)
            co_return Error{Errc::cancelled, fmt::format("the stream from {} was ended on request", where(url)), {}};
        if (parser.stage() == Stage::complete) {
            if (parser.status() / 100 != 2) co_return status_error(parser.take(), url, request);
            co_return Error{Errc::unavailable, fmt::format("{} has ended the stream", where(url)), {}};
        }
    }
}

}  // namespace pgkeel::http
