#pragma once
#include "async/task.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <type_traits>

namespace pgkeel {

/// Threads for what may block: files, DNS, fsync. The event loop never does.
class Workers {
  public:
    explicit Workers(std::size_t threads) : pool_(threads) {}

    /// Runs `work` on a worker thread and comes back to the caller's executor with what it returned.
    template <class F>
    Task<std::invoke_result_t<F>> run(F work) {
        co_return co_await asio::co_spawn(pool_.get_executor(), wrap(std::move(work)), asio::use_awaitable);
    }

  private:
    template <class F>
    static Task<std::invoke_result_t<F>> wrap(F work) {
        co_return work();
    }
    asio::thread_pool pool_;
};

}  // namespace pgkeel
