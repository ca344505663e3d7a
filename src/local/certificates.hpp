#pragma once
#include "base/handles.hpp"
#include "base/result.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace pgkeel::local {

using CertificateHandle = std::unique_ptr<X509, FreeWith<X509_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

/// What a certificate is to say. It holds for clients and servers alike: etcd's members and the agents are both.
struct CertificateRequest {
    std::string common_name;
    std::vector<std::string> dns_names;
    std::vector<std::string> addresses;  ///< IP addresses
    int days = 3650;
};

/// A certificate authority of one cluster on one machine: elliptic keys (P-256), SHA-256, files in PEM; keys have mode
/// 0600.
class Authority {
  public:
    /// Reads `directory`/ca.crt and ca.key, or makes them. Errors: io_error; invalid_input — one is there without the
    /// other, or they do not belong together.
    static Result<Authority> open_or_create(const std::string& directory, const std::string& common_name);

    /// Writes a new key and a certificate for it.
    Result<> issue(const CertificateRequest& request, const std::string& certificate_file,
                   const std::string& key_file) const;

  private:
    Authority(CertificateHandle certificate, KeyHandle key)
        : certificate_(std::move(certificate)), key_(std::move(key)) {}
    CertificateHandle certificate_;
    KeyHandle key_;
};

}  // namespace pgkeel::local
