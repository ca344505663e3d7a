#include "pool/parameters.hpp"

#include <gtest/gtest.h>

namespace pgkeel::pool {
namespace {

TEST(settings, are_found_whatever_the_case_and_the_later_value_counts) {
    const Settings first = Settings().with("TimeZone", "UTC").with("application_name", "shop").with("DateStyle", "ISO");
    const Settings second = first.with("timezone", "Europe/Berlin");
    EXPECT_EQ(*first.find("TIMEZONE"), "UTC") << "a set never changes";
    EXPECT_EQ(*second.find("TimeZone"), "Europe/Berlin");
    EXPECT_EQ(second.size(), 3U);
    EXPECT_EQ(second.without("datestyle").find("DateStyle"), nullptr);
    EXPECT_EQ(first.without("nothing"), first);
    EXPECT_EQ(Settings().find("a"), nullptr);
}

TEST(settings, alike_ones_are_kept_once_and_forgotten_when_nobody_has_them) {
    SharedSettings shared;
    const auto one = [&] { return shared.share(Settings().with("a", "1").with("b", "2")); };
    const Settings first = one();
    const Settings second = one();
    EXPECT_EQ(&first.list(), &second.list());
    EXPECT_NE(&first.list(), &shared.share(Settings().with("a", "12")).list());
    for (int i = 0; i < 1000; ++i) shared.share(Settings().with("n", std::to_string(i)));
    EXPECT_LT(shared.size(), 200U);
    EXPECT_EQ(&first.list(), &one().list());
}

TEST(settings_statement, says_what_differs_and_nothing_else) {
    const Settings has = Settings().with("DateStyle", "ISO").with("TimeZone", "UTC").with("work_mem", "4MB");
    const Settings wanted = Settings().with("DateStyle", "iso").with("TimeZone", "Europe/Berlin").with("my.app", "7");
    EXPECT_EQ(settings_statement(has, has), "");
    EXPECT_EQ(settings_statement(has, wanted), R"(SET "my"."app"='7'; SET TimeZone='Europe/Berlin'; RESET work_mem)");
}

TEST(settings_statement, no_value_gets_out_of_its_quotes) {
    EXPECT_EQ(settings_statement({}, Settings().with("application_name", "it's'; DROP TABLE t; --")),
              R"(SET application_name='it''s''; DROP TABLE t; --')");
    EXPECT_EQ(settings_statement({}, Settings().with("application_name", R"(a\'b)")),
              R"(SET application_name= E'a\\''b')");
    EXPECT_EQ(settings_statement({}, Settings().with(R"(a"b)", "1")), R"(SET "a""b"='1')");
}

TEST(settings_statement, a_list_of_names_stays_a_list) {
    EXPECT_EQ(settings_statement({}, Settings().with("search_path", R"("$user", public)")),
              R"(SELECT pg_catalog.set_config('search_path', '"$user", public', false))");
    EXPECT_EQ(settings_statement({}, Settings().with("Search_Path", "a'; DROP TABLE t; --")),
              R"(SELECT pg_catalog.set_config('Search_Path', 'a''; DROP TABLE t; --', false))");
}

}  // namespace
}  // namespace pgkeel::pool
