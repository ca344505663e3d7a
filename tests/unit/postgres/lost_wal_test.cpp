#include "postgres/lost_wal.hpp"

#include "unit/postgres/temporary_directory.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

namespace pgkeel::postgres {
namespace {
namespace fs = std::filesystem;

HistoryEntry left(std::uint32_t timeline, std::uint64_t lsn) {
    return {Timeline{timeline}, Lsn{lsn}, "", "", ""};
}
LocalHistory here(std::uint32_t timeline, std::uint64_t position) {
    return {.timeline = Timeline{timeline}, .position = Lsn{position}, .was_primary = true, .checkpoint_end = {}};
}

TEST(lost_wal, is_what_a_former_primary_wrote_after_the_new_one_had_left_its_timeline) {
    const LeaderHistory leader{Timeline{2}, {left(1, 0x3000100)}};
    EXPECT_EQ(lost_wal({}, here(1, 0x3000180), leader),
              (LostWal{Timeline{1}, Lsn{0x3000100}, Timeline{1}, Lsn{0x3000180}}));
    EXPECT_EQ(lost_wal({}, here(1, 0x3000180), leader)->bytes(), 0x80U);
    EXPECT_FALSE(lost_wal({}, here(1, 0x3000100), leader)) << "it has not gone further";
    EXPECT_FALSE(lost_wal({}, here(1, 0x2000000), leader));
    EXPECT_FALSE(lost_wal({}, here(0, 0x3000180), leader));
    EXPECT_FALSE(lost_wal({}, here(1, 0), leader));
}

TEST(lost_wal, begins_at_the_earliest_place_where_two_histories_differ) {
    const LeaderHistory leader{Timeline{5}, {left(1, 0x1000), left(2, 0x2000), left(4, 0x4000)}};
    // We were promoted from 2 ourselves, further on.
    EXPECT_EQ(lost_wal({left(1, 0x1000), left(2, 0x2800)}, here(3, 0x3000), leader),
              (LostWal{Timeline{2}, Lsn{0x2000}, Timeline{3}, Lsn{0x3000}}));
    // We left 2 at the same place, for another timeline.
    EXPECT_EQ(lost_wal({left(1, 0x1000), left(2, 0x2000)}, here(3, 0x3000), leader),
              (LostWal{Timeline{3}, Lsn{0x2000}, Timeline{3}, Lsn{0x3000}}));
    // We are ahead by a timeline of our own.
    EXPECT_EQ(lost_wal({left(1, 0x1000)}, here(2, 0x5000), {Timeline{1}, {}}),
              (LostWal{Timeline{1}, Lsn{0x1000}, Timeline{2}, Lsn{0x5000}}));
    EXPECT_FALSE(lost_wal({left(1, 0x1000), left(2, 0x2000), left(4, 0x4000)}, here(5, 0x9000), leader));
    EXPECT_FALSE(lost_wal({}, here(1, 0x9000), {Timeline{7}, {left(6, 0x100)}})) << "nothing in common is known";
}

TEST(lost_wal, is_in_the_segments_from_its_begin_to_its_end) {
    const LostWal lost{Timeline{2}, Lsn{0x5000148}, Timeline{3}, Lsn{0x7000200}};
    constexpr std::uint64_t segment = 16 << 20;
    EXPECT_EQ(files_with(lost,
                         {"000000030000000000000007", "000000020000000000000005", "000000020000000000000004",
                          "000000020000000000000006", "000000030000000000000008", "000000010000000000000006",
                          "00000002.history", "00000003.history", "00000004.history", "archive_status",
                          "000000020000000000000005.partial", "xlogtemp.1", "000000040000000000000006"},
                         segment),
              (std::vector<std::string>{"00000002.history", "00000003.history", "000000020000000000000005",
                                        "000000020000000000000006", "000000030000000000000007"}));
    EXPECT_EQ(files_with({Timeline{1}, Lsn{0x100000000}, Timeline{1}, Lsn{0x100000100}},
                         {"0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001"}, segment),
              (std::vector<std::string>{"000000010000000100000000"}));
    EXPECT_EQ(files_with({Timeline{1}, Lsn{0x100000}, Timeline{1}, Lsn{0x180000}},
                         {"000000010000000000000000", "000000010000000000000001"}, 1 << 20),
              (std::vector<std::string>{"000000010000000000000001"}))
        << "segments of 1 MB";
    EXPECT_TRUE(files_with(lost, {"000000020000000000000005"}, 0).empty());
}

TEST(lost_wal, ends_where_the_stop_or_the_recovery_of_its_server_begins) {
    const std::string output =
        "rmgr: XLOG        len (rec/tot):     51/   275, tx:          0, lsn: 0/03000148, prev 0/03000110, desc: "
        "FPI_FOR_HINT , blkref #0: rel 1663/5/1259 blk 0 FPW\n"
        "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/03000260, prev 0/03000148, desc: "
        "CHECKPOINT_ONLINE redo 0/3000228; tli 1\n"
        "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/030002D8, prev 0/03000260, desc: "
        "CHECKPOINT_SHUTDOWN redo 0/30002D8; tli 1\n"
        "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/03000350, prev 0/030002D8, desc: "
        "CHECKPOINT_SHUTDOWN redo 0/3000350; tli 1\n";
    EXPECT_EQ(end_of_own_wal(output, Lsn{0x3000110}), Lsn{0x30002D8});
    EXPECT_FALSE(end_of_own_wal(output.substr(0, output.find("CHECKPOINT_SHUTDOWN")), Lsn{0x3000110}));
    EXPECT_FALSE(end_of_own_wal("", {}));
    EXPECT_FALSE(end_of_own_wal("desc: CHECKPOINT_SHUTDOWN\n", {}));
}

TEST(lost_wal, a_start_in_the_middle_of_it_is_not_its_end) {
    const auto record = [](std::string_view lsn, std::string_view previous, std::string_view what) {
        return fmt::format(
            "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: {}, prev {}, desc: {} \n", lsn,
            previous, what);
    };
    const std::string before = record("0/03000100", "0/030000C8", "CHECKPOINT_SHUTDOWN redo 0/3000100") +
                               record("0/03000178", "0/03000100", "PARAMETER_CHANGE max_connections=100");
    // Between 0/3000178 and 0/3009000 it has written rows.
    EXPECT_EQ(end_of_own_wal(before + record("0/03009038", "0/03009000", "CHECKPOINT_SHUTDOWN redo 0/3009038"),
                             Lsn{0x30000C8}),
              Lsn{0x3009038});
    // A crash: the end of the recovery, what a start notes, and the stop.
    EXPECT_EQ(end_of_own_wal(before + record("0/03009038", "0/03009000", "CHECKPOINT_SHUTDOWN redo 0/3009038") +
                                 record("0/030090B0", "0/03009038", "PARAMETER_CHANGE max_connections=100") +
                                 record("0/030090F0", "0/030090B0", "FPW_CHANGE true") +
                                 record("0/03009110", "0/030090F0", "CHECKPOINT_SHUTDOWN redo 0/3009110"),
                             Lsn{0x30000C8}),
              Lsn{0x3009038});
    // With an archive a stop ends the segment, which is no loss of 16 MB.
    EXPECT_EQ(end_of_own_wal(before + record("0/03009038", "0/03009000", "SWITCH") +
                                 record("0/04000028", "0/03009038", "CHECKPOINT_SHUTDOWN redo 0/4000028"),
                             Lsn{0x30000C8}),
              Lsn{0x3009038});
    // pg_waldump stopped in the middle.
    EXPECT_FALSE(end_of_own_wal(before, Lsn{0x30000C8}));
    EXPECT_FALSE(end_of_own_wal(before + "rmgr: XLOG        len (rec/tot):    114/   114, tx:", Lsn{0x30000C8}));
}

TEST(lost_wal, the_header_of_a_page_is_no_loss) {
    const auto checkpoint_at = [](std::string_view lsn) {
        return fmt::format(
            "rmgr: XLOG len (rec/tot): 114/ 114, tx: 0, lsn: {}, prev 0/03FFFF88, desc: "
            "CHECKPOINT_SHUTDOWN redo 0/4000028; tli 1\n",
            lsn);
    };
    EXPECT_EQ(end_of_own_wal(checkpoint_at("0/04000028"), Lsn{0x4000000}), Lsn{0x4000000});
    EXPECT_EQ(end_of_own_wal(checkpoint_at("0/04002018"), Lsn{0x4002000}), Lsn{0x4002000});
    EXPECT_EQ(end_of_own_wal(checkpoint_at("0/04000050"), Lsn{0x4000000}), Lsn{0x4000050});
    EXPECT_EQ(end_of_own_wal(checkpoint_at("0/04000128"), Lsn{0x4000100}), Lsn{0x4000128});
}

/// A pg_wal with small segments, and a place for what is lost.
class KeepLostWal : public testing::Test {
  protected:
    static constexpr std::uint64_t segment = 1 << 20;
    KeepLostWal() {
        for (int number = 3; number <= 8; ++number)
            put(request.pg_wal + fmt::format("/0000000100000000{:08X}", number),
                std::string(segment, static_cast<char>('a' + number)));
        put(request.pg_wal + "/archive_status/000000010000000000000003.done", "");
    }
    std::vector<std::string> kept(const std::string& directory) const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename().string());
        std::ranges::sort(names);
        return names;
    }

