#include "log/log.hpp"
#include "proxy/access.hpp"
#include "proxy/metrics_server.hpp"
#include "proxy/routing.hpp"
#include "proxy/server.hpp"
#include "proxy/world.hpp"

namespace pgkeel::proxy {

int serve(config::PoolerConfig config, const Options& options, Signals& signals) {
    const auto give_up = [](const Error& error) {
        log::critical("{}", error.line());
        return 1;
    };
    auto access = load_access(config);
    if (!access) return give_up(access.error());
    auto tls = load_tls(config.settings);
    if (!tls) {
        log::error("TLS setup failed: {}", tls.error().line());
        return 1;
    }
    auto mocks = auth::MockVerifiers::fresh();
    if (!mocks) return give_up(mocks.error());
    // Its sessions and sockets end with the process: nothing is gained by taking thousands of them apart before.
    World& world = *new World(std::make_shared<const config::PoolerConfig>(std::move(config)), std::move(*access),
                              std::move(*tls), options, std::move(*mocks));
    if (const auto ready = world.prepare(); !ready) return give_up(ready.error());
    auto& metrics_server = *new MetricsServer(world);
    if (const auto started = metrics_server.start(world.hub().config()->settings.metrics_listen); !started)
        return give_up(started.error());
    auto& routing = *new Routing(world);
    if (const auto started = routing.start(*world.hub().config()); !started) return give_up(started.error());
    log::info("process up: {}", version_line());
    world.run(signals);
    log::info("process ends");
    return 0;
}

}  // namespace pgkeel::proxy
