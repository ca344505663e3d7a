#pragma once
#include "base/clock.hpp"

#include <string>

namespace pgkeel::agent {

/// Whether what this node's PostgreSQL writes reaches its volumes (docs/decisions/0010-storage.md). The real one is
/// LocalStorage; the simulation has another.
class Storage {
  public:
    struct Trouble {
        std::string why;     ///< empty: none is known
        bool hangs = false;  ///< a write does not come back: neither would the processes that are told to stop
    };
    virtual ~Storage() = default;
    virtual Trouble trouble(Instant now) const = 0;
};

/// Of a node that always can write; for tests.
Storage& sound_storage();

}  // namespace pgkeel::agent
