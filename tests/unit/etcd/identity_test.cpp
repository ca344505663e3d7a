#include "etcd/identity.hpp"

#include <gtest/gtest.h>

namespace pgkeel::etcd {
namespace {

Header header(std::uint64_t cluster, Revision revision, std::uint64_t term) {
    return {cluster, 1, revision, term};
}

TEST(identity, trusts_the_first_answer_and_what_follows_it) {
    Identity identity;
    EXPECT_FALSE(identity.check(header(7, 10, 2), identity.floor(), true));
    EXPECT_FALSE(identity.check(header(7, 10, 2), identity.floor(), true));
    EXPECT_FALSE(identity.check(header(7, 11, 3), identity.floor(), true));
}

TEST(identity, refuses_another_cluster) {
    Identity identity;
    ASSERT_FALSE(identity.check(header(7, 10, 2), identity.floor(), true));
    EXPECT_TRUE(identity.check(header(8, 20, 9), identity.floor(), true));
    EXPECT_FALSE(identity.check(header(7, 10, 2), identity.floor(), true)) << "a refused answer leaves no trace";
}

TEST(identity, refuses_a_lower_term_from_any_call) {
    Identity identity;
    ASSERT_FALSE(identity.check(header(7, 10, 5), identity.floor(), true));
    EXPECT_TRUE(identity.check(header(7, 10, 4), identity.floor(), false));
}

TEST(identity, refuses_a_lower_revision_from_a_linearizable_call_only) {
    Identity identity;
    ASSERT_FALSE(identity.check(header(7, 10, 5), identity.floor(), true));
    EXPECT_TRUE(identity.check(header(7, 9, 5), identity.floor(), true));
    EXPECT_FALSE(identity.check(header(7, 3, 5), identity.floor(), false));
    EXPECT_TRUE(identity.check(header(7, 9, 5), identity.floor(), true)) << "the lower one was not remembered";
}

TEST(identity, measures_an_answer_by_what_was_seen_when_it_was_asked_for) {
    Identity identity;
    ASSERT_FALSE(identity.check(header(7, 10, 5), identity.floor(), true));
    const auto sent_early = identity.floor();
    ASSERT_FALSE(identity.check(header(7, 12, 6), identity.floor(), true));
    EXPECT_FALSE(identity.check(header(7, 11, 5), sent_early, true)) << "it was served first and answered last";
    EXPECT_TRUE(identity.check(header(7, 11, 6), identity.floor(), true)) << "and did not lower the floor";
}

TEST(identity, refuses_an_answer_without_a_cluster) {
    Identity identity;
    EXPECT_TRUE(identity.check(Header{}, identity.floor(), false));
}

TEST(identity, an_answer_from_before_a_reload_brings_no_trust) {
    Identity identity;
    ASSERT_FALSE(identity.check(header(7, 1000, 5), identity.floor(), true));
    const auto before = identity.floor();
    identity.forget();
    EXPECT_TRUE(identity.check(header(7, 1001, 5), before, true));
    EXPECT_FALSE(identity.check(header(8, 2, 1), identity.floor(), true));
}

TEST(identity, starts_anew_on_an_operators_word) {
    Identity identity;
    ASSERT_FALSE(identity.check(header(7, 1000, 5), identity.floor(), true));
    identity.forget();
    EXPECT_FALSE(identity.check(header(8, 2, 1), identity.floor(), true));
}

}  // namespace
}  // namespace pgkeel::etcd
