// A client's bytes, into a whole worker with a PostgreSQL behind it. Whatever they are: another client gets the answers
// to its own questions, before and after, and nothing is left behind.
#include "../unit/pool/sessions_world.hpp"
#include "require.hpp"

#include <cstdint>

namespace {

using namespace pgkeel::pool;

void ask(FakeClient& client, const std::string& mark) {
    REQUIRE(client.parse("", "mark $1").bind("", mark).execute().sync().answer() ==
            "1 2 D(" + mark + ") C(SELECT 1) Z(I)");
    REQUIRE(client.query("SHOW search_path").answer() == "T D(mine) C(SHOW) Z(I)");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
    World world;
    world.seed = data[1];
    world.piece = 1 + data[0] % 64;
    world.config.settings.max_prepared_statements = 2;
    if (data[0] & 64) world.client_room = world.server_room = 16;
    world.start(2);
    FakeClient& honest = world.client(1, {{"search_path", "mine"}});
    ask(honest, "before");
    FakeClient& strange = data[0] & 128 ? world.connect_client() : world.client();
    strange.send(stream);
    world.run();
    honest.query("mark meanwhile");
    world.run();
    strange.leave();
    world.run();
    REQUIRE(honest.answer() == "T D(meanwhile) C(SELECT 1) Z(I)");
    ask(honest, "after");
    REQUIRE(strange.answers_are_messages);
    REQUIRE(world.hub->clients == 1);
    for (const auto& wire : world.wires) REQUIRE(wire->broken.empty());
    const Book::Counts counts = world.counts();
    REQUIRE(counts.active == 0 && counts.waiting == 0);
    return 0;
}
