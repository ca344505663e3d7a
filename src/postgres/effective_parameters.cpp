#include "postgres/effective_parameters.hpp"

#include "config/dynamic_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace pgkeel::postgres {
namespace {

/// A parameter that must agree on all nodes. Its value comes from the dynamic configuration, or is `standard`.
struct Controlled {
    std::string_view name, standard;
    double min;                   ///< of numbers, in the parameter's unit
    bool on_command_line = true;  ///< so that ALTER SYSTEM cannot change it
};
constexpr Controlled controlled_parameters[] = {
    {"hot_standby", "on", 0},
    {"max_connections", "100", 25},
    {"max_locks_per_transaction", "64", 32},
    {"max_prepared_transactions", "0", 0},
    {"max_replication_slots", "10", 4},
    {"max_wal_senders", "10", 3},
    {"max_worker_processes", "8", 2},
    {"track_commit_timestamp", "off", 0},
    {"wal_keep_size", "128MB", 16, false},
    {"wal_level", "replica", 0},
    {"wal_log_hints", "on", 0},
};
constexpr std::string_view derived_parameters[] = {"cluster_name", "listen_addresses", "port"};

/// A standby refuses to start with less than its primary had (PostgreSQL, "Hot Standby Administrator's Overview").
struct Floor {
    std::string_view name, control_name;
};
constexpr Floor standby_floors[] = {
    {"max_connections", "max_connections"},
    {"max_locks_per_transaction", "max_locks_per_xact"},
    {"max_prepared_transactions", "max_prepared_xacts"},
    {"max_wal_senders", "max_wal_senders"},
    {"max_worker_processes", "max_worker_processes"},
};

constexpr std::string_view recovery_parameters[] = {
    "archive_cleanup_command",   "primary_conninfo",         "primary_slot_name",    "promote_trigger_file",
    "recovery_end_command",      "recovery_min_apply_delay", "recovery_target",      "recovery_target_action",
    "recovery_target_inclusive", "recovery_target_lsn",      "recovery_target_name", "recovery_target_time",
    "recovery_target_timeline",  "recovery_target_xid",      "restore_command",
};

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

/// PostgreSQL's spelling of the name, or lower case for names it does not know.
std::string canonical(std::string_view name) {
    const Guc* guc = find_guc(name);
    return guc != nullptr ? std::string(guc->name) : lower(name);
}

bool is_controlled(std::string_view name) {
    const std::string text = lower(name);
    return text == "wal_keep_segments" || std::ranges::find(derived_parameters, text) != std::end(derived_parameters) ||
           std::ranges::find(controlled_parameters, text, &Controlled::name) != std::end(controlled_parameters);
}

const json::object& object_in(const json::object& parent, std::string_view key) {
    static const json::object none;
    const json::value* value = parent.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : none;
}

const json::value* find_ignoring_case(const json::object& object, std::string_view name) {
    for (const auto& [key, value] : object)
        if (lower(key) == name) return value.is_null() ? nullptr : &value;
    return nullptr;
}

/// The word that ends the keys for one role: parameters_primary, pg_hba_replica, …
std::string_view role_word(Role role) {
    switch (role) {
        case Role::primary:
            return "primary";
        case Role::standby_leader:
            return "standby_leader";
        default:
            return "replica";
    }
}

/// Collects the parameters of one node, and what there was to say about them.
class Collector {
  public:
    explicit Collector(const ParameterInput& input)
        : input_(input), section_(effective_section(input.agent, input.dynamic)) {}

    Parameters collect() {
        add_user_parameters(object_in(section_, "parameters"));
        add_user_parameters(object_in(section_, fmt::format("parameters_{}", role_word(input_.role))));
        add_standards();
        add_controlled();
        add_derived();
        for (const auto& [name, value] : input_.overrides) result_.file[canonical(name)] = value;
        if (input_.role != Role::primary) {
            raise_to_control_file();
            add_recovery();
        }
        for (const auto& [name, value] : result_.recovery) result_.file.erase(name);
        return std::move(result_);
    }

  private:
    void add_user_parameters(const json::object& parameters) {
        for (const auto& [key, value] : parameters) {
            const std::string name = canonical(key);
            if (value.is_null() || name == "wal_keep_segments") continue;
            if (is_controlled(name)) {
                if (find_ignoring_case(object_in(input_.agent.postgresql.section, "parameters"), name) != nullptr)
                    warn("parameter {} must agree on all nodes: set it in the dynamic configuration, ignored here",
                         name);
                continue;
            }
            if (name == "config_file" || name == "data_directory") {
                warn("parameter {} follows from the agent's file, dropped", name);
                continue;
            }
            if (!may_set(name, value)) continue;
            if (auto valid = valid_guc(name, guc_text(value), result_.warnings)) result_.file[name] = std::move(*valid);
        }
    }

