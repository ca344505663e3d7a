#include "local/ports.hpp"

#include "local/files.hpp"
#include "process/all_processes.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>

namespace pgkeel::local {

namespace {
constexpr int lowest = 15000;
constexpr int highest = 32000;  // /proc/sys/net/ipv4/ip_local_port_range begins at 32768

/// The inodes of the sockets that listen on `port`, from one of /proc/net's tables.
std::vector<std::string> listening_inodes(const char* table, int port) {
    std::vector<std::string> inodes;
    std::istringstream lines(read_file(table).value_or(""));
    std::string line;
    std::getline(lines, line);  // the titles
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string number, here, there, state, queues, timer, retransmits, user, timeout, inode;
        fields >> number >> here >> there >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
        const auto colon = here.rfind(':');
        constexpr std::string_view listen = "0A";
        if (state != listen || colon == std::string::npos) continue;
        if (std::strtol(here.c_str() + colon + 1, nullptr, 16) == port) inodes.push_back(inode);
    }
    return inodes;
}
}  // namespace

bool port_is_free(int port) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return false;
    // As servers do it: connections of the last run that linger in TIME_WAIT do not matter, a listener does.
    const int yes = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool free = ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                      ::listen(descriptor, 1) == 0;
    ::close(descriptor);
    return free;
}

Result<std::vector<int>> choose_ports(std::size_t count, const std::vector<int>& taken) {
    // A random place for each: two clusters that are made at the same moment hardly ever meet.
    std::random_device random;
    std::uniform_int_distribution<int> any(lowest, highest);
    std::vector<int> chosen;
    for (int attempt = 0; chosen.size() < count && attempt < 2000; ++attempt) {
        const int port = any(random);
        if (std::ranges::find(taken, port) != taken.end() || std::ranges::find(chosen, port) != chosen.end()) continue;
        if (port_is_free(port)) chosen.push_back(port);
    }
    if (chosen.size() < count)
        return fail(Errc::unavailable,
                    fmt::format("found {} of {} free ports between {} and {}", chosen.size(), count, lowest, highest));
    return chosen;
}

std::optional<pid_t> listener_of(int port) {
    std::vector<std::string> inodes = listening_inodes("/proc/net/tcp", port);
    for (std::string& inode : listening_inodes("/proc/net/tcp6", port)) inodes.push_back(std::move(inode));
    if (inodes.empty()) return std::nullopt;
    for (std::string& inode : inodes) inode = "socket:[" + inode + "]";
    for (const pid_t pid : all_processes()) {
        std::error_code unseen;
        for (const auto& open : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), unseen)) {
            std::error_code gone;
            const std::string target = std::filesystem::read_symlink(open.path(), gone);
            if (std::ranges::find(inodes, target) != inodes.end()) return pid;
        }
    }
    return std::nullopt;
}

}  // namespace pgkeel::local
