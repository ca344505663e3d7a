#pragma once
#include "agent/credentials_keeper.hpp"
#include "agent/local_fences.hpp"
#include "agent/local_storage.hpp"
#include "agent/node.hpp"
#include "agent/rest/api.hpp"
#include "agent/script_runner.hpp"
#include "async/event.hpp"
#include "async/workers.hpp"
#include "cluster/peer_client.hpp"
#include "config/agent_config.hpp"
#include "etcd/gateway_store.hpp"
#include "http/server.hpp"
#include "postgres/local_server.hpp"

#include <memory>
#include <string>

namespace pgkeel::agent {

/// The real parts of an agent, put together from its configuration.
class Assembly {
  public:
    /// Errors: invalid_input, not_found — a program of PostgreSQL is missing.
    static Result<std::unique_ptr<Assembly>> create(asio::any_io_executor executor, config::AgentConfig config,
                                                    std::string source, config::Environment environment);

    /// Waits for etcd, refuses a second agent of this name, opens the REST API. Errors: cancelled — shut_down came
    /// first.
    Task<Result<>> prepare();
    /// SIGHUP: reads the file again; what is wrong in it is said, and the old one stays.
    void reload();
    /// SIGTERM: stops the node in order, or the wait for etcd before it.
    void shut_down();
    Node& node() { return *node_; }
    /// Gives the callbacks of the end a moment.
    Task<> finish();

  private:
    Assembly(asio::any_io_executor executor, config::AgentConfig config, std::string source,
             config::Environment environment);
    void make_node();
    Task<Result<>> wait_for_etcd();
    Task<Result<>> refuse_second_agent();

    asio::any_io_executor executor_;
    config::AgentConfig config_;
    std::string source_;
    config::Environment environment_;
    BoottimeClock clock_;
    Workers workers_;
    std::unique_ptr<etcd::GatewayStore> store_;
    cluster::HttpPeers peers_;
    ScriptRunner scripts_;
    postgres::LocalServer server_;
    CredentialsKeeper credentials_;
    LocalFences fences_;
    LocalStorage storage_;
    std::unique_ptr<Node> node_;
    std::unique_ptr<rest::RestApi> rest_;
    std::unique_ptr<http::Server> listener_;
    bool stopping_ = false;
    Event stop_asked_;
};

}  // namespace pgkeel::agent
