#include "ha/decision.hpp"

#include "ha/snapshot.hpp"

namespace pgkeel::ha {

const char* to_string(Reason reason) {
    switch (reason) {
        case Reason::leading:
            return "leading";
        case Reason::following:
            return "following";
        case Reason::operation_in_progress:
            return "operation_in_progress";
        case Reason::paused:
            return "paused";
        case Reason::server_starting:
            return "server_starting";
        case Reason::waiting_for_bootstrap:
            return "waiting_for_bootstrap";
        case Reason::waiting_for_leader:
            return "waiting_for_leader";
        case Reason::waiting_for_race:
            return "waiting_for_race";
        case Reason::not_the_healthiest:
            return "not_the_healthiest";
        case Reason::not_allowed_to_promote:
            return "not_allowed_to_promote";
        case Reason::data_damaged:
            return "data_damaged";
        case Reason::yielding:
            return "yielding";
        case Reason::store_unreachable:
            return "store_unreachable";
        case Reason::start_failed_recently:
            return "start_failed_recently";
        case Reason::initialize_missing:
            return "initialize_missing";
        case Reason::peers_unknown:
            return "peers_unknown";
        case Reason::suspicion:
            return "suspicion";
        case Reason::new_cluster:
            return "new_cluster";
        case Reason::data_missing:
            return "data_missing";
        case Reason::foreign_data:
            return "foreign_data";
        case Reason::system_identifier_mismatch:
            return "system_identifier_mismatch";
        case Reason::orphaned_backends:
            return "orphaned_backends";
        case Reason::postmaster_halted:
            return "postmaster_halted";
        case Reason::crashed:
            return "crashed";
        case Reason::failover_preferred_to_restart:
            return "failover_preferred_to_restart";
        case Reason::start_failed:
            return "start_failed";
        case Reason::server_down:
            return "server_down";
        case Reason::election_won:
            return "election_won";
        case Reason::lease_is_ours:
            return "lease_is_ours";
        case Reason::leader_in_recovery:
            return "leader_in_recovery";
        case Reason::manual_candidate:
            return "manual_candidate";
        case Reason::switchover_requested:
            return "switchover_requested";
        case Reason::switchover_impossible:
            return "switchover_impossible";
        case Reason::lease_lost:
            return "lease_lost";
        case Reason::lease_expiring:
            return "lease_expiring";
        case Reason::another_leader:
            return "another_leader";
        case Reason::no_right_to_lead:
            return "no_right_to_lead";
        case Reason::not_fenced:
            return "not_fenced";
        case Reason::cannot_write:
            return "cannot_write";
        case Reason::leader_without_server:
            return "leader_without_server";
        case Reason::old_key:
            return "old_key";
        case Reason::leader_changed:
            return "leader_changed";
        case Reason::histories_unknown:
            return "histories_unknown";
        case Reason::history_diverged:
            return "history_diverged";
        case Reason::reinit_requested:
            return "reinit_requested";
        case Reason::history_outdated:
            return "history_outdated";
        case Reason::startup_too_slow:
            return "startup_too_slow";
        case Reason::standby_cluster:
            return "standby_cluster";
    }
    return "unknown";
}

const char* to_string(Demotion demotion) {
    switch (demotion) {
        case Demotion::graceful:
            return "graceful";
        case Demotion::immediate:
            return "immediate";
        case Demotion::immediate_nolock:
            return "immediate-nolock";
        case Demotion::offline:
            return "offline";
        case Demotion::to_standby_cluster:
            return "demote-cluster";
    }
    return "unknown";
}

const char* to_string(Operation operation) {
    switch (operation) {
        case Operation::bootstrap:
            return "bootstrap";
        case Operation::clone:
            return "creating replica";
        case Operation::start:
            return "starting";
        case Operation::restart:
            return "restart";
        case Operation::stop:
            return "demotion";
        case Operation::promote:
            return "promote";
        case Operation::rejoin:
            return "rejoin";
        case Operation::reinit:
            return "reinitialize";
        case Operation::follow:
            return "follow";
        case Operation::copy_slots:
            return "copying logical slots";
    }
    return "unknown";
}

const char* name_of(const Action& action) {
    struct Names {
        const char* operator()(const Wait&) const { return "wait"; }
        const char* operator()(const ProbePeers&) const { return "probe_peers"; }
        const char* operator()(const BootstrapCluster&) const { return "bootstrap_cluster"; }
        const char* operator()(const ClaimInitialize&) const { return "claim_initialize"; }
        const char* operator()(const Clone&) const { return "clone"; }
        const char* operator()(const KillRemains&) const { return "kill_remains"; }
        const char* operator()(const StartServer&) const { return "start_server"; }
        const char* operator()(const Rejoin&) const { return "rejoin"; }
        const char* operator()(const TakeLease&) const { return "take_lease"; }
        const char* operator()(const AdoptLease&) const { return "adopt_lease"; }
        const char* operator()(const ReleaseLease&) const { return "release_lease"; }
        const char* operator()(const Promote&) const { return "promote"; }
        const char* operator()(const Demote&) const { return "demote"; }
        const char* operator()(const Follow&) const { return "follow"; }
        const char* operator()(const CompareHistory&) const { return "compare_history"; }
        const char* operator()(const Reinitialize&) const { return "reinitialize"; }
        const char* operator()(const ClearFailover&) const { return "clear_failover"; }
        const char* operator()(const UpdateHistory&) const { return "update_history"; }
        const char* operator()(const CancelOperation&) const { return "cancel_operation"; }
        const char* operator()(const Exit&) const { return "exit"; }
    };
    return std::visit(Names{}, action);
}

}  // namespace pgkeel::ha
