#include "auth/ident_maps.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace pgkeel;
using namespace pgkeel::auth;

namespace {

Result<std::string> no_files(const std::string& path) {
    return fail(Errc::not_found, "cannot read " + path);
}

IdentMaps parsed(std::string_view text) {
    auto maps = IdentMaps::parse(text, "pg_ident.conf", no_files);
    EXPECT_TRUE(maps.has_value()) << (maps ? "" : maps.error().line());
    return maps ? *std::move(maps) : IdentMaps();
}

std::string error_of(std::string_view text) {
    const auto maps = IdentMaps::parse(text, "pg_ident.conf", no_files);
    return maps ? "no error" : maps.error().text;
}

}  // namespace

TEST(ident_maps, without_a_map_want_equal_names) {
    const IdentMaps maps;
    EXPECT_TRUE(maps.allows("", "alice", "alice"));
    EXPECT_FALSE(maps.allows("", "alice", "bob"));
    EXPECT_FALSE(maps.allows("", "", ""));
    EXPECT_FALSE(maps.allows("missing", "alice", "alice"));
}

TEST(ident_maps, allow_what_a_line_of_the_map_says) {
    const IdentMaps maps =
        parsed("# map system user\nweb www-data shop\nweb www-data crm\nweb root \"all\"\nops root all\n");
    EXPECT_TRUE(maps.allows("web", "www-data", "shop"));
    EXPECT_TRUE(maps.allows("web", "www-data", "crm"));
    EXPECT_FALSE(maps.allows("web", "www-data", "www-data"));
    EXPECT_FALSE(maps.allows("ops", "www-data", "shop"));
    EXPECT_TRUE(maps.allows("ops", "root", "anybody"));
    EXPECT_FALSE(maps.allows("web", "root", "anybody"));
    EXPECT_TRUE(maps.allows("web", "root", "all"));
    EXPECT_TRUE(maps.has("ops"));
    EXPECT_FALSE(maps.has("nobody"));
}

TEST(ident_maps, put_the_group_of_an_expression_into_the_user) {
    const IdentMaps maps = parsed(
        "mail /^(.*)@example\\.com$ \\1\n"
        "mail /^(\\w+)@test$ app_\\1_ro\n"
        "mail /@guests$ guest\n"
        "mail /^admin- all\n");
    EXPECT_TRUE(maps.allows("mail", "alice@example.com", "alice"));
    EXPECT_FALSE(maps.allows("mail", "alice@example.com", "bob"));
    EXPECT_FALSE(maps.allows("mail", "alice@exampleXcom", "alice"));
    EXPECT_FALSE(maps.allows("mail", "alice@example.com.evil", "alice"));
    EXPECT_FALSE(maps.allows("mail", "all@example.com", "bob")) << "a name is no keyword";
    EXPECT_FALSE(maps.allows("mail", "@example.com", ""));
    EXPECT_TRUE(maps.allows("mail", "bob@test", "app_bob_ro"));
    EXPECT_TRUE(maps.allows("mail", "anybody@guests", "guest"));
    EXPECT_TRUE(maps.allows("mail", "admin-1", "whoever"));
}

TEST(ident_maps, bound_the_work_of_an_expression) {
    const IdentMaps maps = parsed("m /^(a*)*b$ x\nm /^(a|aa)+$ \\1\n");
    EXPECT_FALSE(maps.allows("m", std::string(255, 'a'), "x"));
    EXPECT_FALSE(maps.allows("m", std::string(100000, 'a'), "x"));
}

TEST(ident_maps, name_the_word_that_is_wrong) {
    EXPECT_EQ(error_of("m a b\nm a\n"), "pg_ident.conf line 2: there are 2 words instead of three");
    EXPECT_EQ(error_of("m a b c\n"), "pg_ident.conf line 1: there are 4 words instead of three");
    EXPECT_NE(error_of("m a,b c\n").find("there are 2 words, joined by commas"), std::string::npos);
    EXPECT_NE(error_of("m /( c\n").find("\"/(\" is not a regular expression"), std::string::npos);
    EXPECT_NE(error_of("m /^.*$ \\1\n").find("has no group"), std::string::npos);
    EXPECT_NE(error_of("m /(a)\\1 x\n").find("is not a regular expression"), std::string::npos);
    EXPECT_NE(error_of("m /" + std::string(300, 'a') + " x\n").find("has 300 bytes"), std::string::npos);
}
