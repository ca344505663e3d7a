#include "http/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace pgkeel::http {
namespace {

std::string clean(std::string_view text) {
    std::string out(text);
    std::erase_if(out, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
    return out;
}

void add_header(std::string& out, std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{}: {}\r\n", clean(name), clean(value));
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), whatever the locale.
std::string http_date(std::chrono::system_clock::time_point at) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days.at(static_cast<std::size_t>(utc.tm_wday)),
                       utc.tm_mday, months.at(static_cast<std::size_t>(utc.tm_mon)), utc.tm_year + 1900, utc.tm_hour,
                       utc.tm_min, utc.tm_sec);
}

std::string escape_html(std::string_view text) {
    std::string out;
    for (const char c : text) switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    return out;
}

}  // namespace

std::string answer_bytes(const Response& response, const AnswerFrame& frame, std::chrono::system_clock::time_point date,
                         bool stays) {
    std::string out = fmt::format("HTTP/1.0 {} {}\r\n", response.status, reason_phrase(response.status));
    if (response.bare) return out + "\r\n";
    if (!frame.server_header.empty()) add_header(out, "Server", frame.server_header);
    add_header(out, "Date", http_date(date));
    if (!response.content_type.empty()) add_header(out, "Content-Type", response.content_type);
    for (const auto& [name, value] : response.headers) add_header(out, name, value);
    for (const auto& [name, value] : frame.extra_headers) add_header(out, name, value);
    // Beyond Patroni's: a client can tell a short answer from a whole one.
    add_header(out, "Content-Length", fmt::to_string(response.body.size()));
    if (stays) add_header(out, "Connection", "keep-alive");
    out += "\r\n";
    return out + response.body;
}

Response error_page(int status, std::string_view reason) {
    Response page{.status = status, .content_type = "text/html;charset=utf-8"};
    page.body = fmt::format(
        "<!doctype html>\n<html><head><title>{0} {1}</title></head>\n<body><h1>{0} {1}</h1><p>{2}</p></body></html>\n",
        status, reason_phrase(status), escape_html(reason));
    return page;
}

}  // namespace pgkeel::http
