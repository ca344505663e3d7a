#pragma once
#include "async/clock.hpp"

#include <memory>
#include <string>

namespace pgkeel::cli {

/// Says on stderr, from two seconds on, what is being waited for and for how long: one line that is rewritten on a
/// terminal, a line every ten seconds elsewhere. It ends, and clears its line, when it is dropped.
class Progress {
  public:
    Progress(Clock& clock, std::string what);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    /// Takes the line off the screen, so that something else can be printed; it comes back with the next second.
    void clear();
    void say(std::string what) { what_ = std::move(what); }

  private:
    void tick();
    Clock& clock_;
    std::string what_;
    Instant start_;
    Instant next_line_;
    bool shown_ = false;
    Clock::Alarm alarm_;
};

}  // namespace pgkeel::cli
