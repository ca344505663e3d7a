#include "support/etcd_server.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>

namespace pgkeel::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

sockaddr_in local_address(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A port that nobody listens on now. Keeps `held` open, so that two calls give two ports.
int free_port(std::vector<int>& held) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = local_address(0);
    socklen_t length = sizeof(address);
    if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        throw std::runtime_error(fmt::format("no free port: {}", std::strerror(errno)));
    held.push_back(fd);
    return ntohs(address.sin_port);
}

/// One HTTP/1.0 exchange; empty when it failed.
std::string exchange(int port, const std::string& request) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    const sockaddr_in address = local_address(port);
    std::string answer;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
        char buffer[4096];
        for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;)
            answer.append(buffer, static_cast<std::size_t>(n));
    }
    close(fd);
    const auto body = answer.find("\r\n\r\n");
    return body == std::string::npos ? std::string{} : answer.substr(body + 4);
}

void end_and_reap(pid_t pid) {
    ::kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
}

}  // namespace

EtcdServer::EtcdServer(EtcdOptions options) : options_(std::move(options)) {
    char name[] = "/tmp/pgkeel-etcd-XXXXXX";
    if (mkdtemp(name) == nullptr)
        throw std::runtime_error(fmt::format("no directory below /tmp: {}", std::strerror(errno)));
    directory_ = name;
    std::vector<int> held;
    for (int i = 0; i < options_.members; ++i)
        members_.push_back({fmt::format("m{}", i), free_port(held), free_port(held), free_port(held)});
    for (const int fd : held) close(fd);
    for (Member& member : members_) start(member);
    for (const Member& member : members_) wait_until_healthy(member);
}

EtcdServer::~EtcdServer() {
    for (const Member& member : members_)
        if (member.pid != 0) end_and_reap(member.pid);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

std::string EtcdServer::endpoint(int member) const {
    return fmt::format("{}://127.0.0.1:{}", options_.certificate_file.empty() ? "http" : "https",
                       members_[static_cast<std::size_t>(member)].client_port);
}

std::vector<std::string> EtcdServer::endpoints() const {
    std::vector<std::string> all;
    for (int i = 0; i < size(); ++i) all.push_back(endpoint(i));
    return all;
}

void EtcdServer::start(Member& member) {
    std::string cluster;
    for (const Member& one : members_)
        cluster += fmt::format("{}{}=http://127.0.0.1:{}", cluster.empty() ? "" : ",", one.name, one.peer_port);
    const std::string url = endpoint(static_cast<int>(&member - members_.data()));
    std::vector<std::pair<std::string, std::string>> settings = {
        {"name", member.name},
        {"data-dir", data_directory(member)},
        {"listen-client-urls", url},
        {"advertise-client-urls", url},
        {"listen-metrics-urls", fmt::format("http://127.0.0.1:{}", member.health_port)},
        {"listen-peer-urls", fmt::format("http://127.0.0.1:{}", member.peer_port)},
        {"initial-advertise-peer-urls", fmt::format("http://127.0.0.1:{}", member.peer_port)},
        {"initial-cluster", cluster},
        {"initial-cluster-token", token_},
    };
    if (!options_.certificate_file.empty()) {
        settings.emplace_back("cert-file", options_.certificate_file);
        settings.emplace_back("key-file", options_.key_file);
    }
    std::vector<std::string> arguments = {"etcd"};
    if (options_.gateway) {
        for (const auto& [key, value] : settings) arguments.insert(arguments.end(), {"--" + key, value});
        arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
    } else {
        const std::string path = directory_ + "/" + member.name + ".yml";
        std::ofstream file(path);
        for (const auto& [key, value] : settings) file << key << ": " << value << "\n";
        arguments.insert(arguments.end(), {"--config-file", path});
    }
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const std::string log = directory_ + "/" + member.name + ".log";

    const pid_t parent = getpid();
    member.pid = fork();
    if (member.pid < 0) throw std::runtime_error(fmt::format("fork: {}", std::strerror(errno)));
    if (member.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        unsetenv("ETCD_CONFIG_FILE");
        execvp(argv[0], argv.data());
        _exit(127);
    }
}

void EtcdServer::wait_until_healthy(const Member& member) const {
    for (const auto end = steady_clock::now() + 30s; steady_clock::now() < end; std::this_thread::sleep_for(50ms)) {
        if (exchange(member.health_port, "GET /health HTTP/1.0\r\n\r\n").find("\"true\"") != std::string::npos) return;
        if (waitpid(member.pid, nullptr, WNOHANG) == member.pid) break;
    }
    std::ifstream log(directory_ + "/" + member.name + ".log");
    const std::string text{std::istreambuf_iterator<char>(log), {}};
    throw std::runtime_error(fmt::format("etcd member {} does not serve; its log ends with:\n{}", member.name,
                                         text.substr(text.size() - std::min<std::size_t>(text.size(), 2000))));
}

void EtcdServer::kill(int member) {
    Member& one = members_[static_cast<std::size_t>(member)];
    end_and_reap(one.pid);
    one.pid = 0;
    one.frozen = false;
}

void EtcdServer::freeze(int member) {
    Member& one = members_[static_cast<std::size_t>(member)];
    ::kill(one.pid, SIGSTOP);
    int status = 0;
    waitpid(one.pid, &status, WUNTRACED);
    one.frozen = true;
}

void EtcdServer::thaw(int member) {
    Member& one = members_[static_cast<std::size_t>(member)];
    ::kill(one.pid, SIGCONT);
    one.frozen = false;
}

void EtcdServer::restart(int member) {
    Member& one = members_[static_cast<std::size_t>(member)];
    start(one);
    wait_until_healthy(one);
}

void EtcdServer::wipe(const std::string& token) {
    token_ = token;
    for (Member& member : members_) {
        if (member.pid != 0) end_and_reap(member.pid);
        std::filesystem::remove_all(data_directory(member));
    }
    for (Member& member : members_) start(member);
    for (const Member& member : members_) wait_until_healthy(member);
}

std::string EtcdServer::post(int member, const std::string& path, const std::string& body) const {
    return exchange(members_[static_cast<std::size_t>(member)].client_port,
                    fmt::format("POST {} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", path, body.size(), body));
}

int EtcdServer::leader() const {
    const auto field = [](const std::string& in, const std::string& name) {
        const auto at = in.find("\"" + name + "\":\"");
        if (at == std::string::npos) return std::string{};
        const auto begin = at + name.size() + 4;
        return in.substr(begin, in.find('"', begin) - begin);
    };
    for (const auto end = steady_clock::now() + 10s; steady_clock::now() < end; std::this_thread::sleep_for(50ms))
        for (int i = 0; i < size(); ++i) {
            const Member& one = members_[static_cast<std::size_t>(i)];
            if (one.pid == 0 || one.frozen) continue;
            const std::string status = post(i, "/v3/maintenance/status", "{}");
            const std::string id = field(status, "member_id");
            if (!id.empty() && id == field(status, "leader")) return i;
        }
    throw std::runtime_error("etcd has elected no leader within ten seconds");
}

void EtcdServer::enable_login(const std::string& password) {
    post(0, "/v3/auth/user/add", fmt::format(R"({{"name":"root","password":"{}"}})", password));
    post(0, "/v3/auth/role/add", R"({"name":"root"})");
    post(0, "/v3/auth/user/grant", R"({"user":"root","role":"root"})");
    const std::string answer = post(0, "/v3/auth/enable", "{}");
    if (answer.find("error") != std::string::npos)
        throw std::runtime_error("etcd refuses to switch its login on: " + answer);
}

}  // namespace pgkeel::test
