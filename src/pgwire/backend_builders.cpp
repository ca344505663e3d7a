#include "pgwire/backend_builders.hpp"

#include "pgwire/error_fields.hpp"
#include "pgwire/message_types.hpp"

namespace pgkeel::pgwire::backend {
namespace {

constexpr std::size_t columns_max = 0xffff;

void write_empty(Writer& out, char type) {
    out.begin(type);
    out.end();
}

void write_field(Writer& out, char code, std::string_view value) {
    out.byte(code);
    out.text_up_to_nul(value);
}

void write_report(Writer& out, char type, const Report& report) {
    out.begin(type);
    write_field(out, 'S', to_string(report.severity));
    write_field(out, 'V', to_string(report.severity));
    write_field(out, 'C', is_sqlstate(report.sqlstate) ? report.sqlstate : "XX000");
    write_field(out, 'M', report.message);
    if (!report.detail.empty()) write_field(out, 'D', report.detail);
    if (!report.hint.empty()) write_field(out, 'H', report.hint);
    out.byte('\0');
    out.end();
}

void write_authentication(Writer& out, Authentication::Kind kind, std::string_view data = {}) {
    out.begin(types::authentication);
    out.int32(static_cast<std::uint32_t>(kind));
    out.bytes(data);
    out.end();
}

}  // namespace

const char* to_string(Severity severity) {
    switch (severity) {
        case Severity::error:
            return "ERROR";
        case Severity::fatal:
            return "FATAL";
        case Severity::panic:
            return "PANIC";
        case Severity::warning:
            return "WARNING";
        case Severity::notice:
            return "NOTICE";
        case Severity::info:
            return "INFO";
        case Severity::log:
            return "LOG";
        case Severity::debug:
            return "DEBUG";
    }
    return "ERROR";
}

void write_error_response(Writer& out, const Report& report) {
    write_report(out, types::error_response, report);
}

void write_notice_response(Writer& out, const Report& report) {
    write_report(out, types::notice_response, report);
}

void write_authentication_ok(Writer& out) {
    write_authentication(out, Authentication::Kind::ok);
}

void write_authentication_cleartext(Writer& out) {
    write_authentication(out, Authentication::Kind::cleartext);
}

void write_authentication_md5(Writer& out, std::span<const char, 4> salt) {
    write_authentication(out, Authentication::Kind::md5, {salt.data(), salt.size()});
}

void write_authentication_sasl(Writer& out, std::initializer_list<std::string_view> mechanisms) {
    out.begin(types::authentication);
    out.int32(static_cast<std::uint32_t>(Authentication::Kind::sasl));
    for (const std::string_view mechanism : mechanisms) {
        if (mechanism.empty()) return out.give_up();  // an empty one ends the list
        out.text(mechanism);
    }
    out.byte('\0');
    out.end();
}

void write_authentication_sasl_continue(Writer& out, std::string_view data) {
    write_authentication(out, Authentication::Kind::sasl_continue, data);
}

void write_authentication_sasl_final(Writer& out, std::string_view data) {
    write_authentication(out, Authentication::Kind::sasl_final, data);
}

void write_negotiate_protocol_version(Writer& out, const Negotiation& negotiation) {
    out.begin(types::negotiate_protocol_version);
    out.int32(negotiation.version.number());
    out.int32(static_cast<std::uint32_t>(negotiation.refused.size()));
    for (const std::string_view name : negotiation.refused) out.text(name);
    out.end();
}

void write_parameter_status(Writer& out, std::string_view name, std::string_view value) {
    out.begin(types::parameter_status);
    out.text(name);
    out.text(value);
    out.end();
}

void write_backend_key_data(Writer& out, std::uint32_t process_id, std::string_view key) {
    out.begin(types::backend_key_data);
    if (key.size() < cancel_key_bytes_min || key.size() > cancel_key_bytes_max) return out.give_up();
    out.int32(process_id);
    out.bytes(key);
    out.end();
}

void write_ready_for_query(Writer& out, TransactionStatus status) {
    out.begin(types::ready_for_query);
    out.byte(static_cast<char>(status));
    out.end();
}

void write_parse_complete(Writer& out) {
    write_empty(out, types::parse_complete);
}

void write_bind_complete(Writer& out) {
    write_empty(out, types::bind_complete);
}

void write_close_complete(Writer& out) {
    write_empty(out, types::close_complete);
}

void write_no_data(Writer& out) {
    write_empty(out, types::no_data);
}

void write_empty_query_response(Writer& out) {
    write_empty(out, types::empty_query_response);
}

void write_command_complete(Writer& out, std::string_view tag) {
    out.begin(types::command_complete);
    out.text(tag);
    out.end();
}

void write_parameter_description(Writer& out, std::span<const std::uint32_t> parameters) {
    out.begin(types::parameter_description);
    if (parameters.size() > columns_max) return out.give_up();
    out.int16(static_cast<std::uint16_t>(parameters.size()));
    for (const std::uint32_t type : parameters) out.int32(type);
    out.end();
}

void write_row_description(Writer& out, std::span<const Column> columns) {
    out.begin(types::row_description);
    if (columns.size() > columns_max) return out.give_up();
    out.int16(static_cast<std::uint16_t>(columns.size()));
    for (const Column& column : columns) {
        out.text(column.name);
        out.int32(0);  // of no table
        out.int16(0);
        out.int32(column.type);
        out.int16(column.type_size);
        out.int32(0xffff'ffff);  // no modifier
        out.int16(0);            // text
    }
    out.end();
}

void write_data_row(Writer& out, std::span<const std::optional<std::string_view>> values) {
    out.begin(types::data_row);
    out.values(values);
    out.end();
}

}  // namespace pgkeel::pgwire::backend
