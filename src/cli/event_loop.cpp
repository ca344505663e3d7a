#include "cli/event_loop.hpp"

#include "async/spawn.hpp"

#include <boost/asio/io_context.hpp>

namespace pgkeel::cli {

namespace {
Task<> keep_result(std::function<Task<int>(Clock&)> body, Clock& clock, int& status, asio::io_context& loop) {
    status = co_await body(clock);
    loop.stop();  // what the task left running in the background ends with it
}
}  // namespace

int run_task(std::function<Task<int>(Clock&)> body) {
    asio::io_context loop(1);
    BoottimeClock clock(loop.get_executor());
    int status = 1;
    spawn(loop.get_executor(), "command", keep_result(std::move(body), clock, status, loop));
    loop.run();
    return status;
}

}  // namespace pgkeel::cli
