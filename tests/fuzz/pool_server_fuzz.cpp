// A server's bytes, at its login or after a client has asked something. It may say what it likes: the worker closes it
// or passes it on, comes to rest, and counts right.
#include "../unit/pool/sessions_world.hpp"
#include "require.hpp"

#include <cstdint>

namespace {

using namespace pgkeel::pool;

void ask(FakeClient& client, int what) {
    switch (what) {
        case 0:
            client.query("mark a").parse("s", "mark b").bind("s").execute().sync();
            break;
        case 1:
            client.query("BEGIN").query("COPY IN").sync().copy_data("x").copy_done();
            break;
        case 2:
            client.parse("s", "COPY IN").bind("s").execute().sync().copy_data("x").copy_done().sync();
            break;
        default:
            client.parse("s", "mark").close('S', "s").parse("s", "other").describe('S', "s").bind("s").execute().sync();
            client.parse("t", "third").bind("t").execute().sync();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
    World world;
    world.seed = data[1];
    world.piece = 1 + data[0] % 32;
    world.config.settings.max_prepared_statements = 1;
    const bool at_login = data[0] & 128;
    world.config.settings.pool_mode =
        data[0] & 64 ? pgkeel::config::PoolMode::session : pgkeel::config::PoolMode::transaction;
    world.start(2);
    FakeClient* asker = nullptr;
    if (at_login) {
        asker = &world.connect_client().startup({{"application_name", "a"}});
        while (world.postgres.backends.empty() && world.step()) {
        }
    } else {
        asker = &world.client(0, {{"application_name", "a"}});
        asker->query("mark first").answer();
    }
    FakeClient& waiting = world.connect_client(1).startup();
    REQUIRE(!world.postgres.backends.empty());
    Backend& liar = *world.postgres.backends.back();
    liar.deaf = true;
    ask(*asker, (data[0] >> 5 & 1) | (data[1] & 2));
    for (int i = 0; i < 30 && world.step(); ++i) {
    }
    liar.say(stream);
    world.run();
    waiting.query("mark second");
    world.pass(std::chrono::seconds(1));
    asker->leave();
    liar.die();
    world.run();
    waiting.leave();
    world.pass(std::chrono::seconds(200), 4);
    REQUIRE(world.hub->clients == 0);
    for (const auto& wire : world.wires) REQUIRE(wire->broken.empty());
    const Book::Counts counts = world.counts();
    REQUIRE(counts.active == 0 && counts.waiting == 0 && counts.logging_in == 0);
    return 0;
}
