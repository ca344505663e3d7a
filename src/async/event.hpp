#pragma once
#include "async/clock.hpp"

#include <list>

namespace pgkeel {

/// A wake-up that is not lost: `set` wakes every waiter, or the next one to come. One event loop, no threads.
class Event {
  public:
    void set();
    bool is_set() const { return set_; }
    void clear() { set_ = false; }

    /// Waits until the event is set or `until` has come; takes the event (clears it). True: it was set.
    Task<bool> wait(Clock& clock, Instant until);
    /// The same without an end.
    Task<> wait();

  private:
    struct Waiter;
    Task<> park(Waiter& waiter);
    std::list<Waiter*> waiters_;
    bool set_ = false;
};

}  // namespace pgkeel
