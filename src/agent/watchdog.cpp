#include "agent/watchdog.hpp"

#include "log/log.hpp"

#include <fmt/format.h>

namespace pgkeel::agent {

int Watchdog::timeout_seconds() const {
    const auto ttl = static_cast<int>(settings_.ttl.count());
    return options_.safety_margin_seconds < 0 ? ttl / 2 : ttl - options_.safety_margin_seconds;
}

std::string Watchdog::misfit() const {
    const int timeout = timeout_seconds();
    if (timeout >= 1 && timeout >= settings_.loop_wait.count()) return {};
    return fmt::format("ttl {} s and safety_margin {} s leave the watchdog {} s, and loop_wait is {} s",
                       settings_.ttl.count(), options_.safety_margin_seconds, timeout, settings_.loop_wait.count());
}

std::string Watchdog::failed() const {
    if (!required() || device_ != nullptr) return {};
    if (std::string why = misfit(); !why.empty()) return why;
    if (!guardian::WatchdogDevice::is_there(options_.device))
        return fmt::format("the watchdog {} is required and cannot be used", options_.device);
    return {};
}

void Watchdog::use(const ClusterSettings& settings) {
    settings_ = settings;
    if (device_ == nullptr || timeout_seconds() == timeout_set_) return;
    if (const auto set = set_timeout(); !set) log::error("{}", set.error().line());
}

Result<> Watchdog::set_timeout() {
    if (const std::string why = misfit(); !why.empty()) return fail(Errc::unsafe, why, "raise ttl or lower the margin");
    const auto counts = device_->set_timeout(timeout_seconds());
    if (!counts) return std::unexpected(counts.error());
    timeout_set_ = timeout_seconds();
    if (*counts < settings_.loop_wait.count())
        return fail(Errc::unsafe,
                    fmt::format("the watchdog {} resets this machine after {} s, and loop_wait is {} s",
                                options_.device, *counts, settings_.loop_wait.count()),
                    "lower loop_wait");
    if (*counts > timeout_set_)
        log::warning("the watchdog {} waits {} s instead of the {} s that fit the lease", options_.device, *counts,
                     timeout_set_);
    return {};
}

Result<> Watchdog::open() {
    if (const std::string why = misfit(); !why.empty()) return fail(Errc::unsafe, why, "raise ttl or lower the margin");
    auto opened = guardian::WatchdogDevice::open(options_.device, options_.driver == "testing"
                                                                      ? guardian::WatchdogDevice::Driver::testing
                                                                      : guardian::WatchdogDevice::Driver::kernel);
    if (!opened) return std::unexpected(opened.error());
    device_ = std::move(*opened);
    auto ready = set_timeout();
    if (ready) ready = device_->feed();
    if (ready) return {};
    (void)device_->disable();
    device_.reset();
    return ready;
}

Result<> Watchdog::activate() {
    if (options_.mode == "off" || device_ != nullptr) return {};
    const auto opened = open();
    if (opened) {
        complained_ = false;
        log::info("the watchdog {} resets this machine when the lease was not renewed for {} s", options_.device,
                  timeout_set_);
        if (!device_->can_be_disabled())
            log::warning("the watchdog {} cannot be stopped: it bites when this node stops leading", options_.device);
        return {};
    }
    if (required())
        return fail("the watchdog is required", Error{Errc::unsafe, opened.error().text, opened.error().hint});
    // Most machines have none, and nobody has asked for one.
    if (!complained_) log::info("no watchdog: {}", opened.error().line());
    complained_ = true;
    return {};
}

void Watchdog::feed() {
    if (device_ == nullptr) return;
    if (const auto fed = device_->feed(); !fed) log::error("{}", fed.error().line());
}

void Watchdog::disable() {
    if (device_ == nullptr) return;
    if (const auto done = device_->disable(); !done) log::error("{}: it will bite", done.error().line());
    device_.reset();
    timeout_set_ = 0;
}

}  // namespace pgkeel::agent