    TemporaryDirectory scratch;
    KeepRequest request{.lost = {Timeline{1}, Lsn{0x500148}, Timeline{1}, Lsn{0x600200}},
                        .pg_wal = scratch / "data/pg_wal",
                        .directory = scratch / "data_lost_wal",
                        .bytes_max = 16 * segment,
                        .account = {}};
};

TEST_F(KeepLostWal, copies_the_segments_into_a_private_directory) {
    const auto done = keep_lost_wal(request);
    ASSERT_TRUE(done) << done.error().line();
    EXPECT_EQ(done->directory, scratch / "data_lost_wal/timeline-1-0_500148");
    EXPECT_EQ(done->bytes, 2 * segment);
    EXPECT_TRUE(done->whole);
    EXPECT_EQ(kept(done->directory),
              (std::vector<std::string>{"000000010000000000000005", "000000010000000000000006", "README"}));
    EXPECT_EQ(text_of(done->directory + "/000000010000000000000006"), std::string(segment, 'a' + 6));
    EXPECT_EQ(mode_of(request.directory), 0700U);
    EXPECT_EQ(mode_of(done->directory), 0700U);
    EXPECT_EQ(mode_of(done->directory + "/000000010000000000000005"), 0600U);
    EXPECT_NE(text_of(done->directory + "/README")
                  .find("pg_waldump --path=" + done->directory + " --timeline=1 --start=0/500148\n"),
              std::string::npos);
}

