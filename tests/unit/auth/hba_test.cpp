#include "auth/hba.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

using namespace pgkeel;
using namespace pgkeel::auth;

namespace {

/// Files that exist only here.
std::map<std::string, std::string> files;

Result<std::string> read(const std::string& path) {
    const auto found = files.find(path);
    if (found == files.end()) return fail(Errc::not_found, fmt::format("cannot read {}: it does not exist", path));
    return found->second;
}

Hba parsed(std::string_view text) {
    auto hba = Hba::parse(text, "/etc/pg_hba.conf", read);
    EXPECT_TRUE(hba.has_value()) << (hba ? "" : hba.error().line());
    return hba ? *std::move(hba) : Hba();
}

std::string error_of(std::string_view text) {
    const auto hba = Hba::parse(text, "/etc/pg_hba.conf", read);
    if (hba) return "no error";
    EXPECT_EQ(hba.error().code == Errc::invalid_input || hba.error().code == Errc::not_found, true);
    return hba.error().text;
}

HbaConnectionFacts over_tcp(std::string_view address, bool tls = false, std::string_view user = "alice",
                            std::string_view database = "shop") {
    return {.peer = IpAddress::parse(address),
            .tls = tls,
            .database = database,
            .user = user,
            .physical_replication = false};
}

HbaConnectionFacts over_socket(std::string_view user = "alice", std::string_view database = "shop") {
    return {.peer = {}, .tls = false, .database = database, .user = user, .physical_replication = false};
}

/// The line that decides, 0 for none.
unsigned deciding(const Hba& hba, const HbaConnectionFacts& asked) {
    const HbaRule* rule = hba.match(asked);
    return rule == nullptr ? 0 : rule->line;
}

}  // namespace

TEST(hba, lets_the_first_fitting_rule_decide) {
    const Hba hba = parsed(
        "# comment\n"
        "local   all   postgres            peer map=admins\n"
        "host    all   all  10.0.0.0/8     md5\n"
        "hostssl all   all  0.0.0.0/0      scram-sha-256\n"
        "hostnossl all all  ::/0           reject\n"
        "host    shop  all  10.1.0.0/16    trust\n");
    EXPECT_EQ(deciding(hba, over_socket("postgres")), 2U);
    EXPECT_EQ(deciding(hba, over_socket("alice")), 0U);
    EXPECT_EQ(deciding(hba, over_tcp("10.1.2.3")), 3U);
    EXPECT_EQ(deciding(hba, over_tcp("11.1.2.3")), 0U);
    EXPECT_EQ(deciding(hba, over_tcp("11.1.2.3", true)), 4U);
    EXPECT_EQ(deciding(hba, over_tcp("2001:db8::1")), 5U);
    EXPECT_EQ(deciding(hba, over_tcp("2001:db8::1", true)), 0U);
    EXPECT_EQ(hba.rules().front().map, "admins");
    EXPECT_EQ(hba.rules().front().method, HbaMethod::peer);
}

TEST(hba, without_rules_lets_nobody_in) {
    EXPECT_EQ(parsed("\n# nothing\n \t\n").match(over_socket()), nullptr);
}

TEST(hba, knows_every_method_it_supports) {
    for (const std::string_view method : {"trust", "reject", "md5", "scram-sha-256", "password"})
        EXPECT_EQ(to_string(parsed(fmt::format("host all all all {}", method)).rules().front().method), method);
    EXPECT_EQ(parsed("hostssl all all all cert").rules().front().client_certificate, ClientCertificate::verify_full);
    EXPECT_EQ(parsed("local all all ident").rules().front().method, HbaMethod::peer);
}

TEST(hba, knows_the_special_words_unless_they_are_quoted) {
    const Hba hba = parsed(
        "local sameuser   all     trust\n"
        "local \"all\"    all     trust\n"
        "local shop       \"all\" trust\n");
    EXPECT_EQ(deciding(hba, over_socket("alice", "alice")), 1U);
    EXPECT_EQ(deciding(hba, over_socket("alice", "all")), 2U);
    EXPECT_EQ(deciding(hba, over_socket("all", "shop")), 3U);
    EXPECT_EQ(deciding(hba, over_socket("alice", "shop")), 0U);
}

