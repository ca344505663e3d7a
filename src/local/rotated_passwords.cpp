#include "local/rotated_passwords.hpp"

#include "config/credentials.hpp"
#include "local/files.hpp"
#include "local/generated_files.hpp"
#include "local/preflight.hpp"
#include "local/prepare.hpp"
#include "local/process_id.hpp"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>

namespace pgkeel::local {

namespace {

/// An `up` that brings a node back has the lock until the node serves.
constexpr std::chrono::seconds patience_with_up{15};

/// Of the agents that have new passwords in force, the one that has changed last, as it starts: the others only lag
/// behind.
std::optional<config::AgentConfig> newest(const Plan& plan, const Layout& layout) {
    std::optional<config::AgentConfig> found;
    std::filesystem::file_time_type changed;
    for (const NodePlan& node : plan.nodes) {
        const std::string file = layout.agent_config(node.name);
        const std::string path = config::credentials_path(file, {});
        std::error_code problem;
        const auto at = std::filesystem::last_write_time(path, problem);
        if (problem || (found && at <= changed)) continue;
        const auto rotated = config::load_credentials(path);
        if (!rotated || (rotated->under_way() && !rotated->switched)) continue;
        auto agent = config::load_agent_config(file, {});
        if (!agent) continue;
        found = std::move(*agent);
        changed = at;
    }
    return found;
}

}  // namespace

bool adopt_rotated(Plan& plan, const Layout& layout) {
    const auto agent = newest(plan, layout);
    if (!agent) return false;
    bool changed = false;
    for (const auto& [user, password] :
         {std::pair<const config::PgUser&, std::string&>{agent->postgresql.superuser, plan.passwords.superuser},
          {agent->postgresql.replication, plan.passwords.replication},
          {agent->postgresql.rewind, plan.passwords.rewind}}) {
        if (user.password.empty() || user.password == password) continue;
        password = user.password;
        changed = true;
    }
    return changed;
}

Result<> follow_rotation(const Layout& layout) {
    const auto owner = owner_of(layout.directory);
    if (!owner) return std::unexpected(owner.error());
    if (auto became = become(*owner); !became) return became;
    const auto lock = DirectoryLock::take(layout.directory, patience_with_up);
    if (!lock) return std::unexpected(lock.error());
    auto plan = load_plan(layout);
    if (!plan) return std::unexpected(plan.error());
    if (adopt_rotated(*plan, layout))
        if (auto saved = save_plan(layout, *plan); !saved) return saved;
    if (auto written = write_login_files(*plan, layout); !written) return written;
    if (const auto proxy = running(layout.pid_file(Layout::proxy_name)))
        if (auto told = send_signal(*proxy, SIGHUP); !told) return std::unexpected(told.error());
    return {};
}

}  // namespace pgkeel::local
