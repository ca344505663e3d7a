#include "postgres/data_directory.hpp"

#include "postgres/observer.hpp"
#include "temporary_directory.hpp"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <filesystem>

#include <boost/json/parse.hpp>

namespace pgkeel::postgres {
namespace fs = std::filesystem;
namespace {

TEST(data_directory, is_empty_a_cluster_or_something_else) {
    const TemporaryDirectory here;
    EXPECT_EQ(inspect_data_directory(here / "missing"), DataDirectory::empty);
    EXPECT_EQ(inspect_data_directory(here.path), DataDirectory::empty);
    put(here / "d/notes.txt", "mine");
    EXPECT_EQ(inspect_data_directory(here / "d"), DataDirectory::foreign);
    make_cluster(here / "c");
    EXPECT_EQ(inspect_data_directory(here / "c"), DataDirectory::present);
    fs::remove(here / "c/global/pg_control");
    EXPECT_EQ(inspect_data_directory(here / "c"), DataDirectory::foreign) << "half a cluster is none";
}

TEST(wipe, empties_a_cluster_and_keeps_the_directory) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    put(here / "d/postgresql.conf.backup", "");
    const auto wiped = wipe_data_directory(here / "d");
    ASSERT_TRUE(wiped) << wiped.error().line();
    EXPECT_TRUE(fs::is_directory(here / "d"));
    EXPECT_TRUE(fs::is_empty(here / "d"));
    EXPECT_FALSE(is_unfinished(here / "d"));
}

TEST(wipe, refuses_what_is_not_postgresqls) {
    const TemporaryDirectory here;
    put(here / "home/thesis.tex", "years of work");
    put(here / "home/base/x", "");
    const auto wiped = wipe_data_directory(here / "home");
    ASSERT_FALSE(wiped);
    EXPECT_EQ(wiped.error().code, Errc::unsafe);
    EXPECT_EQ(text_of(here / "home/thesis.tex"), "years of work");
}

TEST(wipe, removes_what_a_script_of_ours_left_behind) {
    const TemporaryDirectory here;
    ASSERT_TRUE(begin_filling(here / "d", {}));
    put(here / "d/restore.tmp", "half");
    EXPECT_TRUE(is_unfinished(here / "d"));
    const auto wiped = wipe_data_directory(here / "d");
    ASSERT_TRUE(wiped) << wiped.error().line();
    EXPECT_TRUE(fs::is_empty(here / "d"));
}

TEST(wipe, removes_the_remains_of_a_broken_base_backup_without_a_mark) {
    const TemporaryDirectory here;
    put(here / "d/backup_label", "START WAL LOCATION");
    put(here / "d/base/1/1", "");
    EXPECT_TRUE(wipe_data_directory(here / "d"));
    EXPECT_TRUE(fs::is_empty(here / "d"));
}

TEST(wipe, empties_wal_and_tablespaces_behind_links_and_follows_no_other) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    put(here / "wal/000000010000000000000001", "x");
    put(here / "wal/archive_status/000000010000000000000001.done", "");
    put(here / "wal/00000002.history", "");
    put(here / "space/PG_15_202209061/5/1", "x");
    put(here / "space/other.txt", "somebody else's");
    put(here / "precious/file", "x");
    fs::create_directory_symlink(here / "wal", here / "d/pg_wal");
    fs::create_directory_symlink(here / "space", here / "d/pg_tblspc/16400");
    fs::create_directory_symlink(here / "precious", here / "d/log");
    const auto wiped = wipe_data_directory(here / "d");
    ASSERT_TRUE(wiped) << wiped.error().line();
    EXPECT_TRUE(fs::is_empty(here / "d"));
    EXPECT_TRUE(fs::is_empty(here / "wal"));
    EXPECT_FALSE(exists(here / "space/PG_15_202209061"));
    EXPECT_TRUE(exists(here / "space/other.txt"));
    EXPECT_EQ(text_of(here / "precious/file"), "x");
}

