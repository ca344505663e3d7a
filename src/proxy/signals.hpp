#pragma once
#include <functional>
#include <memory>

namespace pgkeel::proxy {

/// The signals that people and service managers send: HUP, TERM, INT, QUIT, USR1 and USR2. From the constructor on they
/// are blocked in this thread and in every thread made later, and a thread of its own takes them. So make it before any
/// other thread, and after the fork of a daemon. One at a time in a process.
class Signals {
  public:
    Signals();
    ~Signals();  ///< waits for a callback that runs; signals that came too late are dropped
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    /// Who gets each signal from now on, on the thread of the signals and one at a time; signals that came while there
    /// was nobody come first. Callable from any thread and from the callback itself. When it returns, the callback
    /// before is not running any more — unless that is the caller. Two equal signals may come as one.
    void on(std::function<void(int signal)> handle);

    /// "SIGHUP"
    static const char* name(int signal);

  private:
    struct Shared;
    std::unique_ptr<Shared> shared_;
};

}  // namespace pgkeel::proxy
