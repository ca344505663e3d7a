#include "http/kept_connections.hpp"

#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <iterator>
#include <set>
#include <utility>

namespace pgkeel::http {

namespace {
using namespace std::chrono_literals;

/// An idle connection older than this is not worth the risk that something between has forgotten it.
constexpr Duration idle_time_max = 60s;
/// Of one place: as many as ask it for something at the same time, as a rule.
constexpr std::ptrdiff_t kept_max = 2;
}  // namespace

/// Of an event loop: whose connections it has to close before it goes. A socket that is closed later would ask a
/// service that is no more.
class KeptConnectionsService final : public asio::execution_context::service {
  public:
    using key_type = KeptConnectionsService;
    static asio::execution_context::id id;

    explicit KeptConnectionsService(asio::execution_context& loop) : service(loop) {}
    void serve(const std::shared_ptr<KeptConnections::Shelf>& shelf) {
        if (shelves_.contains(shelf)) return;
        std::erase_if(shelves_, [](const auto& each) { return each.expired(); });
        shelves_.insert(shelf);
    }

  private:
    void shutdown() override {
        for (const auto& each : shelves_)
            if (const auto shelf = each.lock()) shelf->clear();
    }

    std::set<std::weak_ptr<KeptConnections::Shelf>, std::owner_less<>> shelves_;
};

asio::execution_context::id KeptConnectionsService::id;

std::shared_ptr<Connection> KeptConnections::take(const Key& key, Instant now) {
    const auto [begin, end] = shelf_->equal_range(key);
    if (begin == end) return nullptr;
    const auto newest = std::prev(end);
    const Idle one = std::move(newest->second);
    shelf_->erase(newest);
    const bool good = now - one.since < idle_time_max && !one.connection->has_pending_input();
    return good ? one.connection : nullptr;
}

void KeptConnections::keep(asio::execution_context& loop, const Key& key, std::shared_ptr<Connection> connection,
                           Instant now) {
    asio::use_service<KeptConnectionsService>(loop).serve(shelf_);
    connection->never_expire();
    const auto [begin, end] = shelf_->equal_range(key);
    if (std::distance(begin, end) >= kept_max) shelf_->erase(begin);
    shelf_->emplace(key, Idle{std::move(connection), now});
}

}  // namespace pgkeel::http
