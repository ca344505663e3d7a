#include "pgwire/framing.hpp"
#include "bytes.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pgkeel::pgwire {
namespace {

using Kind = Front::Kind;

/// A server's answer to `select 1 as one, null::text as nothing`, as PostgreSQL 15 sends it.
const std::string answer = bytes(
    "T\0\0\0\066\0\2one\0\0\0\0\0\0\0\0\0\0\27\0\4\xff\xff\xff\xff\0\0nothing\0\0\0\0\0\0\0\0\0\0\31\xff\xff\xff\xff"
    "\xff\xff\0\0"
    "D\0\0\0\17\0\2\0\0\0\0011\xff\xff\xff\xff"
    "C\0\0\0\15SELECT 1\0"
    "Z\0\0\0\5I");

std::vector<Head> heads_in_pieces(Origin origin, std::string_view stream, std::size_t piece) {
    Scanner scanner(origin);
    std::vector<Head> heads;
    std::string held;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
        held += stream.substr(at, piece);
        while (true) {
            const Front front = scanner.look(held);
            if (front.kind == Kind::nothing || front.kind == Kind::refused) break;
            if (front.kind != Kind::body) heads.push_back(front.head);
            scanner.take(front, front.bytes);
            held.erase(0, front.bytes);
        }
    }
    EXPECT_TRUE(scanner.at_border() && held.empty());
    return heads;
}

TEST(scanner, finds_the_same_messages_however_the_bytes_arrive) {
    const std::vector<Head> whole = heads_in_pieces(Origin::backend, answer, answer.size());
    EXPECT_EQ(whole, (std::vector<Head>{{'T', 54}, {'D', 15}, {'C', 13}, {'Z', 5}}));
    for (std::size_t piece = 1; piece < answer.size(); ++piece)
        EXPECT_EQ(heads_in_pieces(Origin::backend, answer, piece), whole) << piece;
}

TEST(scanner, tells_a_head_whose_body_is_to_come_from_a_whole_message) {
    Scanner scanner(Origin::frontend);
    const std::string query = bytes("Q\0\0\0\15select 1\0");
    EXPECT_EQ(scanner.look(query.substr(0, 4)).kind, Kind::nothing);
    const Front begun = scanner.look(query.substr(0, 9));
    EXPECT_EQ(begun.kind, Kind::begun);
    EXPECT_EQ(begun.body(query), "sele");
    const std::string two = query + query;
    const Front whole = scanner.look(two);
    EXPECT_EQ(whole.kind, Kind::whole);
    EXPECT_EQ(whole.bytes, query.size());
    EXPECT_EQ(whole.body(two), bytes("select 1\0"));
}

TEST(scanner, relays_a_body_in_pieces_and_knows_where_the_next_head_is) {
    Scanner scanner(Origin::frontend);
    const std::string head = bytes("d\0\0\1\4");  // 256 bytes of body
    const Front begun = scanner.look(head);
    ASSERT_EQ(begun.kind, Kind::begun);
    scanner.take(begun, 5);
    EXPECT_EQ(scanner.body_left(), 256U);
    EXPECT_EQ(scanner.look("").kind, Kind::nothing);
    const std::string first(200, 'Q');
    Front body = scanner.look(first);
    ASSERT_EQ(body.kind, Kind::body);
    EXPECT_EQ(body.head.type, 'd');
    EXPECT_EQ(body.bytes, 200U);
    scanner.take(body, 150);  // no room for more on the other side
    EXPECT_EQ(scanner.body_left(), 106U);
    const std::string second = std::string(106, 'X') + bytes("c\0\0\0\4");
    body = scanner.look(second);
    EXPECT_EQ(body.bytes, 106U);
    scanner.take(body, body.bytes);
    EXPECT_TRUE(scanner.at_border());
    EXPECT_EQ(scanner.look(second.substr(106)).head, (Head{'c', 4}));
}

TEST(scanner, passes_rows_in_one_piece_up_to_what_must_be_seen) {
    Scanner scanner(Origin::backend);
    const Passed passed = scanner.pass(answer, server_landmarks);
    EXPECT_EQ(passed.bytes, 0U);  // RowDescription is a landmark
    const std::size_t rows = answer.find('D');
    const std::string_view from_rows = std::string_view(answer).substr(rows);
    const Passed rest = scanner.pass(from_rows, server_landmarks);
    EXPECT_EQ(rest.bytes, 16U);
    EXPECT_EQ(rest.messages, 1U);
    EXPECT_EQ(rest.next.kind, Kind::whole);
    EXPECT_EQ(rest.next.head.type, 'C');
}

