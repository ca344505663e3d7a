#include "http/request_parser.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pgkeel::http {
namespace {

using Stage = RequestParser::Stage;

constexpr std::size_t header_max = 1024;
constexpr std::size_t body_max = 100;

RequestParser parse(std::string_view bytes) {
    RequestParser parser(header_max, body_max);
    parser.feed(bytes);
    return parser;
}

/// The same bytes one at a time must say the same.
RequestParser parse_slowly(std::string_view bytes) {
    RequestParser parser(header_max, body_max);
    for (const char& byte : bytes) parser.feed({&byte, 1});
    return parser;
}

TEST(request_parser, reads_a_request_whole_or_byte_by_byte) {
    const std::string_view bytes =
        "PATCH /config?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello";
    for (auto* way : {parse, parse_slowly}) {
        auto parser = way(bytes);
        ASSERT_EQ(parser.stage(), Stage::complete);
        const Request request = parser.take();
        EXPECT_EQ(request.method, "PATCH");
        EXPECT_EQ(request.target, "/config?a=1");
        EXPECT_EQ(request.header("host"), "x");
        EXPECT_EQ(request.header("x-empty"), "");
        EXPECT_EQ(request.body, "hello");
        EXPECT_TRUE(request.has_content_length);
    }
}

TEST(request_parser, tells_a_missing_length_from_an_empty_body) {
    auto without = parse("POST /restart HTTP/1.0\r\n\r\n");
    ASSERT_EQ(without.stage(), Stage::complete);
    EXPECT_FALSE(without.take().has_content_length);
    auto with = parse("POST /restart HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    ASSERT_EQ(with.stage(), Stage::complete);
    EXPECT_TRUE(with.take().has_content_length);
}

TEST(request_parser, takes_the_checks_of_haproxy) {
    auto parser = parse("OPTIONS /primary HTTP/1.0\r\n\r\n");
    ASSERT_EQ(parser.stage(), Stage::complete);
    EXPECT_EQ(parser.take().method, "OPTIONS");
    EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\n\r\n").stage(), Stage::complete);
}

TEST(request_parser, waits_while_bytes_are_missing) {
    EXPECT_EQ(parse("").stage(), Stage::head);
    EXPECT_EQ(parse("GET / HTT").stage(), Stage::head);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: x\r\n").stage(), Stage::head);
    EXPECT_EQ(parse("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab").stage(), Stage::body);
}

TEST(request_parser, hears_who_waits_for_100_continue) {
    EXPECT_TRUE(parse("POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n").wants_continue());
    EXPECT_FALSE(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").wants_continue());
    EXPECT_FALSE(parse("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n").wants_continue());
    EXPECT_FALSE(parse("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n").wants_continue());
}

struct Bad {
    const char* name;
    std::string bytes;
    int status;
};

class request_parser_refuses : public testing::TestWithParam<Bad> {};

TEST_P(request_parser_refuses, with_the_right_status) {
    for (auto* way : {parse, parse_slowly}) {
        const auto parser = way(GetParam().bytes);
        ASSERT_EQ(parser.stage(), Stage::refused);
        EXPECT_EQ(parser.refusal().status, GetParam().status) << parser.refusal().reason;
        EXPECT_NE(parser.refusal().reason, "");
    }
}

std::string with_header(const std::string& header) {
    return "POST / HTTP/1.1\r\n" + header + "\r\n\r\n";
}

INSTANTIATE_TEST_SUITE_P(
    strangers, request_parser_refuses,
    testing::Values(Bad{"no_version", "GET /\r\n\r\n", 400}, Bad{"rubbish", "\x16\x03\x01\x02 hello\r\n\r\n", 400},
                    Bad{"bare_newlines", "GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", 400},
                    Bad{"version_2", "GET / HTTP/2.0\r\n\r\n", 400}, Bad{"version_0_9", "GET / HTTP/0.9\r\n\r\n", 400},
                    Bad{"space_in_target", "GET /a b HTTP/1.1\r\n\r\n", 400},
                    Bad{"nul_in_target", std::string("GET /a\0b HTTP/1.1\r\n\r\n", 22), 400},
                    Bad{"nul_in_header", with_header(std::string("X: a\0b", 6)), 400},
                    Bad{"nul_in_name", with_header(std::string("X\0Y: ab", 7)), 400},
                    Bad{"absolute_form", "GET http://evil/ HTTP/1.1\r\n\r\n", 400},
                    Bad{"authority_form", "CONNECT evil:80 HTTP/1.1\r\n\r\n", 400},
                    Bad{"star_without_options", "GET * HTTP/1.1\r\n\r\n", 400},
                    Bad{"length_twice", with_header("Content-Length: 3\r\nContent-Length: 3"), 400},
                    Bad{"lengths_differ", with_header("Content-Length: 3\r\nContent-Length: 4"), 400},
                    Bad{"length_list", with_header("Content-Length: 3, 3"), 400},
                    Bad{"length_negative", with_header("Content-Length: -1"), 400},
                    Bad{"length_signed", with_header("Content-Length: +1"), 400},
                    Bad{"length_hex", with_header("Content-Length: 0x10"), 400},
                    Bad{"length_empty", with_header("Content-Length:"), 400},
                    Bad{"length_overflows", with_header("Content-Length: 18446744073709551616"), 400},
                    Bad{"length_overflows_to_three", with_header("Content-Length: 18446744073709551619"), 400},
                    Bad{"length_huge", with_header("Content-Length: 18446744073709551615"), 413},
                    Bad{"body_too_long", with_header("Content-Length: 101"), 413},
                    Bad{"chunked", with_header("Transfer-Encoding: chunked"), 501},
                    Bad{"gzip_chunked", with_header("Transfer-Encoding: gzip, chunked"), 501},
                    Bad{"other_encoding", with_header("Transfer-Encoding: identity"), 501},
                    Bad{"length_and_chunked", with_header("Content-Length: 3\r\nTransfer-Encoding: chunked"), 400},
                    Bad{"chunked_and_length", with_header("Transfer-Encoding: chunked\r\nContent-Length: 3"), 501},
                    Bad{"space_before_colon", with_header("Content-Length : 3"), 400},
                    Bad{"no_colon", with_header("hello"), 400},
                    Bad{"long_target", "GET /" + std::string(header_max, 'a'), 431},
                    Bad{"long_header", "GET / HTTP/1.1\r\nX: " + std::string(header_max, 'a'), 431},
                    Bad{"head_of_many_parts",
                        "GET /" + std::string(600, 'a') + " HTTP/1.1\r\nX: " + std::string(600, 'b') + "\r\n\r\n",
                        431}),
    [](const auto& info) { return info.param.name; });

TEST(request_parser, counts_the_head_and_not_the_body_against_the_head) {
    RequestParser parser(100, 1000);
    const std::string body(1000, 'x');
    EXPECT_EQ(parser.feed("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + body), Stage::complete);
    EXPECT_EQ(parser.take().body, body);
}

TEST(request_parser, ignores_what_follows_the_request) {
    auto parser = parse("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    ASSERT_EQ(parser.stage(), Stage::complete);
    EXPECT_EQ(parser.feed("more"), Stage::complete);
    EXPECT_EQ(parser.take().target, "/a");
}

}  // namespace
}  // namespace pgkeel::http