    /// What we set when nobody else does.
    void add_standards() {
        // A promotion that comes just before a standby looks for its lost primary again waits this long: 5 s by
        // default.
        result_.file.try_emplace("wal_retrieve_retry_interval", "100ms");
        for (const char* name : {"hba_file", "ident_file"})
            if (const auto file = result_.file.find(name);
                file != result_.file.end() && !file->second.starts_with('/')) {
                const auto& postgresql = input_.agent.postgresql;
                file->second = fmt::format(
                    "{}/{}", postgresql.config_dir.empty() ? postgresql.data_dir : postgresql.config_dir, file->second);
            }
    }

    void add_controlled() {
        const json::object& dynamic = object_in(object_in(input_.dynamic, "postgresql"), "parameters");
        for (const Controlled& controlled : controlled_parameters) {
            std::string value(controlled.standard);
            if (const json::value* wanted = find_ignoring_case(dynamic, controlled.name)) {
                if (auto valid = controlled_value(controlled, guc_text(*wanted)))
                    value = std::move(*valid);
                else
                    warn("parameter {}: {} is not allowed in a cluster, {} is used", controlled.name, guc_text(*wanted),
                         value);
            } else if (controlled.name == "wal_keep_size") {
                if (auto converted = from_wal_keep_segments(dynamic)) value = std::move(*converted);
            }
            set_controlled(controlled.name, std::move(value), controlled.on_command_line);
        }
    }

    std::optional<std::string> controlled_value(const Controlled& controlled, const std::string& text) {
        if (controlled.name == "wal_level") {
            const std::string level = lower(text);
            if (level == "hot_standby" || level == "replica") return "replica";
            if (level == "logical") return level;
            return {};
        }
        const Guc& guc = *find_guc(controlled.name);
        if (guc.type == GucType::boolean) {
            const auto wanted = config::parse_bool(json::value(text));
            if (!wanted || (controlled.name == "hot_standby" && !*wanted)) return {};
            return *wanted ? "on" : "off";
        }
        const auto number = config::parse_with_unit(text, guc.unit);
        if (!number || std::round(*number) < controlled.min) return {};
        return valid_guc(controlled.name, text, result_.warnings);
    }

    /// Before PostgreSQL 13 the size was counted in segments; 16 MB is what nearly everybody has.
    static std::optional<std::string> from_wal_keep_segments(const json::object& dynamic) {
        const json::value* segments = find_ignoring_case(dynamic, "wal_keep_segments");
        if (segments == nullptr) return {};
        const auto count = config::parse_with_unit(guc_text(*segments), "");
        if (!count || *count < 1 || *count > 100'000'000) return {};
        return fmt::format("{}MB", static_cast<std::int64_t>(*count) * 16);
    }

    void add_derived() {
        const auto& postgresql = input_.agent.postgresql;
        std::string hosts;
        for (const std::string& host : postgresql.listen_hosts) hosts += (hosts.empty() ? "" : ",") + host;
        set_controlled("listen_addresses", hosts.empty() ? "*" : hosts, true);
        set_controlled("port", postgresql.listen_port, true);
        set_controlled("cluster_name", input_.agent.scope, true);
    }

    void set_controlled(std::string_view name, std::string value, bool on_command_line) {
        if (on_command_line) result_.command_line[std::string(name)] = value;
        result_.file[std::string(name)] = std::move(value);
    }

    void raise_to_control_file() {
        if (!input_.control) return;
        for (const Floor& floor : standby_floors) {
            const auto& settings = input_.control->settings;
            auto seen = settings.find(std::string(floor.name));
            if (seen == settings.end()) seen = settings.find(std::string(floor.control_name));
            std::string& value = result_.command_line.at(std::string(floor.name));
            const auto wanted = config::parse_with_unit(value, "");
            if (seen == settings.end() || !wanted || seen->second <= *wanted) continue;
            result_.held_up[floor.name] =
                json::object{{"old_value", std::to_string(seen->second)}, {"new_value", value}};
            value = std::to_string(seen->second);
            result_.file[std::string(floor.name)] = value;
        }
    }

