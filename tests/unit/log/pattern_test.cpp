#include "log/pattern.hpp"

#include "log/line.hpp"

#include <gtest/gtest.h>

namespace pgkeel::log {
namespace {

const Record sample{.level = Level::warning,
                    .message = "the lease ended",
                    .time = WallTime(std::chrono::milliseconds(1'700'000'000'042)),
                    .thread = 7,
                    .file = "/build/x/src/ha/decide.cpp",
                    .line = 12,
                    .function = "Decision pgkeel::ha::decide(const Snapshot &)"};

std::string formatted(std::string_view format, const Record& record = sample) {
    auto pattern = Pattern::compile(format, "%s");
    EXPECT_TRUE(pattern) << pattern.error().text;
    std::string out;
    if (pattern) pattern->append(out, record);
    return out;
}

TEST(pattern, knows_pythons_fields) {
    EXPECT_EQ(formatted("%(asctime)s %(levelname)s: %(message)s"), "1700000000 WARNING: the lease ended");
    EXPECT_EQ(formatted("[%(pathname)s:%(lineno)d - %(funcName)s]: %(message)s"),
              "[src/ha/decide.cpp:12 - decide]: the lease ended");
    EXPECT_EQ(formatted("%(name)s %(module)s %(filename)s %(levelno)s %(thread)d %(msecs)d"),
              "pgkeel decide decide.cpp 30 7 42");
    EXPECT_EQ(formatted("%(process)d"), std::to_string(getpid()));
}

TEST(pattern, pads_and_cuts_as_printf_does) {
    EXPECT_EQ(formatted("<%(levelname)-9s>"), "<WARNING  >");
    EXPECT_EQ(formatted("<%(levelname)9s>"), "<  WARNING>");
    EXPECT_EQ(formatted("<%(levelname).4s>"), "<WARN>");
    EXPECT_EQ(formatted("<%(lineno)05d>"), "<00012>");
    EXPECT_EQ(formatted("100%% %(lineno)s"), "100% 12");
}

TEST(pattern, says_what_is_wrong_with_a_format) {
    for (const char* format :
         {"no field", "%(nonsense)s", "%(message", "%(message)", "%d", "%(message)d", "%(message)q", "%"}) {
        const auto pattern = Pattern::compile(format, "");
        ASSERT_FALSE(pattern) << format;
        EXPECT_EQ(pattern.error().code, Errc::invalid_input);
        EXPECT_NE(pattern.error().text.find("log format"), std::string::npos) << pattern.error().text;
    }
}

TEST(pattern, a_huge_width_does_not_fill_the_disk) {
    EXPECT_EQ(formatted("%(message)999999999999s").size(), 200U);
}

Options plain(const char* format) {
    Options out;
    out.format = format;
    return out;
}

TEST(line, the_level_stands_at_column_24_of_the_default_format) {
    const auto format = LineFormat::compile(Options{});
    ASSERT_TRUE(format);
    const std::string line = format->line(sample);
    EXPECT_EQ(line.substr(24), "WARNING: the lease ended\n");
    EXPECT_EQ(line[4], '-');
    EXPECT_EQ(line.substr(19, 5), ",042 ");
}

TEST(line, a_message_cannot_forge_a_second_line) {
    Record record = sample;
    record.message = "node 'x\n2026-01-01 00:00:00,000 INFO: all is well\x1b[2J'";
    const auto format = LineFormat::compile(plain("%(message)s"));
    ASSERT_TRUE(format);
    EXPECT_EQ(format->line(record), "node 'x\\n2026-01-01 00:00:00,000 INFO: all is well\\x1b[2J'\n");
}

TEST(line, json_has_the_fields_under_their_names) {
    Record record = sample;
    record.message = "say \"hi\"\n\xff\xc3\xa9";
    Options options;
    options.json = true;
    options.json_fields = {{"message", "message"}, {"levelname", "level"}, {"lineno", "line"}};
    options.static_fields = {{"app", "\"pg\""}};
    const auto format = LineFormat::compile(options);
    ASSERT_TRUE(format);
    EXPECT_EQ(
        format->line(record),
        "{\"message\": \"say \\\"hi\\\"\\n\\ufffd\xc3\xa9\", \"level\": \"WARNING\", \"line\": 12, \"app\": \"pg\"}\n");
}

TEST(line, json_takes_its_fields_from_the_format) {
    Options options = plain("%(levelname)s %(message)s");
    options.json = true;
    const auto format = LineFormat::compile(options);
    ASSERT_TRUE(format);
    EXPECT_EQ(format->line(sample), "{\"levelname\": \"WARNING\", \"message\": \"the lease ended\"}\n");
}

}  // namespace
}  // namespace pgkeel::log
