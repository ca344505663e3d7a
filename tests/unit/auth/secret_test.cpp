#include "auth/secret.hpp"

#include "auth/base64.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>
#include <string>

using namespace pgkeel;
using namespace pgkeel::auth;

namespace {

// Made by PostgreSQL 15's own code (libpq's PQencryptPasswordConn).
constexpr std::string_view verifier_of_foo =
    "SCRAM-SHA-256$4096:5ZalPP48tACqZ2CONePOZw==$uBnhEWXsrk9dsozleJHoO1sRbTYUXaa3BaOAZLkYxzg=:zOQfLU8IqZdkpa76dIjuhC/"
    "Z9u1GKvbAMmRZPyjfNEM=";

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };

Secret parsed(std::string_view stored) {
    auto secret = Secret::parse(stored);
    EXPECT_TRUE(secret.has_value());
    return secret ? *std::move(secret) : Secret();
}

bool is_base64(std::string_view text) {
    return base64_decode(text).has_value();
}

}  // namespace

TEST(secret, cannot_be_printed) {
    static_assert(!fmt::is_formattable<Secret>::value && !Streamable<Secret>);
    static_assert(!fmt::is_formattable<SecretText>::value && !Streamable<SecretText>);
    static_assert(!fmt::is_formattable<Key>::value && !Streamable<Key>);
    static_assert(Streamable<std::string>);
}

TEST(secret, is_told_apart_by_its_form) {
    EXPECT_EQ(parsed("pencil").kind(), Secret::Kind::plain);
    EXPECT_EQ(parsed("md5a0d2b6bd7c7e6b5a6f0e1d2c3b4a5968").kind(), Secret::Kind::md5);
    EXPECT_EQ(parsed("md5A0D2B6BD7C7E6B5A6F0E1D2C3B4A5968").kind(),
              Secret::Kind::plain);  // PostgreSQL wants lower case
    EXPECT_EQ(parsed("md5a0d2").kind(), Secret::Kind::plain);
    EXPECT_EQ(parsed(verifier_of_foo).kind(), Secret::Kind::scram);
}

TEST(secret, is_kept_as_it_was_stored) {
    for (const std::string_view stored :
         {std::string_view("pen \"cil\""), std::string_view("md5a0d2b6bd7c7e6b5a6f0e1d2c3b4a5968"), verifier_of_foo})
        EXPECT_EQ(parsed(stored).text().reveal(), stored);
}

