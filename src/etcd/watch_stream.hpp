#pragma once
#include "etcd/codec.hpp"
#include "etcd/store.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pgkeel::etcd {

/// What comes out of a watch's stream, bytes in, events out. Pure. Knows at every moment from where a new stream would
/// have to go on so that no event is lost; some may be seen twice.
class WatchStream {
  public:
    explicit WatchStream(Revision from) : next_(from) {}

    /// Takes the next bytes. \return why the stream is over; nothing: it goes on
    /// \param on_header  may refuse the first message's header
    using OnHeader = std::function<std::optional<std::string>(const Header&)>;
    std::optional<Error> feed(std::string_view bytes, const OnHeader& on_header, const Store::OnEvents& on_events);

    /// A new connection begins; what was left of the old one's last line is of no use.
    void restart();

    bool created() const { return created_; }
    Revision next() const { return next_; }

  private:
    std::optional<Error> take(std::string_view line, const OnHeader& on_header, const Store::OnEvents& on_events);

    std::string line_;  ///< the part of a line that has come so far
    Revision next_;
    bool created_ = false;
};

}  // namespace pgkeel::etcd
