#pragma once
#include <cstdint>

// What stands in the place of the protocol version in packets that are no StartupMessage: 1234 in the upper half.

namespace pgkeel::pgwire {

constexpr std::uint32_t cancel_request_code = 1234U << 16 | 5678U;
constexpr std::uint32_t ssl_request_code = 1234U << 16 | 5679U;
constexpr std::uint32_t gss_request_code = 1234U << 16 | 5680U;

}  // namespace pgkeel::pgwire
