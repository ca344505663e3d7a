#include "log/pattern.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace pgkeel::log {
namespace {

struct Name {
    std::string_view name;
    Field field;
};
constexpr std::array names{
    Name{"asctime", Field::asctime},
    Name{"created", Field::created},
    Name{"filename", Field::file_name},
    Name{"funcName", Field::function_name},
    Name{"levelname", Field::level_name},
    Name{"levelno", Field::level_number},
    Name{"lineno", Field::line_number},
    Name{"message", Field::message},
    Name{"module", Field::module},
    Name{"msecs", Field::milliseconds},
    Name{"name", Field::name},
    Name{"pathname", Field::path_name},
    Name{"process", Field::process},
    Name{"processName", Field::process_name},
    Name{"thread", Field::thread},
    Name{"threadName", Field::thread_name},
};

constexpr std::size_t width_max = 200;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::int64_t milliseconds_of(WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string time_text(WallTime time, const std::string& date_format) {
    const std::int64_t milliseconds = milliseconds_of(time);
    const std::time_t whole = milliseconds / 1000;
    std::tm local{};
    localtime_r(&whole, &local);
    std::array<char, 256> text{};
    const char* format = date_format.empty() ? "%Y-%m-%d %H:%M:%S" : date_format.c_str();
    const std::size_t length = std::strftime(text.data(), text.size(), format, &local);
    std::string out(text.data(), length);
    if (date_format.empty()) out += fmt::format(",{:03}", milliseconds % 1000);
    return out;
}

/// From `src/` on: where the source stood when it was compiled tells nobody anything.
std::string_view path_from_root(std::string_view path) {
    for (const std::string_view root : {"/src/", "/tests/"}) {
        const auto at = path.rfind(root);
        if (at != std::string_view::npos) return path.substr(at + 1);
    }
    return path;
}

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

/// "void pgkeel::ha::(anonymous namespace)::run(int)" becomes "run".
std::string_view bare_function(std::string_view signature) {
    constexpr std::string_view nameless = "(anonymous namespace)::";
    if (const auto at = signature.rfind(nameless); at != std::string_view::npos)
        signature.remove_prefix(at + nameless.size());
    signature = signature.substr(0, signature.find('('));
    const auto start = signature.find_last_of(" :*&");
    return start == std::string_view::npos ? signature : signature.substr(start + 1);
}

int level_number(Level level) {
    return (static_cast<int>(level) + 1) * 10;
}

}  // namespace

std::string_view python_name(Level level) {
    switch (level) {
        case Level::debug:
            return "DEBUG";
        case Level::info:
            return "INFO";
        case Level::warning:
            return "WARNING";
        case Level::error:
            return "ERROR";
        case Level::critical:
            return "CRITICAL";
    }
    return "INFO";
}

bool is_number(Field field) {
    switch (field) {
        case Field::created:
        case Field::level_number:
        case Field::line_number:
        case Field::milliseconds:
        case Field::process:
        case Field::thread:
            return true;
        default:
            return false;
    }
}

Result<Field> field_named(std::string_view name) {
    const auto* found = std::ranges::find(names, name, &Name::name);
    if (found == names.end())
        return fail(Errc::invalid_input, fmt::format("log format has no field '{}'", name),
                    "see Python's LogRecord attributes: asctime, levelname, message, pathname, lineno, …");
    return found->field;
}

std::string field_text(Field field, const Record& record, const std::string& date_format) {
    switch (field) {
        case Field::literal:
            return {};
        case Field::asctime:
            return time_text(record.time, date_format);
        case Field::created:
            return fmt::format("{:.6f}", static_cast<double>(milliseconds_of(record.time)) / 1000);
        case Field::file_name:
            return std::string(file_name(record.file));
        case Field::function_name:
            return std::string(bare_function(record.function));
        case Field::level_name:
            return std::string(python_name(record.level));
        case Field::level_number:
            return std::to_string(level_number(record.level));
        case Field::line_number:
            return std::to_string(record.line);
        case Field::message:
            return std::string(record.message);
        case Field::milliseconds:
            return std::to_string(milliseconds_of(record.time) % 1000);
        case Field::module: {
            const std::string_view file = file_name(record.file);
            return std::string(file.substr(0, file.rfind('.')));
        }
        case Field::name:
            return "pgkeel";
        case Field::path_name:
            return std::string(path_from_root(record.file));
        case Field::process:
            return std::to_string(getpid());
        case Field::process_name:
            return "MainProcess";
        case Field::thread:
            return std::to_string(record.thread);
        case Field::thread_name:
            return record.thread == static_cast<std::size_t>(getpid()) ? "MainThread"
                                                                       : fmt::format("Thread-{}", record.thread);
    }
    return {};
}

/// `at` stands behind the percent sign and is moved behind the conversion.
Result<Pattern::Piece> Pattern::conversion(std::string_view format, std::size_t& at) {
    const auto wrong = [&](std::string_view why) {
        return fail(Errc::invalid_input, fmt::format("log format '{}': {}", format, why),
                    "fields are written as in Python's logging, for example %(message)s; a percent sign as %%");
    };
    Piece piece;
    if (at < format.size() && format[at] == '%') {
        piece.literal = "%";
        ++at;
        return piece;
    }
    const auto close = format.find(')', at);
    if (at >= format.size() || format[at] != '(' || close == std::string_view::npos)
        return wrong(fmt::format("a percent sign at character {} begins no field", at));
    auto field = field_named(format.substr(at + 1, close - at - 1));
    if (!field) return std::unexpected(field.error());
    piece.field = *field;

    const auto number = [&] {
        std::size_t value = 0;
        for (; at < format.size() && is_digit(format[at]); ++at)
            value = std::min(width_max, value * 10 + static_cast<std::size_t>(format[at] - '0'));
        return value;
    };
    for (at = close + 1; at < format.size() && std::string_view("-0+ #").contains(format[at]); ++at) {
        if (format[at] == '-') piece.left = true;
        if (format[at] == '0') piece.zeros = true;
    }
    piece.width = number();
    if (at < format.size() && format[at] == '.') {
        ++at;
        piece.precision = number();
    }
    if (at >= format.size()) return wrong("its last field has no conversion, such as s or d");
    const char type = format[at++];
    if (!std::string_view("sdifra").contains(type)) return wrong(fmt::format("'{}' is no conversion", type));
    if (type != 's' && type != 'r' && type != 'a' && !is_number(piece.field))
        return wrong(fmt::format("conversion '{}' wants a number", type));
    if (type != 's') piece.precision = std::string::npos;
    return piece;
}

Result<Pattern> Pattern::compile(std::string_view format, std::string date_format) {
    Pattern pattern;
    pattern.date_format_ = std::move(date_format);
    std::size_t at = 0;
    while (at < format.size()) {
        const auto percent = std::min(format.find('%', at), format.size());
        if (percent > at) pattern.pieces_.push_back({.literal = std::string(format.substr(at, percent - at))});
        if (percent == format.size()) break;
        at = percent + 1;
        auto piece = conversion(format, at);
        if (!piece) return std::unexpected(std::move(piece.error()));
        pattern.pieces_.push_back(std::move(*piece));
    }
    if (pattern.fields().empty())
        return fail(Errc::invalid_input, fmt::format("log format '{}' has no field", format), "add %(message)s");
    return pattern;
}

void Pattern::append(std::string& out, const Record& record) const {
    for (const Piece& piece : pieces_) {
        if (piece.field == Field::literal) {
            out += piece.literal;
            continue;
        }
        std::string text = field_text(piece.field, record, date_format_);
        if (text.size() > piece.precision) text.resize(piece.precision);
        const std::size_t padding = piece.width > text.size() ? piece.width - text.size() : 0;
        if (piece.left)
            out.append(text).append(padding, ' ');
        else
            out.append(padding, piece.zeros && is_number(piece.field) ? '0' : ' ').append(text);
    }
}

std::vector<Field> Pattern::fields() const {
    std::vector<Field> out;
    for (const Piece& piece : pieces_)
        if (piece.field != Field::literal) out.push_back(piece.field);
    return out;
}

}  // namespace pgkeel::log
