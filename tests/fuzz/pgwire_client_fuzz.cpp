// A client's bytes after its first packet. Messages do not depend on where the bytes are cut, and what is read of a
// message writes the same message again.
#include "pgwire/frontend_builders.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/message_types.hpp"
#include "pgwire_stream.hpp"

namespace {

using namespace pgkeel::pgwire;
using namespace pgkeel::pgwire::frontend;

template <class Write>
void must_write(const Head& head, std::string_view body, Write write) {
    std::string out;
    Writer writer(out);
    write(writer);
    REQUIRE(writer.ok());
    REQUIRE(out.size() == head.message_bytes());
    REQUIRE(out.front() == head.type && std::string_view(out).substr(head_bytes) == body);
}

void check_bind(const Head& head, std::string_view body) {
    const auto whole = read_bind_names(head, body);
    // Once there, the names do not change with what follows; and a wrong beginning is never healed by it.
    for (std::size_t here = 0; here < std::min<std::size_t>(body.size(), 64); ++here) {
        const auto early = read_bind_names(head, body.substr(0, here));
        if (!early) REQUIRE(!whole);
        if (early && *early) REQUIRE(whole && (*whole)->bytes() == (*early)->bytes());
    }
    if (!whole || !*whole) return;
    const BindNames names = **whole;
    must_write(head, body, [&](Writer& out) {
        write_bind_names(out, head, names, names.statement);
        out.bytes(body.substr(names.bytes()));
    });
    std::string out;
    Writer writer(out);
    write_bind_names(writer, head, names, "another_name");
    REQUIRE(writer.ok());
    out += body.substr(names.bytes());
    const Front renamed = Scanner(Origin::frontend).look(out);
    REQUIRE(renamed.kind == Front::Kind::whole && renamed.bytes == out.size());
    REQUIRE((*read_bind_names(renamed.head, renamed.body(out)))->statement == "another_name");
}

void check_message(const Head& head, std::string_view body) {
    switch (head.type) {
        case types::parse:
            if (const auto parse = read_parse(body))
                must_write(head, body, [&](Writer& out) { write_parse(out, parse->name, *parse); });
            break;
        case types::bind:
            check_bind(head, body);
            break;
        case types::describe:
            if (const auto target = read_target(body))
                must_write(head, body, [&](Writer& out) { write_describe(out, *target); });
            break;
        case types::close:
            if (const auto target = read_target(body))
                must_write(head, body, [&](Writer& out) { write_close(out, *target); });
            break;
        case types::execute:
            if (const auto execute = read_execute(body))
                must_write(head, body, [&](Writer& out) { write_execute(out, *execute); });
            break;
        case types::query:
            if (const auto query = read_query(body))
                must_write(head, body, [&](Writer& out) { write_query(out, *query); });
            break;
        case types::copy_fail:
            if (const auto reason = read_copy_fail(body))
                must_write(head, body, [&](Writer& out) { write_copy_fail(out, *reason); });
            break;
        case types::function_call:
            REQUIRE(read_function(body).has_value());
            break;
        case types::password:
            if (const auto password = read_password(body))
                must_write(head, body, [&](Writer& out) { write_password(out, *password); });
            if (const auto sasl = read_sasl_initial_response(body))
                must_write(head, body, [&](Writer& out) { write_sasl_initial_response(out, *sasl); });
            break;
        default:
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    static constexpr TypeSet stops("QPBES");
    const Walk messages = check_stream(Origin::frontend, stream, 1 + data[0] % 32, stops);
    for (std::size_t i = 0; i < messages.heads.size(); ++i)
        if (messages.bodies[i].size() == messages.heads[i].body_bytes())
            check_message(messages.heads[i], messages.bodies[i]);
    return 0;
}
