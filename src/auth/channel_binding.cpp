#include "auth/channel_binding.hpp"

#include "base/handles.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include <memory>

namespace pgkeel::auth {

Result<std::string> end_point_binding(std::string_view certificate_der) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(certificate_der.data());
    const std::unique_ptr<X509, FreeWith<X509_free>> certificate(
        d2i_X509(nullptr, &bytes, static_cast<long>(certificate_der.size())));
    if (!certificate) {
        ERR_clear_error();
        return fail(Errc::invalid_input, "cannot bind a login to the TLS connection: the certificate cannot be read");
    }
    int hash = NID_undef;
    if (X509_get_signature_info(certificate.get(), &hash, nullptr, nullptr, nullptr) != 1 || hash == NID_undef) {
        ERR_clear_error();
        return fail(Errc::invalid_input,
                    "cannot bind a login to the TLS connection: the certificate's signature names no hash",
                    "use a certificate signed with RSA or ECDSA, or do without channel binding");
    }
    if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
    const EVP_MD* method = EVP_get_digestbynid(hash);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (method == nullptr || X509_digest(certificate.get(), method, digest, &length) != 1) {
        ERR_clear_error();
        return fail(Errc::invalid_input, "cannot bind a login to the TLS connection: the certificate cannot be hashed");
    }
    return std::string(reinterpret_cast<const char*>(digest), length);
}

}  // namespace pgkeel::auth
