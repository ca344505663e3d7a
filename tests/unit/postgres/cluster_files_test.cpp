// New clusters, copies and rewinds with PostgreSQL's own programs: real servers below the temporary directory, on free
// ports.

#include "postgres/bootstrap.hpp"
#include "postgres/connection.hpp"
#include "postgres/control_data.hpp"
#include "postgres/data_directory.hpp"
#include "postgres/pending_restart.hpp"
#include "postgres/replica_methods.hpp"
#include "postgres/rewind.hpp"
#include "postgres/timeline_history.hpp"
#include "support/event_loop.hpp"
#include "temporary_directory.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>

#include <boost/json/parse.hpp>

#include <thread>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
using namespace std::chrono_literals;
namespace {

int free_port() {
    const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(probe, reinterpret_cast<sockaddr*>(&address), size) != 0) throw std::runtime_error("no free port");
    ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(probe);
    return ::ntohs(address.sin_port);
}

/// PostgreSQL does not run as root.
Account database_account() {
    if (::geteuid() != 0) return {};
    const passwd* entry = ::getpwnam("postgres");
    if (entry == nullptr) throw std::runtime_error("as root, these tests need a user named postgres");
    return {entry->pw_uid, entry->pw_gid};
}

json::object object(std::string_view text) {
    return json::parse(text).as_object();
}

/// One node: its file, its directory and, while it runs, its server.
class Node {
  public:
    Node(test::EventLoop& loop, Workers& workers, const TemporaryDirectory& here, const std::string& name)
        : agent(configure(here, name)),
          programs{loop.clock, workers, agent, database_account()},
          files(agent, programs.account),
          loop_(loop) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() {
        if (pid_ != 0) ::kill(pid_, SIGQUIT);
        wait_gone();
    }

    Deadline soon() const { return loop_.clock.now() + 60s; }
    Endpoint endpoint() const { return {"127.0.0.1", agent.postgresql.listen_port}; }

    Parameters parameters(Role role, std::optional<Source> source = {}) {
        return effective_parameters({.agent = agent, .dynamic = dynamic, .role = role, .source = std::move(source)});
    }

    /// Writes the configuration and starts; comes back when somebody may connect.
    void start(Role role, std::optional<Source> source = {}) {
        if (source) {
            auto passwords =
                files.write_pgpass(pgpass_text({{source->host, source->port}}, {agent.postgresql.replication}));
            ASSERT_TRUE(passwords) << passwords.error().line();
        }
        const Parameters wanted = parameters(role, std::move(source));
        auto written = files.write(wanted, dynamic, role);
        ASSERT_TRUE(written) << written.error().line();
        ASSERT_TRUE(files.set_signal(role == Role::primary ? Signal::none : Signal::standby));
        Command command = programs.command("postgres", postmaster_arguments(agent, wanted));
        command.output_file = agent.postgresql.data_dir + "/../" + agent.name + ".log";
        put(command.output_file, "");
        auto pid = start_detached(command);
        ASSERT_TRUE(pid) << pid.error().line();
        pid_ = *pid;
        const auto answered = sql("SELECT 1", agent.postgresql.superuser, true);
        ASSERT_TRUE(answered) << answered.error().line() << "\n" << text_of(command.output_file);
    }
    void stop(int signal) {
        ::kill(pid_, signal);
        wait_gone();
    }

