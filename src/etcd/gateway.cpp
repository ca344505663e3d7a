#include "etcd/gateway.hpp"

#include "log/log.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace pgkeel::etcd {
namespace {

using namespace std::chrono_literals;

/// Less is not enough for an etcd that is merely busy.
constexpr Duration share_min = 1s;
/// Between two rounds over all members: an election of etcd takes one to two seconds.
constexpr Duration pause_between_rounds = 100ms;

constexpr const char* replaced_hint = "if etcd was replaced on purpose, reload pgkeel on every node";

std::unexpected<Verdict> next_member(Error error, bool lasting = false) {
    return std::unexpected(Verdict{Verdict::Next::next_member, std::move(error), lasting});
}

std::unexpected<Verdict> give_up(Error error) {
    return std::unexpected(Verdict{Verdict::Next::give_up, std::move(error), false});
}

/// An exchange failed on its way.
std::unexpected<Verdict> lost(Error error, bool repeatable) {
    if (error.code == Errc::maybe_done && !repeatable) return give_up(std::move(error));
    const bool lasting = error.code == Errc::denied || error.code == Errc::invalid_input;  // TLS, or its files
    if (error.code != Errc::denied) error.code = Errc::unavailable;
    return next_member(std::move(error), lasting);
}

/// The answers to all members' refusals in one text.
Error nobody_could(const char* what, const std::vector<std::pair<std::string, Error>>& refusals) {
    if (refusals.empty())
        return {Errc::unavailable, fmt::format("there was no time left to ask etcd for {}", what), {}};
    const Error& last = refusals.back().second;
    if (refusals.size() == 1)
        return {last.code, fmt::format("etcd at {} did not serve {}: {}", refusals[0].first, what, last.text),
                last.hint};
    std::string text = fmt::format("no member of etcd served {}", what);
    for (const auto& [name, error] : refusals) text += fmt::format("; {}: {}", name, error.text);
    const bool all_denied = std::ranges::all_of(refusals, [](const auto& r) { return r.second.code == Errc::denied; });
    return {all_denied ? Errc::denied : Errc::unavailable, std::move(text), last.hint};
}

}  // namespace

Gateway::Gateway(Clock& clock, GatewayOptions options, Endpoints endpoints)
    : clock_(clock),
      options_(std::move(options)),
      endpoints_(std::move(endpoints)),
      client_(std::make_shared<http::Client>(options_.tls)) {}

void Gateway::replace(GatewayOptions options, Endpoints endpoints) {
    options_ = std::move(options);
    endpoints_ = std::move(endpoints);
    client_->reload(options_.tls);
    identity_.forget();
    token_.clear();
    login_is_off_ = false;
}

std::shared_ptr<void> Gateway::when_left(OnLeave on_leave) {
    auto listener = std::make_shared<OnLeave>(std::move(on_leave));
    listeners_.push_back(listener);
    return listener;
}

void Gateway::leave(const std::shared_ptr<Endpoint>& endpoint, const Error& why, bool cut_short) {
    endpoints_.leave(endpoint);
    // Said once, not at every try while it stays so. What has a hint may have numbers in its text.
    const std::string& complaint = why.hint.empty() ? why.text : why.hint;
    if (endpoint->complaint != complaint && (endpoint->complaint.empty() || !cut_short)) {
        endpoint->complaint = complaint;
        const auto& next = endpoints_.current();
        log::warning("etcd at {} cannot be used: {}{}", endpoint->name, why.line(),
                     next == endpoint ? std::string{} : fmt::format("; going on with {}", next->name));
    }
    listeners_.remove_if([](const auto& listener) { return listener.expired(); });
    for (const auto& listener : std::list(listeners_))
        if (const auto alive = listener.lock()) (*alive)(*endpoint);
}

http::Request Gateway::make_request(const Endpoint& endpoint, const char* path, std::string body) const {
    http::Request request;
    request.method = "POST";
    request.target = endpoint.api_prefix + path;
    request.body = std::move(body);
    request.has_content_length = true;
    request.headers.emplace_back("Content-Type", "application/json");
    // A member without a leader then says so at once, before it has done anything, instead of letting the request time
    // out.
    request.headers.emplace_back("Grpc-Metadata-hasleader", "true");
    if (!token_.empty()) request.headers.emplace_back("Authorization", token_);
    return request;
}

Task<Result<http::Response>> Gateway::send(std::shared_ptr<Endpoint> endpoint, const char* path, std::string body,
                                           bool repeatable, Deadline deadline) {
    http::Request request = make_request(*endpoint, path, std::move(body));
    request.repeatable = repeatable;
    http::Url url = endpoint->url;
    url.target = request.target;
    co_return co_await client_->request(std::move(url), std::move(request), deadline);
}

