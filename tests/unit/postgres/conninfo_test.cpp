#include "postgres/conninfo.hpp"

#include <gtest/gtest.h>

namespace pgkeel::postgres {
namespace {

config::PgUser replicator() {
    return {"replicator", "se:cr\\et", {{"sslmode", "verify-ca"}, {"sslpassword", "pass phrase"}}};
}

TEST(conninfo, a_value_survives_writing_and_reading_whatever_it_holds) {
    const ConnInfo pairs = {{"user", "o'neil"}, {"host", ""}, {"dbname", "a b\\c"}, {"port", "5432"}};
    EXPECT_EQ(write_conninfo(pairs), R"(user='o\'neil' host='' dbname='a b\\c' port=5432)");
    const auto read = parse_conninfo(write_conninfo(pairs));
    ASSERT_TRUE(read) << read.error().line();
    EXPECT_EQ(*read, pairs);
}

TEST(conninfo, blanks_around_equal_signs_and_escapes_without_quotes_are_read_as_libpq_does) {
    const auto read = parse_conninfo(R"(  host = db1   user=a\ b  password = 'x y' )");
    ASSERT_TRUE(read) << read.error().line();
    EXPECT_EQ(value_of(*read, "host"), "db1");
    EXPECT_EQ(value_of(*read, "user"), "a b");
    EXPECT_EQ(value_of(*read, "password"), "x y");
    EXPECT_EQ(value_of(*read, "port"), "");
}

TEST(conninfo, a_later_value_wins) {
    EXPECT_EQ(value_of(*parse_conninfo("host=a host=b"), "host"), "b");
}

TEST(conninfo, what_is_no_connection_string_is_an_error_that_does_not_repeat_it) {
    for (const char* text : {"password='hunter2", "hunter2", "=hunter2", "host=a hunter2"}) {
        const auto read = parse_conninfo(text);
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.error().code, Errc::invalid_input);
        EXPECT_EQ(read.error().line().find("hunter2"), std::string::npos) << read.error().line();
    }
}

TEST(conninfo, order_and_quotes_do_not_make_a_difference) {
    EXPECT_TRUE(same_conninfo("host=a port=5432", "port='5432' host='a'"));
    EXPECT_FALSE(same_conninfo("host=a port=5432", "host=a port=5433"));
    EXPECT_FALSE(same_conninfo("host=a", "host=a sslmode=require"));
    EXPECT_FALSE(same_conninfo("host=a", "host='a"));
}

TEST(conn_url, a_members_address_is_read) {
    const auto url = parse_conn_url("postgres://10.0.0.1:5433/postgres");
    ASSERT_TRUE(url) << url.error().line();
    EXPECT_EQ(url->host, "10.0.0.1");
    EXPECT_EQ(url->port, "5433");
    EXPECT_EQ(url->database, "postgres");
}

TEST(conn_url, the_port_may_be_missing_and_the_address_may_be_ipv6_or_encoded) {
    EXPECT_EQ(parse_conn_url("postgresql://db")->port, "5432");
    EXPECT_EQ(parse_conn_url("postgres://[fe80::1]:5433/x")->host, "fe80::1");
    EXPECT_EQ(parse_conn_url("postgres://%2Fvar%2Frun/db?sslmode=require")->host, "/var/run");
    EXPECT_EQ(parse_conn_url("postgres://u:p%40ss@h:1/db?sslmode=require")->host, "h");
    EXPECT_EQ(parse_conn_url("postgres://u:p%40ss@h:1/db?sslmode=require")->database, "db");
}

TEST(conn_url, several_hosts_keep_their_ports) {
    EXPECT_EQ(parse_conn_url("postgres://a:1,b:2/db")->host, "a,b");
    EXPECT_EQ(parse_conn_url("postgres://a:1,b:2/db")->port, "1,2");
    EXPECT_EQ(parse_conn_url("postgres://a:5432,b/db")->port, "5432");
}

TEST(conn_url, what_is_no_address_is_refused) {
    for (const char* text :
         {"", "http://a:1/", "postgres://", "postgres://:5432/db", "postgres://[::1/db", "postgres://a:port/db",
          "postgres://a%zz/db", "postgres://a%00/db", "postgres://[::1]x/db"})
        EXPECT_FALSE(parse_conn_url(text)) << text;
}

TEST(primary_conninfo, holds_the_passfile_and_never_the_password) {
    const std::string text = primary_conninfo(replicator(), {"db1", "5432"}, "pg-b", "/var/lib/pg pass");
    EXPECT_EQ(text.find("se:cr"), std::string::npos);
    const auto read = *parse_conninfo(text);
    EXPECT_EQ(value_of(read, "passfile"), "/var/lib/pg pass");
    EXPECT_EQ(value_of(read, "application_name"), "pg-b");
    EXPECT_EQ(value_of(read, "sslmode"), "verify-ca");
    EXPECT_EQ(value_of(read, "sslpassword"), "pass phrase");
    EXPECT_EQ(value_of(read, "channel_binding"), "prefer");
    EXPECT_EQ(value_of(read, "user"), "replicator");
}

TEST(conninfo_for, leaves_every_secret_out_because_it_goes_to_command_lines) {
    const std::string text = write_conninfo(conninfo_for(replicator(), {"db1", "5432"}));
    EXPECT_EQ(text.find("pass"), std::string::npos) << text;
    EXPECT_EQ(text, "user=replicator host=db1 port=5432 sslmode=verify-ca");
}

TEST(pgpass, colons_and_backslashes_are_escaped) {
    EXPECT_EQ(pgpass_line("h:1", "", "*", "u", "a:b\\c"), "h\\:1:5432:*:u:a\\:b\\\\c");
}

TEST(pgpass, every_host_of_a_list_and_both_names_of_a_socket_have_a_line) {
    EXPECT_EQ(pgpass_text({{"a,b", "1,2"}}, {{"u", "p", {}}, {"nobody", "", {}}}), "a:1:*:u:p\nb:2:*:u:p\n");
    EXPECT_EQ(pgpass_text({{"/run", "1"}, {"localhost", "1"}}, {{"u", "p", {}}}), "/run:1:*:u:p\nlocalhost:1:*:u:p\n");
}

TEST(pgpass, a_password_with_a_line_end_cannot_add_a_line) {
    EXPECT_EQ(pgpass_text({{"a", "1"}}, {{"u", "p\n*:*:*:postgres:known", {}}}), "");
}

}  // namespace
}  // namespace pgkeel::postgres
