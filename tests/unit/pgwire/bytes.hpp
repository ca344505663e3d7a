#pragma once
#include "pgwire/writer.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

namespace pgkeel::pgwire {

/// A literal with the NULs inside, without the one that C++ adds: bytes("\0\0\0\4").
template <std::size_t size>
std::string bytes(const char (&literal)[size]) {
    return {literal, size - 1};
}

/// A message's body, of bytes that hold this message alone.
inline std::string_view body_of(std::string_view message) {
    return message.substr(5);
}

/// The message that a builder writes.
template <class... Arguments>
std::string built(void (*write)(Writer&, Arguments...), std::type_identity_t<Arguments>... arguments) {
    std::string out;
    Writer writer(out);
    write(writer, arguments...);
    EXPECT_EQ(writer.ok(), !out.empty());
    return out;
}

}  // namespace pgkeel::pgwire
