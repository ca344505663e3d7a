#include "bytes.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/frontend_readers.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace pgkeel::pgwire::frontend {
namespace {

/// A named statement with one parameter, and a Bind of it with text values.
const std::string parse_message = bytes("P\0\0\0\064P_0\0select abalance from t where aid = $1\0\0\1\0\0\0\27");
const std::string bind_message = bytes("B\0\0\0\036\0P_0\0\0\1\0\0\0\1\0\0\0\00583912\0\1\0\0");

TEST(parse, is_read_with_the_types_of_its_parameters) {
    const auto parse = read_parse(body_of(parse_message));
    ASSERT_TRUE(parse);
    EXPECT_EQ(parse->name, "P_0");
    EXPECT_EQ(parse->query, "select abalance from t where aid = $1");
    ASSERT_EQ(parse->types.size(), 1U);
    EXPECT_EQ(parse->types[0], 23U);
    EXPECT_EQ(parse->types[1], 0U);
}

TEST(parse, is_written_under_another_name) {
    const auto parse = read_parse(body_of(parse_message));
    ASSERT_TRUE(parse);
    EXPECT_EQ(built(write_parse, "P_0", *parse), parse_message);
    const std::string renamed = built(write_parse, "pgkeel_17", *parse);
    EXPECT_EQ(renamed.size(), parse_message.size() + 6);
    const auto back = read_parse(body_of(renamed));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->name, "pgkeel_17");
    EXPECT_EQ(back->query, parse->query);
    EXPECT_EQ(back->types.raw, parse->types.raw);
}

TEST(parse, is_refused_when_its_count_and_its_bytes_differ) {
    EXPECT_FALSE(read_parse(bytes("a\0select\0\0\2\0\0\0\27")));
    EXPECT_FALSE(read_parse(bytes("a\0select\0\0\0\0")));
    EXPECT_FALSE(read_parse(bytes("a\0select\0\xff\xff")));
    EXPECT_FALSE(read_parse(bytes("a\0select")));
    EXPECT_FALSE(read_parse(""));
    EXPECT_TRUE(read_parse(std::string(name_bytes_max, 'n') + bytes("\0\0\0\0")));
    EXPECT_FALSE(read_parse(std::string(name_bytes_max + 1, 'n') + bytes("\0\0\0\0")));
}

TEST(bind, has_its_names_read_as_soon_as_they_are_here) {
    const std::string_view body = body_of(bind_message);
    const Head head{'B', 30};
    for (std::size_t here = 0; here <= body.size(); ++here) {
        const auto names = read_bind_names(head, body.substr(0, here));
        ASSERT_TRUE(names) << here;
        ASSERT_EQ(names->has_value(), here >= 5) << here;
        if (!*names) continue;
        EXPECT_EQ((*names)->portal, "");
        EXPECT_EQ((*names)->statement, "P_0");
        EXPECT_EQ((*names)->bytes(), 5U);
    }
}

TEST(bind, is_written_with_another_statement_and_the_rest_unchanged) {
    const std::string_view body = body_of(bind_message);
    const BindNames names{"", "P_0"};
    const std::string head = built(write_bind_names, Head{'B', 30}, names, "pgkeel_17");
    EXPECT_EQ(head, bytes("B\0\0\0\044\0pgkeel_17\0"));
    EXPECT_EQ(built(write_bind_names, Head{'B', 30}, names, "P_0") + std::string(body.substr(names.bytes())),
              bind_message);
}

