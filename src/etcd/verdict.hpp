#pragma once
#include "base/result.hpp"

#include <string_view>

namespace pgkeel::etcd {

/// What to make of an answer of etcd that is not a success. Pure: the table of what each refusal means.
struct Verdict {
    enum class Next {
        give_up,       ///< hand the error to the caller: another member would say the same, or asking again could do it
                       ///< twice
        next_member,   ///< nothing was changed: another member may serve
        authenticate,  ///< nothing was changed: the token is missing or too old
    };
    Next next = Next::next_member;
    Error error;
    bool lasting = false;  ///< this member would say the same a second later
};

/// \param is_write  the request changes something, so that "timed out" leaves open whether it has
Verdict judge(int http_status, std::string_view body, bool is_write);

}  // namespace pgkeel::etcd
