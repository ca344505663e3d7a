#include "cli/session.hpp"

#include "cli/event_loop.hpp"
#include "cli/find_config.hpp"
#include "etcd/gateway_store.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace pgkeel::cli {

namespace {
etcd::GatewayOptions store_options(const config::AgentConfig& config) {
    etcd::GatewayOptions options;
    options.endpoints = config.etcd.endpoints;
    options.username = config.etcd.authentication.username;
    options.password = config.etcd.authentication.password;
    options.tls.ca_file = config.etcd.tls.ca_file;
    options.tls.certificate_file = config.etcd.tls.certificate_file;
    options.tls.key_file = config.etcd.tls.key_file;
    options.tls.key_password = config.etcd.tls.key_password;
    options.use_proxies = config.etcd.use_proxies;
    return options;
}
}  // namespace

Session::Session(Clock& the_clock, config::AgentConfig config, std::unique_ptr<etcd::Store> store)
    : clock(the_clock), config_(std::move(config)), store_(std::move(store)) {
    use_scope(config_.scope);
}

Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::open(Clock& clock, const ClusterTarget& target) {
    auto config = find_config(target.choice, config::process_environment());
    if (!config) return std::unexpected(config.error());
    if (target.insecure) config->ctl.insecure = true;
    auto store = etcd::GatewayStore::create(clock, store_options(*config));
    if (!store) return std::unexpected(store.error());
    return std::unique_ptr<Session>(new Session(clock, std::move(*config), std::move(*store)));
}

void Session::use_scope(const std::string& scope) {
    config_.scope = scope;
    admin_ = std::make_unique<cluster::Admin>(*store_, cluster::Keys{config_.prefix()}, cluster::api_access(config_));
}

Deadline Session::soon() const {
    return clock.now() + std::chrono::seconds(10);
}

Task<Result<ClusterView>> Session::view() {
    co_return co_await admin_->view(soon());
}

Task<Result<ClusterView>> Session::view_of(std::vector<std::string>& words) {
    if (words.empty()) co_return co_await view();
    if (words.front() == scope() || scope().empty()) {
        use_scope(words.front());
        words.erase(words.begin());
        co_return co_await view();
    }
    auto here = co_await admin_->view_or_empty(soon());
    if (!here) co_return here;
    if (here->member(words.front()) != nullptr) co_return here;
    const std::string own_scope = scope();
    use_scope(words.front());
    auto other = co_await view();
    if (other) {
        words.erase(words.begin());
        co_return other;
    }
    use_scope(own_scope);
    // A user of one cluster alone (`pgkeel up` makes such a one) is denied the look at any other name.
    if (other.error().code != Errc::not_found && other.error().code != Errc::denied) co_return other;
    co_return fail(
        Errc::not_found,
        fmt::format("'{}' is neither a member of cluster {} nor a cluster that etcd shows", words.front(), own_scope),
        fmt::format("`pgkeel list` shows the members of {}", own_scope));
}

CLI::App* add_cluster_command(CLI::App& app, const std::string& name, const std::string& description,
                              const std::string& example, ClusterTarget& target) {
    CLI::App* command = app.add_subcommand(name, description);
    command->footer("Example:\n  " + example);
    add_cluster_options(*command, target.choice);
    command->add_flag("-k,--insecure", target.insecure, "take any certificate of the members' REST API");
    return command;
}

void take_common_options(const CLI::App& command, ClusterTarget& target) {
    if (!target.choice.config_file.empty() || !target.choice.directory.empty()) return;
    const CLI::Option* common = command.get_parent()->get_option_no_throw("--config-file");
    if (common != nullptr && common->count() > 0) target.choice.config_file = common->as<std::string>();
}

void add_force_option(CLI::App& command, bool& force) {
    command.add_flag("--force,--yes", force, "do it without asking");
}

void add_format_option(CLI::App& command, std::string& format) {
    command.add_option("-f,--format", format, "table (or pretty), tsv, json, yaml")->capture_default_str();
}

namespace {
/// A coroutine of its own, so that what it works on lives in its frame.
Task<int> session_task(Clock& clock, const ClusterTarget& target, std::function<Task<Result<int>>(Session&)> work) {
    auto session = Session::open(clock, target);
    if (!session) co_return report(session.error());
    auto status = co_await work(**session);
    co_return status ? *status : report(status.error());
}
}  // namespace

int run_session(const ClusterTarget& target, std::function<Task<Result<int>>(Session&)> work) {
    return run_task([&](Clock& clock) { return session_task(clock, target, std::move(work)); });
}

}  // namespace pgkeel::cli
