// A local cluster's etcd and processes. Stand-ins take the agents' place: those have tests of their own.
#include "http/client.hpp"
#include "local/cluster.hpp"
#include "local/prepare.hpp"
#include "local/process_id.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

namespace pgkeel::local {

namespace {
using namespace std::chrono_literals;

/// Waits for a signal, as an agent would, and leaves PostgreSQL alone. What follows is its $0.
const std::vector<std::string> idle_agent{"/bin/sh", "-c", "exec sleep 1000"};
const std::vector<std::string> broken_agent{"/bin/sh", "-c", "echo the configuration is bad; exit 1"};

/// A cluster in a directory of its own, stopped and removed with the test. As root, the test becomes the user postgres.
class LocalCluster : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = std::filesystem::temp_directory_path() / "pgkeel-test-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    void TearDown() override {
        if (cluster_) {
            EXPECT_TRUE(loop_.run(cluster_->stop(loop_.clock, [](const std::string&) {})));
            EXPECT_TRUE(cluster_->running_now().empty());
        }
        ASSERT_EQ(::chdir("/"), 0);
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    Result<Cluster::Started> start(const std::vector<std::string>& agent, int nodes = 0) {
        UpOptions options;
        options.directory = directory_;
        options.nodes = nodes;
        options.remember = false;
        options.agent_program = agent;
        options.proxy_program = idle_agent;
        auto prepared = prepare(options);
        if (!prepared) return std::unexpected(prepared.error());
        if (!cluster_) cluster_ = std::make_unique<Cluster>(prepared->plan, prepared->layout);
        return loop_.run(cluster_->start(loop_.clock, prepared->programs, agent, idle_agent,
                                         [](const std::string& line) { SCOPED_TRACE(line); }));
    }

    /// Status of one request to the first member of etcd, 0 when it could not be made.
    int ask_etcd(const std::string& path, const std::string& body, bool tls) {
        http::ClientTls trust;
        trust.ca_file = cluster_->layout().authority();
        http::Client client(trust);
        const http::Url url{tls, "127.0.0.1", std::to_string(cluster_->plan().etcd[0].client_port), path};
        http::Request request;
        request.method = "POST";
        request.target = path;
        request.body = body;
        const auto answer = loop_.run(client.request(url, request, loop_.clock.now() + 5s));
        return answer ? answer->status : 0;
    }
    ProcessId process(const std::string& name) const { return running(cluster_->layout().pid_file(name)).value(); }
    void kill_and_wait(const std::string& name) {
        const ProcessId victim = process(name);
        ASSERT_EQ(send_signal(victim, SIGKILL), true);
        ASSERT_TRUE(loop_.until([&] { return !is_alive(victim); }, 5s));
    }

    std::string directory_;
    test::EventLoop loop_;
    std::unique_ptr<Cluster> cluster_;
};
}  // namespace

TEST_F(LocalCluster, etcd_serves_only_over_tls_and_with_a_password) {
    const auto started = start(idle_agent, 1);
    ASSERT_TRUE(started) << started.error().line();
    EXPECT_EQ(started->started, (std::vector<std::string>{"etcd-1", "etcd-2", "etcd-3", "pg-a", "proxy"}));
    const std::string everything = R"({"key":"AA==","range_end":"AA=="})";
    EXPECT_NE(ask_etcd("/v3/kv/range", everything, false), 200);
    EXPECT_NE(ask_etcd("/v3/kv/range", everything, true), 200);
    const std::string& password = cluster_->plan().passwords.etcd;
    EXPECT_EQ(ask_etcd("/v3/auth/authenticate", R"({"name":"pgkeel","password":")" + password + R"("})", true), 200);
    EXPECT_NE(ask_etcd("/v3/auth/authenticate", R"({"name":"pgkeel","password":"x"})", true), 200);
}

TEST_F(LocalCluster, a_second_start_starts_only_what_is_missing) {
    ASSERT_TRUE(start(idle_agent, 2));
    const ProcessId kept = process("etcd-1");
    kill_and_wait("etcd-2");
    kill_and_wait("pg-b");
    kill_and_wait("proxy");
    const auto again = start(idle_agent);
    ASSERT_TRUE(again) << again.error().line();
    EXPECT_EQ(again->started, (std::vector<std::string>{"etcd-2", "pg-b", "proxy"}));
    EXPECT_EQ(again->running_before, (std::vector<std::string>{"etcd-1", "etcd-3", "pg-a"}));
    EXPECT_EQ(process("etcd-1"), kept);
    const auto nothing = start(idle_agent);
    ASSERT_TRUE(nothing);
    EXPECT_TRUE(nothing->started.empty());
}

TEST_F(LocalCluster, survives_a_stop_and_a_crash_of_all_of_etcd) {
    ASSERT_TRUE(start(idle_agent, 1));
    ASSERT_TRUE(loop_.run(cluster_->stop(loop_.clock, [](const std::string&) {})));
    EXPECT_TRUE(cluster_->running_now().empty());
    ASSERT_TRUE(start(idle_agent));
    for (const char* name : {"etcd-1", "etcd-2", "etcd-3"}) kill_and_wait(name);
    const auto again = start(idle_agent);
    ASSERT_TRUE(again) << again.error().line();
    EXPECT_EQ(cluster_->running_now().size(), 5U);
}

TEST_F(LocalCluster, agents_that_end_are_reported_with_their_last_words) {
    ASSERT_TRUE(start(broken_agent, 1));
    const auto writes = loop_.run(cluster_->wait_for_writes(loop_.clock, loop_.clock.now() + 20s));
    ASSERT_FALSE(writes);
    EXPECT_EQ(writes.error().code, Errc::process_failed);
    EXPECT_NE(writes.error().text.find("the configuration is bad"), std::string::npos) << writes.error().text;
}

TEST_F(LocalCluster, a_recycled_pid_is_left_alone) {
    ASSERT_TRUE(start(idle_agent, 1));
    // A pid file that names a living process of ours with another start time: what a reboot may leave behind.
    const ProcessId agent = process("pg-a");
    ProcessId stale = process("etcd-1");
    stale.start_ticks -= 1;
    ASSERT_TRUE(save(stale, cluster_->layout().pid_file("pg-a")));
    ASSERT_TRUE(loop_.run(cluster_->stop_agents(loop_.clock, {}, [](const std::string&) {})));
    EXPECT_TRUE(running(cluster_->layout().pid_file("etcd-1")));
    EXPECT_EQ(send_signal(agent, SIGKILL), true);
}

TEST_F(LocalCluster, refuses_to_start_beside_somebody_elses_start) {
    const auto lock = DirectoryLock::take(directory_);
    ASSERT_TRUE(lock);
    const auto refused = start(idle_agent, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::conflict);
}

}  // namespace pgkeel::local
