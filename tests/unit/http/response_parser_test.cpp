#include "http/response_parser.hpp"

#include <gtest/gtest.h>

namespace pgkeel::http {
namespace {

using Stage = ResponseParser::Stage;

TEST(response_parser, reads_a_length_a_chunked_and_an_open_body) {
    for (const std::string_view bytes :
         {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello",
          "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
          "HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nhello"}) {
        for (const std::size_t step : {std::size_t{1}, bytes.size()}) {
            ResponseParser parser(false, 100);
            for (std::size_t i = 0; i < bytes.size(); i += step) parser.feed(bytes.substr(i, step));
            EXPECT_EQ(parser.feed_end(), Stage::complete) << bytes;
            const Response response = parser.take();
            EXPECT_EQ(response.status, 200);
            EXPECT_EQ(response.content_type, "a/b");
            EXPECT_EQ(response.body, "hello");
        }
    }
}

TEST(response_parser, says_when_the_connection_is_good_for_another_request) {
    const auto keeps = [](std::string_view bytes) {
        ResponseParser parser(false, 100);
        parser.feed(bytes);
        return parser.keep_alive();
    };
    EXPECT_TRUE(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    EXPECT_FALSE(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nextra"));
    EXPECT_FALSE(keeps("HTTP/1.1 200 OK\r\n\r\n"));
}

TEST(response_parser, skips_interim_answers) {
    ResponseParser parser(false, 100);
    EXPECT_EQ(parser.feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), Stage::complete);
    EXPECT_EQ(parser.take().status, 204);
}

TEST(response_parser, expects_no_body_after_head) {
    ResponseParser parser(true, 100);
    EXPECT_EQ(parser.feed("HTTP/1.0 200 OK\r\n\r\n"), Stage::complete);
}

TEST(response_parser, breaks_on_bodies_that_are_short_or_long_and_on_rubbish) {
    ResponseParser cut(false, 100);
    cut.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    EXPECT_EQ(cut.feed_end(), Stage::broken);
    ResponseParser cut_chunk(false, 100);
    cut_chunk.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    EXPECT_EQ(cut_chunk.feed_end(), Stage::broken);
    ResponseParser head(false, 100);
    head.feed("HTTP/1.1 200 OK\r\n");
    EXPECT_EQ(head.feed_end(), Stage::broken);
    EXPECT_NE(head.problem(), "");
    EXPECT_EQ(ResponseParser(false, 100).feed("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"), Stage::broken);
    EXPECT_EQ(ResponseParser(false, 4).feed("HTTP/1.0 200 OK\r\n\r\nhello"), Stage::broken);
    EXPECT_EQ(ResponseParser(false, 4).feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
              Stage::broken);
    EXPECT_EQ(ResponseParser(false, 100).feed("SSH-2.0-OpenSSH_9.2\r\n"), Stage::broken);
    EXPECT_EQ(
        ResponseParser(false, 100).feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
        Stage::broken);
}

TEST(response_parser, hands_the_body_over_as_it_comes_until_told_to_stop) {
    std::string got;
    ResponseParser parser(false, 0, [&got](std::string_view data) {
        got += data;
        return !got.contains("stop");
    });
    EXPECT_EQ(parser.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n"), Stage::body);
    EXPECT_EQ(got, "one\n");
    EXPECT_EQ(parser.feed("\r\n4\r\ntw"), Stage::body);
    EXPECT_EQ(got, "one\ntw");
    EXPECT_EQ(parser.feed("o\n\r\n4\r\nstop\r\n4\r\nmore\r\n"), Stage::stopped);
    EXPECT_EQ(got, "one\ntwo\nstop");
}

TEST(response_parser, keeps_the_beginning_of_an_error_page_from_the_stream) {
    bool called = false;
    ResponseParser parser(false, 0, [&called](std::string_view) { return called = true; });
    parser.feed("HTTP/1.1 401 Unauthorized\r\n\r\n" + std::string(200'000, 'x'));
    EXPECT_EQ(parser.feed_end(), Stage::complete);
    EXPECT_FALSE(called);
    EXPECT_EQ(parser.take().body.size(), 64U * 1024);
}

}  // namespace
}  // namespace pgkeel::http
