#include "postgres/postmaster.hpp"

#include "process/all_processes.hpp"
#include "process/pidfd.hpp"

#include <fmt/format.h>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>
#include <cstring>

#include <algorithm>
#include <array>
#include <charconv>

namespace pgkeel::postgres {

namespace {

template <class Number>
bool number(std::string_view text, Number& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end != text.data();
}

std::string read_small(const std::string& path) {
    std::array<char, 4096> buffer{};
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    const ssize_t bytes = read(file, buffer.data(), buffer.size());
    close(file);
    return bytes > 0 ? std::string(buffer.data(), static_cast<std::size_t>(bytes)) : std::string();
}

std::string link_target(const std::string& path) {
    std::array<char, 4096> buffer{};
    const ssize_t bytes = readlink(path.c_str(), buffer.data(), buffer.size());
    return bytes > 0 ? std::string(buffer.data(), static_cast<std::size_t>(bytes)) : std::string();
}

/// The fields of /proc/PID/stat that follow the name, which may itself hold blanks and parentheses.
std::optional<ServerProcess> read_stat(pid_t pid, std::string* name) {
    const std::string text = read_small(fmt::format("/proc/{}/stat", pid));
    const auto open_at = text.find('(');
    const auto close_at = text.rfind(')');
    if (open_at == std::string::npos || close_at == std::string::npos || close_at < open_at) return std::nullopt;
    if (name != nullptr) *name = text.substr(open_at + 1, close_at - open_at - 1);
    ServerProcess process{.pid = pid};
    pid_t group = 0;
    std::size_t field = 3;
    for (std::size_t at = close_at + 2; at < text.size() && field <= 22; ++field) {
        const auto end = std::min(text.find(' ', at), text.size());
        const std::string_view value = std::string_view(text).substr(at, end - at);
        if (field == 3) process.state = value.empty() ? '?' : value.front();
        if (field == 4) number(value, process.parent);
        if (field == 5) number(value, group);
        if (field == 22) number(value, process.started);
        at = end + 1;
    }
    return field > 22 ? std::optional(process) : std::nullopt;
}

bool is_dead(char state) {
    return state == 'Z' || state == 'X' || state == 'x';
}

/// The program is PostgreSQL's, also when a package upgrade has replaced the file since.
bool runs_postgres(pid_t pid, const std::string& name) {
    std::string program = link_target(fmt::format("/proc/{}/exe", pid));
    if (program.empty()) return name == "postgres" || name == "postmaster";
    constexpr std::string_view replaced = " (deleted)";
    if (program.ends_with(replaced)) program.resize(program.size() - replaced.size());
    const std::string base = program.substr(program.rfind('/') + 1);
    return base == "postgres" || base == "postmaster" || name == "postgres";
}

std::optional<ServerProcess> process_at(pid_t pid, const ServerPlace& place) {
    if (!place.is_where(pid)) return std::nullopt;
    std::string name;
    auto process = read_stat(pid, &name);
    if (!process || is_dead(process->state) || !runs_postgres(pid, name)) return std::nullopt;
    return process;
}

}  // namespace

std::optional<PostmasterFile> parse_postmaster_file(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        while (line.ends_with(' ')) line.remove_suffix(1);
        lines.emplace_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    lines.resize(std::max<std::size_t>(lines.size(), 8));
    PostmasterFile file;
    long pid = 0;
    if (!number(std::string_view(lines[0]), pid) || pid == 0 || lines[1].empty()) return std::nullopt;
    file.standalone = pid < 0;
    file.pid = static_cast<pid_t>(pid < 0 ? -pid : pid);
    file.data_directory = lines[1];
    number(std::string_view(lines[2]), file.start_time);
    file.port = lines[3];
    file.socket_directory = lines[4];
    file.listen_address = lines[5];
    file.status = lines[7];
    return file;
}

ServerPlace::ServerPlace(const std::string& directory) {
    struct stat about{};
    if (stat(directory.c_str(), &about) == 0) {
        device_ = about.st_dev;
        inode_ = about.st_ino;
    }
    std::array<char, 4096> buffer{};
    path_ = realpath(directory.c_str(), buffer.data()) != nullptr ? buffer.data() : directory;
}

bool ServerPlace::is_where(pid_t pid) const {
    const std::string link = fmt::format("/proc/{}/cwd", pid);
    struct stat where{};
    if (inode_ != 0 && stat(link.c_str(), &where) == 0 && where.st_dev == device_ && where.st_ino == inode_)
        return true;
    return link_target(link) == path_ + " (deleted)";
}

std::optional<ServerProcess> server_process(pid_t pid, const std::string& data_directory) {
    return process_at(pid, ServerPlace(data_directory));
}

std::optional<ServerProcess> process_identity(pid_t pid) {
    auto process = read_stat(pid, nullptr);
    if (process && is_dead(process->state)) process.reset();
    return process;
}

std::vector<ServerProcess> server_processes(const ServerPlace& place, std::optional<ServerProcess> known) {
    std::vector<ServerProcess> found;
    for (const pid_t pid : all_processes())
        if (const auto process = process_at(pid, place)) found.push_back(*process);
    const auto is_known = [&](const ServerProcess& process) { return process.pid == known->pid; };
    if (known && std::ranges::none_of(found, is_known))
        if (const auto now = process_identity(known->pid); now && now->started == known->started) found.push_back(*now);
    return found;
}

PostmasterFound find_postmaster(const std::string& data_directory) {
    PostmasterFound found;
    if (const auto file = parse_postmaster_file(read_small(data_directory + "/postmaster.pid"));
        file && !file->standalone) {
        if (const auto process = server_process(file->pid, data_directory)) {
            found.state = Postmaster::running;
            found.pid = file->pid;
            found.stopped = process->state == 'T' || process->state == 't';
            found.file = *file;
            return found;
        }
    }
    if (!server_processes(ServerPlace(data_directory)).empty()) found.state = Postmaster::remains;
    return found;
}

std::size_t kill_pass(const ServerPlace& place, std::optional<ServerProcess> known) {
    const auto is_child_of = [](const std::vector<ServerProcess>& all, const ServerProcess& process) {
        return std::ranges::any_of(all, [&](const ServerProcess& other) { return other.pid == process.parent; });
    };
    const auto first = server_processes(place, known);
    // Orphaned backends look like postmasters here. To freeze them as well does no harm: all of them are killed below.
    for (const auto& process : first)
        if (!is_child_of(first, process)) kill(process.pid, SIGSTOP);
    const auto all = server_processes(place, known);
    for (const bool children : {true, false}) {
        for (const auto& process : all) {
            if (is_child_of(all, process) != children) continue;
            // An archive_command that is under way writes no data of the server, and killing it would leave half a file
            // in the archive: only the processes of PostgreSQL itself are killed.
            kill(process.pid, SIGKILL);
        }
    }
    return all.size();
}

struct ExitWatch::Watched {
    Watched(const asio::any_io_executor& executor, int pidfd) : descriptor(executor, pidfd) {}
    asio::posix::stream_descriptor descriptor;
};

std::unique_ptr<ExitWatch> ExitWatch::begin(const asio::any_io_executor& executor, pid_t pid,
                                            std::function<void()> on_exit) {
    const int pidfd = open_pidfd(pid);
    if (pidfd < 0) return nullptr;
    auto watched = std::make_shared<Watched>(executor, pidfd);
    watched->descriptor.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [weak = std::weak_ptr(watched), on_exit = std::move(on_exit)](boost::system::error_code error) {
            if (!error && weak.lock()) on_exit();
        });
    return std::unique_ptr<ExitWatch>(new ExitWatch(pid, std::move(watched)));
}

ExitWatch::~ExitWatch() = default;

}  // namespace pgkeel::postgres
