// What a user types into the console: the same commands however they are written again, and never more of them than one
// query may have.
#include "console/command.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace {

using namespace pgkeel;
using namespace pgkeel::console;

std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
}

/// A command in another spelling; empty where the tag does not tell what it was.
std::string spelled_again(const Command& command) {
    switch (command.kind) {
        case Kind::set:
        case Kind::set_parameter: {
            std::string name = "\"";
            for (const char c : command.argument) name += c == '"' ? std::string("\"\"") : std::string(1, c);
            return "/* again */ sEt " + name + "\" To " + quoted(command.value) + " ; ";
        }
        case Kind::kill_client:
            return "kill_client " + std::to_string(command.client_id);
        case Kind::shutdown:
        case Kind::shutdown_wait_for_servers:
        case Kind::shutdown_wait_for_clients:
            return {};
        default:
            if (tag(command) == "SHOW") return {};
            return tag(command) + (command.argument.empty() ? "" : " " + quoted(command.argument));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string sql(reinterpret_cast<const char*>(data), size);
    const auto commands = parse(sql);
    if (!commands) {
        REQUIRE(!commands.error().text.empty() && commands.error().text.size() < 1100);
        return 0;
    }
    REQUIRE(commands->size() <= commands_max);
    for (const Command& command : *commands) {
        if (permit(command.kind, Access::stats)) REQUIRE(tag(command) == "SHOW" || tag(command) == "SET");
        REQUIRE(!permit(command.kind, Access::none));
        const std::string again = spelled_again(command);
        if (again.empty() || again.size() > query_bytes_max) continue;
        const auto read = parse(again);
        REQUIRE(read && read->size() == 1 && read->front() == command);
    }
    return 0;
}
