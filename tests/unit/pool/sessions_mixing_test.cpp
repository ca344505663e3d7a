#include "sessions_world.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

// Rows never go to a client who has not asked for them.

namespace pgkeel::pool {
namespace {

/// Asks at random, and knows what the answers must be.
class Asker {
  public:
    Asker(FakeClient& client, std::string name) : client_(&client), name_(std::move(name)) {}

    void ask(World& world) {
        client_->collect();
        for (std::size_t count = 1 + world.pick(3); count > 0; --count) one(world);
        client_->send(client_->collected());
    }
    void check(std::uint64_t seed) {
        EXPECT_EQ(client_->answers(), expected_) << name_ << ", seed " << seed;
        expected_.clear();
    }
    void finish() {
        if (status_ == 'I') return;
        client_->query("ROLLBACK");
        expect("C(ROLLBACK)");
        status_ = 'I';
        expect("Z(I)");
    }
    FakeClient& client() { return *client_; }

  private:
    void expect(const std::string& answer) {
        if (!expected_.empty()) expected_ += ' ';
        expected_ += answer;
    }
    void ready() { expect(fmt::format("Z({})", status_)); }
    std::string mark() { return fmt::format("{}-{}", name_, ++asked_); }
    std::string error(const char* code, const char* text) { return fmt::format("E(ERROR {} {})", code, text); }
    void fail() {
        if (status_ == 'T') status_ = 'E';
    }

    void one(World& world) {
        const std::string text = mark();
        const std::string row = fmt::format("D({})", text);
        if (status_ == 'E') {
            client_->query("ROLLBACK");
            expect("C(ROLLBACK)");
            status_ = 'I';
            return ready();
        }
        switch (world.pick(11)) {
            case 0:
                client_->query("mark " + text);
                expect("T " + row + " C(SELECT 1)");
                return ready();
            case 1:
                client_->query(fmt::format("mark {}; rows 2 {}", text, text));
                expect(fmt::format("T {} C(SELECT 1) T {} {} C(SELECT 2)", row, row, row));
                return ready();
            case 2:
                if (status_ == 'T') {
                    client_->query("COMMIT");
                    expect("C(COMMIT)");
                    status_ = 'I';
                } else {
                    client_->query("BEGIN");
                    expect("C(BEGIN)");
                    status_ = 'T';
                }
                return ready();
            case 3:  // prepared by name, once
                if (!has_prepared_) {
                    client_->parse("s", "mark $1");
                    expect("1");
                    has_prepared_ = true;
                }
                client_->bind("s", text).execute().bind("s", text).execute().sync();
                expect(fmt::format("2 {} C(SELECT 1) 2 {} C(SELECT 1)", row, row));
                return ready();
            case 4:  // an error, and what is skipped
                client_->parse("", "mark $1").bind("", text).execute().parse("x", "syntax").bind("", text).execute();
                client_->close('S', "s").parse("t", "mark x").sync();
                expect(fmt::format("1 2 {} C(SELECT 1) {}", row, error("42601", "syntax error")));
                fail();
                return ready();
            case 5:
                client_->query("error 22012");
                expect(error("22012", "as asked"));
                fail();
                return ready();
            case 6: {  // close and prepare again
                const std::string own = "p" + name_ + std::to_string(asked_);
                client_->parse(own, "mark " + text).bind(own).execute().close('S', own).parse(own, "mark $1");
                client_->bind(own, text + "!").execute().close('S', own).sync();
                expect(fmt::format("1 2 {} C(SELECT 1) 3 1 2 D({}!) C(SELECT 1) 3", row, text));
                return ready();
            }
            case 7:
                client_->query("COPY OUT 3 " + text);
                expect(fmt::format("H d({}) d({}) d({}) c C(COPY 3)", text, text, text));
                return ready();
            case 8:  // copied at once, without waiting for CopyInResponse
                client_->query("COPY IN").copy_data(text).copy_data("more").copy_done();
                expect(fmt::format("G C(COPY {})", text.size() + 4));
                return ready();
            case 9:  // fails in the middle, and the rest comes late
                client_->query("COPY IN").copy_data(text).copy_data("bad").copy_data(text).copy_data("bad").copy_done();
                expect(fmt::format("G {}", error("22P04", "bad row")));
                fail();
                return ready();
            default:
                client_->parse("", "COPY IN").bind("").execute().copy_data(text).copy_done().sync();
                expect(fmt::format("1 2 G C(COPY {})", text.size()));
                return ready();
        }
    }

