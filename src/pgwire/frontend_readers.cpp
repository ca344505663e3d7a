#include "pgwire/frontend_readers.hpp"

#include "pgwire/reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::pgwire::frontend {
namespace {

std::unexpected<Error> malformed(std::string_view message) {
    return fail(Errc::invalid_input, fmt::format("invalid message format: {}", message));
}

std::unexpected<Error> name_too_long(std::string_view what) {
    return fail(Errc::invalid_input, fmt::format("the name of a {} is longer than {} bytes", what, name_bytes_max));
}

/// Bodies that are one text.
Result<std::string_view> read_text(std::string_view body, std::string_view message) {
    Reader reader(body);
    const std::string_view text = reader.text();
    if (!reader.finished()) return malformed(message);
    return text;
}

}  // namespace

std::uint32_t ParameterTypes::operator[](std::size_t index) const {
    return index < size() ? Reader(raw.substr(index * 4)).int32() : 0;
}

Result<Parse> read_parse(std::string_view body) {
    Reader reader(body);
    Parse out;
    out.name = reader.text();
    out.query = reader.text();
    const std::size_t count = reader.int16();
    out.types.raw = reader.bytes(count * 4);
    if (!reader.finished()) return malformed("Parse");
    if (out.name.size() > name_bytes_max) return name_too_long("prepared statement");
    return out;
}

Result<std::optional<BindNames>> read_bind_names(const Head& head, std::string_view here) {
    Reader reader(here);
    BindNames out;
    out.portal = reader.text();
    const bool has_portal = reader.ok();
    out.statement = reader.text();
    // Three counts follow the names.
    const bool complete = reader.ok();
    if (complete && head.body_bytes() < out.bytes() + 6) return malformed("Bind");
    if ((has_portal ? out.portal.size() : here.size()) > name_bytes_max) return name_too_long("portal");
    const std::size_t statement_bytes = complete     ? out.statement.size()
                                        : has_portal ? here.size() - out.portal.size() - 1
                                                     : 0;
    if (statement_bytes > name_bytes_max) return name_too_long("prepared statement");
    if (complete) return out;
    if (here.size() >= head.body_bytes()) return malformed("Bind");
    return std::nullopt;
}

Result<Target> read_target(std::string_view body) {
    Reader reader(body);
    Target out;
    const std::uint8_t kind = reader.byte();
    out.kind = static_cast<Target::Kind>(kind);
    out.name = reader.text();
    if (!reader.finished() || (kind != 'S' && kind != 'P')) return malformed("Describe or Close");
    return out;
}

Result<Execute> read_execute(std::string_view body) {
    Reader reader(body);
    Execute out;
    out.portal = reader.text();
    out.rows_max = reader.int32();
    if (!reader.finished()) return malformed("Execute");
    return out;
}

Result<std::string_view> read_query(std::string_view body) {
    return read_text(body, "Query");
}

Result<std::string_view> read_copy_fail(std::string_view body) {
    return read_text(body, "CopyFail");
}

std::optional<std::uint32_t> read_function(std::string_view here) {
    Reader reader(here);
    const std::uint32_t function = reader.int32();
    return reader.ok() ? std::optional(function) : std::nullopt;
}

Result<std::string_view> read_password(std::string_view body) {
    return read_text(body, "PasswordMessage");
}

Result<SaslInitialResponse> read_sasl_initial_response(std::string_view body) {
    Reader reader(body);
    SaslInitialResponse out;
    out.mechanism = reader.text();
    const std::uint32_t length = reader.int32();
    if (length != 0xffff'ffff) out.data = reader.bytes(length);  // -1: no data
    if (!reader.finished() || out.mechanism.empty()) return malformed("SASLInitialResponse");
    return out;
}

}  // namespace pgkeel::pgwire::frontend
