#pragma once
#include "base/result.hpp"

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

// Files that survive a crash at any moment: the old content or the new one, never half of it. Everything here blocks;
// call it on Workers.

namespace pgkeel::postgres {

/// Whose PostgreSQL's files are when we run as root, which PostgreSQL refuses to. Zero: ours.
struct Account {
    uid_t user = 0;
    gid_t group = 0;
};

/// The file's text. Errors: not_found; io_error, also when it holds more than `limit_bytes`.
Result<std::string> read_file(const std::string& path, std::size_t limit_bytes = std::size_t{16} << 20);

/// Writes beside the file, fsyncs, renames over it and fsyncs the directory. Nobody but `account` may write it, and the
/// mode holds from the first byte on.
Result<> write_file(const std::string& path, std::string_view content, mode_t mode, Account account = {});
/// As write_file, unless the file has this content and mode already. True: written.
Result<bool> write_file_if_changed(const std::string& path, std::string_view content, mode_t mode,
                                   Account account = {});

/// Removes a file; one that does not exist is fine.
Result<> remove_file(const std::string& path);
bool file_exists(const std::string& path);
/// fsync of a directory, so that what was created or removed in it stays so.
Result<> sync_directory(const std::string& path);

/// The files for passwords and single runs: mode 0600, a name nobody can guess, gone when this ends.
class SecretFile {
  public:
    SecretFile() = default;  ///< no file
    static Result<SecretFile> create(const std::string& directory, std::string_view content, Account account = {});
    SecretFile(SecretFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    SecretFile& operator=(SecretFile&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~SecretFile();
    const std::string& path() const { return path_; }

  private:
    explicit SecretFile(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

}  // namespace pgkeel::postgres
