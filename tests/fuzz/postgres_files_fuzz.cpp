#include "postgres/conninfo.hpp"
#include "postgres/guc.hpp"
#include "postgres/rewind_rule.hpp"
#include "postgres/timeline_history.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// Texts that come from other nodes, from etcd and from PostgreSQL's programs. The first byte chooses the parser.

namespace {

using namespace pgkeel;
using namespace pgkeel::postgres;

void connection_string(std::string_view text) {
    const auto read = parse_conninfo(text);
    if (!read) return;
    const auto again = parse_conninfo(write_conninfo(*read));
    REQUIRE(again.has_value() && *again == *read);        // a connection string reads back as it was written
    REQUIRE(same_conninfo(text, write_conninfo(*read)));  // writing it keeps its meaning
}

void connection_url(std::string_view text) {
    const auto url = parse_conn_url(text);
    if (!url) return;
    REQUIRE(!url->host.empty() && !url->port.empty());  // an address has a host and a port
}

void history(std::string_view text) {
    const auto entries = parse_timeline_history(text);
    if (!entries) return;
    Timeline last;
    for (const auto& entry : *entries) {
        REQUIRE(last < entry.timeline);  // timelines grow
        last = entry.timeline;
    }
}

void waldump(std::string_view text) {
    const auto half = text.find('\x01');
    const std::string_view errors = half == std::string_view::npos ? std::string_view() : text.substr(half + 1);
    const Lsn checkpoint{0x182E220};
    const auto end = checkpoint_end_of(text.substr(0, half), errors, checkpoint);
    if (!end) return;
    REQUIRE(*end > checkpoint && end->bytes - checkpoint.bytes < 32768);  // a record ends soon after its start
}

void password_line(std::string_view text) {
    const std::string content = pgpass_text({{"host", "5432"}}, {{"user", std::string(text), {}}});
    std::size_t lines = 0;
    for (const char c : content) lines += c == '\n' ? 1 : 0;
    REQUIRE(lines <= 1);  // a password cannot add a line
}

/// What goes into postgresql.conf stays one value on one line, whatever somebody stored.
void parameter(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return;
    std::vector<std::string> warnings;
    const auto value = valid_guc(text.substr(0, equals), text.substr(equals + 1), warnings);
    REQUIRE(value.has_value() || !warnings.empty());  // what is dropped is said
    if (!value) return;
    const std::string quoted = quote_guc(*value);
    REQUIRE(quoted.find_first_of("\r\n") == std::string::npos);  // one line
    std::size_t i = 1;
    for (; i + 1 < quoted.size(); ++i)
        if (quoted[i] == '\'' || quoted[i] == '\\') ++i;
    REQUIRE(i + 1 == quoted.size());  // the last quote is the one that closes
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
        case 'c':
            connection_string(text);
            break;
        case 'u':
            connection_url(text);
            break;
        case 'h':
            history(text);
            break;
        case 'w':
            waldump(text);
            break;
        case 'p':
            password_line(text);
            break;
        case 'g':
            parameter(text);
            break;
        default:
            break;
    }
    return 0;
}
