// The process that ends PostgreSQL when its agent cannot. It has to be alive and quick at a moment when the agent is
// neither, so it does nothing else: it waits, reads the page, and kills. What it needs for that it has touched before,
// so that it is in memory and stays there; it writes a line only after the work is done, and only where that cannot
// block.
#include "guardian/guardian.hpp"
#include "process/memory.hpp"
#include "process/pidfd.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

namespace pgkeel::guardian {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t reserved_heap_bytes = 1024UL * 1024;
constexpr std::size_t touched_heap_bytes = 512UL * 1024;  ///< a pass over a thousand processes needs less
constexpr std::size_t reserved_stack_bytes = 64UL * 1024;

/// Our stderr is the agent's and may be a pipe that nobody reads: rather no line than one that waits.
void say(std::string_view text) {
    pollfd target{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (poll(&target, 1, 0) == 1 && (target.revents & POLLOUT) != 0)
        (void)!write(STDERR_FILENO, text.data(), text.size());
}

bool write_small(const char* path, std::string_view text) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool done = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    close(file);
    return done;
}

void touch_stack() {
    std::array<volatile char, reserved_stack_bytes> stack;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (std::size_t at = 0; at < stack.size(); at += 1024) stack[at] = 0;
}

void touch_heap() {
    const auto some = std::make_unique<volatile char[]>(touched_heap_bytes);
    for (std::size_t at = 0; at < touched_heap_bytes; at += 1024) some[at] = 1;
}

/// Everything that the moment of need needs: memory that is there, and the right to run first.
Report prepare(const std::string& data_directory) {
    Report report;
    // The heap grows once, here, and is never given back or grown by single mappings.
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TOP_PAD, reserved_heap_bytes);
    touch_stack();
    touch_heap();
    release_unused_pages();
    // A rehearsal: everything but the killing.
    (void)postgres::server_processes(postgres::ServerPlace(data_directory),
                                     postgres::ServerProcess{.pid = getpid(), .started = 0});
    (void)postgres::find_postmaster(data_directory);
    report.locked = lock_used_memory();
    const sched_param first{.sched_priority = 10};
    report.realtime = sched_setscheduler(0, SCHED_RR, &first) == 0;
    if (!report.realtime) setpriority(PRIO_PROCESS, 0, -20);
    report.spared = write_small("/proc/self/oom_score_adj", "-1000");
    return report;
}

class Timer {
  public:
    Timer() : descriptor_(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {}
    ~Timer() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    int descriptor() const { return descriptor_; }
    void set(Instant when) const {
        const auto us = when.time_since_epoch().count();
        const itimerspec at{.it_interval = {}, .it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
        timerfd_settime(descriptor_, TFD_TIMER_ABSTIME, &at, nullptr);
    }

  private:
    int descriptor_;
};

/// The agent, followed by its pidfd.
class Agent {
  public:
    Agent(pid_t pid, std::uint64_t started) : pidfd_(open_pidfd(pid)) {
        const auto now = postgres::process_identity(pid);
        lives_ = pidfd_ >= 0 && now && now->started == started;
    }
    ~Agent() {
        if (pidfd_ >= 0) close(pidfd_);
    }
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;
    bool lives() const { return lives_; }
    /// Waits for the timer, or for the agent's end.
    void wait_until(Instant when, const Timer& timer) {
        timer.set(when);
        std::array<pollfd, 2> events{pollfd{.fd = timer.descriptor(), .events = POLLIN, .revents = 0},
                                     pollfd{.fd = pidfd_, .events = POLLIN, .revents = 0}};
        // The limit is for a kernel without such timers: it counts no suspended time, so it is short.
        (void)poll(events.data(), lives_ ? 2 : 1, timer.descriptor() >= 0 ? 1000 : 20);
        if (lives_ && (events[1].revents & (POLLIN | POLLHUP)) != 0) lives_ = false;
    }

  private:
    int pidfd_;
    bool lives_ = false;
};

/// Kills until nothing is left, or until the agent has ordered otherwise. Returns how many processes there were.
std::size_t fence(const std::string& data_directory, const Page& page, const Agent& agent) {
    std::size_t most = 0;
    for (int passes = 0;; ++passes) {
        const Orders orders = page.read();
        if (verdict(orders, agent.lives(), Boottime::now()).act != Act::fence) return most;
        const std::size_t alive = fence_pass(data_directory, orders);
        if (alive == 0) return most;
        most = std::max(most, alive);
        // Dying takes them a moment; who hangs in the kernel is waited for, and writes nothing.
        usleep(passes < 20 ? 1000 : 20000);
    }
}

void tell_what_was_done(const std::string& data_directory, const Orders& orders, const Agent& agent, std::size_t killed,
                        Instant begun, Instant done) {
    const bool unfinished = orders.ends_with_agent && !agent.lives();
    const char* const why = unfinished      ? "has ended before the new cluster was made"
                            : agent.lives() ? "did not renew the lease in time"
                                            : "has ended, and its lease is over";
    say(fmt::format(
        "pgkeel guardian: killed every process of PostgreSQL in {}, {} of them, in {:.0f} ms{}: its agent {}\n",
        data_directory, killed, seconds(done - begun) * 1000,
        unfinished ? std::string()
                   : fmt::format(", {:.0f} ms after the deadline", seconds(done - orders.deadline) * 1000),
        why));
}

}  // namespace

std::size_t fence_pass(const std::string& data_directory, const Orders& orders) {
    const postgres::ServerPlace place(data_directory, orders.device, orders.inode);
    std::optional<postgres::ServerProcess> known;
    if (orders.postmaster != 0) {
        known = postgres::ServerProcess{.pid = orders.postmaster, .started = orders.started};
        // Somebody has stopped that server and started one without this agent. Whether it takes writes is not known.
        const auto found = postgres::find_postmaster(data_directory);
        if (found.state == Postmaster::running) {
            const auto now = postgres::process_identity(found.pid);
            if (now && (now->pid != known->pid || now->started != known->started)) return 0;
        }
    }
    return postgres::kill_pass(place, known);
}

int run(const std::string& data_directory, pid_t agent_pid, std::uint64_t agent_started) {
    auto page = Page::open(STDIN_FILENO);
    if (!page) {
        say(fmt::format("pgkeel guardian: {}\n", page.error().line()));
        return 2;
    }
    // Whoever wants this process gone kills it; what is meant for its agent must not end it.
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE}) std::signal(signal, SIG_IGN);
    prctl(PR_SET_NAME, "pgkeel-guardian");
    Agent agent(agent_pid, agent_started);
    const Timer timer;
    Report report = prepare(data_directory);
    while (true) {
        const Instant now = Boottime::now();
        const Orders orders = page->read();
        const Verdict next = verdict(orders, agent.lives(), now);
        report.alive_at = now;
        page->tell(report);
        if (next.act == Act::leave) return 0;
        if (next.act == Act::fence) {
            const std::size_t killed = fence(data_directory, *page, agent);
            const Instant done = Boottime::now();
            if (killed != 0) {
                ++report.fenced;
                report.fenced_at = done;
                page->tell(report);
                tell_what_was_done(data_directory, orders, agent, killed, now, done);
            }
            // Nobody is there to start another.
            if (!agent.lives()) return 0;
        }
        agent.wait_until(next.look_again, timer);
    }
}

}  // namespace pgkeel::guardian
