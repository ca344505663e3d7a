#include "http/message.hpp"

#include "http/answer.hpp"
#include "http/client.hpp"
#include "http/listen.hpp"

#include <gtest/gtest.h>

namespace pgkeel::http {
namespace {

TEST(request, finds_headers_whatever_their_case) {
    const Request request{.headers = {{"Content-type", "a"}, {"X-One", "1"}, {"x-one", "2"}}};
    EXPECT_EQ(request.header("CONTENT-TYPE"), "a");
    EXPECT_EQ(request.header("X-ONE"), "1");
    EXPECT_EQ(request.header("Content"), "");
}

TEST(request, splits_the_target_into_path_and_decoded_query) {
    const Request request{.target = "/replica?lag=10%4dB&tag=a+b&&flag&x=%zz&y=1=2#end"};
    EXPECT_EQ(request.path(), "/replica");
    const Headers expected{{"lag", "10MB"}, {"tag", "a b"}, {"flag", ""}, {"x", "%zz"}, {"y", "1=2"}};
    EXPECT_EQ(request.query(), expected);
    EXPECT_TRUE(Request{}.query().empty());
    EXPECT_EQ(decode_query("a%2"), "a%2");
    EXPECT_EQ(decode_query("%"), "%");
    EXPECT_EQ(decode_query("%41"), "A");
}

TEST(url, is_read_in_all_its_forms) {
    const auto whole = parse_url("https://db-1.example:8008/patroni?x=1#top");
    ASSERT_TRUE(whole);
    EXPECT_TRUE(whole->tls);
    EXPECT_EQ(whole->host, "db-1.example");
    EXPECT_EQ(whole->port, "8008");
    EXPECT_EQ(whole->target, "/patroni?x=1");
    const auto v6 = parse_url("http://[::1]:2379");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "::1");
    EXPECT_EQ(v6->port, "2379");
    EXPECT_EQ(v6->target, "/");
    EXPECT_EQ(parse_url("http://h")->port, "80");
    EXPECT_EQ(parse_url("https://h")->port, "443");
    EXPECT_EQ(parse_url("http://h?a=b")->target, "/?a=b");
}

TEST(url, refuses_what_is_not_one_and_keeps_the_password_to_itself) {
    for (const char* text :
         {"", "h:1", "ftp://h", "http://", "http://:80", "http://h:", "http://h:0", "http://h:65536", "http://h:x",
          "http://h:80x", "http://[::1", "http://[::1]80", "http://a b/", "http://h/\r\nX: y", "http://u:secret@h/"}) {
        const auto url = parse_url(text);
        ASSERT_FALSE(url) << text;
        EXPECT_EQ(url.error().code, Errc::invalid_input);
        EXPECT_FALSE(url.error().line().contains("secret")) << url.error().line();
    }
}

TEST(basic_authorization, encodes_every_length) {
    EXPECT_EQ(basic_authorization("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617 §2
    EXPECT_EQ(basic_authorization("a", "b"), "Basic YTpi");
    EXPECT_EQ(basic_authorization("ab", "c"), "Basic YWI6Yw==");
    EXPECT_EQ(basic_authorization("", ""), "Basic Og==");
    EXPECT_EQ(basic_authorization("u", "\xff\xfe"), "Basic dTr//g==");
}

TEST(listen_address, is_read_in_all_its_forms) {
    EXPECT_EQ(parse_listen("127.0.0.1:8008")->host, "127.0.0.1");
    EXPECT_EQ(parse_listen("127.0.0.1:8008")->port, "8008");
    EXPECT_EQ(parse_listen("*:8008")->host, "");
    EXPECT_EQ(parse_listen(":8008")->host, "");
    EXPECT_EQ(parse_listen("[::1]:0")->host, "::1");
    for (const char* text : {"", "host", "host:", "host:x", "host:65536", "host:-1", "[::1:80", "[]:80"})
        EXPECT_FALSE(parse_listen(text)) << text;
}

TEST(answer, is_http_1_0_with_the_frame_of_the_server) {
    const Response response{.status = 503, .headers = {{"X-A", "1"}}, .body = "{}"};
    EXPECT_EQ(answer_bytes(response, {.server_header = "pgkeel", .extra_headers = {{"X-B", "2"}}},
                           std::chrono::system_clock::from_time_t(784111777)),
              "HTTP/1.0 503 Service Unavailable\r\nServer: pgkeel\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
              "Content-Type: application/json\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(answer, bare_is_the_status_line_alone) {
    const Response response{.status = 200, .headers = {{"X-A", "1"}}, .body = "not sent", .bare = true};
    EXPECT_EQ(answer_bytes(response, {.server_header = "s", .extra_headers = {{"X-B", "2"}}}, {}),
              "HTTP/1.0 200 OK\r\n\r\n");
}

TEST(answer, lets_no_text_begin_a_header_of_its_own) {
    const std::string bytes = answer_bytes({.headers = {{"X", "a\r\nSet-Cookie: b"}}}, {}, {});
    EXPECT_FALSE(bytes.contains("\r\nSet-Cookie")) << bytes;
    EXPECT_TRUE(error_page(400, "<script>").body.contains("&lt;script&gt;"));
}

}  // namespace
}  // namespace pgkeel::http
