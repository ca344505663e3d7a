#include "postgres/rewind_rule.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::postgres {
namespace {

Lsn at(const char* text) {
    return *parse_lsn(text);
}

/// A leader on timeline 3 that left timeline 1 at 0/3000060 and timeline 2 at 0/5000100.
LeaderHistory leader() {
    return {Timeline{3}, {{Timeline{1}, at("0/3000060"), "", "", ""}, {Timeline{2}, at("0/5000100"), "", "", ""}}};
}
LocalHistory standby(std::uint32_t timeline, const char* position) {
    return {.timeline = Timeline{timeline},
            .position = at(position),
            .was_primary = false,
            .clean_shutdown = true,
            .checkpoint_end = {}};
}
LocalHistory former_primary(std::uint32_t timeline, const char* checkpoint, const char* end) {
    LocalHistory here{.timeline = Timeline{timeline},
                      .position = at(checkpoint),
                      .was_primary = true,
                      .clean_shutdown = true,
                      .checkpoint_end = {}};
    if (end != nullptr) here.checkpoint_end = at(end);
    return here;
}

TEST(rewind, nothing_to_do_on_the_same_timeline) {
    const RewindNeed need = needs_rewind(standby(3, "0/9000000"), leader());
    EXPECT_EQ(need.needed, false);
    EXPECT_EQ(need.reason, RewindReason::same_timeline);
}

TEST(rewind, a_newer_timeline_than_the_leaders_is_a_history_of_our_own) {
    EXPECT_EQ(needs_rewind(standby(4, "0/4000000"), leader()).needed, true);
    EXPECT_EQ(needs_rewind(former_primary(4, "0/4000000", "0/4000078"), leader()).reason,
              RewindReason::local_timeline_is_newer);
}

TEST(rewind, a_standby_that_has_no_more_than_the_switchpoint_follows) {
    EXPECT_EQ(needs_rewind(standby(1, "0/3000000"), leader()).needed, false);
    EXPECT_EQ(needs_rewind(standby(1, "0/3000060"), leader()).needed, false) << "exactly there is still shared";
    EXPECT_EQ(needs_rewind(standby(2, "0/5000100"), leader()).reason, RewindReason::position_before_switchpoint);
}

TEST(rewind, a_standby_one_byte_beyond_the_switchpoint_does_not) {
    const RewindNeed need = needs_rewind(standby(1, "0/3000061"), leader());
    EXPECT_EQ(need.needed, true);
    EXPECT_EQ(need.reason, RewindReason::position_after_switchpoint);
    EXPECT_NE(need.why.find("0/3000060"), std::string::npos) << need.why;
    EXPECT_NE(need.why.find("0/3000061"), std::string::npos) << need.why;
}

TEST(rewind, the_timeline_we_are_on_decides_and_not_the_leaders_last_switch) {
    // Between the two switchpoints: too far on timeline 1, not far enough to matter on timeline 2.
    EXPECT_EQ(needs_rewind(standby(1, "0/4000000"), leader()).needed, true);
    EXPECT_EQ(needs_rewind(standby(2, "0/4000000"), leader()).needed, false);
}

TEST(rewind, a_former_primary_follows_only_when_its_shutdown_ended_at_the_switchpoint) {
    const RewindNeed need = needs_rewind(former_primary(2, "0/5000088", "0/5000100"), leader());
    EXPECT_EQ(need.needed, false);
    EXPECT_EQ(need.reason, RewindReason::shutdown_checkpoint_is_the_switchpoint);
}

TEST(rewind, a_former_primary_that_wrote_a_record_more_or_less_than_the_leader_took_over_is_rewound) {
    EXPECT_EQ(needs_rewind(former_primary(2, "0/5000090", "0/5000108"), leader()).reason,
              RewindReason::shutdown_checkpoint_end_differs);
    // Less than the switchpoint means that the standby had other WAL there.
    EXPECT_EQ(needs_rewind(former_primary(2, "0/5000010", "0/5000088"), leader()).needed, true);
}

TEST(rewind, a_former_primary_whose_checkpoint_begins_at_or_after_the_switchpoint_is_rewound) {
    EXPECT_EQ(needs_rewind(former_primary(2, "0/5000100", "0/5000178"), leader()).reason,
              RewindReason::position_after_switchpoint);
    EXPECT_EQ(needs_rewind(former_primary(2, "0/5000101", nullptr), leader()).needed, true);
}

TEST(rewind, a_former_primary_whose_end_is_not_known_is_rewound) {
    EXPECT_EQ(needs_rewind(former_primary(2, "0/5000088", nullptr), leader()).reason,
              RewindReason::shutdown_checkpoint_end_unknown);
    LocalHistory crashed = former_primary(2, "0/5000088", "0/5000100");
    crashed.clean_shutdown = false;
    EXPECT_EQ(needs_rewind(crashed, leader()).needed, true) << "it wrote more after that checkpoint";
}

TEST(rewind, a_timeline_that_the_leader_does_not_descend_from_is_rewound) {
    LeaderHistory other{Timeline{5},
                        {{Timeline{1}, at("0/3000060"), "", "", ""}, {Timeline{4}, at("0/6000000"), "", "", ""}}};
    const RewindNeed need = needs_rewind(standby(2, "0/3000000"), other);
    EXPECT_EQ(need.needed, true);
    EXPECT_EQ(need.reason, RewindReason::timeline_not_in_history);
    other.entries.pop_back();
    EXPECT_EQ(needs_rewind(standby(4, "0/3000000"), other).reason, RewindReason::timeline_not_in_history);
}

TEST(rewind, without_facts_nothing_is_claimed) {
    EXPECT_FALSE(needs_rewind(standby(0, "0/1"), leader()).needed.has_value());
    EXPECT_FALSE(needs_rewind(standby(1, "0/0"), leader()).needed.has_value());
    EXPECT_FALSE(needs_rewind(standby(1, "0/1"), {Timeline{0}, {}}).needed.has_value());
    EXPECT_FALSE(needs_rewind(standby(1, "0/1"), {Timeline{3}, {}}).needed.has_value()) << "history not read";
}

TEST(rewind, pg_waldump_is_asked_only_when_its_answer_decides) {
    EXPECT_TRUE(wants_checkpoint_end(former_primary(2, "0/5000088", nullptr), leader()));
    EXPECT_FALSE(wants_checkpoint_end(former_primary(2, "0/5000088", "0/5000100"), leader()));
    EXPECT_FALSE(wants_checkpoint_end(former_primary(2, "0/5000100", nullptr), leader()));
    EXPECT_FALSE(wants_checkpoint_end(former_primary(3, "0/5000088", nullptr), leader()));
    EXPECT_FALSE(wants_checkpoint_end(standby(2, "0/5000088"), leader()));
}

ControlData control(ControlState state) {
    ControlData data;
    data.state = state;
    data.checkpoint_timeline = Timeline{2};
    data.checkpoint = at("0/5000088");
    data.min_recovery_timeline = Timeline{3};
    data.min_recovery_end = at("0/6000000");
    return data;
}

TEST(local_history, a_standbys_is_its_minimum_recovery_point) {
    const auto here = local_history(control(ControlState::shut_down_in_recovery));
    ASSERT_TRUE(here);
    EXPECT_FALSE(here->was_primary);
    EXPECT_EQ(here->timeline, Timeline{3});
    EXPECT_EQ(here->position, at("0/6000000"));
}

TEST(local_history, a_former_primarys_is_its_shutdown_checkpoint) {
    const auto here = local_history(control(ControlState::shut_down));
    ASSERT_TRUE(here);
    EXPECT_TRUE(here->was_primary);
    EXPECT_TRUE(here->clean_shutdown);
    EXPECT_EQ(here->timeline, Timeline{2});
    EXPECT_EQ(here->position, at("0/5000088"));
}

TEST(local_history, a_standby_without_a_minimum_was_a_primary_when_it_crashed) {
    ControlData data = control(ControlState::in_archive_recovery);
    data.min_recovery_end = {};
    data.min_recovery_timeline = {};
    const auto here = local_history(data);
    ASSERT_TRUE(here);
    EXPECT_TRUE(here->was_primary);
    EXPECT_FALSE(here->clean_shutdown);
}

TEST(local_history, a_crashed_primary_must_be_recovered_first) {
    for (const ControlState state : {ControlState::in_production, ControlState::in_crash_recovery,
                                     ControlState::shutting_down, ControlState::starting_up, ControlState::unknown})
        EXPECT_FALSE(local_history(control(state))) << to_string(state);
}

std::string record(const char* lsn, int bytes, const char* what = "CHECKPOINT_SHUTDOWN") {
    return fmt::format(
        "rmgr: XLOG        len (rec/tot): {:6}/{:6}, tx:          0, lsn: {}, prev 0/0182E1E8, desc: {} redo "
        "0/182E220; tli 1; shutdown\n",
        bytes, bytes, lsn, what);
}

TEST(checkpoint_end, is_the_length_of_the_record_aligned) {
    EXPECT_EQ(
        checkpoint_end_of(record("0/0182E220", 114),
                          "pg_waldump: error: error in WAL record at 0/182E220: invalid record length at 0/182E298: "
                          "wanted 24, got 0\n",
                          at("0/182E220")),
        at("0/182E298"));
}

TEST(checkpoint_end, counts_the_header_of_a_page_that_begins_inside_the_record) {
    // 0x1FC0 is 64 bytes before a page; 114 bytes are 64 there, a header of 24, and 50 more: 0x2000 + 24 + 50 →
    // aligned.
    EXPECT_EQ(checkpoint_end_of(record("0/01821FC0", 114), "", at("0/1821FC0")), at("0/1822050"));
}

TEST(checkpoint_end, is_the_boundary_when_the_record_ends_with_its_page) {
    EXPECT_EQ(checkpoint_end_of(record("0/01821F88", 114), "", at("0/1821F88")), at("0/1822000"));
}

TEST(checkpoint_end, asks_pg_waldump_where_a_segment_may_begin) {
    const std::string shown = record("0/020FFFC0", 114);
    EXPECT_FALSE(checkpoint_end_of(shown, "", at("0/20FFFC0"))) << "segments of 1 MB or not?";
    EXPECT_EQ(checkpoint_end_of(
                  shown, "error in WAL record at 0/20FFFC0: invalid record length at 0/2100050: wanted 24, got 0",
                  at("0/20FFFC0")),
              at("0/2100050"));
    EXPECT_EQ(checkpoint_end_of(
                  shown, "error in WAL record at 0/20FFFC0: invalid record length at 0/2100060: wanted 24, got 0",
                  at("0/20FFFC0")),
              at("0/2100060"));
    EXPECT_FALSE(checkpoint_end_of(
        shown, "error in WAL record at 0/20FFFC0: invalid record length at 0/2100070: wanted 24", at("0/20FFFC0")));
}

TEST(checkpoint_end, is_unknown_when_something_follows_or_the_output_is_another) {
    const Lsn lsn = at("0/182E220");
    EXPECT_FALSE(checkpoint_end_of(record("0/0182E220", 114) + record("0/0182E298", 50, "RUNNING_XACTS"), "", lsn));
    EXPECT_FALSE(checkpoint_end_of(record("0/0182E220", 114, "CHECKPOINT_ONLINE"), "", lsn));
    EXPECT_FALSE(checkpoint_end_of(record("0/0182E228", 114), "", lsn));
    EXPECT_FALSE(checkpoint_end_of("", "pg_waldump: error: could not find file", lsn));
    EXPECT_FALSE(checkpoint_end_of("rmgr: XLOG lsn: 0/0182E220, desc: CHECKPOINT_SHUTDOWN", "", lsn));
}

}  // namespace
}  // namespace pgkeel::postgres
