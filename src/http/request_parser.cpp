#include "http/request_parser.hpp"

#include <fmt/format.h>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include <algorithm>
#include <limits>

namespace pgkeel::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using Text = beast::string_view;

std::string_view view(Text text) {
    return {text.data(), text.size()};
}

bool all_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// Collects what Beast's parser finds, and refuses what Beast would let pass.
class Collector : public beast::http::basic_parser<true> {
  public:
    Request request;
    Refusal refusal{.status = 0, .reason = {}};
    bool wants_continue = false;
    bool keeps_connection = false;

  private:
    void refuse(int status, std::string reason, error_code& error) {
        refusal = {status, std::move(reason)};
        error = beast::http::error::bad_value;
    }

    void on_request_impl(beast::http::verb, Text method, Text target, int version, error_code& error) override {
        request.method = view(method);
        request.target = view(target);
        http_1_1_ = version == 11;
        // Absolute and authority forms are for proxies, which this is not.
        if (!request.target.starts_with('/') && !(request.method == "OPTIONS" && request.target == "*"))
            refuse(400, "the request target does not begin with '/'", error);
    }

    void on_field_impl(beast::http::field field, Text name, Text value, error_code& error) override {
        switch (field) {
            case beast::http::field::content_length:
                if (request.has_content_length) return refuse(400, "more than one Content-Length", error);
                if (!all_digits(view(value))) return refuse(400, "Content-Length is not a number", error);
                request.has_content_length = true;
                break;
            case beast::http::field::transfer_encoding:
                return refuse(501, "a body must have a Content-Length, transfer encodings are not supported", error);
            case beast::http::field::connection:
                keeps_connection = beast::http::token_list{value}.exists("keep-alive");
                break;
            case beast::http::field::expect:
                wants_continue = http_1_1_ && beast::iequals(value, "100-continue");
                break;
            default:
                break;
        }
        request.headers.emplace_back(view(name), view(value));
    }

    void on_response_impl(int, Text, int, error_code&) override {}  // never called: this is a request
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(Text body, error_code&) override {
        request.body.append(body.data(), body.size());
        return body.size();
    }
    // Never called: chunked bodies are refused above.
    void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text body, error_code&) override { return body.size(); }
    void on_finish_impl(error_code&) override {}

    bool http_1_1_ = false;
};

Refusal refusal_for(error_code error) {
    using beast::http::error;
    if (error == error::header_limit) return {431, "the request line and the headers are too long"};
    if (error == error::body_limit) return {413, "the body is too long"};
    if (error == error::bad_version) return {400, "the HTTP version is neither 1.0 nor 1.1"};
    if (error == error::bad_method || error == error::bad_target) return {400, "bad request line"};
    if (error == error::bad_content_length || error == error::multiple_content_length)
        return {400, "bad Content-Length"};
    return {400, "bad request"};
}

}  // namespace

struct RequestParser::Impl {
    Collector collector;
    Stage stage = Stage::head;
    Refusal refusal;
    std::string unread;          ///< bytes of the head that Beast wants to see again together with the next ones
    std::size_t head_bytes = 0;  ///< what Beast has taken
    bool has_extra = false;
    std::size_t header_bytes_max = 0;
};

RequestParser::RequestParser(std::size_t header_bytes_max, std::size_t body_bytes_max)
    : impl_(std::make_unique<Impl>()) {
    impl_->header_bytes_max = header_bytes_max;
    impl_->collector.eager(true);
    // Beast counts the request line and the headers apart, so feed() counts the sum itself.
    impl_->collector.header_limit(
        static_cast<std::uint32_t>(std::min<std::size_t>(header_bytes_max, std::numeric_limits<std::uint32_t>::max())));
    impl_->collector.body_limit(body_bytes_max);
}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

RequestParser::Stage RequestParser::feed(std::string_view bytes) {
    Impl& my = *impl_;
    if (my.stage == Stage::complete) my.has_extra = my.has_extra || !bytes.empty();
    if (bytes.empty() || my.stage == Stage::complete || my.stage == Stage::refused) return my.stage;
    const auto refuse = [&my](Refusal refusal) {
        my.refusal = std::move(refusal);
        return my.stage = Stage::refused;
    };

    const bool in_head = my.stage == Stage::head;
    if (in_head) my.unread += bytes;
    const std::string_view next = in_head ? std::string_view(my.unread) : bytes;
    error_code error;
    const std::size_t size = next.size();
    const std::size_t used = my.collector.put(boost::asio::const_buffer(next.data(), next.size()), error);
    if (error && error != beast::http::error::need_more)
        return refuse(my.collector.refusal.status != 0 ? my.collector.refusal : refusal_for(error));

    if (in_head) {
        my.head_bytes += used;
        my.unread.erase(0, used);
        const bool head_ended = my.collector.is_header_done();
        // Eager parsing has taken the beginning of the body along.
        const std::size_t head_bytes = head_ended ? my.head_bytes - body_bytes() : my.head_bytes + my.unread.size();
        if (head_bytes > my.header_bytes_max) return refuse(refusal_for(beast::http::error::header_limit));
        if (head_ended) {
            my.stage = Stage::body;
            std::string().swap(my.unread);
        }
    }
    if (my.collector.is_done()) {
        my.stage = Stage::complete;
        my.has_extra = used < size;
    }
    return my.stage;
}

RequestParser::Stage RequestParser::stage() const {
    return impl_->stage;
}
bool RequestParser::wants_continue() const {
    return impl_->stage == Stage::body && impl_->collector.wants_continue;
}
bool RequestParser::keeps_connection() const {
    return impl_->stage == Stage::complete && !impl_->has_extra && impl_->collector.keeps_connection;
}
std::size_t RequestParser::body_bytes() const {
    return impl_->collector.request.body.size();
}
const Refusal& RequestParser::refusal() const {
    return impl_->refusal;
}
Request RequestParser::take() {
    return std::move(impl_->collector.request);
}

}  // namespace pgkeel::http
