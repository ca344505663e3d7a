#include "cli/superuser.hpp"

#include "cli/files.hpp"
#include "config/credentials.hpp"
#include "config/yaml.hpp"

#include <boost/json/object.hpp>

#include <filesystem>

namespace pgkeel::cli {

namespace {
namespace json = boost::json;

json::value read_yaml(const std::string& path) {
    std::error_code problem;
    if (!std::filesystem::is_regular_file(path, problem)) return {};
    auto text = read_text(path);
    if (!text) return {};
    auto value = config::parse_yaml(*text, path);
    return value ? std::move(*value) : json::value();
}

/// What is at a path of keys; null when a step is missing.
json::value value_at(const json::value& in, std::initializer_list<const char*> keys) {
    const json::value* found = &in;
    for (const char* key : keys) {
        found = found->is_object() ? found->get_object().if_contains(key) : nullptr;
        if (found == nullptr) return {};
    }
    return *found;
}

/// The agent of this file may have got another password since it was written.
std::string password_now(const std::string& path, const json::value& file, const config::PgUser& user) {
    const json::value named = value_at(file, {"pgkeel", "credentials_file"});
    const std::string place =
        config::credentials_path(path, named.is_string() ? std::string(named.get_string()) : std::string());
    const auto rotated = config::load_credentials(place);
    if (!rotated) return user.password;
    config::Postgresql postgresql;
    postgresql.superuser = user;
    postgresql.superuser.configured_password = user.password;
    config::apply_credentials(*rotated, place, postgresql, nullptr);
    return postgresql.superuser.password;
}

void override_with(std::string& value, const config::Environment& environment, const char* variable) {
    if (const auto found = environment.find(variable); found != environment.end()) value = found->second;
}
}  // namespace

config::PgUser find_superuser(const std::string& path, const config::Environment& environment) {
    config::PgUser user;
    const json::value file = read_yaml(path);
    const json::value section = value_at(file, {"postgresql", "authentication", "superuser"});
    const json::object keys = section.is_object() ? section.get_object() : json::object{};
    for (const auto& [key, value] : keys) {
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
    user.password = password_now(path, file, user);
    return user;
}

}  // namespace pgkeel::cli
