#!/usr/bin/env bash
# Every command that talks to a cluster, on a real one, while clients write.
# usage: commands_test.sh PGKEEL
pgkeel=$1
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
unset NO_COLOR

# Runs a command on the cluster; its output is in $scratch/said, as a pipe sees it.
keel() {
    local status=0
    "$pgkeel" "$1" --dir "$dir" "${@:2}" </dev/null 2>&1 | cat >"$scratch/said" || status=${PIPESTATUS[0]}
    if grep -q $'\e' "$scratch/said"; then failed "colour codes in a pipe: $*"; fi
    return "$status"
}
says() { grep -qE -- "$1" "$scratch/said" || failed "expected '$1'"; }
# It has to fail with status $1 and to say $2.
refused() {
    local expected=$1 words=$2 status=0
    shift 2
    keel "$@" || status=$?
    [ "$status" = "$expected" ] || failed "expected the exit status $expected, got $status: $*"
    says "$words"
}
fits_80_columns() { [ "$(awk '{ if (length($0) > most) most = length($0) } END { print most }' "$scratch/said")" -le 80 ]; }
on_all() {
    local name
    for name in pg-a pg-b pg-c; do [ "$(sql_on "$name" "$1")" = "$2" ] || return 1; done
}
none_waits_for_restart() { members | jq -e 'all(.[]; has("Pending restart") | not)' >/dev/null; }
all_wait_for_restart() { members | jq -e 'all(.[]; ."Pending restart" == "*")' >/dev/null; }

start_cluster
start_writing
expect_healthy "start"

step "list, status, topology, version, dsn, query"
keel list
says '^Cluster: demo \([0-9]+\)$'
says '^pg-[abc] .* Leader +running +1'
[ "$(grep -cE '^pg-[abc] .* Replica +streaming +1 ' "$scratch/said")" = 2 ] || failed "expected two standbys that stream"
fits_80_columns || failed "the table is wider than 80 columns"
keel list -f json
jq -e 'length == 3 and all(.[]; has("Cluster") and has("Member") and has("Host") and has("Role") and has("State") and has("TL"))
    and ([.[] | select(.Role == "Replica") | ."Replay Lag" | type] == ["number", "number"])' "$scratch/said" >/dev/null || failed "unexpected JSON"
keel list -f tsv
[ "$(awk -F'\t' '{ print NF }' "$scratch/said" | sort -u | wc -l)" = 1 ] || failed "lines of different lengths in tsv"
[ "$(wc -l <"$scratch/said")" = 4 ] || failed "expected four lines of tsv"
keel status
says 'Leader'
keel topology
[ "$(grep -c '^+ pg-' "$scratch/said")" = 2 ] || failed "expected two members below the leader"
keel version
[ "$(grep -cE '^pg-[abc]: pgkeel .* PostgreSQL 15' "$scratch/said")" = 3 ] || failed "expected three agents with their versions"
keel dsn
says "^host=127.0.0.1 port=$(jq -r --arg name "$(leader)" '.nodes[] | select(.name == $name).postgres_port' "$dir/cluster.json")"
keel query -c "select 'x' as letter, pg_is_in_recovery() as standby"
[ "$(cat "$scratch/said")" = $'letter\tstandby\nx\tf' ] || failed "unexpected answer"
keel query -r replica --format json -c 'select pg_is_in_recovery() as standby'
says 't'
refused 1 'division by zero' query -c 'select 1/0'

step "what is refused, and how"
refused 2 'see .pgkeel --help' conquer
refused 2 'not expected' list --sideways
refused 2 'needs --candidate' failover --force
refused 1 "no member 'pg-x'" switchover --candidate pg-x --force
refused 1 "'pg-x' is neither a member of cluster demo nor a cluster" restart pg-x --force
refused 1 "no member 'pg-x'" restart demo pg-x --force
# What stands behind -- is an argument as any other, and not lost: this must not restart every member.
refused 1 "'pg-x' is neither a member of cluster demo nor a cluster" restart --force -- pg-x
refused 1 'leads' failover --candidate "$(leader)" --force
refused 1 'does not have the role replica' reinit "$(leader)" --force
for command in switchover "failover --candidate $(a_standby)" "restart" "reinit $(a_standby)" "reload" "remove demo" "edit-config -s ttl=7"; do
    # shellcheck disable=SC2086
    refused 2 'standard input is not a terminal' $command
    says 'add --force'
done
[ "$(sql 'select count(*) from pg_stat_replication')" = 2 ] || failed "something was done without an answer"
expect_healthy "refusals"

step "switchover tells its steps, and how long nobody could write"
first=$(leader)
keel switchover --force
! leads "$first" || failed "$first still leads"
says 'the leader key is free'
says 'first acknowledged write on'
says "^write pause: [0-9]+\.[0-9]+ s \\(last acknowledged write on $first to the first on $(leader)\\)"
expect_healthy "a switchover"
second=$(leader)
refused 1 "$second" switchover --force --leader "$first"
keel switchover --force --candidate "$first"
leads "$first" || failed "$first does not lead"
expect_healthy "a switchover to $first"

