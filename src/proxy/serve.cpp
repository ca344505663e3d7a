#include "log/log.hpp"
#include "proxy/access.hpp"
#include "proxy/metrics_server.hpp"
#include "proxy/routing.hpp"
#include "proxy/server.hpp"
#include "proxy/world.hpp"

namespace pgkeel::proxy {

int serve(config::PoolerConfig config, const Options& options, Signals& signals,
          std::unique_ptr<Predecessor> predecessor) {
    const bool takes_over = predecessor != nullptr;
    const auto give_up = [&](Error error) {
        if (takes_over) error.text = "cannot take over, the running process serves on: " + error.text;
        log::critical("{}", error.line());
        // Who has started us looks here, and not in the log.
        if (takes_over && (options.daemon || options.quiet)) fmt::print(stderr, "pgkeel proxy: {}\n", error.line());
        return 1;
    };
    auto access = load_access(config);
    if (!access) return give_up(access.error());
    auto tls = load_tls(config.settings);
    if (!tls) {
        if (takes_over) return give_up(tls.error());
        log::error("TLS setup failed: {}", tls.error().line());
        return 1;
    }
    auto mocks = auth::MockVerifiers::fresh();
    if (!mocks) return give_up(mocks.error());
    // Its sessions and sockets end with the process: nothing is gained by taking thousands of them apart before.
    World& world = *new World(std::make_shared<const config::PoolerConfig>(std::move(config)), std::move(*access),
                              std::move(*tls), options, std::move(*mocks));
    if (const auto ready = world.prepare(std::move(predecessor)); !ready) return give_up(ready.error());
    auto& metrics_server = *new MetricsServer(world);
    const auto start_metrics = [&world, &metrics_server] {
        return metrics_server.start(world.hub().config()->settings.metrics_listen);
    };
    world.set_beside({.start =
                          [start_metrics] {
                              if (const auto started = start_metrics(); !started)
                                  log::error("no metrics: {}", started.error().line());
                          },
                      .stop = [&metrics_server] { metrics_server.stop(); }});
    // The process before us has the address until we take over.
    if (!takes_over)
        if (const auto started = start_metrics(); !started) return give_up(started.error());
    auto& routing = *new Routing(world);
    if (const auto started = routing.start(*world.hub().config()); !started) return give_up(started.error());
    if (const auto begun = world.begin(); !begun) return give_up(begun.error());
    if (takes_over) world.start_beside();
    if (takes_over) options.took_over();
    log::info("process up: {}", version_line());
    const int status = world.run(signals);
    log::info("process ends");
    return status;
}

}  // namespace pgkeel::proxy