Task<Gateway::Outcome> Gateway::learn_version(std::shared_ptr<Endpoint> endpoint, Deadline deadline) {
    http::Request request;
    request.target = "/version";
    http::Url url = endpoint->url;
    url.target = request.target;
    auto response = co_await client_->request(std::move(url), std::move(request), deadline);
    if (!response) co_return lost(std::move(response.error()), true);
    if (response->status != 200)
        co_return next_member({Errc::unavailable,
                               fmt::format("it answered GET /version with HTTP status {}", response->status),
                               "is this address really etcd's?"});
    auto version = parse_version(response->body);
    if (!version) co_return next_member(std::move(version.error()), true);
    auto prefix = api_prefix(*version);
    if (!prefix) co_return next_member(std::move(prefix.error()), true);
    endpoint->api_prefix = *std::move(prefix);
    co_return Outcome{};
}

/// The member list is the cheapest call whose answer names the cluster, and it changes nothing.
Task<Gateway::Outcome> Gateway::learn_members(std::shared_ptr<Endpoint> endpoint, Deadline deadline) {
    const auto floor = identity_.floor();
    auto response = co_await send(endpoint, "/cluster/member/list", "{}", true, deadline);
    if (!response) co_return lost(std::move(response.error()), true);
    if (response->status != 200) {
        Verdict verdict = judge(response->status, response->body, false);
        // Newer versions keep the list from users without a role for it. The answers to come are measured all the same.
        if (verdict.next == Verdict::Next::authenticate) co_return Outcome{};
        co_return std::unexpected(std::move(verdict));
    }
    auto members = parse_members(response->body);
    if (!members) co_return next_member(std::move(members.error()));
    if (auto problem = identity_.check(members->header, floor, false))
        co_return next_member({Errc::unavailable, *std::move(problem), replaced_hint});
    if (options_.use_proxies) co_return Outcome{};
    endpoints_.set_members(members->value);
    if (!members_.empty() && members_ != members->value)
        log::info("etcd has other members now: {}", fmt::join(members->value, ", "));
    members_ = std::move(members->value);
    co_return Outcome{};
}

/// One at a time: it costs etcd a tenth of a second of its processor (bcrypt), and once a token is gone every request
/// that is under way wants another.
Task<Gateway::Outcome> Gateway::log_in(std::shared_ptr<Endpoint> endpoint, Deadline deadline) {
    while (wants_token() && endpoint->logging_in && clock_.now() < deadline)
        co_await endpoint->login_ended.wait(clock_, deadline);
    if (!wants_token()) co_return Outcome{};
    if (endpoint->logging_in) co_return next_member({Errc::unavailable, "a login has had no answer yet", {}});
    endpoint->logging_in = true;
    Outcome outcome = co_await authenticate(endpoint, deadline);
    endpoint->logging_in = false;
    endpoint->login_ended.set();
    co_return outcome;
}

Task<Gateway::Outcome> Gateway::authenticate(std::shared_ptr<Endpoint> endpoint, Deadline deadline) {
    std::string body = authenticate_request(options_.username, options_.password);
    auto response = co_await send(endpoint, "/auth/authenticate", std::move(body), true, deadline);
    if (!response) co_return lost(std::move(response.error()), true);
    if (response->status == 200) {
        auto token = parse_token(response->body);
        if (!token) co_return next_member(std::move(token.error()));
        token_ = *std::move(token);
        co_return Outcome{};
    }
    const auto refusal = parse_refusal(response->body);
    const auto says = [&](std::string_view part) {
        return refusal && refusal->message.find(part) != std::string::npos;
    };
    if (says("authentication is not enabled")) {
        login_is_off_ = true;
        co_return Outcome{};
    }
    if (says("authentication failed")) co_return next_member(denied(refusal->message), true);
    co_return std::unexpected(judge(response->status, response->body, false));
}

/// Nothing but questions, so that whatever fails here, the request itself can go to another member.
Task<Gateway::Outcome> Gateway::greet(std::shared_ptr<Endpoint> endpoint, Deadline deadline) {
    const bool due = clock_.now() - endpoint->greeted > options_.refresh_interval;
    if (!endpoint->known_good || due) {
        if (!endpoint->known_good)
            if (auto learned = co_await learn_version(endpoint, deadline); !learned) co_return learned;
        if (auto in = co_await log_in(endpoint, deadline); !in) co_return in;
        if (auto learned = co_await learn_members(endpoint, deadline); !learned) co_return learned;
        endpoint->known_good = true;
        endpoint->greeted = clock_.now();
    }
    co_return co_await log_in(endpoint, deadline);
}

Error Gateway::denied(std::string_view reason) const {
    if (options_.username.empty())
        return {Errc::denied, fmt::format("it wants a login: {}", reason), "set etcd3.username and etcd3.password"};
    return {Errc::denied, fmt::format("it refused user '{}': {}", options_.username, reason),
            "check etcd3.username, etcd3.password and the roles of this user"};
}

