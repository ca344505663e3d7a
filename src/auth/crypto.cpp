#include "auth/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace pgkeel::auth {

namespace {

/// SHA-256 over memory fails only when there is no memory, or no OpenSSL worth the name. Going on with a key of zeroes
/// would let strangers in.
void insist(bool worked, const char* what) {
    if (worked) return;
    std::fprintf(stderr, "OpenSSL cannot compute %s\n", what);
    std::abort();
}

const unsigned char* unsigned_bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Key::Key(std::string_view bytes) {
    insist(bytes.size() == size, "a key of another length than 32 bytes");
    std::ranges::copy(bytes, bytes_.begin());
}

bool Key::equals(const Key& other) const {
    return CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), size) == 0;
}

Key Key::operator^(const Key& other) const {
    Key result;
    for (std::size_t i = 0; i < size; ++i) result.bytes_[i] = bytes_[i] ^ other.bytes_[i];
    return result;
}

Key sha256(std::string_view bytes) {
    Key digest;
    insist(SHA256(unsigned_bytes(bytes), bytes.size(), digest.data()) != nullptr, "SHA-256");
    return digest;
}

Key hmac_sha256(std::string_view key, std::string_view bytes) {
    Key digest;
    insist(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), unsigned_bytes(bytes), bytes.size(),
                digest.data(), nullptr) != nullptr,
           "HMAC-SHA-256");
    return digest;
}

Key pbkdf2_sha256(std::string_view password, std::string_view salt, std::uint32_t iterations) {
    Key derived;
    // A null pointer means "no password" to OpenSSL, whatever the length says.
    if (password.data() == nullptr) password = "";
    insist(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), unsigned_bytes(salt),
                             static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(), Key::size,
                             derived.data()) == 1,
           "PBKDF2");
    return derived;
}

Result<SecretText> md5_hex(std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_md5(), nullptr) != 1 || length != 16)
        return fail(Errc::unavailable, "cannot compute an MD5: OpenSSL does not allow it here",
                    "use scram-sha-256 instead of md5");
    SecretText hex;
    for (unsigned int i = 0; i < length; ++i) {
        hex.push_back("0123456789abcdef"[digest[i] >> 4]);
        hex.push_back("0123456789abcdef"[digest[i] & 15]);
    }
    wipe(digest, sizeof digest);
    return hex;
}

Result<std::string> random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1)
        return fail(Errc::unavailable, "cannot get random bytes: OpenSSL's generator fails",
                    "does this host give getrandom(2) to this process?");
    return bytes;
}

}  // namespace pgkeel::auth
