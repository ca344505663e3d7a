#include "cli/superuser.hpp"

#include "cli/files.hpp"
#include "config/yaml.hpp"

#include <boost/json/object.hpp>

#include <filesystem>

namespace pgkeel::cli {

namespace {
namespace json = boost::json;

/// postgresql.authentication.superuser, or nothing.
json::object section_of(const std::string& path) {
    std::error_code problem;
    if (!std::filesystem::is_regular_file(path, problem)) return {};
    auto text = read_text(path);
    if (!text) return {};
    auto value = config::parse_yaml(*text, path);
    if (!value) return {};
    const json::value* found = &*value;
    for (const char* key : {"postgresql", "authentication", "superuser"}) {
        found = found->is_object() ? found->get_object().if_contains(key) : nullptr;
        if (found == nullptr) return {};
    }
    return found->is_object() ? found->get_object() : json::object{};
}

void override_with(std::string& value, const config::Environment& environment, const char* variable) {
    if (const auto found = environment.find(variable); found != environment.end()) value = found->second;
}
}  // namespace

config::PgUser find_superuser(const std::string& path, const config::Environment& environment) {
    config::PgUser user;
    for (const auto& [key, value] : section_of(path)) {
        if (!value.is_string()) continue;
        const std::string text(value.get_string());
        if (key == "username") {
            user.username = text;
        } else if (key == "password") {
            user.password = text;
        } else {
            user.connection[std::string(key)] = text;
        }
    }
    override_with(user.username, environment, "PATRONI_SUPERUSER_USERNAME");
    override_with(user.password, environment, "PATRONI_SUPERUSER_PASSWORD");
    return user;
}

}  // namespace pgkeel::cli
