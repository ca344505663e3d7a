#pragma once
#include "auth/hba_words.hpp"
#include "auth/ip_address.hpp"
#include "base/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// pg_hba.conf, as far as a pooler can obey it. See PostgreSQL, "The pg_hba.conf File". What it cannot obey — group
// membership, host names, methods that need another server — is an error when the file is read: a rule that is passed
// over would let a later one decide.

namespace pgkeel::auth {

enum class HbaMethod { trust, reject, md5, scram_sha_256, password, peer, cert };
const char* to_string(HbaMethod method);

/// Over what a connection comes. `host` is TCP with and without TLS.
enum class HbaConnection { local, host, hostssl, hostnossl };

/// What a TLS client must show besides what the method wants (option `clientcert`).
enum class ClientCertificate { not_needed, verify_ca, verify_full };

struct HbaRule {
    std::string file;
    unsigned line = 0;
    HbaConnection connection = HbaConnection::local;
    HbaField databases;
    HbaField users;
    std::optional<Network> network;  ///< nothing: every address, and always for `local`
    HbaMethod method = HbaMethod::reject;
    std::string map;                                                       ///< of `peer` and `cert`, may be empty
    ClientCertificate client_certificate = ClientCertificate::not_needed;  ///< verify_full with `cert`
};

/// A connection that asks to be let in. The views are needed during match() only.
struct HbaConnectionFacts {
    std::optional<IpAddress> peer;  ///< nothing: a Unix socket
    bool tls = false;
    std::string_view database;
    std::string_view user;
    bool physical_replication = false;  ///< replication=true; replication=database counts as an ordinary connection
};

class Hba {
  public:
    /// `read` serves `@file` in databases and users. Errors: invalid_input, naming file, line and word; what `read`
    /// fails with.
    static Result<Hba> parse(std::string_view text, const std::string& file, const ReadFile& read);

    /// The first rule that fits; null when none does, which means reject. Valid as long as this object.
    const HbaRule* match(const HbaConnectionFacts& asked) const;
    const std::vector<HbaRule>& rules() const { return rules_; }

  private:
    std::vector<HbaRule> rules_;
};

}  // namespace pgkeel::auth
