#include "auth/secret.hpp"

namespace pgkeel::auth {

Result<Secret> Secret::parse(std::string_view stored) {
    if (stored.size() > password_max_bytes)
        return fail(Errc::invalid_input, fmt::format("cannot use a stored secret of {} bytes: the limit is {}",
                                                     stored.size(), password_max_bytes));
    if (is_md5(stored)) return Secret(Md5{SecretText(stored)});
    if (stored.starts_with("SCRAM-SHA-256$")) {
        auto verifier = ScramVerifier::parse(stored);
        if (!verifier)
            return fail(Errc::invalid_input,
                        "cannot use a stored secret: it begins as a SCRAM-SHA-256 verifier but is none",
                        "copy the whole of pg_authid.rolpassword: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey");
        return Secret(*std::move(verifier));
    }
    return Secret(SecretText(stored));
}

bool Secret::empty() const {
    const SecretText* text = plain();
    return text != nullptr && text->empty();
}

const SecretText* Secret::plain() const {
    return std::get_if<SecretText>(&value_);
}

SecretText Secret::text() const {
    if (const auto* scram = verifier()) return scram->text();
    if (const auto* md5 = std::get_if<Md5>(&value_)) return md5->stored;
    return *plain();
}

bool Secret::matches(std::string_view password, std::string_view user) const {
    if (password.empty() || password.size() > password_max_bytes || empty()) return false;
    if (const auto* scram = verifier()) return verifier_matches(*scram, password);
    if (const auto* md5 = std::get_if<Md5>(&value_)) {
        const auto given = md5_stored(password, user);
        return given && same_secret(given->reveal(), md5->stored.reveal());
    }
    return same_secret(password, plain()->reveal());
}

bool Secret::matches_md5(std::string_view response, std::string_view user, Md5Salt salt) const {
    const auto right = answer_md5(user, salt);
    return right && same_secret(response, right->reveal());
}

Result<SecretText> Secret::answer_md5(std::string_view user, Md5Salt salt) const {
    if (verifier() != nullptr || empty())
        return fail(Errc::invalid_input,
                    fmt::format("cannot answer an md5 challenge for user {}: {}", user,
                                empty() ? "no password is known" : "only a SCRAM-SHA-256 verifier is known"));
    if (const auto* md5 = std::get_if<Md5>(&value_)) return md5_response(md5->stored.reveal(), salt);
    const auto stored = md5_stored(plain()->reveal(), user);
    if (!stored) return std::unexpected(stored.error());
    return md5_response(stored->reveal(), salt);
}

}  // namespace pgkeel::auth
