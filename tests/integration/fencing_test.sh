#!/usr/bin/env bash
# A primary whose agent is killed or stands still is ended by its guardian before another may lead. Real etcd and PostgreSQL, a
# client that writes, and witnesses that try to write on every node all the time.
# usage: fencing_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
at_most() { awk -v value="$1" -v most="$2" 'BEGIN { exit !(value <= most) }'; }

timeline() { sql "select timeline_id from pg_control_checkpoint()"; }
# The guardian of a node that serves its agent, as the process table shows it.
guardians() { pgrep -f "guardian $dir/$1/data " || true; }
guardian() { pgrep -f "guardian $dir/$1/data $(agent_pid "$1") "; }
server_runs() { [ -n "$(server_pids "$1")" ]; }
server_pids() {
    local pid
    for pid in $(pgrep -x postgres); do
        if [ "$(readlink "/proc/$pid/cwd")" = "$dir/$1/data" ]; then echo "$pid"; fi
    done
}
server_is_gone() { ! server_runs "$1"; }
taken_over() {
    local leader
    leader=$(primary) && [ -n "$leader" ] && [ "$leader" != "$old" ]
}
# recovered WHAT: one leader, two streaming replicas, writes flow, and never were there two.
recovered() {
    go_on
    within 60 is_healthy || failed "$1: not one leader and two streaming replicas: $(members)"
    local before
    before=$(acknowledged)
    within 20 writes_went_on "$before" || failed "$1: the client does not write again"
    sleep 1
    never_two "$1"
    echo "   recovered"
}
unmoved() { [ "$(primary)" = "$2" ] && [ "$(timeline)" = "$3" ] || failed "$1: $2 on timeline $3 became $(primary) on $(timeline)"; }

start_cluster
start_witnesses
within 60 is_healthy || failed "the new cluster has no two streaming replicas: $(members)"
sleep 1
leader=$(primary)
line=$(timeline)

step "every agent has one guardian"
for node in pg-a pg-b pg-c; do
    [ "$(guardians "$node" | wc -l)" = 1 ] || failed "$node has these guardians: $(guardians "$node")"
    grep "guardian pid=" "$dir/$node/agent.log" | tail -1 | sed 's/^/   /'
    awk '/^VmRSS|^VmLck/ { printf "   %s %d kB\n", $1, $2 }' "/proc/$(guardian "$node")/status"
done

step "the guardian is killed: another one within 2 s, and no failover"
before=$(guardian "$leader")
begin=$(now)
kill -9 "$before"
replaced() { local pid; pid=$(guardian "$leader") && [ -n "$pid" ] && [ "$pid" != "$before" ]; }
within 3 replaced || failed "no other guardian after 3 s"
took=$(since "$begin")
at_most "$took" 2 || failed "another guardian took $took s"
echo "   another guardian after $took s"
sleep 6  # a lease and more
recovered "killed guardian"
unmoved "killed guardian" "$leader" "$line"

step "the guardian is halted: it is replaced"
before=$(guardian "$leader")
halt "$before"
within 6 replaced || failed "a guardian that stands still was not replaced"
recovered "halted guardian"
unmoved "halted guardian" "$leader" "$line"

step "the agent is killed and started at once: it adopts, and nobody is fenced"
before=$(postmaster_pid "$leader")
kill -9 "$(agent_pid "$leader")"
start_cluster
sleep 7  # past the deadline that the dead agent has left
[ "$(guardians "$leader" | wc -l)" = 1 ] || failed "$leader has these guardians: $(guardians "$leader")"
recovered "killed agent"
unmoved "killed agent" "$leader" "$line"
[ "$(postmaster_pid "$leader")" = "$before" ] || failed "killed agent: PostgreSQL was started again"

step "paused, and the agent is killed: PostgreSQL goes on"
"$pgkeel" pause --wait --dir "$dir" >"$scratch/said" 2>&1 || failed "pause"
sleep 2
before=$(postmaster_pid "$leader")
kill -9 "$(agent_pid "$leader")"
sleep 8
[ "$(postmaster_pid "$leader")" = "$before" ] && server_runs "$leader" || failed "paused: PostgreSQL has ended"
[ -z "$(guardians "$leader")" ] || failed "paused: a guardian is left: $(guardians "$leader")"
start_cluster
sleep 2
"$pgkeel" resume --wait --dir "$dir" >"$scratch/said" 2>&1 || failed "resume"
recovered "paused"
unmoved "paused" "$leader" "$line"

step "the primary's agent is killed for good: the guardian ends PostgreSQL, and another leads"
old=$leader
for _ in $(seq 100); do  # clients that are connected, so that there is something to kill
    PGSERVICEFILE=$dir/pg_service.conf psql "service=$old" -X -q -c 'select pg_sleep(60)' >/dev/null 2>&1 &
    started+=($!)
done
sleep 4
echo "   $(server_pids "$old" | wc -l) processes of PostgreSQL"
begin=$(now)
kill -9 "$(agent_pid "$old")"
within 20 server_is_gone "$old" || failed "PostgreSQL of $old still runs 20 s after its agent was killed"
echo "   PostgreSQL of $old ended $(since "$begin") s after its agent"
within 20 taken_over || failed "nobody took over from $old"
took=$(since "$begin")
echo "   another leads after $took s"
at_most "$took" 7.5 || failed "another leads only after $took s"
grep "pgkeel guardian" "$dir/$old/agent.log" | tail -1 | sed 's/^/   /'
grep -q "pgkeel guardian: killed every process" "$dir/$old/agent.log" || failed "the guardian has not said what it did"
never_two "agent killed for good"
sleep 5
[ -z "$(guardians "$old")" ] || failed "a guardian is left after its work: $(guardians "$old")"
start_cluster
recovered "agent killed for good"

step "the primary's agent stands still for 20 s: fenced, another leads, and it comes back as a standby"
old=$(primary)
begin=$(now)
halt "$(agent_pid "$old")"
within 10 server_is_gone "$old" || failed "PostgreSQL of $old still runs 10 s after its agent was halted"
echo "   PostgreSQL of $old ended after $(since "$begin") s"
within 20 taken_over || failed "nobody took over from $old"
new=$(primary)
echo "   $new leads after $(since "$begin") s"
sleep "$(awk -v took="$(since "$begin")" 'BEGIN { print took < 20 ? 20 - took : 0 }')"
recovered "agent halted for 20 s"
[ "$(primary)" = "$new" ] || failed "agent halted for 20 s: $(primary) leads instead of $new"
[ "$(sql_on "$old" 'select pg_is_in_recovery()')" = t ] || failed "$old is no standby"
grep -q "the guardian has ended PostgreSQL" "$dir/$old/agent.log" || failed "the agent that thawed does not say what happened"

step "agent and guardian are killed together: PostgreSQL goes on, until an agent is there again"
old=$(primary)
kill -9 "$(agent_pid "$old")" "$(guardian "$old")"
# Nothing on this machine is left that would end it: this is what a hardware watchdog, or the service manager, is for.
server_runs "$old" || failed "PostgreSQL ended with them"
start_cluster
within 20 writes_went_on "$(acknowledged)" || failed "no writes"
recovered "agent and guardian killed, agent started again"

stop_witnesses
echo "all good"
