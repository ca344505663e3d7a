#include "cli/find_config.hpp"

#include "cli/superuser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace pgkeel::cli {

namespace {
constexpr const char* system_file = "/etc/pgkeel/pgkeel.yml";
constexpr const char* hint =
    "name an agent's file with -c, a local cluster's directory with --dir, or make one with `pgkeel up`";

bool is_there(const std::string& path) {
    std::error_code problem;
    return std::filesystem::exists(path, problem);
}
Result<config::AgentConfig> load(const std::string& path, const config::Environment& environment) {
    auto config = config::load_client_config(path, environment);
    if (config && config->postgresql.superuser.username.empty())
        config->postgresql.superuser = find_superuser(path, environment);
    return config;
}
}  // namespace

Result<config::AgentConfig> find_config(const ClusterChoice& choice, const config::Environment& environment) {
    if (!choice.config_file.empty()) {
        if (!is_there(choice.config_file))
            return fail(Errc::not_found, fmt::format("there is no file {}", choice.config_file),
                        "is the path after -c right?");
        return load(choice.config_file, environment);
    }
    std::string looked;
    if (choice.directory.empty()) {
        for (const char* variable : {"PGKEEL_CONFIG", "PATRONICTL_CONFIG_FILE"}) {
            const auto named = environment.find(variable);
            if (named == environment.end() || named->second.empty()) {
                looked += fmt::format("${} is not set; ", variable);
                continue;
            }
            if (!is_there(named->second))
                return fail(Errc::not_found,
                            fmt::format("there is no file {}, which ${} names", named->second, variable), hint);
            return load(named->second, environment);
        }
        const bool has_etcd = std::ranges::any_of(
            environment, [](const auto& entry) { return entry.first.starts_with("PATRONI_ETCD3_"); });
        if (has_etcd) return load("", environment);
        looked += "no PATRONI_ETCD3_* variable is set; ";
        if (is_there(system_file)) return load(system_file, environment);
        looked += fmt::format("there is no {}; ", system_file);
    }
    auto local = find_cluster_config(choice);
    if (!local && local.error().code != Errc::not_found) return std::unexpected(local.error());
    if (!local) {
        constexpr std::string_view prefix = "found no cluster: ";
        std::string text = local.error().text;
        if (text.starts_with(prefix)) text.erase(0, prefix.size());
        return fail(Errc::not_found, fmt::format("found no cluster: {}{}", looked, text), hint);
    }
    return load(*local, environment);
}

}  // namespace pgkeel::cli
