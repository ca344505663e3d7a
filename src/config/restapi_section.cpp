#include "config/address.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

namespace pgkeel::config {
namespace {

constexpr const char* default_port = "8008";

std::string normal(const std::string& written) {
    const auto address = split_address(written, default_port);
    return address ? address->text() : std::string();
}

Credentials read_credentials(const View& view, const std::string& section, Findings* findings) {
    Credentials out{.username = view.text(section + ".authentication.username"),
                    .password = view.text(section + ".authentication.password")};
    // Half a credential must not become none.
    if (findings != nullptr && out.username.empty() != out.password.empty())
        findings->error(section + ".authentication",
                        fmt::format("has no {}", out.username.empty() ? "username" : "password"));
    return out;
}

}  // namespace

RestApi read_restapi(const View& view, Findings& findings) {
    RestApi out;
    out.listen = normal(view.text("restapi.listen"));
    out.connect_address =
        view.has("restapi.connect_address") ? normal(view.text("restapi.connect_address")) : out.listen;
    if (const auto address = split_address(out.connect_address, default_port); address && is_any_host(address->host))
        findings.warn("restapi.connect_address",
                      fmt::format("'{}' is no address that other nodes could call", out.connect_address));
    out.authentication = read_credentials(view, "restapi", &findings);
    out.tls = {.ca_file = view.text("restapi.cafile"),
               .certificate_file = view.text("restapi.certfile"),
               .key_file = view.text("restapi.keyfile"),
               .key_password = view.text("restapi.keyfile_password")};
    out.ciphers = view.text("restapi.ciphers");
    out.verify_client = view.choice("restapi.verify_client");
    if (out.verify_client != "none" && (out.tls.certificate_file.empty() || out.tls.ca_file.empty()))
        findings.error("restapi.verify_client",
                       fmt::format("'{}' needs restapi.certfile and restapi.cafile", out.verify_client),
                       "without them nobody's certificate could be verified");
    out.allowlist = view.list("restapi.allowlist");
    out.allowlist_include_members = view.flag("restapi.allowlist_include_members");
    out.http_extra_headers = view.map("restapi.http_extra_headers");
    out.https_extra_headers = view.map("restapi.https_extra_headers");
    out.server_tokens = view.choice("restapi.server_tokens");
    return out;
}

Ctl read_ctl(const View& view, const RestApi& restapi) {
    Ctl out;
    out.authentication = read_credentials(view, "ctl", nullptr);
    if (out.authentication.empty()) out.authentication = restapi.authentication;
    out.insecure = view.flag("ctl.insecure");
    out.tls = {.ca_file = view.text("ctl.cacert"),
               .certificate_file = view.text("ctl.certfile"),
               .key_file = view.text("ctl.keyfile"),
               .key_password = view.text("ctl.keyfile_password")};
    if (out.tls.ca_file.empty()) out.tls.ca_file = restapi.tls.ca_file;
    return out;
}

std::string RestApi::api_url() const {
    return fmt::format("{}://{}/patroni", tls.certificate_file.empty() ? "http" : "https", connect_address);
}

}  // namespace pgkeel::config
