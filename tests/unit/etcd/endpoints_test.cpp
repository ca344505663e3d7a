#include "etcd/endpoints.hpp"

#include <gtest/gtest.h>

namespace pgkeel::etcd {
namespace {

TEST(endpoints, stay_with_one_and_go_round) {
    auto endpoints = Endpoints::create({"http://a:1", "http://b:1"});
    ASSERT_TRUE(endpoints) << endpoints.error().line();
    const auto a = endpoints->current();
    EXPECT_EQ(a->name, "http://a:1");
    EXPECT_EQ(endpoints->current(), a);
    endpoints->leave(a);
    EXPECT_EQ(endpoints->current()->name, "http://b:1");
    endpoints->leave(a);
    EXPECT_EQ(endpoints->current()->name, "http://b:1") << "a late failure of the old one moves nobody";
    endpoints->leave(endpoints->current());
    EXPECT_EQ(endpoints->current(), a);
}

TEST(endpoints, take_in_what_etcd_tells_and_keep_what_is_configured) {
    auto endpoints = Endpoints::create({"http://a:1", "http://b:1/"});
    ASSERT_TRUE(endpoints);
    endpoints->set_members({"http://b:1", "http://c:1", "", "nonsense://"});
    EXPECT_EQ(endpoints->size(), 3U);
    endpoints->leave(endpoints->current());
    endpoints->leave(endpoints->current());
    const auto c = endpoints->current();
    EXPECT_EQ(c->name, "http://c:1");
    c->known_good = true;
    endpoints->set_members({"http://d:1", "http://c:1"});
    EXPECT_EQ(endpoints->current(), c) << "the one in use stays in use, with what is known of it";
    endpoints->set_members({"http://d:1"});
    EXPECT_EQ(endpoints->size(), 3U);
    EXPECT_EQ(endpoints->current()->name, "http://a:1");
}

TEST(endpoints, name_ipv6_hosts_with_brackets) {
    auto endpoints = Endpoints::create({"https://[::1]:2379"});
    ASSERT_TRUE(endpoints);
    EXPECT_EQ(endpoints->current()->name, "https://[::1]:2379");
    EXPECT_EQ(endpoints->current()->url.host, "::1");
    EXPECT_TRUE(endpoints->current()->url.tls);
}

TEST(endpoints, must_be_given_and_be_urls) {
    EXPECT_FALSE(Endpoints::create({}));
    EXPECT_FALSE(Endpoints::create({"http://"}));
}

}  // namespace
}  // namespace pgkeel::etcd
