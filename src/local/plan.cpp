#include "local/plan.hpp"

#include "local/files.hpp"
#include "local/ports.hpp"
#include "local/proxy_listeners.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace pgkeel::local {

namespace {
namespace json = boost::json;

constexpr int format_version = 1;

std::string node_name(std::size_t index) {
    return std::string("pg-") + static_cast<char>('a' + index);
}

Result<> check_count(int nodes) {
    if (nodes >= 1 && nodes <= nodes_max) return {};
    return fail(Errc::invalid_input, fmt::format("cannot make a cluster of {} nodes on one machine", nodes),
                fmt::format("choose 1 to {}", nodes_max));
}

/// The scope becomes part of etcd keys and of PostgreSQL's cluster_name.
Result<> check_scope(const std::string& scope) {
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    if (!scope.empty() && scope.size() <= 40 && std::ranges::all_of(scope, plain)) return {};
    return fail(Errc::invalid_input, fmt::format("cannot use '{}' as the name of a cluster", scope),
                "1 to 40 of a-z, 0-9, - and _");
}

json::value to_json(const Plan& plan) {
    json::array nodes;
    for (const NodePlan& node : plan.nodes)
        nodes.push_back({{"name", node.name}, {"postgres_port", node.postgres_port}, {"rest_port", node.rest_port}});
    json::array etcd;
    for (const EtcdPlan& member : plan.etcd)
        etcd.push_back({{"name", member.name}, {"client_port", member.client_port}, {"peer_port", member.peer_port}});
    json::object proxy;
    for (const ProxyPort& each : plan.proxy) proxy[each.listener] = each.port;
    const Passwords& secret = plan.passwords;
    return {{"version", format_version},
            {"scope", plan.scope},
            {"etcd_token", plan.etcd_token},
            {"nodes", nodes},
            {"etcd", etcd},
            {"proxy", proxy},
            {"passwords",
             {{"superuser", secret.superuser},
              {"replication", secret.replication},
              {"rewind", secret.rewind},
              {"rest", secret.rest},
              {"etcd_root", secret.etcd_root},
              {"etcd", secret.etcd}}}};
}

std::string text(const json::value& object, const char* key) {
    return std::string(object.at(key).as_string());
}
int number(const json::value& object, const char* key) {
    return object.at(key).to_number<int>();
}

Plan from_json(const json::value& value) {
    Plan plan;
    plan.scope = text(value, "scope");
    plan.etcd_token = text(value, "etcd_token");
    for (const json::value& node : value.at("nodes").as_array())
        plan.nodes.push_back({text(node, "name"), number(node, "postgres_port"), number(node, "rest_port")});
    for (const json::value& member : value.at("etcd").as_array())
        plan.etcd.push_back({text(member, "name"), number(member, "client_port"), number(member, "peer_port")});
    if (const json::value* proxy = value.as_object().if_contains("proxy"))
        for (const ProxyListener& listener : proxy_listeners)
            if (proxy->as_object().contains(listener.name))
                plan.proxy.push_back({listener.name, number(*proxy, listener.name)});
    const json::value& secret = value.at("passwords");
    plan.passwords = {text(secret, "superuser"), text(secret, "replication"), text(secret, "rewind"),
                      text(secret, "rest"),      text(secret, "etcd_root"),   text(secret, "etcd")};
    return plan;
}
}  // namespace

std::string random_secret() {
    std::array<unsigned char, 16> bytes{};
    // The kernel gives up to 256 bytes at once or none at all; without randomness there is nothing safe to go on with.
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
    std::string secret;
    for (const unsigned char byte : bytes) secret += fmt::format("{:02x}", byte);
    return secret;
}

std::vector<int> Plan::ports() const {
    std::vector<int> all;
    for (const EtcdPlan& member : etcd) all.insert(all.end(), {member.client_port, member.peer_port});
    for (const NodePlan& each : nodes) all.insert(all.end(), {each.postgres_port, each.rest_port});
    for (const ProxyPort& each : proxy) all.push_back(each.port);
    return all;
}

int Plan::proxy_port(const std::string& listener) const {
    const auto found = std::ranges::find(proxy, listener, &ProxyPort::listener);
    return found == proxy.end() ? 0 : found->port;
}

const NodePlan* Plan::node(const std::string& name) const {
    const auto found = std::ranges::find(nodes, name, &NodePlan::name);
    return found == nodes.end() ? nullptr : &*found;
}

Result<Plan> make_plan(const std::string& scope, int nodes) {
    if (auto good = check_scope(scope); !good) return std::unexpected(good.error());
    Plan plan;
    plan.scope = scope;
    plan.etcd_token = random_secret();
    plan.passwords = {random_secret(), random_secret(), random_secret(),
                      random_secret(), random_secret(), random_secret()};
    const auto ports = choose_ports(2UL * etcd_members);
    if (!ports) return std::unexpected(ports.error());
    for (std::size_t i = 0; i < etcd_members; ++i)
        plan.etcd.push_back({fmt::format("etcd-{}", i + 1), (*ports)[2 * i], (*ports)[2 * i + 1]});
    if (auto added = add_proxy(plan); !added) return std::unexpected(added.error());
    if (auto grown = grow(plan, nodes); !grown) return std::unexpected(grown.error());
    return plan;
}

Result<> grow(Plan& plan, int nodes) {
    if (auto good = check_count(nodes); !good) return good;
    const auto have = plan.nodes.size();
    const auto want = static_cast<std::size_t>(nodes);
    if (want < have)
        return fail(Errc::invalid_input, fmt::format("the cluster has {} nodes and does not shrink to {}", have, want),
                    fmt::format("leave -n away, or start anew with `pgkeel down --purge` and `pgkeel up -n {}`", want));
    const auto ports = choose_ports(2 * (want - have), plan.ports());
    if (!ports) return std::unexpected(ports.error());
    for (std::size_t i = have; i < want; ++i)
        plan.nodes.push_back({node_name(i), (*ports)[2 * (i - have)], (*ports)[2 * (i - have) + 1]});
    return {};
}

Result<> add_proxy(Plan& plan) {
    const auto ports = choose_ports(proxy_listeners.size(), plan.ports());
    if (!ports) return std::unexpected(ports.error());
    std::vector<ProxyPort> all;
    for (std::size_t i = 0; i < proxy_listeners.size(); ++i) {
        const int known = plan.proxy_port(proxy_listeners[i].name);
        all.push_back({proxy_listeners[i].name, known != 0 ? known : (*ports)[i]});
    }
    plan.proxy = std::move(all);
    return {};
}

Result<Plan> load_plan(const Layout& layout) {
    const auto content = read_file(layout.plan());
    if (!content && content.error().code == Errc::not_found)
        return fail(Errc::not_found, fmt::format("there is no local cluster in {}", layout.directory),
                    "make one with `pgkeel up`, or name its directory with --dir");
    if (!content) return std::unexpected(content.error());
    std::string reason;
    try {
        const json::value value = json::parse(*content);
        if (number(value, "version") == format_version) return from_json(value);
        reason = fmt::format("its format is {}, this pgkeel knows {}", number(value, "version"), format_version);
    } catch (const std::exception& error) {
        reason = error.what();
    }
    return fail(Errc::invalid_input, fmt::format("cannot read {}: {}", layout.plan(), reason),
                "it holds the ports and passwords of the cluster: restore it, or remove the directory to start anew");
}

Result<> save_plan(const Layout& layout, const Plan& plan) {
    return write_file(layout.plan(), json::serialize(to_json(plan)) + "\n", 0600);
}

}  // namespace pgkeel::local
