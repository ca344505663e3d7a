#include "cli/cluster_choice.hpp"

#include "cli/commands.hpp"
#include "local/layout.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <filesystem>

namespace pgkeel::cli {

std::string local_directory(const std::string& given) {
    if (given.empty()) return local::current_directory().value_or(local::default_directory());
    std::string path = std::filesystem::absolute(given).lexically_normal();
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path;
}

void add_cluster_options(CLI::App& command, ClusterChoice& choice) {
    auto* file =
        command.add_option("-c,--config-file", choice.config_file, "an agent's file, or one for commands alone");
    command.add_option("--dir", choice.directory, directory_help)->excludes(file);
}

Result<std::string> find_cluster_config(const ClusterChoice& choice) {
    if (!choice.config_file.empty()) return choice.config_file;
    const std::string directory = local_directory(choice.directory);
    const std::string file = local::Layout{directory}.client_config();
    std::error_code error;
    if (std::filesystem::exists(file, error)) return file;
    if (error)
        return fail(Errc::denied, fmt::format("cannot look at {}: {}", file, error.message()),
                    "run the command as the user who started the cluster, or as root");
    return fail(Errc::not_found, fmt::format("found no cluster: there is no {}", file),
                "name an agent's file with -c, a local cluster's directory with --dir, or make one with `pgkeel up`");
}

}  // namespace pgkeel::cli