    Result<SqlRows> sql(std::string statement, config::PgUser user, bool patient = false, bool replication = false) {
        return loop_.run(
            ask(loop_.clock, endpoint(), std::move(user), std::move(statement), patient, replication, soon()));
    }
    Result<SqlRows> sql(std::string statement) { return sql(std::move(statement), agent.postgresql.superuser); }
    std::string value(std::string statement) {
        auto rows = sql(statement);
        if (!rows) return rows.error().line();
        return rows->empty() ? "" : rows->front().front().value_or("");
    }
    /// Waits until the query answers `wanted`.
    bool becomes(const std::string& statement, const std::string& wanted) {
        const Instant end = loop_.clock.now() + 30s;
        while (value(statement) != wanted) {
            if (loop_.clock.now() > end) return false;
            std::this_thread::sleep_for(20ms);
        }
        return true;
    }
    ControlData control() { return loop_.run(read_control_data(programs, soon())).value(); }
    /// What this server says of the history of its timeline.
    LeaderHistory history() {
        const auto identity =
            parse_identify_system(texts(sql("IDENTIFY_SYSTEM", agent.postgresql.replication, false, true)));
        LeaderHistory known{identity.value().timeline, {}};
        if (known.timeline.id > 1)
            known.entries = parse_timeline_history(texts(sql(fmt::format("TIMELINE_HISTORY {}", known.timeline.id),
                                                             agent.postgresql.replication, false, true))
                                                       .at(1))
                                .value();
        return known;
    }

    config::AgentConfig agent;
    json::object dynamic = object(R"({"postgresql":{"use_pg_rewind":true,
        "pg_hba":["local all all trust","host all all 127.0.0.1/32 scram-sha-256","host replication all 127.0.0.1/32 scram-sha-256"],
        "parameters":{"fsync":"off","shared_buffers":"1MB","log_line_prefix":"it's \\ %p ","max_connections":30,
                      "no_such_parameter":1,"work_mem":"1kB","unix_socket_directories":"","my.setting":"a b"}}})");
    Programs programs;
    ConfigurationFiles files;

  private:
    static config::AgentConfig configure(const TemporaryDirectory& here, const std::string& name) {
        config::AgentConfig agent;
        agent.scope = "batman";
        agent.name = name;
        auto& postgresql = agent.postgresql;
        if (exists("/usr/lib/postgresql/15/bin")) postgresql.bin_dir = "/usr/lib/postgresql/15/bin";
        postgresql.listen_hosts = {"127.0.0.1"};
        postgresql.listen_port = std::to_string(free_port());
        postgresql.data_dir = here / name;
        postgresql.pgpass = here / (name + ".pgpass");
        postgresql.superuser = {"postgres", "super'\\secret", {}};
        postgresql.replication = {"replicator", "repl:secret", {}};
        postgresql.rewind = {"rewinder", "rewind secret", {}};
        postgresql.section = object(R"({"basebackup":{"checkpoint":"fast"}})");
        agent.bootstrap.initdb = {"--encoding=UTF8", "--data-checksums", "--auth=scram-sha-256", "--no-sync"};
        return agent;
    }
    static std::vector<std::string> texts(const Result<SqlRows>& rows) {
        std::vector<std::string> row;
        for (const auto& field : rows.value().at(0)) row.push_back(field.value_or(""));
        return row;
    }
    static Task<Result<SqlRows>> ask(Clock& clock, Endpoint endpoint, config::PgUser user, std::string statement,
                                     bool patient, bool replication, Deadline deadline) {
        while (true) {
            Login login{.endpoint = endpoint, .user = user, .replication = replication};
            auto connection = co_await Connection::open(clock, login, deadline);
            if (connection) co_return co_await (*connection)->query(statement, {}, deadline);
            if (!patient || connection.error().code != Errc::unavailable || clock.now() > deadline)
                co_return std::unexpected(connection.error());
            co_await clock.sleep_for(20ms);
        }
    }
    void wait_gone() {
        while (pid_ != 0 && process_working_in(agent.postgresql.data_dir)) std::this_thread::sleep_for(10ms);
        pid_ = 0;
    }

    test::EventLoop& loop_;
    pid_t pid_ = 0;
};

