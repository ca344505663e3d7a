#!/usr/bin/env bash
# Operators keep their habits: an unmodified patronictl drives our cluster. Clients write all the while.
# usage: patronictl_test.sh PGKEEL
pgkeel=$1
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2120
ctl() { patronictl -c "$dir/pgkeel.yml" "$@" >"$scratch/said" 2>&1 </dev/null; }
says() { grep -qE -- "$1" "$scratch/said" || failed "expected '$1'"; }
role_of() { jq -r --arg name "$1" '.[] | select(.Member == $name).Role' "$scratch/said"; }
# Column $1 (a key of its JSON) of every member, as patronictl shows it.
ctl_shows() { ctl list -f json && jq -r --arg key "$1" '.[] | .[$key] // "none" | tostring' "$scratch/said" | sort -u | tr '\n' ' '; }
shows() { [ "$(ctl_shows "$1")" = "$2 " ]; }

start_cluster
start_writing
expect_healthy "start"

step "list and topology"
ctl list
says 'Cluster: demo'
[ "$(grep -cE '\| Leader +\| running' "$scratch/said")" = 1 ] || failed "expected one leader"
[ "$(grep -cE '\| Replica +\| running' "$scratch/said")" = 2 ] || failed "expected two replicas"
ctl list -f json
jq -e 'length == 3 and all(.[]; .Cluster == "demo" and .TL == 1 and (.Host | startswith("127.0.0.1:")))
    and ([.[] | select(.Role == "Replica" and (."Lag in MB" | type) == "number")] | length == 2)' "$scratch/said" >/dev/null || failed "unexpected JSON"
first=$(leader)
[ "$(role_of "$first")" = Leader ] || failed "patronictl sees another leader than pgkeel, $first"
ctl topology
[ "$(grep -cE '\| \+ pg-[abc]' "$scratch/said")" = 2 ] || failed "expected two members below the leader"

step "switchover, and back to a named candidate"
ctl switchover --force
says 'Successfully switched over to'
! leads "$first" || failed "$first still leads"
expect_healthy "a switchover"
ctl switchover --force --master "$(leader)" --candidate "$first"
says "Successfully switched over to \"$first\""
leads "$first" || failed "$first does not lead"
expect_healthy "a switchover to $first"
ctl switchover --force --candidate "$first" && failed "a switchover from the leader to itself was accepted"
says 'target and source are the same'

step "history"
ctl history
[ "$(grep -cE '\| +[12] \| +[0-9]+ \| no recovery target specified \|.*\| pg-[abc] +\|' "$scratch/said")" = 2 ] || failed "expected two lines of history"
grep -qE "\| +2 \|.*\| $first +\|" "$scratch/said" || failed "timeline 2 does not end with $first"

step "a switchover that is scheduled, flushed, and scheduled again"
candidate=$(a_standby)
ctl switchover --force --candidate "$candidate" --scheduled "$(date -d '+1 hour' +%FT%T)"
says 'scheduled'
ctl list
says "Switchover scheduled at: .*"
says "to: $candidate"
ctl flush demo switchover --force
says 'Success'
ctl flush demo switchover --force
says 'No pending scheduled switchover'
ctl switchover --force --candidate "$candidate" --scheduled "$(date -d '+4 seconds' +%FT%T)"
leads "$first" || failed "the scheduled switchover did not wait"
within 15 leads "$candidate" || failed "the scheduled switchover did not happen"
expect_healthy "a scheduled switchover"

step "restart of a standby, of the leader, and one that is scheduled and flushed"
for role in replica leader; do
    [ $role = leader ] && member=$(leader) || member=$(a_standby)
    lead=$(leader)
    before=$(postmaster_pid "$member")
    ctl restart demo "$member" --force
    says "Success: restart on member $member"
    [ "$(postmaster_pid "$member")" != "$before" ] || failed "PostgreSQL of $member is the one from before"
    expect_healthy "a restart of $member ($role)"
    leads "$lead" || failed "the restart of $member changed the leader"
done
ctl restart demo "$member" --force --scheduled "$(date -d '+1 hour' +%FT%T)"
says "Success: restart scheduled on member $member"
ctl list
says 'Scheduled restart'
ctl flush demo "$member" restart --force
says "Success: flush scheduled restart for member $member"

step "reload takes what changed in a member's file"
member=$(a_standby)
printf 'tags:\n  rack: north\n' >>"$dir/$member/agent.yml"
ctl reload demo "$member" --force
says "Reload request received for member $member"
tagged() { [ "$("$pgkeel" list --dir "$dir" -e -f json | jq -r --arg name "$member" '.[] | select(.Member == $name).Tags.rack')" = north ]; }
within 10 tagged || failed "the tag of $member is not published"
ctl list -e
says 'rack'
expect_healthy "a reload"

step "edit-config, show-config, restart --pending"
ctl edit-config --force -s maximum_lag_on_failover=2097152 -p work_mem=7MB -p max_connections=117
says '^\+    max_connections: 117'
ctl show-config
says '^maximum_lag_on_failover: 2097152'
says '^    work_mem: 7MB'
for name in pg-a pg-b pg-c; do
    has_work_mem() { [ "$(sql_on "$name" 'show work_mem')" = 7MB ]; }
    within 10 has_work_mem || failed "work_mem of $name is $(sql_on "$name" 'show work_mem')"
done
within 10 shows 'Pending restart' '*' || failed "no pending restart is shown"
[ "$(sql 'show max_connections')" = 100 ] || failed "max_connections changed without a restart"
ctl restart demo --pending --force
[ "$(grep -c 'Success: restart on member' "$scratch/said")" = 3 ] || failed "expected three restarts"
within 10 shows 'Pending restart' 'none' || failed "a pending restart is still shown"
for name in pg-a pg-b pg-c; do
    [ "$(sql_on "$name" 'show max_connections')" = 117 ] || failed "max_connections of $name is $(sql_on "$name" 'show max_connections')"
done
expect_healthy "restart --pending"

step "reinit"
member=$(a_standby)
touch "$dir/$member/data/of_the_old_copy"
ctl reinit demo "$member" --force
says "Success: reinitialize for member $member"
copied_anew() { [ ! -e "$dir/$member/data/of_the_old_copy" ] && [ -e "$dir/$member/data/postmaster.pid" ]; }
within 30 copied_anew || failed "$member was not copied anew"
expect_healthy "reinit"

step "pause and resume"
ctl pause --wait
says 'Success: cluster management is paused'
ctl list
says 'Maintenance mode: on'
ctl pause --wait && failed "paused a paused cluster"
says 'already paused'
ctl resume --wait
says 'Success: cluster management is resumed'
ctl list
! grep -q 'Maintenance mode' "$scratch/said" || failed "it is still paused"
expect_healthy "pause and resume"

step "failover to a candidate when the leader is gone"
# Without synchronous replication a crash may lose what no standby had yet; so let them catch up first.
stop_writing
old=$(leader)
candidate=$(standbys | tail -1)
within 10 standbys_have_all || failed "the standbys do not catch up"
kill -9 "$(agent_pid "$old")" "$(postmaster_pid "$old")"
ctl failover --force --candidate "$candidate" || true  # the leader cannot answer: patronictl leaves the request in etcd
within 20 leads "$candidate" || failed "$candidate does not lead: $(members)"
[ -z "$(lost_rows)" ] || failed "acknowledged rows are lost: $(lost_rows | tr '\n' ' ')"
start_cluster
start_writing
expect_healthy "a failover"
leads "$candidate" || failed "$candidate leads no more"
ctl list
says "$candidate .*Leader"

echo "all good: $(acknowledged) rows in $SECONDS s"
