#include "cli/config_report.hpp"

#include <gtest/gtest.h>

namespace pgkeel::cli {
namespace {

TEST(config_report, a_text_is_cut_at_its_place) {
    const auto problem = problem_from("a.yml:3:1: scope is missing: which cluster?", "a.yml");
    EXPECT_EQ(problem.where, "a.yml:3:1");
    EXPECT_EQ(problem.text, "scope is missing: which cluster?");
}

TEST(config_report, a_text_without_a_place_is_about_the_file) {
    auto problem = problem_from("a.yml: holds no keys", "a.yml");
    EXPECT_EQ(problem.where, "a.yml");
    EXPECT_EQ(problem.text, "holds no keys");
    problem = problem_from("cannot read a.yml: No such file", "a.yml");
    EXPECT_EQ(problem.where, "a.yml");
    EXPECT_EQ(problem.text, "cannot read a.yml: No such file");
}

TEST(config_report, many_errors_in_one_text_are_each_on_their_own) {
    const auto problems = problems_from({.code = Errc::invalid_input,
                                         .text = "a.yml:3:1: scope; or so; a.yml:9:2: name is wrong; a.yml:9:4: no",
                                         .hint = "look"},
                                        "a.yml");
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_EQ(problems[0].text, "scope; or so");
    EXPECT_EQ(problems[1].where, "a.yml:9:2");
    EXPECT_EQ(problems[2].hint, "look");
    EXPECT_EQ(problems[0].hint, "");
}

TEST(config_report, the_text_names_every_problem_and_ends_with_the_sum) {
    ConfigReport report{.file = "p.ini", .process = "proxy"};
    report.warnings.push_back({.where = "p.ini:7", .text = "late", .hint = ""});
    report.summary = "1 database";
    EXPECT_EQ(report.to_text(), "p.ini:7: warning: late\np.ini: proxy: 1 database: no errors, 1 warning\n");
    EXPECT_EQ(report.exit_status(), 0);
    report.errors.push_back({.where = "p.ini:3", .text = "bad", .hint = "better"});
    EXPECT_EQ(report.to_text(),
              "p.ini:3: error: bad\n  hint: better\np.ini:7: warning: late\np.ini: proxy: 1 error, 1 warning\n");
    EXPECT_EQ(report.exit_status(), 2);
}

TEST(config_report, json_has_file_and_line_apart) {
    ConfigReport report{.file = "p.yml", .process = "proxy"};
    report.errors.push_back({.where = "/etc/a:b/p.yml:3:14", .text = "bad", .hint = ""});
    const auto problem = report.to_json().at("problems").as_array().at(0).as_object();
    EXPECT_EQ(problem.at("file"), "/etc/a:b/p.yml");
    EXPECT_EQ(problem.at("line"), 3);
    EXPECT_EQ(problem.at("severity"), "error");
}

}  // namespace
}  // namespace pgkeel::cli
