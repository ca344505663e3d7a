#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace pgkeel::test {

struct EtcdOptions {
    int members = 1;
    /// Off: started from a configuration file that does not switch the JSON gateway on, as packages do.
    bool gateway = true;
    /// With these it serves clients over TLS only; `post`, `leader` and `enable_login` then do not work.
    std::string certificate_file{};
    std::string key_file{};
    std::vector<std::string> arguments{};  ///< more of etcd's own
};

/// A real etcd of one or more members on free ports of 127.0.0.1, with its data below /tmp. It ends with its owner, or
/// with the test's process. Blocks: for tests only. Throws std::runtime_error when etcd does not do what it should.
class EtcdServer {
  public:
    explicit EtcdServer(EtcdOptions options = {});
    ~EtcdServer();
    EtcdServer(const EtcdServer&) = delete;
    EtcdServer& operator=(const EtcdServer&) = delete;

    std::string endpoint(int member) const;
    std::vector<std::string> endpoints() const;
    int size() const { return static_cast<int>(members_.size()); }

    void kill(int member);    ///< SIGKILL, and waits for its end
    void freeze(int member);  ///< SIGSTOP: the kernel goes on accepting connections for it
    void thaw(int member);
    void restart(int member);  ///< after `kill`, with its data and on its ports
    /// Kills all and starts them without data. A new token makes it another cluster; with the old one etcd gives it the
    /// same id.
    void wipe(const std::string& token);

    /// The member that leads now; waits up to ten seconds for one.
    int leader() const;
    /// A POST to the gateway of one member; returns the answer's body.
    std::string post(int member, const std::string& path, const std::string& body) const;
    /// User root with this password, and from now on nobody without one.
    void enable_login(const std::string& password);

  private:
    struct Member {
        std::string name;
        int client_port = 0;
        int peer_port = 0;
        int health_port = 0;  ///< without TLS
        pid_t pid = 0;
        bool frozen = false;
    };
    void start(Member& member);
    void wait_until_healthy(const Member& member) const;
    std::string data_directory(const Member& member) const { return directory_ + "/" + member.name; }

    EtcdOptions options_;
    std::string directory_;
    std::string token_ = "first";
    std::vector<Member> members_;
};

}  // namespace pgkeel::test
