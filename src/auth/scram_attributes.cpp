#include "auth/scram_attributes.hpp"

#include <algorithm>

namespace pgkeel::auth {

std::optional<std::string_view> ScramAttributes::take(char name) {
    if (at_end_ || rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') return {};
    const auto comma = rest_.find(',');
    at_end_ = comma == std::string_view::npos;
    const std::string_view value = rest_.substr(2, at_end_ ? comma : comma - 2);
    rest_.remove_prefix(at_end_ ? rest_.size() : comma + 1);
    return value;
}

bool ScramAttributes::skip() {
    if (at_end_ || rest_.empty()) return false;
    const char name = rest_[0];
    const bool letter = (name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z');
    return letter && name != 'm' && take(name).has_value();
}

bool is_scram_nonce(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

}  // namespace pgkeel::auth