TEST_F(KeepLostWal, a_second_call_finds_what_the_first_has_kept) {
    ASSERT_TRUE(keep_lost_wal(request));
    fs::remove_all(request.pg_wal);
    const auto again = keep_lost_wal(request);
    ASSERT_TRUE(again) << again.error().line();
    EXPECT_EQ(again->directory, scratch / "data_lost_wal/timeline-1-0_500148");
}

TEST_F(KeepLostWal, a_copy_that_was_interrupted_is_made_anew) {
    put(scratch / "data_lost_wal/timeline-1-0_500148.unfinished/000000010000000000000005", "half");
    const auto done = keep_lost_wal(request);
    ASSERT_TRUE(done) << done.error().line();
    EXPECT_EQ(kept(request.directory), (std::vector<std::string>{"timeline-1-0_500148"}));
    EXPECT_EQ(fs::file_size(done->directory + "/000000010000000000000005"), segment);
}

TEST_F(KeepLostWal, more_than_may_be_kept_is_kept_from_its_beginning) {
    request.lost.end = Lsn{0x800200};
    request.bytes_max = 2 * segment;
    const auto done = keep_lost_wal(request);
    ASSERT_TRUE(done) << done.error().line();
    EXPECT_FALSE(done->whole);
    EXPECT_EQ(done->directory, scratch / "data_lost_wal/timeline-1-0_500148-part");
    EXPECT_EQ(done->bytes, 2 * segment);
    EXPECT_TRUE(fs::exists(done->directory + "/000000010000000000000005"));
    EXPECT_FALSE(fs::exists(done->directory + "/000000010000000000000007"));
    EXPECT_FALSE(keep_lost_wal(request)->whole) << "as it was said the first time";
    request.bytes_max = segment - 1;
    fs::remove_all(request.directory);
    const auto refused = keep_lost_wal(request);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("more than lost_wal_max_size"), std::string::npos);
}

TEST_F(KeepLostWal, the_oldest_makes_room_for_the_newest) {
    request.bytes_max = 5 * segment;
    const auto first = keep_lost_wal(request);
    fs::last_write_time(first->directory, fs::file_time_type::clock::now() - std::chrono::hours(1));
    request.lost.begin = Lsn{0x400000};
    request.lost.end = Lsn{0x500000};
    const auto second = keep_lost_wal(request);
    ASSERT_TRUE(second) << second.error().line();
    EXPECT_TRUE(fs::exists(first->directory)) << "both fit";
    request.lost.begin = Lsn{0x700000};
    request.lost.end = Lsn{0x700100};
    const auto third = keep_lost_wal(request);
    ASSERT_TRUE(third) << third.error().line();
    EXPECT_FALSE(fs::exists(first->directory));
    EXPECT_TRUE(fs::exists(second->directory));
    put(request.directory + "/notes", "somebody's own");
    EXPECT_TRUE(fs::exists(request.directory + "/notes"));
}

TEST_F(KeepLostWal, what_is_not_there_cannot_be_kept) {
    request.lost.begin = Lsn{0x900000};
    request.lost.end = Lsn{0x900100};
    const auto missing = keep_lost_wal(request);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::io_error);
    EXPECT_NE(missing.error().text.find("holds no WAL of timeline 1 from 0/900000 on"), std::string::npos);
    put(scratch / "file", "");
    request.lost.begin = Lsn{0x500148};
    request.lost.end = Lsn{0x600200};
    request.directory = scratch / "file/below";
    EXPECT_FALSE(keep_lost_wal(request));
    request.directory = scratch / "elsewhere";
    fs::create_directory_symlink(scratch / "data", request.directory);
    EXPECT_FALSE(keep_lost_wal(request)) << "a link may lead anywhere";
    request.pg_wal = scratch / "nowhere";
    EXPECT_FALSE(keep_lost_wal(request));
}

}  // namespace
}  // namespace pgkeel::postgres
