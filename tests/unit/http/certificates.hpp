#pragma once
#include "base/handles.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace pgkeel::test {

/// A directory that goes away with its test.
class TemporaryDirectory {
  public:
    TemporaryDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "pgkeel_http_XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

using Key = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;

struct CertificateFiles {
    std::string certificate;
    std::string key;
};

/// A certificate authority of its own, with P-256 keys.
class Authority {
  public:
    Authority(const TemporaryDirectory& directory, const std::string& name)
        : directory_(directory), name_(name), key_(EVP_EC_gen("P-256")) {
        certificate_ = make(name, key_.get(), nullptr, "", true);
        write_certificate(ca_file(), certificate_.get());
    }

    std::string ca_file() const { return directory_ / (name_ + "-ca.pem"); }

    /// `names` in OpenSSL's words: "DNS:localhost,IP:127.0.0.1". With a password the key is encrypted.
    CertificateFiles issue(const std::string& name, const std::string& names, const std::string& password = {}) const {
        CertificateFiles files{directory_ / (name + ".pem"), directory_ / (name + ".key")};
        const Key key(EVP_EC_gen("P-256"));
        const Certificate certificate = make(name, key.get(), certificate_.get(), names, false);
        write_certificate(files.certificate, certificate.get());
        const File file(std::fopen(files.key.c_str(), "w"));
        const auto* letters = reinterpret_cast<const unsigned char*>(password.data());
        PEM_write_PrivateKey(file.get(), key.get(), password.empty() ? nullptr : EVP_aes_256_cbc(), letters,
                             static_cast<int>(password.size()), nullptr, nullptr);
        return files;
    }

  private:
    using File = std::unique_ptr<std::FILE, FreeWith<std::fclose>>;

    static void write_certificate(const std::string& path, X509* certificate) {
        const File file(std::fopen(path.c_str(), "w"));
        PEM_write_X509(file.get(), certificate);
    }

    static void extend(X509* certificate, X509* issuer, int nid, const char* value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
        const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
            X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
        ASSERT_TRUE(extension) << value;
        X509_add_ext(certificate, extension.get(), -1);
    }

    Certificate make(const std::string& name, EVP_PKEY* key, X509* issuer, const std::string& names, bool is_ca) const {
        static long serial = 1;
        Certificate certificate(X509_new());
        X509_set_version(certificate.get(), 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
        X509_set_pubkey(certificate.get(), key);
        X509_NAME* subject = X509_get_subject_name(certificate.get());
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()),
                                   -1, -1, 0);
        X509* signer = issuer != nullptr ? issuer : certificate.get();
        X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
        extend(certificate.get(), signer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
        if (!names.empty()) extend(certificate.get(), signer, NID_subject_alt_name, names.c_str());
        X509_sign(certificate.get(), key_.get(), EVP_sha256());
        return certificate;
    }

    const TemporaryDirectory& directory_;
    std::string name_;
    Key key_;
    Certificate certificate_;
};

}  // namespace pgkeel::test
