#pragma once
#include "base/result.hpp"
#include "log/record.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace pgkeel::log {

/// Where lines go. Used by one thread at a time.
class Output {
  public:
    virtual ~Output() = default;
    /// Writes the whole line at once; false when it could not. `record` is what the line was made of.
    virtual bool write(const Record& record, std::string_view line) = 0;
};

std::unique_ptr<Output> standard_error();

/// FILE, renamed to FILE.1, FILE.2 … before a line would make it longer than `size_bytes`; `count` old ones are kept.
/// Names and rule are those of Python's RotatingFileHandler, because log shippers look for them.
Result<std::unique_ptr<Output>> rotating_file(std::string path, std::size_t size_bytes, int count, int mode);

/// FILE, that others rotate; it keeps the mode that it has.
Result<std::unique_ptr<Output>> appended_file(std::string path);

/// The message alone: time, name and process are the system's to add.
std::unique_ptr<Output> system_log(const Syslog& options);

}  // namespace pgkeel::log
