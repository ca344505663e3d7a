#include "etcd/verdict.hpp"

#include "etcd/codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pgkeel::etcd {
namespace {

// gRPC's status codes (grpc.io, "Status codes"), those that etcd uses.
constexpr int invalid_argument = 3;
constexpr int not_found = 5;
constexpr int permission_denied = 7;
constexpr int resource_exhausted = 8;
constexpr int failed_precondition = 9;
constexpr int out_of_range = 11;
constexpr int unimplemented = 12;
constexpr int unauthenticated = 16;

bool says(std::string_view message, std::string_view part) {
    return message.find(part) != std::string_view::npos;
}

/// etcd refused before it proposed anything to the other members (etcd source, api/v3rpc/rpctypes/error.go and where
/// each is returned). Every other trouble, "request timed out" above all, may come after the proposal.
bool refused_before_doing(const Refusal& refusal) {
    if (refusal.code == resource_exhausted || refusal.code == out_of_range || refusal.code == unimplemented ||
        refusal.code == invalid_argument || refusal.code == failed_precondition)
        return true;
    constexpr std::array texts = {"etcdserver: no leader", "etcdserver: not capable", "raft proposal dropped"};
    return std::ranges::any_of(texts, [&](const char* text) { return says(refusal.message, text); });
}

/// The token has ended, or belongs to an older set of users and roles. Code 2 is what etcd 3.4 gives for some of them.
bool wants_a_new_token(const Refusal& refusal) {
    return refusal.code == unauthenticated || refusal.code == permission_denied ||
           says(refusal.message, "invalid auth token") || says(refusal.message, "user name is empty") ||
           says(refusal.message, "revision of auth store is old");
}

}  // namespace

Verdict judge(int http_status, std::string_view body, bool is_write) {
    const auto refusal = parse_refusal(body);
    if (!refusal) {
        if (http_status == 404)
            return {Verdict::Next::next_member,
                    {Errc::unavailable, "its gateway for JSON requests is switched off",
                     "put `enable-grpc-gateway: true` into etcd's configuration file and restart etcd"},
                    true};
        // Something before etcd answered (a proxy that lost it, for one): whether etcd saw the request is not known.
        const bool open = is_write && http_status >= 500;
        return {open ? Verdict::Next::give_up : Verdict::Next::next_member,
                {open ? Errc::maybe_done : Errc::unavailable,
                 fmt::format("it answered with HTTP status {} and no reason that can be understood", http_status),
                 "is this address really etcd's?"}};
    }
    const std::string text = fmt::format("{} (gRPC code {})", refusal->message, refusal->code);
    if (refusal->code == not_found && says(refusal->message, "lease not found"))
        return {Verdict::Next::give_up, {Errc::lease_gone, text, {}}};
    if (wants_a_new_token(*refusal)) return {Verdict::Next::authenticate, {Errc::denied, text, {}}};
    if (is_write && !refused_before_doing(*refusal)) return {Verdict::Next::give_up, {Errc::maybe_done, text, {}}};
    std::string hint;
    if (says(refusal->message, "database space exceeded"))
        hint = "compact and defragment etcd, then run `etcdctl alarm disarm`";
    return {Verdict::Next::next_member, {Errc::unavailable, text, std::move(hint)}};
}

}  // namespace pgkeel::etcd
