#include "cli/files.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

namespace pgkeel::cli {

Result<std::string> read_text(const std::string& path) {
    if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text;
    if (file) text.assign(std::istreambuf_iterator<char>(file), {});
    if (!file || file.bad())
        return fail(Errc::io_error, fmt::format("cannot read {}: {}", path,
                                                errno != 0 ? std::strerror(errno) : "it is no regular file"));
    return text;
}

}  // namespace pgkeel::cli
