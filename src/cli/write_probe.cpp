#include "cli/write_probe.hpp"

#include <atomic>
#include <mutex>
#include <thread>

namespace pgkeel::cli {

namespace {
using namespace std::chrono_literals;

constexpr auto between_writes = 5ms;
/// A server that is down or starting writes a line to its log for each attempt.
constexpr auto between_connects = 20ms;

/// One statement, so that a standby is never asked to write and complains in its log. The message's transaction is
/// committed, and its commit is waited for, like any other write.
constexpr const char* probe_statement =
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL"
    " ELSE pg_catalog.pg_logical_emit_message(true, 'pgkeel', 'probe') END";
}  // namespace

struct WriteProbe::Shared {
    mutable std::mutex lock;
    std::map<std::string, Writes> writes;
    std::atomic<bool> ending{false};
    std::vector<std::thread> threads;

    void acknowledged(const std::string& member, Instant when) {
        const std::lock_guard held(lock);
        Writes& all = writes[member];
        if (all.count++ == 0) all.first = when;
        all.last = when;
        all.last_problem.clear();
    }
    void failed(const std::string& member, const Error& error) {
        const std::lock_guard held(lock);
        writes[member].last_problem = error.text;
    }
    void probe(const Target& target) {
        while (!ending) {
            auto connection = connect(target.parameters, 500ms);
            if (!connection) {
                failed(target.member, connection.error());
                std::this_thread::sleep_for(between_connects);
                continue;
            }
            while (!ending) {
                auto result = execute(**connection, probe_statement, 1s);
                if (!result) {
                    failed(target.member, result.error());
                    break;
                }
                if (PQgetisnull(result->get(), 0, 0) == 0) acknowledged(target.member, Boottime::now());
                std::this_thread::sleep_for(between_writes);
            }
            std::this_thread::sleep_for(between_connects);
        }
    }
};

WriteProbe::WriteProbe(std::vector<Target> targets) : shared_(std::make_unique<Shared>()) {
    for (Target& target : targets)
        shared_->threads.emplace_back([shared = shared_.get(), target = std::move(target)] { shared->probe(target); });
}

WriteProbe::~WriteProbe() {
    shared_->ending = true;
    for (std::thread& thread : shared_->threads) thread.join();
}

WriteProbe::Writes WriteProbe::writes_on(const std::string& member) const {
    const std::lock_guard held(shared_->lock);
    const auto found = shared_->writes.find(member);
    return found == shared_->writes.end() ? Writes{} : found->second;
}

std::optional<Duration> WriteProbe::pause(const std::string& from, const std::string& to) const {
    const Writes before = writes_on(from);
    const Writes after = writes_on(to);
    if (before.count == 0 || after.count == 0 || after.first < before.last) return {};
    return after.first - before.last;
}

}  // namespace pgkeel::cli
