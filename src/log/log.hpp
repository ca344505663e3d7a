#pragma once
#include "base/result.hpp"

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace pgkeel::log {

enum class Level { debug, info, warning, error, critical };

/// The system's log, beside what else is written. See syslog(3).
struct Syslog {
    int facility = 0;
    std::string ident;
};
/// The facility's number: auth, authpriv, daemon, user, local0 … local7. Errors: invalid_input.
Result<int> syslog_facility(std::string_view name);

/// Section `log` of the agent's file; names, defaults and %-format are those of Python's logging, as Patroni documents
/// them.
struct Options {
    bool json = false;  ///< type: json
    Level level = Level::info;
    std::string format = "%(asctime)s %(levelname)s: %(message)s";
    /// JSON only: {field, name in the output}. Empty: the fields of `format` under their own names.
    std::vector<std::pair<std::string, std::string>> json_fields = {};
    /// JSON only: {name, value as JSON text}, the same in every line.
    std::vector<std::pair<std::string, std::string>> static_fields = {};
    std::string date_format = {};  ///< strftime; empty: "YYYY-MM-DD HH:MM:SS,mmm" in local time
    std::string directory = {};    ///< empty: stderr; else patroni.log in it, the older ones patroni.log.1, .2, …
    int file_count = 4;            ///< older files kept; 0: one file that grows
    std::size_t file_size_bytes = 25UL * 1000 * 1000;  ///< 0: never rotate
    int file_mode = 0644;

    // Of the proxy, whose words are PgBouncer's.
    bool as_pgbouncer = false;      ///< "2026-11-21 10:20:30.123 UTC [1234] LOG text" instead of `format`
    bool to_standard_error = true;  ///< without a `directory`; beside `file` and `syslog`
    std::string file = {};          ///< appended to and never rotated by us, see reopen()
    std::optional<Syslog> syslog = {};
};

/// Replaces the options for the whole process; safe while other threads log. Errors: invalid_input — the format;
/// io_error — the file could not be opened; the options in force stay.
Result<> configure(const Options& options);

/// Opens the files again under their names: for a logrotate that has renamed them. Errors: io_error — the log goes on
/// in the files that are open.
Result<> reopen();

/// Whose lines are written, as one number: 0 from info on, 1 and more from debug on. Who tells things that only the
/// search for a mistake needs asks for 2 before. Sets the level of the options in force.
void set_verbosity(int verbosity);
int verbosity();

/// Hands one line to the writing thread and returns at once, whatever the reader of stderr does. When more than a
/// thousand lines wait, the oldest is dropped and the loss is written as a line of its own. Control characters are
/// escaped: a record is one line.
void write(Level level, std::string_view message, std::source_location where = std::source_location::current());
bool enabled(Level level);

/// Waits until what was logged before is written; false when that took longer than `timeout`. Runs at exit too.
bool flush(std::chrono::milliseconds timeout = std::chrono::seconds(2));

/// A format string checked at compile time, with the place it was written at.
template <class... Args>
struct Text {
    fmt::format_string<Args...> format;
    std::source_location where;
    template <class S>
        requires std::convertible_to<const S&, std::string_view>
    consteval Text(const S& text, std::source_location here = std::source_location::current())
        : format(text), where(here) {}
    Text(fmt::basic_runtime<char> text, std::source_location here = std::source_location::current())
        : format(text), where(here) {}
};

template <class... Args>
void debug(Text<std::type_identity_t<Args>...> text, Args&&... args) {
    if (enabled(Level::debug)) write(Level::debug, fmt::format(text.format, std::forward<Args>(args)...), text.where);
}
template <class... Args>
void info(Text<std::type_identity_t<Args>...> text, Args&&... args) {
    if (enabled(Level::info)) write(Level::info, fmt::format(text.format, std::forward<Args>(args)...), text.where);
}
template <class... Args>
void warning(Text<std::type_identity_t<Args>...> text, Args&&... args) {
    if (enabled(Level::warning))
        write(Level::warning, fmt::format(text.format, std::forward<Args>(args)...), text.where);
}
template <class... Args>
void error(Text<std::type_identity_t<Args>...> text, Args&&... args) {
    if (enabled(Level::error)) write(Level::error, fmt::format(text.format, std::forward<Args>(args)...), text.where);
}
template <class... Args>
void critical(Text<std::type_identity_t<Args>...> text, Args&&... args) {
    write(Level::critical, fmt::format(text.format, std::forward<Args>(args)...), text.where);
}

}  // namespace pgkeel::log
