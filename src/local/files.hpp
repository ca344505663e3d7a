#pragma once
#include "base/result.hpp"

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>

namespace pgkeel::local {

/// Writes a whole file through a temporary one beside it, so that a reader, or a crash, sees the old or the new content
/// and the mode is never wider than `mode`. Errors: io_error.
Result<> write_file(const std::string& path, std::string_view content, mode_t mode = 0600);
/// At most 16 MiB. Errors: not_found, io_error.
Result<std::string> read_file(const std::string& path);
/// Makes one directory for its owner alone (0700); an existing one of ours is fine. Errors: io_error.
Result<> make_private_directory(const std::string& path);

/// Removes everything below a directory and, when its parent allows that, itself. Symbolic links are removed, not
/// followed.
Result<> remove_tree(const std::string& path);

/// One process at a time starts or stops the cluster of a directory. The lock ends with the object, or with the
/// process.
class DirectoryLock {
  public:
    /// Waits at most `patience` for whoever has it. Errors: conflict — somebody else is still at it, with their pid;
    /// io_error.
    static Result<DirectoryLock> take(const std::string& directory, std::chrono::milliseconds patience = {});
    DirectoryLock(DirectoryLock&& other) noexcept;
    DirectoryLock& operator=(DirectoryLock&& other) noexcept;
    ~DirectoryLock();

  private:
    explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
    static Result<DirectoryLock> try_to_take(const std::string& directory);
    int descriptor_ = -1;
};

/// What a command that starts or stops a cluster waits for another: the end of a rotation has the lock for moments.
inline constexpr std::chrono::seconds lock_patience{2};

}  // namespace pgkeel::local
