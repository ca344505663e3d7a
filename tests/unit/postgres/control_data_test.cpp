#include "postgres/control_data.hpp"

#include "support/postgres.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace pgkeel::postgres {
namespace {

/// Printed by pg_controldata 15.20 of a server in production.
constexpr std::string_view in_production = R"(pg_control version number:            1300
Catalog version number:               202209061
Database system identifier:           7710455999915087590
Database cluster state:               in production
pg_control last modified:             Sat Nov 21 03:07:13 2026
Latest checkpoint location:           0/2000060
Latest checkpoint's REDO location:    0/2000028
Latest checkpoint's REDO WAL file:    000000010000000000000002
Latest checkpoint's TimeLineID:       1
Latest checkpoint's PrevTimeLineID:   1
Latest checkpoint's full_page_writes: on
Time of latest checkpoint:            Sat Nov 21 03:07:13 2026
Minimum recovery ending location:     16/B374D848
Min recovery ending loc's timeline:   7
wal_level setting:                    replica
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           3
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
Maximum data alignment:               8
Data page checksum version:           1
)";

TEST(control_data, every_fact_is_read) {
    const auto control = parse_control_data(in_production);
    ASSERT_TRUE(control) << control.error().line();
    EXPECT_EQ(control->state, ControlState::in_production);
    EXPECT_EQ(control->system_identifier, "7710455999915087590");
    EXPECT_EQ(control->checkpoint, Lsn{0x2000060});
    EXPECT_EQ(control->checkpoint_redo, Lsn{0x2000028});
    EXPECT_EQ(control->checkpoint_timeline, Timeline{1});
    EXPECT_EQ(control->min_recovery_end, Lsn{0x16B374D848});
    EXPECT_EQ(control->min_recovery_timeline, Timeline{7});
    EXPECT_TRUE(control->wal_log_hints);
    EXPECT_TRUE(control->data_checksums);
    EXPECT_EQ(control->settings, (std::map<std::string, int>{{"max_connections", 100},
                                                             {"max_worker_processes", 8},
                                                             {"max_wal_senders", 10},
                                                             {"max_prepared_transactions", 3},
                                                             {"max_locks_per_transaction", 64}}));
}

TEST(control_data, every_state_has_a_name) {
    for (const ControlState state :
         {ControlState::starting_up, ControlState::shut_down, ControlState::shut_down_in_recovery,
          ControlState::shutting_down, ControlState::in_crash_recovery, ControlState::in_archive_recovery,
          ControlState::in_production}) {
        const auto control = parse_control_data(
            std::string("Database system identifier: 1\nDatabase cluster state:   ") + to_string(state) + "\n");
        ASSERT_TRUE(control) << to_string(state);
        EXPECT_EQ(control->state, state);
    }
}

TEST(control_data, output_that_says_too_little_is_an_error) {
    for (const char* output :
         {"", "\n\n:\n", "Database cluster state: in production\n", "Database system identifier: 1\n",
          "Database system identifier: 1\nDatabase cluster state: on holiday\n",
          "pg_controldata: error: could not open file\n"})
        EXPECT_EQ(parse_control_data(output).error().code, Errc::invalid_input) << output;
}

TEST(control_data, the_file_of_a_real_cluster_says_what_the_program_says) {
    const test::Folder folder;
    test::EventLoop loop;
    Workers workers(1);
    const auto agent = test::node_config(folder.path(), "a");
    const Programs programs{loop.clock, workers, agent, account_for(agent.postgresql.data_dir)};
    EXPECT_FALSE(loop.run(read_control_data(programs, loop.clock.now() + std::chrono::seconds(10))));
    EXPECT_EQ(peek_control_state(agent.postgresql.data_dir), ControlState::unknown);
    auto made =
        loop.run(run_checked(loop.clock, programs.command("initdb", {"-D", agent.postgresql.data_dir, "--no-sync"}),
                             loop.clock.now() + std::chrono::seconds(60)));
    ASSERT_TRUE(made) << made.error().line();
    const auto control = loop.run(read_control_data(programs, loop.clock.now() + std::chrono::seconds(10)));
    ASSERT_TRUE(control) << control.error().line();
    EXPECT_EQ(control->state, ControlState::shut_down);
    EXPECT_EQ(peek_control_state(agent.postgresql.data_dir), ControlState::shut_down);
    EXPECT_GT(control->checkpoint, Lsn{0});
    EXPECT_FALSE(control->data_checksums);
}

}  // namespace
}  // namespace pgkeel::postgres
