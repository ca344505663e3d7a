#pragma once
#include "http/message.hpp"

#include <chrono>
#include <string>

namespace pgkeel::http {

/// What every answer of one server carries.
struct AnswerFrame {
    std::string server_header;  ///< empty: none
    Headers extra_headers;
};

/// The bytes of an answer in Patroni's manner: "HTTP/1.0 200 OK", and the connection ends after it, unless `stays`.
/// Header values with control characters lose them: nobody's text may begin a header of its own.
std::string answer_bytes(const Response& response, const AnswerFrame& frame, std::chrono::system_clock::time_point date,
                         bool stays = false);

/// The page for requests that no handler sees.
Response error_page(int status, std::string_view reason);

}  // namespace pgkeel::http
