#include "cluster/admin.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>

namespace pgkeel::cluster {

namespace {
const std::string& first_of(const std::string& preferred, const std::string& other) {
    return preferred.empty() ? other : preferred;
}
}  // namespace

ApiAccess api_access(const config::AgentConfig& config) {
    ApiAccess access;
    access.tls.verify = !config.ctl.insecure;
    access.tls.ca_file = first_of(config.ctl.tls.ca_file, config.restapi.tls.ca_file);
    // Certificate and key belong together: never one from each section.
    const config::TlsFiles& identity = config.ctl.tls.certificate_file.empty() ? config.restapi.tls : config.ctl.tls;
    access.tls.certificate_file = identity.certificate_file;
    access.tls.key_file = identity.key_file;
    access.tls.key_password = identity.key_password;
    access.authentication =
        config.ctl.authentication.empty() ? config.restapi.authentication : config.ctl.authentication;
    return access;
}

Admin::Admin(etcd::Store& store, Keys keys, ApiAccess access)
    : store_(store), keys_(std::move(keys)), access_(std::move(access)), client_(access_.tls) {}

Task<Result<ClusterView>> Admin::view_or_empty(Deadline deadline) {
    auto range = co_await store_.range(keys_.prefix, deadline);
    if (!range) co_return fail(fmt::format("reading {} from etcd", keys_.prefix), range.error());
    co_return parse_view(keys_, range->values, range->revision);
}

Task<Result<ClusterView>> Admin::view(Deadline deadline) {
    auto view = co_await view_or_empty(deadline);
    if (!view) co_return view;
    if (view->members.empty() && !view->initialize && !view->config && !view->leader)
        co_return fail(Errc::not_found, fmt::format("etcd holds no cluster below {}", keys_.prefix),
                       "is the cluster's name (scope) right, and has its first agent been started?");
    co_return view;
}

Task<Result<std::vector<LostWalReport>>> Admin::lost_wal(Deadline deadline) {
    auto range = co_await store_.range(keys_.lost_wal(), deadline);
    if (!range) co_return fail(fmt::format("reading {} from etcd", keys_.lost_wal()), range.error());
    co_return read_lost_wal(keys_, range->values);
}

Task<Result<http::Response>> Admin::call(Member member, std::string method, std::string path, std::string body,
                                         Deadline deadline) {
    if (member.api_url.empty())
        co_return fail(Errc::not_found, fmt::format("member {} publishes no api_url", member.name));
    auto url = http::parse_url(member.api_url);
    if (!url) co_return fail(fmt::format("api_url of member {}", member.name), url.error());
    url->target = path;
    http::Request request;
    request.method = std::move(method);
    request.target = std::move(path);
    request.body = std::move(body);
    if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    if (!access_.authentication.empty())
        request.headers.emplace_back("Authorization", http::basic_authorization(access_.authentication.username,
                                                                                access_.authentication.password));
    auto response = co_await client_.request(*url, std::move(request), deadline);
    if (!response) co_return fail(fmt::format("asking member {}", member.name), response.error());
    co_return response;
}

Task<Result<>> Admin::put_request(FailoverRequest request, Deadline deadline) {
    etcd::Transaction write;
    write.success.push_back(etcd::Operation::put(keys_.failover(), write_failover(request)));
    auto done = co_await store_.commit(std::move(write), deadline);
    if (!done) co_return fail(fmt::format("writing {}", keys_.failover()), done.error());
    co_return Result<>{};
}

Task<Result<>> Admin::put_config(std::string json, etcd::Revision mod_revision, Deadline deadline) {
    etcd::Transaction write;
    write.compare.push_back(etcd::Compare::unchanged(keys_.config(), mod_revision));
    write.success.push_back(etcd::Operation::put(keys_.config(), std::move(json)));
    auto done = co_await store_.commit(std::move(write), deadline);
    if (!done) co_return fail(fmt::format("writing {}", keys_.config()), done.error());
    if (!done->succeeded)
        co_return fail(Errc::conflict, fmt::format("{} was changed by somebody else meanwhile", keys_.config()));
    co_return Result<>{};
}

Task<Result<>> Admin::remove_all(Deadline deadline) {
    etcd::Transaction write;
    write.success.push_back(etcd::Operation::remove_all(keys_.prefix));
    auto done = co_await store_.commit(std::move(write), deadline);
    if (!done) co_return fail(fmt::format("removing {}", keys_.prefix), done.error());
    co_return Result<>{};
}

Task<Error> Admin::watch(etcd::Revision from, etcd::Store::OnEvents on_events) {
    return store_.watch(keys_.prefix, from, std::move(on_events));
}

std::vector<Member> leader_first(const ClusterView& view) {
    std::vector<Member> members;
    for (const Member& member : view.members) {
        if (member.api_url.empty()) continue;
        const bool leads = view.leader && view.leader->name == member.name;
        members.insert(leads ? members.begin() : members.end(), member);
    }
    return members;
}

boost::json::object dynamic_config(const ClusterView& view) {
    if (!view.config) return {};
    boost::system::error_code problem;
    auto value = boost::json::parse(*view.config, problem);
    if (problem || !value.is_object()) return {};
    return std::move(value.get_object());
}

}  // namespace pgkeel::cluster
