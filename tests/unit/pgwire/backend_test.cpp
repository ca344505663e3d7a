#include "bytes.hpp"
#include "pgwire/backend_builders.hpp"
#include "pgwire/backend_readers.hpp"
#include "pgwire/error_fields.hpp"

#include <gtest/gtest.h>

#include <array>

namespace pgkeel::pgwire::backend {
namespace {

TEST(ready_for_query, has_one_of_three_states) {
    EXPECT_EQ(built(write_ready_for_query, TransactionStatus::failed), bytes("Z\0\0\0\5E"));
    EXPECT_EQ(read_ready_for_query("I").value(), TransactionStatus::idle);
    EXPECT_EQ(read_ready_for_query("T").value(), TransactionStatus::open);
    for (const char* wrong : {"", "X", "II"}) EXPECT_FALSE(read_ready_for_query(wrong)) << wrong;
}

TEST(command_complete, is_a_tag) {
    EXPECT_EQ(built(write_command_complete, "SELECT 1"), bytes("C\0\0\0\15SELECT 1\0"));
    EXPECT_EQ(read_command_complete(bytes("DEALLOCATE ALL\0")).value_or("wrong"), "DEALLOCATE ALL");
    EXPECT_FALSE(read_command_complete("SELECT 1"));
}

TEST(error_response, is_read_as_postgresql_sends_it) {
    // PostgreSQL 15 on the startup option `-c search_path=a\ b`.
    const std::string message = bytes(
        "E\0\0\0\213SFATAL\0VFATAL\0C22023\0Minvalid value for parameter \"search_path\": \"a b\"\0"
        "DList syntax is invalid.\0Fguc.c\0L12085\0Rcall_string_check_hook\0\0");
    ASSERT_EQ(message.size(), 0x8bU + 1);
    const auto fields = read_error_fields(body_of(message));
    ASSERT_TRUE(fields);
    EXPECT_EQ(fields->severity, "FATAL");
    EXPECT_TRUE(fields->ends_the_connection());
    EXPECT_EQ(fields->sqlstate, "22023");
    EXPECT_EQ(fields->message, "invalid value for parameter \"search_path\": \"a b\"");
    EXPECT_EQ(fields->detail, "List syntax is invalid.");
    EXPECT_EQ(fields->hint, "");
}

TEST(error_response, may_lack_any_field) {
    const std::string none = bytes("\0");
    const auto fields = read_error_fields(none);
    ASSERT_TRUE(fields);
    EXPECT_EQ(fields->sqlstate, "");
    EXPECT_EQ(fields->message, "");
    EXPECT_FALSE(fields->ends_the_connection());
    const std::string strange = bytes("SFEHLER\0Cab-12\0?x\0\0");
    const auto odd = read_error_fields(strange);
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->severity, "FEHLER");  // no V: before 9.6
    EXPECT_EQ(odd->sqlstate, "");
}

TEST(error_response, is_refused_when_it_does_not_end_where_it_should) {
    for (const std::string& wrong : {bytes(""), bytes("M"), bytes("Mx"), bytes("Mx\0"), bytes("Mx\0\0\0")})
        EXPECT_FALSE(read_error_fields(wrong));
    std::string many;
    for (int i = 0; i < 64; ++i) many += bytes("Mx\0");
    EXPECT_TRUE(read_error_fields(many + bytes("\0")));
    EXPECT_FALSE(read_error_fields(many + bytes("Mx\0\0")));
}

TEST(error_response, of_our_own_has_what_drivers_look_for) {
    const Report report{Severity::fatal, "57P03", "no primary", "", "wait"};
    EXPECT_EQ(built(write_error_response, report), bytes("E\0\0\0\054SFATAL\0VFATAL\0C57P03\0Mno primary\0Hwait\0\0"));
    EXPECT_EQ(built(write_notice_response, Report{Severity::notice, "", "m", "d", ""}),
              bytes("N\0\0\0\042SNOTICE\0VNOTICE\0CXX000\0Mm\0Dd\0\0"));
    // A name that a client sent can be in the text: its NUL ends the field and does not begin another.
    const std::string message =
        built(write_error_response, Report{Severity::error, "08P01", bytes("a\0C00000"), "", ""});
    const auto cut = read_error_fields(body_of(message));
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->message, "a");
    EXPECT_EQ(cut->sqlstate, "08P01");
}

