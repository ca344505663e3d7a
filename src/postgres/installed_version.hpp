#pragma once
#include "postgres/programs.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pgkeel::postgres {

/// 150018 for "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 160000 for "… 16beta1"; 0 when it says no
/// version.
int parse_program_version(std::string_view output);

/// The version of the programs that the next start of the server will use. A package upgrade replaces them while the
/// server goes on with what it was started from, so it may be newer than the running one.
class InstalledVersion {
  public:
    explicit InstalledVersion(const Programs& programs) : programs_(programs) {}

    /// Looks at the file, and runs `postgres --version` if it is another one than last time. 0: it could not be run.
    Task<int> look(Deadline deadline);

  private:
    /// What tells one file from another, whatever its name.
    struct File {
        std::string path;
        std::uint64_t device = 0, inode = 0;
        std::int64_t size = 0, changed_ns = 0;
        bool operator==(const File&) const = default;
    };
    static File find(const std::string& program);

    const Programs& programs_;
    File known_;
    int version_ = 0;
};

}  // namespace pgkeel::postgres