class ClusterFiles : public testing::Test {
  protected:
    ClusterFiles() {
        const Account account = database_account();
        if (account.user != 0 && ::chown(here.path.c_str(), account.user, account.group) != 0)
            throw std::runtime_error("cannot give the directory to the database user");
    }
    /// A running primary with its users.
    void bootstrap(Node& node) {
        auto made = loop.run(create_cluster_files(node.programs, node.files, node.soon(), nullptr));
        ASSERT_TRUE(made) << made.error().line();
        EXPECT_FALSE(is_unfinished(node.agent.postgresql.data_dir));
        node.start(Role::primary);
        if (HasFatalFailure()) return;
        auto users = loop.run(set_up_users(loop.clock, node.agent, node.endpoint(), node.soon()));
        ASSERT_TRUE(users) << users.error().line();
    }
    static Task<Result<>> set_up_users(Clock& clock, const config::AgentConfig& agent, Endpoint endpoint,
                                       Deadline deadline) {
        auto connection =
            co_await Connection::open(clock, {.endpoint = endpoint, .user = agent.postgresql.superuser}, deadline);
        if (!connection) co_return std::unexpected(connection.error());
        Connection* session = connection->get();
        const RunSql sql = [session, deadline](std::string statement, std::vector<std::string> parameters) {
            return session->query(std::move(statement), std::move(parameters), deadline);
        };
        if (auto set = co_await set_superuser_password(agent, sql); !set) co_return set;
        if (auto made = co_await create_service_users(agent, sql); !made) co_return made;
        co_return co_await create_service_users(agent, sql);  // again: they exist now
    }
    void copy(Node& replica, Node& source) {
        std::vector<std::string> warnings;
        auto methods = replica_methods(replica.agent, replica.dynamic, false, warnings);
        auto copied = loop.run(create_replica(replica.programs, replica.files, std::move(methods), source.endpoint(),
                                              replica.soon(), nullptr));
        ASSERT_TRUE(copied) << copied.error().line();
    }
    static Source source_of(const Node& node) {
        return {node.agent.name, node.endpoint().host, node.endpoint().port, ""};
    }

    TemporaryDirectory here;
    test::EventLoop loop;
    Workers workers{2};
};

TEST_F(ClusterFiles, a_new_cluster_runs_with_the_configuration_and_the_users_asked_for) {
    Node node(loop, workers, here, "a");
    bootstrap(node);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(node.value("SHOW log_line_prefix"), "it's \\ %p ");
    EXPECT_EQ(node.value("SHOW my.setting"), "a b");
    EXPECT_EQ(node.value("SHOW work_mem"), "64kB") << "clamped to what the server takes";
    EXPECT_EQ(node.value("SHOW max_connections"), "30");
    EXPECT_EQ(node.value("SHOW cluster_name"), "batman");
    EXPECT_EQ(node.value("SELECT setting FROM pg_settings WHERE sourcefile LIKE '%auto.conf'"), "");

    EXPECT_TRUE(node.sql("IDENTIFY_SYSTEM", node.agent.postgresql.replication, false, true));
    EXPECT_TRUE(node.sql("SELECT pg_read_binary_file('PG_VERSION')", node.agent.postgresql.rewind));
    EXPECT_EQ(node.sql("SELECT 1", {"rewinder", "wrong", {}}).error().code, Errc::denied);
    EXPECT_EQ(
        node.value(
            "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%'"),
        "postgres,replicator,rewinder");
    EXPECT_EQ(node.value("SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = 'rewinder'"), "f");
    const std::string log = text_of(here / "a.log");
    for (const char* secret : {"secret", "SCRAM-SHA-256$"}) EXPECT_EQ(log.find(secret), std::string::npos) << log;
}

TEST_F(ClusterFiles, what_the_server_runs_with_is_compared_with_what_is_wanted) {
    Node node(loop, workers, here, "a");
    bootstrap(node);
    ASSERT_FALSE(HasFatalFailure());
    std::vector<SettingRow> rows;
    const auto settings = node.sql(pg_settings_query);
    ASSERT_TRUE(settings) << settings.error().line();
    for (const auto& row : *settings)
        rows.push_back({row[0].value_or(""), row[1].value_or(""), row[2].value_or(""), row[3].value_or(""),
                        row[4].value_or(""), row[5] == "t", row[6].value_or("")});
    ASSERT_GT(rows.size(), 300U);
    EXPECT_EQ(pending_restart_reason(node.parameters(Role::primary), rows), json::object());
    EXPECT_FALSE(reload_needed(node.parameters(Role::primary), rows));
    node.dynamic["postgresql"].at("parameters").as_object()["max_connections"] = "31";
    EXPECT_EQ(pending_restart_reason(node.parameters(Role::primary), rows),
              object(R"({"max_connections":{"old_value":"30","new_value":"31"}})"));
}