Task<Gateway::Outcome> Gateway::try_member(std::shared_ptr<Endpoint> endpoint, const Call& call, const Accept& accept,
                                           Deadline deadline) {
    for (bool first = true;; first = false) {
        if (auto greeted = co_await greet(endpoint, deadline); !greeted) co_return greeted;
        const auto floor = identity_.floor();
        const std::string token = token_;
        auto response = co_await send(endpoint, call.path, call.body, call.repeatable, deadline);
        if (response && call.linearizable) unanswered_ = 0;
        if (!response) {
            // An etcd that was restored lets a request wait until it has come to the index at which its token was given
            // (3.4, simple_token.go), which may be for ever, and nobody is told what has happened to it. Leases are
            // kept alive without a token.
            if (call.linearizable && response.error().code == Errc::timed_out && ++unanswered_ > endpoints_.size()) {
                unanswered_ = 0;
                if (token_ == token) token_.clear();
            }
            co_return lost(std::move(response.error()), call.repeatable);
        }
        if (response->status != 200) {
            Verdict verdict = judge(response->status, response->body, !call.repeatable);
            if (verdict.next != Verdict::Next::authenticate) co_return std::unexpected(std::move(verdict));
            if (!first || options_.username.empty()) co_return next_member(denied(verdict.error.text), true);
            // Somebody else may have renewed the token since this request was sent.
            if (token_ == token) token_.clear();
            login_is_off_ = false;
            continue;
        }
        auto header = accept(response->body);
        if (header) {
            auto foreign = identity_.check(*header, floor, call.linearizable);
            if (!foreign) {
                // A member that keeps leases alive may still have nothing to say that can be believed.
                if (call.linearizable && !std::exchange(endpoint->complaint, {}).empty())
                    log::info("etcd at {} serves again", endpoint->name);
                co_return Outcome{};
            }
            header = fail(Errc::unavailable, *std::move(foreign), replaced_hint);
        }
        Error error = std::move(header.error());
        if (error.code == Errc::lease_gone) co_return give_up(std::move(error));
        if (call.repeatable) co_return next_member(std::move(error));
        error.code = Errc::maybe_done;  // something was written somewhere
        co_return give_up(std::move(error));
    }
}

Duration Gateway::share(Deadline deadline) const {
    return std::max((deadline - clock_.now()) / static_cast<int>(endpoints_.size()), share_min);
}

Task<Result<>> Gateway::ask(Call call, Accept accept, Deadline deadline) {
    std::vector<std::pair<std::string, Error>> refusals;  // of the latest round
    const Duration a_share = share(deadline);
    for (;;) {
        std::vector<std::pair<std::string, Error>> round;
        bool lasting = true;
        bool cut_short = true;
        for (std::size_t tried = 0; tried < endpoints_.size() && clock_.now() < deadline; ++tried) {
            const auto endpoint = endpoints_.current();
            const Instant end_of_share = clock_.now() + a_share;
            const Outcome outcome = co_await try_member(endpoint, call, accept, std::min(deadline, end_of_share));
            cut_short = end_of_share > deadline && clock_.now() >= deadline;
            if (outcome) co_return Result<>{};
            const Verdict& verdict = outcome.error();
            const Error& error = verdict.error;
            if (error.code == Errc::lease_gone)  // an answer like any other: the member is well
                co_return fail(error.code,
                               fmt::format("etcd at {} did not serve {}: {}", endpoint->name, call.what, error.text));
            leave(endpoint, error, cut_short);
            round.emplace_back(endpoint->name, error);
            lasting = lasting && verdict.lasting;
            if (verdict.next == Verdict::Next::give_up)
                co_return std::unexpected(nobody_could(call.what, {round.back()}));
        }
        // "No answer before the deadline", of a member that had less than its share of the time, says less than what it
        // answered in the round before.
        if (refusals.empty() || !cut_short) refusals = std::move(round);
        const Instant next_round = clock_.now() + pause_between_rounds;
        if (lasting || next_round >= deadline) co_return std::unexpected(nobody_could(call.what, refusals));
        co_await clock_.sleep_until(next_round);
    }
}

Task<Result<std::shared_ptr<Endpoint>>> Gateway::ready(Deadline deadline) {
    std::vector<std::pair<std::string, Error>> refusals;
    const Duration a_share = share(deadline);
    for (std::size_t tried = 0; tried < endpoints_.size() && clock_.now() < deadline; ++tried) {
        const auto endpoint = endpoints_.current();
        const Outcome outcome = co_await greet(endpoint, std::min(deadline, clock_.now() + a_share));
        if (outcome) co_return endpoint;
        leave(endpoint, outcome.error().error);
        refusals.emplace_back(endpoint->name, outcome.error().error);
    }
    co_return std::unexpected(nobody_could("a watch", refusals));
}

}  // namespace pgkeel::etcd
