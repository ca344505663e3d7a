#include "proxy/handover_frames.hpp"

#include "pool/image_bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace pgkeel::proxy {

using namespace handover;
using pool::ImageReader;
using pool::ImageWriter;

namespace {

void write(ImageWriter& out, const std::vector<std::string>& names) {
    out.number(names.size(), 4);
    for (const std::string& name : names) out.text(name);
}

std::vector<std::string> read_names(ImageReader& in) {
    std::vector<std::string> names;
    for (std::size_t left = in.count(); left > 0 && in.ok(); --left) names.push_back(in.name());
    return names;
}

// ---- bodies

struct WriteBody {
    ImageWriter& out;

    void operator()(const Hello& hello) const {
        out.number(hello.protocol, 4);
        out.text(hello.version);
    }
    void operator()(const Welcome& welcome) const {
        out.number(welcome.protocol, 4);
        out.text(welcome.version);
        out.number(static_cast<std::uint64_t>(welcome.process_id), 4);
        out.number(welcome.generation, 4);
    }
    void operator()(const Refusal& refusal) const {
        out.text(refusal.text);
        out.text(refusal.hint);
    }
    void operator()(const Listener& listener) const {
        out.text(listener.host);
        out.number(listener.port, 2);
        out.boolean(listener.is_for_handover);
    }
    void operator()(const Go& go) const {
        out.boolean(go.is_paused);
        write(out, go.paused);
        write(out, go.disabled);
    }
    void operator()(const Session& session) const {
        out.number(session.number, 8);
        out.text(session.image.reveal());
    }
    void operator()(const Taken& taken) const { out.number(taken.number, 8); }
    void operator()(const NotTaken& not_taken) const {
        out.number(not_taken.number, 8);
        out.boolean(not_taken.later);
        out.text(not_taken.why);
    }
    void operator()(const Cancel& cancel) const {
        out.number(cancel.number, 4);
        out.number(cancel.key, 8);
    }
    void operator()(const Cancelled& cancelled) const { out.number(cancelled.number, 4); }
    void operator()(const auto& /*nothing*/) const {}
};

void read(ImageReader& in, Hello& hello) {
    hello.protocol = static_cast<std::uint32_t>(in.number(4));
    hello.version = in.name();
}
void read(ImageReader& in, Welcome& welcome) {
    welcome.protocol = static_cast<std::uint32_t>(in.number(4));
    welcome.version = in.name();
    welcome.process_id = static_cast<std::int64_t>(in.number(4));
    welcome.generation = static_cast<std::uint32_t>(in.number(4));
}
void read(ImageReader& in, Refusal& refusal) {
    refusal.text = in.name();
    refusal.hint = in.name();
}
void read(ImageReader& in, Listener& listener) {
    listener.host = in.name();
    listener.port = static_cast<std::uint16_t>(in.number(2));
    listener.is_for_handover = in.boolean();
}
void read(ImageReader& in, Go& go) {
    go.is_paused = in.boolean();
    go.paused = read_names(in);
    go.disabled = read_names(in);
}
void read(ImageReader& in, Session& session) {
    session.number = in.number(8);
    session.image = auth::SecretText(in.text());
}
void read(ImageReader& in, Taken& taken) {
    taken.number = in.number(8);
}
void read(ImageReader& in, NotTaken& not_taken) {
    not_taken.number = in.number(8);
    not_taken.later = in.boolean();
    not_taken.why = in.name();
}
void read(ImageReader& in, Cancel& cancel) {
    cancel.number = static_cast<std::uint32_t>(in.number(4));
    cancel.key = in.number(8);
}
void read(ImageReader& in, Cancelled& cancelled) {
    cancelled.number = static_cast<std::uint32_t>(in.number(4));
}
void read(ImageReader&, auto& /*nothing*/) {}

using Read = Message (*)(ImageReader&);

template <std::size_t... index>
constexpr std::array<Read, sizeof...(index)> readers(std::index_sequence<index...>) {
    return {[](ImageReader& in) -> Message {
        std::variant_alternative_t<index, Message> body;
        read(in, body);
        return body;
    }...};
}

constexpr auto read_body = readers(std::make_index_sequence<std::variant_size_v<Message>>());

}  // namespace

const char* handover::name_of(const Message& message) {
    static constexpr std::array names{"hello",
                                      "welcome",
                                      "refusal",
                                      "a listener",
                                      "the end of listeners",
                                      "ready",
                                      "go",
                                      "a session",
                                      "taken",
                                      "not taken",
                                      "settled",
                                      "farewell",
                                      "a cancel request",
                                      "the end of a cancel request"};
    static_assert(names.size() == std::variant_size_v<Message>);
    return names[message.index()];
}

auth::SecretText encode(const Message& message, std::size_t sockets) {
    auth::SecretText body;
    ImageWriter to_body(body);
    std::visit(WriteBody{to_body}, message);
    auth::SecretText whole;
    ImageWriter out(whole);
    out.number(body.size(), 4);
    out.number(message.index() + 1, 1);
    out.number(sockets, 1);
    whole.append(body.reveal());
    return whole;
}

Result<HandoverHead> decode_handover_head(std::string_view bytes) {
    ImageReader in(bytes);
    HandoverHead head;
    head.body_bytes = static_cast<std::uint32_t>(in.up_to(handover_body_max, 4));
    head.kind = static_cast<std::uint8_t>(in.up_to(read_body.size(), 1));
    head.sockets = static_cast<std::uint8_t>(in.up_to(handover_sockets_max, 1));
    if (!in.is_over() || head.kind == 0)
        return fail(Errc::invalid_input, "the other process says what is not the handover protocol");
    return head;
}

Result<Message> decode_handover_body(std::uint8_t kind, std::string_view body) {
    if (kind == 0 || kind > read_body.size())
        return fail(Errc::invalid_input, "the other process says what is not the handover protocol");
    ImageReader in(body);
    Message message = read_body[kind - std::size_t{1}](in);
    if (!in.is_over())
        return fail(Errc::invalid_input,
                    fmt::format("the other process has sent {} that cannot be read", name_of(message)));
    return message;
}

}  // namespace pgkeel::proxy