TEST_F(ClusterFiles, post_bootstrap_can_log_in_and_its_failure_is_told) {
    Node node(loop, workers, here, "a");
    bootstrap(node);
    ASSERT_FALSE(HasFatalFailure());
    put(here / "post.sh",
        "#!/bin/sh\necho \"$@\" >\"$1\"\nstat -c %a \"$PGPASSFILE\" >>\"$1\"\n"
        "exec psql -w -Atc 'SHOW synchronous_commit' \"$2\" >>\"$1\"\n");
    fs::permissions(here / "post.sh", fs::perms(0755));
    node.agent.bootstrap.post_bootstrap = fmt::format("{} '{}'", here / "post.sh", here / "out");
    const auto ran = loop.run(run_post_bootstrap(node.programs, node.endpoint(), node.soon(), nullptr));
    ASSERT_TRUE(ran) << ran.error().line();
    const std::string out = text_of(here / "out");
    EXPECT_EQ(out, fmt::format("{} dbname=postgres user=postgres host=127.0.0.1 port={}\n600\nlocal\n", here / "out",
                               node.endpoint().port));
    node.agent.bootstrap.post_bootstrap = "sh -c 'exit 3'";
    EXPECT_EQ(loop.run(run_post_bootstrap(node.programs, node.endpoint(), node.soon(), nullptr)).error().code,
              Errc::process_failed);
}

TEST_F(ClusterFiles, a_failed_initdb_leaves_a_directory_that_may_be_emptied) {
    Node node(loop, workers, here, "a");
    node.agent.bootstrap.initdb = {"--encoding=nonsense"};
    const auto made = loop.run(create_cluster_files(node.programs, node.files, node.soon(), nullptr));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::process_failed);
    EXPECT_TRUE(is_unfinished(here / "a"));
    EXPECT_TRUE(wipe_data_directory(here / "a"));
}

TEST_F(ClusterFiles, a_custom_method_is_run_and_its_recovery_settings_are_kept_for_the_start) {
    Node node(loop, workers, here, "a");
    put(here / "restore.sh", fmt::format("#!/bin/sh\necho \"$@\" >{0}/arguments\n"
                                         "for a; do case $a in --datadir=*) d=${{a#--datadir=}};; esac; done\n"
                                         "{1} -D $d -U postgres -A reject --no-sync >/dev/null\n",
                                         here.path, node.agent.postgresql.program("initdb")));
    fs::permissions(here / "restore.sh", fs::perms(0755));
    node.agent.bootstrap.method = "restore";
    node.agent.bootstrap.custom = config::Method{
        "restore",
        object(R"({"recovery_conf":{"restore_command":"false","recovery_target_action":"promote","standby_mode":"off"},
                              "foo":"bar"})")};
    node.agent.bootstrap.custom->options["command"] = here / "restore.sh";
    node.dynamic["postgresql"].as_object().erase("pg_hba");
    const auto made = loop.run(create_cluster_files(node.programs, node.files, node.soon(), nullptr));
    ASSERT_TRUE(made) << made.error().line();
    EXPECT_EQ(text_of(here / "arguments"), fmt::format("--scope=batman --datadir={} --foo=bar\n", here / "a"));
    EXPECT_TRUE(made->custom && made->hot_standby_off && !made->keeps_recovery_conf);
    EXPECT_EQ(made->signal, Signal::recovery);
    EXPECT_EQ(node.files.signal(), Signal::recovery);
    EXPECT_EQ(text_of(here / "a/pg_hba.conf"), bootstrap_hba_text(node.agent));
    Parameters wanted = node.parameters(Role::replica);
    apply_bootstrap(*made, node.files, wanted);
    EXPECT_EQ(wanted.command_line.at("hot_standby"), "off");
    EXPECT_EQ(wanted.recovery, (ParameterMap{{"recovery_target_action", "promote"}, {"restore_command", "false"}}));
    const auto ended = end_custom_bootstrap(node.files, node.agent, node.dynamic);
    ASSERT_TRUE(ended) << ended.error().line();
    EXPECT_NE(text_of(here / "a/pg_hba.conf").find("reject"), std::string::npos) << "the restored cluster's own again";
    EXPECT_EQ(node.files.signal(), Signal::none);
}

