#include "auth/base64.hpp"

#include <cstdint>

namespace pgkeel::auth {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::uint32_t> value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return {};
}

}  // namespace

SecretText base64_encode(std::string_view bytes) {
    SecretText text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k)
            text.push_back(i + k <= bytes.size() ? alphabet[group >> (18 - 6 * k) & 63] : '=');
    }
    return text;
}

std::optional<SecretText> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return {};
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;

    SecretText bytes;
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const std::size_t given = i + 4 == text.size() ? 4 - padding : 4;  // characters that are not padding
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const auto value = k < given ? value_of(text[i + k]) : 0U;
            if (!value) return {};
            group = group << 6 | *value;
        }
        const std::uint32_t unused = given == 4 ? 0 : given == 3 ? 0xFF : 0xFFFF;
        if ((group & unused) != 0) return {};
        for (std::size_t k = 0; k + 1 < given; ++k) bytes.push_back(static_cast<char>(group >> (16 - 8 * k) & 0xFF));
    }
    return bytes;
}

}  // namespace pgkeel::auth
