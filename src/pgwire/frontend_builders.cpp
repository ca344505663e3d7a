#include "pgwire/frontend_builders.hpp"

#include "pgwire/message_types.hpp"
#include "pgwire/startup_codes.hpp"

namespace pgkeel::pgwire::frontend {
namespace {

void write_request(Writer& out, std::uint32_t code) {
    out.begin_untyped();
    out.int32(code);
    out.end();
}

void write_one_text(Writer& out, char type, std::string_view text) {
    out.begin(type);
    out.text(text);
    out.end();
}

void write_empty(Writer& out, char type) {
    out.begin(type);
    out.end();
}

void write_target(Writer& out, char type, Target target) {
    out.begin(type);
    out.byte(static_cast<char>(target.kind));
    out.text(target.name);
    out.end();
}

void write_pair(Writer& out, std::string_view name, std::string_view value) {
    if (name.empty()) return out.give_up();  // an empty name would be the terminator
    out.text(name);
    out.text(value);
}

}  // namespace

void write_startup(Writer& out, const StartupMessage& startup) {
    out.begin_untyped();
    out.int32(startup.version.number());
    if (startup.user.empty()) return out.give_up();
    write_pair(out, "user", startup.user);
    if (!startup.database.empty()) write_pair(out, "database", startup.database);
    if (startup.replication != ReplicationMode::none)
        write_pair(out, "replication", startup.replication == ReplicationMode::logical ? "database" : "true");
    if (!startup.options.empty()) write_pair(out, "options", startup.options);
    for (const auto* list : {&startup.parameters, &startup.protocol_options})
        for (const Parameter& parameter : *list) write_pair(out, parameter.name, parameter.value);
    out.byte('\0');
    out.end(0, startup_bytes_max);
}

void write_ssl_request(Writer& out) {
    write_request(out, ssl_request_code);
}

void write_gss_request(Writer& out) {
    write_request(out, gss_request_code);
}

void write_cancel_request(Writer& out, std::uint32_t process_id, std::string_view key) {
    out.begin_untyped();
    if (key.size() < cancel_key_bytes_min || key.size() > cancel_key_bytes_max) return out.give_up();
    out.int32(cancel_request_code);
    out.int32(process_id);
    out.bytes(key);
    out.end();
}

void write_query(Writer& out, std::string_view query) {
    write_one_text(out, types::query, query);
}

void write_parse(Writer& out, std::string_view name, const Parse& parse) {
    out.begin(types::parse);
    out.text(name);
    out.text(parse.query);
    if (parse.types.size() > 0xffff || parse.types.raw.size() % 4 != 0) return out.give_up();
    out.int16(static_cast<std::uint16_t>(parse.types.size()));
    out.bytes(parse.types.raw);
    out.end();
}

void write_bind_names(Writer& out, const Head& head, const BindNames& names, std::string_view statement) {
    out.begin(types::bind);
    if (head.body_bytes() < names.bytes()) return out.give_up();
    out.text(names.portal);
    out.text(statement);
    out.end(head.body_bytes() - names.bytes());
}

void write_bind(Writer& out, std::string_view portal, std::string_view statement,
                std::span<const std::optional<std::string_view>> values) {
    out.begin(types::bind);
    out.text(portal);
    out.text(statement);
    out.int16(0);  // every parameter is text
    out.values(values);
    out.int16(0);  // every result is text
    out.end();
}

void write_describe(Writer& out, Target target) {
    write_target(out, types::describe, target);
}

void write_close(Writer& out, Target target) {
    write_target(out, types::close, target);
}

void write_execute(Writer& out, Execute what) {
    out.begin(types::execute);
    out.text(what.portal);
    out.int32(what.rows_max);
    out.end();
}

void write_sync(Writer& out) {
    write_empty(out, types::sync);
}

void write_flush(Writer& out) {
    write_empty(out, types::flush);
}

void write_copy_fail(Writer& out, std::string_view reason) {
    write_one_text(out, types::copy_fail, reason);
}

void write_terminate(Writer& out) {
    write_empty(out, types::terminate);
}

void write_password(Writer& out, std::string_view secret) {
    write_one_text(out, types::password, secret);
}

void write_sasl_initial_response(Writer& out, const SaslInitialResponse& response) {
    out.begin(types::password);
    out.text(response.mechanism);
    if (response.data && response.data->size() > Writer::length_max) return out.give_up();
    out.int32(response.data ? static_cast<std::uint32_t>(response.data->size()) : 0xffff'ffff);
    if (response.data) out.bytes(*response.data);
    out.end();
}

void write_sasl_response(Writer& out, std::string_view data) {
    out.begin(types::password);
    out.bytes(data);
    out.end();
}

}  // namespace pgkeel::pgwire::frontend
