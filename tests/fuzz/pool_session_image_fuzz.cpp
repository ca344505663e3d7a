#include "pool/session_image.hpp"
#include "require.hpp"

#include <cstdint>
#include <string_view>

// A session as another process has written it. What is accepted is exactly what would be written for it.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgkeel;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto image = pool::decode_session(bytes);
    if (!image) {
        REQUIRE(image.error().code == Errc::invalid_input);
        return 0;
    }
    REQUIRE(image->client || image->server);
    REQUIRE(pool::encode(*image).reveal() == bytes);
    return 0;
}
