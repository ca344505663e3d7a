#include "log/log.hpp"

#include "base/blocked_signals.hpp"
#include "log/line.hpp"
#include "log/output.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/sink.h>

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

// The event loop must not wait for whoever reads our stderr: a stopped reader would stop the renewal of the lease. So
// lines are put into spdlog's bounded queue, and one thread of its pool formats and writes them. The queue and the
// thread live as long as the process; `configure` replaces only the logger in front of it, so the order of lines is
// kept.

namespace pgkeel::log {
namespace {

constexpr std::size_t queue_lines = 1000;  ///< Patroni's max_queue_size

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warning:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
        case Level::critical:
            return spdlog::level::critical;
    }
    return spdlog::level::info;
}

Level from_spdlog(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::trace:
        case spdlog::level::debug:
            return Level::debug;
        case spdlog::level::warn:
            return Level::warning;
        case spdlog::level::err:
            return Level::error;
        case spdlog::level::critical:
            return Level::critical;
        default:
            return Level::info;
    }
}

/// How many lines came out of the queue, for whoever waits for that.
struct Progress {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t handled = 0;
    std::size_t reported_lost = 0;
};

std::string_view text_of(const char* text) {
    return text == nullptr ? std::string_view() : std::string_view(text);
}

using Outputs = std::vector<std::unique_ptr<Output>>;

/// The writing thread's end. Only that thread calls `log`.
class LineSink final : public spdlog::sinks::sink {
  public:
    LineSink(LineFormat format, Outputs outputs, std::shared_ptr<Progress> progress,
             std::weak_ptr<spdlog::details::thread_pool> pool)
        : format_(std::move(format)),
          outputs_(std::move(outputs)),
          progress_(std::move(progress)),
          pool_(std::move(pool)) {}

    void log(const spdlog::details::log_msg& message) override {
        report_loss(message.time);
        put({
            .level = from_spdlog(message.level),
            .message = {message.payload.data(), message.payload.size()},
            .time = message.time,
            .thread = message.thread_id,
            .file = text_of(message.source.filename),
            .line = message.source.line,
            .function = text_of(message.source.funcname),
        });
        const std::lock_guard lock(progress_->mutex);
        ++progress_->handled;
        progress_->changed.notify_all();
    }
    void flush() override {}
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  private:
    void put(const Record& record) {
        const std::string line = format_.line(record);
        for (const auto& output : outputs_) output->write(record, line);
    }
    void report_loss(WallTime now) {
        const auto pool = pool_.lock();
        if (!pool) return;
        const std::size_t lost = pool->overrun_counter();
        if (lost == progress_->reported_lost) return;
        const std::string text = fmt::format("{} log lines were lost: they came faster than they could be written",
                                             lost - progress_->reported_lost);
        progress_->reported_lost = lost;
        Record record;
        record.level = Level::warning;
        record.message = text;
        record.time = now;
        put(record);
    }

    LineFormat format_;
    Outputs outputs_;
    std::shared_ptr<Progress> progress_;
    std::weak_ptr<spdlog::details::thread_pool> pool_;
};

/// Never destroyed: threads may log while the process exits.
struct State {
    std::mutex mutex;
    Options options;
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<Progress> progress;
    std::shared_ptr<spdlog::logger> logger;
    std::atomic<std::size_t> queued{0};
    std::atomic<Level> level{Level::info};
    std::atomic<int> verbosity{0};
};

State& state() {
    static auto* const the_state = [] {
        auto* made = new State;
        // A forked child has our memory but not the writing thread, and its locks are as they were: it starts anew.
        pthread_atfork([] { state().mutex.lock(); }, [] { state().mutex.unlock(); },
                       [] {
                           State& mine = state();
                           new std::shared_ptr(std::move(mine.pool));
                           new std::shared_ptr(std::move(mine.logger));
                           mine.progress.reset();
                           mine.queued = 0;
                           mine.mutex.unlock();
                       });
        std::atexit([] { flush(); });
        return made;
    }();
    return *the_state;
}

