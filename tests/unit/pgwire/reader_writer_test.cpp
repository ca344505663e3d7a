#include "bytes.hpp"
#include "pgwire/reader.hpp"
#include "pgwire/writer.hpp"

#include <gtest/gtest.h>

#include <array>

namespace pgkeel::pgwire {
namespace {

TEST(reader, takes_values_in_network_byte_order) {
    const std::string data = bytes("\x01\x80\x02\xff\xff\xff\xfeuser\0rest");
    Reader reader(data);
    EXPECT_EQ(reader.byte(), 1);
    EXPECT_EQ(reader.int16(), 0x8002);
    EXPECT_EQ(reader.int32(), 0xfffffffeU);
    EXPECT_EQ(reader.text(), "user");
    EXPECT_EQ(reader.left(), 4U);
    EXPECT_FALSE(reader.finished());
    EXPECT_EQ(reader.everything_left(), "rest");
    EXPECT_TRUE(reader.finished());
}

TEST(reader, gives_nothing_more_after_the_first_value_that_is_missing) {
    const std::string data = bytes("\0\0\1");
    Reader reader(data);
    EXPECT_EQ(reader.int32(), 0U);
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.byte(), 0);  // one is there, but the structure is broken
    EXPECT_EQ(reader.text(), "");
    EXPECT_FALSE(reader.finished());
}

TEST(reader, wants_the_nul_of_a_text) {
    Reader reader("no end");
    EXPECT_EQ(reader.text(), "");
    EXPECT_FALSE(reader.ok());
    const std::string empty = bytes("\0");
    Reader other(empty);
    EXPECT_EQ(other.text(), "");
    EXPECT_TRUE(other.finished());
}

TEST(reader, is_not_fooled_by_a_count_near_the_largest_number) {
    Reader reader("abc");
    reader.byte();
    EXPECT_EQ(reader.bytes(static_cast<std::size_t>(-1)), "");
    EXPECT_FALSE(reader.ok());
}

TEST(writer, measures_what_it_wrote) {
    std::string out = "before";
    Writer writer(out);
    writer.begin('Q');
    writer.text("select 1");
    writer.end();
    writer.begin_untyped();
    writer.int16(7);
    writer.end();
    EXPECT_TRUE(writer.ok());
    EXPECT_EQ(out, bytes("beforeQ\0\0\0\15select 1\0\0\0\0\6\0\7"));
    EXPECT_EQ(writer.written(), out.substr(6));
}

TEST(writer, takes_back_a_message_that_does_not_fit_and_writes_no_other) {
    std::array<char, 12> buffer;
    Writer writer(buffer);
    writer.begin('S');
    writer.end();
    writer.begin('Q');
    writer.text("select");
    writer.end();
    writer.begin('S');
    writer.end();
    EXPECT_FALSE(writer.ok());
    EXPECT_EQ(writer.written(), bytes("S\0\0\0\4"));
}

TEST(writer, refuses_a_nul_inside_a_text) {
    std::string out = "x";
    Writer writer(out);
    writer.begin('Q');
    writer.text(bytes("select\0drop"));
    writer.end();
    EXPECT_FALSE(writer.ok());
    EXPECT_EQ(out, "x");
}

TEST(writer, cuts_a_text_for_people_at_its_nul) {
    std::string out;
    Writer writer(out);
    writer.begin('Q');
    writer.text_up_to_nul(bytes("select\0drop"));
    writer.end();
    EXPECT_TRUE(writer.ok());
    EXPECT_EQ(out, bytes("Q\0\0\0\13select\0"));
}

TEST(writer, counts_a_body_that_comes_later_up_to_the_largest_length) {
    std::string out;
    Writer fits(out);
    fits.begin('B');
    fits.end(Writer::length_max - 4);
    EXPECT_TRUE(fits.ok());
    EXPECT_EQ(out, bytes("B\x7f\xff\xff\xff"));
    for (const std::uint64_t too_much : {Writer::length_max - 3, std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
        Writer writer(out);
        writer.begin('B');
        writer.end(too_much);
        EXPECT_FALSE(writer.ok());
        EXPECT_EQ(writer.size(), 0U);
    }
}

}  // namespace
}  // namespace pgkeel::pgwire
