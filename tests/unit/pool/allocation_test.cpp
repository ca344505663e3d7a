// A look at the text of a statement costs no allocation: counted, with operators new and delete of its own.
#include "pool/session_effects.hpp"
#include "support/allocations.hpp"

#include <gtest/gtest.h>

#include <string>

namespace pgkeel::pool {
namespace {

TEST(pool_allocations, are_counted_here) {
    if (!test::allocations_are_counted()) GTEST_SKIP() << "ThreadSanitizer has operators of its own";
    const std::size_t before = test::allocations();
    EXPECT_NE(shared_session_effects("SET x = 1"), nullptr);
    EXPECT_GT(test::allocations(), before);
}

TEST(pool_allocations, are_not_made_for_a_statement_that_leaves_nothing) {
    const std::string sql = "/* app */ SELECT a, b FROM t WHERE id = $1 AND name = 'SET x = 1' ORDER BY created_at;";
    const std::string several = "BEGIN; UPDATE t SET temperature = 5 WHERE a = 'it''s'; COMMIT";
    const std::size_t before = test::allocations();
    EXPECT_FALSE(may_leave_state(sql));
    EXPECT_EQ(shared_session_effects(sql), nullptr);
    EXPECT_EQ(shared_session_effects(several), nullptr);
    EXPECT_EQ(test::allocations(), before);
}

}  // namespace
}  // namespace pgkeel::pool
