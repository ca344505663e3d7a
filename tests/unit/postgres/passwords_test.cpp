#include "postgres/passwords.hpp"

#include "postgres/bootstrap.hpp"

#include <gtest/gtest.h>

namespace pgkeel::postgres {
namespace {

TEST(passwords, are_recognized_in_what_a_server_stores) {
    for (const char* encryption : {"scram-sha-256", "md5"}) {
        const auto stored = password_verifier("postgres", "secret", encryption);
        ASSERT_TRUE(stored) << stored.error().line();
        EXPECT_TRUE(is_password_of(*stored, "postgres", "secret"));
        EXPECT_FALSE(is_password_of(*stored, "postgres", "other"));
    }
    EXPECT_FALSE(is_password_of("", "postgres", ""));
    EXPECT_FALSE(is_password_of("md5", "postgres", "secret"));
}

TEST(passwords, only_a_wrong_one_is_a_reason_to_try_another) {
    EXPECT_TRUE(is_wrong_password({Errc::denied, "… FATAL:  28P01: password authentication failed for user", ""}));
    EXPECT_FALSE(is_wrong_password({Errc::denied, "… FATAL:  28000: no pg_hba.conf entry for host", ""}));
    EXPECT_FALSE(is_wrong_password({Errc::unavailable, "… FATAL:  57P03: the database system is starting up", ""}));
}

}  // namespace
}  // namespace pgkeel::postgres
