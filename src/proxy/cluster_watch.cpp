#include "proxy/cluster_watch.hpp"

#include "async/event.hpp"
#include "async/spawn.hpp"
#include "base/blocked_signals.hpp"
#include "cluster/keys.hpp"
#include "cluster/watched_keys.hpp"
#include "etcd/gateway_store.hpp"
#include "log/log.hpp"
#include "proxy/member_probe.hpp"
#include "proxy/topology_builder.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <future>
#include <mutex>
#include <set>
#include <thread>

namespace pgkeel::proxy {

using namespace std::chrono_literals;

namespace {

/// Between two reads of all keys: how long a watch may lie before it is found out.
constexpr Duration read_interval = 3s;
constexpr Duration read_max = 2s;
constexpr Duration retry_interval = 250ms;
constexpr Duration probe_interval = 1s;
/// While a new leader is being promoted: clients are held until it is seen to be a primary.
constexpr Duration probe_interval_unsettled = 100ms;
constexpr Duration probe_max = 1s;

etcd::GatewayOptions gateway_options(const config::PoolerConfig& config) {
    etcd::GatewayOptions options;
    options.endpoints = config.etcd.endpoints;
    options.username = config.etcd.authentication.username;
    options.password = config.etcd.authentication.password;
    options.tls = {.verify = true,
                   .ca_file = config.etcd.tls.ca_file,
                   .certificate_file = config.etcd.tls.certificate_file,
                   .key_file = config.etcd.tls.key_file,
                   .key_password = config.etcd.tls.key_password};
    options.use_proxies = config.etcd.use_proxies;
    return options;
}

/// "/service/batman/", as the agents write it, however many slashes the file has.
std::string prefix_of(const config::PoolerConfig& config) {
    std::string prefix;
    for (const char c : fmt::format("/{}/{}/", config.namespace_, config.scope))
        if (c != '/' || prefix.empty() || prefix.back() != '/') prefix += c;
    return prefix;
}

}  // namespace

/// Everything but `latest` belongs to the thread. What waits inside refers to the members, so they outlive the loop:
/// `context` is declared after what its coroutines wait for, and before what needs it to close its sockets.
struct ClusterWatch::Impl {
    Impl(const config::PoolerConfig& config, ClusterWatch::Options given, OnChange callback)
        : keys{prefix_of(config)},
          limits(given.limits),
          on_change(std::move(callback)),
          probe(std::move(given.rest_tls), config.scope) {}

    Task<> read_forever();
    Task<> read_once();
    Task<> watch_forever();
    Task<> probe_forever();
    Task<> probe_one(Member member);
    void take_events(etcd::Revision revision, const std::vector<etcd::WatchEvent>& events);
    void use_keys();
    void publish();
    void lost_etcd(const Error& why);

    const cluster::Keys keys;
    RouteLimits limits;
    const OnChange on_change;
    cluster::WatchedKeys watched;
    TopologyBuilder builder{is_here};
    std::vector<Member> members;
    std::set<std::string> being_asked;
    std::set<std::string> refused;   ///< of whose REST API it was said that it cannot be asked
    std::set<std::string> problems;  ///< what has been said about keys that cannot be read
    bool has_read = false;
    bool stale = false;
    Event read_now, watch_may_begin, probe_now;

    mutable std::mutex mutex;
    std::shared_ptr<const Topology> latest = std::make_shared<const Topology>();
    std::shared_ptr<const Topology> told;  ///< the callback's last

