#include "config/pooler.hpp"
#include "config/source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace pgkeel::config {

Result<PoolerReading> read_pooler_file(const std::string& path, const Environment& environment) {
    std::error_code ignored;
    if (path.empty() || path.ends_with(".yml") || path.ends_with(".yaml") ||
        std::filesystem::is_directory(path, ignored))
        return read_pooler_yaml(path, environment);
    const auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    PoolerReading reading = read_pooler_ini(*text, path, read_file);
    // A password may stand in an included file as well.
    std::vector<std::string> files;
    for (const auto& [name, entry] : reading.config.databases) {
        if (entry.password.empty()) continue;
        const std::string place = reading.config.place("databases." + name);
        files.push_back(place.substr(0, place.rfind(':')));
    }
    std::ranges::sort(files);
    const auto repeated = std::ranges::unique(files);
    files.erase(repeated.begin(), repeated.end());
    for (const std::string& file : files)
        if (const auto warning = everybody_can_read(file))
            reading.config.warnings.push_back({.where = file, .text = *warning, .hint = ""});
    return reading;
}

Result<PoolerConfig> load_pooler_config(const std::string& path, const Environment& environment) {
    auto reading = read_pooler_file(path, environment);
    if (!reading) return std::unexpected(std::move(reading.error()));
    if (reading->errors.empty()) return std::move(reading->config);
    Error all{.code = Errc::invalid_input, .text = {}, .hint = {}};
    for (const Problem& problem : reading->errors) {
        all.text += fmt::format("{}{}: {}", all.text.empty() ? "" : "; ", problem.where, problem.text);
        if (!problem.hint.empty()) all.hint += (all.hint.empty() ? "" : "; ") + problem.hint;
    }
    return std::unexpected(std::move(all));
}

}  // namespace pgkeel::config
