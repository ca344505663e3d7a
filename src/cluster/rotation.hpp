#pragma once
#include "cluster/keys.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The key `rotation`: how far a change of the agents' own passwords is (docs/decisions/0012-rotation.md). It holds no
// secret. The command writes it by compare-and-swap; agents act only on what it allows.

namespace pgkeel::cluster {

enum class RotationPhase {
    prepare,  ///< members store the new passwords beside their own; PostgreSQL knows nothing of them
    commit,   ///< every member has both: the primary may get the new ones, members switch to them
    finish,   ///< every member has proven the new ones: the old ones are forgotten
};
std::string_view to_string(RotationPhase phase);

struct Rotation {
    std::string id;  ///< unlike any other's
    RotationPhase phase = RotationPhase::prepare;
    std::vector<std::string> roles;    ///< of PostgreSQL, sorted
    std::vector<std::string> members;  ///< who takes part, sorted
    std::int64_t mod_revision = 0;     ///< of the key
};

std::string write_rotation(const Rotation& rotation);
/// Nothing: `value` is not what `write_rotation` writes.
std::optional<Rotation> read_rotation(const etcd::KeyValue& value);

}  // namespace pgkeel::cluster
