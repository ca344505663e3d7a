#include "agent/script_runner.hpp"

#include "async/event.hpp"
#include "async/spawn.hpp"
#include "log/log.hpp"
#include "process/child.hpp"

#include <fmt/format.h>

#include <deque>

namespace pgkeel::agent {

using namespace std::chrono_literals;

const char* to_string(Callback callback) {
    switch (callback) {
        case Callback::on_start:
            return "on_start";
        case Callback::on_stop:
            return "on_stop";
        case Callback::on_restart:
            return "on_restart";
        case Callback::on_reload:
            return "on_reload";
        case Callback::on_role_change:
            return "on_role_change";
    }
    return "on_start";
}

namespace {

/// What a script that is nearly done may take although the next one waits. Roles can change faster here than an
/// interpreter starts.
constexpr Duration grace = 500ms;
/// No script is watched for longer.
constexpr Duration callback_time_max = 24h;
constexpr Duration pre_promote_time_max = 10min;
constexpr std::size_t waiting_max = 16;

const std::string& command_of(const config::Callbacks& callbacks, Callback callback) {
    switch (callback) {
        case Callback::on_start:
            return callbacks.on_start;
        case Callback::on_stop:
            return callbacks.on_stop;
        case Callback::on_restart:
            return callbacks.on_restart;
        case Callback::on_reload:
            return callbacks.on_reload;
        case Callback::on_role_change:
            return callbacks.on_role_change;
    }
    return callbacks.on_start;
}

/// PATRONI_* may hold passwords; the service manager's variables are ours alone.
Command command_with(std::vector<std::string> words) {
    Command command;
    command.arguments = std::move(words);
    command.without_environment_prefixes = {"PATRONI_", "NOTIFY_SOCKET", "WATCHDOG_"};
    return command;
}

}  // namespace

/// Programs that run one after the other.
class ScriptRunner::Line : public std::enable_shared_from_this<Line> {
  public:
    Line(asio::any_io_executor executor, Clock& clock) : executor_(std::move(executor)), clock_(clock) {}

    void add(std::vector<std::string> words) {
        if (waiting_.size() >= waiting_max) {
            log::error("callback {} is dropped: {} others wait", waiting_.front().front(), waiting_.size());
            waiting_.pop_front();
        }
        waiting_.push_back(std::move(words));
        if (busy_) {
            hurry();
        } else {
            busy_ = true;
            spawn(executor_, "callbacks", run_all(shared_from_this()));
        }
    }

    Task<> finish(Deadline deadline) {
        while (busy_ && clock_.now() < deadline) co_await idle_.wait(clock_, deadline);
    }

  private:
    static Task<> run_all(std::shared_ptr<Line> self) {
        while (!self->waiting_.empty()) {
            std::vector<std::string> words = std::move(self->waiting_.front());
            self->waiting_.pop_front();
            const std::string what = fmt::format("{}", fmt::join(words, " "));
            self->running_ = std::make_shared<Cancel>();
            const auto cancel = self->running_;
            if (!self->waiting_.empty()) self->hurry();
            const auto done = co_await run_checked(self->clock_, command_with(std::move(words)),
                                                   self->clock_.now() + callback_time_max, cancel.get());
            self->running_.reset();
            self->alarm_.reset();
            if (done)
                log::debug("callback {} is done", what);
            else if (done.error().code == Errc::cancelled)
                log::warning("callback {} was stopped for the next one", what);
            else
                log::error("callback {}: {}", what, done.error().line());
        }
        self->busy_ = false;
        self->idle_.set();
    }

    /// The one that runs now has only its grace left.
    void hurry() {
        if (alarm_ || !running_) return;
        alarm_ = clock_.call_at(clock_.now() + grace, [weak = std::weak_ptr(running_)] {
            if (const auto running = weak.lock()) running->request();
        });
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    std::deque<std::vector<std::string>> waiting_;
    std::shared_ptr<Cancel> running_;
    Clock::Alarm alarm_;
    Event idle_;
    bool busy_ = false;
};

ScriptRunner::ScriptRunner(asio::any_io_executor executor, Clock& clock, const config::AgentConfig& config)
    : executor_(executor),
      clock_(clock),
      changes_(std::make_shared<Line>(executor, clock)),
      reloads_(std::make_shared<Line>(executor, clock)) {
    use(config);
}

ScriptRunner::~ScriptRunner() = default;

void ScriptRunner::use(const config::AgentConfig& config) {
    callbacks_ = config.postgresql.callbacks;
    pre_promote_ = config.postgresql.pre_promote;
    fence_command_ = config.fence_command;
    fence_time_max_ = std::chrono::seconds(config.fence_timeout_seconds);
    scope_ = config.scope;
    name_ = config.name;
}

void ScriptRunner::call(Callback callback, Role role) {
    const std::string& command = command_of(callbacks_, callback);
    if (command.empty()) return;
    auto words = split_shell_words(command);
    if (!words || words->empty()) {
        log::error("postgresql.callbacks.{} cannot be run: {}", to_string(callback),
                   words ? "it is empty" : words.error().line());
        return;
    }
    words->insert(words->end(), {to_string(callback), to_string(role), scope_});
    (callback == Callback::on_reload ? reloads_ : changes_)->add(std::move(*words));
}

Task<Result<>> ScriptRunner::pre_promote() {
    if (pre_promote_.empty()) co_return Result<>{};
    auto words = split_shell_words(pre_promote_);
    if (!words) co_return fail("postgresql.pre_promote", words.error());
    const auto done =
        co_await run_checked(clock_, command_with(std::move(*words)), clock_.now() + pre_promote_time_max);
    if (!done) co_return fail("pre_promote", done.error());
    co_return Result<>{};
}

Task<Result<>> ScriptRunner::fence(std::string name, std::string host) {
    auto words = split_shell_words(fence_command_);
    if (!words) co_return fail("pgkeel.fence_command", words.error());
    words->insert(words->end(), {name, host});
    Command command = command_with(std::move(*words));
    command.environment = {{"PGKEEL_SCOPE", scope_}, {"PGKEEL_NODE", name_}};
    const auto done = co_await run_checked(clock_, std::move(command), clock_.now() + fence_time_max_);
    if (!done) co_return fail("fence_command", done.error());
    co_return Result<>{};
}

Task<> ScriptRunner::finish(Deadline deadline) {
    co_await changes_->finish(deadline);
    co_await reloads_->finish(deadline);
}

}  // namespace pgkeel::agent
