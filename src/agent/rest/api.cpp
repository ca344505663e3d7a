#include "agent/rest/api.hpp"

#include "agent/rest/answers.hpp"
#include "agent/rest/cluster.hpp"
#include "agent/rest/health.hpp"
#include "agent/rest/status.hpp"
#include "async/spawn.hpp"
#include "base/version.hpp"
#include "cluster/json_reading.hpp"
#include "cluster/lost_wal.hpp"
#include "config/dynamic_config.hpp"
#include "ha/election.hpp"
#include "log/log.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace pgkeel::agent::rest {

using namespace std::chrono_literals;

namespace {

/// A health check may be this old; an answer that an election or a release rests on, no older than this.
constexpr Duration health_age_max = 100ms;
constexpr Duration status_age_max = 10ms;
/// What a candidate may count as a vote: the last leader stopped longer before its lease could be taken.
constexpr Duration votes_age_max = 200ms;
/// What the others said, for people; strangers who ask again and again do not make this node ask them each time.
constexpr Duration succession_age_max = 1s;
/// PostgreSQL may hang; its answer is not waited for longer than a load balancer waits for ours.
constexpr Duration server_patience = 1s;
constexpr Duration store_patience = 5s;
/// The others' answers decide whether a request is accepted, as in Patroni.
constexpr Duration peer_patience = 2s;
constexpr Duration version_patience = 2s;  // of `postgres --version`

std::string first_segment(const std::string& path) {
    const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
    return path.substr(begin, path.find('/', begin) - begin);
}

/// What who asks regularly is content with (max_age_ms=1000): PostgreSQL need not be asked for each of them.
std::optional<Duration> wanted_age(const http::Request& request) {
    const std::string text = query_value(request.query(), "max_age_ms");
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return std::min<Duration>(std::chrono::milliseconds(value), 10s);
}

bool is_unsafe(const std::string& method) {
    return method == "PUT" || method == "PATCH" || method == "POST" || method == "DELETE";
}

}  // namespace

RestApi::RestApi(Parts parts, const config::AgentConfig& config)
    : parts_(std::move(parts)), access_(config.restapi), fresh_(parts_.server, parts_.clock) {}

void RestApi::use(const config::AgentConfig& config) {
    access_.use(config.restapi);
}

Task<http::Response> RestApi::handle(http::Request request) {
    const bool is_action = is_unsafe(request.method);
    std::string trouble;
    try {
        http::Response answer = co_await route(std::move(request));
        ++counts_.answered;
        if (is_action && (answer.status == 401 || answer.status == 403)) ++counts_.refused;
        if (is_action && answer.status >= 500) ++counts_.failed;
        co_return answer;
    } catch (const std::exception& error) {
        trouble = error.what();
    }
    ++counts_.failed;
    log::error("a request to the REST API could not be handled: {}", trouble);
    co_return page(500);
}

Task<http::Response> RestApi::route(http::Request request) {
    const std::string path = request.path();
    const std::string name = first_segment(path);
    if (request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS") {
        const bool only_status = request.method != "GET";
        if (!only_status)
            if (auto answer = co_await show(request, name)) co_return std::move(*answer);
        const NodeFacts seen = co_await facts(health_age_max);
        const int status = health_status(seen, path, request.query());
        co_return only_status ? bare(status) : json_answer(status, status_json(seen));
    }
    if (is_unsafe(request.method))
        if (auto answer = co_await act(request, name)) co_return std::move(*answer);
    co_return page(501, "this method is not supported here");
}

Task<std::optional<http::Response>> RestApi::show(http::Request request, std::string page_name) {
    if (page_name == "patroni")
        co_return json_answer(200, status_json(co_await facts(wanted_age(request).value_or(status_age_max))));
    if (page_name == "metrics") {
        const NodeFacts seen = co_await facts(health_age_max);
        http::Response answer = text_answer(200, metrics_text(seen, counts_));
        answer.content_type = "text/plain";
        co_return answer;
    }
    if (page_name == "liveness")
        co_return bare(parts_.node.last().settings.pause || parts_.node.is_alive() ? 200 : 503);
    if (page_name == "readiness") co_return bare(readiness_status(co_await facts(health_age_max), request.query()));
    if (page_name == "cluster") co_return co_await show_cluster(false);
    if (page_name == "history") co_return co_await show_cluster(true);
    if (page_name == "config") co_return co_await show_config();
    if (page_name == "failsafe") co_return co_await show_failsafe();
    if (page_name == "pgkeel") {
        if (request.path() == "/pgkeel/decisions") co_return co_await show_decisions();
        if (request.path() == "/pgkeel/versions") co_return co_await show_versions();
        if (request.path() == "/pgkeel/lost_wal") co_return co_await show_lost_wal();
        co_return page(404);
    }
    co_return std::nullopt;
}

