#include "pool/session_image.hpp"

#include "pool/image_bytes.hpp"

#include <algorithm>
#include <array>

namespace pgkeel::pool {
namespace {

/// Of the layout: a process that writes another one is not understood, and says so in its first words already.
constexpr std::uint64_t layout = 1;

using config::PoolMode;
using config::Route;

// ---- parts

void write(ImageWriter& out, WallTime time) {
    out.number(static_cast<std::uint64_t>(
                   std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count()),
               8);
}

void write(ImageWriter& out, Instant time) {
    out.number(static_cast<std::uint64_t>(time.time_since_epoch().count()), 8);
}

/// 285 years: also as the nanoseconds of a wall clock they fit.
std::int64_t read_microseconds(ImageReader& in) {
    return static_cast<std::int64_t>(in.up_to(std::uint64_t{1} << 53, 8));
}

WallTime read_wall_time(ImageReader& in) {
    return WallTime(std::chrono::microseconds(read_microseconds(in)));
}

Instant read_instant(ImageReader& in) {
    return Instant(Duration(read_microseconds(in)));
}

template <class Enum>
void write_enum(ImageWriter& out, Enum value) {
    out.number(static_cast<std::uint64_t>(value), 1);
}

template <class Enum>
Enum read_enum(ImageReader& in, Enum last) {
    return static_cast<Enum>(in.up_to(static_cast<std::uint64_t>(last), 1));
}

void write(ImageWriter& out, const std::vector<Setting>& settings) {
    out.number(settings.size(), 4);
    for (const Setting& setting : settings) {
        out.text(setting.name);
        out.text(setting.value);
    }
}

std::vector<Setting> read_list(ImageReader& in) {
    std::vector<Setting> list;
    for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
        Setting setting{.name = in.name(), .value = std::string(in.text())};
        if (setting.name.empty()) in.refuse();
        if (in.ok()) list.push_back(std::move(setting));
    }
    return list;
}

/// In the order that a set of them has, and no name twice.
std::vector<Setting> read_settings(ImageReader& in) {
    std::vector<Setting> list = read_list(in);
    if (list != to_settings(list).list()) in.refuse();
    return list;
}

void write(ImageWriter& out, const std::vector<StatementImage>& statements) {
    out.number(statements.size(), 4);
    for (const StatementImage& statement : statements) {
        out.text(statement.client_name);
        out.text(statement.server_name);
        out.text(statement.query);
        out.text(statement.types);
        out.boolean(statement.in_doubt);
    }
}

std::vector<StatementImage> read_statements(ImageReader& in) {
    std::vector<StatementImage> list;
    for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
        StatementImage statement{.client_name = in.name(),
                                 .server_name = in.name(),
                                 .query = in.name(),
                                 .types = std::string(in.text()),
                                 .in_doubt = in.boolean()};
        if (statement.server_name.empty() || statement.types.size() % 4 != 0) in.refuse();
        if (in.ok()) list.push_back(std::move(statement));
    }
    return list;
}

void write(ImageWriter& out, const LoginImage& login) {
    out.text(login.user);
    out.boolean(login.keys.has_value());
    if (login.keys) {
        out.text(login.keys->keys.client_key.reveal());
        out.text(login.keys->keys.server_key.reveal());
        out.text(login.keys->salt);
        out.number(login.keys->iterations, 4);
    }
    out.text(login.shown.reveal());
    out.text(login.queried.reveal());
}

auth::Key read_key(ImageReader& in) {
    const std::string_view bytes = in.text();
    if (bytes.size() != auth::Key::size) in.refuse();
    return in.ok() ? auth::Key(bytes) : auth::Key();
}

LoginImage read_login(ImageReader& in) {
    LoginImage login;
    login.user = in.name();
    if (in.boolean()) {
        auth::PassThrough& keys = login.keys.emplace();
        keys.keys.client_key = read_key(in);
        keys.keys.server_key = read_key(in);
        keys.salt = in.text();
        keys.iterations = static_cast<std::uint32_t>(in.up_to(auth::scram_iterations_max, 4));
    }
    login.shown = auth::SecretText(in.text());
    login.queried = auth::SecretText(in.text());
    return login;
}

void write(ImageWriter& out, const config::Listener& listener) {
    out.text(listener.host);
    out.number(static_cast<std::uint64_t>(listener.port), 2);
    write_enum(out, listener.route);
    out.boolean(listener.pool_mode.has_value());
    if (listener.pool_mode) write_enum(out, *listener.pool_mode);
}

config::Listener read_listener(ImageReader& in) {
    config::Listener listener;
    listener.host = in.name();
    listener.port = static_cast<std::int64_t>(in.number(2));
    listener.route = read_enum(in, Route::configured);
    if (in.boolean()) listener.pool_mode = read_enum(in, PoolMode::statement);
    return listener;
}

// ---- the whole

