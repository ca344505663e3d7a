#include "console/command.hpp"

#include "config/nearest.hpp"
#include "console/tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace pgkeel::console {
namespace {

using Tokens = std::span<const Token>;

struct Shown {
    std::string_view name;
    Kind kind;
};
constexpr std::array shown_tables{
    Shown{"active_sockets", Kind::show_active_sockets},
    Shown{"clients", Kind::show_clients},
    Shown{"config", Kind::show_config},
    Shown{"databases", Kind::show_databases},
    Shown{"dns_hosts", Kind::show_dns_hosts},
    Shown{"dns_zones", Kind::show_dns_zones},
    Shown{"help", Kind::show_help},
    Shown{"lists", Kind::show_lists},
    Shown{"mem", Kind::show_mem},
    Shown{"peer_pools", Kind::show_peer_pools},
    Shown{"peers", Kind::show_peers},
    Shown{"pools", Kind::show_pools},
    Shown{"servers", Kind::show_servers},
    Shown{"sockets", Kind::show_sockets},
    Shown{"state", Kind::show_state},
    Shown{"stats", Kind::show_stats},
    Shown{"stats_averages", Kind::show_stats_averages},
    Shown{"stats_totals", Kind::show_stats_totals},
    Shown{"totals", Kind::show_totals},
    Shown{"users", Kind::show_users},
    Shown{"version", Kind::show_version},
};

/// Drivers ask for and set these of every server they meet.
struct Parameter {
    std::string_view name;
    std::string_view value;
};
constexpr std::array session_parameters{
    Parameter{"client_encoding", "UTF-8"},
    Parameter{"default_transaction_isolation", "read committed"},
    Parameter{"standard_conforming_strings", "on"},
    Parameter{"datestyle", "ISO"},
    Parameter{"timezone", "GMT"},
};
/// Only set, by JDBC and others. They are no settings of the pooler either.
constexpr std::array parameters_only_set{std::string_view("application_name"), std::string_view("extra_float_digits")};

enum class Argument { none, optional, required };
struct Verb {
    std::string_view name;
    Kind kind;
    Argument database;
};
constexpr std::array verbs{
    Verb{"reload", Kind::reload, Argument::none},
    Verb{"suspend", Kind::suspend, Argument::none},
    Verb{"pause", Kind::pause, Argument::optional},
    Verb{"resume", Kind::resume, Argument::optional},
    Verb{"reconnect", Kind::reconnect, Argument::optional},
    Verb{"kill", Kind::kill, Argument::optional},
    Verb{"wait_close", Kind::wait_close, Argument::optional},
    Verb{"disable", Kind::disable, Argument::required},
    Verb{"enable", Kind::enable, Argument::required},
};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

template <class Table>
auto find(const Table& table, std::string_view name) {
    const auto at = std::ranges::find(table, name, [](const auto& entry) { return entry.name; });
    return at == table.end() ? nullptr : &*at;
}

/// PgBouncer repeats the whole query. One that is not meant for a console can be long.
std::unexpected<Error> invalid(std::string_view sql, std::string hint = {}) {
    constexpr std::size_t repeated_bytes_max = 900;
    return fail(Errc::invalid_input,
                fmt::format("invalid command '{}', use SHOW HELP;", sql.substr(0, repeated_bytes_max)),
                std::move(hint));
}

template <class Table>
std::string nearest_hint(const Table& table, std::string_view prefix, std::string_view name) {
    std::vector<std::string> names;
    for (const auto& entry : table) names.emplace_back(entry.name);
    const auto meant = config::nearest(name, names);
    return meant ? fmt::format("is {}{} meant?", prefix, *meant) : std::string();
}

Result<Command> parse_show(Tokens words, std::string_view sql) {
    if (words.size() != 2 || words[1].kind == Token::Kind::text) return invalid(sql);
    const std::string name = lower(words[1].value);
    if (const Shown* table = find(shown_tables, name)) return Command{.kind = table->kind};
    if (const Parameter* parameter = find(session_parameters, name))
        return Command{.kind = Kind::show_parameter, .argument = name, .value = std::string(parameter->value)};
    if (name == "fds")
        return fail(Errc::invalid_input, "SHOW FDS is not supported: its answer would hold passwords and keys",
                    "restart without interruption by starting the new process beside the old one");
    return invalid(sql, nearest_hint(shown_tables, "SHOW ", name));
}

/// SET key = value | key TO value
Result<Command> parse_set(Tokens words, std::string_view sql) {
    if (words.size() != 4 || words[1].kind == Token::Kind::text || words[1].value.empty()) return invalid(sql);
    const bool assigns = words[2].is_sign('=') || (words[2].kind == Token::Kind::word && lower(words[2].value) == "to");
    if (!assigns || words[3].kind == Token::Kind::sign) return invalid(sql);
    std::string name = lower(words[1].value);
    const bool ignored = find(session_parameters, name) ||
                         std::ranges::find(parameters_only_set, std::string_view(name)) != parameters_only_set.end();
    return Command{
        .kind = ignored ? Kind::set_parameter : Kind::set, .argument = std::move(name), .value = words[3].value};
}

Result<Command> parse_kill_client(Tokens words, std::string_view sql) {
    if (words.size() > 2) return invalid(sql);
    Command command{.kind = Kind::kill_client};
    const std::string_view id = words.size() == 2 ? std::string_view(words[1].value) : std::string_view();
    const auto read = std::from_chars(id.data(), id.data() + id.size(), command.client_id);
    if (id.empty() || read.ec != std::errc() || read.ptr != id.data() + id.size())
        return fail(Errc::invalid_input, "invalid client pointer supplied",
                    "give a number out of the column id of SHOW CLIENTS");
    return command;
}

Result<Command> parse_shutdown(Tokens words, std::string_view sql) {
    if (words.size() == 1) return Command{.kind = Kind::shutdown};
    const std::string how = words.size() == 2 ? lower(words[1].value) : std::string();
    if (how == "wait_for_servers") return Command{.kind = Kind::shutdown_wait_for_servers};
    if (how == "wait_for_clients") return Command{.kind = Kind::shutdown_wait_for_clients};
    return invalid(sql);
}

Result<Command> parse_verb(const Verb& verb, Tokens words, std::string_view sql) {
    if (words.size() > (verb.database == Argument::none ? 1 : 2)) return invalid(sql);
    Command command{.kind = verb.kind};
    if (words.size() == 2) command.argument = words[1].value;
    // A quoted nothing must not become "all databases".
    if (verb.database != Argument::none && words.size() == 2 && command.argument.empty())
        return fail(Errc::invalid_input, "bad arguments", "name a database");
    if (verb.database == Argument::required && words.size() == 1)
        return fail(Errc::invalid_input, "a database is required");
    return command;
}

Result<Command> parse_one(Tokens words, std::string_view sql) {
    if (words.front().kind != Token::Kind::word && words.front().kind != Token::Kind::name) return invalid(sql);
    const std::string first = lower(words.front().value);
    if (first == "set") return parse_set(words, sql);
    for (const Token& word : words)
        if (word.kind == Token::Kind::sign) return invalid(sql);
    if (first == "show" || first == "select") return parse_show(words, sql);
    if (first == "kill_client") return parse_kill_client(words, sql);
    if (first == "shutdown") return parse_shutdown(words, sql);
    if (const Verb* verb = find(verbs, first)) return parse_verb(*verb, words, sql);
    return invalid(sql, nearest_hint(verbs, "", first));
}

}  // namespace

