#include "proxy/successor.hpp"

#include "base/version.hpp"
#include "log/log.hpp"
#include "proxy/world.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <future>
#include <utility>

namespace pgkeel::proxy {

using namespace std::chrono_literals;
using namespace handover;

namespace {

constexpr Duration patience = 10s;
/// From our sockets to "ready": it reads files, asks name servers, and waits for etcd perhaps.
constexpr Duration preparation_patience = 60s;
/// Those who could not go are asked again.
constexpr Duration sweep_interval = 1s;

Result<Descriptor> copy_of(int socket) {
    Descriptor copy(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail(Errc::io_error, fmt::format("cannot copy a descriptor: {}", std::strerror(errno)));
    return copy;
}

}  // namespace

void Successor::wait_at(std::string path, Descriptor listening_socket, std::uint32_t generation) {
    path_ = std::move(path);
    listening_ = std::move(listening_socket);
    generation_ = generation;
    if (!listening_) return;
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "pgkeel-handover");
        wait();
    });
    thread_.detach();  // it ends with the process
}

void Successor::close() {
    if (!has_come_ && !path_.empty() && listening_) ::unlink(path_.c_str());
}

void Successor::wait() {
    while (!has_come_) {
        pollfd watched{.fd = listening_.number(), .events = POLLIN, .revents = 0};
        if (::poll(&watched, 1, -1) <= 0) continue;
        auto channel = HandoverChannel::accept(listening_.number());
        if (channel)
            serve(std::move(*channel));
        else
            log::warning("takeover: refused: {}", channel.error().line());
    }
}

template <class Job>
void Successor::with_threads_at_rest(Job job) {
    std::promise<void> done;
    world_.alone([&] {
        job();
        done.set_value();
    });
    done.get_future().wait();
}

// ---- one successor

void Successor::serve(HandoverChannel channel) {
    if (const auto greeted = greet(channel); !greeted) {
        log::warning("takeover: it came to nothing, this process serves on: {}", greeted.error().line());
        return;
    }
    Go go;
    with_threads_at_rest([&] {
        world_.rest_for_successor();
        const pool::Hub& hub = world_.hub();
        go.is_paused = hub.paused;
        for (const auto& [name, database] : hub.databases) {
            if (database->paused) go.paused.push_back(name);
            if (database->disabled) go.disabled.push_back(name);
        }
    });
    {
        const std::lock_guard lock(mutex_);
        channel_ = &channel;
        outbox_ = std::make_unique<HandoverOutbox>(channel);
        outbox_->send({.message = std::move(go), .sockets = {}});
    }
    begin();
    receive(channel);
}

/// Up to its "ready", nothing has changed here.
Result<> Successor::greet(HandoverChannel& channel) {
    const auto refuse = [&](std::string text, std::string hint) -> std::unexpected<Error> {
        if (const auto told = channel.send({.message = Refusal{.text = text, .hint = hint}, .sockets = {}}, patience);
            !told)
            log::debug("takeover: the refusal was not sent: {}", told.error().text);
        return fail(Errc::conflict, std::move(text), std::move(hint));
    };
    const auto next = [&](Duration within) -> Result<Message> {
        auto frame = channel.receive(within);
        if (!frame) return std::unexpected(std::move(frame.error()));
        if (!*frame) return fail(Errc::unavailable, "the new process has hung up");
        return std::move((*frame)->message);
    };
    auto first = next(patience);
    if (!first) return std::unexpected(std::move(first.error()));
    const auto* hello = std::get_if<Hello>(&*first);
    if (hello == nullptr) return fail(Errc::invalid_input, fmt::format("it begins with {}", name_of(*first)));
    if (hello->protocol != handover_protocol)
        return refuse(fmt::format("the running process is pgkeel {} and speaks version {} of the handover protocol, "
                                  "pgkeel {} speaks {}",
                                  version(), handover_protocol, hello->version, hello->protocol),
                      "stop the running process, then start the new one");
    std::string obstacle;
    std::vector<Listeners::Known> sockets;
    with_threads_at_rest([&] {
        obstacle = world_.obstacle_to_successor();
        sockets = world_.listeners().sockets();
    });
    if (!obstacle.empty()) return refuse(obstacle, "try again when that is over");
    std::vector<HandoverFrame> frames;
    frames.push_back(
        {.message = Welcome{.version = version(), .process_id = ::getpid(), .generation = generation_}, .sockets = {}});
    for (const Listeners::Known& each : sockets) {
        auto copy = copy_of(each.socket);
        if (!copy) return refuse(copy.error().text, "raise the limit of open files");
        HandoverFrame& frame = frames.emplace_back();
        frame.message = handover::Listener{.host = each.at.host, .port = each.at.port, .is_for_handover = false};
        frame.sockets.push_back(std::move(*copy));
    }
    auto copy = copy_of(listening_.number());
    if (!copy) return refuse(copy.error().text, "raise the limit of open files");
    HandoverFrame& last = frames.emplace_back();
    last.message = handover::Listener{.host = path_, .port = 0, .is_for_handover = true};
    last.sockets.push_back(std::move(*copy));
    frames.push_back({.message = ListenersEnd{}, .sockets = {}});
    for (const HandoverFrame& frame : frames)
        if (auto sent = channel.send(frame, patience); !sent) return sent;
    log::info("takeover: pgkeel {} asks to take over", hello->version);
    auto ready = next(preparation_patience);
    if (!ready) return std::unexpected(std::move(ready.error()));
    if (!std::holds_alternative<Ready>(*ready))
        return fail(Errc::invalid_input, fmt::format("it says {} where it should be ready", name_of(*ready)));
    return {};
}

