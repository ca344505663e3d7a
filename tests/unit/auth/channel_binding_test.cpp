#include "auth/channel_binding.hpp"
#include "base/handles.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

using namespace pgkeel;
using namespace pgkeel::auth;

namespace {

using PrivateKey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;

PrivateKey elliptic_key() {
    return PrivateKey(EVP_EC_gen("P-256"));
}

/// A self-signed certificate, as it goes over the wire. `hash`: null for the key type's own.
std::string certificate(EVP_PKEY* key, const EVP_MD* hash) {
    const Certificate made(X509_new());
    X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 60);
    X509_set_pubkey(made.get(), key);
    EXPECT_GT(X509_sign(made.get(), key, hash), 0);
    unsigned char* der = nullptr;
    const int length = i2d_X509(made.get(), &der);
    EXPECT_GT(length, 0);
    std::string result(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    return result;
}

std::string hashed(const std::string& der, const EVP_MD* hash) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EXPECT_EQ(EVP_Digest(der.data(), der.size(), digest, &length, hash, nullptr), 1);
    return {reinterpret_cast<const char*>(digest), length};
}

}  // namespace

TEST(end_point_binding, uses_the_hash_of_the_signature) {
    const PrivateKey key = elliptic_key();
    for (const EVP_MD* hash : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
        const std::string der = certificate(key.get(), hash);
        EXPECT_EQ(end_point_binding(der).value(), hashed(der, hash));
    }
}

TEST(end_point_binding, replaces_a_broken_hash) {
    const PrivateKey key = elliptic_key();
    const std::string der = certificate(key.get(), EVP_sha1());
    EXPECT_EQ(end_point_binding(der).value(), hashed(der, EVP_sha256()));
}

TEST(end_point_binding, does_not_exist_without_a_hash) {
    const PrivateKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    EXPECT_FALSE(end_point_binding(certificate(key.get(), nullptr)));
}

TEST(end_point_binding, needs_a_certificate) {
    EXPECT_FALSE(end_point_binding(""));
    EXPECT_FALSE(end_point_binding("not a certificate"));
    const PrivateKey key = elliptic_key();
    const std::string der = certificate(key.get(), EVP_sha256());
    EXPECT_FALSE(end_point_binding(der.substr(0, der.size() - 1)));
}
