#pragma once
#include "agent/storage.hpp"

#include <memory>
#include <string>

namespace pgkeel::agent {

/// Writes a little to the volume of the data directory, and to that of its WAL where it is another, and waits until it
/// is on the disk: over and over, in a thread of its own, which is left behind when it hangs.
class LocalStorage final : public Storage {
  public:
    /// \param patience  what takes longer hangs; zero: nothing is written, and nothing ever wrong
    LocalStorage(std::string data_directory, Duration patience);
    ~LocalStorage() override;
    LocalStorage(const LocalStorage&) = delete;
    LocalStorage& operator=(const LocalStorage&) = delete;

    Trouble trouble(Instant now) const override;

  private:
    struct Probe;
    std::shared_ptr<Probe> probe_;  ///< shared with the thread
};

/// Writes to the volume of `directory`, leaving nothing behind. Returns the errno of what says that nothing can be
/// written there (ENOSPC, EDQUOT, EIO, EROFS), else 0: there need not be a directory yet.
int write_and_sync(const std::string& directory);

/// A file to write to where the volume knows none without names (NFS, vfat: open(2), O_TMPFILE); its name is gone when
/// this returns. -1: errno says why.
int open_named(const std::string& directory);

}  // namespace pgkeel::agent
