#include "auth/hba.hpp"
#include "auth/ident_maps.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// The first byte chooses pg_hba.conf or pg_ident.conf; every @file holds the same text, so files can name themselves.

namespace {

using namespace pgkeel;
using namespace pgkeel::auth;

void check(const Error& error) {
    REQUIRE(error.code == Errc::invalid_input || error.code == Errc::not_found);
    REQUIRE(error.text.starts_with("dir/file line "));  // an error says where
}

void hba(std::string_view text, const ReadFile& read) {
    const auto parsed = Hba::parse(text, "dir/file", read);
    if (!parsed) return check(parsed.error());
    for (const HbaRule& rule : parsed->rules()) {
        REQUIRE(!rule.databases.empty() && !rule.users.empty() && rule.line > 0);
        REQUIRE(rule.method != HbaMethod::peer || rule.connection == HbaConnection::local);
        REQUIRE(rule.method != HbaMethod::cert || rule.client_certificate == ClientCertificate::verify_full);
    }
    for (const char* address : {"", "10.1.2.3", "::1"})
        for (const bool tls : {false, true})
            for (const bool replication : {false, true}) {
                const HbaConnectionFacts asked{.peer = IpAddress::parse(address),
                                               .tls = tls,
                                               .database = "shop",
                                               .user = "alice",
                                               .physical_replication = replication};
                const HbaRule* rule = parsed->match(asked);
                if (rule == nullptr) continue;
                REQUIRE((rule->connection == HbaConnection::local) == !asked.peer.has_value());
                REQUIRE(rule->connection != HbaConnection::hostssl || tls);
                REQUIRE(rule->connection != HbaConnection::hostnossl || !tls);
                REQUIRE(!rule->network || rule->network->contains(*asked.peer));
            }
}

void ident(std::string_view text, const ReadFile& read) {
    const auto maps = IdentMaps::parse(text, "dir/file", read);
    if (!maps) return check(maps.error());
    REQUIRE(!maps->allows("m", "", "alice") && !maps->allows("m", "alice", ""));
    REQUIRE(maps->has("m") || !maps->allows("m", "alice", "alice"));
    (void)maps->allows("m", "alice@example.com", "alice");
    (void)maps->allows("m", std::string(255, 'a'), "alice");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > 4096) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    // A file that names itself ten times is read often before the depth ends it.
    int reads = 0;
    const ReadFile read = [&](const std::string& path) -> Result<std::string> {
        if (path.find("none") != std::string::npos || ++reads > 50) return fail(Errc::not_found, "cannot read a file");
        return std::string(path.find("self") != std::string::npos ? text : "alice,bob \"carol\"\n");
    };
    if (data[0] == 'h') hba(text, read);
    if (data[0] == 'i') ident(text, read);
    return 0;
}
