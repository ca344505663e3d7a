#include "engine/epoll_loop.hpp"

#include "engine/epoll_listener.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace pgkeel::engine {
namespace {

constexpr std::uint32_t every_event = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/// From so many events in a turn on, what is passed waits for its end: there may be more to send.
constexpr int gather_min = 2;
/// From so many wires on, one system call for all of them is cheaper than one for each.
constexpr std::size_t together_min = 3;

}  // namespace

Result<std::unique_ptr<Loop>> Loop::create(Kind kind) {
    std::unique_ptr<Ring> ring;
    if (kind == Kind::io_uring) {
        auto made = Ring::create();
        if (!made) return std::unexpected(std::move(made.error()));
        ring = std::move(*made);
    }
    Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return fail(Errc::io_error, fmt::format("cannot make an epoll instance: {}", std::strerror(errno)));
    const int event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0) return fail(Errc::io_error, fmt::format("cannot make an eventfd: {}", std::strerror(errno)));
    auto mailbox = std::make_unique<Mailbox>(event);
    epoll_event wanted{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (::epoll_ctl(epoll.number(), EPOLL_CTL_ADD, event, &wanted) != 0)
        return fail(Errc::io_error, fmt::format("cannot watch an eventfd: {}", std::strerror(errno)));
    return std::make_unique<EpollLoop>(std::move(epoll), std::move(mailbox), std::move(ring));
}

EpollLoop::EpollLoop(Descriptor epoll, std::unique_ptr<Mailbox> mailbox, std::unique_ptr<Ring> ring)
    : epoll_(std::move(epoll)), mailbox_(std::move(mailbox)), ring_(std::move(ring)) {}

EpollLoop::~EpollLoop() {
    mailbox_->wait_for_answers();
    for (EpollWire* wire : ownerless_) delete wire;
}

void EpollLoop::run() {
    mailbox_->belongs_to_this_thread();
    running_ = true;
    while (!stopping_.exchange(false, std::memory_order_acquire)) {
        ++counters_.turns;
        wait_for_events();
        timers_.run_due(now_);
        mailbox_->run();
        run_queue();
        flush_wires();
        clear_graves();
    }
    running_ = false;
    mailbox_->belongs_to_nobody();
}

void EpollLoop::stop() {
    stopping_.store(true, std::memory_order_release);
    mailbox_->wake();
}

void EpollLoop::wait_for_events() {
    std::array<epoll_event, 256> events;
    const int count = ::epoll_wait(epoll_.number(), events.data(), static_cast<int>(events.size()), wait_ms());
    now_ = Boottime::now();
    gathering_ = ring_ && count >= gather_min;
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr)
            mailbox_->woken();
        else
            static_cast<EventTarget*>(event.data.ptr)->on_events(event.events);
    }
}

/// A wire whose bytes were not sent is left to its own flush().
void EpollLoop::send_together() {
    auto next = to_flush_.begin();
    while (ring_ && next != to_flush_.end()) {
        sending_.clear();
        for (; next != to_flush_.end() && !ring_->is_full(); ++next)
            if (const std::string_view bytes = (*next)->bytes_to_flush(); !bytes.empty()) {
                ring_->send((*next)->socket(), bytes);
                sending_.push_back(*next);
            }
        if (sending_.empty()) return;
        ++counters_.batches;
        counters_.batched += sending_.size();
        const std::span<const int> results = ring_->run();
        for (std::size_t i = 0; i < results.size(); ++i) sending_[i]->sent_together(results[i]);
        if (ring_->is_broken()) {
            ++counters_.batch_failures;
            ring_.reset();
        }
    }
}

int EpollLoop::wait_ms() {
    if (!queue_.empty() || !to_flush_.empty() || !graves_.empty() || !mailbox_->empty()) return 0;
    const auto next = timers_.next();
    if (!next) return -1;
    const Duration rest = *next - Boottime::now();
    if (rest <= Duration::zero()) return 0;
    // Rounded up: a timer that comes too early would be looked at twice.
    return static_cast<int>(std::min<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(rest).count(), 60'000));
}

void EpollLoop::run_queue() {
    // A wire may enter again while the queue runs, and is looked at in this turn still; one that does so for ever
    // leaves the rest to the next turn.
    const std::size_t most = queue_.size() * 4 + 64;
    std::size_t done = 0;
    for (; done < queue_.size() && done < most; ++done) {
        EpollWire& wire = *queue_[done];
        wire.in_queue = false;
        wire.advance();
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(done));
    queue_.insert(queue_.end(), next_queue_.begin(), next_queue_.end());
    next_queue_.clear();
}

void EpollLoop::flush_wires() {
    gathering_ = false;
    if (to_flush_.size() >= together_min) send_together();
    for (std::size_t i = 0; i < to_flush_.size(); ++i) {
        to_flush_[i]->in_flush = false;
        to_flush_[i]->flush();
    }
    to_flush_.clear();
}

void EpollLoop::clear_graves() {
    listener_graves_.clear();
    if (graves_.empty()) return;
    if (std::ranges::any_of(graves_, [](const auto& wire) { return wire->in_queue; })) {
        std::erase_if(queue_, [](const EpollWire* wire) { return wire->dead(); });
        std::erase_if(next_queue_, [](const EpollWire* wire) { return wire->dead(); });
    }
    graves_.clear();
}

void EpollLoop::offload(Job work, Job done) {
    mailbox_->expect_answer();
    helpers_->run([mailbox = mailbox_.get(), work = std::move(work), done = std::move(done)]() mutable {
        work();
        work = nullptr;
        mailbox->post_answer(std::move(done));
    });
}

std::uint64_t EpollLoop::after(Duration wait, Job job) {
    const Instant from = running_ ? now_ : Boottime::now();
    return timers_.add(from + std::max(wait, Duration::zero()), std::move(job));
}

bool EpollLoop::watch(int socket, std::uint32_t events, EventTarget& target) {
    epoll_event wanted{.events = events, .data = {.ptr = &target}};
    return ::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket, &wanted) == 0;
}

