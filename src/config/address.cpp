#include "config/address.hpp"

#include <charconv>

namespace pgkeel::config {
namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port <= 65535;
}

std::string_view without_brackets(std::string_view host) {
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') return host.substr(1, host.size() - 2);
    return host;
}

}  // namespace

std::string Address::text() const {
    return host.contains(':') && !host.contains(',') ? "[" + host + "]:" + port : host + ":" + port;
}

bool is_any_host(std::string_view host) {
    return host.empty() || host == "*" || host == "0.0.0.0" || host == "::";
}

std::optional<Address> split_address(std::string_view text, std::string_view default_port) {
    text = trimmed(text);
    if (text.empty() || text.find_first_of(" \t\n\r/") != std::string_view::npos) return std::nullopt;
    const auto colon = text.rfind(':');
    const auto bracket = text.rfind(']');
    const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    const std::string_view host = has_port ? text.substr(0, colon) : text;
    const std::string_view port = has_port ? text.substr(colon + 1) : default_port;
    if (!is_port(port)) return std::nullopt;
    return Address{.host = std::string(without_brackets(host)), .port = std::string(port)};
}

}  // namespace pgkeel::config
