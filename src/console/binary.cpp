#include "console/binary.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <vector>

namespace pgkeel::console {
namespace {

template <class Unsigned>
void append_big_endian(std::string& out, Unsigned value) {
    for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
        out += static_cast<char>(static_cast<unsigned char>(value >> shift));
}

template <class Integer>
Integer number(const std::string& text) {
    Integer value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec == std::errc::result_out_of_range)
        return text.starts_with('-') ? std::numeric_limits<Integer>::min() : std::numeric_limits<Integer>::max();
    return value;
}

/// Digits of base 10 000, the most significant one first and the zeros at the end left out, after their count, the
/// weight of the first, the sign and the number of decimals.
std::string numeric_value(const std::string& text) {
    const bool negative = text.starts_with('-');
    std::string decimal = text.substr(negative ? 1 : 0);
    decimal.insert(0, (4 - decimal.size() % 4) % 4, '0');
    std::vector<std::uint16_t> digits;
    for (std::size_t at = 0; at < decimal.size(); at += 4)
        digits.push_back(number<std::uint16_t>(decimal.substr(at, 4)));
    digits.erase(digits.begin(), std::ranges::find_if(digits, [](std::uint16_t digit) { return digit != 0; }));
    const auto weight = static_cast<std::uint16_t>(digits.empty() ? 0 : digits.size() - 1);
    while (!digits.empty() && digits.back() == 0) digits.pop_back();

    std::string out;
    append_big_endian(out, static_cast<std::uint16_t>(digits.size()));
    append_big_endian(out, weight);
    append_big_endian(out, static_cast<std::uint16_t>(negative && !digits.empty() ? 0x4000 : 0));
    append_big_endian(out, std::uint16_t{0});
    for (const std::uint16_t digit : digits) append_big_endian(out, digit);
    return out;
}

}  // namespace

std::string binary_value(Type type, const std::string& text) {
    std::string out;
    switch (type) {
        case Type::int4:
            append_big_endian(out, static_cast<std::uint32_t>(number<std::int32_t>(text)));
            return out;
        case Type::int8:
            append_big_endian(out, static_cast<std::uint64_t>(number<std::int64_t>(text)));
            return out;
        case Type::numeric:
            return numeric_value(text);
        case Type::text:
            return text;
    }
    return text;
}

}  // namespace pgkeel::console
