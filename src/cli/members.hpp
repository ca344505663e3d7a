#pragma once
#include "base/cluster_view.hpp"
#include "base/result.hpp"

#include <string>
#include <vector>

namespace pgkeel::cli {

/// --role of several commands: leader, primary (also master), standby-leader, replica (also standby), any.
Result<std::vector<Member>> members_with_role(const ClusterView& view, const std::string& role);

/// The members with these names, in the cluster's order; all with the role when no name is given. Errors: not_found — a
/// name that is no member, or a member without the role; invalid_input — no such role.
Result<std::vector<Member>> choose_members(const ClusterView& view, const std::vector<std::string>& names,
                                           const std::string& role);

/// One member: the one with this name, or the first with the role; the leader when neither is given. Errors: as above.
Result<Member> one_member(const ClusterView& view, const std::string& name, const std::string& role);

/// "pg-a, pg-b"
std::string names_of(const std::vector<Member>& members);

}  // namespace pgkeel::cli
