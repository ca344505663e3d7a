#pragma once
#include "proxy/handover_frames.hpp"

namespace pgkeel::proxy {

/// Another process that has, or had, clients of ours.
class HandoverPeer {
  public:
    /// From any thread, without waiting for the other side. False: there is none, or not any more.
    virtual bool tell(handover::Message message) = 0;

  protected:
    ~HandoverPeer() = default;
};

}  // namespace pgkeel::proxy
