#include "auth/auth_file.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace pgkeel;
using namespace pgkeel::auth;

namespace {

std::string error_of(std::string_view text) {
    const auto users = parse_auth_file(text, "userlist.txt");
    return users ? "no error" : users.error().line();
}

}  // namespace

TEST(auth_file, understands_quotes_comments_and_the_rest_of_a_line) {
    const auto users = parse_auth_file(
        "; a comment\n"
        "# another\n"
        "\n"
        "\"alice\" \"secret\"\n"
        "  \"bob \"\"the\"\" builder\"\t\"a \"\"quoted\"\" one\" \"rest\" is ignored\r\n"
        "\"carol\" \"\"\n"
        "\"dave\"\"md5\" \"x\"\n"
        "\"alice\" \"newer\"",
        "userlist.txt");
    ASSERT_TRUE(users);
    EXPECT_EQ(users->size(), 4U);
    EXPECT_TRUE(users->at("alice").matches("newer", "alice"));
    EXPECT_FALSE(users->at("alice").matches("secret", "alice"));
    EXPECT_TRUE(users->at("bob \"the\" builder").matches("a \"quoted\" one", ""));
    EXPECT_TRUE(users->at("carol").empty());
    EXPECT_TRUE(users->contains("dave\"md5"));
}

TEST(auth_file, may_be_empty) {
    EXPECT_TRUE(parse_auth_file("", "userlist.txt")->empty());
    EXPECT_TRUE(parse_auth_file("\n\n", "userlist.txt")->empty());
}

TEST(auth_file, names_the_line_that_is_wrong_and_no_secret) {
    for (const std::string_view line : {"alice \"hunter2\"", "\"alice\" hunter2", "\"alice\" \"hunter2", "\"alice\"",
                                        "\"alice", "\"\" \"hunter2\"", "\"alice\" \"SCRAM-SHA-256$4096:hunter2\""}) {
        const std::string error = error_of("\"x\" \"y\"\n" + std::string(line) + "\n\"z\" \"\"\n");
        EXPECT_TRUE(error.starts_with("userlist.txt line 2: ")) << error;
        EXPECT_EQ(error.find("hunter2"), std::string::npos) << error;
    }
    EXPECT_NE(error_of('"' + std::string(128, 'x') + "\" \"y\"").find("128 bytes"), std::string::npos);
    EXPECT_NE(error_of("\"x\" \"" + std::string(password_max_bytes + 1, 'x') + "\"").find("65531 bytes"),
              std::string::npos);
}

TEST(auth_file, reads_back_what_it_writes) {
    const auto users = parse_auth_file("\"bob \"\"the\"\" builder\" \"a \"\"quoted\"\" one\"\n", "userlist.txt");
    ASSERT_TRUE(users);
    const auto& [name, secret] = *users->begin();
    EXPECT_EQ(auth_file_line(name, secret).reveal(), "\"bob \"\"the\"\" builder\" \"a \"\"quoted\"\" one\"\n");
}
