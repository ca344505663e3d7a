#pragma once

namespace CLI {
class App;
}

// Commands that talk to a cluster, in the order of the help. Each is described in the file of its name; two words of
// one idea share a file (list and topology, pause and resume, show-config and edit-config, promote-cluster and
// demote-cluster).

namespace pgkeel::cli {

struct Context;

void add_list(CLI::App& app, Context& context);
void add_topology(CLI::App& app, Context& context);
void add_why(CLI::App& app, Context& context);
void add_switchover(CLI::App& app, Context& context);
void add_failover(CLI::App& app, Context& context);
void add_restart(CLI::App& app, Context& context);
void add_rolling_restart(CLI::App& app, Context& context);
void add_rotate_credentials(CLI::App& app, Context& context);
void add_reload(CLI::App& app, Context& context);
void add_reinit(CLI::App& app, Context& context);
void add_pause(CLI::App& app, Context& context);
void add_resume(CLI::App& app, Context& context);
void add_demote_cluster(CLI::App& app, Context& context);
void add_promote_cluster(CLI::App& app, Context& context);
void add_history(CLI::App& app, Context& context);
void add_show_config(CLI::App& app, Context& context);
void add_edit_config(CLI::App& app, Context& context);
void add_flush(CLI::App& app, Context& context);
void add_remove(CLI::App& app, Context& context);
void add_dsn(CLI::App& app, Context& context);
void add_query(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);

}  // namespace pgkeel::cli
