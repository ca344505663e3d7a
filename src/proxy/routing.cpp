#include "proxy/routing.hpp"

#include "log/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace pgkeel::proxy {

namespace {

/// Between two looks at the configuration: a standby's lag is a second old as well.
constexpr Duration config_interval = std::chrono::seconds(1);

RouteLimits limits_of(const config::PoolerConfig& config) {
    RouteLimits limits;
    const auto lag_max = static_cast<std::uint64_t>(config.settings.standby_lag_max);
    limits.lag_bytes_max = lag_max != 0 ? lag_max : std::numeric_limits<std::uint64_t>::max();
    return limits;
}

ClusterWatch::Options watch_options(const config::PoolerConfig& config) {
    const config::TlsFiles& files = config.rest_tls;
    return {.rest_tls = {.verify = !config.rest_insecure,
                         .ca_file = files.ca_file,
                         .certificate_file = files.certificate_file,
                         .key_file = files.key_file,
                         .key_password = files.key_password},
            .limits = limits_of(config)};
}

pool::Place pool_place(const Place& place, bool unix_sockets) {
    const bool by_socket = unix_sockets && !place.unix_socket.empty();
    std::uint16_t port = 5432;
    std::from_chars(place.port.data(), place.port.data() + place.port.size(), port);
    return {.name = place.name, .host = by_socket ? place.unix_socket : place.host, .port = port};
}

std::string names_of(const pool::Places& places) {
    std::string names;
    for (const pool::Place& place : places.all) names += (names.empty() ? "" : ", ") + place.name;
    return names.empty() ? "nobody" : names;
}

}  // namespace

Result<> Routing::start(const config::PoolerConfig& config) {
    if (!config.follows_cluster) return {};
    auto watch = ClusterWatch::start(config, watch_options(config), [this](std::shared_ptr<const Topology> topology) {
        world_.alone([this, topology = std::move(topology)] { use(*topology); });
    });
    if (!watch) return std::unexpected(std::move(watch.error()));
    watch_ = std::move(*watch);
    config_ = world_.hub().config();
    world_.when_reloaded([this] { reload(); });
    world_.thread(0).loop().after(config_interval, [this] { look_at_config(); });
    return {};
}

void Routing::reload() {
    config_ = world_.hub().config();
    const ClusterWatch::Options options = watch_options(*config_);
    if (const auto taken = watch_->reload(*config_, options.rest_tls); !taken)
        log::error("etcd: {}", taken.error().line());
    watch_->use(options);
}

void Routing::look_at_config() {
    if (auto config = world_.hub().config(); config != config_) {
        config_ = std::move(config);
        watch_->use(watch_options(*config_));
    }
    world_.thread(0).loop().after(config_interval, [this] { look_at_config(); });
}

void Routing::use(const Topology& topology) {
    pool::Hub& hub = world_.hub();
    const auto config = hub.config();
    const RouteLimits limits = limits_of(*config);
    pool::Orders orders;
    if (topology.epoch != 0 && topology.epoch != leader_epoch_) {
        leader_epoch_ = topology.epoch;
        ++epoch_;
    }
    for (const config::Route route : {config::Route::primary, config::Route::standby, config::Route::any}) {
        pool::Places places;
        for (const Place* const place : places_for(topology, route, limits))
            places.all.push_back(pool_place(*place, config->settings.server_unix_sockets));
        if (route == config::Route::primary) places.epoch = epoch_;
        if (hub.places[route] == places) continue;
        log::info("route {}: {}{}", config::to_string(route), names_of(places),
                  places.epoch != 0 ? fmt::format(" (epoch {})", places.epoch) : "");
        hub.set_places(route, places, world_.thread(0).now(), orders);
        if (route != config::Route::primary) leave_old_places(route, places, orders);
    }
    world_.thread(0).worker().carry_out(orders);
}

/// Readers stay with a server that is no good any more until they release it.
void Routing::leave_old_places(config::Route route, const pool::Places& places, pool::Orders& orders) {
    pool::Book& book = world_.hub().book;
    for (const auto& thread : world_.threads())
        thread->worker().each_server([&](pool::Server& server) {
            if (server.pool().route != route || !book.has(server.id())) return;
            const auto is_it = [&](const pool::Place& place) { return place.name == server.place(); };
            if (std::ranges::any_of(places.all, is_it)) return;
            if (!book.retire(server.id(), pool::CloseReason::changed, thread->now(), orders))
                book.close_when_released(server.id(), pool::CloseReason::changed);
        });
}

}  // namespace pgkeel::proxy
