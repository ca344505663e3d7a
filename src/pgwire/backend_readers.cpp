#include "pgwire/backend_readers.hpp"

#include "pgwire/reader.hpp"
#include "pgwire/startup.hpp"

#include <fmt/format.h>

namespace pgkeel::pgwire::backend {
namespace {

std::unexpected<Error> malformed(std::string_view message) {
    return fail(Errc::invalid_input, fmt::format("the server sent a malformed {}", message));
}

/// A list of mechanisms: at least one, an empty one at the end, nothing behind.
bool is_mechanism_list(std::string_view raw) {
    Reader reader(raw);
    std::size_t count = 0;
    while (!reader.text().empty()) ++count;
    return count > 0 && reader.finished();
}

}  // namespace

Result<TransactionStatus> read_ready_for_query(std::string_view body) {
    if (body.size() != 1 || (body[0] != 'I' && body[0] != 'T' && body[0] != 'E')) return malformed("ReadyForQuery");
    return static_cast<TransactionStatus>(body[0]);
}

Result<std::string_view> read_command_complete(std::string_view body) {
    Reader reader(body);
    const std::string_view tag = reader.text();
    if (!reader.finished()) return malformed("CommandComplete");
    return tag;
}

Result<ParameterStatus> read_parameter_status(std::string_view body) {
    Reader reader(body);
    ParameterStatus out;
    out.name = reader.text();
    out.value = reader.text();
    if (!reader.finished() || out.name.empty()) return malformed("ParameterStatus");
    return out;
}

Result<BackendKeyData> read_backend_key_data(std::string_view body) {
    Reader reader(body);
    BackendKeyData out;
    out.process_id = reader.int32();
    out.key = reader.everything_left();
    if (!reader.ok() || out.key.size() < cancel_key_bytes_min || out.key.size() > cancel_key_bytes_max)
        return malformed("BackendKeyData");
    return out;
}

bool Mechanisms::has(std::string_view mechanism) const {
    Reader reader(raw);
    for (std::string_view offered = reader.text(); !offered.empty(); offered = reader.text())
        if (offered == mechanism) return true;
    return false;
}

Result<Authentication> read_authentication(std::string_view body) {
    using Kind = Authentication::Kind;
    Reader reader(body);
    Authentication out;
    const std::uint32_t code = reader.int32();
    if (!reader.ok()) return malformed("authentication request");
    out.kind = static_cast<Kind>(code);
    switch (out.kind) {
        case Kind::ok:
        case Kind::kerberos:
        case Kind::cleartext:
        case Kind::gss:
        case Kind::sspi:
            break;
        case Kind::md5:
            out.data = reader.bytes(4);
            break;
        case Kind::gss_continue:
        case Kind::sasl_continue:
        case Kind::sasl_final:
            out.data = reader.everything_left();
            break;
        case Kind::sasl:
            out.mechanisms.raw = reader.everything_left();
            if (!is_mechanism_list(out.mechanisms.raw)) return malformed("list of authentication mechanisms");
            break;
        default:
            return fail(Errc::invalid_input,
                        fmt::format("the server asks for the unknown authentication method {}", code));
    }
    if (!reader.finished()) return malformed("authentication request");
    return out;
}

Result<NegotiateProtocolVersion> read_negotiate_protocol_version(std::string_view body) {
    Reader reader(body);
    NegotiateProtocolVersion out;
    out.version = reader.int32();
    const std::uint32_t count = reader.int32();
    // A name takes two bytes at least: the count is believed only as far as there are bytes for it.
    if (!reader.ok() || count > reader.left() / 2) return malformed("NegotiateProtocolVersion");
    for (std::uint32_t i = 0; i < count && reader.ok(); ++i) out.refused.push_back(reader.text());
    if (!reader.finished()) return malformed("NegotiateProtocolVersion");
    return out;
}

Result<std::vector<Field>> read_row_description(std::string_view body) {
    Reader reader(body);
    const std::uint16_t count = reader.int16();
    std::vector<Field> fields;
    for (std::uint16_t i = 0; i < count && reader.ok(); ++i) {
        Field& field = fields.emplace_back();
        field.name = reader.text();
        field.table = reader.int32();
        field.column = reader.int16();
        field.type = reader.int32();
        field.type_size = reader.int16();
        field.type_modifier = reader.int32();
        field.format = reader.int16();
    }
    if (!reader.finished()) return malformed("RowDescription");
    return fields;
}

Result<Values> read_data_row(std::string_view body) {
    Reader reader(body);
    const std::uint16_t count = reader.int16();
    Values values;
    for (std::uint16_t i = 0; i < count && reader.ok(); ++i) {
        const std::uint32_t length = reader.int32();
        if (length == 0xffff'ffff)  // -1: NULL
            values.emplace_back();
        else
            values.emplace_back(reader.bytes(length));
    }
    if (!reader.finished()) return malformed("DataRow");
    return values;
}

Result<std::vector<std::uint32_t>> read_parameter_description(std::string_view body) {
    Reader reader(body);
    const std::uint16_t count = reader.int16();
    std::vector<std::uint32_t> types;
    for (std::uint16_t i = 0; i < count && reader.ok(); ++i) types.push_back(reader.int32());
    if (!reader.finished()) return malformed("ParameterDescription");
    return types;
}

Result<Notification> read_notification(std::string_view body) {
    Reader reader(body);
    Notification out;
    out.process_id = reader.int32();
    out.channel = reader.text();
    out.payload = reader.text();
    if (!reader.finished()) return malformed("NotificationResponse");
    return out;
}

}  // namespace pgkeel::pgwire::backend
