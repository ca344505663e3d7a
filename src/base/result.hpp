#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace pgkeel {

/// What a caller may want to react to. All other detail belongs in the text.
enum class Errc {
    invalid_input,   ///< the value given is wrong; trying again changes nothing
    not_found,       ///< the object does not exist
    already_exists,  ///< the object exists already, or the port is taken
    conflict,        ///< a compare-and-swap lost: somebody else changed it first
    denied,          ///< wrong or missing credentials
    unavailable,     ///< the other side could not be reached, or said that it cannot serve; nothing was changed
    maybe_done,      ///< a write was sent and its answer never came: read back before acting on either belief
    timed_out,       ///< no answer before the deadline, of a request that changes nothing
    lease_gone,      ///< etcd does not know the lease any more
    process_failed,  ///< a child process could not be started or exited with an error
    postgres_error,  ///< PostgreSQL answered with an error
    io_error,        ///< a file or directory could not be read or written
    cancelled,       ///< given up on request
    unsafe,          ///< refused because it could lose data
};

/// A failure that was expected to be possible. `text`: what could not be done, to which object, with which values, why;
/// lower case, no full stop. `hint`: an action or a question, may be empty. Neither holds a secret.
struct Error {
    Errc code = Errc::invalid_input;
    std::string text;
    std::string hint;

    /// "text (hint)", for one log line.
    std::string line() const { return hint.empty() ? text : text + " (" + hint + ")"; }
};

template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string text, std::string hint = {}) {
    return std::unexpected(Error{code, std::move(text), std::move(hint)});
}

/// Adds context while an error goes up: `while joining pg-b: …`.
[[nodiscard]] inline std::unexpected<Error> fail(std::string_view context, Error error) {
    error.text = std::string(context) + ": " + error.text;
    return std::unexpected(std::move(error));
}

}  // namespace pgkeel
