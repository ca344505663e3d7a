#include "etcd/base64.hpp"
#include "etcd/codec.hpp"
#include "etcd/verdict.hpp"
#include "etcd/watch_stream.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// Whatever stands at etcd's address may answer: nothing of it may crash the agent, and a refusal must never read as a
// success or as a lost lease that etcd did not name.

using namespace pgkeel;
using namespace pgkeel::etcd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto range = parse_range(bytes); range && range->value.revision != range->header.revision) std::abort();
    (void)parse_transaction(bytes);
    if (const auto lease = parse_grant(bytes); lease && lease->value == 0) std::abort();
    if (const auto left = parse_keep_alive(bytes); left && left->value && left->value->count() <= 0) std::abort();
    (void)parse_members(bytes);
    (void)parse_token(bytes);
    if (const auto version = parse_version(bytes)) (void)api_prefix(*version);
    (void)api_prefix(bytes);
    if (const auto decoded = decode_base64(bytes); decoded && decode_base64(encode_base64(*decoded)) != decoded)
        std::abort();
    if (decode_base64(encode_base64(bytes)) != bytes) std::abort();

    for (const bool is_write : {false, true}) {
        const Verdict verdict = judge(503, bytes, is_write);
        if (verdict.error.text.empty()) std::abort();
        if (verdict.error.code == Errc::lease_gone && bytes.find("lease") == bytes.npos &&
            bytes.find('\\') == bytes.npos)
            std::abort();
        if (!is_write && verdict.error.code == Errc::maybe_done) std::abort();
    }

    // However the stream is cut, it says the same.
    Revision seen[2] = {0, 0};
    Revision next[2] = {0, 0};
    bool over[2] = {false, false};
    for (const std::size_t way : {0U, 1U}) {
        WatchStream stream(1);
        const auto on_header = [](const Header&) { return std::nullopt; };
        const auto on_events = [&](Revision revision, const std::vector<WatchEvent>& events) {
            if (events.empty()) std::abort();
            seen[way] = seen[way] * 31 % 1000003 + revision % 1000003;
        };
        const std::size_t step = way == 0 ? size + 1 : 1 + size % 7;
        for (std::size_t at = 0; at < size && !over[way]; at += step)
            over[way] = stream.feed(bytes.substr(at, step), on_header, on_events).has_value();
        next[way] = stream.next();
        if (next[way] < 1) std::abort();
    }
    if (seen[0] != seen[1] || next[0] != next[1] || over[0] != over[1]) std::abort();
    return 0;
}