    void add_recovery() {
        ParameterMap& recovery = result_.recovery;
        // Recovery parameters that somebody put among the others win, as they would in the server.
        add_recovery_conf(object_in(section_, "recovery_conf"));
        for (const std::string_view name : recovery_parameters)
            if (const auto set = result_.file.find(std::string(name)); set != result_.file.end() && is_kept(name))
                recovery[set->first] = set->second;
        const json::object& standby_cluster = object_in(input_.dynamic, "standby_cluster");
        for (const char* name : {"restore_command", "archive_cleanup_command", "recovery_min_apply_delay"}) {
            if (std::string_view(name) == "recovery_min_apply_delay" && input_.role != Role::standby_leader) continue;
            const json::value* value = standby_cluster.if_contains(name);
            if (value == nullptr || value->is_null() || guc_text(*value).empty() || !may_set(name, *value)) continue;
            if (auto valid = valid_guc(name, guc_text(*value), result_.warnings)) recovery[name] = std::move(*valid);
        }
        // An included file could hold any of these, and end or pause the recovery.
        for (const char* name : {"recovery_target", "recovery_target_lsn", "recovery_target_name",
                                 "recovery_target_time", "recovery_target_xid"})
            recovery[name] = "";
        recovery["recovery_target_timeline"] = "latest";
        recovery["primary_conninfo"] = "";
        recovery["primary_slot_name"] = "";
        if (input_.source && !input_.source->host.empty()) add_source(*input_.source);
    }

    void add_source(const Source& source) {
        const auto& postgresql = input_.agent.postgresql;
        const std::string& passfile = input_.passfile.empty() ? postgresql.pgpass : input_.passfile;
        config::PgUser replication = postgresql.replication;
        if (const json::value* service = section_.if_contains("krbsrvname"); service != nullptr && !service->is_null())
            replication.connection["krbsrvname"] = guc_text(*service);
        // Of several hosts of another cluster, the one that leads.
        if (source.host.find(',') != std::string::npos && !source.slot_name.empty())
            replication.connection["target_session_attrs"] = "read-write";
        result_.recovery["primary_conninfo"] = primary_conninfo(
            replication, {source.host, source.port}, input_.agent.name, replication.password.empty() ? "" : passfile);
        result_.recovery["primary_slot_name"] = source.slot_name;
    }

    static bool is_kept(std::string_view name) {
        return !name.starts_with("recovery_target") && name != "primary_conninfo" && name != "primary_slot_name";
    }

    void add_recovery_conf(const json::object& recovery_conf) {
        for (const auto& [key, value] : recovery_conf) {
            std::string name = canonical(key);
            if (name == "trigger_file") name = "promote_trigger_file";
            if (value.is_null() || name == "standby_mode" || !is_kept(name) || !may_set(name, value)) continue;
            if (auto valid = valid_guc(name, guc_text(value), result_.warnings)) result_.recovery[name] = *valid;
        }
    }

    /// Whoever may write the dynamic configuration should not be the database's operating system user by that.
    bool may_set(const std::string& name, const json::value& value) {
        if (input_.agent.dynamic_commands || !guc_runs_code(name)) return true;
        const json::object& initial = object_in(input_.agent.bootstrap.dcs, "postgresql");
        for (const json::object* section : {&input_.agent.postgresql.section, &initial})
            for (const char* part : {"parameters", "recovery_conf"})
                if (const json::value* local = find_ignoring_case(object_in(*section, part), name);
                    local != nullptr && guc_text(*local) == guc_text(value))
                    return true;
        warn("parameter {} runs commands and is taken from the agent's file only, dropped", name);
        return false;
    }

    template <class... Args>
    void warn(fmt::format_string<Args...> text, Args&&... args) {
        result_.warnings.push_back(fmt::format(text, std::forward<Args>(args)...));
    }

    const ParameterInput& input_;
    json::object section_;
    Parameters result_;
};

std::optional<std::string> lines_for(const config::AgentConfig& agent, const json::object& dynamic, Role role,
                                     std::string_view key) {
    const json::object section = effective_section(agent, dynamic);
    const json::value* lines = section.if_contains(fmt::format("{}_{}", key, role_word(role)));
    if (lines == nullptr || lines->is_null()) lines = section.if_contains(key);
    if (lines == nullptr) return {};
    std::string text;
    if (lines->is_string()) {
        text = guc_text(*lines);
        if (!text.empty() && !text.ends_with('\n')) text += '\n';
    } else if (lines->is_array()) {
        for (const json::value& line : lines->get_array())
            if (!line.is_null()) text += guc_text(line) + '\n';
    }
    if (text.empty()) return {};
    return text;
}

}  // namespace

