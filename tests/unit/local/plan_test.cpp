#include "local/plan.hpp"

#include "local/files.hpp"
#include "scratch_directory.hpp"

#include <gtest/gtest.h>

#include <set>

namespace pgkeel::local {

TEST(plan, has_a_port_for_every_server_and_a_password_for_every_user) {
    const auto plan = make_plan("demo", 9);
    ASSERT_TRUE(plan) << plan.error().line();
    EXPECT_EQ(plan->nodes.front().name, "pg-a");
    EXPECT_EQ(plan->nodes.back().name, "pg-i");
    const std::vector<int> ports = plan->ports();
    EXPECT_EQ(ports.size(), 3U * 2 + 9 * 2 + 4);
    EXPECT_EQ(std::set<int>(ports.begin(), ports.end()).size(), ports.size());
    const Passwords& secret = plan->passwords;
    const std::set<std::string> secrets{secret.superuser, secret.replication, secret.rewind,
                                        secret.rest,      secret.etcd_root,   secret.etcd};
    EXPECT_EQ(secrets.size(), 6U);
    for (const std::string& each : secrets) EXPECT_EQ(each.size(), 32U);
}

TEST(plan, is_remembered_as_it_was) {
    const ScratchDirectory scratch;
    const Layout layout{scratch.path()};
    const auto plan = make_plan("shop", 2);
    ASSERT_TRUE(plan);
    ASSERT_TRUE(save_plan(layout, *plan));
    const auto again = load_plan(layout);
    ASSERT_TRUE(again) << again.error().line();
    EXPECT_EQ(again->scope, "shop");
    EXPECT_EQ(again->ports(), plan->ports());
    EXPECT_NE(plan->proxy_port("pooled"), 0);
    EXPECT_EQ(again->proxy_port("pooled"), plan->proxy_port("pooled"));
    EXPECT_EQ(again->etcd_token, plan->etcd_token);
    EXPECT_EQ(again->passwords.etcd_root, plan->passwords.etcd_root);
    EXPECT_EQ(again->passwords.superuser, plan->passwords.superuser);
}

TEST(plan, grows_without_moving_what_is_there) {
    auto plan = make_plan("demo", 2);
    ASSERT_TRUE(plan);
    const int port = plan->nodes[0].postgres_port;
    ASSERT_TRUE(grow(*plan, 4));
    EXPECT_EQ(plan->nodes.size(), 4U);
    EXPECT_EQ(plan->nodes[3].name, "pg-d");
    EXPECT_EQ(plan->nodes[0].postgres_port, port);
    const auto shrunk = grow(*plan, 3);
    ASSERT_FALSE(shrunk);
    EXPECT_EQ(shrunk.error().code, Errc::invalid_input);
    EXPECT_EQ(plan->nodes.size(), 4U);
}

TEST(plan, one_made_before_there_was_a_proxy_gets_its_ports_once) {
    const ScratchDirectory scratch;
    const Layout layout{scratch.path()};
    auto old = make_plan("demo", 1).value();
    old.proxy.clear();
    ASSERT_TRUE(save_plan(layout, old));
    std::string text = read_file(layout.plan()).value();
    const auto none = text.find(R"("proxy":{},)");
    ASSERT_NE(none, std::string::npos) << text;
    ASSERT_TRUE(write_file(layout.plan(), text.erase(none, std::string_view(R"("proxy":{},)").size())));
    auto plan = load_plan(layout);
    ASSERT_TRUE(plan) << plan.error().line();
    EXPECT_EQ(plan->proxy_port("primary"), 0);
    ASSERT_TRUE(add_proxy(*plan));
    const std::vector<int> ports = plan->ports();
    EXPECT_EQ(std::set<int>(ports.begin(), ports.end()).size(), 3U * 2 + 2 + 4);
    ASSERT_TRUE(add_proxy(*plan));
    EXPECT_EQ(plan->ports(), ports);
}

TEST(plan, refuses_names_and_counts_that_cannot_work) {
    for (const char* scope : {"", "Demo", "a/b", "a b", "ünder", "a.very.dotted"})
        EXPECT_FALSE(make_plan(scope, 3)) << scope;
    EXPECT_FALSE(make_plan("demo", 0));
    EXPECT_FALSE(make_plan("demo", 10));
}

TEST(plan, a_damaged_file_is_named) {
    const ScratchDirectory scratch;
    const Layout layout{scratch.path()};
    EXPECT_EQ(load_plan(layout).error().code, Errc::not_found);
    for (const char* content :
         {"", "{", "[]", R"({"version": 1})", R"({"version": 99})", R"({"version": 1, "scope": 5})"}) {
        ASSERT_TRUE(write_file(layout.plan(), content));
        const auto plan = load_plan(layout);
        ASSERT_FALSE(plan) << content;
        EXPECT_EQ(plan.error().code, Errc::invalid_input);
        EXPECT_NE(plan.error().text.find(layout.plan()), std::string::npos);
    }
}

}  // namespace pgkeel::local
