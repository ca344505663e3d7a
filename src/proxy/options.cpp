#include "proxy/options.hpp"

#include "base/version.hpp"
#include "config/pooler_settings.hpp"

#include <fmt/format.h>

#include <string_view>

namespace pgkeel::proxy {

std::string version_line() {
    return std::string("pgkeel ") + version();
}

Result<> apply_options(const Options& options, config::PoolerConfig& config) {
    if (!options.user.empty()) config.settings.user = options.user;
    if (!config.places.contains("verbose")) config.settings.verbose = options.verbose;
    for (const std::string& setting : options.settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos)
            return fail(Errc::invalid_input, fmt::format("--set {}: there is no =", setting), "write --set threads=4");
        if (auto set = config::set_pooler_setting(config.settings, std::string_view(setting).substr(0, equals),
                                                  std::string_view(setting).substr(equals + 1));
            !set)
            return fail("--set " + setting, std::move(set.error()));
    }
    return {};
}

}  // namespace pgkeel::proxy
