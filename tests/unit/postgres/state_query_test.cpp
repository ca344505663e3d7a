#include "postgres/state_query.hpp"

#include <gtest/gtest.h>

namespace pgkeel::postgres {
namespace {

using Row = std::vector<std::optional<std::string>>;

Row primary() {
    return {
        "f",
        "7",
        "16/B374D848",
        std::nullopt,
        std::nullopt,
        std::nullopt,
        std::nullopt,
        std::nullopt,
        std::nullopt,
        "",
        "",
        "f",
        "2026-11-21 03:07:13.800243+00",
        R"([[41, "replicator", "b", "10.0.0.2", "streaming", "quorum", 1, "0/5", "0/4", "0/3", "0/2"], [42, "u", "c", null, "startup", "async", 0, null, null, null, null]])",
        R"([["b", "physical", true, null, null, "0/3000060", null, true, "reserved", null, null], ["l", "logical", false, "app", "pgoutput", "0/1", "0/2", false, "lost", 731, true]])",
        "ANY 1 (\"b\")",
        "on",
        std::nullopt};
}

Row standby() {
    return {"t",
            "3",
            std::nullopt,
            "0/5000000",
            "0/4000000",
            "0/6000000",
            "2026-11-21 03:07:13.800243+00:00",
            "t",
            "streaming",
            "host=a",
            "b",
            "t",
            "x",
            std::nullopt,
            std::nullopt,
            "",
            "on",
            std::nullopt};
}

TEST(state_query, a_primary_tells_its_position_standbys_and_slots) {
    const auto answer = read_state({primary()});
    ASSERT_TRUE(answer) << answer.error().line();
    const ServerState& state = answer->state;
    EXPECT_FALSE(state.in_recovery);
    EXPECT_EQ(state.timeline, Timeline{7});
    EXPECT_EQ(state.written, Lsn{0x16B374D848});
    EXPECT_EQ(state.replication_state, "");
    EXPECT_EQ(answer->conf_load_time, "2026-11-21 03:07:13.800243+00");
    ASSERT_EQ(state.replication.size(), 2U);
    EXPECT_EQ(state.synchronous_standby_names, R"(ANY 1 ("b"))");
    EXPECT_EQ(state.synchronous_commit, "on");
    EXPECT_EQ(state.replication[0].pid, 41);
    EXPECT_EQ(state.replication[0].application_name, "b");
    EXPECT_EQ(state.replication[0].sync_state, "quorum");
    EXPECT_EQ(state.replication[0].sync_priority, 1);
    EXPECT_EQ(state.replication[0].sent, Lsn{5});
    EXPECT_EQ(state.replication[0].replayed, Lsn{2});
    EXPECT_EQ(state.replication[1].client_addr, "");
    EXPECT_EQ(state.replication[1].flushed, Lsn{});
    ASSERT_EQ(state.slots.size(), 2U);
    EXPECT_TRUE(state.slots[0].physical);
    EXPECT_TRUE(state.slots[0].has_xmin);
    EXPECT_EQ(state.slots[0].restart_lsn, Lsn{0x3000060});
    EXPECT_FALSE(state.slots[1].physical);
    EXPECT_EQ(state.slots[1].database, "app");
    EXPECT_EQ(state.slots[1].plugin, "pgoutput");
    EXPECT_EQ(state.slots[1].catalog_xmin, 731U);
    EXPECT_TRUE(state.slots[1].failover);
    EXPECT_EQ(state.slots[1].confirmed_flush_lsn, Lsn{2});
    EXPECT_EQ(state.slots[1].wal_status, "lost");
}

TEST(state_query, a_standby_tells_what_it_received_and_from_where) {
    const auto answer = read_state({standby()});
    ASSERT_TRUE(answer) << answer.error().line();
    const ServerState& state = answer->state;
    EXPECT_TRUE(state.in_recovery);
    EXPECT_EQ(state.received, Lsn{0x5000000});
    EXPECT_EQ(state.replayed, Lsn{0x4000000});
    EXPECT_EQ(state.latest_end, Lsn{0x6000000});
    EXPECT_TRUE(state.replay_paused);
    EXPECT_TRUE(state.wal_receiver_active);
    EXPECT_EQ(state.replication_state, "streaming");
    EXPECT_EQ(state.primary_conninfo, "host=a");
    EXPECT_EQ(state.primary_slot_name, "b");
}

TEST(state_query, a_standby_that_still_reads_its_own_wal_may_have_more_than_it_says) {
    Row row = standby();
    EXPECT_TRUE(read_state({row})->state.knows_its_wal_end) << "streaming begins where its own WAL ends";
    row[3] = std::nullopt;
    row[8] = std::nullopt;
    EXPECT_FALSE(read_state({row})->state.knows_its_wal_end);
    row[17] = "RecoveryRetrieveRetryInterval";
    EXPECT_TRUE(read_state({row})->state.knows_its_wal_end) << "it waits for more to come";
}

TEST(state_query, without_a_receiver_a_standby_lives_on_its_archive_or_on_nothing) {
    Row row = standby();
    row[8].reset();
    EXPECT_EQ(read_state({row})->state.replication_state, "in archive recovery");
    EXPECT_FALSE(read_state({row})->state.wal_receiver_active);
    row[11] = "f";
    EXPECT_EQ(read_state({row})->state.replication_state, "");
    row[8] = "waiting";
    EXPECT_EQ(read_state({row})->state.replication_state, "") << "a receiver that waits does not stream";
}

TEST(state_query, an_answer_of_another_form_is_an_error) {
    Row short_row = primary();
    short_row.pop_back();
    Row no_list = primary();
    no_list[13] = "{}";
    Row bad_list = primary();
    bad_list[14] = "[[1, 2]]";
    Row broken = primary();
    broken[14] = "[[";
    Row unknown = primary();
    unknown[0].reset();
    for (const SqlRows& rows : {SqlRows{}, SqlRows{primary(), primary()}, SqlRows{short_row}, SqlRows{no_list},
                                SqlRows{bad_list}, SqlRows{broken}, SqlRows{unknown}})
        EXPECT_EQ(read_state(rows).error().code, Errc::invalid_input);
}

}  // namespace
}  // namespace pgkeel::postgres
