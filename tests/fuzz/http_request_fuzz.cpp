// Any bytes, whole and in pieces: the parser must not crash, must not depend on where the pieces are cut, and what it
// lets through must be what the handlers rely on.
#include "http/request_parser.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using pgkeel::http::Request;
using pgkeel::http::RequestParser;

constexpr std::size_t header_bytes_max = 2048;
constexpr std::size_t body_bytes_max = 512;

void must(bool holds) {
    if (!holds) std::abort();
}

void check_promises(const Request& request) {
    must(!request.method.empty());
    must(request.target.starts_with('/') || request.target == "*");
    must(request.target.size() <= header_bytes_max && request.body.size() <= body_bytes_max);
    must(request.body.empty() || request.has_content_length);
    must(!request.target.contains('\0') && !request.target.contains('\n') && !request.target.contains(' '));
    for (const auto& [name, value] : request.headers)
        must(!name.empty() && !value.contains('\0') && !value.contains('\n') && !value.contains('\r'));
    must(request.header("Transfer-Encoding").empty());
    must(request.path().size() <= request.target.size());
    for (const auto& [name, value] : request.query()) must(name.size() + value.size() <= request.target.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = 1 + data[0] % 64;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

    RequestParser whole(header_bytes_max, body_bytes_max);
    whole.feed(bytes);
    RequestParser pieces(header_bytes_max, body_bytes_max);
    for (std::size_t at = 0; at < bytes.size(); at += step) pieces.feed(bytes.substr(at, step));

    // A refusal may come later and with another reason (too long, or wrong further on), but nothing may pass by being
    // cut.
    using Stage = RequestParser::Stage;
    must((whole.stage() == Stage::complete) == (pieces.stage() == Stage::complete));
    must((whole.stage() == Stage::body) == (pieces.stage() == Stage::body));
    must(whole.wants_continue() == pieces.wants_continue());
    for (const RequestParser* parser : {&whole, &pieces})
        must(parser->stage() != Stage::refused ||
             (parser->refusal().status >= 400 && !parser->refusal().reason.empty()));
    if (whole.stage() == Stage::complete) {
        const Request one = whole.take();
        const Request other = pieces.take();
        check_promises(one);
        must(one.method == other.method && one.target == other.target && one.headers == other.headers);
        must(one.body == other.body && one.has_content_length == other.has_content_length);
    }
    return 0;
}