void Successor::begin() {
    has_come_ = true;
    settled_ = farewell_ = false;
    threads_swept_ = 0;
    world_.cancels().add(*this);
    with_threads_at_rest([this] {
        swept_at_ = world_.thread(0).now();
        for (const auto& thread : world_.threads()) {
            thread->worker().set_leaving(true);
            thread->loop().post([this, &thread = *thread] {
                thread.worker().offer_all();
                ++threads_swept_;
            });
        }
        world_.look_at_successor();
    });
}

void Successor::receive(HandoverChannel& channel) {
    std::string why;
    for (;;) {
        auto frame = channel.receive(std::nullopt);
        if (!frame) {
            // What else it has said cannot be known: it may have taken what is pending, so nobody may use that here.
            if (frame.error().code == Errc::invalid_input) {
                channel.shut();
                forget_channel();
            }
            why = frame.error().text;
            break;
        }
        if (!*frame) break;
        take(std::move((*frame)->message));
    }
    channel.shut();
    ended(why);
}

void Successor::take(Message message) {
    if (const auto* taken_session = std::get_if<Taken>(&message)) return taken(taken_session->number);
    if (const auto* answer = std::get_if<NotTaken>(&message)) return not_taken(*answer);
    if (const auto* cancel = std::get_if<Cancel>(&message))
        return world_.cancel(world_.cancels().asked_by(*this, *cancel), cancel->key);
    if (const auto* cancelled = std::get_if<Cancelled>(&message))
        return world_.cancels().answered_by(*this, cancelled->number);
    if (std::holds_alternative<Farewell>(message)) farewell_ = true;
}

// ---- sessions

void Successor::offer(Departing departing) {
    HandoverFrame frame;
    bool copied = true;
    for (const auto* wire : {&departing.client, &departing.server}) {
        if (!*wire) continue;
        auto copy = copy_of((*wire)->share());
        copied = copied && copy.has_value();
        if (copy) frame.sockets.push_back(std::move(*copy));
    }
    Session session{.number = 0, .image = pool::encode(departing.image)};
    copied = copied && session.image.size() + 64 < handover_body_max;
    {
        const std::lock_guard lock(mutex_);
        if (outbox_ && copied) {
            session.number = ++numbers_;
            pending_.emplace(numbers_, Pending{.departing = std::move(departing), .since = Boottime::now()});
            frame.message = std::move(session);
            return outbox_->send(std::move(frame));
        }
    }
    world_.take_back(std::move(departing), !copied);
}

void Successor::taken(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    pending_.erase(number);
}

void Successor::not_taken(const NotTaken& answer) {
    std::optional<Departing> back;
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = pending_.find(answer.number); found != pending_.end()) {
            back = std::move(found->second.departing);
            pending_.erase(found);
        }
    }
    if (!back) return;
    log::debug("takeover: a session stays here: {}", answer.why);
    // A spare server that nobody wants is closed.
    if (back->image.client || answer.later) world_.take_back(std::move(*back), !answer.later);
}

bool Successor::tell(Message message) {
    const std::lock_guard lock(mutex_);
    if (!outbox_) return false;
    outbox_->send({.message = std::move(message), .sockets = {}});
    return true;
}

bool Successor::is_done() {
    const std::lock_guard lock(mutex_);
    return (settled_ || farewell_) && pending_.empty() && (!outbox_ || outbox_->is_empty());
}

void Successor::look() {
    const Instant now = world_.thread(0).now();
    bool is_pending = false, hangs = false;
    {
        const std::lock_guard lock(mutex_);
        if (!outbox_) return;
        is_pending = !pending_.empty();
        const Duration timeout = world_.hub().config()->settings.suspend_timeout;
        hangs = is_pending && timeout > Duration::zero() && Boottime::now() - pending_.begin()->second.since > timeout;
        if (hangs) channel_->shut();
    }
    if (hangs) return log::warning("takeover: the new process does not answer for suspend_timeout");
    if (!settled_ && !is_pending && threads_swept_ == world_.threads().size()) return settle();
    if (now - swept_at_ < sweep_interval) return;
    swept_at_ = now;
    for (const auto& thread : world_.threads())
        thread->loop().post([&thread = *thread] { thread.worker().offer_all(); });
}

/// Everybody who could go has gone. From now on it does not help anybody if we accept clients again.
void Successor::settle() {
    settled_ = true;
    world_.listeners().leave();
    tell(Settled{});
    log::info("takeover: handed over; this process ends with its last client");
}

// ---- the end of it

/// Those that were on their way.
std::map<std::uint64_t, Successor::Pending> Successor::forget_channel() {
    std::unique_ptr<HandoverOutbox> outbox;
    std::map<std::uint64_t, Pending> pending;
    {
        const std::lock_guard lock(mutex_);
        outbox = std::move(outbox_);
        channel_ = nullptr;
        pending = std::exchange(pending_, {});
    }
    return pending;
}

void Successor::ended(const std::string& why) {
    auto pending = forget_channel();
    world_.cancels().remove(*this);
    with_threads_at_rest([&] {
        for (const auto& thread : world_.threads()) thread->worker().set_leaving(false);
        if (farewell_ && !settled_) world_.listeners().leave();
        if (settled_ || farewell_) return;
        log::warning("takeover: the new process has ended in the middle of it, this one serves on{}{}",
                     why.empty() ? "" : ": ", why);
        has_come_ = false;
        world_.serve_again();
    });
    for (auto& [number, each] : pending) world_.take_back(std::move(each.departing), false);
    if (has_come_) listening_ = Descriptor();
}

}  // namespace pgkeel::proxy