TEST(scanner, passes_what_is_here_of_a_long_row_and_goes_on_in_it) {
    Scanner scanner(Origin::backend);
    const std::string stream = bytes("D\0\0\3\xec") + std::string(1000, 'Z') + bytes("Z\0\0\0\5I");
    Passed passed = scanner.pass(std::string_view(stream).substr(0, 300), server_landmarks);
    EXPECT_EQ(passed.bytes, 300U);
    EXPECT_EQ(passed.messages, 1U);
    EXPECT_EQ(passed.next.kind, Kind::nothing);
    EXPECT_EQ(scanner.body_left(), 705U);
    passed = scanner.pass(std::string_view(stream).substr(300), server_landmarks);
    EXPECT_EQ(passed.bytes, 705U);
    EXPECT_EQ(passed.messages, 0U);
    EXPECT_EQ(passed.next.head.type, 'Z');
}

TEST(scanner, refuses_lengths_that_no_message_has) {
    struct Case {
        Origin origin;
        std::string head;
        const char* says;
    };
    const Case cases[] = {
        {Origin::frontend, bytes("Q\0\0\0\3"),
         "the client sent a message of type 'Q' with the length 3, which must be 5 to"},
        {Origin::frontend, bytes("Q\0\0\0\0"), "length 0"},
        {Origin::frontend, bytes("Q\xff\xff\xff\xff"), "length -1"},
        {Origin::frontend, bytes("B\x80\0\0\0"), "length -2147483648"},
        {Origin::frontend, bytes("D\0\0\xfd\xef"), "length 65007, which must be 6 to 65006"},
        {Origin::frontend, bytes("X\0\0\0\5"), "length 5"},
        {Origin::frontend, bytes("S\0\0\0\5"), "length 5"},
        {Origin::frontend, bytes("Z\0\0\0\5"), "the client sent a message of unknown type 'Z'"},
        {Origin::frontend, bytes("\0\0\0\0\x08"), "unknown type 0"},
        {Origin::frontend, bytes("\0\0\0\0\0"), "unknown type 0"},
        {Origin::backend, bytes("Q\0\0\0\4"), "unknown type 'Q'"},
        {Origin::backend, bytes("K\0\0\0\x08"),
         "the server sent a message of type 'K' with the length 8, which must be 12 to 264"},
        {Origin::backend, bytes("K\0\0\1\11"), "length 265"},
        {Origin::backend, bytes("Z\0\0\0\6"), "length 6"},
        {Origin::backend, bytes("H\0\0\0\4"), "length 4"},
        {Origin::backend, bytes("Q\0\0\0\5"), "unknown type 'Q'"},
    };
    for (const Case& c : cases) {
        Scanner scanner(c.origin);
        const Front front = scanner.look(c.head);
        ASSERT_EQ(front.kind, Kind::refused) << c.says;
        EXPECT_EQ(front.bytes, 0U);
        EXPECT_TRUE(scanner.refusal(front).text.contains(c.says)) << scanner.refusal(front).text;
        const Passed passed = scanner.pass(c.head, TypeSet(""));
        EXPECT_EQ(passed.next.kind, Kind::refused);
        EXPECT_EQ(passed.bytes, 0U);
    }
}

TEST(scanner, keeps_to_a_smaller_limit_of_the_configuration) {
    Scanner scanner(Origin::frontend, 1000);
    EXPECT_EQ(scanner.look(bytes("d\0\0\3\xe8")).kind, Kind::begun);
    const Front front = scanner.look(bytes("d\0\0\3\xe9"));
    EXPECT_EQ(front.kind, Kind::refused);
    EXPECT_TRUE(scanner.refusal(front).text.contains("4 to 1000"));
}

TEST(scanner, follows_a_message_of_the_largest_length) {
    Scanner scanner(Origin::frontend);
    const std::string head = bytes("d\x7f\xff\xff\xff");
    const Front front = scanner.look(head);
    ASSERT_EQ(front.kind, Kind::begun);
    EXPECT_EQ(front.head.message_bytes(), 0x8000'0000U);
    scanner.take(front, front.bytes);
    EXPECT_EQ(scanner.body_left(), 0x7fff'fffbU);
}

}  // namespace
}  // namespace pgkeel::pgwire