void write(ImageWriter& out, const ClientImage& client) {
    out.text(client.database);
    out.text(client.user);
    write(out, client.login);
    write(out, client.listener);
    write_enum(out, client.mode);
    out.number(client.cancel_key, 8);
    out.number(client.number, 4);
    write(out, client.connected_at);
    write(out, client.began);
    write(out, client.since);
    write(out, client.settings);
    write(out, client.login_settings);
    write(out, client.statements);
    std::uint64_t pins = 0;
    for (std::size_t i = 0; i < pin_reason_count; ++i)
        if (client.pins.has(static_cast<PinReason>(i))) pins |= std::uint64_t{1} << i;
    out.number(pins, 1);
}

ClientImage read_client(ImageReader& in) {
    ClientImage client;
    client.database = in.name();
    client.user = in.name();
    client.login = read_login(in);
    client.listener = read_listener(in);
    client.mode = read_enum(in, PoolMode::statement);
    client.cancel_key = in.number(8);
    client.number = static_cast<std::uint32_t>(in.number(4));
    client.connected_at = read_wall_time(in);
    client.began = read_instant(in);
    client.since = read_instant(in);
    client.settings = read_settings(in);
    client.login_settings = read_settings(in);
    client.statements = read_statements(in);
    const std::uint64_t pins = in.number(1);
    for (std::size_t i = 0; i < pin_reason_count; ++i)
        if ((pins >> i & 1) != 0) client.pins = client.pins | static_cast<PinReason>(i);
    return client;
}

void write(ImageWriter& out, const ServerImage& server) {
    out.text(server.database);
    write(out, server.login);
    write_enum(out, server.route);
    out.text(server.origin);
    out.number(static_cast<std::uint64_t>(server.epoch), 8);
    out.text(server.address);
    out.text(server.connect_address);
    out.text(server.place);
    out.number(server.port, 2);
    out.number(server.number, 4);
    out.number(server.process_id, 4);
    out.text(server.cancel_key);
    write(out, server.connected_at);
    write(out, server.began);
    write(out, server.since);
    out.boolean(server.needs_reset);
    out.boolean(server.must_reset);
    out.boolean(server.is_old);
    write(out, server.settings);
    write(out, server.reported);
    write(out, server.statements);
    write(out, server.welcome);
}

ServerImage read_server(ImageReader& in) {
    ServerImage server;
    server.database = in.name();
    server.login = read_login(in);
    server.route = read_enum(in, Route::configured);
    server.origin = in.text();
    server.epoch = static_cast<std::int64_t>(in.number(8));
    server.address = in.name();
    server.connect_address = in.name();
    server.place = in.name();
    server.port = static_cast<std::uint16_t>(in.number(2));
    server.number = static_cast<std::uint32_t>(in.number(4));
    server.process_id = static_cast<std::uint32_t>(in.number(4));
    server.cancel_key = in.text();
    server.connected_at = read_wall_time(in);
    server.began = read_instant(in);
    server.since = read_instant(in);
    server.needs_reset = in.boolean();
    server.must_reset = in.boolean();
    server.is_old = in.boolean();
    server.settings = read_settings(in);
    server.reported = read_settings(in);
    server.statements = read_statements(in);
    server.welcome = read_list(in);
    return server;
}

}  // namespace

auth::SecretText encode(const SessionImage& image) {
    auth::SecretText bytes;
    ImageWriter out(bytes);
    out.number(layout, 1);
    out.boolean(image.client.has_value());
    if (image.client) write(out, *image.client);
    out.boolean(image.server.has_value());
    if (image.server) write(out, *image.server);
    return bytes;
}

Result<SessionImage> decode_session(std::string_view bytes) {
    ImageReader in(bytes);
    if (in.number(1) != layout) in.refuse();
    SessionImage image;
    if (in.boolean()) image.client = read_client(in);
    if (in.boolean()) image.server = read_server(in);
    if (!in.is_over() || (!image.client && !image.server))
        return fail(Errc::invalid_input, "a session that was handed over cannot be read");
    return image;
}

std::string server_origin(const config::PoolerConfig& config, const config::DatabaseEntry& entry) {
    auth::SecretText made_with;
    ImageWriter out(made_with);
    const auto most_of_it =
        std::to_array<const std::string*>({&entry.dbname, &entry.user, &entry.connect_query, &entry.client_encoding,
                                           &entry.datestyle, &entry.timezone, &entry.application_name});
    for (const std::string* text : most_of_it) out.text(*text);
    out.text(entry.password.reveal());
    for (const std::string& host : entry.hosts) out.text(host);
    out.number(static_cast<std::uint64_t>(entry.port), 8);
    out.number(static_cast<std::uint64_t>(config.settings.server_tls_sslmode), 1);
    out.boolean(config.follows_cluster);
    out.text(config.scope);
    out.text(config.namespace_);
    return std::string(auth::sha256(made_with.reveal()).reveal());
}

Settings to_settings(const std::vector<Setting>& list) {
    Settings settings;
    for (const Setting& setting : list) settings = settings.with(setting.name, setting.value);
    return settings;
}

}  // namespace pgkeel::pool
