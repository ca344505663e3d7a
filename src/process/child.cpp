#include "process/child.hpp"

#include "async/event.hpp"
#include "async/spawn.hpp"
#include "process/launch.hpp"
#include "process/pidfd.hpp"
#include "process/reaper.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

#include <algorithm>
#include <array>

namespace pgkeel {

namespace {

/// How long a program that was asked to end may take before it is killed.
constexpr Duration patience = std::chrono::seconds(2);
/// How long what the program left behind may keep its output open before we stop listening.
constexpr Duration last_words = std::chrono::milliseconds(200);

class File {
  public:
    explicit File(int descriptor = -1) : descriptor_(descriptor) {}
    ~File() { reset(); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int get() const { return descriptor_; }
    int release() { return std::exchange(descriptor_, -1); }
    void reset(int descriptor = -1) {
        if (descriptor_ >= 0) close(descriptor_);
        descriptor_ = descriptor;
    }

  private:
    int descriptor_;
};

/// A pipe; `ours` does not block, `theirs` does.
struct Pipe {
    File ours;
    File theirs;
};

bool open_pipe(Pipe& pipe, bool we_read) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    pipe.ours.reset(we_read ? ends[0] : ends[1]);
    pipe.theirs.reset(we_read ? ends[1] : ends[0]);
    return fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) == 0;
}

int open_output(const std::string& path) {
    return open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

std::unexpected<Error> cannot_start(const Command& command, std::string_view step) {
    const int error = errno;
    return fail(Errc::process_failed,
                fmt::format("cannot start {}: {}: {}", command.arguments.front(), step, std::strerror(error)));
}

using Descriptor = asio::posix::stream_descriptor;

void keep(std::string& kept, std::string_view more, bool keep_last) {
    if (keep_last) {
        kept.append(more);
        if (kept.size() > 2 * captured_bytes_max) kept.erase(0, kept.size() - captured_bytes_max);
    } else {
        kept.append(more.substr(0, captured_bytes_max - kept.size()));
    }
}

}  // namespace

/// One program between its start and the moment it has been waited for. Dropped earlier (our own task was cancelled),
/// it kills what it started.
struct RunningChild : std::enable_shared_from_this<RunningChild> {
    RunningChild(Clock& time, const asio::any_io_executor& executor)
        : clock(time), exit(executor), input(executor), output(executor), errors(executor) {}
    ~RunningChild() {
        leave_cancel();
        if (pid == 0) return;
        kill(-pid, SIGKILL);
        reap_in_background(pid);
    }
    RunningChild(const RunningChild&) = delete;
    RunningChild& operator=(const RunningChild&) = delete;

    /// SIGTERM now and SIGKILL a little later, for the whole process group.
    void end(Errc reason) {
        if (pid == 0 || ended_for) return;
        ended_for = reason;
        kill(-pid, SIGTERM);
        alarm = clock.call_at(clock.now() + patience, [weak = weak_from_this()] {
            if (const auto self = weak.lock(); self && self->pid != 0) kill(-self->pid, SIGKILL);
        });
    }

    void join_cancel(Cancel& whose) {
        cancel = &whose;
        auto listener = [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->end(Errc::cancelled);
        };
        const auto free = std::ranges::find_if(whose.listeners_, [](const auto& f) { return !f; });
        slot = static_cast<std::size_t>(free - whose.listeners_.begin());
        if (free == whose.listeners_.end()) whose.listeners_.emplace_back();
        whose.listeners_[slot] = std::move(listener);
    }
    void leave_cancel() {
        if (cancel != nullptr) cancel->listeners_[slot] = nullptr;
        cancel = nullptr;
    }

