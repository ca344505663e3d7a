// What a pooler does for every message costs no allocation: counted, with operators new and delete of its own.
#include "bytes.hpp"
#include "pgwire/backend_readers.hpp"
#include "pgwire/error_fields.hpp"
#include "pgwire/framing.hpp"
#include "pgwire/frontend_builders.hpp"
#include "pgwire/frontend_readers.hpp"
#include "support/allocations.hpp"

#include <gtest/gtest.h>

#include <array>

namespace pgkeel::pgwire {
namespace {

TEST(allocations, are_counted_here) {
    if (!test::allocations_are_counted()) GTEST_SKIP() << "ThreadSanitizer has operators of its own";
    const std::size_t before = test::allocations();
    const std::string text(1000, 'x');
    [[maybe_unused]] const char* volatile seen = text.data();  // else the compiler leaves the string out
    EXPECT_GT(test::allocations(), before) << text.size();
}

TEST(allocations, are_not_made_for_a_message) {
    const std::string client = bytes(
        "P\0\0\0\027s1\0select $1\0\0\1\0\0\0\27"
        "B\0\0\0\023\0s1\0\0\0\0\1\0\0\0\0011\0\0"
        "D\0\0\0\6P\0E\0\0\0\11\0\0\0\0\0S\0\0\0\4");
    const std::string server = bytes(
        "1\0\0\0\4D\0\0\0\13\0\1\0\0\0\0011C\0\0\0\15SELECT 1\0S\0\0\0\10a\0b\0E\0\0\0\17SFATAL\0Mm\0\0Z\0\0\0\5I");
    std::array<char, 256> buffer;
    std::size_t read = 0;

    const std::size_t before = test::allocations();
    Scanner from_client(Origin::frontend);
    for (std::string_view rest = client; !rest.empty();) {
        const Front front = from_client.look(rest);
        if (front.kind != Front::Kind::whole) break;
        const std::string_view body = front.body(rest);
        Writer writer(buffer);
        if (front.head.type == 'P') {
            const auto parse = frontend::read_parse(body);
            if (parse) frontend::write_parse(writer, "pgkeel_1", *parse);
            read += writer.ok() && writer.size() > 0;
        }
        if (front.head.type == 'B') {
            const auto names = frontend::read_bind_names(front.head, body);
            if (names && *names) frontend::write_bind_names(writer, front.head, **names, "pgkeel_1");
            read += writer.ok() && writer.size() > 0;
        }
        if (front.head.type == 'D') read += frontend::read_target(body).has_value();
        if (front.head.type == 'E') read += frontend::read_execute(body).has_value();
        from_client.take(front, front.bytes);
        rest.remove_prefix(front.bytes);
    }
    Scanner from_server(Origin::backend);
    for (std::string_view rest = server; !rest.empty();) {
        const Passed passed = from_server.pass(rest, server_landmarks);
        rest.remove_prefix(passed.bytes);
        if (passed.next.kind != Front::Kind::whole) break;
        const std::string_view body = passed.next.body(rest);
        switch (passed.next.head.type) {
            case 'C':
                read += backend::read_command_complete(body).has_value();
                break;
            case 'S':
                read += backend::read_parameter_status(body).has_value();
                break;
            case 'E':
                read += backend::read_error_fields(body).has_value();
                break;
            case 'Z':
                read += backend::read_ready_for_query(body).has_value();
                break;
            default:
                break;
        }
        from_server.take(passed.next, passed.next.bytes);
        rest.remove_prefix(passed.next.bytes);
    }
    EXPECT_EQ(test::allocations(), before);
    EXPECT_EQ(read, 8U);
}

}  // namespace
}  // namespace pgkeel::pgwire
