#include "config/agent_config.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>

// A node's whole file, given as text. What is accepted can be worked with.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgkeel;
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (text.contains('\0')) return 0;
    const config::Environment environment{{"PATRONI_CONFIGURATION", text}, {"HOME", "/home"}};
    const auto found = config::load_agent_config("", environment);
    if (!found) {
        REQUIRE(found.error().code == Errc::invalid_input);
        REQUIRE(!found.error().text.empty());
    } else {
        REQUIRE(!found->scope.empty() && !found->name.empty());
        REQUIRE(!found->etcd.endpoints.empty());
        REQUIRE(!found->postgresql.data_dir.empty() && !found->postgresql.listen_hosts.empty());
        REQUIRE(!found->restapi.listen.empty() && !found->restapi.connect_address.empty());
        const std::string& verify = found->restapi.verify_client;
        REQUIRE(verify == "none" ||
                (!found->restapi.tls.certificate_file.empty() && !found->restapi.tls.ca_file.empty()));
        REQUIRE(found->restapi.authentication.username.empty() == found->restapi.authentication.password.empty());
        REQUIRE(found->prefix().starts_with('/') && found->prefix().ends_with('/') && !found->prefix().contains("//"));
    }
    (void)config::load_client_config("", environment);
    return 0;
}
