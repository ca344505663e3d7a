#pragma once
#include "base/result.hpp"

#include <sys/types.h>

#include <string>

namespace pgkeel::proxy {

/// The file that tells scripts and service managers which process runs. One that a dead process has left is replaced.
class Pidfile {
  public:
    /// Writes our process id. Errors: already_exists — it names a process that lives; invalid_input — it is no pidfile;
    /// io_error.
    static Result<Pidfile> claim(std::string path);
    /// The same whoever is named in it: that process has handed its sockets over.
    static Result<Pidfile> take_over(std::string path);

    Pidfile() = default;  ///< no file
    Pidfile(Pidfile&& other) noexcept { path_.swap(other.path_); }
    Pidfile& operator=(Pidfile&& other) noexcept {
        path_.swap(other.path_);
        return *this;
    }
    ~Pidfile();  ///< removes it, if it still names us

  private:
    explicit Pidfile(std::string path) : path_(std::move(path)) {}

    std::string path_;
};

}  // namespace pgkeel::proxy