    Clock& clock;
    pid_t pid = 0;  ///< 0: waited for
    Descriptor exit;
    Descriptor input;
    Descriptor output;
    Descriptor errors;
    ExitStatus status;
    int open_outputs = 0;
    Event outputs_closed;
    std::optional<Errc> ended_for;
    Clock::Alarm alarm;
    Cancel* cancel = nullptr;
    std::size_t slot = 0;
};

namespace {

Task<> read_all(std::shared_ptr<RunningChild> child, Descriptor RunningChild::* from, std::string ExitStatus::* to) {
    std::array<char, 16384> buffer{};
    const bool keep_last = to == &ExitStatus::errors;
    for (;;) {
        const auto [error, bytes] =
            co_await (*child.*from).async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
        if (error) break;
        keep(child->status.*to, {buffer.data(), bytes}, keep_last);
    }
    if (--child->open_outputs == 0) child->outputs_closed.set();
}

Task<> write_all(std::shared_ptr<RunningChild> child, std::string text) {
    for (std::size_t done = 0; done < text.size();) {
        const auto [error, bytes] =
            co_await child->input.async_write_some(asio::buffer(text) + done, asio::as_tuple(asio::use_awaitable));
        if (error) break;  // it did not want to read all of it: its exit code tells whether that matters
        done += bytes;
    }
    boost::system::error_code ignored;
    child->input.close(ignored);
}

void attach(Descriptor& descriptor, File& file) {
    descriptor.assign(file.release());
}

Result<> start(const std::shared_ptr<RunningChild>& child, const Command& command) {
    Pipe input;
    Pipe output;
    Pipe errors;
    const bool captures = command.output_file.empty();
    if (command.input.empty()) {
        input.theirs.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (input.theirs.get() < 0) return cannot_start(command, "opening /dev/null");
    } else {
        // A program that ends without reading its input must not end us. (Agents ignore the signal from their start.)
        std::signal(SIGPIPE, SIG_IGN);
        if (!open_pipe(input, false)) return cannot_start(command, "opening a pipe");
    }
    if (captures) {
        if (!open_pipe(output, true) || !open_pipe(errors, true)) return cannot_start(command, "opening a pipe");
    } else {
        output.theirs.reset(open_output(command.output_file));
        if (output.theirs.get() < 0) return cannot_start(command, "opening " + command.output_file);
    }
    const int errors_to = captures ? errors.theirs.get() : output.theirs.get();
    const auto pid = launch(command, {input.theirs.get(), output.theirs.get(), errors_to});
    if (!pid) return std::unexpected(pid.error());
    child->pid = *pid;
    File exit(open_pidfd(*pid));
    if (exit.get() < 0) return cannot_start(command, "watching it");
    attach(child->exit, exit);
    if (!command.input.empty()) attach(child->input, input.ours);
    if (captures) {
        attach(child->output, output.ours);
        attach(child->errors, errors.ours);
        child->open_outputs = 2;
    }
    return {};
}

int exit_code(int wait_status) {
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/// The program has ended: what it left of its group goes too when it was us who ended it. The group's number is not
/// reused before the program has been waited for.
void collect(RunningChild& child) {
    if (child.ended_for) kill(-child.pid, SIGKILL);
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    disown(child.pid);
    child.pid = 0;
    child.alarm.reset();
    child.leave_cancel();
    child.status.code = exit_code(status);
}

std::string last_line(const std::string& text) {
    const auto end = text.find_last_not_of(" \t\r\n");
    if (end == std::string::npos) return {};
    const auto begin = text.find_last_of('\n', end);
    return text.substr(begin == std::string::npos ? 0 : begin + 1,
                       end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

/// The line that says why: programs tidy up after an error and tell of that last.
std::string telling_line(const std::string& text) {
    std::size_t at = 0;
    for (const char* mark : {"error:", "ERROR:", "FATAL:", "PANIC:"})
        if (const auto found = text.rfind(mark); found != std::string::npos) at = std::max(at, found + 1);
    return last_line(at == 0 ? text : text.substr(0, text.find('\n', at)));
}

}  // namespace

Task<Result<ExitStatus>> run(Clock& clock, Command command, Deadline deadline, Cancel* cancel) {
    if (command.arguments.empty()) co_return fail(Errc::invalid_input, "cannot run a program: no program is named");
    if (cancel != nullptr && cancel->requested())
        co_return fail(Errc::cancelled, fmt::format("did not run {}: cancelled before", command.arguments.front()));
    const auto executor = co_await asio::this_coro::executor;
    const auto child = std::make_shared<RunningChild>(clock, executor);
    if (const auto started = start(child, command); !started) co_return std::unexpected(started.error());
    if (cancel != nullptr) child->join_cancel(*cancel);
    const auto deadline_alarm = clock.call_at(deadline, [weak = std::weak_ptr(child)] {
        if (const auto self = weak.lock()) self->end(Errc::timed_out);
    });
    if (child->open_outputs != 0) {
        spawn(executor, "reading a program's output", read_all(child, &RunningChild::output, &ExitStatus::output));
        spawn(executor, "reading a program's errors", read_all(child, &RunningChild::errors, &ExitStatus::errors));
    }
    if (!command.input.empty())
        spawn(executor, "writing a program's input", write_all(child, std::move(command.input)));

    co_await child->exit.async_wait(Descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    const auto ended_for = child->ended_for;
    collect(*child);
    if (child->open_outputs != 0) co_await child->outputs_closed.wait(clock, clock.now() + last_words);
    boost::system::error_code ignored;
    child->input.close(ignored);
    child->output.close(ignored);
    child->errors.close(ignored);
    ExitStatus status = std::move(child->status);
    if (status.errors.size() > captured_bytes_max) status.errors.erase(0, status.errors.size() - captured_bytes_max);
    if (ended_for == Errc::timed_out)
        co_return fail(Errc::timed_out,
                       fmt::format("{} did not end in time and was stopped", command.arguments.front()));
    if (ended_for == Errc::cancelled)
        co_return fail(Errc::cancelled, fmt::format("{} was stopped on request", command.arguments.front()));
    co_return status;
}

Task<Result<ExitStatus>> run_checked(Clock& clock, Command command, Deadline deadline, Cancel* cancel) {
    const std::string program = command.arguments.empty() ? std::string() : command.arguments.front();
    auto status = co_await run(clock, std::move(command), deadline, cancel);
    if (!status || status->ok()) co_return status;
    std::string line = telling_line(status->errors);
    if (line.empty()) line = telling_line(status->output);
    co_return fail(Errc::process_failed, fmt::format("{} ended with exit code {}{}{}", program, status->code,
                                                     line.empty() ? "" : ": ", line));
}

Result<pid_t> start_detached(const Command& command) {
    if (command.arguments.empty()) return fail(Errc::invalid_input, "cannot start a program: no program is named");
    const File input(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (input.get() < 0) return cannot_start(command, "opening /dev/null");
    File output;
    if (!command.output_file.empty()) {
        output.reset(open_output(command.output_file));
        if (output.get() < 0) return cannot_start(command, "opening " + command.output_file);
    }
    const int to = command.output_file.empty() ? STDERR_FILENO : output.get();
    const auto pid = launch(command, {input.get(), to, to});
    if (pid) reap_in_background(*pid);
    return pid;
}

void Cancel::request() {
    requested_ = true;
    // A listener may remove itself, so the list is not walked by iterator.
    for (std::size_t i = 0; i < listeners_.size(); ++i)
        if (const auto listener = listeners_[i]) listener();
}

}  // namespace pgkeel
