#pragma once
#include <cstddef>

namespace pgkeel::test {

/// How many allocations this program has made: a program that uses this has operators new and delete of its own. They
/// stand in one object of test_allocations, so only who asks is counted.
std::size_t allocations();

/// False: ThreadSanitizer brings its own operators, and nothing is counted.
bool allocations_are_counted();

}  // namespace pgkeel::test
