#include "proxy/metrics_server.hpp"

#include "async/clock.hpp"
#include "async/event.hpp"
#include "console/metrics.hpp"
#include "http/server.hpp"
#include "log/log.hpp"
#include "proxy/facts.hpp"
#include "proxy/world.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <future>
#include <thread>

namespace pgkeel::proxy {

using namespace std::chrono_literals;

struct MetricsServer::Impl {
    asio::io_context loop{1};
    BoottimeClock clock{loop.get_executor()};
    std::unique_ptr<http::Server> server;
    std::thread thread;
};

namespace {

struct Asked {
    Event answered;
    std::string text;
};

Task<http::Response> answer(World& world, asio::io_context& loop, Clock& clock, http::Request request) {
    if (request.path() != "/metrics")
        co_return http::Response{.status = 404, .content_type = "text/plain", .body = "the metrics are at /metrics\n"};
    const auto asked = std::make_shared<Asked>();
    world.alone([&world, &loop, asked] {
        asked->text = metrics(world);
        asio::post(loop, [asked] { asked->answered.set(); });
    });
    if (!co_await asked->answered.wait(clock, clock.now() + 5s))
        co_return http::Response{.status = 503, .content_type = "text/plain", .body = "the proxy does not answer\n"};
    co_return http::Response{
        .status = 200, .content_type = console::metrics_content_type, .body = std::move(asked->text)};
}

}  // namespace

MetricsServer::MetricsServer(World& world) : world_(world) {}

MetricsServer::~MetricsServer() {
    if (impl_) stopped_.push_back(std::move(impl_));
    for (const auto& each : stopped_) {
        each->loop.stop();
        each->thread.join();
    }
}

void MetricsServer::stop() {
    if (!impl_) return;
    std::promise<void> stopped;
    asio::post(impl_->loop, [&] {
        impl_->server->stop();
        stopped.set_value();
    });
    stopped.get_future().wait();
    stopped_.push_back(std::move(impl_));
}

Result<> MetricsServer::start(const std::string& listen) {
    if (listen.empty()) return {};
    impl_ = std::make_unique<Impl>();
    http::ServerOptions options;
    options.listen = listen;
    auto server = http::Server::start(impl_->loop.get_executor(), impl_->clock, std::move(options),
                                      [this, impl = impl_.get()](http::Request request) {
                                          return answer(world_, impl->loop, impl->clock, std::move(request));
                                      });
    if (!server) {
        impl_.reset();
        return std::unexpected(std::move(server.error()));
    }
    impl_->server = std::move(*server);
    impl_->thread = std::thread([impl = impl_.get()] { impl->loop.run(); });
    log::info("metrics at http://{}/metrics", listen);
    return {};
}

}  // namespace pgkeel::proxy
