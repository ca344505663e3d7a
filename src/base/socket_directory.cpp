#include "base/socket_directory.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

namespace pgkeel {
namespace {

const std::string& boot_id() {
    static const std::string id = [] {
        std::ifstream file("/proc/sys/kernel/random/boot_id");
        std::string text;
        std::getline(file, text);
        return text;
    }();
    return id;
}

}  // namespace

std::string socket_directory_id(const std::string& directory) {
    struct stat facts{};
    if (boot_id().empty() || stat(directory.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode)) return {};
    return fmt::format("{}:{:x}:{:x}", boot_id(), facts.st_dev, facts.st_ino);
}

}  // namespace pgkeel
