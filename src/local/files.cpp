#include "local/files.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

namespace pgkeel::local {

namespace {
std::unexpected<Error> io_failure(std::string_view what, const std::string& path) {
    const int error = errno;
    return fail(error == ENOENT ? Errc::not_found : Errc::io_error,
                fmt::format("cannot {} {}: {}", what, path, std::strerror(error)));
}

bool write_all(int descriptor, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(descriptor, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}
}  // namespace

Result<> write_file(const std::string& path, std::string_view content, mode_t mode) {
    const std::string temporary = fmt::format("{}.new.{}", path, ::getpid());
    ::unlink(temporary.c_str());
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (descriptor < 0) return io_failure("create", temporary);
    const bool written = write_all(descriptor, content) && ::fchmod(descriptor, mode) == 0 && ::fsync(descriptor) == 0;
    const auto failure = written ? Result<>() : io_failure("write", temporary);
    ::close(descriptor);
    if (!written || ::rename(temporary.c_str(), path.c_str()) != 0) {
        auto error = written ? io_failure("replace", path) : std::unexpected(failure.error());
        ::unlink(temporary.c_str());
        return error;
    }
    return {};
}

Result<std::string> read_file(const std::string& path) {
    constexpr std::size_t most = 16UL * 1024 * 1024;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return io_failure("open", path);
    std::string content;
    std::array<char, 16384> buffer{};
    ssize_t got = 0;
    while ((got = ::read(descriptor, buffer.data(), buffer.size())) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 || content.size() > most) {
            if (got >= 0) errno = EFBIG;
            auto error = io_failure("read", path);
            ::close(descriptor);
            return error;
        }
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
    ::close(descriptor);
    return content;
}

Result<> make_private_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    struct stat status{};
    if (errno == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return io_failure("make directory", path);
}

Result<> remove_tree(const std::string& path) {
    std::error_code error;
    // Interrupted, it must still be known for what it is, and be locked: its plan and its lock go last.
    std::vector<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) entries.push_back(entry.path());
    const auto rank = [](const std::filesystem::path& entry) {
        return entry.filename() == "lock" ? 2 : entry.filename() == "cluster.json" ? 1 : 0;
    };
    std::ranges::stable_sort(entries, {}, rank);
    for (const auto& entry : entries) {
        std::filesystem::remove_all(entry, error);
        if (error) return fail(Errc::io_error, fmt::format("cannot remove {}: {}", entry.string(), error.message()));
    }
    if (error) return fail(Errc::io_error, fmt::format("cannot read directory {}: {}", path, error.message()));
    if (::rmdir(path.c_str()) != 0 && errno != EACCES && errno != EPERM) return io_failure("remove", path);
    return {};
}

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, std::chrono::milliseconds patience) {
    constexpr std::chrono::milliseconds pause{50};
    const auto end = std::chrono::steady_clock::now() + patience;
    auto lock = try_to_take(directory);
    while (!lock && lock.error().code == Errc::conflict && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(pause);
        lock = try_to_take(directory);
    }
    return lock;
}

Result<DirectoryLock> DirectoryLock::try_to_take(const std::string& directory) {
    const std::string path = directory + "/lock";
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return io_failure("open", path);
    DirectoryLock lock(descriptor);
    // Root may be the first to come; the directory's owner must be able to lock it later.
    struct stat owner{};
    if (::geteuid() == 0 &&
        (::stat(directory.c_str(), &owner) != 0 || ::fchown(descriptor, owner.st_uid, owner.st_gid) != 0))
        return io_failure("give away", path);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return io_failure("lock", path);
        std::array<char, 32> holder{};
        const ssize_t length = ::pread(descriptor, holder.data(), holder.size() - 1, 0);
        return fail(Errc::conflict,
                    fmt::format("another pgkeel (pid {}) is starting or stopping the cluster in {}",
                                length > 0 ? holder.data() : "unknown", directory),
                    "wait until it has finished, then try again");
    }
    struct stat locked{};
    if (::fstat(descriptor, &locked) != 0) return io_failure("look at", path);
    if (locked.st_nlink == 0)
        return fail(Errc::conflict, fmt::format("{} has just been removed by another pgkeel", directory),
                    "run the command again");
    const std::string self = std::to_string(::getpid());
    if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, self.data(), self.size(), 0) < 0)
        return io_failure("write", path);
    return lock;
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}
DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace pgkeel::local
