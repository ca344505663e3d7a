#pragma once
#include "engine/loop.hpp"
#include "engine/socket.hpp"
#include "engine/tls.hpp"
#include "pool/worker.hpp"
#include "proxy/resolver.hpp"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace pgkeel::proxy {

class World;
struct Departing;

/// A thread with its loop and its sessions.
class Thread final : public pool::Surroundings {
  public:
    Thread(World& world, pool::WorkerId id, std::unique_ptr<engine::Loop> loop);

    void start();  ///< on a system thread of its own
    void run();    ///< on this one
    void join();

    pool::Worker& worker() { return worker_; }
    engine::Loop& loop() { return *loop_; }
    Resolver& resolver() { return resolver_; }
    /// A new client's socket. On this thread.
    void adopt(int socket, bool unix_socket, const config::Listener& listener);

    Instant now() const override { return loop_->now(); }
    WallTime wall_now() const override { return std::chrono::system_clock::now(); }
    void offload(Job work, Job done) override { loop_->offload(std::move(work), std::move(done)); }
    void after(Duration wait, Job job) override { loop_->after(wait, std::move(job)); }
    void post(pool::WorkerId worker, std::move_only_function<void(pool::Worker&)> job) override;
    void resolve(const std::string& host, std::uint16_t port,
                 std::move_only_function<void(Result<std::string>)> done) override;
    pool::OwnedWire connect(const std::string& address, std::uint16_t port, pool::WireOwner& owner) override;
    void hand_over(pool::OwnedWire wire, pool::WorkerId to,
                   std::move_only_function<void(pool::Worker&, Attach)> arrived) override;
    std::shared_ptr<ssl_ctx_st> client_tls() const override;
    std::shared_ptr<ssl_ctx_st> server_tls() const override;
    std::unique_ptr<pool::Console> open_console(pool::Client& client) override;
    void depart(pool::SessionImage image, pool::OwnedWire client, pool::OwnedWire server) override;
    bool cancel_elsewhere(std::uint64_t key, pool::ClientRef asker) override;
    void cancelled(std::uint32_t asker) override;

    /// A session of another process, with the sockets of its client and its server. As pool::Worker::admit.
    Result<> admit(const pool::SessionImage& image, std::vector<Descriptor>& sockets,
                   std::move_only_function<bool()> confirm);
    /// One of this thread, which the other process did not take.
    void take_back(Departing departing, bool stays);

  private:
    void maintain();

    World& world_;
    std::unique_ptr<engine::Loop> loop_;
    Resolver resolver_;
    pool::Worker worker_;
    std::thread thread_;
};

}  // namespace pgkeel::proxy
