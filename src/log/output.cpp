#include "log/output.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace pgkeel::log {
namespace {

bool write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

class StandardError final : public Output {
  public:
    bool write(const Record&, std::string_view line) override { return write_all(STDERR_FILENO, line); }
};

class RotatingFile final : public Output {
  public:
    RotatingFile(std::string path, std::size_t size_bytes, int count, std::optional<int> mode)
        : path_(std::move(path)), size_max_(size_bytes), count_(count), mode_(mode) {}
    RotatingFile(const RotatingFile&) = delete;
    RotatingFile& operator=(const RotatingFile&) = delete;
    ~RotatingFile() override { close(); }

    /// False with errno set.
    bool open() {
        close();
        descriptor_ =
            ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, static_cast<mode_t>(mode_.value_or(0644)));
        if (descriptor_ < 0) return false;
        struct stat status{};
        size_ = fstat(descriptor_, &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
        // The mode given to open() is cut by the umask, and the file may be an older one.
        if (mode_ && status.st_uid == geteuid()) (void)fchmod(descriptor_, static_cast<mode_t>(*mode_));
        return true;
    }

    bool write(const Record&, std::string_view line) override {
        if (size_max_ != 0 && count_ > 0 && size_ != 0 && size_ + line.size() > size_max_) rotate();
        if (descriptor_ < 0 && !open()) return false;
        if (!write_all(descriptor_, line)) return false;
        size_ += line.size();
        return true;
    }

  private:
    void close() {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = -1;
    }
    void rotate() {
        for (int number = count_ - 1; number >= 0; --number) {
            const std::string from = number == 0 ? path_ : fmt::format("{}.{}", path_, number);
            (void)std::rename(from.c_str(), fmt::format("{}.{}", path_, number + 1).c_str());
        }
        open();
    }

    std::string path_;
    std::size_t size_max_;
    int count_;
    std::optional<int> mode_;  ///< nothing: what the file has, or what the umask leaves a new one
    int descriptor_ = -1;
    std::size_t size_ = 0;
};

Result<std::unique_ptr<Output>> opened(std::string path, std::size_t size_bytes, int count, std::optional<int> mode,
                                       const char* hint) {
    auto file = std::make_unique<RotatingFile>(path, size_bytes, count, mode);
    if (!file->open())
        return fail(Errc::io_error, fmt::format("cannot write log file {}: {}", path, std::strerror(errno)), hint);
    return file;
}

}  // namespace

std::unique_ptr<Output> standard_error() {
    return std::make_unique<StandardError>();
}

Result<std::unique_ptr<Output>> rotating_file(std::string path, std::size_t size_bytes, int count, int mode) {
    return opened(std::move(path), size_bytes, count, mode, "log.dir must exist and be writable by this user");
}

Result<std::unique_ptr<Output>> appended_file(std::string path) {
    return opened(std::move(path), 0, 0, std::nullopt, "its directory must exist and be writable by this user");
}

}  // namespace pgkeel::log
