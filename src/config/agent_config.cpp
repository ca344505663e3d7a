#include "config/agent_config.hpp"

#include "config/credentials.hpp"
#include "config/sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace pgkeel::config {
namespace {

/// Sections whose keys are read by a command that only talks to the cluster.
bool concerns_clients(std::string_view path) {
    const auto section = path.substr(0, path.find('.'));
    return section == "scope" || section == "namespace" || section == "etcd3" || section == "ctl" ||
           section == "restapi";
}

/// Sections whose keys are not checked here: those that the operator named, such as a way to bootstrap and ways to copy
/// a node, and the proxy's.
std::vector<std::string> sections_of_others(const View& view) {
    // One file can serve a proxy as well, which checks its section itself (pooler_yaml.cpp).
    std::vector<std::string> out{"proxy", "bootstrap." + view.text("bootstrap.method")};
    for (const char* path : {"postgresql.create_replica_methods", "postgresql.create_replica_method"})
        for (const std::string& method : view.list(path)) out.push_back("postgresql." + method);
    const json::object postgresql = view.object("postgresql");
    for (const auto& member : postgresql)
        if (const auto* section = member.value().if_object(); section != nullptr && section->contains("command"))
            out.push_back("postgresql." + std::string(member.key()));
    return out;
}

void check_sections(const View& view, bool client, Findings& findings) {
    const auto others = sections_of_others(view);
    for (const Finding& finding : check_keys(findings.source.values, agent_options(), others)) {
        if (client && !concerns_clients(finding.path)) continue;
        const bool is_extension = finding.path.starts_with("x-") || finding.path.starts_with(".");
        if (is_extension) continue;
        const Option* option = find_option(agent_options(), finding.path);
        const bool tolerated = finding.unknown || (option != nullptr && option->wrong == Wrong::is_warning);
        if (tolerated)
            findings.warn(finding.path, finding.text, finding.hint);
        else
            findings.error(finding.path, finding.text, finding.hint);
    }
    for (const Finding& finding : check_keys(view.object("pgkeel"), pgkeel_options()))
        findings.error("pgkeel." + finding.path, finding.text, finding.hint);
}

void check_required(const View& view, Findings& findings) {
    for (const Option& option : agent_options())
        if (option.required && view.text(option.path).empty())
            findings.error(std::string(option.path), fmt::format("is missing: {}", option.help));
    // Patroni's placeholder in synchronous_standby_names.
    if (view.text("name") == "__patroni_strict_sync_replica_placeholder__") findings.error("name", "is reserved");
    if (view.text("name").contains('/'))
        findings.error("name", "has a slash in it", "it becomes the last part of a key in etcd");
    for (const char* timeout : {"ttl", "loop_wait", "retry_timeout"})
        if (view.has(timeout))
            findings.warn(timeout, "has no effect here", "it belongs into the dynamic configuration, bootstrap.dcs");
    if (view.has("citus")) findings.warn("citus", "is not supported and is ignored");
}

Result<AgentConfig> finished(AgentConfig config, Findings findings) {
    if (findings.errors.empty()) {
        config.warnings.insert(config.warnings.end(), findings.warnings.begin(), findings.warnings.end());
        return config;
    }
    Error all = findings.errors.front();
    for (std::size_t i = 1; i < findings.errors.size(); ++i) {
        const Error& next = findings.errors[i];
        all.text += "; " + next.text;
        if (next.hint.empty()) continue;
        all.hint += (all.hint.empty() ? "" : "; ") + next.hint;
    }
    return std::unexpected(std::move(all));
}

AgentConfig read_common(const View& view, Source& source, Findings& findings) {
    AgentConfig config;
    config.source = source.name;
    config.warnings = source.warnings;
    config.scope = view.text("scope");
    config.namespace_ = view.text("namespace");
    config.name = view.text("name");
    config.restapi = read_restapi(view, findings);
    config.ctl = read_ctl(view, config.restapi);
    config.etcd = read_etcd(view, findings);
    return config;
}

void read_own(const View& view, AgentConfig& config, Findings& findings) {
    config.dynamic_commands = view.flag("pgkeel.dynamic_commands");
    config.guardian = view.flag("pgkeel.guardian");
    config.fence_command = view.text("pgkeel.fence_command");
    config.fence_timeout_seconds = static_cast<int>(view.number("pgkeel.fence_timeout"));
    config.storage_timeout_seconds = static_cast<int>(view.number("pgkeel.storage_timeout"));
    config.lost_wal_dir = view.text("pgkeel.lost_wal_dir");
    config.lost_wal_max_megabytes = static_cast<int>(view.number("pgkeel.lost_wal_max_size"));
    config.lost_wal_required = view.flag("pgkeel.lost_wal_required");
    if (config.lost_wal_dir.empty()) return;
    namespace fs = std::filesystem;
    const fs::path place = fs::path(config.lost_wal_dir).lexically_normal();
    const fs::path data = fs::path(config.postgresql.data_dir).lexically_normal();
    const bool inside = std::mismatch(data.begin(), data.end(), place.begin(), place.end()).first == data.end();
    if (!place.is_absolute())
        findings.error("pgkeel.lost_wal_dir", fmt::format("is '{}', and has to be an absolute path", place.string()));
    else if (inside)
        findings.error("pgkeel.lost_wal_dir",
                       fmt::format("is '{}', which is inside postgresql.data_dir", place.string()),
                       "pg_rewind and a fresh copy would remove it: name a directory beside it");
}

void read_rotated(AgentConfig& config, Findings& findings) {
    const auto rotated = load_credentials(config.credentials_file);
    if (!rotated) {
        findings.errors.push_back(rotated.error());
        return;
    }
    if (!rotated->roles.empty())
        if (auto open = everybody_can_read(config.credentials_file)) findings.warnings.push_back(std::move(*open));
    apply_credentials(*rotated, config.credentials_file, config.postgresql, &findings.warnings);
}

}  // namespace

