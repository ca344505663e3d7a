// A server's bytes, which are strangers' bytes too. Messages do not depend on where the bytes are cut, and what is read
// of a message writes the same message again.
#include "pgwire/backend_builders.hpp"
#include "pgwire/backend_readers.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/message_types.hpp"
#include "pgwire_stream.hpp"

namespace {

using namespace pgkeel::pgwire;
using namespace pgkeel::pgwire::backend;

template <class Write>
void must_write(const Head& head, std::string_view body, Write write) {
    std::string out;
    Writer writer(out);
    write(writer);
    REQUIRE(writer.ok());
    REQUIRE(out.size() == head.message_bytes());
    REQUIRE(out.front() == head.type && std::string_view(out).substr(head_bytes) == body);
}

void check_error(std::string_view body) {
    const auto fields = read_error_fields(body);
    if (!fields) return;
    REQUIRE(fields->sqlstate.empty() || is_sqlstate(fields->sqlstate));
    const Report report{Severity::error, std::string(fields->sqlstate), std::string(fields->message),
                        std::string(fields->detail), std::string(fields->hint)};
    std::string out;
    Writer writer(out);
    write_error_response(writer, report);
    const auto back = read_error_fields(std::string_view(out).substr(head_bytes));
    REQUIRE(back && back->severity == "ERROR" && back->message == fields->message);
    REQUIRE(back->detail == fields->detail && back->hint == fields->hint);
    REQUIRE(back->sqlstate == (fields->sqlstate.empty() ? "XX000" : fields->sqlstate));
}

void check_authentication(const Head& head, std::string_view body) {
    using Kind = Authentication::Kind;
    const auto request = read_authentication(body);
    if (!request) return;
    if (request->kind == Kind::sasl_continue)
        must_write(head, body, [&](Writer& out) { write_authentication_sasl_continue(out, request->data); });
    if (request->kind == Kind::sasl_final)
        must_write(head, body, [&](Writer& out) { write_authentication_sasl_final(out, request->data); });
    if (request->kind == Kind::md5) {
        REQUIRE(request->data.size() == 4);
        must_write(head, body, [&](Writer& out) {
            write_authentication_md5(out, std::span<const char, 4>(request->data.data(), 4));
        });
    }
    if (request->kind == Kind::sasl) {
        const std::string_view first = request->mechanisms.raw.substr(0, request->mechanisms.raw.find('\0'));
        REQUIRE(request->mechanisms.has(first) && !request->mechanisms.has(""));
    }
}

void check_message(const Head& head, std::string_view body) {
    switch (head.type) {
        case types::ready_for_query:
            if (const auto status = read_ready_for_query(body))
                must_write(head, body, [&](Writer& out) { write_ready_for_query(out, *status); });
            break;
        case types::command_complete:
            if (const auto tag = read_command_complete(body))
                must_write(head, body, [&](Writer& out) { write_command_complete(out, *tag); });
            break;
        case types::error_response:
        case types::notice_response:
            check_error(body);
            break;
        case types::parameter_status:
            if (const auto status = read_parameter_status(body))
                must_write(head, body, [&](Writer& out) { write_parameter_status(out, status->name, status->value); });
            break;
        case types::backend_key_data: {
            const auto key = read_backend_key_data(body);
            REQUIRE(key);  // the length alone says that it is well formed
            must_write(head, body, [&](Writer& out) { write_backend_key_data(out, key->process_id, key->key); });
            break;
        }
        case types::authentication:
            check_authentication(head, body);
            break;
        case types::data_row:
            if (const auto values = read_data_row(body))
                must_write(head, body, [&](Writer& out) { write_data_row(out, *values); });
            break;
        case types::parameter_description:
            if (const auto parameters = read_parameter_description(body))
                must_write(head, body, [&](Writer& out) { write_parameter_description(out, *parameters); });
            break;
        case types::row_description:
            if (const auto fields = read_row_description(body)) REQUIRE(fields->size() * 19 + 2 <= body.size());
            break;
        case types::negotiate_protocol_version:
            if (const auto told = read_negotiate_protocol_version(body)) {
                Negotiation negotiation;
                negotiation.version = {static_cast<std::uint16_t>(told->version >> 16),
                                       static_cast<std::uint16_t>(told->version)};
                negotiation.refused = told->refused;
                must_write(head, body, [&](Writer& out) { write_negotiate_protocol_version(out, negotiation); });
            }
            break;
        case types::notification_response:
            (void)read_notification(body);
            break;
        default:
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Walk messages = check_stream(Origin::backend, stream, 1 + data[0] % 32, server_landmarks);
    for (std::size_t i = 0; i < messages.heads.size(); ++i)
        if (messages.bodies[i].size() == messages.heads[i].body_bytes())
            check_message(messages.heads[i], messages.bodies[i]);
    return 0;
}
