#include "local/log_lines.hpp"

#include "scratch_directory.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace pgkeel::local {

TEST(log_entries, lines_without_a_time_belong_to_the_one_before) {
    const auto entries =
        log_entries("2026-11-21 03:06:15,123 INFO: one\n\tdetail\n2026-11-21 03:06:16.5 UTC [7] LOG:  two\n", "pg-a");
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0].text, "2026-11-21 03:06:15,123 INFO: one\n\tdetail");
    EXPECT_EQ(entries[0].time, "2026-11-21 03:06:15.123");
}

TEST(log_entries, know_where_etcd_writes_the_time) {
    const auto entries = log_entries(R"({"level":"info","ts":"2026-11-21T03:06:15.123Z","msg":"x"})", "etcd-1");
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].time, "2026-11-21 03:06:15.123");
}

TEST(merge_logs, follows_time_and_keeps_the_last) {
    auto agent = log_entries("2026-11-21 03:06:15,100 a\n2026-11-21 03:06:15,300 c\n", "agent");
    auto server = log_entries("2026-11-21 03:06:15.200 UTC b\n2026-11-21 03:06:15.400 UTC d\n", "server");
    const auto merged = merge_logs({agent, server}, 3);
    ASSERT_EQ(merged.size(), 3U);
    EXPECT_EQ(merged[0].text, "2026-11-21 03:06:15.200 UTC b");
    EXPECT_EQ(merged[1].source, "agent");
    EXPECT_EQ(merged[2].text, "2026-11-21 03:06:15.400 UTC d");
}

TEST(growing_file, gives_complete_lines_once) {
    const ScratchDirectory scratch;
    GrowingFile file(scratch / "log", "x");
    EXPECT_EQ(file.read_new_lines(), "");
    std::ofstream out(scratch / "log");
    out << "one\ntw" << std::flush;
    EXPECT_EQ(file.read_new_lines(), "one\n");
    out << "o\n" << std::flush;
    EXPECT_EQ(file.read_new_lines(), "two\n");
    EXPECT_EQ(file.read_new_lines(), "");
    out.close();
    std::ofstream(scratch / "log") << "new\n";
    EXPECT_EQ(file.read_new_lines(), "new\n");
}

}  // namespace pgkeel::local
