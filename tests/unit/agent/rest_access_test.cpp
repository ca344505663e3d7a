#include "agent/rest/access.hpp"

#include "http/client.hpp"
#include "support/event_loop.hpp"

#include <gtest/gtest.h>

namespace pgkeel::agent::rest {
namespace {

bool in(const char* network, const char* address) {
    const auto parsed = Network::parse(network);
    return parsed && parsed->contains(unmapped(asio::ip::make_address(address)));
}

TEST(network, contains_its_addresses) {
    EXPECT_TRUE(in("10.0.0.0/8", "10.255.1.2"));
    EXPECT_FALSE(in("10.0.0.0/8", "11.0.0.0"));
    EXPECT_TRUE(in("192.168.5.77/22", "192.168.7.255"));
    EXPECT_FALSE(in("192.168.5.77/22", "192.168.8.0"));
    EXPECT_TRUE(in("0.0.0.0/0", "203.0.113.1"));
    EXPECT_TRUE(in("10.1.2.3", "10.1.2.3"));
    EXPECT_FALSE(in("10.1.2.3", "10.1.2.4"));
    EXPECT_TRUE(in("2001:db8::/33", "2001:db8:7fff::1"));
    EXPECT_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
    EXPECT_TRUE(in("10.0.0.0/8", "::ffff:10.1.1.1"));
    EXPECT_FALSE(in("0.0.0.0/0", "2001:db8::1"));
}

TEST(network, is_not_guessed) {
    for (const char* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "2001:db8::/129",
                             "node1", "10.0.0/8", "10.0.0.0/255.0.0.0"})
        EXPECT_FALSE(Network::parse(text)) << text;
}

TEST(same_secret, is_equality) {
    EXPECT_TRUE(same_secret("", ""));
    EXPECT_TRUE(same_secret("Basic abc", "Basic abc"));
    EXPECT_FALSE(same_secret("Basic abc", "Basic abd"));
    EXPECT_FALSE(same_secret("Basic abc", "Basic ab"));
}

class AccessRules : public testing::Test {
  protected:
    /// "ok", or code and text of the refusal.
    std::string ask(const std::string& from, const std::vector<std::string>& members = {}, bool members_may = true) {
        request.peer_address = from;
        Access access(settings);
        const auto refusal = loop.run(access.refusal(loop.clock, request, members, members_may));
        return refusal ? fmt::format("{} {}", refusal->status, refusal->body) : "ok";
    }

    test::EventLoop loop;
    config::RestApi settings;
    http::Request request{.method = "POST"};
};

TEST_F(AccessRules, without_any_only_this_host_and_the_members_may) {
    EXPECT_EQ(ask("127.0.0.1"), "ok");
    EXPECT_EQ(ask("127.9.9.9"), "ok");
    EXPECT_EQ(ask("::1"), "ok");
    EXPECT_EQ(ask("::ffff:127.0.0.1"), "ok");
    EXPECT_EQ(ask("192.0.2.1").substr(0, 20), "403 Access is denied");
    EXPECT_EQ(ask("192.0.2.1", {"192.0.2.1"}), "ok");
    EXPECT_EQ(ask("2001:db8::5", {"192.0.2.1", "2001:db8::5"}), "ok");
    EXPECT_EQ(ask("").substr(0, 3), "403");
    EXPECT_EQ(ask("not an address", {"not an address"}).substr(0, 3), "403");
}

TEST_F(AccessRules, an_allowlist_is_all_there_is) {
    settings.allowlist = {"10.0.0.0/8", "localhost", "bad/entry"};
    EXPECT_EQ(ask("10.3.3.3"), "ok");
    EXPECT_EQ(ask("127.0.0.1"), "ok");  // localhost
    EXPECT_EQ(ask("192.0.2.1", {"192.0.2.1"}), "403 Access is denied");
    settings.allowlist = {"bad/entry"};
    EXPECT_EQ(ask("127.0.0.1"), "403 Access is denied");
}

TEST_F(AccessRules, the_members_may_be_allowed_but_not_for_every_request) {
    settings.allowlist_include_members = true;
    EXPECT_EQ(ask("192.0.2.1", {"192.0.2.1"}), "ok");
    EXPECT_EQ(ask("192.0.2.2", {"192.0.2.1"}), "403 Access is denied");
    EXPECT_EQ(ask("192.0.2.2", {"192.0.2.1"}, false), "ok");  // there is no list to be on
    settings.allowlist = {"10.0.0.1"};
    EXPECT_EQ(ask("192.0.2.1", {"192.0.2.1"}, false), "403 Access is denied");
}

TEST_F(AccessRules, a_client_certificate_is_wanted_over_tls) {
    settings.tls.certificate_file = "/etc/ssl/node.pem";
    for (const char* mode : {"optional", "required"}) {
        settings.verify_client = mode;
        request.tls = true;
        request.client_certificate = false;
        EXPECT_EQ(ask("192.0.2.1"), "403 client certificate required");
        request.client_certificate = true;
        EXPECT_EQ(ask("192.0.2.1"), "ok");
    }
    settings.verify_client = "none";
    EXPECT_EQ(ask("192.0.2.1").substr(0, 3), "403");
}

TEST_F(AccessRules, a_password_comes_last_and_is_compared_whole) {
    settings.authentication = {"admin", "secret"};
    EXPECT_EQ(ask("192.0.2.1"), "401 no auth header received");
    for (const auto& [user, password] : std::vector<std::pair<std::string, std::string>>{
             {"admin", "secre"}, {"admin", "secret2"}, {"root", "secret"}, {"", ""}}) {
        request.headers = {{"Authorization", http::basic_authorization(user, password)}};
        EXPECT_EQ(ask("192.0.2.1"), "401 not authenticated");
    }
    request.headers = {{"Authorization", "Bearer secret"}};
    EXPECT_EQ(ask("192.0.2.1"), "401 not authenticated");
    request.headers = {{"Authorization", http::basic_authorization("admin", "secret")}};
    EXPECT_EQ(ask("192.0.2.1"), "ok");
    settings.allowlist = {"10.0.0.1"};
    EXPECT_EQ(ask("192.0.2.1"), "403 Access is denied");
}

TEST(api_hosts, are_those_of_the_urls) {
    Member a;
    a.api_url = "http://10.0.0.1:8008/patroni";
    Member b;
    b.api_url = "https://[2001:db8::1]:8008/patroni";
    Member c;
    c.api_url = "nothing of the kind";
    const auto hosts = api_hosts({a, b, c});
    ASSERT_GE(hosts.size(), 2U);
    EXPECT_EQ(hosts[0], "10.0.0.1");
    EXPECT_EQ(hosts[1], "2001:db8::1");
}

}  // namespace
}  // namespace pgkeel::agent::rest