json::object effective_section(const config::AgentConfig& agent, const json::object& dynamic) {
    json::object section;
    static constexpr std::string_view local_only[] = {"authentication", "config_dir", "connect_address", "data_dir",
                                                      "listen",         "pgpass",     "proxy_address"};
    for (const auto& [key, value] : object_in(dynamic, "postgresql"))
        if (std::ranges::find(local_only, std::string_view(key)) == std::end(local_only)) section[key] = value;
    for (const auto& [key, value] : agent.postgresql.section) {
        if (key == "use_slots") continue;  // all nodes must agree on it
        if (key != "parameters") {
            section[key] = value;
            continue;
        }
        json::object merged = object_in(section, "parameters");
        if (value.is_object())
            for (const auto& [name, parameter] : value.get_object()) {
                const std::string wanted = lower(name);
                for (auto present = merged.begin(); present != merged.end(); ++present)
                    if (lower(present->key()) == wanted) {
                        merged.erase(present);
                        break;
                    }
                merged[name] = parameter;
            }
        section["parameters"] = std::move(merged);
    }
    return section;
}

Parameters effective_parameters(const ParameterInput& input) {
    return Collector(input).collect();
}

std::vector<std::string> postmaster_arguments(const config::AgentConfig& agent, const Parameters& parameters) {
    const auto& postgresql = agent.postgresql;
    const std::string& directory = postgresql.config_dir.empty() ? postgresql.data_dir : postgresql.config_dir;
    std::vector<std::string> arguments = {
        "-D", postgresql.data_dir, fmt::format("--config_file={}/{}.conf", directory, postgresql.config_base_name)};
    for (const auto& [name, value] : parameters.command_line) arguments.push_back(fmt::format("--{}={}", name, value));
    return arguments;
}

std::string postgresql_conf_text(const std::string& base, const config::AgentConfig& agent,
                                 const Parameters& parameters) {
    const auto& postgresql = agent.postgresql;
    const std::string& directory = postgresql.config_dir.empty() ? postgresql.data_dir : postgresql.config_dir;
    std::string text =
        "# Written by pgkeel; changes here are overwritten. Change the dynamic configuration or the agent's file.\n";
    text += fmt::format("include {}\n\n", quote_guc(base));
    const auto add = [&](std::string_view name, std::string_view value) {
        text += fmt::format("{} = {}\n", name, quote_guc(value));
    };
    for (const auto& [name, value] : parameters.file) add(name, value);
    if (!parameters.file.contains("hba_file")) add("hba_file", directory + "/pg_hba.conf");
    if (!parameters.file.contains("ident_file")) add("ident_file", directory + "/pg_ident.conf");
    if (!parameters.recovery.empty()) text += "\n# recovery\n";
    for (const auto& [name, value] : parameters.recovery) add(name, value);
    return text;
}

std::optional<std::string> pg_hba_text(const config::AgentConfig& agent, const json::object& dynamic, Role role) {
    return lines_for(agent, dynamic, role, "pg_hba");
}

std::optional<std::string> pg_ident_text(const config::AgentConfig& agent, const json::object& dynamic, Role role) {
    return lines_for(agent, dynamic, role, "pg_ident");
}

Endpoint local_endpoint(const config::AgentConfig& agent, const ParameterMap& parameters, bool replication) {
    const auto& postgresql = agent.postgresql;
    const auto entries = [](std::string_view list) {
        std::vector<std::string> parts(1);
        for (const char c : list) {
            if (c == ',')
                parts.emplace_back();
            else if (c != ' ' && c != '"')
                parts.back() += c;
        }
        return parts;
    };
    std::string host = postgresql.listen_hosts.empty() ? "localhost" : postgresql.listen_hosts.front();
    for (const std::string& listen : postgresql.listen_hosts)
        if (listen.empty() || listen == "*" || listen == "0.0.0.0" || listen == "127.0.0.1" ||
            lower(listen) == "localhost") {
            host = "localhost";
            break;
        }
    if (!(replication ? postgresql.use_unix_socket_repl : postgresql.use_unix_socket))
        return {host, postgresql.listen_port};
    const auto directories = parameters.find("unix_socket_directories");
    if (directories == parameters.end()) return {"", postgresql.listen_port};
    for (const std::string& directory : entries(directories->second))
        if (directory.starts_with('/')) return {directory, postgresql.listen_port};
    return {host, postgresql.listen_port};
}

}  // namespace pgkeel::postgres