Task<http::Response> RestApi::show_decisions() {
    // The loop asks the others only in an election, so in quiet times it knows nothing of them.
    ha::Snapshot seen = parts_.node.last();
    if (seen.view) {
        std::set<std::string> others;
        for (const Member& member : seen.view->members)
            if (member.name != seen.name) others.insert(member.name);
        std::erase_if(peer_answers_, [&](const auto& known) { return !others.contains(known.first); });
        seen.peers = peer_answers_;
        seen.now = parts_.clock.now();
        std::vector<Member> unknown;
        for (const std::string& name : ha::peers_to_ask(seen, others, succession_age_max))
            unknown.push_back(*seen.view->member(name));
        for (PeerStatus& answer : co_await ask(std::move(unknown))) {
            answer.seen = parts_.clock.now();
            peer_answers_[answer.name] = answer;
            seen.peers[answer.name] = std::move(answer);
        }
    }
    co_return json_answer(200, parts_.node.decisions(seen));
}

Task<http::Response> RestApi::show_lost_wal() {
    const cluster::Keys& keys = parts_.node.keys();
    const auto range = co_await parts_.store.range(keys.lost_wal(), parts_.clock.now() + store_patience);
    if (!range) co_return store_trouble("reading what was lost", range.error());
    co_return json_answer(200, cluster::lost_wal_json(cluster::read_lost_wal(keys, range->values)));
}

/// Not part of GET /patroni: elections ask for that, and must not wait for a file or a program.
Task<http::Response> RestApi::show_versions() {
    const int installed = co_await parts_.server.installed_version(parts_.clock.now() + version_patience);
    const ServerState server = (co_await facts(health_age_max)).server;
    const auto number = [](int version) { return version != 0 ? boost::json::value(version) : boost::json::value(); };
    const boost::json::object postgresql{{"running", number(server.accepts_connections ? server.version_number : 0)},
                                         {"installed", number(installed)}};
    co_return json_answer(200, boost::json::object{{"pgkeel", version()}, {"postgresql", postgresql}});
}

Task<http::Response> RestApi::show_cluster(bool history) {
    const auto view = co_await read_cluster();
    if (!view) co_return store_trouble("reading the cluster", view.error());
    if (history) co_return json_answer(200, history_json(*view));
    std::vector<std::string> warnings;
    const auto dynamic = cluster::read_object(view->config.value_or("{}"));
    const ClusterSettings settings = config::settings_of(dynamic.value_or(boost::json::object{}), false, warnings);
    co_return json_answer(200, cluster_json(*view, settings, parts_.node.identity().scope));
}

Task<http::Response> RestApi::show_config() {
    const auto view = co_await read_cluster();
    // Without etcd, what is in force is better than nothing.
    const std::string text = view ? view->config.value_or(std::string{}) : parts_.node.dynamic_config();
    const auto dynamic = cluster::read_object(text);
    co_return dynamic ? json_answer(200, *dynamic) : page(502, "there is no dynamic configuration");
}

