#pragma once
#include <cstddef>
#include <string>

namespace pgkeel::pool {

/// Answers of a server that its client must not have yet: a cancel request was sent while it worked, and they may tell
/// of a commit whose wait for a synchronous standby that has ended. PostgreSQL says so in a warning, which the client
/// may have suppressed (client_min_messages). The server is asked for another commit, which waits behind that one.
struct Withheld {
    enum class Stage {
        collecting,  ///< the client's request is not over
        waiting,     ///< it is; the cancel request is not, and might hit what is asked next
        asking,      ///< for the commit behind it
    };
    Stage stage = Stage::collecting;
    std::string messages;
    std::size_t ready = 0;   ///< how many ReadyForQuery are among them: an error cannot stand for several
    bool cut_short = false;  ///< the wait of the commit that was asked for, too
    bool hopeless = false;   ///< nothing can be found out, or there is too much
};

}  // namespace pgkeel::pool
