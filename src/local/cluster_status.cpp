#include "local/cluster.hpp"
#include "local/process_id.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::local {

namespace {
namespace json = boost::json;
using namespace std::chrono_literals;

/// A member of an object as text, whatever its type; empty when it is not there.
std::string text_of(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || value->is_null()) return {};
    return value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
}

/// Puts what one agent's /cluster says into the rows.
void fill(std::vector<NodeStatus>& nodes, const std::string& body) {
    boost::system::error_code not_json;
    const json::value answer = json::parse(body, not_json);
    const json::object* object = answer.if_object();
    const json::value* members = object == nullptr ? nullptr : object->if_contains("members");
    if (members == nullptr || !members->is_array()) return;
    for (const json::value& value : members->get_array()) {
        const json::object* member = value.if_object();
        if (member == nullptr) continue;
        const auto node = std::ranges::find(nodes, text_of(*member, "name"), &NodeStatus::name);
        if (node == nodes.end()) continue;
        node->role = text_of(*member, "role");
        node->state = text_of(*member, "state");
        node->timeline = text_of(*member, "timeline");
        node->lag = text_of(*member, "lag");
    }
}
}  // namespace

bool ClusterStatus::has_leader() const {
    return std::ranges::any_of(nodes,
                               [](const NodeStatus& node) { return node.role == "leader" && node.state == "running"; });
}

int ClusterStatus::streaming_replicas() const {
    // Patroni before 3.1 calls a streaming replica "running".
    return static_cast<int>(std::ranges::count_if(nodes, [](const NodeStatus& node) {
        return !node.role.empty() && node.role != "leader" && (node.state == "streaming" || node.state == "running");
    }));
}

Task<ClusterStatus> Cluster::status(Clock& clock) {
    ClusterStatus status;
    for (const EtcdPlan& member : plan_.etcd)
        if (running(layout_.pid_file(member.name))) ++status.etcd_running;
    for (const NodePlan& node : plan_.nodes) {
        NodeStatus row;
        row.name = node.name;
        row.agent_runs = running(layout_.pid_file(node.name)).has_value();
        row.postgres_runs = running_postmaster(layout_.data(node.name)).has_value();
        row.address = fmt::format("127.0.0.1:{}", node.postgres_port);
        status.nodes.push_back(std::move(row));
    }
    status.proxy_runs = running(layout_.pid_file(Layout::proxy_name)).has_value();
    status.proxy = plan_.proxy;
    // All agents tell the same, from etcd: the first that answers is enough.
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
        if (!status.nodes[i].agent_runs) continue;
        http::Url where{
            .tls = true, .host = "127.0.0.1", .port = std::to_string(plan_.nodes[i].rest_port), .target = "/cluster"};
        http::Request question;
        question.target = where.target;
        const auto answer = co_await rest_.request(where, question, clock.now() + 1s);
        if (!answer || answer->status != 200) continue;
        fill(status.nodes, answer->body);
        break;
    }
    co_return status;
}

}  // namespace pgkeel::local