TEST(hba, has_a_word_for_physical_replication_only) {
    const Hba hba = parsed("local all all trust\nlocal replication all md5\nlocal \"replication\" all reject\n");
    HbaConnectionFacts asked = over_socket("standby", "replication");
    EXPECT_EQ(deciding(hba, asked), 1U) << "a database may have that name";
    asked.physical_replication = true;
    EXPECT_EQ(deciding(hba, asked), 2U);
    const Hba quoted = parsed("local \"replication\" all reject\nlocal replication all md5\n");
    EXPECT_EQ(deciding(quoted, asked), 2U);
    asked.physical_replication = false;
    EXPECT_EQ(deciding(quoted, asked), 1U);
}

TEST(hba, takes_lists_and_quotes) {
    const Hba hba = parsed("local shop,\"my shop\", crm  alice,\"bob \"\"the\"\" builder\"  trust");
    EXPECT_EQ(deciding(hba, over_socket("alice", "shop")), 1U);
    EXPECT_EQ(deciding(hba, over_socket("alice", "my shop")), 1U);
    EXPECT_EQ(deciding(hba, over_socket("bob \"the\" builder", "crm")), 1U);
    EXPECT_EQ(deciding(hba, over_socket("bob", "crm")), 0U);
    EXPECT_EQ(deciding(hba, over_socket("Alice", "shop")), 0U);
}

TEST(hba, takes_masks) {
    const Hba hba = parsed(
        "host all all 192.168.1.77 255.255.255.0 trust\n"
        "host all all 10.0.0.1/32 trust\n"
        "host all all 2001:db8:: ffff:ffff:: trust\n"
        "host all all fe80::/10 trust\n"
        "host all all 172.16.0.5 255.240.0.0 trust # comment\n");
    EXPECT_EQ(deciding(hba, over_tcp("192.168.1.1")), 1U);
    EXPECT_EQ(deciding(hba, over_tcp("192.168.2.1")), 0U);
    EXPECT_EQ(deciding(hba, over_tcp("10.0.0.1")), 2U);
    EXPECT_EQ(deciding(hba, over_tcp("10.0.0.2")), 0U);
    EXPECT_EQ(deciding(hba, over_tcp("2001:db8:ffff::1")), 3U);
    EXPECT_EQ(deciding(hba, over_tcp("2001:db9::1")), 0U);
    EXPECT_EQ(deciding(hba, over_tcp("fe80::1%eth0")), 4U);
    EXPECT_EQ(deciding(hba, over_tcp("febf::1")), 4U);
    EXPECT_EQ(deciding(hba, over_tcp("fec0::1")), 0U);
    EXPECT_EQ(deciding(hba, over_tcp("172.31.255.255")), 5U);
    EXPECT_EQ(deciding(hba, over_tcp("172.32.0.0")), 0U);
}

TEST(hba, sees_ipv4_through_an_ipv6_socket) {
    EXPECT_EQ(deciding(parsed("host all all 10.0.0.0/8 trust"), over_tcp("::ffff:10.2.3.4")), 1U);
    EXPECT_EQ(deciding(parsed("host all all ::/0 trust"), over_tcp("::ffff:10.2.3.4")), 0U);
    EXPECT_EQ(deciding(parsed("host all all 0.0.0.0/0 trust"), over_tcp("::1")), 0U);
    EXPECT_EQ(deciding(parsed("host all all all trust"), over_tcp("::1")), 1U);
}

TEST(hba, reads_names_from_other_files) {
    files = {{"/etc/users", "alice bob # comment\ncarol,@more\n"}, {"/etc/more", "\"da ve\"\n"}, {"/srv/dbs", "shop"}};
    const Hba hba = parsed("local @/srv/dbs @users,erin trust\n");
    for (const std::string_view user : {"alice", "bob", "carol", "da ve", "erin"})
        EXPECT_EQ(deciding(hba, over_socket(user)), 1U) << user;
    EXPECT_EQ(deciding(hba, over_socket("frank")), 0U);
    EXPECT_EQ(deciding(hba, over_socket("alice", "crm")), 0U);
    EXPECT_EQ(deciding(parsed("local all \"@users\" trust"), over_socket("@users")), 1U);
}

TEST(hba, does_not_follow_files_for_ever) {
    files = {{"/etc/self", "@self"}, {"/etc/empty", "# nobody\n"}};
    EXPECT_NE(error_of("local all @self trust").find("files name each other"), std::string::npos);
    EXPECT_NE(error_of("local all @missing trust").find("pg_hba.conf line 1: @missing: cannot read /etc/missing"),
              std::string::npos);
    EXPECT_NE(error_of("local all @empty trust").find("no user is named"), std::string::npos);
    // Ten files that each name the next ten times.
    files.clear();
    for (int i = 0; i < 10; ++i)
        for (int k = 0; k < 10; ++k) files[fmt::format("/etc/f{}", i)] += fmt::format("@f{} ", i + 1);
    files["/etc/f10"] = "x";
    EXPECT_NE(error_of("local all @f1 trust").find("more than 100000 words"), std::string::npos);
    files.clear();
}

