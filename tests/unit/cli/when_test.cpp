#include "cli/when.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace pgkeel::cli {
namespace {

using namespace std::chrono_literals;

/// 2026-11-21 00:00:00 UTC.
const WallTime midnight = std::chrono::system_clock::from_time_t(1795219200);

class When_ : public testing::Test {
  protected:
    void SetUp() override {
        setenv("TZ", "Europe/Berlin", 1);
        tzset();
    }
    void TearDown() override {
        unsetenv("TZ");
        tzset();
    }
};

TEST_F(When_, now_is_no_schedule) {
    EXPECT_FALSE(parse_when("now", midnight).value().has_value());
    EXPECT_FALSE(parse_when("", midnight).value().has_value());
}

TEST_F(When_, zone_is_kept_as_written) {
    const auto when = parse_when("2026-11-21T10:30:15+05:30", midnight).value();
    EXPECT_EQ(when->text, "2026-11-21T10:30:15+05:30");
    EXPECT_EQ(when->at, midnight + 5h + 15s);
    EXPECT_EQ(parse_when("2026-11-21 10:30Z", midnight).value()->text, "2026-11-21T10:30:00+00:00");
    EXPECT_EQ(parse_when("2026-11-21T10:30-0800", midnight).value()->at, midnight + 18h + 30min);
}

TEST_F(When_, without_a_zone_it_is_local_time) {
    const auto winter = parse_when("2026-11-21T10:30", midnight).value();
    EXPECT_EQ(winter->text, "2026-11-21T10:30:00+01:00");
    EXPECT_EQ(winter->at, midnight + 9h + 30min);
    EXPECT_EQ(parse_when("2027-07-01T10:30", midnight).value()->text, "2027-07-01T10:30:00+02:00");
}

TEST_F(When_, what_is_past_or_no_time_is_refused) {
    for (const char* text : {"2026-11-20T23:59Z", "2026-11-21T00:00Z"})
        EXPECT_NE(parse_when(text, midnight).error().text.find("past"), std::string::npos) << text;
    for (const char* text : {"tomorrow", "2026-11-21", "2026-11-31T10:00Z", "2026-13-01T10:00Z", "2026-11-21T25:00Z",
                             "2026-11-21T10:00:00.Z", "2026-11-21T10:00+1", "2026-11-21T10:00+99:00",
                             "2026-11-21T10:00Zx", "2027-02-29T10:00"})
        EXPECT_EQ(parse_when(text, midnight).error().code, Errc::invalid_input) << text;
}

}  // namespace
}  // namespace pgkeel::cli
