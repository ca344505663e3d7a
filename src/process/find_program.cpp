#include "process/child.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace pgkeel {

namespace {

bool is_program(const std::string& path) {
    struct stat about{};
    return stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

Result<std::string> find_program(const std::string& program) {
    if (program.contains('/')) {
        if (is_program(program)) return program;
        return fail(Errc::not_found, fmt::format("cannot run {}: it does not exist or is not executable", program));
    }
    const char* configured = std::getenv("PATH");
    const std::string path = configured != nullptr ? configured : "/usr/local/bin:/usr/bin:/bin";
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find(':', begin), path.size());
        const std::string folder = path.substr(begin, end - begin);
        const std::string candidate = (folder.empty() ? "." : folder) + "/" + program;
        if (!program.empty() && is_program(candidate)) return candidate;
        begin = end + 1;
    }
    return fail(Errc::not_found, fmt::format("cannot run {}: it is not in PATH ({})", program, path),
                "install it, or write its full path");
}

}  // namespace pgkeel
