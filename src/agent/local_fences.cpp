#include "agent/local_fences.hpp"

#include "log/log.hpp"

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

/// A guardian that has just ended is replaced in less.
constexpr Duration patience = 1s;

}  // namespace

LocalFences::LocalFences(asio::any_io_executor executor, Clock& clock, Workers& workers,
                         const config::AgentConfig& config)
    : clock_(clock), watchdog_(config.watchdog) {
    if (!config.guardian) return;
    auto made = GuardianProcess::create(std::move(executor), clock, workers, config.postgresql.data_dir);
    if (made)
        guardian_ = std::move(*made);
    else
        broken_ = made.error().line();
}

Task<> LocalFences::start() {
    if (guardian_)
        co_await guardian_->start();
    else if (broken_.empty())
        log::warning("pgkeel.guardian is off: nobody stops PostgreSQL when this agent cannot");
}

void LocalFences::renewed(const ha::HeldLease& lease) {
    lease_ = lease;
    if (orders_.state != guardian::State::armed) return;
    orders_.deadline = lease.deadline();
    orders_.ends_with_agent = false;
    write();
    watchdog_.feed();
}

Task<Result<>> LocalFences::arm(pid_t postmaster) {
    const bool armed = orders_.state == guardian::State::armed && !orders_.ends_with_agent;
    if (armed && (postmaster == 0 ? orders_.postmaster == 0 : orders_.postmaster == postmaster)) co_return Result<>{};
    if (!lease_) co_return fail(Errc::unsafe, "there is no lease whose end could be watched");
    if (auto active = watchdog_.activate(); !active) co_return active;
    co_return co_await arm_guardian(postmaster, false);
}

Task<Result<>> LocalFences::arm_for_bootstrap() {
    if (auto active = watchdog_.activate(); !active) co_return active;
    co_return co_await arm_guardian(0, true);
}

Task<Result<>> LocalFences::arm_guardian(pid_t postmaster, bool ends_with_agent) {
    guardian::Orders orders;
    if (guardian_) {
        const std::uint64_t before = disarmed_;
        if (auto ready = co_await guardian_->ready(clock_.now() + patience); !ready) co_return ready;
        auto identified = co_await guardian_->identify(postmaster);
        if (!identified) co_return std::unexpected(std::move(identified.error()));
        if (disarmed_ != before) co_return fail(Errc::cancelled, "the lease was given up meanwhile");
        orders = *identified;
    } else if (!broken_.empty()) {
        co_return fail(Errc::unsafe, broken_);
    }
    orders.state = guardian::State::armed;
    orders.ends_with_agent = ends_with_agent;
    // The newest, not that of the call: a renewal may have come while the server was looked at.
    orders.deadline = ends_with_agent ? Instant::max() : lease_->deadline();
    orders_ = orders;
    write();
    co_return Result<>{};
}

void LocalFences::disarm(Disarmed why) {
    const auto state = why == Disarmed::paused ? guardian::State::paused : guardian::State::disarmed;
    watchdog_.disable();
    ++disarmed_;
    if (said_ && orders_.state == state) return;
    orders_ = {.state = state};
    write();
}

void LocalFences::write() {
    said_ = true;
    if (!guardian_) return;
    // With the testing driver the file at the other end plays the hardware that resets the machine.
    guardian_->order(watchdog_.is_rehearsed() ? guardian::Orders{} : orders_);
}

std::string LocalFences::unfit() const {
    if (!broken_.empty()) return broken_;
    if (guardian_)
        if (std::string why = guardian_->missing(); !why.empty()) return why;
    return watchdog_.failed();
}

}  // namespace pgkeel::agent
