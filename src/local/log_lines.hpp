#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pgkeel::local {

/// One entry of a log: a line that begins with a time, and the lines after it that do not.
struct LogEntry {
    std::string time;  ///< "2026-11-21 03:06:15.123", as written; empty before the first line with a time
    std::string source;
    std::string text;  ///< without the last line feed
};

/// Cuts a log into entries.
std::vector<LogEntry> log_entries(std::string_view log, const std::string& source);
/// The last `most` of several logs' entries, by time; entries of one log keep their order.
std::vector<LogEntry> merge_logs(std::vector<std::vector<LogEntry>> logs, std::size_t most);

/// A file that grows, read from where the last reading ended.
class GrowingFile {
  public:
    GrowingFile(std::string path, std::string source) : path_(std::move(path)), source_(std::move(source)) {}
    /// Complete lines that are new. The first time: of the last megabyte. A file that has become shorter is read anew.
    std::string read_new_lines();
    const std::string& source() const { return source_; }

  private:
    std::string path_;
    std::string source_;
    std::size_t offset_ = 0;
    bool begun_ = false;
};

}  // namespace pgkeel::local
