#include "agent/guardian_process.hpp"

#include "async/spawn.hpp"
#include "log/log.hpp"
#include "process/launch.hpp"
#include "process/reaper.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

constexpr Duration look_interval = 1s;
/// A guardian reads its page every 100 ms. One that has not for this long stands still, or has no processor.
constexpr Duration silence_max = 2s;
/// A look that comes so much later than the one before says more of this agent than of the guardian.
constexpr Duration own_silence_max = 1500ms;
constexpr Duration greeting_max = 1s;
/// How long this node may be without a guardian before that is a reason not to lead: a few starts.
constexpr Duration absence_max = 1s;

Result<pid_t> launch_guardian(const std::string& data_directory, int page) {
    const auto self = postgres::process_identity(getpid());
    if (!self) return fail(Errc::process_failed, "cannot start the guardian: /proc does not show this process");
    Command command;
    command.arguments = guardian::arguments(data_directory, *self);
    command.without_environment_prefixes = {""};  // it needs nothing of it, and some of it is secret
    command.directory = "/";
    command.new_session = true;
    auto pid = launch(command, {page, STDERR_FILENO, STDERR_FILENO});
    if (pid) reap_in_background(*pid);
    return pid;
}

}  // namespace

Result<std::unique_ptr<GuardianProcess>> GuardianProcess::create(asio::any_io_executor executor, Clock& clock,
                                                                 Workers& workers, std::string data_directory) {
    auto page = guardian::Page::create();
    if (!page) return std::unexpected(page.error());
    return std::unique_ptr<GuardianProcess>(
        new GuardianProcess(std::move(executor), clock, workers, std::move(data_directory), std::move(*page)));
}

GuardianProcess::GuardianProcess(asio::any_io_executor executor, Clock& clock, Workers& workers,
                                 std::string data_directory, guardian::Page page)
    : executor_(std::move(executor)),
      clock_(clock),
      workers_(workers),
      data_directory_(std::move(data_directory)),
      page_(std::move(page)) {}

Task<> GuardianProcess::start() {
    kin_ = co_await workers_.run([directory = data_directory_] {
        auto kin = guardian::find_kin(directory);
        std::erase_if(kin, [](const guardian::Kin& one) { return one.agent_lives; });
        return kin;
    });
    for (const guardian::Kin& one : kin_)
        log::info("guardian {} of an earlier agent is on duty until this one knows better", one.pid);
    lost_at_ = clock_.now();
    spawn(executor_, "guardian", keep());
    co_await started_.wait(clock_, clock_.now() + greeting_max + 1s);
}

Task<> GuardianProcess::keep() {
    while (true) {
        if (watch_ == nullptr) {
            if (const auto started = co_await start_one(); !started) {
                if (why_ != started.error().line()) log::error("{}", started.error().line());
                lost(started.error().line());
            }
            started_.set();
        }
        co_await changed_.wait(clock_, clock_.now() + (watch_ != nullptr ? look_interval : 250ms));
        look_after();
    }
}

Task<Result<>> GuardianProcess::start_one() {
    greeted_ = false;
    const Instant launched = clock_.now();
    auto pid = co_await workers_.run(
        [directory = data_directory_, page = page_.descriptor()] { return launch_guardian(directory, page); });
    if (!pid) co_return fail("no guardian", std::move(pid.error()));
    const auto identity = postgres::process_identity(*pid);
    if (identity) child_ = {.pid = *pid, .started = identity->started, .agent_lives = true};
    watch_ = identity ? postgres::ExitWatch::begin(executor_, *pid,
                                                   [this] {
                                                       watch_.reset();
                                                       changed_.set();
                                                   })
                      : nullptr;
    co_return co_await wait_for_first_word(launched);
}

