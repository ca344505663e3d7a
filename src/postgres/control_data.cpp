#include "postgres/control_data.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>

namespace pgkeel::postgres {

namespace {

ControlState state_of(std::string_view text) {
    static const std::map<std::string_view, ControlState> states{
        {"starting up", ControlState::starting_up},
        {"shut down", ControlState::shut_down},
        {"shut down in recovery", ControlState::shut_down_in_recovery},
        {"shutting down", ControlState::shutting_down},
        {"in crash recovery", ControlState::in_crash_recovery},
        {"in archive recovery", ControlState::in_archive_recovery},
        {"in production", ControlState::in_production},
    };
    const auto found = states.find(text);
    return found == states.end() ? ControlState::unknown : found->second;
}

/// pg_controldata's names of settings, as the parameters are called.
std::string parameter_name(std::string_view printed) {
    if (printed == "max_prepared_xacts") return "max_prepared_transactions";
    if (printed == "max_locks_per_xact") return "max_locks_per_transaction";
    return std::string(printed);
}

template <class Number>
Number number(std::string_view text) {
    Number value{};
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void take(ControlData& control, std::string_view name, std::string_view value) {
    if (name == "Database cluster state")
        control.state = state_of(value);
    else if (name == "Database system identifier")
        control.system_identifier = value;
    else if (name == "Latest checkpoint location")
        control.checkpoint = parse_lsn(value).value_or(Lsn{});
    else if (name == "Latest checkpoint's REDO location")
        control.checkpoint_redo = parse_lsn(value).value_or(Lsn{});
    else if (name == "Latest checkpoint's REDO WAL file")
        control.redo_wal_file = value;
    else if (name == "Latest checkpoint's TimeLineID")
        control.checkpoint_timeline = {number<std::uint32_t>(value)};
    else if (name == "Minimum recovery ending location")
        control.min_recovery_end = parse_lsn(value).value_or(Lsn{});
    else if (name == "Min recovery ending loc's timeline")
        control.min_recovery_timeline = {number<std::uint32_t>(value)};
    else if (name == "wal_log_hints setting")
        control.wal_log_hints = value == "on";
    else if (name == "Data page checksum version")
        control.data_checksums = value != "0";
    else if (name.starts_with("max_") && name.ends_with(" setting"))
        control.settings[parameter_name(name.substr(0, name.size() - std::strlen(" setting")))] = number<int>(value);
}

}  // namespace

Result<ControlData> parse_control_data(std::string_view output) {
    ControlData control;
    while (!output.empty()) {
        const std::size_t end = std::min(output.find('\n'), output.size());
        const std::string_view line = output.substr(0, end);
        output.remove_prefix(std::min(end + 1, output.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        std::string_view value = line.substr(colon + 1);
        value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
        take(control, line.substr(0, colon), value);
    }
    if (control.state == ControlState::unknown || control.system_identifier.empty())
        return fail(Errc::invalid_input,
                    "cannot read pg_controldata's output: it names no cluster state or no system identifier");
    return control;
}

Task<Result<ControlData>> read_control_data(const Programs& programs, Deadline deadline) {
    const std::string& directory = programs.agent.postgresql.data_dir;
    Command command = programs.command("pg_controldata", {directory});
    command.environment["LC_ALL"] = "C";
    auto printed = co_await run_checked(programs.clock, std::move(command), deadline);
    if (!printed) co_return fail(fmt::format("reading the control file of {}", directory), std::move(printed.error()));
    co_return parse_control_data(printed->output);
}

ControlState peek_control_state(const std::string& data_directory) {
    // system_identifier (8 bytes), pg_control_version (4), catalog_version_no (4), state (4): see PostgreSQL,
    // pg_control.h.
    std::array<char, 20> head{};
    std::ifstream file(data_directory + "/global/pg_control", std::ios::binary);
    if (!file.read(head.data(), head.size())) return ControlState::unknown;
    std::uint32_t state = 0;
    std::memcpy(&state, head.data() + 16, sizeof state);
    constexpr std::array states{ControlState::starting_up,           ControlState::shut_down,
                                ControlState::shut_down_in_recovery, ControlState::shutting_down,
                                ControlState::in_crash_recovery,     ControlState::in_archive_recovery,
                                ControlState::in_production};
    return state < states.size() ? states[state] : ControlState::unknown;
}

}  // namespace pgkeel::postgres
