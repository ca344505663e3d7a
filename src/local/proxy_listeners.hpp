#pragma once
#include <array>

namespace pgkeel::local {

/// One port of a local cluster's proxy. All texts are for its configuration, except `purpose`.
struct ProxyListener {
    const char* name;
    const char* route;
    const char* pool_mode;
    const char* purpose;  ///< for people, few words
};

inline constexpr std::array proxy_listeners = {
    ProxyListener{"primary", "primary", "session", "the primary"},
    ProxyListener{"standby", "standby", "session", "a standby, for reads"},
    ProxyListener{"any", "any", "session", "any node, for reads"},
    ProxyListener{"pooled", "primary", "transaction", "the primary; connections are shared between transactions"},
};

}  // namespace pgkeel::local
