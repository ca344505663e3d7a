#include "proxy/handover_frames.hpp"

#include <gtest/gtest.h>

namespace pgkeel::proxy {
namespace {

using namespace handover;

Result<Message> round_trip(const Message& message) {
    const auto bytes = encode(message, 1);
    const auto head = decode_handover_head(bytes.reveal().substr(0, HandoverHead::bytes));
    if (!head) return std::unexpected(head.error());
    EXPECT_EQ(head->body_bytes, bytes.size() - HandoverHead::bytes);
    EXPECT_EQ(head->sockets, 1);
    return decode_handover_body(head->kind, bytes.reveal().substr(HandoverHead::bytes));
}

template <class T>
void comes_back(const T& message) {
    const auto read = round_trip(message);
    ASSERT_TRUE(read) << name_of(message) << ": " << read.error().text;
    ASSERT_TRUE(std::holds_alternative<T>(*read)) << name_of(message);
    EXPECT_EQ(std::get<T>(*read), message) << name_of(message);
}

TEST(handover_frames, every_message_comes_back) {
    comes_back(Hello{.protocol = 7, .version = "1.2"});
    comes_back(Welcome{.protocol = 1, .version = "1.2", .process_id = 4711, .generation = 3});
    comes_back(Refusal{.text = "why", .hint = "then"});
    comes_back(handover::Listener{.host = "::1", .port = 6432, .is_for_handover = true});
    comes_back(ListenersEnd{});
    comes_back(Ready{});
    comes_back(Go{.is_paused = true, .paused = {"a", "b"}, .disabled = {"c"}});
    comes_back(Taken{.number = 1ULL << 40});
    comes_back(NotTaken{.number = 2, .later = true, .why = "not now"});
    comes_back(Settled{});
    comes_back(Farewell{});
    comes_back(Cancel{.number = 9, .key = 0x8877665544332211});
    comes_back(Cancelled{.number = 9});
    const auto session = round_trip(Session{.number = 5, .image = auth::SecretText("image")});
    ASSERT_TRUE(session);
    EXPECT_EQ(std::get<Session>(*session).number, 5U);
    EXPECT_EQ(std::get<Session>(*session).image.reveal(), "image");
}

TEST(handover_frames, what_is_no_frame_is_refused) {
    EXPECT_FALSE(decode_handover_head(std::string(6, '\0'))) << "no kind";
    EXPECT_FALSE(decode_handover_head(std::string(6, '\xff')));
    EXPECT_FALSE(decode_handover_head("abc"));
    EXPECT_FALSE(decode_handover_body(1, ""));
    EXPECT_FALSE(decode_handover_body(0, ""));
    EXPECT_FALSE(decode_handover_body(99, ""));
    EXPECT_FALSE(decode_handover_body(5, "more than nothing"));
}

}  // namespace
}  // namespace pgkeel::proxy
