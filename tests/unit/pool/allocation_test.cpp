// A look at the text of a statement costs no allocation: counted, with the operators of this program replaced.
#include "pool/session_effects.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

namespace {

std::atomic<std::size_t> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace pgkeel::pool {
namespace {

TEST(pool_allocations, are_counted_here) {
    const std::size_t before = allocations;
    EXPECT_NE(shared_session_effects("SET x = 1"), nullptr);
    EXPECT_GT(allocations, before);
}

TEST(pool_allocations, are_not_made_for_a_statement_that_leaves_nothing) {
    const std::string sql = "/* app */ SELECT a, b FROM t WHERE id = $1 AND name = 'SET x = 1' ORDER BY created_at;";
    const std::string several = "BEGIN; UPDATE t SET temperature = 5 WHERE a = 'it''s'; COMMIT";
    const std::size_t before = allocations;
    EXPECT_FALSE(may_leave_state(sql));
    EXPECT_EQ(shared_session_effects(sql), nullptr);
    EXPECT_EQ(shared_session_effects(several), nullptr);
    EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace pgkeel::pool
