#include "proxy/signals.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

// A signal is read from a descriptor, so nothing here runs inside a signal handler.

namespace pgkeel::proxy {
namespace {

constexpr std::array handled{SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

sigset_t handled_set() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : handled) sigaddset(&set, signal);
    return set;
}

int checked(int descriptor, const char* what) {
    if (descriptor < 0) throw std::system_error(errno, std::system_category(), what);
    return descriptor;
}

}  // namespace

struct Signals::Shared {
    sigset_t before{};
    int arrivals = -1;
    int wake_up = -1;
    std::mutex mutex;
    std::condition_variable idle;
    std::function<void(int)> handle;
    std::deque<int> waiting;  ///< came while there was no callback, or while one runs
    bool is_running = false;
    bool is_ending = false;
    std::thread thread;

    void wake() const {
        const std::uint64_t one = 1;
        (void)!write(wake_up, &one, sizeof one);  // full means that it is awake
    }

    void run() {
        while (wait()) deliver();
    }

    /// False: it is over.
    bool wait() {
        std::array<pollfd, 2> watched{pollfd{.fd = arrivals, .events = POLLIN, .revents = 0},
                                      pollfd{.fd = wake_up, .events = POLLIN, .revents = 0}};
        while (poll(watched.data(), watched.size(), -1) < 0 && errno == EINTR) {
        }
        std::uint64_t count = 0;
        (void)!read(wake_up, &count, sizeof count);
        signalfd_siginfo arrived{};
        const std::lock_guard lock(mutex);
        while (read(arrivals, &arrived, sizeof arrived) == sizeof arrived)
            if (waiting.size() < 64) waiting.push_back(static_cast<int>(arrived.ssi_signo));
        return !is_ending;
    }

    void deliver() {
        std::unique_lock lock(mutex);
        while (handle && !waiting.empty() && !is_ending) {
            const int signal = waiting.front();
            waiting.pop_front();
            const auto current = handle;
            is_running = true;
            lock.unlock();
            current(signal);
            lock.lock();
            is_running = false;
            idle.notify_all();
        }
    }
};

Signals::Signals() : shared_(std::make_unique<Shared>()) {
    const sigset_t set = handled_set();
    pthread_sigmask(SIG_BLOCK, &set, &shared_->before);
    shared_->arrivals = checked(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
    shared_->wake_up = checked(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    shared_->thread = std::thread([shared = shared_.get()] { shared->run(); });
}

Signals::~Signals() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->is_ending = true;
    }
    shared_->wake();
    shared_->thread.join();
    close(shared_->arrivals);
    close(shared_->wake_up);
    // One that is pending would end the process when it is let through, and its exit status would not be ours.
    const sigset_t set = handled_set();
    const timespec at_once{};
    while (sigtimedwait(&set, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &shared_->before, nullptr);
}

void Signals::on(std::function<void(int signal)> handle) {
    std::unique_lock lock(shared_->mutex);
    shared_->handle = std::move(handle);
    if (std::this_thread::get_id() != shared_->thread.get_id())
        shared_->idle.wait(lock, [this] { return !shared_->is_running; });
    lock.unlock();
    shared_->wake();
}

const char* Signals::name(int signal) {
    switch (signal) {
        case SIGHUP:
            return "SIGHUP";
        case SIGTERM:
            return "SIGTERM";
        case SIGINT:
            return "SIGINT";
        case SIGQUIT:
            return "SIGQUIT";
        case SIGUSR1:
            return "SIGUSR1";
        case SIGUSR2:
            return "SIGUSR2";
        default:
            return "a signal";
    }
}

}  // namespace pgkeel::proxy
