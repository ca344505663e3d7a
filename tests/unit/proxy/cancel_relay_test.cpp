#include "proxy/cancel_relay.hpp"

#include <gtest/gtest.h>

namespace pgkeel::proxy {
namespace {

using namespace handover;
using pool::ClientRef;

struct Neighbour final : HandoverPeer {
    bool is_there = true;
    std::vector<Cancel> asked;
    std::vector<std::uint32_t> answered;
    bool tell(Message message) override {
        if (!is_there) return false;
        if (const auto* cancel = std::get_if<Cancel>(&message)) asked.push_back(*cancel);
        if (const auto* cancelled = std::get_if<Cancelled>(&message)) answered.push_back(cancelled->number);
        return true;
    }
};

struct CancelRelayTest : testing::Test {
    std::vector<ClientRef> dismissed;
    CancelRelay relay{[this](ClientRef who) { dismissed.push_back(who); }};
    Neighbour before, after;
    ClientRef client{1, 7};
};

TEST_F(CancelRelayTest, alone_there_is_nobody_to_ask) {
    EXPECT_FALSE(relay.ask(5, client));
    before.is_there = false;
    relay.add(before);
    EXPECT_FALSE(relay.ask(5, client));
}

TEST_F(CancelRelayTest, a_client_is_dismissed_when_all_have_answered) {
    relay.add(before);
    relay.add(after);
    ASSERT_TRUE(relay.ask(5, client));
    ASSERT_EQ(before.asked.size(), 1U);
    EXPECT_EQ(before.asked[0].key, 5U);
    relay.answered_by(before, before.asked[0].number);
    relay.answered_by(before, before.asked[0].number);
    EXPECT_TRUE(dismissed.empty());
    relay.answered_by(after, after.asked[0].number);
    EXPECT_EQ(dismissed, std::vector{client});
}

TEST_F(CancelRelayTest, a_neighbour_that_goes_has_answered) {
    relay.add(before);
    ASSERT_TRUE(relay.ask(5, client));
    relay.remove(before);
    EXPECT_EQ(dismissed, std::vector{client});
    EXPECT_FALSE(relay.ask(5, client));
}

TEST_F(CancelRelayTest, a_request_is_passed_on_along_the_row_and_not_back) {
    relay.add(before);
    relay.add(after);
    const std::uint32_t number = relay.asked_by(after, {.number = 77, .key = 5});
    relay.pass_on(number, 5);
    EXPECT_TRUE(after.asked.empty());
    ASSERT_EQ(before.asked.size(), 1U);
    relay.answered_by(before, before.asked[0].number);
    EXPECT_EQ(after.answered, std::vector<std::uint32_t>{77});
}

TEST_F(CancelRelayTest, at_the_end_of_the_row_there_is_an_answer_at_once) {
    relay.add(after);
    relay.pass_on(relay.asked_by(after, {.number = 77, .key = 5}), 5);
    EXPECT_EQ(after.answered, std::vector<std::uint32_t>{77});
    relay.done(relay.asked_by(after, {.number = 78, .key = 6}));
    EXPECT_EQ(after.answered, (std::vector<std::uint32_t>{77, 78}));
}

TEST_F(CancelRelayTest, nothing_is_told_to_who_has_gone) {
    relay.add(after);
    const std::uint32_t number = relay.asked_by(after, {.number = 77, .key = 5});
    relay.remove(after);
    relay.done(number);
    EXPECT_TRUE(after.answered.empty());
}

}  // namespace
}  // namespace pgkeel::proxy