TEST(wipe, refuses_a_pg_wal_link_that_leads_to_something_else) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    put(here / "home/thesis.tex", "x");
    fs::create_directory_symlink(here / "home", here / "d/pg_wal");
    const auto wiped = wipe_data_directory(here / "d");
    ASSERT_FALSE(wiped);
    EXPECT_EQ(wiped.error().code, Errc::unsafe);
    EXPECT_TRUE(exists(here / "home/thesis.tex"));
    EXPECT_TRUE(exists(here / "d/PG_VERSION"));
}

/// A process that works in a directory, as a postmaster does, until the end of the test.
class Worker {
  public:
    explicit Worker(const std::string& directory) : pid(::fork()) {
        if (pid == 0) {
            if (::chdir(directory.c_str()) != 0) ::_exit(1);
            ::pause();
            ::_exit(0);
        }
        while (fs::read_symlink(fmt::format("/proc/{}/cwd", pid)) != fs::canonical(directory)) ::usleep(1000);
    }
    ~Worker() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    pid_t pid;
};

TEST(wipe, refuses_while_a_server_runs_there) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    {
        const Worker server(here / "d");
        put(here / "d/postmaster.pid", fmt::format("{}\n{}\n", server.pid, here / "d"));
        const auto wiped = wipe_data_directory(here / "d");
        ASSERT_FALSE(wiped);
        EXPECT_EQ(wiped.error().code, Errc::unsafe);
        EXPECT_FALSE(set_data_directory_aside(here / "d", "failed"));
        EXPECT_EQ(process_working_in(here / "d"), server.pid);
        EXPECT_TRUE(exists(here / "d/base/1/1259"));
    }
    EXPECT_FALSE(process_working_in(here / "d"));
    EXPECT_TRUE(wipe_data_directory(here / "d")) << "the number in a left-over file is nobody's";
}

TEST(wipe, a_pid_file_that_names_a_stranger_does_not_stop_it) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    put(here / "d/postmaster.pid", fmt::format("{}\n", ::getpid()));  // this test, which works elsewhere
    EXPECT_TRUE(wipe_data_directory(here / "d"));
}

TEST(set_aside, renames_the_directory_and_what_its_links_lead_to) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    put(here / "wal/000000010000000000000001", "x");
    fs::create_directory_symlink(here / "wal", here / "d/pg_wal");
    make_cluster(here / "d.failed");
    const auto moved = set_data_directory_aside(here / "d/", "failed");
    ASSERT_TRUE(moved) << moved.error().line();
    EXPECT_FALSE(exists(here / "d"));
    EXPECT_TRUE(exists(here / "d.failed/pg_wal/000000010000000000000001"));
    EXPECT_FALSE(exists(here / "wal"));
}

TEST(set_aside, does_not_remove_somebody_elses_directory_of_that_name) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    put(here / "d.failed/thesis.tex", "x");
    EXPECT_FALSE(set_data_directory_aside(here / "d", "failed"));
    EXPECT_TRUE(exists(here / "d.failed/thesis.tex"));
}

TEST(begin_filling, leaves_the_directory_to_who_fills_it_and_refuses_a_full_one) {
    const TemporaryDirectory here;
    ASSERT_TRUE(begin_filling(here / "a/b", {}));
    EXPECT_TRUE(is_unfinished(here / "a/b"));
    EXPECT_FALSE(std::filesystem::exists(here / "a/b"));
    ASSERT_TRUE(end_filling(here / "a/b"));
    EXPECT_FALSE(is_unfinished(here / "a/b"));
    put(here / "full/x", "");
    const auto begun = begin_filling(here / "full", {});
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, Errc::unsafe);
}

TEST(permissions, are_closed_to_others_but_a_group_may_stay) {
    const TemporaryDirectory here;
    fs::permissions(here.path, fs::perms(0755));
    ASSERT_TRUE(fix_permissions(here.path, {}));
    EXPECT_EQ(mode_of(here.path), 0700U);
    EXPECT_EQ(file_mode(here.path), 0600U);
    fs::permissions(here.path, fs::perms(0750));
    ASSERT_TRUE(fix_permissions(here.path, {}));
    EXPECT_EQ(mode_of(here.path), 0750U);
    EXPECT_EQ(file_mode(here.path), 0640U);
}

