#include "postgres/files.hpp"

#include "base/descriptor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace pgkeel::postgres {
namespace {

std::unexpected<Error> io_failure(std::string_view what, const std::string& path) {
    const int code = errno;
    return fail(code == ENOENT ? Errc::not_found : Errc::io_error,
                fmt::format("cannot {} {}: {}", what, path, std::strerror(code)));
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
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

/// Configuration files are often links into /etc; then the file behind is the one to replace. A link that neither we,
/// root nor the account made is somebody's trap and is replaced itself.
std::string behind_link(const std::string& path, Account account) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return path;
    if (status.st_uid != ::geteuid() && status.st_uid != 0 && status.st_uid != account.user) return path;
    char resolved[PATH_MAX];
    return ::realpath(path.c_str(), resolved) != nullptr ? std::string(resolved) : path;
}

/// Creates `template_path` (ending in XXXXXX) with content and mode; the name made is left in it.
Result<> create_temporary(std::string& template_path, std::string_view content, mode_t mode, Account account) {
    const Descriptor file(::mkostemp(template_path.data(), O_CLOEXEC));  // 0600
    if (!file) return io_failure("create", template_path);
    bool done = write_all(file.number(), content);
    if (done && account.user != 0 && ::geteuid() == 0) done = ::fchown(file.number(), account.user, account.group) == 0;
    if (done) done = ::fchmod(file.number(), mode) == 0 && ::fsync(file.number()) == 0;
    if (done) return {};
    auto failure = io_failure("write", template_path);
    ::unlink(template_path.c_str());
    return failure;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit_bytes) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return io_failure("open", path);
    struct stat status{};
    if (::fstat(file.number(), &status) != 0) return io_failure("look at", path);
    if (!S_ISREG(status.st_mode)) return fail(Errc::io_error, fmt::format("cannot read {}: it is not a file", path));
    std::string content;
    char buffer[16384];
    while (true) {
        const ssize_t count = ::read(file.number(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return io_failure("read", path);
        if (count == 0) return content;
        content.append(buffer, static_cast<std::size_t>(count));
        if (content.size() > limit_bytes)
            return fail(Errc::io_error, fmt::format("cannot read {}: it is larger than {} bytes", path, limit_bytes));
    }
}

Result<> write_file(const std::string& path, std::string_view content, mode_t mode, Account account) {
    const std::string target = behind_link(path, account);
    std::string temporary = target + ".XXXXXX";
    if (auto created = create_temporary(temporary, content, mode, account); !created) return created;
    if (::rename(temporary.c_str(), target.c_str()) != 0) {
        auto failure = io_failure("replace", target);
        ::unlink(temporary.c_str());
        return failure;
    }
    return sync_directory(directory_of(target));
}

Result<bool> write_file_if_changed(const std::string& path, std::string_view content, mode_t mode, Account account) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 07777) == mode &&
        static_cast<std::size_t>(status.st_size) == content.size()) {
        if (auto present = read_file(path, content.size()); present && *present == content) return false;
    }
    if (auto written = write_file(path, content, mode, account); !written) return std::unexpected(written.error());
    return true;
}

Result<> remove_file(const std::string& path) {
    if (::unlink(path.c_str()) == 0) return sync_directory(directory_of(path));
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return io_failure("remove", path);
}

bool file_exists(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0;
}

Result<> sync_directory(const std::string& path) {
    const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return io_failure("open", path);
    // Some file systems cannot sync a directory and say EINVAL; PostgreSQL ignores that as well.
    if (::fsync(directory.number()) != 0 && errno != EINVAL && errno != EBADF) return io_failure("sync", path);
    return {};
}

Result<SecretFile> SecretFile::create(const std::string& directory, std::string_view content, Account account) {
    std::string path = directory + "/pgkeel-XXXXXX";
    if (auto created = create_temporary(path, content, 0600, account); !created)
        return std::unexpected(created.error());
    return SecretFile(std::move(path));
}

SecretFile::~SecretFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

}  // namespace pgkeel::postgres
