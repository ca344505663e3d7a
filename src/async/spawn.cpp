#include "async/spawn.hpp"

#include "async/event.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace pgkeel {

void spawn(const asio::any_io_executor& executor, std::string name, Task<> task) {
    asio::co_spawn(executor, std::move(task), [name = std::move(name)](std::exception_ptr error) {
        if (!error) return;
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& e) {
            std::fprintf(stderr, "pgkeel: task '%s' ended with an exception: %s\n", name.c_str(), e.what());
        }
        std::abort();
    });
}

namespace {
struct Countdown {
    std::size_t left;
    Event done;
};

Task<> counted(std::shared_ptr<Countdown> countdown, Task<> task) {
    co_await std::move(task);
    if (--countdown->left == 0) countdown->done.set();
}
}  // namespace

Task<> all_of(std::vector<Task<>> tasks) {
    if (tasks.empty()) co_return;
    const auto executor = co_await asio::this_coro::executor;
    auto countdown = std::make_shared<Countdown>();
    countdown->left = tasks.size();
    for (Task<>& task : tasks) spawn(executor, "one of several", counted(countdown, std::move(task)));
    co_await countdown->done.wait();
}

}  // namespace pgkeel