TEST(secret, that_is_a_broken_verifier_is_no_password) {
    for (const std::string stored : {"SCRAM-SHA-256$", "SCRAM-SHA-256$4096", "SCRAM-SHA-256$0:QQ==$a:b",
                                     "SCRAM-SHA-256$-1:QQ==$a:b", "SCRAM-SHA-256$4096:QQ==$AAAA:AAAA",
                                     "SCRAM-SHA-256$4096:$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
                                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                     "SCRAM-SHA-256$99999999999:QQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
                                     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}) {
        const auto secret = Secret::parse(stored);
        ASSERT_FALSE(secret) << stored;
        EXPECT_EQ(secret.error().code, Errc::invalid_input);
        EXPECT_EQ(secret.error().line().find("AAAA"), std::string::npos);
    }
    EXPECT_FALSE(Secret::parse(std::string(verifier_of_foo) + "="));
    EXPECT_TRUE(
        Secret::parse("SCRAM-SHA-256$4096:QQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
}

TEST(secret, has_a_longest_length) {
    EXPECT_TRUE(Secret::parse(std::string(password_max_bytes, 'x')));
    EXPECT_FALSE(Secret::parse(std::string(password_max_bytes + 1, 'x')));
}

TEST(secret, of_every_kind_knows_its_password) {
    const auto md5 = md5_stored("foo", "alice");
    ASSERT_TRUE(md5);
    for (const std::string_view stored : {std::string_view("foo"), md5->reveal(), verifier_of_foo}) {
        const Secret secret = parsed(stored);
        EXPECT_TRUE(secret.matches("foo", "alice")) << stored;
        EXPECT_FALSE(secret.matches("fop", "alice")) << stored;
        EXPECT_FALSE(secret.matches("fo", "alice")) << stored;
        EXPECT_FALSE(secret.matches("fooo", "alice")) << stored;
        EXPECT_FALSE(secret.matches("", "alice")) << stored;
    }
    EXPECT_FALSE(parsed(md5->reveal()).matches("foo", "bob"));
}

TEST(secret, is_not_its_own_spelling) {
    const auto md5 = md5_stored("foo", "alice");
    ASSERT_TRUE(md5);
    EXPECT_FALSE(parsed(md5->reveal()).matches(md5->reveal(), "alice"));
    EXPECT_FALSE(parsed(verifier_of_foo).matches(verifier_of_foo, "alice"));
}

TEST(secret, that_is_empty_matches_nothing) {
    EXPECT_TRUE(Secret().empty());
    EXPECT_FALSE(Secret().matches("", "alice"));
    EXPECT_FALSE(Secret().matches("x", "alice"));
    const auto response = md5_response(md5_stored("", "alice")->reveal(), {'a', 'b', 'c', 'd'});
    ASSERT_TRUE(response);
    EXPECT_FALSE(Secret().matches_md5(response->reveal(), "alice", {'a', 'b', 'c', 'd'}));
}

TEST(secret, that_wants_too_much_work_matches_nothing) {
    std::string stored(verifier_of_foo);
    stored.replace(stored.find("4096"), 4, "2147483647");
    const auto before = std::chrono::steady_clock::now();
    EXPECT_FALSE(parsed(stored).matches("foo", "alice"));
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST(md5, is_what_postgres_stores_and_clients_send) {
    // SELECT 'md5' || md5('secret' || 'alice'), then 'md5' || md5(that || '\x01020304'), by coreutils' md5sum.
    EXPECT_EQ(md5_stored("secret", "alice")->reveal(), "md54a0a68b43b6cd5cf266fa02f196e2371");
    EXPECT_EQ(parsed("secret").answer_md5("alice", {1, 2, 3, 4})->reveal(), "md598a0412b9c31436fc53776e863350083");
    EXPECT_EQ(parsed("md54a0a68b43b6cd5cf266fa02f196e2371").answer_md5("alice", {1, 2, 3, 4})->reveal(),
              "md598a0412b9c31436fc53776e863350083");
}

TEST(md5, accepts_the_right_answer_only) {
    const Md5Salt salt{'s', '\0', '\xff', 't'};
    const Secret plain = parsed("secret");
    const auto right = plain.answer_md5("alice", salt);
    ASSERT_TRUE(right);
    EXPECT_TRUE(plain.matches_md5(right->reveal(), "alice", salt));
    EXPECT_TRUE(parsed(md5_stored("secret", "alice")->reveal()).matches_md5(right->reveal(), "alice", salt));
    EXPECT_FALSE(plain.matches_md5(right->reveal(), "bob", salt));
    EXPECT_FALSE(plain.matches_md5(right->reveal(), "alice", {'s', '\0', '\xff', 'u'}));
    EXPECT_FALSE(plain.matches_md5(right->reveal().substr(3), "alice", salt));
    EXPECT_FALSE(plain.matches_md5("secret", "alice", salt));
    EXPECT_FALSE(parsed(verifier_of_foo).matches_md5(right->reveal(), "alice", salt));
    EXPECT_FALSE(parsed(verifier_of_foo).answer_md5("alice", salt));
}

TEST(base64, has_one_spelling_for_every_value) {
    EXPECT_EQ(base64_encode("").reveal(), "");
    EXPECT_EQ(base64_encode("f").reveal(), "Zg==");
    EXPECT_EQ(base64_encode("fo").reveal(), "Zm8=");
    EXPECT_EQ(base64_encode("foo").reveal(), "Zm9v");
    EXPECT_EQ(base64_encode("\xff\xfe\xfd\xfb").reveal(), "//79+w==");
    EXPECT_EQ(base64_decode("//79+w==")->reveal(), "\xff\xfe\xfd\xfb");
    for (const std::string_view wrong :
         {"Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", " Zm9", "Zm-_", "=Zm9", "Zg=g"})
        EXPECT_FALSE(is_base64(wrong)) << wrong;
}