    FakeClient* client_;
    std::string name_, expected_;
    char status_ = 'I';
    int asked_ = 0;
    bool has_prepared_ = false;
};

void mix(std::uint64_t seed, std::size_t workers, std::size_t piece, std::size_t room) {
    World world;
    world.seed = seed;
    world.piece = piece;
    world.client_room = world.server_room = room;
    world.config.settings.default_pool_size = 2;
    world.config.settings.max_prepared_statements = seed % 3 == 0 ? 3 : 100;
    world.start(workers);
    std::vector<Asker> askers;
    for (int i = 0; i < 5; ++i)
        askers.emplace_back(world.client(world.pick(workers), {{"application_name", fmt::format("app{}", i % 3)}}),
                            std::string(1, static_cast<char>('a' + i)));
    for (int round = 0; round < 4; ++round) {
        for (Asker& asker : askers) {
            asker.ask(world);
            for (std::size_t steps = world.pick(20); steps > 0; --steps) world.step();
        }
        // Who holds a server in a transaction lets the others go on.
        for (Asker& asker : askers) asker.finish();
        world.run();
        for (Asker& asker : askers) asker.check(seed);
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(world.troubles(), "") << "seed " << seed;
    const Book::Counts counts = world.counts();
    EXPECT_EQ(counts.active, 0U) << "seed " << seed;
    EXPECT_EQ(counts.waiting, 0U) << "seed " << seed;
    EXPECT_LE(world.postgres.sessions().size(), 2U);
}

TEST(sessions_mixing, everybody_gets_what_he_has_asked_for) {
    for (std::uint64_t seed = 1; seed <= 150 && !HasFailure(); ++seed) mix(seed, 1 + seed % 2, 1 + seed % 97, 1 << 20);
}

TEST(sessions_mixing, also_byte_by_byte) {
    for (std::uint64_t seed = 1000; seed <= 1020 && !HasFailure(); ++seed) mix(seed, 1 + seed % 2, 1, 1 << 20);
}

TEST(sessions_mixing, also_when_nobody_takes_much) {
    for (std::uint64_t seed = 2000; seed <= 2060 && !HasFailure(); ++seed)
        mix(seed, 1 + seed % 2, 1 + seed % 41, 1 + seed % 23);
}

TEST(sessions_mixing, a_pipeline_may_be_cut_anywhere) {
    const auto talk = [](FakeClient& client) {
        client.collect();
        client.parse("a", "mark $1").bind("a", "one").describe('P', "").execute().describe('S', "a").sync();
        client.query("mark two").parse("", "rows 3 $1").bind("", "x").execute(2).execute().close('P', "").sync();
        client.parse("b", "syntax").bind("b", "no").execute().sync().bind("a", "three").execute().sync();
        return client.collected();
    };
    const std::string expected =
        "1 2 T D(one) C(SELECT 1) t T Z(I) T D(two) C(SELECT 1) Z(I) 1 2 D(x) D(x) s D(x) C(SELECT 1) 3 Z(I) "
        "E(ERROR 42601 syntax error) Z(I) 2 D(three) C(SELECT 1) Z(I)";
    std::size_t size = 1;
    for (std::size_t cut = 0; cut < size && !HasFailure(); ++cut) {
        World world;
        world.start();
        FakeClient& client = world.client();
        const std::string bytes = talk(client);
        size = bytes.size();
        client.send(bytes.substr(0, cut));
        world.run();
        client.send(bytes.substr(cut));
        EXPECT_EQ(client.answer(), expected) << "cut at " << cut;
        EXPECT_EQ(world.troubles(), "") << "cut at " << cut;
        EXPECT_EQ(world.counts().idle, 1U) << "cut at " << cut;
    }
}

}  // namespace
}  // namespace pgkeel::pool