    asio::io_context context{1};
    BoottimeClock clock{context.get_executor()};
    MemberProbe probe;
    std::unique_ptr<etcd::GatewayStore> store;
    std::thread thread;
};

Task<> ClusterWatch::Impl::read_forever() {
    while (true) {
        co_await read_once();
        const bool soon = stale || !has_read;
        co_await read_now.wait(clock, clock.now() + (soon ? retry_interval : read_interval));
    }
}

Task<> ClusterWatch::Impl::read_once() {
    watched.begin_read();
    auto read = co_await store->range(keys.prefix, clock.now() + read_max);
    if (!read) {
        lost_etcd(read.error());
        co_return;
    }
    watched.end_read(*std::move(read));
    if (std::exchange(stale, false)) log::info("etcd answers again: following the cluster below {}", keys.prefix);
    has_read = true;
    use_keys();
    watch_may_begin.set();
}

Task<> ClusterWatch::Impl::watch_forever() {
    while (true) {
        co_await watch_may_begin.wait();
        const Error ended = co_await store->watch(
            keys.prefix, watched.revision() + 1,
            [this](etcd::Revision revision, const auto& events) { take_events(revision, events); });
        log::debug("the etcd watch ended: {}", ended.line());
        // What came between is in the next read, and from there on it is watched again.
        watch_may_begin.clear();
        read_now.set();
    }
}

void ClusterWatch::Impl::take_events(etcd::Revision revision, const std::vector<etcd::WatchEvent>& events) {
    if (watched.apply(revision, events)) use_keys();
}

void ClusterWatch::Impl::use_keys() {
    std::vector<std::string> found;
    const ClusterView view = cluster::parse_view(keys, watched.values(), watched.revision(), &found);
    for (const std::string& problem : found)
        if (problems.insert(problem).second) log::warning("ignoring what etcd holds: {}", problem);
    if (found.empty()) problems.clear();
    const std::int64_t epoch = view.leader ? view.leader->create_revision : 0;
    const bool other_leader = epoch != builder.epoch();
    const bool more = view.members.size() > members.size();
    builder.saw(view, clock.now());
    members = view.members;
    publish();
    if (other_leader || more) probe_now.set();
}

void ClusterWatch::Impl::lost_etcd(const Error& why) {
    if (std::exchange(stale, true)) return;
    if (has_read)
        log::warning("etcd does not answer, the cluster below {} is as it was last seen: {}", keys.prefix, why.line());
    else
        log::warning("etcd does not answer, so nothing is known of the cluster below {}: {}", keys.prefix, why.line());
    publish();
}

void ClusterWatch::Impl::publish() {
    const auto topology = std::make_shared<const Topology>(builder.build(stale, clock.now()));
    {
        const std::lock_guard lock(mutex);
        latest = topology;
    }
    if (told && same_routing(*told, *topology, limits)) return;
    told = topology;
    on_change(topology);
}

Task<> ClusterWatch::Impl::probe_forever() {
    while (true) {
        builder.check_sockets();
        for (const Member& member : members)
            if (!member.api_url.empty() && being_asked.insert(member.name).second)
                spawn(context.get_executor(), "member probe", probe_one(member));
        co_await probe_now.wait(clock,
                                clock.now() + (builder.is_unsettled() ? probe_interval_unsettled : probe_interval));
        if (has_read || stale) publish();  // silence is news too
    }
}

Task<> ClusterWatch::Impl::probe_one(Member member) {
    auto facts = co_await probe.ask(member, clock.now() + probe_max);
    being_asked.erase(member.name);
    if (!facts) {
        // Silence is usual; a file that is missing or a certificate that does not fit is somebody's mistake.
        const Errc code = facts.error().code;
        if ((code == Errc::denied || code == Errc::invalid_input) && refused.insert(member.name).second)
            log::warning("{} is judged by its key in etcd alone: {}", member.name, facts.error().line());
        else
            log::debug("{}", facts.error().line());
        co_return;
    }
    refused.erase(member.name);
    builder.heard(member.name, *std::move(facts), clock.now());
    publish();
}

Result<std::unique_ptr<ClusterWatch>> ClusterWatch::start(const config::PoolerConfig& config, Options options,
                                                          OnChange on_change) {
    if (!config.follows_cluster || config.scope.empty())
        return fail(Errc::invalid_input, fmt::format("{} names no cluster to follow", config.source),
                    "set scope and etcd3");
    auto impl = std::make_unique<Impl>(config, std::move(options), std::move(on_change));
    auto store = etcd::GatewayStore::create(impl->clock, gateway_options(config));
    if (!store) return std::unexpected(std::move(store.error()));
    impl->store = *std::move(store);
    return std::unique_ptr<ClusterWatch>(new ClusterWatch(std::move(impl)));
}

ClusterWatch::ClusterWatch(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
    const auto executor = impl_->context.get_executor();
    spawn(executor, "cluster watch", impl_->watch_forever());
    spawn(executor, "cluster read", impl_->read_forever());
    spawn(executor, "member probes", impl_->probe_forever());
    const BlockedSignals blocked;
    impl_->thread = std::thread([impl = impl_.get()] { impl->context.run(); });
}

ClusterWatch::~ClusterWatch() {
    impl_->context.stop();
    impl_->thread.join();
}

std::shared_ptr<const Topology> ClusterWatch::latest() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->latest;
}

Result<> ClusterWatch::reload(const config::PoolerConfig& config, http::ClientTls rest_tls) {
    std::promise<Result<>> done;
    asio::post(impl_->context, [&] {
        auto taken = impl_->store->reload(gateway_options(config));
        if (taken) {
            impl_->probe.reload(std::move(rest_tls));
            impl_->read_now.set();
        }
        done.set_value(std::move(taken));
    });
    return done.get_future().get();
}

void ClusterWatch::use(Options options) {
    asio::post(impl_->context, [impl = impl_.get(), options = std::move(options)]() mutable {
        impl->limits = options.limits;
        impl->probe.reload(std::move(options.rest_tls));
        impl->refused.clear();
        impl->told.reset();
        if (impl->has_read || impl->stale) impl->publish();
        impl->probe_now.set();
    });
}

}  // namespace pgkeel::proxy
