#include "config/address.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <array>

namespace pgkeel::config {
namespace {

struct Url {
    std::string protocol;
    Credentials user;
    Address address;
};

std::string decoded(std::string_view text) {
    std::string out;
    const auto digit = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
            out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// http(s)://[user[:password]@]host[:port][/]
std::optional<Url> parse_url(std::string_view text, std::string_view default_port) {
    Url out;
    const auto scheme = text.find("://");
    if (scheme == std::string_view::npos) return std::nullopt;
    out.protocol = text.substr(0, scheme);
    if (out.protocol != "http" && out.protocol != "https") return std::nullopt;
    text.remove_prefix(scheme + 3);
    text = text.substr(0, text.find_first_of("/?#"));
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        const auto user = text.substr(0, at);
        const auto colon = user.find(':');
        out.user.username = decoded(user.substr(0, colon));
        if (colon != std::string_view::npos) out.user.password = decoded(user.substr(colon + 1));
        text.remove_prefix(at + 1);
    }
    auto address = split_address(text, default_port);
    if (!address || address->host.empty()) return std::nullopt;
    out.address = std::move(*address);
    return out;
}

void other_store(const View& view, Findings& findings) {
    constexpr std::array stores{"consul", "zookeeper", "exhibitor", "kubernetes", "raft"};
    if (view.has("etcd")) {
        findings.error("etcd", "is etcd's v2 protocol, which is not spoken here",
                       "use section etcd3; keys written with one protocol cannot be seen with the other");
        return;
    }
    for (const char* store : stores)
        if (view.has(store)) {
            findings.error(store, "is a store that is not supported",
                           "the cluster's state is kept in etcd: add section etcd3");
            return;
        }
    findings.error("etcd3", "is missing: where is etcd?", "add section etcd3 with hosts, or set PATRONI_ETCD3_HOSTS");
}

/// One endpoint of `host` or `hosts`; a whole URL is understood too.
void add_endpoint(const std::string& written, const std::string& path, const std::string& protocol,
                  const std::string& port, Etcd& etcd, Findings& findings) {
    if (written.contains("://")) {
        if (const auto url = parse_url(written, port))
            etcd.endpoints.push_back(fmt::format("{}://{}", url->protocol, url->address.text()));
        else
            findings.error(path, "holds a URL that is not http(s)://host:port");
        return;
    }
    const auto address = split_address(written, port);
    if (!address || address->host.empty() || address->host.contains(','))
        findings.error(path, fmt::format("'{}' is no host:port", written.contains('@') ? "…" : written));
    else
        etcd.endpoints.push_back(fmt::format("{}://{}", protocol, address->text()));
}

}  // namespace

Etcd read_etcd(const View& view, Findings& findings) {
    Etcd etcd;
    if (!view.has("etcd3")) {
        other_store(view, findings);
        return etcd;
    }
    if (view.has("etcd")) findings.warn("etcd", "is ignored: etcd3 is there");
    etcd.authentication = {.username = view.text("etcd3.username"), .password = view.text("etcd3.password")};
    etcd.tls = {.ca_file = view.text("etcd3.cacert"),
                .certificate_file = view.text("etcd3.cert"),
                .key_file = view.text("etcd3.key"),
                .key_password = {}};
    etcd.use_proxies = view.flag("etcd3.use_proxies") || view.has("etcd3.proxy");

    // Patroni's order: proxy, url, hosts, host.
    const std::string protocol = view.choice("etcd3.protocol");
    const std::string port = view.text("etcd3.port");
    if (const std::string path = view.has("etcd3.proxy") ? "etcd3.proxy" : "etcd3.url"; view.has(path)) {
        const auto url = parse_url(view.text(path), "2379");
        if (url) {
            etcd.endpoints.push_back(fmt::format("{}://{}", url->protocol, url->address.text()));
            if (!url->user.empty()) etcd.authentication = url->user;
        } else {
            findings.error(path, "is not http(s)://host:port");
        }
    } else if (view.has("etcd3.hosts")) {
        for (const std::string& host : view.list("etcd3.hosts"))
            add_endpoint(host, "etcd3.hosts", protocol, port, etcd, findings);
        if (etcd.endpoints.empty() && findings.errors.empty()) findings.error("etcd3.hosts", "is empty");
    } else if (view.has("etcd3.host")) {
        add_endpoint(view.text("etcd3.host"), "etcd3.host", protocol, port, etcd, findings);
    } else if (view.has("etcd3.srv")) {
        findings.error("etcd3.srv", "is not supported: endpoints are not looked up in DNS", "name them in etcd3.hosts");
    } else {
        findings.error("etcd3", "names no endpoint", "set hosts, host or url");
    }
    if (view.has("etcd3.srv") && !etcd.endpoints.empty()) findings.warn("etcd3.srv", "is ignored: endpoints are named");
    if (!etcd.tls.ca_file.empty() && !etcd.endpoints.empty() && etcd.endpoints.front().starts_with("http://"))
        findings.warn("etcd3.cacert", "has no effect: etcd is reached by http", "set etcd3.protocol: https");
    return etcd;
}

}  // namespace pgkeel::config
