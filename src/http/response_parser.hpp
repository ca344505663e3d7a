#pragma once
#include "http/message.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pgkeel::http {

/// Reads one answer out of the bytes of a connection, with a length, in chunks, or until the connection ends. Pure.
class ResponseParser {
  public:
    /// False: the receiver wants no more.
    using OnBody = std::function<bool(std::string_view)>;
    enum class Stage {
        head,
        body,
        complete,
        stopped,  ///< on_body said false
        broken,   ///< not HTTP, or larger than allowed: problem() says what
    };

    /// `no_body`: the answer to HEAD. `body_bytes_max` 0: no limit. With `on_body` the body of a 2xx answer goes there
    /// as it comes, else into take().
    ResponseParser(bool no_body, std::uint64_t body_bytes_max, OnBody on_body = {});
    ~ResponseParser();
    ResponseParser(ResponseParser&&) noexcept;
    ResponseParser& operator=(ResponseParser&&) noexcept;

    Stage feed(std::string_view bytes);
    /// The peer has closed the connection.
    Stage feed_end();
    Stage stage() const;
    bool got_some() const;  ///< at least one byte came
    int status() const;     ///< 0 in the head
    /// The connection is good for another request.
    bool keep_alive() const;
    const std::string& problem() const;
    Response take();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace pgkeel::http
