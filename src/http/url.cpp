#include "http/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace pgkeel::http {
namespace {

/// A URL may carry a password before '@', which no error text may show.
std::string without_password(std::string_view text) {
    const std::size_t at = text.rfind('@');
    if (at == std::string_view::npos) return std::string(text);
    const std::size_t scheme = text.find("://");
    const std::size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
    return at < start ? std::string(text) : fmt::format("{}***{}", text.substr(0, start), text.substr(at));
}

bool is_port(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 65535;
}

bool is_visible(char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
    const auto wrong = [text](std::string_view why) {
        return fail(Errc::invalid_input, fmt::format("'{}' is not a URL: {}", without_password(text), why),
                    "write it as http://host:port/path or https://host:port/path");
    };
    if (!std::ranges::all_of(text, is_visible)) return wrong("it holds a blank or a control character");
    Url url;
    std::string_view rest = text;
    if (rest.starts_with("https://")) {
        url.tls = true;
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else {
        return wrong("it begins neither with http:// nor with https://");
    }
    const std::size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
    std::string_view authority = rest.substr(0, authority_end);
    std::string_view target = rest.substr(authority_end);
    target = target.substr(0, target.find('#'));
    if (target.starts_with('?'))
        url.target = fmt::format("/{}", target);
    else if (!target.empty())
        url.target = target;

    if (authority.contains('@')) return wrong("a user and a password do not belong there");
    std::string_view port = url.tls ? "443" : "80";
    std::string_view after_host;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == std::string_view::npos) return wrong("']' is missing after the IPv6 address");
        url.host = authority.substr(1, end - 1);
        after_host = authority.substr(end + 1);
    } else {
        const std::size_t colon = std::min(authority.find(':'), authority.size());
        url.host = authority.substr(0, colon);
        after_host = authority.substr(colon);
    }
    if (!after_host.empty()) {
        if (!after_host.starts_with(':')) return wrong("something stands between ']' and the port");
        port = after_host.substr(1);
    }
    if (url.host.empty()) return wrong("the host is missing");
    if (!is_port(port)) return wrong(fmt::format("'{}' is not a port", port));
    url.port = port;
    return url;
}

std::string basic_authorization(std::string_view user, std::string_view password) {
    static constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::string plain = fmt::format("{}:{}", user, password);
    std::string out = "Basic ";
    for (std::size_t i = 0; i < plain.size(); i += 3) {
        const std::size_t have = std::min<std::size_t>(3, plain.size() - i);
        unsigned bits = 0;
        for (std::size_t k = 0; k < 3; ++k)
            bits = bits << 8 | (k < have ? static_cast<unsigned char>(plain[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k) out += k <= have ? alphabet[bits >> (18 - 6 * k) & 63U] : '=';
    }
    return out;
}

}  // namespace pgkeel::http
