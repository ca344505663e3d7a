#pragma once
#include "pgwire/framing.hpp"
#include "pgwire/frontend_readers.hpp"
#include "pgwire/startup.hpp"
#include "pgwire/writer.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

// What a pooler sends to servers. A message that cannot be built — too long, a NUL in a name — makes the writer fail.

namespace pgkeel::pgwire::frontend {

/// Writes the user's and the database's name first; `database` only if it is not empty.
void write_startup(Writer& out, const StartupMessage& startup);
void write_ssl_request(Writer& out);
void write_gss_request(Writer& out);
void write_cancel_request(Writer& out, std::uint32_t process_id, std::string_view key);

void write_query(Writer& out, std::string_view query);
/// Also a client's Parse under the name that its statement has on the server: `name` is used instead of parse.name.
void write_parse(Writer& out, std::string_view name, const Parse& parse);
/// A client's Bind up to its names, with `statement` in the place of its own. The rest of its body, head.body_bytes() −
/// names.bytes() bytes, follows unchanged. The new length is computed in 64 bits: one above 2³¹−1 makes the writer
/// fail, and the client's message must then be refused.
void write_bind_names(Writer& out, const Head& head, const BindNames& names, std::string_view statement);
/// A Bind of our own: values as text, without one for NULL; results as text.
void write_bind(Writer& out, std::string_view portal, std::string_view statement,
                std::span<const std::optional<std::string_view>> values = {});
void write_describe(Writer& out, Target target);
void write_close(Writer& out, Target target);
void write_execute(Writer& out, Execute execute);
void write_sync(Writer& out);
void write_flush(Writer& out);
void write_copy_fail(Writer& out, std::string_view reason);
void write_terminate(Writer& out);

void write_password(Writer& out, std::string_view password);
void write_sasl_initial_response(Writer& out, const SaslInitialResponse& response);
void write_sasl_response(Writer& out, std::string_view data);

}  // namespace pgkeel::pgwire::frontend
