// The first bytes of a connection, from anybody. The answer comes with the last byte and not before, and a packet that
// is read is written and read again the same.
#include "pgwire/frontend_builders.hpp"
#include "pgwire/startup.hpp"
#include "require.hpp"

namespace {

using namespace pgkeel::pgwire;

bool equal(const StartupMessage& a, const StartupMessage& b) {
    return a.version == b.version && a.user == b.user && a.database == b.database && a.replication == b.replication &&
           a.options == b.options && a.parameters == b.parameters && a.protocol_options == b.protocol_options;
}

void check_options(std::string_view text) {
    std::size_t bytes = 0;
    for (const std::string& word : split_options(text)) bytes += word.size();
    REQUIRE(bytes <= text.size());
    if (const auto settings = parse_options(text)) {
        const auto back = parse_options(join_options(*settings));
        REQUIRE(back && *back == *settings);
    }
}

void check_startup(const StartupMessage& startup, std::size_t bytes) {
    REQUIRE(startup.version.major == 3);
    REQUIRE(!startup.user.empty() && startup.user.size() <= identity_bytes_max);
    REQUIRE(!startup.database.empty() && startup.database.size() <= identity_bytes_max);
    for (const Parameter& parameter : startup.parameters)
        REQUIRE(!parameter.name.empty() && !parameter.name.starts_with("_pq_."));
    const Negotiation negotiation = negotiate(startup);
    REQUIRE(negotiation.version <= newest_version && negotiation.version <= startup.version);
    REQUIRE(negotiation.refused.size() == startup.protocol_options.size());
    check_options(startup.options);

    std::string out;
    Writer writer(out);
    frontend::write_startup(writer, startup);
    // The database that was not sent, and `database` in full, can make it longer.
    if (!writer.ok()) {
        REQUIRE(bytes + identity_bytes_max + 32 > startup_bytes_max);
        return;
    }
    const auto back = read_first_packet(out);
    REQUIRE(back && *back && (*back)->bytes == out.size());
    REQUIRE(equal(std::get<StartupMessage>((*back)->packet), startup));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view received(reinterpret_cast<const char*>(data), size);
    check_options(received.substr(0, 1000));

    const auto opening = read_first_packet(received);
    if (!opening) {
        REQUIRE(!opening.error().text.empty());
        REQUIRE(!read_first_packet(std::string(received) + "more"));
        return 0;
    }
    if (!*opening) {
        REQUIRE(size < startup_bytes_max);
        return 0;
    }
    const std::size_t bytes = (*opening)->bytes;
    if (std::holds_alternative<TlsHello>((*opening)->packet)) {
        REQUIRE(bytes == 0);
        return 0;
    }
    REQUIRE(bytes >= 8 && bytes <= size && bytes <= startup_bytes_max);
    for (std::size_t here = 0; here < bytes; ++here) {
        const auto early = read_first_packet(received.substr(0, here));
        REQUIRE(early && !*early);
    }
    const auto alone = read_first_packet(received.substr(0, bytes));
    REQUIRE(alone && *alone && (*alone)->packet.index() == (*opening)->packet.index());

    if (const auto* startup = std::get_if<StartupMessage>(&(*opening)->packet)) check_startup(*startup, bytes);
    if (const auto* cancel = std::get_if<CancelRequest>(&(*opening)->packet)) {
        std::string out;
        Writer writer(out);
        frontend::write_cancel_request(writer, cancel->process_id, cancel->key);
        REQUIRE(writer.ok() && out == received.substr(0, bytes));
    }
    return 0;
}
