#include "proxy/handover_frames.hpp"
#include "require.hpp"

#include <cstdint>
#include <string_view>

// A frame of the protocol between two processes, head and body.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace pgkeel;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (bytes.size() < proxy::HandoverHead::bytes) return 0;
    const auto head = proxy::decode_handover_head(bytes.substr(0, proxy::HandoverHead::bytes));
    if (!head || head->body_bytes != bytes.size() - proxy::HandoverHead::bytes) return 0;
    const auto message = proxy::decode_handover_body(head->kind, bytes.substr(proxy::HandoverHead::bytes));
    if (!message) {
        REQUIRE(message.error().code == Errc::invalid_input);
        return 0;
    }
    REQUIRE(proxy::encode(*message, head->sockets).reveal() == bytes);
    return 0;
}
