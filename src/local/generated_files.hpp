#pragma once
#include "base/result.hpp"
#include "local/plan.hpp"
#include "local/preflight.hpp"

#include <string>

// The files that make a plan into servers. They are written anew by every `up`, from the plan alone; only certificates
// and their keys are kept.

namespace pgkeel::local {

/// The text of one agent's YAML file, in Patroni's words.
std::string agent_file(const Plan& plan, const Layout& layout, const NodePlan& node, const Programs& programs);
/// The text of the proxy's YAML file: it follows the cluster in etcd. Every role of the database may log in: it asks
/// the primary for their secrets.
std::string proxy_file(const Plan& plan, const Layout& layout);
/// PgBouncer's userlist.txt: the superuser's password, with which the proxy asks for those of the others.
std::string proxy_users(const Plan& plan);
/// The name of a proxy's listener in the service file: NAME-proxy for the one of the primary, else NAME-proxy-LISTENER.
std::string proxy_service(const Plan& plan, const std::string& listener);
/// The text of DIR/pgkeel.yml: how commands (and patronictl) reach the cluster.
std::string client_file(const Plan& plan, const Layout& layout);
/// A libpq service file: the cluster's name leads to the primary, NAME-standby to a standby if there is one, a node's
/// name to it; and the proxy's listeners.
std::string service_file(const Plan& plan, const Layout& layout);
/// A libpq password file for every node and for the proxy.
std::string password_file(const Plan& plan);
/// A libpq URI over all nodes that leads to the primary. Holds no password: it names the password file.
std::string connection_uri(const Plan& plan, const Layout& layout);

/// Directories, certificates and the files above.
Result<> write_files(const Plan& plan, const Layout& layout, const Programs& programs);

/// Of these, the ones that hold passwords of PostgreSQL's roles, without the agents' own.
Result<> write_login_files(const Plan& plan, const Layout& layout);

}  // namespace pgkeel::local
