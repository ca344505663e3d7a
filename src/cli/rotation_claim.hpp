#pragma once
#include "cli/session.hpp"
#include "cluster/rotation.hpp"

#include <optional>
#include <string>

namespace pgkeel::cli {

/// This command drives the cluster's rotation, and no other does. The claim is a key with an etcd lease; one of a
/// process of this machine that has ended is taken over at once. It keeps people from getting into each other's way:
/// what makes two drivers safe is that the rotation's key is written by compare-and-swap.
class RotationClaim {
  public:
    explicit RotationClaim(Session& session) : session_(session) {}

    /// Errors: conflict — somebody else drives it.
    Task<Result<>> take();
    /// To be called between steps; once a second is often enough.
    Task<> renew();
    Task<> release();

    /// Replaces the key `rotation`, or removes it, if nobody has written it since `rotation.mod_revision` and the claim
    /// is still ours; keeps the new revision there. Errors: conflict.
    Task<Result<>> write(cluster::Rotation& rotation, bool remove = false);
    /// The key as it is; nothing: no rotation is under way. Errors: invalid_input — nobody can read it.
    Task<Result<std::optional<cluster::Rotation>>> read();

  private:
    Session& session_;
    std::string name_;
    etcd::LeaseId lease_ = 0;
    Instant renewed_at_{};
};

}  // namespace pgkeel::cli
