#pragma once
#include "pgwire/backend_readers.hpp"
#include "pgwire/startup.hpp"
#include "pgwire/writer.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// What a pooler answers to clients.

namespace pgkeel::pgwire::backend {

/// Fatal: the connection is closed after it.
enum class Severity { error, fatal, panic, warning, notice, info, log, debug };
const char* to_string(Severity severity);

/// An error or a notice of our own. Empty `detail` and `hint` are not sent.
struct Report {
    Severity severity = Severity::error;
    std::string sqlstate;  ///< five characters, 0-9 and A-Z; anything else is sent as XX000
    std::string message;
    std::string detail;
    std::string hint;
};
void write_error_response(Writer& out, const Report& report);
void write_notice_response(Writer& out, const Report& report);

void write_authentication_ok(Writer& out);
void write_authentication_cleartext(Writer& out);
void write_authentication_md5(Writer& out, std::span<const char, 4> salt);
void write_authentication_sasl(Writer& out, std::initializer_list<std::string_view> mechanisms);
void write_authentication_sasl_continue(Writer& out, std::string_view data);
void write_authentication_sasl_final(Writer& out, std::string_view data);
void write_negotiate_protocol_version(Writer& out, const Negotiation& negotiation);

void write_parameter_status(Writer& out, std::string_view name, std::string_view value);
/// \param key  4 bytes to a client of protocol 3.0, 4 to 256 in 3.2
void write_backend_key_data(Writer& out, std::uint32_t process_id, std::string_view key);
void write_ready_for_query(Writer& out, TransactionStatus status);

void write_parse_complete(Writer& out);
void write_bind_complete(Writer& out);
void write_close_complete(Writer& out);
void write_no_data(Writer& out);
void write_empty_query_response(Writer& out);
void write_command_complete(Writer& out, std::string_view tag);
void write_parameter_description(Writer& out, std::span<const std::uint32_t> types);

/// A column of a table that we make ourselves, as text.
struct Column {
    std::string_view name;
    std::uint32_t type = 25;           ///< OID: 25 text, 23 int4, 20 int8, 1700 numeric
    std::uint16_t type_size = 0xffff;  ///< -1: variable; 4 and 8 for int4 and int8
};
void write_row_description(Writer& out, std::span<const Column> columns);
void write_data_row(Writer& out, std::span<const std::optional<std::string_view>> values);

}  // namespace pgkeel::pgwire::backend
