#pragma once
#include "pool/book.hpp"
#include "proxy/handover_peer.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

namespace pgkeel::proxy {

/// Cancel requests between the processes of an online restart: one may arrive at a process that does not have the
/// client. The processes stand in a row, each knows its neighbours, and a request is passed on along the row. From any
/// thread.
class CancelRelay {
  public:
    /// \param dismiss  tells a client of this process that its request is done
    explicit CancelRelay(std::function<void(pool::ClientRef)> dismiss) : dismiss_(std::move(dismiss)) {}

    void add(HandoverPeer& peer);
    /// It has gone: what it was asked for is done.
    void remove(HandoverPeer& peer);

    /// Our client asks for something that is not here. False: there is nobody to ask.
    bool ask(std::uint64_t key, pool::ClientRef asker);
    /// A neighbour asks. Returns the number under which it is known here: done() or pass_on() follows.
    std::uint32_t asked_by(HandoverPeer& peer, const handover::Cancel& cancel);
    /// It is not for a client of this process.
    void pass_on(std::uint32_t number, std::uint64_t key);
    void done(std::uint32_t number);
    /// A neighbour has answered.
    void answered_by(HandoverPeer& peer, std::uint32_t number);

  private:
    struct Request {
        std::optional<pool::ClientRef> client;  ///< nothing: a neighbour asks
        HandoverPeer* asker = nullptr;
        std::uint32_t number_there = 0;
        std::set<HandoverPeer*> waits_for;
    };
    bool ask_neighbours(std::uint32_t number, std::uint64_t key, const HandoverPeer* but);
    void finish(std::uint32_t number);

    std::function<void(pool::ClientRef)> dismiss_;
    std::mutex mutex_;
    std::vector<HandoverPeer*> peers_;
    std::map<std::uint32_t, Request> requests_;
    std::uint32_t numbers_ = 0;
};

}  // namespace pgkeel::proxy