Task<std::optional<http::Response>> RestApi::act(http::Request request, std::string name) {
    const std::string& method = request.method;
    const std::string what = method + " " + name;
    const bool known = what == "PATCH config" || what == "PUT config" || what == "POST reload" ||
                       what == "POST restart" || what == "DELETE restart" || what == "POST reinitialize" ||
                       what == "POST switchover" || what == "POST failover" || what == "DELETE switchover" ||
                       what == "POST failsafe" || (what == "POST pgkeel" && request.path() == "/pgkeel/credentials") ||
                       what == "POST mpp" || what == "POST citus" || what == "POST sigterm";
    if (!known) co_return std::nullopt;

    std::vector<std::string> hosts = api_hosts(parts_.node.known_members());
    auto refusal = co_await access_.refusal(parts_.clock, request, std::move(hosts), what != "POST failsafe");
    if (refusal) {
        log::warning("refused {} /{} from {}: {}", method, name, request.peer_address, refusal->body);
        co_return std::move(*refusal);
    }
    if (what == "PATCH config") co_return co_await patch_config(std::move(request));
    if (what == "PUT config") co_return co_await put_config(std::move(request));
    if (what == "POST reload") co_return reload();
    if (what == "POST restart") co_return co_await restart(std::move(request));
    if (what == "DELETE restart") co_return cancel_restart();
    if (what == "POST reinitialize") co_return reinitialize(std::move(request));
    if (what == "POST switchover") co_return co_await hand_over(std::move(request), true);
    if (what == "POST failover") co_return co_await hand_over(std::move(request), false);
    if (what == "DELETE switchover") co_return co_await cancel_switchover();
    if (what == "POST failsafe") co_return accept_failsafe(request);
    if (what == "POST pgkeel") co_return co_await handle_credentials(std::move(request));
    if (what == "POST sigterm") co_return text_answer(202, "shutdown scheduled");
    // Patroni's hook for sharded clusters: there is nothing to tell here.
    const auto body = read_body(request, false);
    co_return body ? text_answer(200, "OK") : body.error();
}

Task<NodeFacts> RestApi::facts(Duration age_max) {
    // For who is content with so much the loop's own look will do; it is no vote.
    if (age_max > votes_age_max && parts_.node.age_of_server() <= age_max) {
        NodeFacts seen = facts_of(parts_.node, parts_.node.last().server, parts_.clock.now());
        seen.position_known = false;
        co_return seen;
    }
    const auto state = co_await fresh_.look(age_max, server_patience);
    NodeFacts seen = facts_of(parts_.node, state.value_or(parts_.node.last().server), parts_.clock.now());
    seen.position_known = state && state->accepts_connections && !state->query_failed && state->knows_its_wal_end &&
                          fresh_.age() <= votes_age_max;
    co_return seen;
}

Task<Result<ClusterView>> RestApi::read_cluster() {
    const cluster::Keys& keys = parts_.node.keys();
    const auto range = co_await parts_.store.range(keys.prefix, parts_.clock.now() + store_patience);
    if (!range) co_return std::unexpected(range.error());
    co_return cluster::parse_view(keys, range->values, range->revision);
}

Task<Result<bool>> RestApi::write_key(std::string key, std::string value, std::optional<std::int64_t> unchanged_since) {
    etcd::Transaction transaction;
    if (unchanged_since) transaction.compare.push_back(etcd::Compare::unchanged(key, *unchanged_since));
    transaction.success.push_back(etcd::Operation::put(key, value));
    const auto done = co_await parts_.store.commit(std::move(transaction), parts_.clock.now() + store_patience);
    if (done) co_return done->succeeded;
    if (done.error().code != Errc::maybe_done) co_return std::unexpected(done.error());
    const auto now = co_await parts_.store.range(key, parts_.clock.now() + store_patience);
    if (!now) co_return std::unexpected(done.error());
    const auto found = std::ranges::find(now->values, key, &etcd::KeyValue::key);
    if (found != now->values.end() && found->value == value) co_return true;
    if (!unchanged_since || found == now->values.end() || found->mod_revision == *unchanged_since)
        co_return std::unexpected(done.error());
    co_return false;
}

namespace {
Task<> ask_one(cluster::Peers& peers, Member member, Deadline deadline, PeerStatus& answer) {
    answer = co_await peers.probe(std::move(member), deadline);
}
}  // namespace

Task<std::vector<PeerStatus>> RestApi::ask(std::vector<Member> members) {
    std::vector<PeerStatus> answers(members.size());
    std::vector<Task<>> questions;
    const Deadline deadline = parts_.clock.now() + peer_patience;
    for (std::size_t i = 0; i < members.size(); ++i)
        questions.push_back(ask_one(parts_.peers, members[i], deadline, answers[i]));
    co_await all_of(std::move(questions));
    for (std::size_t i = 0; i < members.size(); ++i) answers[i].name = members[i].name;
    co_return answers;
}

}  // namespace pgkeel::agent::rest
