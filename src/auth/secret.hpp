#pragma once
#include "auth/md5.hpp"
#include "auth/scram.hpp"
#include "auth/secret_text.hpp"
#include "base/result.hpp"

#include <iosfwd>
#include <string_view>
#include <variant>

namespace pgkeel::auth {

/// PostgreSQL's own clients send no more, and PgBouncer takes no more.
inline constexpr std::size_t password_max_bytes = 65530;

/// What is stored about a user's password (pg_authid.rolpassword, userlist.txt): plain text, an md5 hash or a
/// SCRAM-SHA-256 verifier. An empty secret matches nothing, and an empty password matches no secret.
class Secret {
  public:
    enum class Kind { plain, md5, scram };

    Secret() = default;
    explicit Secret(ScramVerifier verifier) : value_(std::move(verifier)) {}

    /// By form, as PostgreSQL tells them apart. Errors: invalid_input — too long, or it begins as a verifier and is
    /// none: taken for plain text, its own spelling would be the password.
    static Result<Secret> parse(std::string_view stored);

    Kind kind() const { return static_cast<Kind>(value_.index()); }
    bool empty() const;
    /// Null when it is of another kind.
    const ScramVerifier* verifier() const { return std::get_if<ScramVerifier>(&value_); }
    const SecretText* plain() const;
    /// As it is stored.
    SecretText text() const;

    /// Whether a password sent in plain text is the right one. EXPENSIVE when kind() is scram.
    bool matches(std::string_view password, std::string_view user) const;

    /// Whether a client's answer to an md5 challenge is right. Never for a verifier, which knows no md5. Cheap.
    bool matches_md5(std::string_view response, std::string_view user, Md5Salt salt) const;

    /// Our answer to a server's md5 challenge. Errors: invalid_input when only a verifier is known; unavailable (FIPS).
    Result<SecretText> answer_md5(std::string_view user, Md5Salt salt) const;

  private:
    struct Md5 {
        SecretText stored;
    };
    explicit Secret(SecretText plain) : value_(std::move(plain)) {}
    explicit Secret(Md5 hash) : value_(std::move(hash)) {}

    std::variant<SecretText, Md5, ScramVerifier> value_;  ///< in the order of Kind
};

std::ostream& operator<<(std::ostream&, const Secret&) = delete;

}  // namespace pgkeel::auth

template <>
struct fmt::formatter<pgkeel::auth::Secret> {
    formatter() = delete;
};
