#include "local/etcd_server.hpp"

#include "async/spawn.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

namespace pgkeel::local {

namespace {
namespace json = boost::json;
using namespace std::chrono_literals;

std::string url(int port) {
    return fmt::format("https://127.0.0.1:{}", port);
}

std::string base64(std::string_view text) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string encoded;
    for (std::size_t i = 0; i < text.size(); i += 3) {
        std::uint32_t group = 0;
        const std::size_t bytes = std::min<std::size_t>(3, text.size() - i);
        for (std::size_t j = 0; j < 3; ++j)
            group = (group << 8U) | (j < bytes ? static_cast<unsigned char>(text[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j) encoded += j <= bytes ? digits[(group >> (18 - 6 * j)) & 63U] : '=';
    }
    return encoded;
}

std::string text_of(const json::value& object, const char* key) {
    const json::value* value = object.is_object() ? object.get_object().if_contains(key) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

http::ClientTls tls_of(const Layout& layout) {
    http::ClientTls tls;
    tls.ca_file = layout.authority();
    return tls;
}
}  // namespace

Command etcd_command(const Plan& plan, const Layout& layout, const EtcdPlan& member, const std::string& program) {
    std::string cluster;
    for (const EtcdPlan& each : plan.etcd)
        cluster += fmt::format("{}{}={}", cluster.empty() ? "" : ",", each.name, url(each.peer_port));
    Command command;
    // The members are neighbours. An election has to fit between a renewal and the end of the lease of 5 s, or each of
    // etcd's own would demote the primary; with the default of 1000 ms it takes 1 to 2 s.
    command.arguments = {program,
                         "--name=" + member.name,
                         "--data-dir=" + layout.data(member.name),
                         "--listen-client-urls=" + url(member.client_port),
                         "--advertise-client-urls=" + url(member.client_port),
                         "--listen-peer-urls=" + url(member.peer_port),
                         "--initial-advertise-peer-urls=" + url(member.peer_port),
                         "--initial-cluster=" + cluster,
                         "--initial-cluster-token=" + plan.etcd_token,
                         "--cert-file=" + layout.certificate(member.name),
                         "--key-file=" + layout.key(member.name),
                         "--peer-cert-file=" + layout.certificate(member.name),
                         "--peer-key-file=" + layout.key(member.name),
                         "--peer-trusted-ca-file=" + layout.authority(),
                         "--peer-client-cert-auth=true",
                         "--heartbeat-interval=50",
                         "--election-timeout=500",
                         "--auto-compaction-mode=periodic",
                         "--auto-compaction-retention=1h",
                         "--logger=zap",
                         "--log-outputs=stderr"};
    command.without_environment_prefixes = {"ETCD_"};  // etcd takes every flag from there too
    command.directory = layout.node(member.name);
    command.output_file = layout.etcd_log(member.name);
    command.new_session = true;
    return command;
}

EtcdAdmin::EtcdAdmin(const Plan& plan, const Layout& layout) : plan_(plan), client_(tls_of(layout)) {}

Task<int> EtcdAdmin::healthy_members(Clock& clock) {
    int healthy = 0;
    for (const EtcdPlan& member : plan_.etcd) {
        const http::Url where{
            .tls = true, .host = "127.0.0.1", .port = std::to_string(member.client_port), .target = "/health"};
        http::Request question;
        question.target = where.target;
        const auto answer = co_await client_.request(where, question, clock.now() + 1s);
        if (answer && answer->status == 200 && answer->body.find("\"true\"") != std::string::npos) ++healthy;
    }
    co_return healthy;
}

Task<Result<EtcdAdmin::Answer>> EtcdAdmin::call(std::string path, std::string body, std::string token,
                                                Deadline deadline) {
    http::Request request;
    request.method = "POST";
    request.target = path;
    request.body = body;
    request.headers.emplace_back("Content-Type", "application/json");
    if (!token.empty()) request.headers.emplace_back("Authorization", token);
    std::string reason = "it has no members";
    for (const EtcdPlan& member : plan_.etcd) {
        const http::Url where{
            .tls = true, .host = "127.0.0.1", .port = std::to_string(member.client_port), .target = path};
        const auto response = co_await client_.request(where, request, deadline);
        if (!response) {
            reason = response.error().text;
            continue;
        }
        boost::system::error_code not_json;
        const json::value value = json::parse(response->body, not_json);
        Answer answer{response->status == 200, text_of(value, "error"), text_of(value, "token")};
        if (!answer.ok && answer.error.empty()) answer.error = fmt::format("HTTP status {}", response->status);
        co_return answer;
    }
    co_return fail(Errc::unavailable, fmt::format("no member of etcd answers: {}", reason));
}

Task<Result<>> EtcdAdmin::secure(Clock&, Deadline deadline) {
    const auto login = [](const char* user, const std::string& password) {
        return json::serialize(json::object{{"name", user}, {"password", password}});
    };
    // The last step of all is to turn authentication on, so whoever gets in with our password finds everything done.
    const auto known = co_await call("/v3/auth/authenticate", login("pgkeel", plan_.passwords.etcd), {}, deadline);
    if (!known) co_return std::unexpected(known.error());
    if (known->ok) co_return Result<>();
    if (known->error.find("authentication is not enabled") == std::string::npos)
        co_return fail(Errc::denied,
                       fmt::format("etcd does not accept the password of its user pgkeel: {}", known->error),
                       "its data do not belong to this cluster.json: start anew with `pgkeel down --purge`");

    const std::string prefix = "/service/" + plan_.scope + "/";
    std::string end = prefix;
    ++end.back();  // etcd's way to say "every key that begins so"
    const json::object permission{{"permType", "READWRITE"}, {"key", base64(prefix)}, {"range_end", base64(end)}};
    const auto grant = [](const char* user, const char* role) {
        return json::serialize(json::object{{"user", user}, {"role", role}});
    };
    const std::vector<std::pair<std::string, std::string>> steps{
        {"user/add", login("root", plan_.passwords.etcd_root)},
        {"user/changepw", login("root", plan_.passwords.etcd_root)},
        {"role/add", json::serialize(json::object{{"name", "root"}})},
        {"user/grant", grant("root", "root")},
        {"user/add", login("pgkeel", plan_.passwords.etcd)},
        {"user/changepw", login("pgkeel", plan_.passwords.etcd)},
        {"role/add", json::serialize(json::object{{"name", "pgkeel"}})},
        {"role/grant", json::serialize(json::object{{"name", "pgkeel"}, {"perm", permission}})},
        {"user/grant", grant("pgkeel", "pgkeel")},
        {"enable", "{}"}};
    for (const auto& [step, body] : steps) {
        const auto answer = co_await call("/v3/auth/" + step, body, {}, deadline);
        if (!answer) co_return std::unexpected(answer.error());
        if (!answer->ok && answer->error.find("already exists") == std::string::npos)
            co_return fail(Errc::unavailable, fmt::format("etcd refuses auth/{}: {}", step, answer->error));
    }
    co_return Result<>();
}

}  // namespace pgkeel::local
