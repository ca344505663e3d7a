#include "pool/server_login.hpp"

#include "auth/channel_binding.hpp"
#include "log/log.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/message_types.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

// From a host name to a server that may be used.

namespace pgkeel::pool {

using pgwire::backend::Authentication;
using pgwire::backend::Report;
using pgwire::backend::Severity;
namespace types = pgwire::backend::types;

namespace {

constexpr std::uint32_t login_message_max = 1 << 20;
constexpr Duration cluster_retry = std::chrono::milliseconds(25);
constexpr Duration promotion_poll = std::chrono::milliseconds(5);

Report fatal(std::string sqlstate, std::string message, std::string detail = {}) {
    return {.severity = Severity::fatal,
            .sqlstate = std::move(sqlstate),
            .message = std::move(message),
            .detail = std::move(detail),
            .hint = {}};
}

/// What is known of the pool's user. Under the hub's mutex.
ServerCredential credential_for(const Hub& hub, const PoolRecord& pool) {
    ServerCredential found;
    const config::DatabaseEntry& entry = pool.database->entry;
    if (!entry.password.empty()) {
        if (auto secret = auth::Secret::parse(entry.password.reveal())) found.secret = std::move(*secret);
        return found;
    }
    const auto access = hub.access();
    if (const auto listed = access->users.find(pool.user->name); listed != access->users.end())
        found.secret = listed->second;
    else
        found.secret = pool.user->queried;
    found.keys = pool.user->keys;
    found.shown = pool.user->shown;
    return found;
}

}  // namespace

void Server::start() {
    login_ = std::make_unique<Login>();
    std::string& host = login_->host;
    {
        Hub& hub = worker_->hub();
        const std::scoped_lock lock(hub.mutex);
        login_->credential = credential_for(hub, pool_);
        choose_host(host);
    }
    if (host.empty()) return login_failed(fatal("57P03", "the cluster has no such server now"), false);
    worker_->around().resolve(host, port_, [this, worker = worker_, id = id_](Result<std::string> address) {
        if (worker->server(id) != this) return;  // it was closed meanwhile
        if (!address) return login_failed(fatal("08006", "server DNS lookup failed", address.error().text), false);
        connect_to(*address);
    });
}

/// Under the mutex. False: there is none.
bool Server::choose_host(std::string& host) {
    const config::DatabaseEntry& entry = pool_.database->entry;
    if (pool_.route != config::Route::configured) {
        const Place* const place = worker_->hub().choose(pool_, worker_->now());
        if (place == nullptr) return false;
        host = place->host;
        port_ = place->port;
        place_ = place->name;
        ++pool_.servers_at[place_];
        return true;
    }
    port_ = static_cast<std::uint16_t>(entry.port);
    if (entry.hosts.empty()) {
        host = worker_->config().settings.unix_socket_dir;
        return true;
    }
    host = entry.hosts[pool_.next_host % entry.hosts.size()];
    if (entry.load_balance_hosts == config::LoadBalance::round_robin) ++pool_.next_host;
    return true;
}

void Server::connect_to(const std::string& address) {
    address_ = address.starts_with('/') || address.starts_with('@') ? "unix" : address;
    connect_address_ = address;
    wire_ = worker_->around().connect(address, port_, *this);
}

void Server::connected() {
    log::info("{} new connection to server{}", label(),
              wire_->unix_socket()
                  ? ""
                  : fmt::format(" (from {}:{})", wire_->facts().local_address, wire_->facts().local_port));
    const config::TlsMode mode = worker_->config().settings.server_tls_sslmode;
    const bool ask = mode >= config::TlsMode::prefer && !wire_->unix_socket() && worker_->around().server_tls();
    if (!ask) return send_startup();
    login_->waits_for_tls_answer = true;
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_ssl_request(writer);
    wire_->put(message);
}

/// One byte and nothing behind it (CVE-2021-23222); whatever else a server says before TLS is not believed
/// (CVE-2024-10977).
std::size_t Server::read_tls_answer(std::string_view bytes) {
    login_->waits_for_tls_answer = false;
    const config::TlsMode mode = worker_->config().settings.server_tls_sslmode;
    if (bytes.size() == 1 && bytes[0] == 'S') {
        wire_->start_tls(worker_->around().server_tls(), false, login_->host, mode == config::TlsMode::verify_full);
    } else if (bytes.size() == 1 && bytes[0] == 'N') {
        if (mode > config::TlsMode::prefer)
            login_failed(fatal("08006", "server refused SSL"), false);
        else
            send_startup();
    } else {
        login_failed(fatal("08P01", "server answers SSLRequest with what is no answer"), false);
    }
    return 1;
}

void Server::secured() {
    send_startup();
}

void Server::send_startup() {
    state_ = State::logging_in;
    pgwire::StartupMessage startup;
    startup.version = {3, 0};
    const config::DatabaseEntry& entry = pool_.database->entry;
    startup.user = pool_.user->name;
    startup.database = entry.dbname.empty() ? pool_.database->name : entry.dbname;
    startup.replication = opening_.replication;
    startup.options = opening_.options;
    startup.parameters = opening_.parameters;
    for (const auto& [name, value] :
         {std::pair("client_encoding", &entry.client_encoding), std::pair("datestyle", &entry.datestyle),
          std::pair("timezone", &entry.timezone), std::pair("application_name", &entry.application_name)})
        if (!value->empty()) startup.parameters.push_back({name, *value});
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_startup(writer, startup);
    if (!writer.ok()) return login_failed(fatal("08P01", "the startup message cannot be built"), false);
    wire_->put(message);
}

std::size_t Server::read_login(std::string_view bytes) {
    if (login_->waits_for_proof) {
        wire_->stop_reading();
        return 0;
    }
    const pgwire::Front front = scanner_.look(bytes);
    if (front.kind == pgwire::Front::Kind::refused) {
        login_failed(fatal("08P01", "server sent what is not the protocol", scanner_.refusal(front).text), false);
        return 0;
    }
    if (front.kind == pgwire::Front::Kind::begun && front.head.length > login_message_max) {
        login_failed(fatal("08P01", "server sent a message that is too long for a login"), false);
        return 0;
    }
    if (front.kind != pgwire::Front::Kind::whole) return 0;
    scanner_.take(front, front.bytes);
    if (!take_login_message(front.head.type, front.body(bytes))) return 0;
    return front.bytes;
}

/// False when it was the last thing that happened here.
bool Server::take_login_message(char type, std::string_view body) {
    switch (type) {
        case types::authentication:
            return authenticate(body);
        case types::parameter_status: {
            const auto parameter = pgwire::backend::read_parameter_status(body);
            if (!parameter) return true;
            const auto known = std::ranges::find(login_->reported, parameter->name, &Setting::name);
            if (known != login_->reported.end())
                known->value = parameter->value;
            else
                login_->reported.push_back({std::string(parameter->name), std::string(parameter->value)});
            return true;
        }
        case types::backend_key_data: {
            const auto data = pgwire::backend::read_backend_key_data(body);
            if (data) {
                process_id_ = data->process_id;
                cancel_key_ = data->key;
            }
            return true;
        }
        case types::ready_for_query:
            if (!login_->authenticated) break;
            logged_in();
            return state_ != State::gone;
        case types::empty_query_response:
            if (!login_->waits_for_promotion) break;
            return true;
        case types::notice_response:
        case types::negotiate_protocol_version:
            return true;
        case types::error_response: {
            const auto fields = pgwire::backend::read_error_fields(body);
            if (!fields) break;
            log::warning("{} server login failed: {} {}", label(), fields->severity, fields->message);
            login_failed({.severity = Severity::fatal,
                          .sqlstate = std::string(fields->sqlstate),
                          .message = std::string(fields->message),
                          .detail = std::string(fields->detail),
                          .hint = std::string(fields->hint)},
                         true);
            return false;
        }
        default:
            break;
    }
    login_failed(fatal("08P01", fmt::format("unexpected message of type {:#04x} at the login to the server",
                                            static_cast<unsigned char>(type))),
                 false);
    return false;
}

bool Server::authenticate(std::string_view body) {
    const auto asked = pgwire::backend::read_authentication(body);
    const auto refuse = [&](std::string text, std::string detail = {}) {
        login_failed(fatal("28P01", std::move(text), std::move(detail)), true);
        return false;
    };
    if (!asked) return refuse("server asks for an authentication that is none");
    const ServerCredential& have = login_->credential;
    const auth::SecretText* plain = have.secret ? have.secret->plain() : nullptr;
    if (plain == nullptr && !have.shown.empty()) plain = &have.shown;
    std::string message;
    pgwire::Writer writer(message);
    switch (asked->kind) {
        case Authentication::Kind::ok:
            if (login_->scram && !login_->scram->succeeded())
                return refuse("server skipped its part of the SCRAM login");
            login_->authenticated = true;
            return true;
        case Authentication::Kind::cleartext:
            if (plain == nullptr) return refuse("server asks for a password in clear, which is not known here");
            pgwire::frontend::write_password(writer, plain->reveal());
            break;
        case Authentication::Kind::md5: {
            auth::Md5Salt salt{};
            std::copy_n(asked->data.data(), std::min(asked->data.size(), salt.size()), salt.data());
            Result<auth::SecretText> answer = ::pgkeel::fail(Errc::invalid_input, "only a SCRAM verifier is stored");
            if (have.secret && have.secret->kind() != auth::Secret::Kind::scram)
                answer = have.secret->answer_md5(pool_.user->name, salt);
            else if (plain != nullptr) {
                if (const auto secret = auth::Secret::parse(plain->reveal()))
                    answer = secret->answer_md5(pool_.user->name, salt);
            }
            if (!answer) return refuse("server wants an md5 password, which is not known here", answer.error().text);
            pgwire::frontend::write_password(writer, answer->reveal());
            break;
        }
        case Authentication::Kind::sasl: {
            auth::ScramClient::Options options;
            if (const TlsFacts* tls = wire_->tls(); tls != nullptr && !tls->server_certificate.empty())
                if (const auto binding = auth::end_point_binding(tls->server_certificate))
                    options.channel_binding = *binding;
            if (plain != nullptr)
                login_->scram = std::make_unique<auth::ScramClient>(auth::SecretText(plain->reveal()), options);
            else if (have.keys)
                login_->scram = std::make_unique<auth::ScramClient>(*have.keys, options);
            else
                return refuse(
                    "wrong password type: the server wants SCRAM, and neither the password nor a SCRAM login of "
                    "this user is known");
            std::vector<std::string_view> offered;
            for (const std::string_view name : {auth::scram_sha_256, auth::scram_sha_256_plus})
                if (asked->mechanisms.has(name)) offered.push_back(name);
            const auto initial = login_->scram->begin(offered);
            if (!initial) return refuse(initial.error().text);
            pgwire::frontend::write_sasl_initial_response(writer, {initial->mechanism, initial->message});
            break;
        }
        case Authentication::Kind::sasl_continue:
            if (!login_->scram) return refuse("server goes on with a SASL login that was not begun");
            answer_sasl(asked->data);
            return state_ != State::gone;
        case Authentication::Kind::sasl_final:
            if (!login_->scram) return refuse("server ends a SASL login that was not begun");
            if (const auto finished = login_->scram->finish(asked->data); !finished)
                return refuse(finished.error().text);
            return true;
        default:
            return refuse(fmt::format("server wants authentication method {}, which is not supported",
                                      static_cast<std::uint32_t>(asked->kind)));
    }
    if (!writer.ok()) return refuse("the answer to the server's authentication request cannot be built");
    wire_->put(message);
    return true;
}

/// With a password it takes thousands of hash rounds: on a helper thread.
void Server::answer_sasl(std::string_view server_first) {
    auto work = std::make_shared<std::pair<std::unique_ptr<auth::ScramClient>, Result<std::string>>>(
        std::move(login_->scram), std::string());
    login_->waits_for_proof = true;
    worker_->around().offload(
        [work, challenge = std::string(server_first)] { work->second = work->first->proceed(challenge); },
        [this, work, worker = worker_, id = id_] {
            if (worker->server(id) != this || !login_) return;
            login_->waits_for_proof = false;
            login_->scram = std::move(work->first);
            if (!work->second) return login_failed(fatal("28P01", work->second.error().text), true);
            std::string message;
            pgwire::Writer writer(message);
            pgwire::frontend::write_sasl_response(writer, *work->second);
            wire_->put(message);
            wire_->start_reading();
        });
}

void Server::logged_in() {
    const auto is_standby = [](const Setting& setting) {
        return setting.name == "in_hot_standby" && setting.value == "on";
    };
    if (pool_.route == config::Route::primary && std::ranges::any_of(login_->reported, is_standby))
        return wait_for_promotion();
    auto welcome = std::make_shared<Welcome>();
    welcome->reported = std::move(login_->reported);
    for (const Setting& setting : welcome->reported)
        if (worker_->tracks(setting.name)) welcome->tracked = welcome->tracked.with(setting.name, setting.value);
    welcome->tracked = worker_->shared_settings().share(welcome->tracked);
    settings_ = reported_ = welcome->tracked;
    login_.reset();
    {
        const std::scoped_lock lock(worker_->hub().mutex);
        pool_.failure.reset();
        if (opening_.is_ordinary() || !pool_.welcome) pool_.welcome = std::move(welcome);
    }
    const std::string& query = pool_.database->entry.connect_query;
    if (query.empty() || !opening_.is_ordinary()) return ready();
    state_ = State::setting_up;
    run_own(query);
}

/// The leader is not promoted yet: nobody may be told that this is the primary. A login takes longer than a promotion,
/// so this one is kept and asked. A server reports in_hot_standby before each ReadyForQuery when it has changed
/// (PostgreSQL, "Asynchronous Operations"); the empty query is enough for that.
void Server::wait_for_promotion() {
    login_->waits_for_promotion = true;
    worker_->around().after(promotion_poll, [worker = worker_, id = id_, number = number_] {
        Server* const server = worker->server(id);
        if (server != nullptr && server->number_ == number) server->ask_for_promotion();
    });
}

void Server::ask_for_promotion() {
    if (!login_) return;
    std::string message;
    pgwire::Writer writer(message);
    pgwire::frontend::write_query(writer, "");
    wire_->put(message);
}

void Server::ready() {
    state_ = State::idle;
    began_ = since_ = worker_->now();
    if (worker_->config().settings.log_connections) log::debug("{} login succeeded", label());
    Orders orders;
    {
        const std::scoped_lock lock(worker_->hub().mutex);
        worker_->hub().book.opened(id_, since_, orders);
    }
    worker_->carry_out(orders);
}

void Server::login_timed_out() {
    login_failed(fatal("08006", "connect timeout"), false);
}

namespace {
/// The user, the database or the settings that were asked for are refused, not the moment (PostgreSQL, appendix A:
/// classes 22, 28, 3D, 42).
bool is_about_who_asks(std::string_view sqlstate) {
    const std::string_view category = sqlstate.substr(0, 2);
    return category == "22" || category == "28" || category == "3D" || category == "42";
}
}  // namespace

void Server::login_failed(Report why, bool server_said_so) {
    if (state_ == State::gone) return;
    if (worker_->config().settings.log_disconnections)
        log::info("{} closing because: {} (age={}s)", label(), opening_.is_ordinary() ? why.message : "login failed",
                  std::chrono::duration_cast<std::chrono::seconds>(worker_->now() - began_).count());
    if (!why.detail.empty()) log::warning("{} {}", label(), why.detail);
    state_ = State::gone;
    wire_.reset();
    // A server that starts up will be there soon, and of a cluster's servers another may take the place of one that
    // cannot serve: whoever waits for them goes on waiting.
    const bool is_final =
        pool_.route == config::Route::configured ? why.sqlstate != "57P03" : is_about_who_asks(why.sqlstate);
    const bool tell_waiters = server_said_so && is_final && opening_.is_ordinary();
    std::vector<ClientRef> waiters;
    std::optional<ClientRef> dedicated;
    Orders orders;
    {
        Hub& hub = worker_->hub();
        const std::scoped_lock lock(hub.mutex);
        const Instant now = worker_->now();
        if (!place_.empty()) pool_.place_failed_at[place_] = now;
        leave_place();
        dedicated = hub.book.server(id_).dedicated_to;
        if (why.sqlstate == "28P01") pool_.user->keys.reset();
        if (!dedicated) {
            // A cluster heals by itself: whoever comes meanwhile waits with the others.
            const bool heals = pool_.route != config::Route::configured && !tell_waiters;
            if (!heals && (server_said_so || !pool_.failure)) pool_.failure = why;
            pool_.failed_at = now;
            const auto& entry = pool_.database->entry;
            if (entry.load_balance_hosts == config::LoadBalance::disable) ++pool_.next_host;
            if (tell_waiters) waiters = hub.book.dismiss_waiters(pool_.id);
            // With another host to try there is no reason to wait.
            const bool another = entry.hosts.size() > 1 && pool_.next_host % entry.hosts.size() != 0;
            Duration pause = hub.config()->settings.server_login_retry;
            if (another) pause = {};
            if (heals) pause = cluster_retry;
            hub.book.refused(id_, now + pause, now, orders);
        } else {
            hub.book.gone(id_, now, orders);
        }
    }
    worker_->bury(*this);
    if (pool_.route != config::Route::configured)
        worker_->around().after(cluster_retry, [worker = worker_] { worker->serve_waiters(); });
    if (dedicated) {
        waiters.push_back(*dedicated);
        why.hint = std::exchange(why.message, "login failed");
        why.detail = std::exchange(why.hint, "");
    }
    for (const ClientRef client : waiters) worker_->refuse(client, why);
    worker_->carry_out(orders);
}

}  // namespace pgkeel::pool
