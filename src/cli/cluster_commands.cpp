#include "cli/cluster_commands.hpp"

#include "cli/commands.hpp"

#include <CLI/CLI.hpp>

namespace pgkeel::cli {

void add_cluster_commands(CLI::App& app, Context& context) {
    app.add_option("-c,--config-file", "an agent's file, for the commands that talk to a cluster");
    add_list(app, context);
    add_topology(app, context);
    add_why(app, context);
    add_switchover(app, context);
    add_failover(app, context);
    add_restart(app, context);
    add_rolling_restart(app, context);
    add_rotate_credentials(app, context);
    add_reload(app, context);
    add_reinit(app, context);
    add_pause(app, context);
    add_resume(app, context);
    add_demote_cluster(app, context);
    add_promote_cluster(app, context);
    add_history(app, context);
    add_show_config(app, context);
    add_edit_config(app, context);
    add_flush(app, context);
    add_remove(app, context);
    add_dsn(app, context);
    add_query(app, context);
    add_version(app, context);
}

}  // namespace pgkeel::cli
