#include "pool/statements.hpp"

#include <gtest/gtest.h>

namespace pgkeel::pool {
namespace {

using Names = std::vector<std::string>;

Names names_of(const std::vector<StatementRef>& statements) {
    Names names;
    for (const StatementRef& statement : statements) names.push_back(statement->server_name);
    return names;
}

constexpr std::string_view int4("\0\0\0\x17", 4);

TEST(statements, the_same_text_with_the_same_types_is_one) {
    Statements all("S_");
    const StatementRef first = all.of("select $1", int4);
    EXPECT_EQ(first->server_name, "S_1");
    EXPECT_EQ(all.of("select $1", int4), first);
    EXPECT_NE(all.of("select $1", ""), first);
    EXPECT_NE(all.of("select $2", int4), first);
}

TEST(statements, a_name_does_not_come_again_for_another_text) {
    Statements all("S_");
    EXPECT_EQ(all.of("select 1", "")->server_name, "S_1");
    EXPECT_EQ(all.size(), 0U) << "nobody has it any more";
    EXPECT_EQ(all.of("select 1", "")->server_name, "S_2");
    for (int i = 0; i < 5000; ++i) all.of("select " + std::to_string(i), "");
    EXPECT_EQ(all.size(), 0U);
}

TEST(client_statements, a_name_is_taken_until_it_is_closed) {
    Statements all("S_");
    ClientStatements client;
    EXPECT_EQ(client.find("s"), nullptr);
    client.remove("s");
    const StatementRef one = all.of("select 1", "");
    EXPECT_TRUE(client.add("s", one));
    EXPECT_FALSE(client.add("s", all.of("select 2", "")));
    EXPECT_EQ(client.find("s"), one);
    client.remove("s");
    EXPECT_EQ(client.find("s"), nullptr);
    EXPECT_TRUE(client.add("s", all.of("select 2", "")));
    client.clear();
    EXPECT_EQ(client.size(), 0U);
}

TEST(server_statements, what_was_used_longest_ago_makes_room) {
    Statements all("S_");
    const StatementRef a = all.of("a", ""), b = all.of("b", ""), c = all.of("c", "");
    ServerStatements server;
    EXPECT_FALSE(server.use(*a));
    EXPECT_EQ(names_of(server.add(a, 2)), Names{});
    EXPECT_EQ(names_of(server.add(b, 2)), Names{});
    EXPECT_TRUE(server.use(*a));
    EXPECT_EQ(names_of(server.add(c, 2)), Names{"S_2"}) << "b was used before a";
    EXPECT_FALSE(server.use(*b));
    EXPECT_EQ(names_of(server.add(a, 1)), Names{}) << "it is there: nothing to do";
    EXPECT_EQ(names_of(server.add(b, 1)), (Names{"S_3", "S_1"})) << "the limit was lowered meanwhile";
    EXPECT_TRUE(server.remove(b->number));
    EXPECT_FALSE(server.remove(b->number));
    EXPECT_EQ(server.size(), 0U);
    server.keep(a);
    server.keep(a);
    EXPECT_TRUE(server.use(*a)) << "closing it was undone";
    EXPECT_EQ(server.size(), 1U);
}

}  // namespace
}  // namespace pgkeel::pool