Task<Result<>> GuardianProcess::wait_for_first_word(Instant launched) {
    const Deadline patience = clock_.now() + greeting_max;
    while (watch_ != nullptr && clock_.now() < patience && page_.told().alive_at < launched)
        co_await clock_.sleep_for(2ms);
    const guardian::Report report = page_.told();
    if (watch_ == nullptr)
        co_return fail(Errc::process_failed, fmt::format("the guardian (pid {}) ended at once", child_.pid),
                       "what it said is in this agent's standard error");
    if (report.alive_at < launched) {
        guardian::end(child_);
        watch_.reset();
        co_return fail(Errc::timed_out, fmt::format("the guardian (pid {}) did not begin to work in {:.0f} s",
                                                    child_.pid, seconds(greeting_max)));
    }
    greeted_ = true;
    lost_at_.reset();
    why_.clear();
    looked_at_ = clock_.now();
    log::info("guardian pid={} ({}, {}, {})", child_.pid, report.locked ? "locked in memory" : "may be swapped out",
              report.realtime ? "runs first" : "ordinary priority",
              report.spared ? "spared when memory is short" : "not spared when memory is short");
    changed_.set();
    co_return Result<>{};
}

void GuardianProcess::look_after() {
    const guardian::Report report = page_.told();
    if (report.fenced != fenced_) {
        log::critical("the guardian has ended PostgreSQL {:.1f} s ago: this agent did not renew the lease in time",
                      seconds(clock_.now() - report.fenced_at));
        fenced_ = report.fenced;
    }
    if (greeted_ && watch_ == nullptr) {
        greeted_ = false;
        log::error("the guardian (pid {}) has ended; starting another", child_.pid);
        lost(fmt::format("the guardian (pid {}) has ended", child_.pid));
    }
    // If it is this agent that stood still, or the whole machine, the guardian gets its time first.
    const bool late = clock_.now() - looked_at_ > own_silence_max;
    looked_at_ = clock_.now();
    if (late || !works() || clock_.now() - report.alive_at < silence_max) return;
    log::error("the guardian (pid {}) has done nothing for {:.1f} s: killing it and starting another", child_.pid,
               seconds(clock_.now() - report.alive_at));
    guardian::end(child_);
    watch_.reset();
}

void GuardianProcess::lost(const std::string& why) {
    why_ = why;
    if (!lost_at_) lost_at_ = clock_.now();
}

void GuardianProcess::order(const guardian::Orders& orders) {
    page_.write(orders);
    for (const guardian::Kin& one : kin_) guardian::end(one);
    kin_.clear();
}

Task<Result<>> GuardianProcess::ready(Deadline deadline) {
    while (!works() && clock_.now() < deadline) co_await clock_.sleep_for(10ms);
    if (works()) co_return Result<>{};
    co_return fail(Errc::unsafe, why_.empty() ? "the guardian does not run" : why_,
                   "without one nobody stops PostgreSQL when this agent cannot; `pgkeel: {guardian: false}` does "
                   "without");
}

std::string GuardianProcess::missing() const {
    if (!lost_at_ || clock_.now() - *lost_at_ < absence_max) return {};
    return why_.empty() ? "the guardian does not run" : why_;
}

Task<Result<guardian::Orders>> GuardianProcess::identify(pid_t postmaster) const {
    co_return co_await workers_.run([directory = data_directory_, postmaster]() -> Result<guardian::Orders> {
        const postgres::ServerPlace place(directory);
        guardian::Orders orders;
        orders.device = place.device();
        orders.inode = place.inode();
        if (place.inode() == 0)
            return fail(Errc::unsafe, fmt::format("the guardian cannot be told which server it watches: {} is not "
                                                  "there",
                                                  directory));
        if (postmaster == 0) return orders;
        const auto process = postgres::process_identity(postmaster);
        if (!process)
            return fail(Errc::unsafe, fmt::format("the guardian cannot be told which server it watches: process {} "
                                                  "has ended",
                                                  postmaster));
        orders.postmaster = postmaster;
        orders.started = process->started;
        return orders;
    });
}

}  // namespace pgkeel::agent
