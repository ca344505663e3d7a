#include "proxy/cancel_relay.hpp"

#include <algorithm>
#include <utility>

namespace pgkeel::proxy {

void CancelRelay::add(HandoverPeer& peer) {
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(peers_, &peer) == peers_.end()) peers_.push_back(&peer);
}

void CancelRelay::remove(HandoverPeer& peer) {
    const std::lock_guard lock(mutex_);
    std::erase(peers_, &peer);
    std::vector<std::uint32_t> over;
    for (auto& [number, request] : requests_) {
        const bool waited = request.waits_for.erase(&peer) > 0;
        if (request.asker == &peer) request.asker = nullptr;
        if (waited && request.waits_for.empty()) over.push_back(number);
    }
    for (const std::uint32_t number : over) finish(number);
}

bool CancelRelay::ask(std::uint64_t key, pool::ClientRef asker) {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = ++numbers_;
    requests_[number].client = asker;
    if (ask_neighbours(number, key, nullptr)) return true;
    requests_.erase(number);
    return false;
}

std::uint32_t CancelRelay::asked_by(HandoverPeer& peer, const handover::Cancel& cancel) {
    const std::lock_guard lock(mutex_);
    const std::uint32_t number = ++numbers_;
    Request& request = requests_[number];
    request.asker = &peer;
    request.number_there = cancel.number;
    return number;
}

void CancelRelay::pass_on(std::uint32_t number, std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    const auto found = requests_.find(number);
    if (found == requests_.end()) return;
    if (!ask_neighbours(number, key, found->second.asker)) finish(number);
}

void CancelRelay::done(std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    finish(number);
}

void CancelRelay::answered_by(HandoverPeer& peer, std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    const auto found = requests_.find(number);
    if (found == requests_.end() || found->second.waits_for.erase(&peer) == 0) return;
    if (found->second.waits_for.empty()) finish(number);
}

bool CancelRelay::ask_neighbours(std::uint32_t number, std::uint64_t key, const HandoverPeer* but) {
    Request& request = requests_[number];
    for (HandoverPeer* const peer : peers_)
        if (peer != but && peer->tell(handover::Cancel{.number = number, .key = key})) request.waits_for.insert(peer);
    return !request.waits_for.empty();
}

void CancelRelay::finish(std::uint32_t number) {
    const auto found = requests_.find(number);
    if (found == requests_.end()) return;
    const Request request = std::move(found->second);
    requests_.erase(found);
    if (request.client) dismiss_(*request.client);
    if (request.asker != nullptr) request.asker->tell(handover::Cancelled{.number = request.number_there});
}

}  // namespace pgkeel::proxy
