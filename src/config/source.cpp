#include "config/source.hpp"

#include "config/dynamic_config.hpp"
#include "config/options.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

extern char** environ;

namespace pgkeel::config {
namespace {

namespace fs = std::filesystem;

bool names_a_secret(std::string_view key) {
    return key.ends_with("password") || key == "token";
}

bool holds_secrets(const json::value& value) {
    if (const auto* array = value.if_array()) return std::ranges::any_of(*array, holds_secrets);
    const auto* object = value.if_object();
    if (object == nullptr) return false;
    return std::ranges::any_of(*object, [](const auto& member) {
        const auto text = scalar_text(member.value());
        if (!text) return holds_secrets(member.value());
        const std::string_view key(member.key().data(), member.key().size());
        const bool credentials_in_url = (key == "url" || key == "proxy") && text->contains('@');
        return !text->empty() && (names_a_secret(key) || credentials_in_url);
    });
}

Result<> merge_file(const std::string& path, Source& source, bool only_file) {
    auto text = read_file(path);
    if (!text) return std::unexpected(std::move(text.error()));
    auto value = parse_yaml(*text, path, &source.places);
    if (!value) return std::unexpected(std::move(value.error()));
    auto* object = value->if_object();
    if (object == nullptr)
        return fail(Errc::invalid_input, fmt::format("{}: holds no keys", path),
                    "a configuration is a map of sections");
    if (holds_secrets(*value))
        if (auto warning = everybody_can_read(path)) source.warnings.push_back(std::move(*warning));
    if (only_file)
        source.values = std::move(*object);
    else
        merge_patch(source.values, *object);
    return {};
}

Result<std::vector<std::string>> files_of(const std::string& path) {
    std::error_code error;
    const auto kind = fs::status(path, error).type();
    if (kind == fs::file_type::not_found)
        return fail(Errc::io_error, fmt::format("{} does not exist", path), "which file configures this node?");
    if (kind != fs::file_type::directory) return std::vector{path};
    std::vector<std::string> files;
    for (fs::directory_iterator entry(path, error); !error && entry != fs::directory_iterator();
         entry.increment(error)) {
        const std::string extension = entry->path().extension();
        std::error_code ignored;
        if ((extension == ".yml" || extension == ".yaml") && entry->is_regular_file(ignored))
            files.push_back(entry->path());
    }
    if (error) return fail(Errc::io_error, fmt::format("cannot read directory {}: {}", path, error.message()));
    if (files.empty()) return fail(Errc::io_error, fmt::format("directory {} has no *.yml and no *.yaml", path));
    std::ranges::sort(files);
    return files;
}

}  // namespace

std::optional<std::string> everybody_can_read(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0 || (status.st_mode & S_IROTH) == 0) return std::nullopt;
    return fmt::format("{} holds passwords and every user of this machine can read it (run `chmod o-r {}`)", path,
                       path);
}

Result<std::string> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return fail(Errc::io_error, fmt::format("cannot read {}: {}", path, std::strerror(errno)),
                    "does it exist, and may this user read it?");
    std::ostringstream text;
    text << in.rdbuf();
    if (in.bad()) return fail(Errc::io_error, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
    return std::move(text).str();
}

Environment process_environment() {
    Environment out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto equals = text.find('=');
        if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return out;
}

std::string Source::place(std::string path) const {
    while (true) {
        if (const auto found = places.find(path); found != places.end()) return found->second;
        const auto cut = path.find_last_of(".[");
        if (cut == std::string::npos) return name;
        path.resize(cut);
    }
}

Result<Source> read_source(const std::string& path, const Environment& environment) {
    Source source;
    if (!path.empty()) {
        source.name = path;
        const auto files = files_of(path);
        if (!files) return std::unexpected(files.error());
        for (const std::string& file : *files)
            if (auto merged = merge_file(file, source, files->size() == 1); !merged)
                return std::unexpected(std::move(merged.error()));
    } else if (const auto text = environment.find("PATRONI_CONFIGURATION");
               text != environment.end() && !text->second.empty()) {
        source.name = "environment variable PATRONI_CONFIGURATION";
        auto value = parse_yaml(text->second, source.name, &source.places);
        if (!value) return std::unexpected(std::move(value.error()));
        auto* object = value->if_object();
        if (object == nullptr) return fail(Errc::invalid_input, fmt::format("{}: holds no keys", source.name));
        source.values = std::move(*object);
        return source;  // Patroni does not look at the other variables then
    } else {
        source.name = "the environment";
    }
    if (auto applied = apply_environment(environment, source); !applied)
        return std::unexpected(std::move(applied.error()));
    return source;
}

}  // namespace pgkeel::config
