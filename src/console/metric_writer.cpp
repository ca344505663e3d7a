#include "console/metric_writer.hpp"

#include <fmt/format.h>

#include <iterator>

namespace pgkeel::console {
namespace {

/// Bytes of the UTF-8 character that `text` begins with; 0: it is none.
std::size_t character_bytes(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(0);
    const std::size_t bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || bytes == 0 || bytes > text.size()) return 0;
    for (std::size_t at = 1; at < bytes; ++at)
        if ((byte(at) & 0xc0) != 0x80) return 0;
    if (bytes < 3) return bytes;
    const unsigned char second = byte(1);
    const bool too_long = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool no_character = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return too_long || no_character ? 0 : bytes;
}

/// Names of databases and users are any bytes; Prometheus refuses the whole text for one that is not UTF-8. Such bytes
/// are written as \xNN, so that two names stay two.
void append_label_value(std::string& out, std::string_view value) {
    while (!value.empty()) {
        const char c = value.front();
        const std::size_t bytes = character_bytes(value);
        if (bytes == 0)
            fmt::format_to(std::back_inserter(out), "\\\\x{:02x}", static_cast<unsigned char>(c));
        else if (c == '\\' || c == '"')
            out.append({'\\', c});
        else if (c == '\n')
            out += "\\n";
        else
            out += value.substr(0, bytes);
        value.remove_prefix(bytes == 0 ? 1 : bytes);
    }
}

}  // namespace

void MetricWriter::head(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void MetricWriter::series(std::string_view name, std::initializer_list<Label> labels) {
    out_ += name;
    if (labels.size() == 0) return;
    char before = '{';
    for (const Label& label : labels) {
        out_ += before;
        out_ += label.name;
        out_ += "=\"";
        append_label_value(out_, label.value);
        out_ += '"';
        before = ',';
    }
    out_ += '}';
}

void MetricWriter::sample(std::string_view name, std::initializer_list<Label> labels, std::uint64_t value) {
    series(name, labels);
    fmt::format_to(std::back_inserter(out_), " {}\n", value);
}

void MetricWriter::seconds(std::string_view name, std::initializer_list<Label> labels, std::uint64_t microseconds) {
    series(name, labels);
    fmt::format_to(std::back_inserter(out_), " {}\n", seconds_text(microseconds));
}

void MetricWriter::gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    head(name, "gauge", help);
    sample(name, {}, value);
}

std::string seconds_text(std::uint64_t microseconds) {
    std::string text = fmt::format("{}.{:06}", microseconds / 1'000'000, microseconds % 1'000'000);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
}

}  // namespace pgkeel::console
