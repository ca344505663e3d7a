#pragma once
#include <cstdio>
#include <cstdlib>

/// A promise about every input: prints the condition and ends the process, which is what a fuzzer looks for.
#define REQUIRE(condition)                                                                 \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                  \
        }                                                                                  \
    } while (false)
