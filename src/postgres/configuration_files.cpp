#include "postgres/configuration_files.hpp"

#include "postgres/data_directory.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::postgres {
namespace {

/// The parameter a line of a configuration file sets, in lower case; empty for comments and the like.
std::string parameter_of(std::string_view line) {
    std::string name;
    const auto start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) return name;
    for (const char c : line.substr(start)) {
        const char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (!((small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') || small == '_')) break;
        name += small;
    }
    return name;
}

bool is_recovery_parameter(std::string_view name) {
    return name.starts_with("recovery_target") || name == "archive_cleanup_command" || name == "primary_conninfo" ||
           name == "primary_slot_name" || name == "promote_trigger_file" || name == "recovery_end_command" ||
           name == "recovery_min_apply_delay" || name == "restore_command";
}

std::string file_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string ConfigurationFiles::directory() const {
    const auto& postgresql = agent_.postgresql;
    return postgresql.config_dir.empty() ? postgresql.data_dir : postgresql.config_dir;
}

std::string ConfigurationFiles::postgresql_conf() const {
    return fmt::format("{}/{}.conf", directory(), agent_.postgresql.config_base_name);
}

std::string ConfigurationFiles::base_conf() const {
    return fmt::format("{}/{}.base.conf", directory(), agent_.postgresql.config_base_name);
}

std::string ConfigurationFiles::custom_conf(const json::object& dynamic) const {
    const json::object section = effective_section(agent_, dynamic);
    const json::value* custom = section.if_contains("custom_conf");
    return custom != nullptr && !custom->is_null() ? guc_text(*custom) : std::string();
}

std::string ConfigurationFiles::backup_of(const std::string& name) const {
    return fmt::format("{}/{}.backup", agent_.postgresql.data_dir, name);
}

Result<> ConfigurationFiles::keep_base() {
    if (file_exists(base_conf())) return {};
    auto own = read_file(postgresql_conf());
    if (!own && own.error().code != Errc::not_found) return fail("keeping the server's own configuration", own.error());
    // A file of ours that includes the base it lost would include itself; an empty base is what is left then.
    const std::string include = fmt::format("include {}", quote_guc(file_name(base_conf())));
    const bool is_ours = own && own->find(include) != std::string::npos;
    return write_file(base_conf(), own && !is_ours ? *own : std::string(), file_mode(agent_.postgresql.data_dir),
                      account_);
}

Result<ConfigurationFiles::Written> ConfigurationFiles::write(const Parameters& parameters, const json::object& dynamic,
                                                              Role role) {
    Written written;
    std::string base = custom_conf(dynamic);
    if (base.empty()) {
        if (auto kept = keep_base(); !kept) return std::unexpected(kept.error());
        base = file_name(base_conf());
    }
    const std::string text = postgresql_conf_text(base, agent_, parameters);
    if (auto changed = write_file_if_changed(postgresql_conf(), text, file_mode(agent_.postgresql.data_dir), account_))
        written.postgresql_conf = *changed;
    else
        return std::unexpected(changed.error());

    const auto write_lines = [&](const char* name, const char* parameter,
                                 const std::optional<std::string>& lines) -> Result<bool> {
        if (!lines || elsewhere(parameters, parameter)) return false;
        const std::string path = fmt::format("{}/{}", directory(), name);
        return write_file_if_changed(path, *lines, file_mode(agent_.postgresql.data_dir), account_);
    };
    auto hba = write_lines("pg_hba.conf", "hba_file", pg_hba_text(agent_, dynamic, role));
    if (!hba) return std::unexpected(hba.error());
    written.pg_hba = *hba;
    auto ident = write_lines("pg_ident.conf", "ident_file", pg_ident_text(agent_, dynamic, role));
    if (!ident) return std::unexpected(ident.error());
    written.pg_ident = *ident;

    if (auto clean = clean_auto_conf(); !clean) return std::unexpected(clean.error());
    return written;
}

Result<> ConfigurationFiles::write_pg_hba(const std::string& text) {
    const std::string path = directory() + "/pg_hba.conf";
    auto changed = write_file_if_changed(path, text, file_mode(agent_.postgresql.data_dir), account_);
    return changed ? Result<>() : std::unexpected(changed.error());
}

Result<> ConfigurationFiles::append_pg_hba(const std::vector<std::string>& lines) {
    if (lines.empty()) return {};
    auto present = read_file(directory() + "/pg_hba.conf");
    if (!present && present.error().code != Errc::not_found) return std::unexpected(present.error());
    std::string text = present.value_or("");
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    for (const std::string& line : lines) text += line + '\n';
    return write_pg_hba(text);
}

Result<bool> ConfigurationFiles::write_pgpass(const std::string& text) {
    const std::string& path = agent_.postgresql.pgpass;
    if (path.empty())
        return fail(Errc::invalid_input, "cannot write the password file: postgresql.pgpass is not set",
                    "set postgresql.pgpass to a file in a directory that only the database user may write");
    return write_file_if_changed(path, text, 0600, account_);
}

Result<> ConfigurationFiles::set_signal(Signal signal) {
    const std::string& directory = agent_.postgresql.data_dir;
    const std::string standby = directory + "/standby.signal", recovery = directory + "/recovery.signal";
    // First what is wanted, then away with the rest: between the two steps the stronger one, standby, holds.
    if (signal != Signal::none) {
        const std::string& wanted = signal == Signal::standby ? standby : recovery;
        if (!file_exists(wanted))
            if (auto written = write_file(wanted, "", file_mode(directory), account_); !written) return written;
    }
    for (const std::string& path : {standby, recovery, directory + "/recovery.conf"}) {
        if (path == standby && signal == Signal::standby) continue;
        if (path == recovery && signal == Signal::recovery) continue;
        if (auto removed = remove_file(path); !removed) return removed;
    }
    return {};
}

Signal ConfigurationFiles::signal() const {
    const std::string& directory = agent_.postgresql.data_dir;
    if (file_exists(directory + "/standby.signal")) return Signal::standby;
    return file_exists(directory + "/recovery.signal") ? Signal::recovery : Signal::none;
}

std::vector<std::string> ConfigurationFiles::kept_names() const {
    return {file_name(postgresql_conf()), file_name(base_conf()), "pg_hba.conf", "pg_ident.conf"};
}

Result<> ConfigurationFiles::save_copies() {
    for (const std::string& name : kept_names()) {
        auto text = read_file(fmt::format("{}/{}", directory(), name));
        if (!text && text.error().code == Errc::not_found) continue;
        if (!text) return fail("keeping a copy of the configuration", text.error());
        auto saved = write_file_if_changed(backup_of(name), *text, file_mode(agent_.postgresql.data_dir), account_);
        if (!saved) return fail("keeping a copy of the configuration", saved.error());
    }
    return {};
}

Result<> ConfigurationFiles::restore_copies() {
    for (const std::string& name : kept_names()) {
        const std::string path = fmt::format("{}/{}", directory(), name);
        if (file_exists(path)) continue;
        auto copy = read_file(backup_of(name));
        if (!copy && copy.error().code != Errc::not_found) return fail("restoring the configuration", copy.error());
        if (!copy && name != "pg_ident.conf") continue;
        if (auto written = write_file(path, copy.value_or(""), file_mode(agent_.postgresql.data_dir), account_);
            !written)
            return fail("restoring the configuration", written.error());
    }
    return {};
}

std::optional<std::string> ConfigurationFiles::elsewhere(const Parameters& parameters,
                                                         const std::string& parameter) const {
    const auto set = parameters.file.find(parameter);
    if (set == parameters.file.end()) return {};
    const std::string own = directory() + (parameter == "hba_file" ? "/pg_hba.conf" : "/pg_ident.conf");
    if (set->second == own) return {};
    return set->second;
}

Result<> ConfigurationFiles::clean_auto_conf() {
    const std::string path = agent_.postgresql.data_dir + "/postgresql.auto.conf";
    auto text = read_file(path);
    if (!text) return text.error().code == Errc::not_found ? Result<>() : std::unexpected(text.error());
    std::string kept;
    for (std::string_view left = *text; !left.empty();) {
        const auto end = left.find('\n');
        const std::string_view line = left.substr(0, end == std::string_view::npos ? end : end + 1);
        left.remove_prefix(line.size());
        if (!is_recovery_parameter(parameter_of(line))) kept += line;
    }
    if (kept == *text) return {};
    return write_file(path, kept, file_mode(agent_.postgresql.data_dir), account_);
}

}  // namespace pgkeel::postgres