TEST(bind, is_refused_when_the_new_length_would_not_fit) {
    const Head longest{'B', 0x7fff'ffff};
    const BindNames names{"", "ab"};
    EXPECT_EQ(built(write_bind_names, longest, names, "cd"), bytes("B\x7f\xff\xff\xff\0cd\0"));
    EXPECT_EQ(built(write_bind_names, longest, names, "cde"), "");
    EXPECT_EQ(built(write_bind_names, Head{'B', 6}, names, "ab"), "");  // the names do not fit into its body
}

TEST(bind, is_refused_without_ends_of_its_names) {
    EXPECT_FALSE(read_bind_names(Head{'B', 4 + 8}, "abcdefgh"));
    EXPECT_FALSE(read_bind_names(Head{'B', 4 + 8}, bytes("ab\0cdefg")));
    EXPECT_FALSE(read_bind_names(Head{'B', 4 + 8}, bytes("ab\0cdef\0")));  // no room for its counts
    EXPECT_FALSE(read_bind_names(Head{'B', 100'000}, std::string(name_bytes_max + 1, 'x')));
    EXPECT_FALSE(read_bind_names(Head{'B', 100'000}, bytes("p\0") + std::string(name_bytes_max + 1, 'x')));
    const auto more = read_bind_names(Head{'B', 100'000}, bytes("p\0") + std::string(name_bytes_max, 'x'));
    EXPECT_TRUE(more && !*more);
}

TEST(bind, is_written_with_values) {
    const std::optional<std::string_view> values[] = {"83912", std::nullopt};
    EXPECT_EQ(built(write_bind, "", "P_0", std::span(values)),
              bytes("B\0\0\0\034\0P_0\0\0\0\0\2\0\0\0\00583912\xff\xff\xff\xff\0\0"));
}

TEST(target, is_a_statement_or_a_portal) {
    EXPECT_EQ(built(write_describe, Target{Target::Kind::statement, "a"}), bytes("D\0\0\0\7Sa\0"));
    EXPECT_EQ(built(write_close, Target{Target::Kind::portal, ""}), bytes("C\0\0\0\6P\0"));
    const std::string body = bytes("Pp\0");
    const auto target = read_target(body);
    ASSERT_TRUE(target);
    EXPECT_EQ(target->kind, Target::Kind::portal);
    EXPECT_EQ(target->name, "p");
    for (const std::string& wrong : {bytes("Xp\0"), bytes("S"), bytes("Sp"), bytes("Sp\0\0"), bytes("")})
        EXPECT_FALSE(read_target(wrong));
}

TEST(execute, has_a_portal_and_a_limit_of_rows) {
    const std::string message = built(write_execute, Execute{"c1", 50});
    EXPECT_EQ(message, bytes("E\0\0\0\13c1\0\0\0\0\062"));
    const auto execute = read_execute(body_of(message));
    ASSERT_TRUE(execute);
    EXPECT_EQ(execute->portal, "c1");
    EXPECT_EQ(execute->rows_max, 50U);
    EXPECT_FALSE(read_execute(bytes("c1\0\0\0\0")));
    EXPECT_FALSE(read_execute(bytes("c1\0\0\0\0\0\0")));
}

TEST(query, is_one_text) {
    EXPECT_EQ(built(write_query, "select 1"), bytes("Q\0\0\0\15select 1\0"));
    EXPECT_EQ(read_query(bytes("select 1\0")).value_or("wrong"), "select 1");
    EXPECT_FALSE(read_query("select 1"));
    EXPECT_FALSE(read_query(bytes("select 1\0; drop\0")));
    EXPECT_EQ(built(write_query, bytes("select\0 1")), "");
}

TEST(passwords, are_read_and_never_shown) {
    EXPECT_EQ(built(write_password, "quince"), bytes("p\0\0\0\13quince\0"));
    EXPECT_EQ(read_password(bytes("quince\0")).value_or("wrong"), "quince");
    const auto wrong = read_password("quince");
    ASSERT_FALSE(wrong);
    EXPECT_FALSE(wrong.error().line().contains("quince"));
}

TEST(sasl, is_read_as_libpq_sends_it) {
    const std::string first = bytes("p\0\0\0\066SCRAM-SHA-256\0\0\0\0 n,,n=,r=ZU9OKYYa3TBCD+o6ci5tt8HA");
    const auto response = read_sasl_initial_response(body_of(first));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->mechanism, "SCRAM-SHA-256");
    EXPECT_EQ(response->data, "n,,n=,r=ZU9OKYYa3TBCD+o6ci5tt8HA");
    EXPECT_EQ(built(write_sasl_initial_response, *response), first);
    EXPECT_EQ(built(write_sasl_response, "c=biws"), bytes("p\0\0\0\12c=biws"));

    const std::string no_data = bytes("X\0\xff\xff\xff\xff");
    const auto without = read_sasl_initial_response(no_data);
    ASSERT_TRUE(without);
    EXPECT_EQ(without->data, std::nullopt);
    EXPECT_FALSE(read_sasl_initial_response(bytes("X\0\0\0\0\3ab")));
    EXPECT_FALSE(read_sasl_initial_response(bytes("X\0\0\0\0\1ab")));
    EXPECT_FALSE(read_sasl_initial_response(bytes("X\0\xff\xff\xff\xfe")));
    EXPECT_FALSE(read_sasl_initial_response(bytes("\0\0\0\0\0")));
}

TEST(small_messages, have_the_layout_of_the_manual) {
    EXPECT_EQ(built(write_sync), bytes("S\0\0\0\4"));
    EXPECT_EQ(built(write_flush), bytes("H\0\0\0\4"));
    EXPECT_EQ(built(write_terminate), bytes("X\0\0\0\4"));
    EXPECT_EQ(built(write_copy_fail, "no"), bytes("f\0\0\0\7no\0"));
    EXPECT_EQ(read_copy_fail(bytes("no\0")).value_or("wrong"), "no");
    EXPECT_EQ(read_function(bytes("\0\0\3\xb9\0\0")), 953U);
    EXPECT_EQ(read_function(bytes("\0\0\3")), std::nullopt);
}

}  // namespace
}  // namespace pgkeel::pgwire::frontend
