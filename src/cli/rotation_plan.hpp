#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"
#include "cluster/rotation.hpp"

#include <optional>
#include <string>
#include <vector>

// What `pgkeel rotate-credentials` may do, from what etcd and the agents say. Pure.

namespace pgkeel::cli {

/// What an agent says of its passwords (POST /pgkeel/credentials, look).
struct RotationMember {
    std::string name;
    std::string silence;  ///< why its agent did not answer; empty: it did
    bool runs_pgkeel = true;
    bool running = false;     ///< its server accepts connections, as the member key says
    bool private_api = true;  ///< TLS whose certificate is checked, or this machine
    struct Role {
        std::string name;
        std::vector<std::string> sections;  ///< superuser, replication, rewind
        bool has_password = false;
    };
    std::vector<Role> roles{};
    std::string file{};
    std::string trouble{};  ///< why it could not keep new passwords
};

struct RotationCluster {
    std::string scope;
    bool paused = false;
    std::string leader;  ///< empty: nobody leads
    bool standby_cluster = false;
    std::vector<RotationMember> members;       ///< sorted by name
    std::vector<std::string> missing_slots{};  ///< slots that are kept for members which are not there
    std::optional<cluster::Rotation> interrupted{};

    const RotationMember* member(const std::string& name) const;
};

struct RotationWishes {
    std::vector<std::string> sections{};  ///< empty: all that every agent has a password for
    bool missing_is_fine = false;
};

struct RotationPlan {
    std::vector<std::string> roles;  ///< of PostgreSQL, sorted; each once, though several sections may name it
    std::vector<std::string> members;
    std::string leader;
    /// Where an earlier one was interrupted: it is brought to its end, with the passwords that the agents have.
    std::optional<cluster::Rotation> resumed{};
};

/// Errors: conflict — the cluster is not fit for it; not_found — nobody has such a password.
Result<RotationPlan> plan_rotation(const RotationCluster& cluster, const RotationWishes& wishes);

/// The steps, for people.
std::string rotation_table(const RotationPlan& plan, std::size_t width);
inline constexpr int rotation_steps = 4;

}  // namespace pgkeel::cli
