#pragma once
#include "async/event.hpp"

#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace pgkeel {

/// Threads for what may block: files, DNS, fsync. The event loop never does.
class Workers {
  public:
    explicit Workers(std::size_t threads) : pool_(threads) {}

    /// Runs `work` on a worker thread and comes back to the caller's executor with what it returned, or has thrown.
    template <class F>
    Task<std::invoke_result_t<F>> run(F work) {
        struct Job {
            std::optional<std::invoke_result_t<F>> result;
            std::exception_ptr thrown;
            Event done;
        };
        const auto job = std::make_shared<Job>();
        // Its loop goes on as long as somebody works for it.
        auto home = asio::prefer(co_await asio::this_coro::executor, asio::execution::outstanding_work.tracked);
        asio::post(pool_, [job, home = std::move(home), work = std::move(work)]() mutable {
            try {
                job->result.emplace(work());
            } catch (...) {
                job->thrown = std::current_exception();
            }
            asio::post(home, [job] { job->done.set(); });
        });
        co_await job->done.wait();
        if (job->thrown) std::rethrow_exception(job->thrown);
        co_return std::move(*job->result);
    }

  private:
    asio::thread_pool pool_;
};

}  // namespace pgkeel