Result<std::vector<Command>> parse(std::string_view sql) {
    if (sql.size() > query_bytes_max)
        return fail(Errc::invalid_input,
                    fmt::format("the query has {} bytes, the admin console takes {}", sql.size(), query_bytes_max),
                    "is this meant for the admin console?");
    const auto all = tokens(sql);
    if (!all) return invalid(sql, all.error().text);
    std::vector<Command> commands;
    for (Tokens rest = *all; !rest.empty();) {
        const auto end = std::ranges::find_if(rest, [](const Token& token) { return token.is_sign(';'); });
        const auto count = static_cast<std::size_t>(end - rest.begin());
        const Tokens words = rest.first(count);
        rest = rest.subspan(std::min(count + 1, rest.size()));
        if (words.empty()) continue;
        for (const Token& word : words)
            if (word.kind == Token::Kind::parameter)
                return fail(Errc::invalid_input,
                            fmt::format("the admin console takes no parameters, as {}", word.value),
                            "write the value into the command");
        auto command = parse_one(words, sql);
        if (!command) return std::unexpected(std::move(command.error()));
        if (commands.size() == commands_max)
            return fail(Errc::invalid_input, fmt::format("the query has more than {} commands", commands_max),
                        "send them one after the other");
        commands.push_back(std::move(*command));
    }
    return commands;
}

Access access_needed(Kind kind) {
    switch (kind) {
        case Kind::show_active_sockets:
        case Kind::show_clients:
        case Kind::show_config:
        case Kind::show_databases:
        case Kind::show_dns_hosts:
        case Kind::show_dns_zones:
        case Kind::show_help:
        case Kind::show_lists:
        case Kind::show_mem:
        case Kind::show_peer_pools:
        case Kind::show_peers:
        case Kind::show_pools:
        case Kind::show_servers:
        case Kind::show_sockets:
        case Kind::show_state:
        case Kind::show_stats:
        case Kind::show_stats_averages:
        case Kind::show_stats_totals:
        case Kind::show_totals:
        case Kind::show_users:
        case Kind::show_version:
        case Kind::show_parameter:
        case Kind::set_parameter:
            return Access::stats;
        default:
            return Access::admin;
    }
}

Result<> permit(Kind kind, Access has) {
    const Access needed = access_needed(kind);
    if (has == Access::admin || (has == Access::stats && needed == Access::stats)) return {};
    return fail(Errc::denied, "admin access needed", "log in as one of admin_users");
}

Access access_of(const config::PoolerSettings& settings, std::string_view user, bool is_us) {
    const auto has = [&](const std::vector<std::string>& users) {
        return std::ranges::find(users, user) != users.end();
    };
    if ((is_us && user == "pgbouncer") || has(settings.admin_users)) return Access::admin;
    return has(settings.stats_users) ? Access::stats : Access::none;
}

bool has_rows(Kind kind) {
    return kind <= Kind::show_parameter && kind != Kind::show_help;
}

std::string tag(const Command& command) {
    switch (command.kind) {
        case Kind::set_parameter:
            return "SET";
        case Kind::set:
            return fmt::format("SET {}={}", command.argument, command.value);
        case Kind::reload:
            return "RELOAD";
        case Kind::pause:
            return "PAUSE";
        case Kind::resume:
            return "RESUME";
        case Kind::reconnect:
            return "RECONNECT";
        case Kind::kill:
            return "KILL";
        case Kind::kill_client:
            return "KILL_CLIENT";
        case Kind::disable:
            return "DISABLE";
        case Kind::enable:
            return "ENABLE";
        case Kind::wait_close:
            return "WAIT_CLOSE";
        case Kind::suspend:
            return "SUSPEND";
        case Kind::shutdown:
        case Kind::shutdown_wait_for_servers:
        case Kind::shutdown_wait_for_clients:
            return "SHUTDOWN";
        default:
            return "SHOW";
    }
}

}  // namespace pgkeel::console
