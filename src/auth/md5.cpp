#include "auth/md5.hpp"

#include "auth/crypto.hpp"

#include <algorithm>

namespace pgkeel::auth {

namespace {

constexpr std::string_view prefix = "md5";

Result<SecretText> with_prefix(std::string_view first, std::string_view second) {
    SecretText both(first);
    both.append(second);
    const auto hex = md5_hex(both.reveal());
    if (!hex) return std::unexpected(hex.error());
    SecretText result(prefix);
    result.append(hex->reveal());
    return result;
}

}  // namespace

bool is_md5(std::string_view stored) {
    return stored.size() == 35 && stored.starts_with(prefix) &&
           stored.find_first_not_of("0123456789abcdef", prefix.size()) == std::string_view::npos;
}

Result<SecretText> md5_stored(std::string_view password, std::string_view user) {
    return with_prefix(password, user);
}

Result<SecretText> md5_response(std::string_view stored, Md5Salt salt) {
    if (!is_md5(stored)) return fail(Errc::invalid_input, "cannot answer an md5 challenge: no md5 hash is known");
    return with_prefix(stored.substr(prefix.size()), {salt.data(), salt.size()});
}

Result<Md5Salt> fresh_md5_salt() {
    const auto bytes = random_bytes(sizeof(Md5Salt));
    if (!bytes) return std::unexpected(bytes.error());
    Md5Salt salt;
    std::ranges::copy(*bytes, salt.begin());
    return salt;
}

}  // namespace pgkeel::auth