TEST(parameter_status, has_a_name_and_a_value) {
    EXPECT_EQ(built(write_parameter_status, "TimeZone", "GMT"), bytes("S\0\0\0\021TimeZone\0GMT\0"));
    const std::string body = bytes("search_path\0\0");
    const auto status = read_parameter_status(body);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->name, "search_path");
    EXPECT_EQ(status->value, "");
    for (const std::string& wrong : {bytes("a\0"), bytes("a\0b"), bytes("\0b\0"), bytes("a\0b\0c")})
        EXPECT_FALSE(read_parameter_status(wrong));
}

TEST(backend_key_data, has_a_key_of_4_to_256_bytes) {
    EXPECT_EQ(built(write_backend_key_data, 12345, "key!"), bytes("K\0\0\0\014\0\0\x30\x39key!"));
    const std::string longest(256, 'k');
    const std::string message = built(write_backend_key_data, 1, longest);
    EXPECT_EQ(message.substr(0, 9), bytes("K\0\0\1\010\0\0\0\1"));
    const auto back = read_backend_key_data(body_of(message));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->key, longest);
    EXPECT_EQ(built(write_backend_key_data, 1, longest + "k"), "");
    EXPECT_EQ(built(write_backend_key_data, 1, "key"), "");
    for (const std::string& wrong :
         {bytes("\0\0\0\1"), bytes("\0\0\0\1key"), bytes("\0\0"), bytes("\0\0\0\1") + longest + "k"})
        EXPECT_FALSE(read_backend_key_data(wrong));
}

TEST(authentication, is_read_as_postgresql_asks_for_scram) {
    const std::string message = bytes("R\0\0\0\027\0\0\0\012SCRAM-SHA-256\0\0");
    const auto sasl = read_authentication(body_of(message));
    ASSERT_TRUE(sasl);
    EXPECT_EQ(sasl->kind, Authentication::Kind::sasl);
    EXPECT_TRUE(sasl->mechanisms.has("SCRAM-SHA-256"));
    EXPECT_FALSE(sasl->mechanisms.has("SCRAM-SHA-256-PLUS"));
    EXPECT_FALSE(sasl->mechanisms.has("SCRAM"));
    EXPECT_EQ(built(write_authentication_sasl, {"SCRAM-SHA-256"}), message);
    const std::string both = built(write_authentication_sasl, {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
    EXPECT_TRUE(read_authentication(body_of(both))->mechanisms.has("SCRAM-SHA-256"));
}

TEST(authentication, has_the_layout_of_the_manual) {
    EXPECT_EQ(built(write_authentication_ok), bytes("R\0\0\0\010\0\0\0\0"));
    EXPECT_EQ(built(write_authentication_cleartext), bytes("R\0\0\0\010\0\0\0\3"));
    const std::array<char, 4> salt{'\1', '\0', '\3', '\4'};
    const std::string md5 = built(write_authentication_md5, std::span<const char, 4>(salt));
    EXPECT_EQ(md5, bytes("R\0\0\0\014\0\0\0\5\1\0\3\4"));
    EXPECT_EQ(read_authentication(body_of(md5))->data, bytes("\1\0\3\4"));
    const std::string next = built(write_authentication_sasl_continue, "r=x");
    EXPECT_EQ(next, bytes("R\0\0\0\013\0\0\0\013r=x"));
    EXPECT_EQ(read_authentication(body_of(next))->data, "r=x");
    const auto last = read_authentication(bytes("\0\0\0\014v=y"));
    EXPECT_EQ(last->kind, Authentication::Kind::sasl_final);
}

TEST(authentication, is_refused_when_it_is_malformed_or_unknown) {
    for (const std::string& wrong :
         {bytes(""), bytes("\0\0\0"), bytes("\0\0\0\0x"), bytes("\0\0\0\5abc"), bytes("\0\0\0\5abcde"),
          bytes("\0\0\0\012"), bytes("\0\0\0\012\0"), bytes("\0\0\0\012SCRAM-SHA-256\0"),
          bytes("\0\0\0\012SCRAM-SHA-256"), bytes("\0\0\0\012A\0\0B\0")})
        EXPECT_FALSE(read_authentication(wrong));
    const auto unknown = read_authentication(bytes("\0\0\0\143"));
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().text, "the server asks for the unknown authentication method 99");
}

TEST(negotiate_protocol_version, names_the_version_and_what_is_refused) {
    Negotiation negotiation;
    negotiation.version = {3, 0};
    negotiation.refused = {"_pq_.a", "_pq_.bc"};
    const std::string message = built(write_negotiate_protocol_version, negotiation);
    EXPECT_EQ(message, bytes("v\0\0\0\033\0\3\0\0\0\0\0\2_pq_.a\0_pq_.bc\0"));
    const auto back = read_negotiate_protocol_version(body_of(message));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->version, 196608U);
    EXPECT_EQ(back->refused, negotiation.refused);
    for (const std::string& wrong : {bytes("\0\3\0\0\xff\xff\xff\xff"), bytes("\0\3\0\0\x80\0\0\0a\0"),
                                     bytes("\0\3\0\0\0\0\0\2a\0"), bytes("\0\3\0\0\0\0\0\0a\0")})
        EXPECT_FALSE(read_negotiate_protocol_version(wrong));
}

