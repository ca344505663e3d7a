#include "pool/client_login.hpp"

#include "auth/channel_binding.hpp"
#include "log/log.hpp"
#include "pgwire/backend_builders.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/message_types.hpp"
#include "pool/auth_query.hpp"
#include "pool/worker.hpp"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <utility>

// From a client's first byte to a session: TLS, who it is, whether it may come in.

namespace pgkeel::pool {

Client::Login::Login() = default;
Client::Login::~Login() = default;

using config::AuthType;
using pgwire::backend::Report;
using pgwire::backend::Severity;
namespace types = pgwire::frontend::types;

namespace {

Report fatal(std::string sqlstate, std::string message, std::string hint = {}) {
    return {.severity = Severity::fatal,
            .sqlstate = std::move(sqlstate),
            .message = std::move(message),
            .detail = {},
            .hint = std::move(hint)};
}

constexpr std::string_view console_database = "pgbouncer";

bool is_in(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

std::string system_user(std::int64_t uid) {
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> memory{};
    if (uid < 0 || getpwuid_r(static_cast<uid_t>(uid), &entry, memory.data(), memory.size(), &found) != 0 ||
        found == nullptr)
        return {};
    return found->pw_name;
}

AuthType type_of(auth::HbaMethod method) {
    switch (method) {
        case auth::HbaMethod::trust:
            return AuthType::trust;
        case auth::HbaMethod::md5:
            return AuthType::md5;
        case auth::HbaMethod::scram_sha_256:
            return AuthType::scram_sha_256;
        case auth::HbaMethod::password:
            return AuthType::plain;
        case auth::HbaMethod::cert:
            return AuthType::cert;
        default:
            return AuthType::hba;
    }
}

}  // namespace

std::size_t Client::read_opening(std::string_view bytes) {
    const auto opening = pgwire::read_first_packet(bytes);
    if (!opening) {
        end(fatal("08P01", opening.error().text, opening.error().hint));
        return bytes.size();
    }
    if (!*opening) return 0;
    const std::size_t used = (*opening)->bytes;
    const pgwire::FirstPacket& packet = (*opening)->packet;
    const bool may_use_tls = worker_.around().client_tls() && !wire_->unix_socket();
    if (std::holds_alternative<pgwire::TlsHello>(packet)) {
        if (!may_use_tls || wire_->tls() != nullptr) {
            leave("TLS was not expected");
            return bytes.size();
        }
        login_->tls_asked = true;
        wire_->start_tls(worker_.around().client_tls(), true);
        return 0;
    }
    const bool ssl = std::holds_alternative<pgwire::SslRequest>(packet);
    if (ssl || std::holds_alternative<pgwire::GssRequest>(packet)) {
        bool& asked = ssl ? login_->tls_asked : login_->gss_asked;
        // What was sent before the answer was sent before the encryption: nobody knows by whom (CVE-2021-3935).
        if (std::exchange(asked, true) || wire_->tls() != nullptr || used != bytes.size()) {
            end(fatal("08P01", "received unencrypted data after an SSL or GSSAPI encryption request"));
            return bytes.size();
        }
        const bool yes = ssl && may_use_tls;
        wire_->pass(yes ? "S" : "N");
        if (yes) wire_->start_tls(worker_.around().client_tls(), true);
        return used;
    }
    if (const auto* cancel = std::get_if<pgwire::CancelRequest>(&packet))
        take_cancel(*cancel);
    else
        take_startup(std::get<pgwire::StartupMessage>(packet));
    return used;
}

void Client::secured() {
    const TlsFacts& tls = *wire_->tls();
    log::debug("{} tls={}/{}", label(), tls.version, tls.cipher);
}

/// Nobody is told whether there was anything to cancel.
void Client::take_cancel(const pgwire::CancelRequest& request) {
    state_ = State::cancelling;
    if (request.key.size() != 4) return leave("cancel request for a key that is not ours");
    std::string bytes(8, '\0');
    for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(request.process_id >> (24 - 8 * i));
    bytes.replace(4, 4, request.key);
    const std::uint64_t key = Hub::cancel_key_of(bytes);
    std::optional<ClientRef> meant;
    {
        Hub& hub = worker_.hub();
        const std::scoped_lock lock(hub.mutex);
        if (const auto found = hub.cancel_keys.find(key); found != hub.cancel_keys.end()) meant = found->second;
    }
    if (!meant && (pass_on_to_peer(bytes) || worker_.around().cancel_elsewhere(key, ref_))) return;
    if (!meant) return leave("failed cancel request");
    worker_.cancel(*meant, ref_);
}

/// Behind one address several processes may listen: bytes 1 and 2 of a key tell whose it is, the last two bits how
/// often the request may still be passed on.
bool Client::pass_on_to_peer(std::string key) {
    const config::PoolerConfig& config = worker_.config();
    const std::int64_t id = static_cast<unsigned char>(key[1]) | static_cast<unsigned char>(key[2]) << 8;
    const int left = key[7] & 3;
    const auto peer = config.peers.find(id);
    if (config.settings.peer_id == 0 || id == config.settings.peer_id || left == 0 || peer == config.peers.end())
        return false;
    key[7] = static_cast<char>((key[7] & ~3) | (left - 1));
    std::uint32_t first = 0;
    for (int i = 0; i < 4; ++i) first = first << 8 | static_cast<unsigned char>(key[i]);
    worker_.pass_on(peer->second, first, std::string_view(key).substr(4), ref_);
    return true;
}

void Client::take_startup(pgwire::StartupMessage startup) {
    const config::PoolerSettings& settings = worker_.config().settings;
    login_->startup = std::move(startup);
    const pgwire::StartupMessage& asked = login_->startup;
    state_ = State::authenticating;
    // Of a client that resets its connection the kernel does not tell any more who it was.
    if (settings.log_disconnections) wire_->facts();
    if (settings.client_tls_sslmode >= config::TlsMode::require && wire_->tls() == nullptr && !wire_->unix_socket())
        return end(fatal("28000", "SSL required", "connect with sslmode=require"));
    if (asked.version.major != 3)
        return end(fatal("0A000", fmt::format("unsupported frontend protocol {}.{}: server supports 3.0 to 3.2",
                                              asked.version.major, asked.version.minor)));
    const pgwire::Negotiation negotiation = pgwire::negotiate(asked);
    login_->version = negotiation.version;
    if (negotiation.must_be_told) {
        std::string message;
        pgwire::Writer writer(message);
        pgwire::backend::write_negotiate_protocol_version(writer, negotiation);
        wire_->put(message);
    }
    const bool console = asked.database == console_database;
    if (!console && !take_parameters(asked)) return;
    {
        Hub& hub = worker_.hub();
        const std::scoped_lock lock(hub.mutex);
        if (!console) {
            login_->too_late = hub.phase != Phase::running;
            const auto most = limit_of(settings.max_client_conn);
            login_->too_many = most && hub.clients >= *most;
            if (!login_->too_many) {
                ++hub.clients;
                counted_ = true;
            }
        }
    }
    if (login_->too_late) return end(fatal("57P03", "pooler is shutting down"));
    if (login_->too_many)
        return end(fatal("53300", "no more connections allowed (max_client_conn)",
                         "raise max_client_conn, or close connections that are not needed"));
    if (find_identity()) choose_method();
}

/// Settings of the startup message become the session's. False: it was refused.
bool Client::take_parameters(const pgwire::StartupMessage& startup) {
    if (startup.replication != pgwire::ReplicationMode::none) {
        opening_ = std::make_unique<pgwire::StartupMessage>(startup);
        return true;
    }
    const config::PoolerSettings& settings = worker_.config().settings;
    const auto take = [&](const pgwire::Parameter& parameter, const char* where) {
        const bool in_options = *where != '\0';
        if (is_in(settings.ignore_startup_parameters, parameter.name)) return true;
        if (worker_.tracks(parameter.name) || !settings.pgbouncer_compat) {
            settings_ = settings_.with(parameter.name, parameter.value);
            return true;
        }
        if (in_options && is_in(settings.ignore_startup_parameters, "options")) return true;
        end(fatal("08P01", fmt::format("unsupported startup parameter{}: {}", where, parameter.name),
                  fmt::format("add {} to ignore_startup_parameters", parameter.name)));
        return false;
    };
    const auto options = pgwire::parse_options(startup.options);
    if (!options) {
        end(fatal("08P01",
                  "unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed"));
        return false;
    }
    for (const pgwire::Parameter& parameter : *options)
        if (!take(parameter, " in options")) return false;
    for (const pgwire::Parameter& parameter : startup.parameters)
        if (!take(parameter, "")) return false;
    settings_ = worker_.shared_settings().share(settings_);
    return true;
}

/// Who it claims to be, and where it wants to go. False: that is already an answer.
bool Client::find_identity() {
    const config::PoolerSettings& settings = worker_.config().settings;
    const pgwire::StartupMessage& asked = login_->startup;
    Hub& hub = worker_.hub();
    std::optional<Report> refusal;
    bool registered = false;
    {
        const std::scoped_lock lock(hub.mutex);
        if (asked.database != console_database)
            database_ = hub.find_database(asked.database, worker_.now(), registered);
        login_->database_exists = database_ != nullptr || asked.database == console_database;
        if (settings.auth_type == AuthType::any) {
            if (database_ != nullptr && database_->entry.user.empty() && asked.database != console_database)
                refusal = fatal("28000", "auth_type any needs a database with a forced user",
                                "set user= in the line of the database");
            login_->user_exists = true;
        }
        if (const auto known = hub.access()->users.find(asked.user); known != hub.access()->users.end()) {
            login_->secret = known->second;
            login_->user_exists = true;
        }
    }
    if (registered) log::info("{} registered new auto-database: {}", label(), asked.database);
    if (refusal) end(*refusal);
    return !refusal;
}

void Client::choose_method() {
    const config::PoolerSettings& settings = worker_.config().settings;
    const pgwire::StartupMessage& asked = login_->startup;
    // The console is open to the process's own account on the unix socket.
    if (asked.database == console_database && asked.user == "pgbouncer" && wire_->unix_socket() &&
        wire_->facts().peer_uid == static_cast<std::int64_t>(geteuid())) {
        login_->user_exists = login_->is_owner = true;
        return authenticated();
    }
    if (settings.auth_type != AuthType::hba) return use_method(settings.auth_type, {});
    const auto access = [&] {
        const std::scoped_lock lock(worker_.hub().mutex);
        return worker_.hub().access();
    }();
    auth::HbaConnectionFacts wanted;
    const WireFacts& facts = wire_->facts();
    if (!facts.unix_socket)
        if (const auto address = auth::IpAddress::parse(facts.address)) wanted.peer = *address;
    wanted.tls = wire_->tls() != nullptr;
    wanted.database = asked.database;
    wanted.user = asked.user;
    wanted.physical_replication = asked.replication == pgwire::ReplicationMode::physical;
    const auth::HbaRule* rule = access->hba ? access->hba->match(wanted) : nullptr;
    if (rule == nullptr || rule->method == auth::HbaMethod::reject)
        return end(fatal("28000", "login rejected", "see auth_hba_file"));
    const TlsFacts* tls = wire_->tls();
    const bool verified = tls != nullptr && tls->peer_verified;
    if (rule->client_certificate == auth::ClientCertificate::verify_ca && !verified)
        return end(fatal("28000", "a client certificate is needed"));
    if (rule->client_certificate == auth::ClientCertificate::verify_full && rule->method != auth::HbaMethod::cert &&
        (!verified || !access->ident_maps.allows(rule->map, tls->peer_common_name, asked.user)))
        return end(fatal("28000", "the client certificate is for somebody else"));
    if (rule->method == auth::HbaMethod::peer) {
        if (!facts.unix_socket || !access->ident_maps.allows(rule->map, system_user(facts.peer_uid), asked.user))
            return end(fatal("28000", "unix socket login rejected"));
        return use_method(AuthType::trust, {});
    }
    use_method(type_of(rule->method), rule->map);
}

void Client::use_method(AuthType method, std::string_view map) {
    const config::PoolerSettings& settings = worker_.config().settings;
    const pgwire::StartupMessage& asked = login_->startup;
    login_->method = method;
    if (method == AuthType::cert) {
        const TlsFacts* tls = wire_->tls();
        const std::scoped_lock lock(worker_.hub().mutex);
        login_->certificate_fits = tls != nullptr && tls->peer_verified &&
                                   worker_.hub().access()->ident_maps.allows(map, tls->peer_common_name, asked.user);
    }
    if (method == AuthType::any) return authenticated();
    if (method == AuthType::ldap || method == AuthType::pam)
        return end(fatal("0A000", fmt::format("auth_type {} is not supported", config::to_string(method))));
    const std::string auth_user =
        database_ != nullptr && !database_->entry.auth_user.empty() ? database_->entry.auth_user : settings.auth_user;
    if (login_->user_exists || auth_user.empty()) return secret_is_known(std::move(login_->secret));
    login_->question = std::make_unique<AuthQuery>(*this, auth_user);
    login_->thinking = true;
    login_->question->ask();
}

void Client::auth_query_answered(Result<std::optional<auth::Secret>> answer) {
    if (state_ == State::gone) return;
    login_->thinking = false;
    if (!answer) {
        log::error("{} {}", label(), answer.error().line());
        return end(fatal("08006", "bouncer config error"));
    }
    login_->user_exists = answer->has_value();
    // PgBouncer tells it, and people's scripts look for that; a mock exchange would tell nobody who exists.
    if (!login_->user_exists && login_->was_asked && worker_.config().settings.pgbouncer_compat)
        return end(fatal("28P01", "no such user"));
    if (login_->user_exists) {
        const std::scoped_lock lock(worker_.hub().mutex);
        worker_.hub().user(login_->startup.user).queried = **answer;
    }
    secret_is_known(std::move(*answer));
    if (state_ != State::gone) wire_->start_reading();
}

/// Or that there is none: then it is asked all the same, so that nobody learns who exists.
void Client::secret_is_known(std::optional<auth::Secret> secret) {
    login_->secret = std::move(secret);
    AuthType& method = login_->method;
    if (method == AuthType::trust) {
        if (!login_->user_exists) return authentication_failed("\"trust\" authentication failed");
        return authenticated();
    }
    if (method == AuthType::cert) {
        if (!login_->user_exists || !login_->certificate_fits)
            return authentication_failed("certificate authentication failed");
        return authenticated();
    }
    if (method == AuthType::md5 && login_->secret && login_->secret->kind() == auth::Secret::Kind::scram)
        method = AuthType::scram_sha_256;
    if (method == AuthType::scram_sha_256) return offer_scram();
    std::string message;
    pgwire::Writer writer(message);
    if (method == AuthType::plain) {
        pgwire::backend::write_authentication_cleartext(writer);
    } else {
        const auto salt = auth::fresh_md5_salt();
        if (!salt) return end(fatal("58000", "no randomness"));
        login_->salt = *salt;
        pgwire::backend::write_authentication_md5(writer, login_->salt);
    }
    wire_->put(message);
}

void Client::offer_scram() {
    const auto& mocks = worker_.hub().mock_verifiers;
    const std::string& user = login_->startup.user;
    const auto iterations = static_cast<std::uint32_t>(worker_.config().settings.scram_iterations);
    auth::ScramServer::User whom{mocks.verifier_for(user, iterations), false};
    const std::optional<auth::Secret>& secret = login_->secret;
    if (secret && secret->kind() == auth::Secret::Kind::scram) {
        whom = {*secret->verifier(), true};
    } else if (secret && secret->kind() == auth::Secret::Kind::plain && !secret->empty()) {
        const std::string password(secret->plain()->reveal());
        std::shared_ptr<const auth::ScramVerifier> known;
        {
            const std::scoped_lock lock(worker_.hub().mutex);
            const UserRecord& record = worker_.hub().user(user);
            if (auth::same_secret(record.verifier_for.reveal(), password)) known = record.verifier;
        }
        if (!known) {
            login_->thinking = true;
            auto made = std::make_shared<Result<auth::ScramVerifier>>();
            worker_.around().offload(
                [made, password, salt = mocks.salt_for(user), iterations] {
                    *made = auth::make_verifier(password, salt, iterations);
                },
                [this, made, password, worker = &worker_, ref = ref_, user] {
                    if (worker->client(ref) != this || state_ == State::gone) return;
                    login_->thinking = false;
                    if (!*made) return end(fatal("58000", "no verifier could be made", made->error().text));
                    {
                        const std::scoped_lock lock(worker->hub().mutex);
                        UserRecord& record = worker->hub().user(user);
                        record.verifier = std::make_shared<const auth::ScramVerifier>(std::move(**made));
                        record.verifier_for = auth::SecretText(password);
                    }
                    offer_scram();
                    if (state_ != State::gone) wire_->start_reading();
                });
            return;
        }
        whom = {*known, true};
    }
    std::string binding;
    if (const TlsFacts* tls = wire_->tls(); tls != nullptr && !tls->server_certificate.empty())
        if (const auto made = auth::end_point_binding(tls->server_certificate)) binding = *made;
    login_->scram = std::make_unique<auth::ScramServer>(std::move(whom), binding);
    std::string message;
    pgwire::Writer writer(message);
    const auto mechanisms = login_->scram->mechanisms();
    if (mechanisms.size() > 1)
        pgwire::backend::write_authentication_sasl(writer, {mechanisms[0], mechanisms[1]});
    else
        pgwire::backend::write_authentication_sasl(writer, {mechanisms[0]});
    wire_->put(message);
}

std::size_t Client::read_authentication(std::string_view bytes) {
    if (login_->thinking) {
        wire_->stop_reading();
        return 0;
    }
    const pgwire::Front front = scanner_.look(bytes);
    const bool is_password = front.kind == pgwire::Front::Kind::nothing || front.head.type == types::password;
    if (front.kind == pgwire::Front::Kind::refused && is_password) {
        authentication_failed(login_->scram ? "SASL authentication failed" : "password authentication failed");
        return bytes.size();
    }
    if (front.kind == pgwire::Front::Kind::refused || !is_password) {
        if (front.kind != pgwire::Front::Kind::refused && front.head.type == types::terminate) {
            leave("client close request");
            return bytes.size();
        }
        end(fatal("08P01", "a password was expected"));
        return bytes.size();
    }
    if (front.kind != pgwire::Front::Kind::whole) return 0;
    scanner_.take(front, front.bytes);
    if (login_->scram)
        take_sasl(front.body(bytes));
    else
        take_password(front.body(bytes));
    return front.bytes;
}

void Client::take_password(std::string_view body) {
    const auto password = pgwire::frontend::read_password(body);
    if (!password) return end(fatal("08P01", "malformed password message"));
    const std::string& user = login_->startup.user;
    const bool fits = login_->user_exists && login_->secret &&
                      (login_->method == AuthType::md5 ? login_->secret->matches_md5(*password, user, login_->salt)
                                                       : login_->secret->kind() != auth::Secret::Kind::scram &&
                                                             login_->secret->matches(*password, user));
    if (login_->method == AuthType::plain && login_->secret && login_->secret->kind() == auth::Secret::Kind::scram) {
        // Thousands of hash rounds: not here.
        login_->thinking = true;
        auto right = std::make_shared<bool>(false);
        auto shown = std::make_shared<auth::SecretText>(*password);
        worker_.around().offload(
            [right, shown, secret = *login_->secret, user] { *right = secret.matches(shown->reveal(), user); },
            [this, right, shown, worker = &worker_, ref = ref_] {
                if (worker->client(ref) != this || state_ == State::gone) return;
                login_->thinking = false;
                if (!*right) return authentication_failed("password authentication failed");
                login_->shown = *shown;
                authenticated();
                if (state_ != State::gone) wire_->start_reading();
            });
        return;
    }
    if (!fits) return authentication_failed("password authentication failed");
    if (login_->method == AuthType::plain) login_->shown = auth::SecretText(*password);
    authenticated();
}

void Client::take_sasl(std::string_view body) {
    std::string message;
    pgwire::Writer writer(message);
    if (!std::exchange(login_->scram_begun, true)) {
        const auto initial = pgwire::frontend::read_sasl_initial_response(body);
        if (!initial || !initial->data) return end(fatal("08P01", "malformed SASLInitialResponse"));
        const auto answer = login_->scram->first(initial->mechanism, *initial->data);
        if (!answer)
            return answer.error().code == Errc::denied
                       ? authentication_failed("SASL authentication failed")
                       : end(fatal("08P01", "SASL authentication failed", answer.error().text));
        pgwire::backend::write_authentication_sasl_continue(writer, *answer);
        return wire_->put(message);
    }
    const auto answer = login_->scram->last(body);
    if (!answer) return authentication_failed("SASL authentication failed");
    pgwire::backend::write_authentication_sasl_final(writer, *answer);
    wire_->put(message);
    authenticated();
}

void Client::authentication_failed(const char* method) {
    end(fatal("28P01", method));
}

// ---- after the proof

void Client::authenticated() {
    const pgwire::StartupMessage& asked = login_->startup;
    if (asked.database == console_database) return enter_console();
    if (!login_->database_exists)
        return end(fatal("3D000", fmt::format("no such database: {}", asked.database),
                         "add it to the databases of the configuration"));
    enter();
}

void Client::enter_console() {
    const config::PoolerSettings& settings = worker_.config().settings;
    const std::string& user = login_->startup.user;
    const bool admin = login_->is_owner || is_in(settings.admin_users, user) || settings.auth_type == AuthType::any;
    if (!admin && !is_in(settings.stats_users, user))
        return end(fatal("42501", "not allowed", "the console is for admin_users and stats_users"));
    is_admin_ = admin;
    if (auto refusal = count_console_client(); refusal) return end(*refusal);
    ++worker_.console_stats().logins;
    console_ = worker_.around().open_console(*this);
    std::string messages;
    pgwire::Writer writer(messages);
    pgwire::backend::write_authentication_ok(writer);
    for (const Setting& parameter : console_->greeting())
        pgwire::backend::write_parameter_status(writer, parameter.name, parameter.value);
    write_key(writer);
    pgwire::backend::write_ready_for_query(writer, pgwire::backend::TransactionStatus::idle);
    wire_->put(messages);
    state_ = State::idle;
    since_ = worker_.now();
    if (settings.log_connections) log::info("{} login attempt: db=pgbouncer user={} tls=no", label(), user);
    login_.reset();
}

/// The limits of databases and users count for the console, too, but never keep an administrator out.
std::optional<Report> Client::count_console_client() {
    const config::PoolerSettings& settings = worker_.config().settings;
    Hub& hub = worker_.hub();
    const std::scoped_lock lock(hub.mutex);
    UserRecord& user = hub.user(login_->startup.user);
    const auto of_database = limit_of(settings.max_db_client_connections);
    const auto of_user =
        limit_of(user.entry.max_user_client_connections.value_or(settings.max_user_client_connections));
    if (!is_admin_ && of_database && hub.console_clients >= *of_database)
        return fatal("53300", "client connections exceeded (max_db_client_connections)");
    if (!is_admin_ && of_user && user.clients >= *of_user)
        return fatal("53300", "client connections exceeded (max_user_client_connections)");
    user_ = &user;
    ++user.clients;
    ++hub.console_clients;
    cancel_key_ = hub.new_cancel_key(ref_);
    return std::nullopt;
}

/// Into its database, if the limits allow it.
void Client::enter() {
    const config::PoolerSettings& settings = worker_.config().settings;
    const std::string& name = login_->startup.user;
    std::optional<Report> refusal;
    {
        Hub& hub = worker_.hub();
        const std::scoped_lock lock(hub.mutex);
        user_ = &hub.user(name);
        const config::DatabaseEntry& entry = database_->entry;
        if (login_->scram && login_->scram->succeeded())
            user_->keys = std::make_shared<const auth::PassThrough>(login_->scram->pass_through());
        if (!login_->shown.empty()) user_->shown = login_->shown;
        const auto of_database = limit_of(entry.max_db_client_connections.value_or(settings.max_db_client_connections));
        const auto of_user =
            limit_of(user_->entry.max_user_client_connections.value_or(settings.max_user_client_connections));
        if (database_->disabled)
            refusal =
                fatal("08006", fmt::format("database \"{}\" is disabled", database_->name), "ENABLE it on the console");
        else if (of_database && database_->clients >= *of_database)
            refusal = fatal("53300", "client connections exceeded (max_db_client_connections)");
        else if (of_user && user_->clients >= *of_user)
            refusal = fatal("53300", "client connections exceeded (max_user_client_connections)");
        if (!refusal) {
            UserRecord& server_user = entry.user.empty() ? *user_ : hub.user(entry.user);
            pool_ = &hub.pool(*database_, server_user, hub.route_of(*database_, listener_->route));
            mode_ = opening_ ? config::PoolMode::session : hub.mode_of(*pool_, *user_, listener_->pool_mode);
            cancel_key_ = hub.new_cancel_key(ref_);
            ++database_->clients;
            ++user_->clients;
            ++pool_->clients;
            has_entered_ = true;
            login_->welcome = opening_ ? nullptr : pool_->welcome;
        }
    }
    if (refusal) return end(*refusal);
    stats_ = &worker_.stats(*pool_);
    ++stats_->logins;
    if (settings.log_connections) {
        const TlsFacts* tls = wire_->tls();
        log::info("{} login attempt: db={} user={} tls={}{}", label(), database_->name, name,
                  tls != nullptr ? fmt::format("{}/{}", tls->version, tls->cipher) : "no",
                  opening_ ? " replication=yes" : "");
    }
    if (login_->welcome) return welcome();
    state_ = State::welcoming;
    take_server();
}

void Client::write_key(pgwire::Writer& writer) const {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &cancel_key_, 8);
    std::uint32_t first = 0;
    for (int i = 0; i < 4; ++i) first = first << 8 | static_cast<unsigned char>(bytes[i]);
    pgwire::backend::write_backend_key_data(writer, first, std::string_view(bytes).substr(4));
}

void Client::welcome() {
    const config::PoolerSettings& settings = worker_.config().settings;
    std::shared_ptr<const Welcome> welcome = login_->welcome;
    if (!welcome) {
        const std::scoped_lock lock(worker_.hub().mutex);
        welcome = pool_->welcome;
    }
    std::string messages;
    pgwire::Writer writer(messages);
    pgwire::backend::write_authentication_ok(writer);
    if (welcome) {
        for (const Setting& parameter : welcome->reported) {
            const std::string* own = settings_.find(parameter.name);
            pgwire::backend::write_parameter_status(writer, parameter.name, own != nullptr ? *own : parameter.value);
        }
        for (const Setting& setting : welcome->tracked.list())
            if (settings_.find(setting.name) == nullptr) settings_ = settings_.with(setting.name, setting.value);
        if (!opening_ && settings.application_name_add_host) add_host_to_application_name();
        settings_ = worker_.shared_settings().share(settings_);
    }
    login_settings_ = settings_;
    write_key(writer);
    if (!settings.login_notify_message.empty())
        pgwire::backend::write_notice_response(writer, {.severity = Severity::notice,
                                                        .sqlstate = "00000",
                                                        .message = settings.login_notify_message,
                                                        .detail = {},
                                                        .hint = {}});
    pgwire::backend::write_ready_for_query(writer, pgwire::backend::TransactionStatus::idle);
    wire_->put(messages);
    login_.reset();
    state_ = server_ != nullptr ? State::active : State::idle;
    since_ = worker_.now();
    wire_->start_reading();
    rest();
}

void Client::add_host_to_application_name() {
    const WireFacts& facts = wire_->facts();
    const std::string* name = settings_.find("application_name");
    const std::string place =
        facts.unix_socket ? fmt::format("unix:{}", facts.local_port) : fmt::format("{}:{}", facts.address, facts.port);
    settings_ = settings_.with("application_name",
                               fmt::format("{} - {}", name == nullptr || name->empty() ? "app" : *name, place));
}

}  // namespace pgkeel::pool