Result<Outputs> open_outputs(const Options& options) {
    Outputs out;
    if (options.directory.empty() && options.to_standard_error) out.push_back(standard_error());
    if (!options.directory.empty()) {
        auto file = rotating_file(options.directory + "/patroni.log", options.file_size_bytes, options.file_count,
                                  options.file_mode);
        if (!file) return std::unexpected(std::move(file.error()));
        out.push_back(std::move(*file));
    }
    if (!options.file.empty()) {
        auto file = appended_file(options.file);
        if (!file) return std::unexpected(std::move(file.error()));
        out.push_back(std::move(*file));
    }
    if (options.syslog) out.push_back(system_log(*options.syslog));
    return out;
}

/// Under the state's lock.
Result<std::shared_ptr<spdlog::logger>> make_logger(State& mine, const Options& options) {
    auto format = LineFormat::compile(options);
    if (!format) return std::unexpected(std::move(format.error()));
    auto outputs = open_outputs(options);
    if (!outputs) return std::unexpected(std::move(outputs.error()));
    try {
        if (!mine.pool) {
            mine.progress = std::make_shared<Progress>();
            const BlockedSignals blocked;
            mine.pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
        }
        auto sink = std::make_shared<LineSink>(std::move(*format), std::move(*outputs), mine.progress, mine.pool);
        auto logger = std::make_shared<spdlog::async_logger>("pgkeel", std::move(sink), mine.pool,
                                                             spdlog::async_overflow_policy::overrun_oldest);
        logger->set_level(spdlog::level::trace);
        return logger;
    } catch (const std::exception& problem) {
        return fail(Errc::io_error, fmt::format("cannot start the log's writing thread: {}", problem.what()));
    }
}

/// Null only when no thread can be started.
std::shared_ptr<spdlog::logger> current_logger() {
    State& mine = state();
    const std::lock_guard lock(mine.mutex);
    if (!mine.logger) {
        auto made = make_logger(mine, mine.options);
        if (!made) made = make_logger(mine, Options{});
        if (made) mine.logger = std::move(*made);
    }
    return mine.logger;
}

}  // namespace

Result<> configure(const Options& options) {
    State& mine = state();
    const std::lock_guard lock(mine.mutex);
    auto made = make_logger(mine, options);
    if (!made) return std::unexpected(std::move(made.error()));
    mine.options = options;
    mine.logger = std::move(*made);
    mine.level = options.level;
    mine.verbosity = options.level == Level::debug ? 1 : 0;
    return {};
}

Result<> reopen() {
    State& mine = state();
    const std::lock_guard lock(mine.mutex);
    auto made = make_logger(mine, mine.options);
    if (!made) return std::unexpected(std::move(made.error()));
    mine.logger = std::move(*made);
    return {};
}

void set_verbosity(int verbosity) {
    State& mine = state();
    const std::lock_guard lock(mine.mutex);
    mine.verbosity = verbosity;
    mine.level = verbosity > 0 ? Level::debug : Level::info;
}

int verbosity() {
    return state().verbosity.load(std::memory_order_relaxed);
}

bool enabled(Level level) {
    return level >= state().level.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view message, std::source_location where) {
    if (!enabled(level)) return;
    const auto logger = current_logger();
    if (!logger) return;
    ++state().queued;
    logger->log(spdlog::source_loc{where.file_name(), static_cast<int>(where.line()), where.function_name()},
                to_spdlog(level), spdlog::string_view_t(message.data(), message.size()));
    // What follows is often the end of the process.
    if (level == Level::critical) flush(std::chrono::milliseconds(200));
}

bool flush(std::chrono::milliseconds timeout) {
    State& mine = state();
    std::shared_ptr<Progress> progress;
    std::shared_ptr<spdlog::details::thread_pool> pool;
    {
        const std::lock_guard lock(mine.mutex);
        progress = mine.progress;
        pool = mine.pool;
    }
    if (!progress) return true;
    const std::size_t queued = mine.queued;
    const Deadline deadline = Boottime::now() + timeout;
    std::unique_lock lock(progress->mutex);
    // A dropped line is counted by the queue and announced by nobody, so look again from time to time.
    while (progress->handled + pool->overrun_counter() < queued) {
        if (Boottime::now() >= deadline) return false;
        progress->changed.wait_for(lock, std::chrono::milliseconds(5));
    }
    return true;
}

}  // namespace pgkeel::log
