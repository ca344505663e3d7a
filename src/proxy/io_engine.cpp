#include "proxy/io_engine.hpp"

#include "log/log.hpp"

#include <utility>

namespace pgkeel::proxy {
namespace {

using Loops = std::vector<std::unique_ptr<engine::Loop>>;

Result<Loops> loops_of(engine::Loop::Kind kind, std::size_t count) {
    Loops loops;
    while (loops.size() < count) {
        auto loop = engine::Loop::create(kind);
        if (!loop) return std::unexpected(std::move(loop.error()));
        loops.push_back(std::move(*loop));
    }
    return loops;
}

}  // namespace

Result<Loops> make_loops(config::IoEngine wanted, std::size_t count) {
    using enum engine::Loop::Kind;
    if (wanted != config::IoEngine::epoll) {
        auto loops = loops_of(io_uring, count);
        if (loops) {
            log::info("I/O engine: io_uring");
            return loops;
        }
        if (wanted == config::IoEngine::io_uring) return fail("io_engine = io_uring", std::move(loops.error()));
        log::info("I/O engine: epoll ({})", loops.error().text);
        return loops_of(epoll, count);
    }
    log::info("I/O engine: epoll");
    return loops_of(epoll, count);
}

}  // namespace pgkeel::proxy
