#pragma once
#include "base/result.hpp"

namespace pgkeel::proxy {

/// The end of a process in its background part. Its parent, which the shell waits for, ends when the start has
/// succeeded or failed, with the status that belongs to it: a script that goes on finds a pidfile.
class Daemon {
  public:
    /// Forks twice; the caller goes on as a child that no terminal and no session owns, and the parents never return
    /// from here. Standard error is kept until `started`. No other thread may run. Errors: process_failed.
    static Result<Daemon> begin();

    Daemon() = default;  ///< in the foreground: nothing happens
    Daemon(Daemon&& other) noexcept;
    Daemon& operator=(Daemon&& other) noexcept;
    ~Daemon();

    /// The standard streams become /dev/null and the parent ends with 0. Errors: io_error.
    Result<> started();
    /// The parent ends with `status`.
    void failed(int status);

  private:
    explicit Daemon(int parent) : parent_(parent) {}
    void tell(int status);

    int parent_ = -1;  ///< a pipe
};

}  // namespace pgkeel::proxy
