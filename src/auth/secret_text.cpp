#include "auth/secret_text.hpp"

#include "auth/crypto.hpp"

#include <openssl/crypto.h>

namespace pgkeel::auth {

void wipe(void* memory, std::size_t bytes) noexcept {
    OPENSSL_cleanse(memory, bytes);
}

bool same_secret(std::string_view a, std::string_view b) {
    return sha256(a).equals(sha256(b));
}

}  // namespace pgkeel::auth
