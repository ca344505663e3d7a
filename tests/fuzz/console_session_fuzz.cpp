// A client of the console, whatever it sends: answers are whole messages, nothing runs for a stats user but SHOW, and
// every Sync and every Query outside of an error ends with ReadyForQuery.
#include "console/session.hpp"
#include "console/tables.hpp"
#include "pgwire/framing.hpp"
#include "pgwire/message_types.hpp"
#include "require.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace {

using namespace pgkeel;
using namespace pgkeel::console;

void check_answers(std::string_view out) {
    const pgwire::Scanner scanner(pgwire::Origin::backend);
    while (!out.empty()) {
        const pgwire::Front front = scanner.look(out);
        REQUIRE(front.kind == pgwire::Front::Kind::whole);
        out.remove_prefix(front.bytes);
    }
}

/// The first byte of a run chooses who asks and what fails.
void talk(std::string_view stream, std::uint8_t how) {
    Session session(how & 1 ? Access::admin : Access::stats);
    pgwire::Scanner scanner(pgwire::Origin::frontend);
    while (true) {
        const pgwire::Front front = scanner.look(stream);
        if (front.kind != pgwire::Front::Kind::whole) return;
        std::string out;
        const Next next = session.receive(front.head.type, front.body(stream), out);
        std::size_t ran = 0;
        while (const Command* command = session.command()) {
            REQUIRE(++ran <= commands_max);
            REQUIRE((how & 1) || tag(*command) == "SHOW");
            if (how & 2)
                session.failed({.sqlstate = "XX000", .message = "no", .detail = {}, .hint = {}}, out);
            else if (has_rows(command->kind))
                session.rows({.columns = columns_of(*command), .rows = {Row(columns_of(*command).size(), "12")}}, out);
            else
                session.done(out);
        }
        check_answers(out);
        if (front.head.type == pgwire::frontend::types::sync) REQUIRE(out == std::string("Z\0\0\0\5I", 6));
        if (front.head.type == pgwire::frontend::types::query && !out.empty())
            REQUIRE(out.ends_with(std::string_view("Z\0\0\0\5I", 6)));
        if (next == Next::close) return;
        scanner.take(front, front.bytes);
        stream.remove_prefix(front.bytes);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    talk({reinterpret_cast<const char*>(data) + 1, size - 1}, data[0]);
    return 0;
}