TEST(dynamic_cache, comes_back_as_it_was_and_only_lives_in_a_cluster) {
    const TemporaryDirectory here;
    const auto dynamic = boost::json::parse(R"({"ttl":30,"postgresql":{"parameters":{"work_mem":"1MB"}}})").as_object();
    ASSERT_TRUE(save_dynamic_cache(here / "d", dynamic, {}));
    EXPECT_FALSE(exists(here / "d/patroni.dynamic.json"));
    make_cluster(here / "d");
    EXPECT_EQ(load_dynamic_cache(here / "d")->has_value(), false);
    ASSERT_TRUE(save_dynamic_cache(here / "d", dynamic, {}));
    EXPECT_EQ(mode_of(here / "d/patroni.dynamic.json"), 0600U);
    EXPECT_EQ(load_dynamic_cache(here / "d")->value(), dynamic);
    put(here / "d/patroni.dynamic.json", "{half");
    EXPECT_FALSE(load_dynamic_cache(here / "d"));
}

TEST(look_at_files, what_was_left_in_the_middle_is_no_cluster) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    EXPECT_EQ(look_at_files(here / "d").data_directory, DataDirectory::present);
    ASSERT_TRUE(begin_rewinding(here / "d", {}));
    EXPECT_EQ(look_at_files(here / "d").data_directory, DataDirectory::damaged);
    put(unfinished_mark(here / "d"), "");
    EXPECT_EQ(look_at_files(here / "d").data_directory, DataDirectory::empty) << "it was being made anew";
    ASSERT_TRUE(wipe_data_directory(here / "d"));
    EXPECT_FALSE(is_half_rewound(here / "d"));
    EXPECT_FALSE(is_unfinished(here / "d"));
}

TEST(begin_rewinding, without_its_mark_nothing_may_be_rewound) {
    const TemporaryDirectory here;
    EXPECT_FALSE(begin_rewinding(here / "missing", {}));
    make_cluster(here / "d");
    put(here / "d/pgkeel_rewinding", "pg_rewind would remove a plain file");
    const auto begun = begin_rewinding(here / "d", {});
    ASSERT_FALSE(begun);
    EXPECT_NE(begun.error().line().find("half rewound"), std::string::npos) << begun.error().line();
    ASSERT_TRUE(end_rewinding(here / "d"));
    ASSERT_TRUE(begin_rewinding(here / "d", {}));
    EXPECT_TRUE(begin_rewinding(here / "d", {})) << "once more";
}

TEST(wipe_data_directory, what_is_emptied_is_marked_inside_where_it_cannot_be_beside) {
    const TemporaryDirectory here;
    const std::string data = here / std::string(245, 'd');  // with a suffix no file system takes it
    make_cluster(data);
    put(data + "/pgkeel_rewinding", "");
    EXPECT_FALSE(wipe_data_directory(data)) << "neither here nor there";
    EXPECT_TRUE(exists(data + "/PG_VERSION"));
}

TEST(must_be_whole, what_was_left_in_the_middle_may_not_be_started) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    EXPECT_TRUE(must_be_whole(here / "d"));
    ASSERT_TRUE(begin_rewinding(here / "d", {}));
    EXPECT_EQ(must_be_whole(here / "d").error().code, Errc::unsafe);
    ASSERT_TRUE(end_rewinding(here / "d"));
    EXPECT_TRUE(must_be_whole(here / "d"));
    put(unfinished_mark(here / "d"), "");
    EXPECT_EQ(must_be_whole(here / "d").error().code, Errc::unsafe);
}

TEST(begin_rewinding, the_mark_goes_where_the_data_go) {
    const TemporaryDirectory here;
    make_cluster(here / "d");
    ASSERT_TRUE(begin_rewinding(here / "d", {}));
    ASSERT_TRUE(set_data_directory_aside(here / "d", "aside"));
    EXPECT_TRUE(is_half_rewound(here / "d.aside"));
    make_cluster(here / "d");
    EXPECT_FALSE(is_half_rewound(here / "d")) << "somebody has put other data there";
}

}  // namespace
}  // namespace pgkeel::postgres
