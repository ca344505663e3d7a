#include "config/credentials.hpp"

#include "auth/scram.hpp"
#include "config/source.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace pgkeel::config {

namespace {

constexpr int format_version = 1;

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

Result<RotatedCredentials> parse_credentials(std::string_view text, const std::string& path) {
    const auto wrong = [&](const std::string& why) {
        // To go on with the configuration's own passwords would be to go on with those that the servers refuse.
        return fail(Errc::invalid_input, fmt::format("cannot use the rotated passwords in {}: {}", path, why),
                    "copy the file from another member whose configuration has the same passwords; or set the "
                    "passwords in the configuration and remove the file");
    };
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    if (error || !value.is_object()) return wrong("it is no JSON object");
    const json::object& object = value.get_object();
    const json::value* version = object.if_contains("version");
    if (version == nullptr || !version->is_int64() || version->get_int64() != format_version)
        return wrong(fmt::format("its version is not {}", format_version));
    RotatedCredentials credentials;
    credentials.rotation = text_at(object, "rotation");
    const json::value* switched = object.if_contains("switched");
    credentials.switched = switched != nullptr && switched->is_bool() && switched->get_bool();
    const json::value* roles = object.if_contains("roles");
    if (roles == nullptr || !roles->is_object()) return wrong("it has no roles");
    for (const auto& [name, entry] : roles->get_object()) {
        if (!entry.is_object()) return wrong(fmt::format("role {} is no object", std::string_view(name)));
        const json::object& role = entry.get_object();
        RotatedPassword rotated{text_at(role, "password"), text_at(role, "other"), text_at(role, "replaces")};
        if (rotated.password.empty()) return wrong(fmt::format("role {} has no password", std::string_view(name)));
        credentials.roles.emplace(name, std::move(rotated));
    }
    return credentials;
}

std::string write_credentials(const RotatedCredentials& credentials) {
    json::object roles;
    for (const auto& [name, entry] : credentials.roles) {
        json::object role{{"password", entry.password}};
        if (!entry.other.empty()) role["other"] = entry.other;
        role["replaces"] = entry.replaces;
        roles[name] = std::move(role);
    }
    json::object object{{"about", "set by `pgkeel rotate-credentials`; these win over the agent's configuration"},
                        {"version", format_version}};
    if (credentials.under_way()) {
        object["rotation"] = credentials.rotation;
        object["switched"] = credentials.switched;
    }
    object["roles"] = std::move(roles);
    return json::serialize(object) + "\n";
}

Result<RotatedCredentials> load_credentials(const std::string& path) {
    std::error_code problem;
    if (path.empty() || !std::filesystem::exists(path, problem)) {
        if (!problem) return RotatedCredentials{};
        return fail(Errc::io_error, fmt::format("cannot look at {}: {}", path, problem.message()),
                    "may this user read the directory it is in?");
    }
    auto text = read_file(path);
    if (!text) return std::unexpected(std::move(text.error()));
    return parse_credentials(*text, path);
}

std::string credentials_path(const std::string& path, const std::string& named) {
    if (!named.empty() || path.empty()) return named;
    const auto end = path.find_last_not_of('/');
    return end == std::string::npos ? std::string() : path.substr(0, end + 1) + ".credentials";
}

bool still_holds(const RotatedPassword& entry, const std::string& configured) {
    if (configured.empty()) return false;
    if (configured == entry.password || configured == entry.other) return true;
    const auto verifier = auth::ScramVerifier::parse(entry.replaces);
    return verifier && auth::verifier_matches(*verifier, configured);
}

void apply_credentials(const RotatedCredentials& credentials, const std::string& path, Postgresql& postgresql,
                       std::vector<std::string>* warnings) {
    for (PgUser* user : {&postgresql.superuser, &postgresql.replication, &postgresql.rewind}) {
        user->password = user->configured_password;
        user->other_password.clear();
        const auto entry = credentials.roles.find(user->username);
        if (entry == credentials.roles.end()) continue;
        if (still_holds(entry->second, user->configured_password)) {
            user->password = entry->second.password;
            user->other_password = entry->second.other;
            continue;
        }
        if (warnings == nullptr) continue;
        std::string warning = fmt::format(
            "the configuration has another password for role {} than the one that was rotated: {} is not used for it",
            user->username, path);
        if (std::ranges::find(*warnings, warning) == warnings->end()) warnings->push_back(std::move(warning));
    }
}

}  // namespace pgkeel::config
