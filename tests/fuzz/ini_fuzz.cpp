#include "config/pooler.hpp"
#include "config/pooler_compare.hpp"
#include "config/pooler_settings.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>

// Whatever is in the file: a configuration, or problems that say where. What SHOW CONFIG prints, SET reads back; a line
// of pairs that was understood is printed and understood again.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgkeel;
    using namespace pgkeel::config;
    const std::string text(reinterpret_cast<const char*>(data), size);

    // "self" includes the same bytes again, up to what the reader allows.
    const auto files = [&](const std::string& path) -> Result<std::string> {
        if (path.starts_with("self")) return text;
        return fail(Errc::not_found, "there is no " + path);
    };
    if (size < 4096 || !text.contains("self")) {
        const PoolerReading reading = read_pooler_ini(text, "file", files);
        for (const Problem& problem : reading.errors) REQUIRE(!problem.where.empty() && !problem.text.empty());

        PoolerSettings again;
        for (const ShownSetting& shown : show_pooler_settings(reading.config.settings))
            if (!shown.secret) REQUIRE(set_pooler_setting(again, shown.key, shown.value.value_or("")));
        again.auth_ldap_options = reading.config.settings.auth_ldap_options;
        REQUIRE(again == reading.config.settings);
        REQUIRE(compare(reading.config, reading.config).empty());
    }

    if (const auto pairs = parse_ini_pairs(text)) {
        const auto again = parse_ini_pairs(print_ini_pairs(*pairs));
        REQUIRE(again && *again == *pairs);
    }
    if (!text.empty() && text.find_first_of(std::string("\n\0", 2)) == std::string::npos) {
        const Ini ini = parse_ini("[a]\n" + print_ini_key(text) + " = v\n", "file", files);
        REQUIRE(ini.problems.empty() && ini.sections.size() == 1);
        REQUIRE(ini.sections[0].entries.size() == 1 && ini.sections[0].entries[0].key == text);
    }
    return 0;
}
