#pragma once
#include "base/result.hpp"
#include "pgwire/framing.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

// What clients send, out of the bodies of their messages. Views point into the body given; success allocates nothing.

namespace pgkeel::pgwire::frontend {

/// PostgreSQL itself takes at most some 10 000 bytes in the messages that describe, execute and close; whoever gives
/// statements names of his own may let clients have longer ones.
constexpr std::size_t name_bytes_max = 65'000;

/// The types that a Parse says its parameters have, as sent.
struct ParameterTypes {
    std::string_view raw;  ///< four bytes each

    std::size_t size() const { return raw.size() / 4; }
    std::uint32_t operator[](std::size_t index) const;  ///< an OID; 0: the server shall find out
};

struct Parse {
    std::string_view name;
    std::string_view query;
    ParameterTypes types;
};
Result<Parse> read_parse(std::string_view body);

/// The names at the beginning of a Bind. Its parameters can be long and are nobody's business here.
struct BindNames {
    std::string_view portal;
    std::string_view statement;

    std::size_t bytes() const { return portal.size() + statement.size() + 2; }  ///< of the body that they take
};
/// \param here  the beginning of the body, as much of it as came
/// \return empty while the names are not complete
Result<std::optional<BindNames>> read_bind_names(const Head& head, std::string_view here);

/// What a Describe or a Close is about.
struct Target {
    enum class Kind : char { statement = 'S', portal = 'P' };
    Kind kind = Kind::statement;
    std::string_view name;
};
Result<Target> read_target(std::string_view body);

struct Execute {
    std::string_view portal;
    std::uint32_t rows_max = 0;  ///< 0: all
};
Result<Execute> read_execute(std::string_view body);

Result<std::string_view> read_query(std::string_view body);
Result<std::string_view> read_copy_fail(std::string_view body);  ///< the reason

/// The function that a FunctionCall calls. \param here  the beginning of the body; empty while it is too short
std::optional<std::uint32_t> read_function(std::string_view here);

/// A secret: for the comparison only.
Result<std::string_view> read_password(std::string_view body);

struct SaslInitialResponse {
    std::string_view mechanism;
    std::optional<std::string_view> data;
};
Result<SaslInitialResponse> read_sasl_initial_response(std::string_view body);
/// A SASLResponse is its body, which the mechanism reads.

}  // namespace pgkeel::pgwire::frontend
