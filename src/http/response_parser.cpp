#include "http/response_parser.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <optional>

namespace pgkeel::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using Text = beast::string_view;

constexpr std::uint32_t head_bytes_max = 64 * 1024;
/// Kept of the body of an answer other than 2xx when a stream was asked for.
constexpr std::size_t error_bytes_max = 64UL * 1024;

std::string_view view(Text text) {
    return {text.data(), text.size()};
}

class Collector : public beast::http::basic_parser<false> {
  public:
    explicit Collector(const ResponseParser::OnBody& on_body) : on_body_(on_body) {}

    Response response{.status = 0, .content_type = {}};
    bool stopped = false;

  private:
    void on_response_impl(int status, Text, int, error_code&) override { response.status = status; }

    void on_field_impl(beast::http::field field, Text name, Text value, error_code&) override {
        if (field == beast::http::field::content_type) response.content_type = view(value);
        response.headers.emplace_back(view(name), view(value));
    }

    std::size_t take_body(Text body, error_code& error) {
        if (on_body_ && response.status / 100 == 2) {
            if (!body.empty() && !on_body_(view(body))) {
                stopped = true;
                error = beast::http::error::end_of_stream;
            }
        } else if (!on_body_) {
            response.body.append(body.data(), body.size());
        } else {
            // The page of an error, of which the beginning is enough.
            response.body.append(
                body.data(), std::min(body.size(), error_bytes_max - std::min(error_bytes_max, response.body.size())));
        }
        return body.size();
    }

    // Never called: this is an answer.
    void on_request_impl(beast::http::verb, Text, Text, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(Text body, error_code& error) override { return take_body(body, error); }
    void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text body, error_code& error) override {
        return take_body(body, error);
    }
    void on_finish_impl(error_code&) override {}

    const ResponseParser::OnBody& on_body_;
};

}  // namespace

struct ResponseParser::Impl {
    OnBody on_body;
    bool no_body = false;
    std::uint64_t body_bytes_max = 0;
    std::optional<Collector> collector;
    Stage stage = Stage::head;
    std::string unread;  ///< bytes Beast wants to see again together with the next ones
    std::string problem;
    bool got_some = false;
    bool has_extra = false;  ///< bytes came after the end of the answer

    void begin() {
        collector.emplace(on_body);
        collector->eager(true);
        collector->skip(no_body);
        collector->header_limit(head_bytes_max);
        if (body_bytes_max == 0)
            collector->body_limit(boost::none);
        else
            collector->body_limit(body_bytes_max);
    }
    Stage end_with(error_code error) {
        if (collector->stopped) return stage = Stage::stopped;
        problem = error == beast::http::error::body_limit ? "the body is too long" : error.message();
        return stage = Stage::broken;
    }
};

ResponseParser::ResponseParser(bool no_body, std::uint64_t body_bytes_max, OnBody on_body)
    : impl_(std::make_unique<Impl>()) {
    impl_->on_body = std::move(on_body);
    impl_->no_body = no_body;
    impl_->body_bytes_max = body_bytes_max;
    impl_->begin();
}
ResponseParser::~ResponseParser() = default;
ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;
ResponseParser& ResponseParser::operator=(ResponseParser&&) noexcept = default;

ResponseParser::Stage ResponseParser::feed(std::string_view bytes) {
    Impl& my = *impl_;
    if (bytes.empty()) return my.stage;
    my.got_some = true;
    my.unread += bytes;
    while (!my.unread.empty() && (my.stage == Stage::head || my.stage == Stage::body)) {
        error_code error;
        const std::size_t used =
            my.collector->put(boost::asio::const_buffer(my.unread.data(), my.unread.size()), error);
        my.unread.erase(0, used);
        if (my.collector->is_header_done() && my.collector->response.status / 100 == 1) {
            my.begin();  // an interim answer; the real one follows (RFC 9110 §15.2)
            continue;
        }
        if (my.collector->is_header_done()) my.stage = Stage::body;
        if (error == beast::http::error::need_more) break;
        if (error) return my.end_with(error);
        if (my.collector->is_done()) my.stage = Stage::complete;
    }
    my.has_extra = my.stage == Stage::complete && !my.unread.empty();
    return my.stage;
}

ResponseParser::Stage ResponseParser::feed_end() {
    Impl& my = *impl_;
    if (my.stage != Stage::head && my.stage != Stage::body) return my.stage;
    if (!my.collector->got_some() || !my.collector->is_header_done()) {
        my.problem = "the connection was closed in the middle of the answer's head";
        return my.stage = Stage::broken;
    }
    error_code error;
    my.collector->put_eof(error);
    if (error) {
        my.problem = "the connection was closed in the middle of the answer's body";
        return my.stage = Stage::broken;
    }
    return my.stage = Stage::complete;
}

ResponseParser::Stage ResponseParser::stage() const {
    return impl_->stage;
}
bool ResponseParser::got_some() const {
    return impl_->got_some;
}
int ResponseParser::status() const {
    return impl_->stage == Stage::head ? 0 : impl_->collector->response.status;
}
bool ResponseParser::keep_alive() const {
    return impl_->stage == Stage::complete && !impl_->has_extra && impl_->collector->keep_alive();
}
const std::string& ResponseParser::problem() const {
    return impl_->problem;
}
Response ResponseParser::take() {
    return std::move(impl_->collector->response);
}

}  // namespace pgkeel::http
