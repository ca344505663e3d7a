#include "etcd/gateway_store.hpp"

#include "async/spawn.hpp"
#include "etcd/watch_stream.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <utility>

namespace pgkeel::etcd {
namespace {

/// To open a watch; etcd sends its first message at once.
constexpr std::chrono::seconds watch_open_max{3};

/// Keeps the header for the measuring and the value for the caller.
template <class T>
Gateway::Accept keep_in(T& value, Result<Answer<T>> (*parse)(std::string_view)) {
    return [&value, parse](std::string_view body) -> Result<Header> {
        auto answer = parse(body);
        if (!answer) return std::unexpected(std::move(answer.error()));
        value = std::move(answer->value);
        return answer->header;
    };
}

/// One connection of a watch, shared by the coroutine that waits for its end and the one that reads. Whoever waits may
/// go away first: the reader then ends by itself at the next message, or when the stream has been idle.
struct Connection {
    std::optional<Error> over;
    Event ended;
    bool abandoned = false;

    void end(Error why) {
        if (over) return;
        over = std::move(why);
        ended.set();
    }
};

Task<> read_stream(std::shared_ptr<http::Client> client, http::Url url, http::Request request, Deadline deadline,
                   Duration idle_max, std::function<bool(std::string_view)> on_data,
                   std::shared_ptr<Connection> connection) {
    Error why = co_await client->stream(std::move(url), std::move(request), deadline, idle_max, std::move(on_data));
    connection->end(std::move(why));
}

struct AbandonAtEnd {
    std::shared_ptr<Connection> connection;
    ~AbandonAtEnd() { connection->abandoned = true; }
};

}  // namespace

Result<std::unique_ptr<GatewayStore>> GatewayStore::create(Clock& clock, GatewayOptions options) {
    auto endpoints = Endpoints::create(options.endpoints);
    if (!endpoints) return std::unexpected(std::move(endpoints.error()));
    return std::unique_ptr<GatewayStore>(
        new GatewayStore(std::make_shared<Gateway>(clock, std::move(options), *std::move(endpoints))));
}

Result<> GatewayStore::reload(GatewayOptions options) {
    auto endpoints = Endpoints::create(options.endpoints);
    if (!endpoints) return std::unexpected(std::move(endpoints.error()));
    gateway_->replace(std::move(options), *std::move(endpoints));
    return {};
}

Task<Result<RangeResult>> GatewayStore::range(std::string prefix, Deadline deadline) {
    RangeResult result;
    Gateway::Call call{"a range", "/kv/range", range_request(prefix), true, true};
    auto done = co_await gateway_->ask(std::move(call), keep_in(result, parse_range), deadline);
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return result;
}

Task<Result<TransactionResult>> GatewayStore::commit(Transaction transaction, Deadline deadline) {
    TransactionResult result;
    Gateway::Call call{"a transaction", "/kv/txn", transaction_request(transaction), true, false};
    auto done = co_await gateway_->ask(std::move(call), keep_in(result, parse_transaction), deadline);
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return result;
}

// A grant that was done twice leaves a lease without keys, which ends by itself.
Task<Result<LeaseId>> GatewayStore::grant(std::chrono::seconds ttl, Deadline deadline) {
    LeaseId lease = 0;
    Gateway::Call call{"a lease grant", "/lease/grant", grant_request(ttl), false, true};
    auto done = co_await gateway_->ask(std::move(call), keep_in(lease, parse_grant), deadline);
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return lease;
}

Task<Result<>> GatewayStore::keep_alive(LeaseId lease, Deadline deadline) {
    Gateway::Call call{"a lease renewal", "/lease/keepalive", lease_request(lease), false, true};
    const auto accept = [lease](std::string_view body) -> Result<Header> {
        const auto left = parse_keep_alive(body);
        if (!left) return std::unexpected(left.error());
        if (!left->value) return fail(Errc::lease_gone, fmt::format("it does not know lease {:x} any more", lease));
        return left->header;
    };
    co_return co_await gateway_->ask(std::move(call), accept, deadline);
}

Task<Result<>> GatewayStore::revoke(LeaseId lease, Deadline deadline) {
    Gateway::Call call{"the end of a lease", "/lease/revoke", lease_request(lease), false, true};
    co_return co_await gateway_->ask(std::move(call), parse_header_only, deadline);
}

Task<Error> GatewayStore::watch(std::string prefix, Revision from, OnEvents on_events) {
    const auto gateway = gateway_;
    auto stream = std::make_shared<WatchStream>(from);
    for (;;) {
        const Deadline deadline = gateway->clock().now() + watch_open_max;
        const auto endpoint = co_await gateway->ready(deadline);
        if (!endpoint) co_return endpoint.error();

        auto connection = std::make_shared<Connection>();
        const AbandonAtEnd abandon{connection};
        // A member that no longer serves requests sends no events either, and may not even close the connection.
        const auto subscription = gateway->when_left([connection, name = (*endpoint)->name](const Endpoint& left) {
            if (left.name == name)
                connection->end({Errc::unavailable, fmt::format("etcd at {} stopped serving", name), {}});
        });
        const auto on_header = [gateway, floor = gateway->identity().floor()](const Header& header) {
            return gateway->identity().check(header, floor, false);
        };
        const auto on_data = [stream, connection, on_header, on_events](std::string_view bytes) {
            if (connection->abandoned || connection->over) return false;
            auto over = stream->feed(bytes, on_header, on_events);
            if (over) connection->end(*std::move(over));
            return !connection->over.has_value();
        };
        http::Request request = gateway->make_request(**endpoint, "/watch", watch_request(prefix, stream->next()));
        http::Url url = (*endpoint)->url;
        url.target = request.target;
        stream->restart();
        spawn(co_await asio::this_coro::executor, "etcd watch",
              read_stream(gateway->client(), std::move(url), std::move(request), deadline,
                          gateway->options().watch_idle_max, on_data, connection));
        co_await connection->ended.wait();

        Error why = *connection->over;
        // Silence is no failure, and no proof of health: the stream goes on with a new connection to a member that
        // serves.
        if (why.code == Errc::timed_out && stream->created()) continue;
        if (why.code == Errc::denied) gateway->drop_token();
        if (!stream->created() && why.code != Errc::denied) gateway->leave(*endpoint, why);
        why.text = fmt::format("while watching {} at {}: {}", prefix, (*endpoint)->name, why.text);
        if (why.code != Errc::invalid_input && why.code != Errc::denied) why.code = Errc::unavailable;
        co_return why;
    }
}

}  // namespace pgkeel::etcd
