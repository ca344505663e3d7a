#pragma once
#include "async/clock.hpp"
#include "async/event.hpp"
#include "etcd/codec.hpp"
#include "etcd/endpoints.hpp"
#include "etcd/identity.hpp"
#include "etcd/verdict.hpp"
#include "http/client.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace pgkeel::etcd {

struct GatewayOptions {
    std::vector<std::string> endpoints{};  ///< http(s)://host:port
    std::string username{};                ///< empty: no login
    std::string password{};
    http::ClientTls tls{};
    bool use_proxies = false;  ///< stay with the endpoints given
    /// Between two looks at etcd's member list. Members that are replaced faster, one after the other, leave us with
    /// addresses at which nobody is any more. (Patroni takes 10 * ttl.)
    std::chrono::seconds refresh_interval{10};
    std::chrono::milliseconds watch_idle_max{10000};  ///< a silent watch is opened again, perhaps at another member
};

/// Makes one request to whichever member of etcd can serve it.
///
/// A member gets a share of the time, so that a hung one costs one share: a repeatable request then goes to the next
/// member, and a write ends as `maybe_done`. A member must show that it belongs to the etcd spoken to before when it is
/// first used and after every failure, and every answer is measured again (identity.hpp): should another etcd take over
/// the address between two requests, its first answer is not believed, and a write is `maybe_done`.
class Gateway {
  public:
    Gateway(Clock& clock, GatewayOptions options, Endpoints endpoints);

    struct Call {
        const char* what;  ///< for messages: "a range"
        const char* path;  ///< after the API prefix: "/kv/range"
        std::string body;
        bool linearizable;  ///< the answer's revision is the cluster's
        bool repeatable;    ///< doing it twice does no harm
    };
    /// Takes the answer apart; what it keeps must live as long as the request.
    using Accept = std::function<Result<Header>(std::string_view body)>;
    Task<Result<>> ask(Call call, Accept accept, Deadline deadline);

    /// Makes sure that the current member is ours, and that there is a token. What a watch needs before it opens its
    /// stream.
    Task<Result<std::shared_ptr<Endpoint>>> ready(Deadline deadline);
    /// A request for `endpoint` with token and the demand that its member sees a leader.
    http::Request make_request(const Endpoint& endpoint, const char* path, std::string body) const;
    std::shared_ptr<http::Client> client() const { return client_; }

    Identity& identity() { return identity_; }
    /// \param cut_short  the member had less than its share of the time: what was said of it before says more
    void leave(const std::shared_ptr<Endpoint>& endpoint, const Error& why, bool cut_short = false);
    /// The next request begins with a new login.
    void drop_token() { token_.clear(); }

    /// Called with an endpoint when it has been left, until the subscription is dropped.
    using OnLeave = std::function<void(const Endpoint&)>;
    [[nodiscard]] std::shared_ptr<void> when_left(OnLeave on_leave);

    Clock& clock() { return clock_; }
    const GatewayOptions& options() const { return options_; }
    const Endpoints& endpoints() const { return endpoints_; }
    void replace(GatewayOptions options, Endpoints endpoints);

  private:
    /// Done, or what to make of the failure.
    using Outcome = std::expected<void, Verdict>;

    Task<Result<http::Response>> send(std::shared_ptr<Endpoint> endpoint, const char* path, std::string body,
                                      bool repeatable, Deadline deadline);
    Task<Outcome> greet(std::shared_ptr<Endpoint> endpoint, Deadline deadline);
    Task<Outcome> learn_version(std::shared_ptr<Endpoint> endpoint, Deadline deadline);
    Task<Outcome> learn_members(std::shared_ptr<Endpoint> endpoint, Deadline deadline);
    bool wants_token() const { return !options_.username.empty() && !login_is_off_ && token_.empty(); }
    Task<Outcome> log_in(std::shared_ptr<Endpoint> endpoint, Deadline deadline);
    Task<Outcome> authenticate(std::shared_ptr<Endpoint> endpoint, Deadline deadline);
    Task<Outcome> try_member(std::shared_ptr<Endpoint> endpoint, const Call& call, const Accept& accept,
                             Deadline deadline);
    Error denied(std::string_view reason) const;
    Duration share(Deadline deadline) const;

    Clock& clock_;
    GatewayOptions options_;
    Endpoints endpoints_;
    std::shared_ptr<http::Client> client_;
    Identity identity_;
    std::vector<std::string> members_;  ///< addresses that etcd told last
    std::string token_;
    std::size_t unanswered_ = 0;  ///< requests with a token since one was last answered
    bool login_is_off_ = false;   ///< etcd has said that it wants none
    std::list<std::weak_ptr<OnLeave>> listeners_;
};

}  // namespace pgkeel::etcd
