#include "pgwire/framing.hpp"

#include "pgwire/reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgkeel::pgwire {
namespace {

using LimitTable = std::array<LengthLimits, 256>;

constexpr std::uint32_t small_max = 10'000;
constexpr std::uint32_t name_max = 65'000;  ///< frontend::name_bytes_max
constexpr std::uint32_t large_max = 0x7fff'ffff;
constexpr std::uint32_t text_max = 1 << 20;  ///< a tag, a parameter's value: far above what servers send

constexpr void allow(LimitTable& table, std::string_view types, std::uint32_t min, std::uint32_t max) {
    for (const char type : types) table[static_cast<unsigned char>(type)] = {min, max};
}

constexpr LimitTable make_frontend_table() {
    LimitTable table{};
    allow(table, "Q", 5, large_max);
    allow(table, "P", 8, large_max);
    allow(table, "B", 12, large_max);
    allow(table, "F", 14, large_max);
    allow(table, "d", 4, large_max);
    // They hold a name, which a pooler replaces by a short one: longer than what a server would take.
    allow(table, "DC", 6, 4 + 1 + name_max + 1);
    allow(table, "E", 9, small_max);
    allow(table, "f", 5, small_max);
    // They have no body; one that came with them would be bytes which nobody has judged.
    allow(table, "HScX", 4, 4);
    allow(table, "p", 4, 65'535);
    return table;
}

constexpr LimitTable make_backend_table() {
    LimitTable table{};
    allow(table, "D", 6, large_max);
    allow(table, "d", 4, large_max);
    allow(table, "V", 8, large_max);
    allow(table, "EN", 5, large_max);
    allow(table, "A", 10, large_max);
    allow(table, "T", 6, large_max);
    allow(table, "123nsIc", 4, 4);
    allow(table, "Z", 5, 5);
    allow(table, "K", 12, 4 + 4 + 256);
    allow(table, "t", 6, 4 + 2 + 4 * 65'535);
    allow(table, "GHW", 7, 4 + 1 + 2 + 2 * 65'535);
    allow(table, "C", 5, text_max);
    allow(table, "S", 6, text_max);
    allow(table, "R", 8, 65'535);
    allow(table, "v", 12, 65'535);
    return table;
}

constexpr LimitTable frontend_table = make_frontend_table();
constexpr LimitTable backend_table = make_backend_table();

const LimitTable& table_of(Origin origin) {
    return origin == Origin::frontend ? frontend_table : backend_table;
}

std::string printable(char type) {
    return type > 0x20 && type < 0x7f ? fmt::format("'{}'", type) : fmt::format("{}", static_cast<unsigned char>(type));
}

}  // namespace

LengthLimits length_limits(Origin origin, char type) {
    return table_of(origin)[static_cast<unsigned char>(type)];
}

Front Scanner::look(std::string_view received) const {
    if (body_left_ > 0) {
        if (received.empty()) return {};
        return {Front::Kind::body, current_, std::min<std::size_t>(received.size(), body_left_)};
    }
    if (received.size() < head_bytes) return {};
    Reader reader(received.substr(0, head_bytes));
    Head head;
    head.type = static_cast<char>(reader.byte());
    head.length = reader.int32();
    // An unknown type has no length between its limits, and a negative length is above every maximum.
    const LengthLimits limits = table_of(origin_)[static_cast<unsigned char>(head.type)];
    if (head.length < limits.min || head.length > std::min(limits.max, length_max_))
        return {Front::Kind::refused, head, 0};
    if (head.message_bytes() <= received.size())
        return {Front::Kind::whole, head, static_cast<std::size_t>(head.message_bytes())};
    return {Front::Kind::begun, head, received.size()};
}

void Scanner::take(const Front& front, std::size_t count) {
    if (front.kind == Front::Kind::body) {
        body_left_ -= static_cast<std::uint32_t>(std::min<std::size_t>(count, body_left_));
        return;
    }
    current_ = front.head;
    body_left_ = static_cast<std::uint32_t>(front.head.message_bytes() - count);
}

Passed Scanner::pass(std::string_view received, const TypeSet& stops) {
    Passed out;
    while (true) {
        out.next = look(received.substr(out.bytes));
        switch (out.next.kind) {
            case Front::Kind::nothing:
            case Front::Kind::refused:
                return out;
            case Front::Kind::body:
                break;
            case Front::Kind::begun:
            case Front::Kind::whole:
                if (stops.has(out.next.head.type)) return out;
                ++out.messages;
        }
        take(out.next, out.next.bytes);
        out.bytes += out.next.bytes;
    }
}

Error Scanner::refusal(const Front& front) const {
    const Head& head = front.head;
    const char* side = origin_ == Origin::frontend ? "client" : "server";
    const LengthLimits limits = length_limits(origin_, head.type);
    if (limits.max == 0)
        return {Errc::invalid_input,
                fmt::format("the {} sent a message of unknown type {}", side, printable(head.type)),
                {}};
    return {Errc::invalid_input,
            fmt::format("the {} sent a message of type {} with the length {}, which must be {} to {}", side,
                        printable(head.type), static_cast<std::int32_t>(head.length), limits.min,
                        std::min(limits.max, length_max_)),
            {}};
}

}  // namespace pgkeel::pgwire