step "history and why"
keel history -f json
jq -e --arg first "$first" --arg second "$second" 'map(."New Leader") == [$second, $first] and map(.TL) == [1, 2]' "$scratch/said" >/dev/null || failed "unexpected history"
keel why
says "^$first \(leader\)"
says 'promot'
says 'could take over'
! grep -q 'not possible' "$scratch/said" || failed "a failover is possible, and why denies it"
keel why "$second" -n 50 -f json
jq -e --arg second "$second" 'length == 1 and .[0].name == $second and (.[0].decisions | any(.action == "demote"))' "$scratch/said" >/dev/null || failed "$second does not tell why it stepped down"

step "a failover while the leader lives is still in order"
keel failover --force --candidate "$second"
leads "$second" || failed "$second does not lead"
expect_healthy "a failover"

step "scheduled, shown, flushed"
keel switchover --force --candidate "$first" --scheduled "$(date -d '+1 hour' +%FT%T)"
keel list
says 'Switchover scheduled at: .*'
keel flush switchover --force
keel flush switchover --force
says 'no switchover is scheduled'
keel restart "$first" --force --scheduled "$(date -d '+1 hour' +%FT%T)"
keel list
says 'Scheduled restart'
keel flush "$first" restart --force
leads "$second" || failed "$second leads no more"

step "edit-config, and restart --pending"
keel edit-config --force -s loop_wait=2 -p work_mem=6MB -p max_connections=90
says 'max_connections: 90'
within 10 on_all 'show work_mem' 6MB || failed "work_mem is not in force everywhere"
within 10 all_wait_for_restart || failed "nobody waits for a restart: $(members)"
keel list
says 'max_connections: 100->90'
fits_80_columns || failed "the table is wider than 80 columns"
keel restart --pending --force
# A standby may not have less than its primary had when it wrote the WAL (PostgreSQL, "Hot Standby", "Administrator's
# Overview"), so a decrease takes a second round when standbys came first.
[ "$(sql 'show max_connections')" = 90 ] || failed "max_connections of the primary is $(sql 'show max_connections')"
expect_healthy "restart --pending"
none_waits_for_restart || within 5 none_waits_for_restart || keel restart --pending --force
within 20 none_waits_for_restart || failed "somebody still waits for a restart: $(members)"
within 10 on_all 'show max_connections' 90 || failed "max_connections is not in force everywhere"
expect_healthy "restart --pending"
keel restart --pending --force
[ "$(grep -c 'needs no restart' "$scratch/said")" = 3 ] || failed "nobody should have been restarted"
printf 'loop_wait: 1\npostgresql:\n  parameters:\n    work_mem: null\n' >"$scratch/changes.yml"
chmod 644 "$scratch/changes.yml"
keel edit-config --force --apply "$scratch/changes.yml"
keel show-config
says '^loop_wait: 1$'
! grep -q work_mem "$scratch/said" || failed "work_mem was not removed"
says 'max_connections: 90'
within 10 on_all 'show work_mem' 4MB || failed "work_mem is not back at its default"
refused 2 'ttl: .soon. is no whole number' edit-config --force -s ttl=soon
keel show-config -f json
jq -e '.ttl == 5' "$scratch/said" >/dev/null || failed "a wrong ttl was stored"

step "restart and reload"
for role in replica leader; do
    [ $role = leader ] && member=$(leader) || member=$(a_standby)
    before=$(postmaster_pid "$member")
    keel restart "$member" --force
    says "$member"
    [ "$(postmaster_pid "$member")" != "$before" ] || failed "PostgreSQL of $member is the one from before"
    expect_healthy "a restart of $member ($role)"
done
leads "$second" || failed "a restart changed the leader"
printf 'tags:\n  rack: north\n' >>"$dir/$first/agent.yml"
keel reload "$first" --force
tagged() { [ "$("$pgkeel" list --dir "$dir" -e -f json | jq -r --arg name "$first" '.[] | select(.Member == $name).Tags.rack')" = north ]; }
within 10 tagged || failed "the tag of $first is not published"

step "reinit --wait"
touch "$dir/$first/data/of_the_old_copy"
keel reinit "$first" --force --wait
says "$first: is a standby again"
[ ! -e "$dir/$first/data/of_the_old_copy" ] || failed "$first has its old data"
expect_healthy "reinit"

step "pause and resume"
keel pause --wait
keel list
says 'paused'
kill -9 "$(postmaster_pid "$second")"
sleep 3  # with a live agent a crash is answered in less than a second
for name in pg-a pg-b pg-c; do
    [ "$name" = "$second" ] || [ "$(sql_on "$name" 'select pg_is_in_recovery()')" = t ] || failed "$name was promoted in a paused cluster"
done
keel resume --wait
keel list
! grep -q paused "$scratch/said" || failed "it is still paused"
expect_healthy "pause and resume"

step "remove: the agents write their keys anew, and PostgreSQL does not notice"
lead=$(leader)
identifier=$(sql 'select system_identifier from pg_control_system()')
before=$(for name in pg-a pg-b pg-c; do postmaster_pid $name; done)
keel remove demo --force
written_anew() { is_healthy && keel list && grep -q "demo ($identifier)" "$scratch/said"; }
within 20 written_anew || failed "the keys are not back: $(members)"
[ "$before" = "$(for name in pg-a pg-b pg-c; do postmaster_pid $name; done)" ] || failed "PostgreSQL was restarted"
leads "$lead" || failed "the leader changed"
keel show-config
says 'max_connections: 90'
expect_healthy "remove"

echo "all good: $(acknowledged) rows in $SECONDS s"
