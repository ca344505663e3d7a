#!/usr/bin/env bash
# One fault after the other on a cluster of three, under a client that writes. After each: one leader, two streaming replicas, and
# every acknowledged row. All the time: never two nodes that take a write. Real etcd and PostgreSQL.
# usage: faults_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
timeline() { sql "select timeline_id from pg_control_checkpoint()" && sql "select pg_walfile_name(pg_current_wal_lsn())" | cut -c1-8; }
agents_said() { cat "$dir"/pg-?/agent.log; }

start_cluster
start_witnesses

# Which of the acknowledged rows are missing; those of the last moments before a lost node, too.
missing() {
    local number
    number=$(acknowledged)
    head -n "$number" "$scratch/acknowledged" | cut -d' ' -f1 | sort >"$scratch/expected"
    sql 'select id from ack' | sort >"$scratch/found"
    comm -23 "$scratch/expected" "$scratch/found"
}
# recovered WHAT LOST_MAX: the cluster is whole, writes flow, and at most so many rows are lost (more than none in asynchronous mode only).
forgiven=0
recovered() {
    go_on
    within 60 is_healthy || failed "$1: not one leader and two streaming replicas: $("$pgkeel" list --dir "$dir")"
    local before lost
    before=$(acknowledged)
    within 20 writes_went_on "$before" || failed "$1: the client does not write again"
    lost=$(missing | wc -l)
    [ "$lost" -le $((forgiven + $2)) ] || failed "$1: $((lost - forgiven)) acknowledged rows are lost: $(missing | tail -5 | tr '\n' ' ')"
    [ "$lost" = "$forgiven" ] || echo "   ($((lost - forgiven)) rows of an asynchronous node that was lost)"
    forgiven=$lost
    never_two "$1"
    echo "   recovered"
}
unmoved() { [ "$(primary)" = "$2" ] && [ "$(timeline)" = "$3" ] || failed "$1: $2 on timeline $3 became $(primary) on $(timeline)"; }
within 60 is_healthy || failed "the new cluster has no two streaming replicas: $("$pgkeel" list --dir "$dir")"
sleep 1
leader=$(primary)
line=$(timeline)

step "the postmaster is killed: it is started again where it was"
kill -9 "$(postmaster_pid "$leader")"
sleep 1
recovered "killed postmaster" 0
unmoved "killed postmaster" "$leader" "$line"

step "the postmaster is halted, and nobody new can connect: after 10 s it is ended and started again"
before=$(postmaster_pid "$leader")
halt "$before"
has_another() { [ "$(postmaster_pid "$leader")" != "$before" ]; }
within 20 has_another || failed "halted postmaster: it was left alone"
recovered "halted postmaster" 0
unmoved "halted postmaster" "$leader" "$line"

step "one backend is killed: no failover"
kill -9 "$(sql "select pid from pg_stat_activity where query like 'insert into ack%' limit 1")"
sleep 1
recovered "killed backend" 0
unmoved "killed backend" "$leader" "$line"

step "the agent alone is killed and started at once: it adopts its server"
before=$(postmaster_pid "$leader")
kill -9 "$(agent_pid "$leader")"
start_cluster
recovered "killed agent" 0
unmoved "killed agent" "$leader" "$line"
[ "$(postmaster_pid "$leader")" = "$before" ] || failed "killed agent: PostgreSQL was started again"

step "the primary's agent is halted for 2 s: nothing happens"
halt "$(agent_pid "$leader")"
sleep 2
go_on
sleep 1
recovered "halted agent" 0
unmoved "halted agent" "$leader" "$line"

step "a file is reloaded while PostgreSQL restarts"
before=$(postmaster_pid "$leader")
"$pgkeel" restart "$leader" --force --dir "$dir" >"$scratch/restart.out" 2>&1 &
restarting=$!
for _ in $(seq 20); do
    kill -HUP "$(agent_pid "$leader")"
    sleep 0.05
done
wait $restarting || failed "restart: $(cat "$scratch/restart.out")"
recovered "reload during a restart" 0
unmoved "reload during a restart" "$leader" "$line"
[ "$(postmaster_pid "$leader")" != "$before" ] || failed "the restart did nothing: $(cat "$scratch/restart.out")"

step "etcd's leader is killed: no failover"
etcd_leader() {
    local id port
    id=$(etcd_ctl endpoint status -w json 2>/dev/null | jq -r '.[] | select(.Status.leader == .Status.header.member_id) | .Endpoint')
    port=${id##*:}
    jq -r --argjson port "$port" '.etcd[] | select(.client_port == $port).name' "$dir/cluster.json"
}
kill -9 "$(agent_pid "$(etcd_leader)")"
sleep 7
recovered "etcd's leader killed" 0
unmoved "etcd's leader killed" "$leader" "$line"
start_cluster

step "one member of etcd is halted for 10 s: no failover"
sleep 2
halt "$(agent_pid "$(etcd_leader)")"
sleep 10
go_on
recovered "halted member of etcd" 0
unmoved "halted member of etcd" "$leader" "$line"

step "all of etcd is halted for 8 s: the primary stops writing before its lease ends"
begin=$(date +%s.%N)
halt "$(agent_pid etcd-1)" "$(agent_pid etcd-2)" "$(agent_pid etcd-3)"
sleep 8
last=$(awk -v begin="$begin" '$2 > begin { last = $2 - begin } END { print last + 0 }' "$scratch/acknowledged")
awk -v last="$last" 'BEGIN { exit !(last < 5) }' || failed "writes were acknowledged $last s after etcd was gone; the lease is 5 s"
echo "   the last write was acknowledged $last s after the halt"
go_on
recovered "no etcd for 8 s" 0

step "the primary and its agent are killed: another takes over, and the old one joins again"
old=$(primary)
sleep 3
kill -9 "$(agent_pid "$old")" "$(postmaster_pid "$old")"
taken_over() {
    local now
    now=$(primary) && [ -n "$now" ] && [ "$now" != "$old" ]
}
within 30 taken_over || failed "nobody took over from $old"
within 20 writes_went_on "$(acknowledged)" || failed "no writes after the failover"
start_cluster
recovered "lost node" 200

step "a primary that went its own way comes back by pg_rewind"
old=$(primary)
before=$(agents_said | grep -c "running pg_rewind\|pg_rewind from" || true)
kill -9 "$(agent_pid "$old")"
# While its agent is dead and its lease still runs it takes writes that only it has: the standbys hear nothing.
for other in pg-a pg-b pg-c; do
    # shellcheck disable=SC2046  # several pids
    [ "$other" = "$old" ] || halt $(sql "select pid from pg_stat_replication where application_name = '$other'")
done
sleep 0.5
# Killed while they are halted: going on, they would send the rest.
kill -9 "${halted[@]}" "$(postmaster_pid "$old")"
halted=()
within 30 taken_over || failed "nobody took over from $old"
start_cluster
recovered "diverged primary" 400
[ "$(agents_said | grep -c "running pg_rewind\|pg_rewind from" || true)" -gt "$before" ] || failed "it came back without pg_rewind"

step "everything is killed at once"
sleep 2
pids=()
for node in pg-a pg-b pg-c; do pids+=("$(agent_pid "$node")" "$(postmaster_pid "$node")"); done
kill -9 "${pids[@]}"
sleep 1
start_cluster
recovered "everything killed" 0

stop_witnesses
echo "all good"
