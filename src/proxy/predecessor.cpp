#include "proxy/predecessor.hpp"

#include "base/version.hpp"
#include "log/log.hpp"
#include "proxy/world.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace pgkeel::proxy {

using namespace std::chrono_literals;
using namespace handover;

namespace {

/// For an answer of a process that has nothing else to do for it than to let its threads rest.
constexpr Duration patience = 10s;
/// What it is told is a few bytes: they fit, unless it hangs.
constexpr Duration send_patience = 1s;

}  // namespace

Result<std::unique_ptr<Predecessor>> Predecessor::ask(const std::string& path) {
    auto channel = HandoverChannel::connect(path);
    if (!channel) return std::unexpected(std::move(channel.error()));
    std::unique_ptr<Predecessor> found(new Predecessor(std::move(*channel)));
    if (auto greeted = found->greet(); !greeted) return std::unexpected(std::move(greeted.error()));
    return found;
}

Predecessor::~Predecessor() {
    channel_.shut();
    if (thread_.joinable()) thread_.join();
}

/// The next word, which has to come. A refusal is an error.
Result<HandoverFrame> Predecessor::next(Duration within) {
    auto frame = channel_.receive(within);
    if (!frame) return std::unexpected(std::move(frame.error()));
    if (!*frame) return fail(Errc::unavailable, "it has hung up");
    if (const auto* refusal = std::get_if<Refusal>(&(*frame)->message))
        return fail(Errc::conflict, refusal->text, refusal->hint);
    return std::move(**frame);
}

Result<> Predecessor::greet() {
    if (auto sent = channel_.send({.message = Hello{.version = version()}, .sockets = {}}, send_patience); !sent)
        return sent;
    auto first = next(patience);
    if (!first) return std::unexpected(std::move(first.error()));
    const auto* welcome = std::get_if<Welcome>(&first->message);
    if (welcome == nullptr || welcome->protocol != handover_protocol)
        return fail(Errc::invalid_input, fmt::format("it answers with {}", name_of(first->message)));
    generation_ = welcome->generation + 1;
    process_id_ = welcome->process_id;
    process_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process_id_), 0)));
    for (;;) {
        auto frame = next(patience);
        if (!frame) return std::unexpected(std::move(frame.error()));
        if (std::holds_alternative<ListenersEnd>(frame->message)) return {};
        const auto* listener = std::get_if<handover::Listener>(&frame->message);
        if (listener == nullptr || frame->sockets.size() != 1)
            return fail(Errc::invalid_input,
                        fmt::format("it sends {} where a listener was expected", name_of(frame->message)));
        if (listener->is_for_handover)
            handover_socket_ = std::move(frame->sockets.front());
        else
            listeners_.push_back(
                {.at = {.host = listener->host, .port = listener->port}, .socket = std::move(frame->sockets.front())});
    }
}

Result<> Predecessor::commit() {
    if (auto sent = channel_.send({.message = Ready{}, .sockets = {}}, send_patience); !sent) return sent;
    auto answer = next(patience);
    // Its sockets are ours as well: if it has ended, nobody else serves.
    if (!answer && answer.error().code == Errc::unavailable && has_died()) {
        ended(answer.error().text);
        return {};
    }
    if (!answer) return std::unexpected(std::move(answer.error()));
    auto* go = std::get_if<Go>(&answer->message);
    if (go == nullptr) return fail(Errc::invalid_input, fmt::format("it answers with {}", name_of(answer->message)));
    go_ = std::move(*go);
    log::info("took over from process {}", process_id_);
    return {};
}

bool Predecessor::has_died() const {
    if (!process_) return ::access(fmt::format("/proc/{}", process_id_).c_str(), F_OK) != 0;
    // Its descriptors are closed a moment before it is dead.
    pollfd watched{.fd = process_.number(), .events = POLLIN, .revents = 0};
    return ::poll(&watched, 1, 1000) > 0;
}

void Predecessor::receive_for(World& world) {
    world_ = &world;
    if (!gone_) world_->cancels().add(*this);
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "pgkeel-takeover");
        receive();
    });
}

void Predecessor::receive() {
    while (!gone_) {
        auto frame = channel_.receive(std::nullopt);
        if (!frame) return ended(frame.error().text);
        if (!*frame) return ended({});
        take(std::move(**frame));
    }
}

void Predecessor::take(HandoverFrame frame) {
    if (auto* session = std::get_if<Session>(&frame.message))
        return take_session(std::move(*session), std::move(frame.sockets));
    if (std::holds_alternative<Settled>(frame.message)) {
        settled_ = true;
        log::info("takeover: process {} keeps only who cannot be handed over now", process_id_);
    } else if (const auto* cancel = std::get_if<Cancel>(&frame.message)) {
        world_->cancel(world_->cancels().asked_by(*this, *cancel), cancel->key);
    } else if (const auto* cancelled = std::get_if<Cancelled>(&frame.message)) {
        world_->cancels().answered_by(*this, cancelled->number);
    }
}

void Predecessor::take_session(Session session, std::vector<Descriptor> sockets) {
    Thread& thread = *world_->threads()[next_thread_++ % world_->threads().size()];
    thread.loop().post([this, &thread, session = std::move(session), sockets = std::move(sockets)]() mutable {
        const auto image = pool::decode_session(session.image.reveal());
        Result<> admitted;
        if (!image)
            admitted = std::unexpected(image.error());
        else
            admitted = thread.admit(*image, sockets, [this, &session] { return confirm(session.number); });
        if (admitted || admitted.error().code == Errc::cancelled) return;
        log::debug("takeover: a session was not taken: {}", admitted.error().text);
        tell(NotTaken{.number = session.number,
                      .later = admitted.error().code == Errc::unavailable,
                      .why = admitted.error().text});
    });
}

/// Before a byte of it is read: so what the other process takes back, because it did not hear this, is whole.
bool Predecessor::confirm(std::uint64_t number) {
    if (channel_.send({.message = Taken{.number = number}, .sockets = {}}, send_patience)) return true;
    // Nobody will take it back.
    return has_died();
}

bool Predecessor::tell(Message message) {
    if (gone_) return false;
    return channel_.send({.message = std::move(message), .sockets = {}}, send_patience).has_value();
}

void Predecessor::farewell() {
    tell(Farewell{});
}

void Predecessor::ended(const std::string& why) {
    const bool was_settled = settled_;
    if (!was_settled && has_died()) {
        log::warning("takeover: process {} has ended in the middle; clients that it still had are gone", process_id_);
        settled_ = true;
    }
    gone_ = true;
    channel_.shut();
    if (world_ != nullptr) world_->cancels().remove(*this);
    if (was_settled) return log::debug("takeover: process {} has handed over: {}", process_id_, why);
    if (!settled_ && world_ != nullptr) {
        log::critical("takeover: process {} has broken it off and serves on: {}", process_id_,
                      why.empty() ? "it has hung up" : why);
        world_->alone([world = world_] { world->give_up(); });
    }
}

}  // namespace pgkeel::proxy
