#include "agent/storage.hpp"

namespace pgkeel::agent {

namespace {

class SoundStorage final : public Storage {
  public:
    Trouble trouble(Instant) const override { return {}; }
};

}  // namespace

Storage& sound_storage() {
    static SoundStorage sound;
    return sound;
}

}  // namespace pgkeel::agent