TEST(hba, joins_continued_lines_and_counts_them) {
    const Hba hba = parsed("local all \\\n  alice trust\r\n\r\nlocal all bob \\\n trust\n");
    EXPECT_EQ(deciding(hba, over_socket("alice")), 1U);
    EXPECT_EQ(deciding(hba, over_socket("bob")), 4U);
    EXPECT_EQ(error_of("local all alice \\\n trust\nlocal all alice nonsense\n"),
              "/etc/pg_hba.conf line 3: unknown method \"nonsense\"");
}

TEST(hba, names_the_word_that_is_wrong) {
    const std::map<std::string, std::string> cases{
        {"hots all all all md5", "unknown connection type \"hots\""},
        {"local", "the line ends before its database"},
        {"local all", "the line ends before its user"},
        {"local all all", "the line ends before its method"},
        {"host all all", "the line ends before its address"},
        {"host all all 10.0.0.0/8", "the line ends before its method"},
        {"host all all 10.0.0.0/33 md5", "\"10.0.0.0/33\" is not a network"},
        {"host all all 10.0.0.0/ md5", "\"10.0.0.0/\" is not a network"},
        {"host all all 10.0.0/8 md5", "\"10.0.0/8\" is not a network"},
        {"host all all 10.0.0.0/-1 md5", "is not a network"},
        {"host all all ::1/129 md5", "\"::1/129\" is not a network"},
        {"host all all 10.0.0.1 md5", "\"md5\" is not a mask for 10.0.0.1"},
        {"host all all 10.0.0.1 ffff:: md5", "\"ffff::\" is not a mask for 10.0.0.1"},
        {"host all all db.example.com md5", "address \"db.example.com\" is not supported"},
        {"host all all samehost md5", "address \"samehost\" is not supported"},
        {"host all all 10.0.0.0/8,11.0.0.0/8 md5", "there must be one address, not 2"},
        {"local samerole all md5", "database \"samerole\" is not supported"},
        {"local /^a all md5", "database \"/^a\" is not supported"},
        {"local all +staff md5", "user \"+staff\" is not supported"},
        {"host all all all ldap ldapserver=x", "method \"ldap\" is not supported"},
        {"host all all all ident", "method \"ident\" is not supported"},
        {"host all all all MD5", "unknown method \"MD5\""},
        {"host all all all peer", "method peer works over Unix sockets only"},
        {"host all all all cert", "method cert works over TLS only"},
        {"local all all peer map", "\"map\" is not an option"},
        {"local all all peer map=", "option map names no map"},
        {"local all all md5 map=x", "method md5 has no option map"},
        {"local all all md5 colour=x", "option \"colour\" is not supported"},
        {"host all all all md5 clientcert=verify-ca", "option clientcert works over TLS only"},
        {"hostssl all all all md5 clientcert=1", "clientcert is \"1\""},
        {"hostssl all all all cert clientcert=verify-ca", "method cert compares the name too"},
        {"local \"all all md5", "is not closed on its line"},
    };
    for (const auto& [line, text] : cases) {
        const std::string error = error_of("local all all trust\n" + line + "\n");
        EXPECT_TRUE(error.starts_with("/etc/pg_hba.conf line 2: ")) << line << ": " << error;
        EXPECT_NE(error.find(text), std::string::npos) << line << ": " << error;
    }
}

TEST(hba, tells_what_a_tls_client_must_show) {
    const Hba hba = parsed(
        "hostssl all all all scram-sha-256 clientcert=verify-ca\nhostssl all all all md5 clientcert=verify-full\n");
    EXPECT_EQ(hba.rules()[0].client_certificate, ClientCertificate::verify_ca);
    EXPECT_EQ(hba.rules()[1].client_certificate, ClientCertificate::verify_full);
}

TEST(ip_address, is_read_strictly) {
    for (const std::string_view wrong :
         {"", "10.0.0", "10.0.0.256", "10.0.0.1 ", "::1::", "g::", "10.0.0.1%eth0", "localhost"})
        EXPECT_FALSE(IpAddress::parse(wrong)) << wrong;
    EXPECT_EQ(IpAddress::parse("::ffff:1.2.3.4"), IpAddress::parse("1.2.3.4"));
}
