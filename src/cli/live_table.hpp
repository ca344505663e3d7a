#pragma once
#include "async/event.hpp"
#include "local/cluster.hpp"

#include <string>

namespace pgkeel::cli {

/// The nodes of a local cluster, drawn again and again in place on a terminal. Elsewhere: a line for each change.
class LiveTable {
  public:
    LiveTable(Clock& clock, local::Cluster& cluster) : clock_(clock), cluster_(cluster) {}

    enum class End { asked, cluster_gone };
    /// Comes back when `end` was called, or when nothing of the cluster runs any more.
    Task<End> show();
    void end();

  private:
    void draw(const local::ClusterStatus& status);
    void print_change(const std::string& name, const std::string& words);
    void print_changes(const local::ClusterStatus& status);

    Clock& clock_;
    local::Cluster& cluster_;
    Event wake_;
    bool ended_ = false;
    std::size_t lines_drawn_ = 0;
    std::map<std::string, std::string> printed_;
};

/// The table as text, for a terminal of `width` columns. Pure.
std::string live_table_text(const local::ClusterStatus& status, const std::string& scope, const std::string& time,
                            std::size_t width);
/// One node in words: "leader, running, timeline 1, lag 0".
std::string node_in_words(const local::NodeStatus& node);

}  // namespace pgkeel::cli