TEST_F(ClusterFiles, methods_are_tried_in_order_and_what_one_leaves_is_removed) {
    Node primary(loop, workers, here, "a");
    bootstrap(primary);
    ASSERT_FALSE(HasFatalFailure());
    Node replica(loop, workers, here, "b");
    put(here / "broken.sh", fmt::format("#!/bin/sh\necho \"$@\" >{0}/arguments\necho \"$PGPASSFILE\" >>{0}/arguments\n"
                                        "touch {0}/b/rubbish\necho it broke >&2\nexit 1\n",
                                        here.path));
    fs::permissions(here / "broken.sh", fs::perms(0755));
    replica.agent.postgresql.section =
        object(R"({"create_replica_methods":["broken","basebackup"],"basebackup":{"checkpoint":"fast"}})");
    replica.agent.postgresql.section["broken"] = {{"command", here / "broken.sh"}};
    copy(replica, primary);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(
        text_of(here / "arguments"),
        fmt::format(
            "--scope=batman --role=replica --datadir={} --connstring=user=replicator host=127.0.0.1 port={}\n{}\n",
            here / "b", primary.endpoint().port, here / "b.pgpass"));
    EXPECT_FALSE(exists(here / "b/rubbish"));
    EXPECT_EQ(mode_of(here / "b"), 0700U);
    EXPECT_EQ(mode_of(here / "b.pgpass"), 0600U);
    EXPECT_FALSE(is_unfinished(here / "b"));

    Node alone(loop, workers, here, "c");
    std::vector<std::string> warnings;
    const auto none =
        loop.run(create_replica(alone.programs, alone.files, replica_methods(alone.agent, {}, false, warnings),
                                std::nullopt, alone.soon(), nullptr));
    EXPECT_EQ(none.error().code, Errc::not_found);
    alone.agent.postgresql.section = replica.agent.postgresql.section;
    alone.agent.postgresql.section["create_replica_methods"] = json::array{"broken"};
    const auto failed =
        loop.run(create_replica(alone.programs, alone.files, replica_methods(alone.agent, {}, false, warnings),
                                primary.endpoint(), alone.soon(), nullptr));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Errc::process_failed);
    EXPECT_NE(failed.error().text.find("it broke"), std::string::npos) << failed.error().line();
}

TEST_F(ClusterFiles, a_copy_is_given_up_on_request) {
    Node node(loop, workers, here, "b");
    node.agent.postgresql.section = object(
        R"({"create_replica_methods":["slow"],"slow":{"command":"sleep 600","no_params":true,"no_leader":true}})");
    std::vector<std::string> warnings;
    auto methods = replica_methods(node.agent, {}, false, warnings);
    methods[0].arguments.clear();
    Cancel cancel;
    const auto alarm = loop.clock.call_at(loop.clock.now() + 200ms, [&cancel] { cancel.request(); });
    const Instant begun = loop.clock.now();
    const auto copied =
        loop.run(create_replica(node.programs, node.files, methods, std::nullopt, node.soon(), &cancel));
    ASSERT_FALSE(copied);
    EXPECT_EQ(copied.error().code, Errc::cancelled) << copied.error().line();
    EXPECT_LT(loop.clock.now() - begun, 10s);
    EXPECT_EQ(inspect_data_directory(here / "b"), DataDirectory::empty);
}