TEST(row_description, is_read_as_postgresql_sends_it) {
    const std::string body = bytes(
        "\0\2one\0\0\0\0\0\0\0\0\0\0\27\0\4\xff\xff\xff\xff\0\0nothing\0\0\0\0\0\0\0\0\0\0\31\xff\xff\xff\xff\xff\xff\0"
        "\0");
    const auto fields = read_row_description(body);
    ASSERT_TRUE(fields);
    ASSERT_EQ(fields->size(), 2U);
    EXPECT_EQ((*fields)[0].name, "one");
    EXPECT_EQ((*fields)[0].type, 23U);
    EXPECT_EQ((*fields)[0].type_size, 4U);
    EXPECT_EQ((*fields)[1].name, "nothing");
    EXPECT_EQ((*fields)[1].type, 25U);
    const std::array columns{Column{"one", 23, 4}, Column{"nothing"}};
    EXPECT_EQ(body_of(built(write_row_description, std::span<const Column>(columns))), body);
    for (std::size_t size = 0; size < body.size(); ++size)
        EXPECT_FALSE(read_row_description(body.substr(0, size))) << size;
}

TEST(data_row, tells_null_from_empty) {
    const std::array<std::optional<std::string_view>, 3> values{"1", std::nullopt, ""};
    const std::string message = built(write_data_row, std::span<const std::optional<std::string_view>>(values));
    EXPECT_EQ(message, bytes("D\0\0\0\023\0\3\0\0\0\0011\xff\xff\xff\xff\0\0\0\0"));
    const auto back = read_data_row(body_of(message));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, Values(values.begin(), values.end()));
    for (const std::string& wrong : {bytes(""), bytes("\0\1"), bytes("\0\1\0\0\0\2x"), bytes("\0\1\xff\xff\xff\xfe"),
                                     bytes("\xff\xff"), bytes("\0\0x"), bytes("\0\1\x7f\xff\xff\xffx")})
        EXPECT_FALSE(read_data_row(wrong));
}

TEST(parameter_description, is_a_list_of_types) {
    const std::array<std::uint32_t, 2> types_given{23, 25};
    const std::string message = built(write_parameter_description, std::span<const std::uint32_t>(types_given));
    EXPECT_EQ(message, bytes("t\0\0\0\016\0\2\0\0\0\27\0\0\0\31"));
    EXPECT_EQ(read_parameter_description(body_of(message)).value(), (std::vector<std::uint32_t>{23, 25}));
    EXPECT_FALSE(read_parameter_description(bytes("\0\2\0\0\0\27")));
}

TEST(notification, has_a_channel_and_a_payload) {
    const std::string body = bytes("\0\0\0\7x\0hello\0");
    const auto notification = read_notification(body);
    ASSERT_TRUE(notification);
    EXPECT_EQ(notification->process_id, 7U);
    EXPECT_EQ(notification->channel, "x");
    EXPECT_EQ(notification->payload, "hello");
    EXPECT_FALSE(read_notification(bytes("\0\0\0\7x\0hello")));
}

TEST(answers, without_a_body_are_five_bytes) {
    EXPECT_EQ(built(write_parse_complete), bytes("1\0\0\0\4"));
    EXPECT_EQ(built(write_bind_complete), bytes("2\0\0\0\4"));
    EXPECT_EQ(built(write_close_complete), bytes("3\0\0\0\4"));
    EXPECT_EQ(built(write_no_data), bytes("n\0\0\0\4"));
    EXPECT_EQ(built(write_empty_query_response), bytes("I\0\0\0\4"));
}

}  // namespace
}  // namespace pgkeel::pgwire::backend