void EpollLoop::unwatch(int socket) {
    ::epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, socket, nullptr);
}

void EpollLoop::enter(std::vector<EpollWire*>& queue, EpollWire& wire) {
    if (wire.in_queue) return;
    wire.in_queue = true;
    queue.push_back(&wire);
}

void EpollLoop::bury(EpollWire& wire) {
    ownerless_.erase(&wire);
    graves_.emplace_back(&wire);
}

pool::OwnedWire EpollLoop::start(LooseWire::State state, pool::WireOwner& owner, std::string problem) {
    const int socket = state.socket.number();
    auto* wire = new EpollWire(*this, owner, std::move(state));
    pool::OwnedWire owned(wire);
    if (problem.empty() && socket >= 0 && !watch(socket, every_event, *wire))
        problem = fmt::format("cannot watch a socket: {}", std::strerror(errno));
    if (!problem.empty()) wire->fail_later(std::move(problem));
    return owned;
}

pool::OwnedWire EpollLoop::adopt(int socket, pool::WireOwner& owner, const SocketOptions& options) {
    LooseWire::State state;
    state.socket = Descriptor(socket);
    state.is_shared = true;  // as far as is known here
    state.unix_socket = is_unix_socket(socket);
    apply_options(socket, state.unix_socket, options);
    return start(std::move(state), owner, {});
}

pool::OwnedWire EpollLoop::adopt_accepted(int socket, bool unix_socket, pool::WireOwner& owner,
                                          const SocketOptions& options) {
    LooseWire::State state;
    state.socket = Descriptor(socket);
    state.unix_socket = unix_socket;
    apply_to_accepted(socket, unix_socket, options);
    return start(std::move(state), owner, {});
}

pool::OwnedWire EpollLoop::connect(const Endpoint& to, pool::WireOwner& owner, const SocketOptions& options) {
    LooseWire::State state;
    state.connecting = true;
    state.unix_socket = to.is_unix();
    const auto address = socket_address(to);
    if (!address) return start(std::move(state), owner, address.error().text);
    state.socket = Descriptor(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!state.socket)
        return start(std::move(state), owner, fmt::format("cannot make a socket: {}", std::strerror(errno)));
    apply_options(state.socket.number(), state.unix_socket, options);
    if (::connect(state.socket.number(), address->get(), address->size) != 0 && errno != EINPROGRESS)
        return start(std::move(state), owner, std::strerror(errno));
    return start(std::move(state), owner, {});
}

LooseWire EpollLoop::detach(pool::OwnedWire wire) {
    return static_cast<EpollWire*>(wire.release())->leave();
}

pool::OwnedWire EpollLoop::attach(LooseWire wire, pool::WireOwner& owner) {
    std::unique_ptr<LooseWire::State> state = wire.take();
    std::string problem = state->ended ? state->extra->problem : std::string();
    const bool has_bytes = state->secured || !state->unused.empty();
    pool::OwnedWire owned = start(std::move(*state), owner, std::move(problem));
    if (has_bytes) static_cast<EpollWire*>(owned.get())->look_at_it_later();
    return owned;
}

std::uint64_t EpollLoop::listen(int listening_socket, std::function<void(int socket)> accepted) {
    const std::uint64_t number = ++listener_numbers_;
    listeners_.emplace(number, std::make_unique<EpollListener>(*this, listening_socket, std::move(accepted)));
    return number;
}

void EpollLoop::stop_listening(std::uint64_t listener) {
    const auto found = listeners_.find(listener);
    if (found == listeners_.end()) return;
    found->second->stop();
    listener_graves_.push_back(std::move(found->second));
    listeners_.erase(found);
}

LooseWire::LooseWire(std::unique_ptr<State> state) : state_(std::move(state)) {}
LooseWire::LooseWire(LooseWire&&) noexcept = default;
LooseWire& LooseWire::operator=(LooseWire&&) noexcept = default;
LooseWire::~LooseWire() = default;

int LooseWire::plain_socket() const {
    const bool has_more =
        state_->connecting || state_->secured || state_->ended || !state_->unused.empty() || !state_->unsent.empty();
    return has_more ? -1 : state_->socket.number();
}

int LooseWire::share() const {
    state_->is_shared = true;
    return plain_socket();
}

std::unique_ptr<LooseWire::State> LooseWire::take() {
    return std::move(state_);
}

}  // namespace pgkeel::engine
