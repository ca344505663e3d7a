#include "local/certificates.hpp"

#include "local/files.hpp"

#include <fmt/format.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <filesystem>

namespace pgkeel::local {

namespace {
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using BigNumber = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

std::unexpected<Error> openssl_failure(std::string_view what) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return fail(Errc::io_error, fmt::format("cannot {}: {}", what, reason == nullptr ? "unknown reason" : reason));
}

std::string content_of(BIO* memory) {
    char* data = nullptr;
    const long length = BIO_get_mem_data(memory, &data);
    return length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string();
}

std::string to_pem(X509* certificate) {
    const Bio memory(BIO_new(BIO_s_mem()));
    return PEM_write_bio_X509(memory.get(), certificate) == 1 ? content_of(memory.get()) : std::string();
}

std::string to_pem(EVP_PKEY* key) {
    const Bio memory(BIO_new(BIO_s_mem()));
    const bool written = PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
    return written ? content_of(memory.get()) : std::string();
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
    return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// A random positive serial of 159 bits at most (RFC 5280, 4.1.2.2).
bool set_random_serial(X509* certificate) {
    const BigNumber number(BN_new());
    constexpr int bits = 159;
    return BN_rand(number.get(), bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

/// All that certificates of every kind share.
CertificateHandle blank_certificate(const CertificateRequest& request, EVP_PKEY* key) {
    CertificateHandle certificate(X509_new());
    constexpr long version_3 = 2;
    constexpr long an_hour_ago = -3600;  // a clock that is a little behind must not reject a new certificate
    const auto* name = reinterpret_cast<const unsigned char*>(request.common_name.c_str());
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    const bool good = X509_set_version(certificate.get(), version_3) == 1 && set_random_serial(certificate.get()) &&
                      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), an_hour_ago) != nullptr &&
                      X509_time_adj_ex(X509_getm_notAfter(certificate.get()), request.days, 0, nullptr) != nullptr &&
                      X509_set_pubkey(certificate.get(), key) == 1 &&
                      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1;
    return good ? std::move(certificate) : nullptr;
}

std::string alternative_names(const CertificateRequest& request) {
    std::string names;
    for (const std::string& name : request.dns_names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
    for (const std::string& address : request.addresses) names += (names.empty() ? "IP:" : ",IP:") + address;
    return names;
}

Result<> write_pair(X509* certificate, EVP_PKEY* key, const std::string& certificate_file,
                    const std::string& key_file) {
    const std::string certificate_text = to_pem(certificate);
    const std::string key_text = to_pem(key);
    if (certificate_text.empty() || key_text.empty()) return openssl_failure("write a certificate as PEM");
    if (auto done = write_file(key_file, key_text, 0600); !done) return done;
    return write_file(certificate_file, certificate_text, 0644);
}
}  // namespace

Result<Authority> Authority::open_or_create(const std::string& directory, const std::string& common_name) {
    const std::string certificate_file = directory + "/ca.crt";
    const std::string key_file = directory + "/ca.key";
    // A key without its certificate is what an interrupted beginning leaves: nothing was signed with it yet.
    if (std::filesystem::exists(certificate_file)) {
        const auto certificate_text = read_file(certificate_file);
        if (!certificate_text) return std::unexpected(certificate_text.error());
        const auto key_text = read_file(key_file);
        if (!key_text) return std::unexpected(key_text.error());
        const Bio certificate_memory(
            BIO_new_mem_buf(certificate_text->data(), static_cast<int>(certificate_text->size())));
        const Bio key_memory(BIO_new_mem_buf(key_text->data(), static_cast<int>(key_text->size())));
        CertificateHandle certificate(PEM_read_bio_X509(certificate_memory.get(), nullptr, nullptr, nullptr));
        KeyHandle key(PEM_read_bio_PrivateKey(key_memory.get(), nullptr, nullptr, nullptr));
        ERR_clear_error();
        if (!certificate || !key || X509_check_private_key(certificate.get(), key.get()) != 1) {
            ERR_clear_error();
            return fail(Errc::invalid_input,
                        fmt::format("{} and {} are not a certificate and its key", certificate_file, key_file),
                        "restore them, or remove both to have new ones made, and every certificate beside them");
        }
        return Authority(std::move(certificate), std::move(key));
    }

    KeyHandle key(EVP_EC_gen("P-256"));
    if (!key) return openssl_failure("make a key");
    CertificateHandle certificate =
        blank_certificate({.common_name = common_name, .dns_names = {}, .addresses = {}}, key.get());
    X509* self = certificate.get();
    if (!certificate || X509_set_issuer_name(self, X509_get_subject_name(self)) != 1 ||
        !add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(self, self, NID_subject_key_identifier, "hash") || X509_sign(self, key.get(), EVP_sha256()) == 0)
        return openssl_failure("make a certificate authority");
    if (auto done = write_pair(self, key.get(), certificate_file, key_file); !done)
        return std::unexpected(done.error());
    return Authority(std::move(certificate), std::move(key));
}

Result<> Authority::issue(const CertificateRequest& request, const std::string& certificate_file,
                          const std::string& key_file) const {
    const KeyHandle key(EVP_EC_gen("P-256"));
    if (!key) return openssl_failure("make a key");
    const CertificateHandle certificate = blank_certificate(request, key.get());
    X509* leaf = certificate.get();
    X509* issuer = certificate_.get();
    const std::string names = alternative_names(request);
    if (!certificate || X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) != 1 ||
        !add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(leaf, issuer, NID_ext_key_usage, "serverAuth,clientAuth") ||
        !add_extension(leaf, issuer, NID_subject_key_identifier, "hash") ||
        !add_extension(leaf, issuer, NID_authority_key_identifier, "keyid:always") ||
        (!names.empty() && !add_extension(leaf, issuer, NID_subject_alt_name, names)) ||
        X509_sign(leaf, key_.get(), EVP_sha256()) == 0)
        return openssl_failure(fmt::format("make a certificate for {}", request.common_name));
    return write_pair(leaf, key.get(), certificate_file, key_file);
}

}  // namespace pgkeel::local
