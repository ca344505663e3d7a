#include "support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> counted{0};

}  // namespace

#if __has_feature(thread_sanitizer)
bool pgkeel::test::allocations_are_counted() {
    return false;
}
#else
void* operator new(std::size_t size) {
    ++counted;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
bool pgkeel::test::allocations_are_counted() {
    return true;
}
#endif

std::size_t pgkeel::test::allocations() {
    return counted;
}
