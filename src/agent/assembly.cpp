#include "agent/assembly.hpp"

#include "base/version.hpp"
#include "cluster/keys.hpp"
#include "http/client.hpp"
#include "log/log.hpp"
#include "postgres/data_directory.hpp"
#include "process/child.hpp"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <random>

namespace pgkeel::agent {

using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

etcd::GatewayOptions gateway_options(const config::AgentConfig& config) {
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

/// How this agent speaks to its peers: section ctl, and our own certificate where that names none.
http::ClientTls peer_tls(const config::AgentConfig& config) {
    const auto first = [](const std::string& a, const std::string& b) { return a.empty() ? b : a; };
    const auto& ctl = config.ctl.tls;
    const auto& own = config.restapi.tls;
    return {.verify = !config.ctl.insecure,
            .ca_file = first(ctl.ca_file, own.ca_file),
            .certificate_file = first(ctl.certificate_file, own.certificate_file),
            .key_file = ctl.certificate_file.empty() ? own.key_file : ctl.key_file,
            .key_password = first(ctl.key_password, own.key_password)};
}

std::string authorization_of(const config::AgentConfig& config) {
    const auto& [username, password] =
        config.ctl.authentication.empty() ? config.restapi.authentication : config.ctl.authentication;
    return username.empty() && password.empty() ? std::string{} : http::basic_authorization(username, password);
}

http::ServerTls server_tls(const config::AgentConfig& config) {
    const auto& rest = config.restapi;
    http::ServerTls tls{.certificate_file = rest.tls.certificate_file,
                        .key_file = rest.tls.key_file,
                        .key_password = rest.tls.key_password,
                        .ca_file = rest.tls.ca_file,
                        .ciphers = rest.ciphers};
    if (rest.verify_client == "optional") tls.verify_client = http::VerifyClient::optional;
    if (rest.verify_client == "required") tls.verify_client = http::VerifyClient::required;
    return tls;
}

http::ServerOptions server_options(const config::AgentConfig& config) {
    http::ServerOptions options{.listen = config.restapi.listen, .tls = server_tls(config)};
    if (config.restapi.server_tokens == "original") options.server_header = fmt::format("pgkeel/{}", version());
    if (config.restapi.server_tokens == "productonly" || config.restapi.server_tokens == "minimal")
        options.server_header = "pgkeel";
    for (const auto& header : config.restapi.http_extra_headers) options.extra_headers.emplace_back(header);
    if (!options.tls.certificate_file.empty())
        for (const auto& header : config.restapi.https_extra_headers) options.extra_headers.emplace_back(header);
    return options;
}

Identity identity_of(const config::AgentConfig& config) {
    Identity identity;
    identity.name = config.name;
    identity.scope = config.scope;
    identity.tags = config.tags;
    identity.published_tags = config.published_tags;
    identity.conn_url = fmt::format("postgres://{}/{}", config.postgresql.connect_address, config.postgresql.database);
    if (!config.postgresql.proxy_address.empty())
        identity.proxy_url =
            fmt::format("postgres://{}/{}", config.postgresql.proxy_address, config.postgresql.database);
    identity.api_url = config.restapi.api_url();
    identity.data_directory = config.postgresql.data_dir;
    identity.version = patroni_version();
    return identity;
}

/// Unlike any other process's: what is written into `initialize` while this one bootstraps.
std::string process_id(const std::string& name) {
    std::random_device device;
    return fmt::format("{}/{}-{:08x}{:08x}", name, getpid(), device(), device());
}

}  // namespace

Result<std::unique_ptr<Assembly>> Assembly::create(asio::any_io_executor executor, config::AgentConfig config,
                                                   std::string source, config::Environment environment) {
    if (geteuid() == 0)
        return fail(
            Errc::invalid_input, "cannot run PostgreSQL as root",
            "start the agent as the user that owns the data directory, for example with `runuser -u postgres --`");
    for (const char* program : {"postgres", "initdb", "pg_controldata", "pg_basebackup"})
        if (const auto found = find_program(config.postgresql.program(program)); !found)
            return fail(Errc::not_found,
                        fmt::format("cannot find PostgreSQL's program {}: {}", program, found.error().text),
                        "install postgresql-15, or set postgresql.bin_dir, for example to /usr/lib/postgresql/15/bin");
    std::unique_ptr<Assembly> assembly(
        new Assembly(executor, std::move(config), std::move(source), std::move(environment)));
    auto store = etcd::GatewayStore::create(assembly->clock_, gateway_options(assembly->config_));
    if (!store) return std::unexpected(store.error());
    assembly->store_ = std::move(*store);
    if (auto loaded = assembly->credentials_.load(); !loaded) return std::unexpected(loaded.error());
    assembly->make_node();
    return assembly;
}

Assembly::Assembly(asio::any_io_executor executor, config::AgentConfig config, std::string source,
                   config::Environment environment)
    : executor_(executor),
      config_(std::move(config)),
      source_(std::move(source)),
      environment_(std::move(environment)),
      clock_(executor),
      workers_(3),
      peers_(clock_, peer_tls(config_), authorization_of(config_)),
      scripts_(executor, clock_, config_),
      server_(executor, clock_, workers_, config_),
      credentials_(clock_, workers_, server_, config_),
      fences_(executor, clock_, workers_, config_),
      storage_(config_.postgresql.data_dir, std::chrono::seconds(config_.storage_timeout_seconds)) {}

void Assembly::make_node() {
    Identity identity = identity_of(config_);
    identity.id = process_id(config_.name);
    // What this node knew last stands in for the key `config` until etcd shows it.
    json::object dynamic = config_.bootstrap.dcs;
    auto cached = postgres::load_dynamic_cache(config_.postgresql.data_dir);
    if (!cached)
        log::warning("{}", cached.error().line());
    else if (*cached)
        dynamic = std::move(**cached);
    node_ = std::make_unique<Node>(Outside{executor_, clock_, *store_, server_, peers_, scripts_, fences_, storage_},
                                   cluster::Keys{config_.prefix()}, std::move(identity), json::serialize(dynamic));
    rest_ = std::make_unique<rest::RestApi>(
        rest::RestApi::Parts{*node_, server_, clock_, *store_, peers_, [this] { reload(); }, &credentials_}, config_);
}

Task<Result<>> Assembly::prepare() {
    if (auto etcd = co_await wait_for_etcd(); !etcd) co_return etcd;
    if (auto alone = co_await refuse_second_agent(); !alone) co_return alone;
    auto listener = http::Server::start(executor_, clock_, server_options(config_),
                                        [this](http::Request request) { return rest_->handle(std::move(request)); });
    if (!listener) co_return fail("cannot open the REST API", listener.error());
    listener_ = std::move(*listener);
    co_await fences_.start();
    co_return Result<>{};
}

/// As long as it takes, but not for wrong credentials. A primary that runs meanwhile has nobody who renews its lease,
/// so when etcd stays away the loop takes over, which stops it.
Task<Result<>> Assembly::wait_for_etcd() {
    const bool server_runs = (co_await server_.observe(clock_.now() + 2s)).running();
    while (true) {
        const auto answer = co_await store_->range(config_.prefix(), clock_.now() + 3s);
        if (answer) co_return Result<>{};
        // With a server of ours running, leaving would leave it without anybody who stops it in time.
        if (answer.error().code == Errc::denied && !server_runs) co_return std::unexpected(answer.error());
        log::warning("waiting for etcd: {}", answer.error().line());
        if (server_runs) co_return Result<>{};
        if (!stopping_) co_await stop_asked_.wait(clock_, clock_.now() + 5s);
        if (stopping_) co_return fail(Errc::cancelled, "stopped while it waited for etcd");
    }
}

Task<Result<>> Assembly::refuse_second_agent() {
    const auto range = co_await store_->range(config_.prefix(), clock_.now() + 3s);
    if (!range) co_return Result<>{};
    const cluster::Keys keys{config_.prefix()};
    const ClusterView view = cluster::parse_view(keys, range->values, range->revision);
    const Member* same = view.member(config_.name);
    if (!same || same->api_url.empty()) co_return Result<>{};
    auto url = http::parse_url(same->api_url);
    if (!url) co_return Result<>{};
    url->target = "/liveness";
    http::Client client(peer_tls(config_));
    const auto answer = co_await client.request(*url, {.method = "GET", .target = "/liveness"}, clock_.now() + 3s);
    if (!answer) co_return Result<>{};
    co_return fail(Errc::already_exists,
                   fmt::format("Can't start; there is already a node named '{}' running", config_.name),
                   fmt::format("it answers at {}; give this node another name, or stop that one", same->api_url));
}

void Assembly::shut_down() {
    stopping_ = true;
    stop_asked_.set();
    node_->shut_down();
}

Task<> Assembly::finish() {
    co_await scripts_.finish(clock_.now() + 2s);
}

void Assembly::reload() {
    auto read = config::load_agent_config(source_, environment_);
    if (!read) {
        log::error("the configuration was not reloaded: {}", read.error().line());
        return;
    }
    for (const std::string& warning : read->warnings) log::warning("{}", warning);
    if (read->name != config_.name || read->scope != config_.scope || read->prefix() != config_.prefix()) {
        log::error("the configuration was not reloaded: name, scope and namespace cannot change while the agent runs");
        return;
    }
    // An agent that looks elsewhere would take its own running server for gone, and its lease for free.
    if (read->postgresql.data_dir != config_.postgresql.data_dir) {
        log::error(
            "the configuration was not reloaded: postgresql.data_dir cannot change from {} to {} while the agent runs; "
            "restart it",
            config_.postgresql.data_dir, read->postgresql.data_dir);
        return;
    }
    if (read->credentials_file != config_.credentials_file) {
        log::error(
            "the configuration was not reloaded: pgkeel.credentials_file cannot change while the agent runs; "
            "restart it");
        return;
    }
    if (read->restapi.listen != config_.restapi.listen) {
        log::error("the configuration was not reloaded: restapi.listen cannot change while the agent runs; restart it");
        return;
    }
    const auto fresh = std::make_shared<const config::AgentConfig>(std::move(*read));
    if (const auto logging = log::configure(fresh->log); !logging) log::error("log: {}", logging.error().line());
    peers_.reload(peer_tls(*fresh), authorization_of(*fresh));
    scripts_.use(*fresh);
    if (const auto etcd = store_->reload(gateway_options(*fresh)); !etcd) log::error("etcd: {}", etcd.error().line());
    if (listener_)
        if (const auto tls = listener_->reload_tls(server_tls(*fresh)); !tls)
            log::error("REST API: {}", tls.error().line());
    rest_->use(*fresh);
    // The server and its programs refer to config_, also from worker threads.
    const auto change_server = [this, fresh] {
        if (server_.writes_files()) return false;
        config_ = *fresh;
        credentials_.apply();  // they may be newer than what was read
        return true;
    };
    if (!listener_) change_server();  // nothing runs yet, and the REST API is to open with the new one
    node_->reload(identity_of(*fresh), change_server);
    log::info("the configuration was reloaded");
}

}  // namespace pgkeel::agent
