#include "agent/local_storage.hpp"

#include "base/blocked_signals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pgkeel::agent {

using namespace std::chrono_literals;

namespace {

constexpr Duration pause_max = 5s;
/// A full disk may be emptied again, by the checkpoint that is about to end.
constexpr Duration error_patience = 5s;

bool matters(int error) {
    return error == ENOSPC || error == EDQUOT || error == EIO || error == EROFS;
}

/// The directories to write to: one for each volume.
std::vector<std::string> volumes(const std::string& data_directory) {
    std::vector<std::string> all{data_directory};
    const std::string wal = data_directory + "/pg_wal";
    struct stat data_about{}, wal_about{};
    if (::stat(data_directory.c_str(), &data_about) == 0 && ::stat(wal.c_str(), &wal_about) == 0 &&
        data_about.st_dev != wal_about.st_dev)
        all.push_back(wal);
    return all;
}

}  // namespace

int open_named(const std::string& directory) {
    std::string path = directory + "/.pgkeel_probe_XXXXXX";
    const int file = ::mkostemp(path.data(), O_CLOEXEC);
    if (file >= 0) ::unlink(path.c_str());
    return file;
}

int write_and_sync(const std::string& directory) {
    static constexpr std::array<char, 8192> page{};
    // A file without a name: whatever happens, none is left.
    int file = ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) file = open_named(directory);
    if (file < 0) return matters(errno) ? errno : 0;
    int error = 0;
    const ssize_t written = ::write(file, page.data(), page.size());
    if (written < 0)
        error = errno;
    else if (written < static_cast<ssize_t>(page.size()))
        error = ENOSPC;
    else if (::fdatasync(file) != 0)
        error = errno;
    ::close(file);
    return matters(error) ? error : 0;
}

struct LocalStorage::Probe {
    std::string data_directory;
    Duration patience;

    std::mutex mutex;
    std::condition_variable wake;
    bool ending = false;
    std::string directory;           ///< being written to, or where it failed
    std::optional<Instant> began{};  ///< a write is under way since
    std::optional<Instant> failing_since{};
    int error = 0;

    void run() {
        std::unique_lock lock(mutex);
        while (!ending) {
            const bool good = write_everywhere(lock);
            if (good) failing_since.reset();
            wake.wait_for(lock, std::min<Duration>(patience / 3, pause_max), [this] { return ending; });
        }
    }

    bool write_everywhere(std::unique_lock<std::mutex>& lock) {
        lock.unlock();
        const std::vector<std::string> all = volumes(data_directory);
        lock.lock();
        for (const std::string& each : all) {
            if (ending) return true;
            directory = each;
            began = Boottime::now();
            lock.unlock();
            const int failed = write_and_sync(each);
            lock.lock();
            began.reset();
            if (failed == 0) continue;
            error = failed;
            if (!failing_since) failing_since = Boottime::now();
            return false;
        }
        return true;
    }
};

LocalStorage::LocalStorage(std::string data_directory, Duration patience) {
    if (patience <= Duration::zero()) return;
    probe_ = std::make_shared<Probe>();
    probe_->data_directory = std::move(data_directory);
    probe_->patience = patience;
    const BlockedSignals quiet;
    // Detached: a thread whose write hangs cannot be waited for.
    std::thread([probe = probe_] { probe->run(); }).detach();
}

LocalStorage::~LocalStorage() {
    if (!probe_) return;
    const std::lock_guard lock(probe_->mutex);
    probe_->ending = true;
    probe_->wake.notify_all();
}

Storage::Trouble LocalStorage::trouble(Instant now) const {
    if (!probe_) return {};
    const std::lock_guard lock(probe_->mutex);
    if (probe_->began && now - *probe_->began > probe_->patience)
        return {fmt::format("a write to {} has not come back for {:.0f} s", probe_->directory,
                            seconds(now - *probe_->began)),
                true};
    if (probe_->failing_since && now - *probe_->failing_since > error_patience)
        return {fmt::format("nothing can be written to {}: {}", probe_->directory, std::strerror(probe_->error)),
                false};
    return {};
}

}  // namespace pgkeel::agent
