#pragma once
#include "agent/credentials_keeper.hpp"
#include "agent/node.hpp"
#include "agent/rest/access.hpp"
#include "agent/rest/facts.hpp"
#include "agent/rest/fresh_server.hpp"
#include "agent/rest/metrics.hpp"
#include "agent/rest/requests.hpp"
#include "config/agent_config.hpp"
#include "http/message.hpp"

#include <functional>
#include <map>

namespace pgkeel::agent::rest {

/// The node's REST API: Patroni's, so that its tools, load balancers and monitoring go on as they are. It shows the
/// node and hands on what operators ask for; it decides nothing about who leads.
class RestApi {
  public:
    struct Parts {
        Node& node;
        postgres::Server& server;
        Clock& clock;
        etcd::Store& store;
        cluster::Peers& peers;
        std::function<void()> reload;              ///< read the file again
        CredentialsKeeper* credentials = nullptr;  ///< null: this agent's passwords cannot be changed
    };
    RestApi(Parts parts, const config::AgentConfig& config);

    /// Takes new access rules; requests under way keep theirs.
    void use(const config::AgentConfig& config);

    /// Answers one request. Nothing that a request holds makes it throw.
    Task<http::Response> handle(http::Request request);

  private:
    Task<http::Response> route(http::Request request);
    /// Nothing: no such page, so the path is one of the health checks.
    Task<std::optional<http::Response>> show(http::Request request, std::string page_name);
    /// The last decisions, and who could take over now: for that the other members are asked.
    Task<http::Response> show_decisions();
    /// What failovers have cost, as etcd has it.
    Task<http::Response> show_lost_wal();
    /// What runs here, and what would run after a restart.
    Task<http::Response> show_versions();
    Task<http::Response> show_cluster(bool history);
    Task<http::Response> show_config();
    Task<http::Response> show_failsafe();
    Task<std::optional<http::Response>> act(http::Request request, std::string name);

    // One function for each action, in actions_*.cpp.
    Task<http::Response> patch_config(http::Request request);
    Task<http::Response> put_config(http::Request request);
    http::Response reload();
    Task<http::Response> restart(http::Request request);
    http::Response cancel_restart();
    http::Response reinitialize(http::Request request);
    Task<http::Response> handle_credentials(http::Request request);
    Task<http::Response> change_credentials(boost::json::object body, std::string action, std::string rotation);
    http::Response accept_failsafe(const http::Request& request);
    Task<http::Response> hand_over(http::Request request, bool is_switchover);
    Task<http::Response> await_outcome(HandoverAsked asked, std::string leader_before, std::chrono::seconds patience);
    Task<http::Response> cancel_switchover();

    Task<NodeFacts> facts(Duration age_max);
    /// The cluster as etcd has it now, not as the loop last read it.
    Task<Result<ClusterView>> read_cluster();
    /// Writes one key; `unchanged_since`: only if its revision is still this one. False: it is not. When the answer is
    /// lost, the key is read back.
    Task<Result<bool>> write_key(std::string key, std::string value, std::optional<std::int64_t> unchanged_since);
    Task<std::vector<PeerStatus>> ask(std::vector<Member> members);

    Parts parts_;
    Access access_;
    FreshServer fresh_;
    RequestCounts counts_;
    bool credentials_busy_ = false;
    std::map<std::string, PeerStatus> peer_answers_;  ///< as of the last `show_decisions`
};

}  // namespace pgkeel::agent::rest