void Findings::error(const std::string& path, const std::string& text, std::string hint) {
    errors.push_back({.code = Errc::invalid_input,
                      .text = fmt::format("{}: {} {}", source.place(path), path, text),
                      .hint = std::move(hint)});
}

void Findings::warn(const std::string& path, const std::string& text, const std::string& hint) {
    warnings.push_back(Error{.text = fmt::format("{}: {} {}", source.place(path), path, text), .hint = hint}.line());
}

std::string AgentConfig::prefix() const {
    const std::string written = "/" + namespace_ + "/" + scope + "/";
    std::string out;
    for (const char c : written)
        if (c != '/' || out.empty() || out.back() != '/') out += c;
    return out;
}

Result<AgentConfig> load_agent_config(const std::string& path, const Environment& environment) {
    auto source = read_source(path, environment);
    if (!source) return std::unexpected(std::move(source.error()));
    if (source->values.empty())
        return fail(Errc::invalid_input, fmt::format("{} configures nothing", source->name),
                    "name a file, or set PATRONI_* variables");
    json::object& values = source->values;
    if (const auto* older = find_value(values, "postgresql.name");
        older != nullptr && find_value(values, "name") == nullptr)
        values.insert_or_assign("name", json::value(*older));
    const View view(values);
    Findings findings{.source = *source, .errors = {}, .warnings = {}};
    check_sections(view, false, findings);
    check_required(view, findings);
    AgentConfig config = read_common(view, *source, findings);
    config.has_bootstrap = view.has("bootstrap");
    if (config.has_bootstrap) config.bootstrap = read_bootstrap(view, findings);
    config.postgresql = read_postgresql(view, environment, findings);
    config.watchdog = read_watchdog(view);
    read_own(view, config, findings);
    config.credentials_file = credentials_path(path, view.text("pgkeel.credentials_file"));
    read_rotated(config, findings);
    config.log = read_log(view, findings);
    ReadTags tags = read_tags(view.object("tags"), findings);
    config.tags = std::move(tags.tags);
    config.published_tags = std::move(tags.published);
    return finished(std::move(config), std::move(findings));
}

Result<AgentConfig> load_client_config(const std::string& path, const Environment& environment) {
    auto source = read_source(path, environment);
    if (!source) return std::unexpected(std::move(source.error()));
    const View view(source->values);
    Findings findings{.source = *source, .errors = {}, .warnings = {}};
    check_sections(view, true, findings);
    AgentConfig config = read_common(view, *source, findings);
    return finished(std::move(config), std::move(findings));
}

Watchdog read_watchdog(const View& view) {
    return {.mode = view.choice("watchdog.mode"),
            .device = view.text("watchdog.device"),
            .safety_margin_seconds = static_cast<int>(view.number("watchdog.safety_margin")),
            .driver = view.choice("watchdog.driver")};
}

}  // namespace pgkeel::config
