#include "cli/config_report.hpp"

#include "config/agent_config.hpp"
#include "config/source.hpp"
#include "proxy/check_files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace pgkeel::cli {

namespace {
using config::PoolerConfig;
using config::Problem;

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string summary_of(const PoolerConfig& config) {
    std::vector<std::string> addresses;
    for (const config::Listener& listener : config.listeners) {
        const bool is_ipv6 = listener.host.contains(':');
        addresses.push_back(
            fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", listener.host, is_ipv6 ? "]" : "", listener.port));
    }
    const std::string& sockets = config.settings.unix_socket_dir;
    if (!sockets.empty()) addresses.push_back(fmt::format("a Unix socket in {}", sockets));
    return fmt::format("{}, {}, listens on {}", counted(config.databases.size(), "database", "databases"),
                       counted(config.users.size(), "user", "users"), fmt::join(addresses, ", "));
}

ConfigReport unreadable(const std::string& path, const Error& error) {
    ConfigReport report{.file = path, .errors = problems_from(error, path)};
    report.unreadable = error.code == Errc::io_error;
    return report;
}

ConfigReport check_proxy(const std::string& path, const config::Environment& environment) {
    auto reading = config::read_pooler_file(path, environment);
    if (!reading) return unreadable(path, reading.error());
    ConfigReport report{.file = path, .process = "proxy", .errors = reading->errors};
    report.warnings = reading->config.warnings;
    for (Problem& problem : proxy::check_files(reading->config))
        (problem.tolerated && reading->config.settings.pgbouncer_compat ? report.warnings : report.errors)
            .push_back(std::move(problem));
    report.summary = summary_of(reading->config);
    return report;
}

ConfigReport check_agent(const std::string& path, const config::Environment& environment) {
    const auto config = config::load_agent_config(path, environment);
    if (!config) {
        ConfigReport report = unreadable(path, config.error());
        if (!report.unreadable) report.process = "agent";
        return report;
    }
    ConfigReport report{.file = path, .process = "agent"};
    for (const std::string& warning : config->warnings) report.warnings.push_back(problem_from(warning, path));
    report.summary = fmt::format("node {} of cluster {}", config->name, config->scope);
    return report;
}

bool is_yaml(const std::string& path) {
    std::error_code ignored;
    return path.ends_with(".yml") || path.ends_with(".yaml") || std::filesystem::is_directory(path, ignored);
}

/// "p.ini:12" or "p.yml:12:3" in file and line; the line is 0 when there is none.
std::pair<std::string, int> file_and_line(const std::string& where) {
    const auto number_at = [&where](std::size_t colon, std::size_t end) {
        int number = 0;
        const auto read = std::from_chars(where.data() + colon + 1, where.data() + end, number);
        return read.ec == std::errc{} && read.ptr == where.data() + end ? number : 0;
    };
    const auto last = where.rfind(':');
    if (last == std::string::npos || last == 0) return {where, 0};
    const int after_last = number_at(last, where.size());
    if (after_last == 0) return {where, 0};
    const auto before = where.rfind(':', last - 1);
    if (before == std::string::npos) return {where.substr(0, last), after_last};
    const int line = number_at(before, last);
    if (line == 0) return {where.substr(0, last), after_last};
    return {where.substr(0, before), line};
}

boost::json::object to_json(const Problem& problem, std::string_view severity) {
    const auto [file, line] = file_and_line(problem.where);
    boost::json::object out{{"severity", severity}, {"file", file}, {"text", problem.text}};
    if (line != 0) out["line"] = line;
    if (!problem.hint.empty()) out["hint"] = problem.hint;
    return out;
}

std::string to_text(const Problem& problem, std::string_view severity) {
    std::string out = fmt::format("{}: {}: {}\n", problem.where, severity, problem.text);
    if (!problem.hint.empty()) out += fmt::format("  hint: {}\n", problem.hint);
    return out;
}
}  // namespace

Problem problem_from(const std::string& text, const std::string& file) {
    const auto end = text.find(": ");
    if (end != std::string::npos && file_and_line(text.substr(0, end)).second != 0)
        return {.where = text.substr(0, end), .text = text.substr(end + 2), .hint = {}};
    const std::string without_file = text.starts_with(file + ": ") ? text.substr(file.size() + 2) : text;
    return {.where = file, .text = without_file, .hint = {}};
}

std::vector<Problem> problems_from(const Error& error, const std::string& file) {
    std::vector<Problem> out;
    std::string_view rest = error.text;
    while (true) {
        // The next one begins with its place, which begins with the file.
        const std::size_t end = std::min(rest.find("; " + file), rest.size());
        out.push_back(problem_from(std::string(rest.substr(0, end)), file));
        if (end == rest.size()) break;
        rest.remove_prefix(end + 2);
    }
    out.back().hint = error.hint;
    return out;
}

int ConfigReport::exit_status() const {
    if (unreadable) return 1;
    return errors.empty() ? 0 : 2;
}

std::string ConfigReport::to_text() const {
    std::string out;
    for (const Problem& error : errors) out += cli::to_text(error, "error");
    for (const Problem& warning : warnings) out += cli::to_text(warning, "warning");
    std::string found = errors.empty() ? "no errors" : counted(errors.size(), "error", "errors");
    if (!warnings.empty()) found += ", " + counted(warnings.size(), "warning", "warnings");
    if (unreadable) found = "not readable";
    const std::string as = process.empty() ? "" : fmt::format("{}: ", process);
    out += fmt::format("{}: {}{}{}\n", file, as, errors.empty() ? summary + ": " : "", found);
    return out;
}

boost::json::object ConfigReport::to_json() const {
    boost::json::array problems;
    for (const Problem& error : errors) problems.push_back(cli::to_json(error, "error"));
    for (const Problem& warning : warnings) problems.push_back(cli::to_json(warning, "warning"));
    boost::json::object out{{"file", file}, {"errors", errors.size()}, {"warnings", warnings.size()}};
    if (!process.empty()) out["process"] = process;
    if (errors.empty()) out["summary"] = summary;
    out["problems"] = std::move(problems);
    return out;
}

std::vector<ConfigReport> check_config_file(const std::string& path, const config::Environment& environment) {
    if (!is_yaml(path)) return {check_proxy(path, environment)};
    // The file alone decides what it is for: a variable of the environment belongs to whoever runs this.
    const auto source = config::read_source(path, {});
    if (!source) return {unreadable(path, source.error())};
    const bool has_proxy = source->values.contains("proxy");
    constexpr std::array agents_sections{"name", "postgresql", "bootstrap", "restapi"};
    const bool has_agent = !has_proxy || std::ranges::any_of(agents_sections, [&source](std::string_view section) {
        return source->values.contains(section);
    });
    std::vector<ConfigReport> out;
    if (has_agent) out.push_back(check_agent(path, environment));
    if (has_proxy) out.push_back(check_proxy(path, environment));
    return out;
}

}  // namespace pgkeel::cli
