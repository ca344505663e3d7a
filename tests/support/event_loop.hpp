#pragma once
#include "async/clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <stdexcept>

namespace pgkeel::test {

/// An event loop of the test's own, and the time as it is.
class EventLoop {
  public:
    /// Runs `task` to its end and returns what it returned. Whatever else runs on the loop goes on as long.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> result;
        std::exception_ptr failed;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
            failed = error;
            result = std::move(value);
        });
        turn([&] { return result || failed; });
        if (failed) std::rethrow_exception(failed);
        return std::move(*result);
    }
    void run(Task<> task) {
        bool done = false;
        std::exception_ptr failed;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr error) {
            failed = error;
            done = true;
        });
        turn([&] { return done; });
        if (failed) std::rethrow_exception(failed);
    }
    /// Lets the loop run until `condition` holds or `time` has passed; says whether it held.
    template <class Condition>
    bool until(Condition condition, Duration time) {
        const Instant end = clock.now() + time;
        context.restart();
        while (!condition() && clock.now() < end) {
            context.run_one_for(std::chrono::milliseconds(20));
            context.restart();
        }
        return condition();
    }

    asio::io_context context;
    BoottimeClock clock{context.get_executor()};

  private:
    template <class Condition>
    void turn(Condition done) {
        context.restart();
        while (!done())
            if (context.run_one() == 0) throw std::logic_error("the event loop has nothing left to do");
    }
};

}  // namespace pgkeel::test