TEST_F(ClusterFiles, a_former_primary_follows_after_a_switchover_and_is_rewound_after_a_crash) {
    Node a(loop, workers, here, "a"), b(loop, workers, here, "b");
    bootstrap(a);
    ASSERT_FALSE(HasFatalFailure());
    copy(b, a);
    ASSERT_FALSE(HasFatalFailure());
    b.start(Role::replica, source_of(a));
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_TRUE(a.becomes(
        "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name = 'b'", "1"));

    // Switchover: everything reaches the standby, the shutdown checkpoint included.
    a.stop(SIGINT);
    ASSERT_EQ(b.value("SELECT pg_promote()"), "t");
    auto here_now = local_history(a.control());
    ASSERT_TRUE(here_now);
    EXPECT_TRUE(here_now->was_primary && here_now->clean_shutdown);
    const LeaderHistory second = b.history();
    EXPECT_EQ(second.timeline, Timeline{2});
    ASSERT_TRUE(wants_checkpoint_end(*here_now, second));
    here_now->checkpoint_end =
        loop.run(shutdown_checkpoint_end(a.programs, here_now->timeline, here_now->position, a.soon()));
    const RewindNeed after_switchover = needs_rewind(*here_now, second);
    EXPECT_EQ(after_switchover.reason, RewindReason::shutdown_checkpoint_is_the_switchpoint) << after_switchover.why;
    a.start(Role::replica, source_of(b));
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_TRUE(b.becomes("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1"));

    // Crash of the new primary with WAL that nobody else has.
    a.stop(SIGINT);
    const auto written =
        b.sql("CREATE TABLE public.lost(x int); INSERT INTO public.lost SELECT generate_series(1, 1000)");
    ASSERT_TRUE(written) << written.error().line();
    b.stop(SIGQUIT);
    EXPECT_FALSE(local_history(b.control())) << "crashed: where its WAL ends is not known";
    a.start(Role::replica);
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_EQ(a.value("SELECT pg_promote()"), "t");
    ASSERT_TRUE(a.sql("CREATE TABLE public.kept(x int); CHECKPOINT"));

    const auto recovered =
        loop.run(recover_single_user(b.programs, b.files, b.parameters(Role::primary), b.soon(), nullptr));
    ASSERT_TRUE(recovered) << recovered.error().line();
    auto crashed = local_history(b.control());
    ASSERT_TRUE(crashed);
    const RewindNeed after_crash = needs_rewind(*crashed, a.history());
    EXPECT_EQ(after_crash.needed, true) << after_crash.why;

    std::string why_not;
    EXPECT_TRUE(loop.run(can_rewind(b.programs, b.dynamic, b.control(), &why_not))) << why_not;
    // The real program, and a look at what it has left when it is done.
    put(here / "rewind", fmt::format("#!/bin/sh\n{}/pg_rewind \"$@\" && test -p '{}/pgkeel_rewinding'\n",
                                     b.agent.postgresql.bin_dir, b.agent.postgresql.data_dir));
    fs::permissions(here / "rewind", fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
    b.agent.postgresql.bin_name["pg_rewind"] = here / "rewind";
    Cancel given_up;
    given_up.request();
    const RewindRequest to_a{.leader = a.endpoint(), .dynamic = b.dynamic, .restore_command = {}};
    EXPECT_EQ(loop.run(run_rewind(b.programs, b.files, to_a, b.soon(), &given_up)).error().code, Errc::cancelled);
    EXPECT_FALSE(is_half_rewound(b.agent.postgresql.data_dir)) << "it never began";
    const auto rewound = loop.run(run_rewind(b.programs, b.files, to_a, b.soon(), nullptr));
    ASSERT_TRUE(rewound) << rewound.error().line();
    EXPECT_FALSE(is_half_rewound(b.agent.postgresql.data_dir));
    b.start(Role::replica, source_of(a));
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_TRUE(a.becomes("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1"));
    ASSERT_TRUE(b.becomes("SELECT to_regclass('public.kept') IS NOT NULL", "t"));
    EXPECT_EQ(b.value("SELECT to_regclass('public.lost') IS NULL"), "t");

    const auto refused = loop.run(run_rewind(
        b.programs, b.files, {.leader = a.endpoint(), .dynamic = {}, .restore_command = {}}, b.soon(), nullptr));
    EXPECT_EQ(refused.error().code, Errc::unsafe) << "a running server is not touched";
    EXPECT_EQ(
        loop.run(recover_single_user(b.programs, b.files, b.parameters(Role::primary), b.soon(), nullptr)).error().code,
        Errc::unsafe);
}

TEST_F(ClusterFiles, a_wrong_password_for_the_rewind_is_told_as_such) {
    Node a(loop, workers, here, "a"), b(loop, workers, here, "b");
    bootstrap(a);
    ASSERT_FALSE(HasFatalFailure());
    copy(b, a);
    ASSERT_FALSE(HasFatalFailure());
    b.agent.postgresql.rewind.password = "wrong secret";
    const auto rewound = loop.run(run_rewind(
        b.programs, b.files, {.leader = a.endpoint(), .dynamic = {}, .restore_command = {}}, b.soon(), nullptr));
    ASSERT_FALSE(rewound);
    EXPECT_EQ(rewound.error().code, Errc::denied) << rewound.error().line();
    EXPECT_EQ(rewound.error().line().find("wrong secret"), std::string::npos);
    EXPECT_FALSE(is_half_rewound(b.agent.postgresql.data_dir)) << "it was refused before it changed anything";

    put(here / "breaks",
        "#!/bin/sh\necho 'rewinding from last common checkpoint at 0/2000060 on timeline 1' >&2\nexit 1\n");
    fs::permissions(here / "breaks", fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
    b.agent.postgresql.bin_name["pg_rewind"] = here / "breaks";
    EXPECT_FALSE(loop.run(run_rewind(
        b.programs, b.files, {.leader = a.endpoint(), .dynamic = {}, .restore_command = {}}, b.soon(), nullptr)));
    EXPECT_TRUE(is_half_rewound(b.agent.postgresql.data_dir));
    EXPECT_EQ(
        loop.run(recover_single_user(b.programs, b.files, b.parameters(Role::primary), b.soon(), nullptr)).error().code,
        Errc::unsafe);
    b.dynamic["postgresql"].as_object()["use_pg_rewind"] = false;
    EXPECT_FALSE(loop.run(can_rewind(b.programs, b.dynamic, b.control())));
}

TEST_F(ClusterFiles, segments_that_wait_for_the_archive_are_pushed_in_order_until_one_fails) {
    Node node(loop, workers, here, "a");
    const std::string wal = here / "a/pg_wal/";
    for (const char* name : {"000000010000000000000002", "000000010000000000000001", "000000010000000000000003"}) {
        put(wal + name, name);
        put(wal + "archive_status/" + name + ".ready", "");
    }
    put(wal + "archive_status/000000010000000000000009.ready", "");  // its segment is gone
    for (auto& entry : fs::recursive_directory_iterator(here.path))
        if (node.programs.account.user != 0)
            ASSERT_EQ(::chown(entry.path().c_str(), node.programs.account.user, node.programs.account.group), 0);
    fs::create_directory(here / "archive");
    fs::permissions(here / "archive", fs::perms(0777));
    const auto command = fmt::format("test %f != 000000010000000000000003 && cp %p '{}/%f%%'", here / "archive");
    const auto archived = loop.run(archive_ready_segments(node.programs, command, node.soon(), nullptr));
    EXPECT_FALSE(archived);
    EXPECT_EQ(text_of(here / "archive/000000010000000000000001%"), "000000010000000000000001");
    EXPECT_TRUE(exists(wal + "archive_status/000000010000000000000002.done"));
    EXPECT_TRUE(exists(wal + "archive_status/000000010000000000000003.ready"));
    const auto rest = loop.run(archive_ready_segments(node.programs, "true", node.soon(), nullptr));
    EXPECT_EQ(rest.value(), 1);
    EXPECT_EQ(loop.run(archive_ready_segments(node.programs, "", node.soon(), nullptr)).value(), 0);
}

}  // namespace
}  // namespace pgkeel::postgres
