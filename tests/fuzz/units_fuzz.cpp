#include "config/dynamic_config.hpp"
#include "require.hpp"

#include <boost/json/value.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <string>

// The first byte chooses the base unit, the rest is the value.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgkeel::config;
    constexpr std::array<std::string_view, 9> bases{"", "B", "kB", "8kB", "MB", "16MB", "ms", "s", "min"};
    if (size == 0) return 0;
    const std::string_view base = bases[data[0] % bases.size()];
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto value = parse_with_unit(text, base);
    if (value) {
        REQUIRE(std::isfinite(*value));
        REQUIRE(parse_with_unit(" " + text + "\n", base) == value);
        // A number alone means the same in every base, and no number has two kinds of unit.
        if (const auto alone = parse_with_unit(text, "")) REQUIRE(*alone == *value);
        const bool as_size = parse_with_unit(text, "kB").has_value();
        const bool as_time = parse_with_unit(text, "s").has_value();
        REQUIRE(as_size || as_time);
        REQUIRE(!(as_size && as_time) || parse_with_unit(text, "").has_value());
    }
    // The base may come from pg_settings.unit.
    if (const auto any = parse_with_unit("1", text)) REQUIRE(*any == 1);
    (void)parse_with_unit("1kB", text);
    (void)parse_bool(json::value(json::string(text)));
    return 0;
}
