#include "cli/live_table.hpp"

#include "cli/terminal.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cli {

namespace {
local::ClusterStatus status_with_a_dead_node() {
    local::ClusterStatus status;
    status.etcd_running = 3;
    status.nodes = {
        {"pg-a", true, true, "leader", "running", "2", "", "127.0.0.1:20001"},
        {"pg-b", true, true, "replica", "streaming", "2", "0", "127.0.0.1:20002"},
        {"pg-c", false, true, "replica", "streaming", "1", "unknown", "127.0.0.1:20003"},
    };
    status.proxy = {{"primary", 31001}, {"standby", 31002}, {"any", 31003}, {"pooled", 31004}};
    return status;
}
}  // namespace

TEST(live_table, fits_into_eighty_columns_and_says_what_is_gone) {
    const std::string text = live_table_text(status_with_a_dead_node(), "demo", "12:00:00", 80);
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        EXPECT_LE(display_width(rest.substr(0, end)), 80U);
        rest.remove_prefix(end + 1);
    }
    EXPECT_NE(text.find("agent gone, server runs"), std::string::npos);
    EXPECT_NE(text.find("pgkeel up -d"), std::string::npos);
    EXPECT_NE(text.find("proxy: not running"), std::string::npos);
    EXPECT_EQ(text.find('\033'), std::string::npos) << "no colours when standard output is no terminal";
}

TEST(live_table, names_the_ports_of_a_proxy_that_runs) {
    local::ClusterStatus status = status_with_a_dead_node();
    status.proxy_runs = true;
    const std::string text = live_table_text(status, "demo", "12:00:00", 80);
    EXPECT_NE(text.find("proxy: primary 31001, standby 31002, any 31003, pooled 31004 on 127.0.0.1\n"),
              std::string::npos)
        << text;
}

TEST(live_table, words_tell_roles_states_and_lag) {
    const local::ClusterStatus status = status_with_a_dead_node();
    EXPECT_EQ(node_in_words(status.nodes[0]), "leader, running, timeline 2");
    EXPECT_EQ(node_in_words(status.nodes[1]), "replica, streaming, timeline 2, lag 0");
    EXPECT_EQ(node_in_words(status.nodes[2]), "replica, agent gone, server runs, timeline 1, lag unknown");
}

}  // namespace pgkeel::cli
