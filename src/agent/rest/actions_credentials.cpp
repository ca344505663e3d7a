// POST /pgkeel/credentials: the agents' own passwords, as `pgkeel rotate-credentials` changes them
// (docs/decisions/0012-rotation.md). Nothing of it is logged but what was done.
#include "agent/rest/access.hpp"
#include "agent/rest/answers.hpp"
#include "agent/rest/api.hpp"
#include "cluster/json_reading.hpp"
#include "cluster/rotation.hpp"
#include "log/log.hpp"

#include <boost/json/array.hpp>

#include <algorithm>

namespace pgkeel::agent::rest {
namespace {

namespace json = boost::json;
using cluster::Rotation;
using cluster::RotationPhase;

bool is_loopback(const std::string& address) {
    boost::system::error_code error;
    const auto parsed = asio::ip::make_address(address, error);
    return !error && unmapped(parsed).is_loopback();
}

/// Whether the cluster is where this action belongs; else the text that refuses it.
std::string refusal_of(const std::string& action, const std::string& id, const std::optional<Rotation>& now) {
    const bool is_it = now && now->id == id;
    if (action == "abandon")
        return is_it && now->phase != RotationPhase::prepare ? "the rotation has gone too far to be abandoned" : "";
    if (!is_it) return now ? fmt::format("rotation {} is under way, not {}", now->id, id) : "no rotation is under way";
    const RotationPhase wanted = action == "prepare"  ? RotationPhase::prepare
                                 : action == "finish" ? RotationPhase::finish
                                                      : RotationPhase::commit;
    if (now->phase == wanted) return {};
    return fmt::format("the rotation is in phase {}, and {} belongs to {}", to_string(now->phase), action,
                       to_string(wanted));
}

int status_of(const Error& error) {
    switch (error.code) {
        case Errc::invalid_input:
            return 400;
        case Errc::conflict:
            return 409;
        case Errc::io_error:
            return 500;
        default:
            return 503;
    }
}

http::Response answer_of(const Result<>& done) {
    if (done) return text_answer(200, "done");
    return text_answer(status_of(done.error()), done.error().line());
}

json::object shown(const CredentialsKeeper& keeper) {
    json::array roles;
    for (const CredentialsKeeper::Role& role : keeper.roles())
        roles.push_back(json::object{{"name", role.name},
                                     {"sections", json::array(role.sections.begin(), role.sections.end())},
                                     {"has_password", role.has_password}});
    return {{"roles", roles},
            {"file", keeper.path()},
            {"trouble", keeper.trouble()},
            {"rotation", keeper.credentials().rotation},
            {"switched", keeper.credentials().switched}};
}

std::map<std::string, std::string> passwords_of(const json::object& body) {
    std::map<std::string, std::string> passwords;
    if (const json::object* given = cluster::object_of(body, "passwords"))
        for (const auto& [role, password] : *given)
            if (password.is_string()) passwords.emplace(role, password.get_string());
    return passwords;
}

}  // namespace

Task<http::Response> RestApi::handle_credentials(http::Request request) {
    if (parts_.credentials == nullptr) co_return page(501, "this agent's passwords cannot be changed");
    if (!request.tls && !is_loopback(request.peer_address))
        co_return text_answer(403, "passwords are not taken over plain HTTP: set restapi.certfile and restapi.keyfile");
    auto body = read_body(request, false);
    if (!body) co_return body.error();
    std::string action = cluster::text_of(*body, "action");
    if (action == "look") co_return json_answer(200, shown(*parts_.credentials));
    static constexpr std::string_view known[] = {"prepare", "commit", "settle", "finish", "abandon"};
    if (std::ranges::find(known, action) == std::end(known)) co_return text_answer(400, "no such action");
    // One at a time: of two rotations, the one that the key no longer names must not be stored last.
    if (credentials_busy_) co_return text_answer(503, "another request about passwords is under way");
    credentials_busy_ = true;
    const std::unique_ptr<bool, void (*)(bool*)> free(&credentials_busy_, [](bool* busy) { *busy = false; });
    std::string rotation = cluster::text_of(*body, "rotation");
    co_return co_await change_credentials(std::move(*body), std::move(action), std::move(rotation));
}

Task<http::Response> RestApi::change_credentials(json::object body, std::string action, std::string rotation) {
    const cluster::Keys& keys = parts_.node.keys();
    const auto range = co_await parts_.store.range(keys.prefix, parts_.clock.now() + std::chrono::seconds(5));
    if (!range) co_return store_trouble("reading the rotation", range.error());
    const auto key = std::ranges::find(range->values, keys.rotation(), &etcd::KeyValue::key);
    const auto now = key == range->values.end() ? std::nullopt : cluster::read_rotation(*key);
    if (const std::string why = refusal_of(action, rotation, now); !why.empty()) co_return text_answer(409, why);

    CredentialsKeeper& keeper = *parts_.credentials;
    if (action == "prepare") co_return answer_of(co_await keeper.prepare(rotation, passwords_of(body)));
    if (action == "finish") co_return answer_of(co_await keeper.finish(rotation));
    if (action == "abandon") co_return answer_of(co_await keeper.abandon(rotation));

    const ClusterView view = cluster::parse_view(keys, range->values, range->revision);
    if (!view.leader) co_return text_answer(503, "nobody leads the cluster now");
    const bool leads = view.leader->name == parts_.node.identity().name;
    if (action == "commit") {
        if (!leads || !parts_.node.holds_lease()) co_return text_answer(503, "this member does not lead any more");
        co_return answer_of(co_await keeper.commit(rotation));
    }
    std::optional<Member> leader;
    if (!leads) {
        if (view.leader_member() == nullptr) co_return text_answer(503, "the leader does not publish itself now");
        leader = *view.leader_member();
    }
    co_return answer_of(co_await keeper.settle(rotation, std::move(leader)));
}

}  // namespace pgkeel::agent::rest
