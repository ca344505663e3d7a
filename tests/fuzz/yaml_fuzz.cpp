#include "config/yaml.hpp"
#include "require.hpp"

#include <boost/json/value.hpp>

#include <cstdint>
#include <string>

// Whatever is in the file: a value within the limits, or an error that says where. What is printed reads back the same.

namespace {

namespace json = boost::json;
using namespace pgkeel;

std::size_t depth_of(const json::value& value) {
    std::size_t deepest = 0;
    if (const auto* object = value.if_object())
        for (const auto& member : *object) deepest = std::max(deepest, depth_of(member.value()));
    else if (const auto* array = value.if_array())
        for (const auto& element : *array) deepest = std::max(deepest, depth_of(element));
    else
        return 0;
    return deepest + 1;
}

/// YAML gives a key no more than 1024 characters on its line, so the printer's promise ends there.
bool has_long_key(const json::value& value) {
    if (const auto* object = value.if_object()) {
        for (const auto& member : *object)
            if (member.key().size() > 200 || has_long_key(member.value())) return true;
    } else if (const auto* array = value.if_array()) {
        for (const auto& element : *array)
            if (has_long_key(element)) return true;
    }
    return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    config::Places places;
    const auto value = config::parse_yaml(text, "file", &places);
    if (!value) {
        REQUIRE(value.error().code == Errc::invalid_input);
        REQUIRE(value.error().text.starts_with("file:"));
        return 0;
    }
    REQUIRE(depth_of(*value) <= 64);
    if (size > 4096 || has_long_key(*value)) return 0;
    const std::string printed = config::to_yaml(*value);
    const auto back = config::parse_yaml(printed, "printed");
    if (!back) std::fprintf(stderr, "%s\n%s\n", back.error().text.c_str(), printed.c_str());
    REQUIRE(back);
    REQUIRE(*back == *value);
    return 0;
}
