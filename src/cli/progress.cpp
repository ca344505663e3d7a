#include "cli/progress.hpp"
#include "cli/put.hpp"

#include "cli/terminal.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace pgkeel::cli {

using namespace std::chrono_literals;

Progress::Progress(Clock& clock, std::string what)
    : clock_(clock), what_(std::move(what)), start_(clock.now()), next_line_(start_ + 10s) {
    alarm_ = clock_.call_at(start_ + 2s, [this] { tick(); });
}

Progress::~Progress() {
    clear();
}

void Progress::clear() {
    if (!shown_) return;
    put(stderr, "\r\033[K");
    std::fflush(stderr);
    shown_ = false;
}

void Progress::tick() {
    const Instant now = clock_.now();
    const auto elapsed = static_cast<long>(seconds(now - start_));
    if (is_terminal(2)) {
        put(stderr, "\r\033[K{}", cut_to_width(fmt::format("{} … {} s", what_, elapsed), terminal_width(2) - 1));
        std::fflush(stderr);
        shown_ = true;
    } else if (now >= next_line_) {
        put(stderr, "{}: {} s so far\n", what_, elapsed);
        next_line_ = now + 10s;
    }
    alarm_ = clock_.call_at(now + 1s, [this] { tick(); });
}

}  // namespace pgkeel::cli
