#!/usr/bin/env bash
# Synchronous replication and the failsafe mode on a cluster of three, under a client that writes and remembers what was
# acknowledged to it. Whatever is killed, none of that may be missing. Real etcd and PostgreSQL.
# usage: synchronous_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
halt_etcd() { halt "$(agent_pid etcd-1)" "$(agent_pid etcd-2)" "$(agent_pid etcd-3)"; }

configure() { "$pgkeel" edit-config --dir "$dir" --force "$@" >"$scratch/said" 2>&1 || failed "edit-config $*: $(cat "$scratch/said")"; }
key() { etcd_ctl get --print-value-only "/service/demo/$1"; }
with_role() { members | jq -r --arg role "$1" '.[] | select(.Role == $role).Member'; }
number_with_role() { [ "$(with_role "$1" | wc -l)" = "$2" ]; }
is_whole() {
    members | jq -e 'length == 3 and ([.[] | select(.Role == "Leader" and .State == "running")] | length == 1)
        and ([.[] | select(.State == "streaming")] | length == 2) and (map(.TL) | unique | length == 1)' >/dev/null
}
kill_node() { kill -9 "$(agent_pid "$1")" "$(postmaster_pid "$1")"; }
# The longest time without an acknowledged write, and the last, since $1 (both in seconds).
longest_gap() { awk -v since="$1" '$2 > since { if (last && $2 - last > gap) gap = $2 - last; last = $2 } END { print gap + 0 }' "$scratch/acknowledged.times"; }
last_after() { awk -v since="$1" '$2 > since { last = $2 - since } END { print last + 0 }' "$scratch/acknowledged.times"; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }

# whole WHAT: the cluster is whole again, writes go on, and nothing acknowledged is lost.
whole() {
    within 60 is_whole || failed "not whole 60 s after: $*: $(members)"
    within 15 writes_went_on "$(acknowledged)" || failed "no write was acknowledged after: $*"
    [ -z "$(lost_rows)" ] || failed "acknowledged rows are lost after: $*: $(lost_rows | tail -5 | tr '\n' ' ')"
    echo "   whole, $(acknowledged) rows acknowledged, none lost"
}

start_cluster
within 60 is_whole || failed "the new cluster is not whole: $(members)"
start_writing
# When each row was acknowledged, to 20 ms.
(
    trap - ERR EXIT
    tail -n +1 -f "$scratch/acknowledged" --pid=$$ | while read -r n; do echo "$n $(date +%s.%N)"; done >>"$scratch/acknowledged.times"
) &
started+=("$!")

step "synchronous_mode is turned on"
configure -s synchronous_mode=true
within 10 number_with_role "Sync Standby" 1 || failed "nobody became a synchronous standby: $(members) $(key sync)"
[ "$(sql 'show synchronous_standby_names')" = "\"$(with_role "Sync Standby")\"" ] || failed "synchronous_standby_names is $(sql 'show synchronous_standby_names')"
code=$(curl --noproxy '*' -s -o /dev/null -w '%{http_code}' --cacert "$dir/tls/ca.crt" --cert "$dir/tls/client.crt" --key "$dir/tls/client.key" \
    "https://$(rest_address "$(with_role "Sync Standby")")/sync" || true)
[ "$code" = 200 ] || failed "GET /sync on the synchronous standby says $code"
whole "turning synchronous_mode on"

step "the primary is lost: its synchronous standby takes over"
old=$(leader)
heir=$(with_role "Sync Standby")
kill_node "$old"
within 30 leads "$heir" || failed "$heir did not take over from $old: $(members)"
within 15 writes_went_on "$(acknowledged)" || failed "no write after the failover: $(key sync)"
start_cluster
whole "loss of the primary"

step "the synchronous standby is lost: another takes its place"
within 15 number_with_role "Sync Standby" 1 || failed "no synchronous standby: $(members)"
lost=$(with_role "Sync Standby")
since=$(date +%s.%N)
kill_node "$lost"
sleep 8
gap=$(longest_gap "$since")
less "$gap" 5 || failed "no write was acknowledged for $gap s after the loss of the synchronous standby; ttl is 5 s"
[ "$(with_role "Sync Standby")" != "$lost" ] || failed "$lost is still the synchronous standby"
echo "   writes waited for $gap s"
start_cluster
whole "loss of the synchronous standby"

step "by quorum"
configure -s synchronous_mode=quorum
within 15 number_with_role "Quorum Standby" 2 || failed "not two standbys in the quorum: $(members) $(key sync)"
[ "$(key sync | jq -r .quorum)" = 1 ] || failed "the key sync is $(key sync)"
whole "turning to quorum"
old=$(leader)
kill_node "$old"
within 30 eval '[ -n "$(leader)" ] && ! leads "$old"' || failed "nobody took over from $old: $(members) $(key sync)"
within 15 writes_went_on "$(acknowledged)" || failed "no write after the failover: $(key sync)"
start_cluster
whole "loss of the primary of a quorum"

step "a switchover loses nothing"
within 15 number_with_role "Quorum Standby" 2 || failed "not two standbys in the quorum: $(members) $(key sync)"
"$pgkeel" switchover --force --dir "$dir" >"$scratch/said" 2>&1 || failed "switchover"
whole "a switchover"

step "strict, and both standbys are lost: commits wait"
configure -s synchronous_mode_strict=true
within 15 number_with_role "Quorum Standby" 2 || failed "not two standbys in the quorum: $(members) $(key sync)"
for node in $(standbys); do kill_node "$node"; done
sleep 2
before=$(acknowledged)
sleep 8
[ "$(acknowledged)" = "$before" ] || failed "$(($(acknowledged) - before)) commits were acknowledged without a standby"
start_cluster
whole "loss of both standbys"

step "a cancel ends the wait of a commit: of the proxy's clients, none is told that it is done"
# begin_insert SERVICE ROW MESSAGES: a commit that waits for a standby; the client wants to hear of MESSAGES and worse.
begin_insert() {
    PGSERVICEFILE=$dir/pg_service.conf psql "service=$1" -X -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -c "set client_min_messages = $3" \
        -c "insert into numbered values ($2)" >"$scratch/cancelled" 2>&1 &
    inserting=$!
    started+=("$inserting")
    within 10 waits_for_standby "insert into numbered values ($2)" || failed "the insert does not wait: $(cat "$scratch/cancelled")"
}
waits_for_standby() { [ "$(sql "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and query like '%' || \$\$$1\$\$ || '%'")" = 1 ]; }
# ends WORDS: what the client is told in the end. (psql's status says nothing: it is 1 after a cancel whatever the server answers.)
ends() {
    wait "$inserting" || true
    [ "$(grep -cE '^ERROR|^INSERT' "$scratch/cancelled")" = 1 ] && grep -q "$1" "$scratch/cancelled" || failed "expected '$1': $(cat "$scratch/cancelled")"
}
receivers=()
for node in $(standbys); do receivers+=("$(sql_on "$node" 'select pid from pg_stat_wal_receiver')"); done
halt "${receivers[@]}"
begin_insert demo -1 error
kill -INT "$inserting"
ends 'INSERT 0 1'  # PostgreSQL alone: an acknowledged commit that no standby has
begin_insert demo-proxy -2 warning
kill -INT "$inserting"
ends 'ERROR:  08007: .*no synchronous standby has confirmed it'
begin_insert demo-proxy -3 error
kill -INT "$inserting"
within 10 waits_for_standby pg_logical_emit_message || failed "the proxy has not asked for another commit: $(cat "$scratch/cancelled")"
kill -INT "$inserting"
ends 'ERROR:  08007: .*no synchronous standby has confirmed it'
begin_insert demo-proxy-pooled -4 error
kill -INT "$inserting"
within 10 waits_for_standby pg_logical_emit_message || failed "the proxy has not asked for another commit: $(cat "$scratch/cancelled")"
! grep -q 'INSERT 0 1' "$scratch/cancelled" || failed "the client was told too early"
go_on
ends 'INSERT 0 1'
whole "cancels"
for node in $(standbys); do
    [ "$(sql_on "$node" 'select count(*) from numbered where n = -4')" = 1 ] || failed "$node has not what was confirmed"
done
configure -s synchronous_mode_strict=null

step "failsafe_mode: etcd is halted for 10 s, and the primary stays"
configure -s failsafe_mode=true
within 10 eval '[ "$(key failsafe | jq length)" = 3 ]' || failed "the key failsafe is $(key failsafe)"
sleep 2
old=$(leader)
line=$(sql "select timeline_id from pg_control_checkpoint()")
since=$(date +%s.%N)
halt_etcd
sleep 10
gap=$(longest_gap "$since")
go_on
less "$gap" 2 || failed "no write was acknowledged for $gap s while etcd was halted"
within 20 leads "$old" || failed "$old does not lead any more: $(members)"
sleep 6
leads "$old" || failed "$old was demoted after etcd had come back: $(members)"
[ "$(sql "select timeline_id from pg_control_checkpoint()")" = "$line" ] || failed "there was a failover"
echo "   the longest time without a write was $gap s"
whole "10 s without etcd"

step "failsafe_mode: etcd and one member are halted: the primary stops before its lease ends"
halt "$(agent_pid "$(a_standby)")"
since=$(date +%s.%N)
halt_etcd
sleep 8
last=$(last_after "$since")
less "$last" 5 || failed "writes were acknowledged $last s after etcd and a member were gone; the lease is 5 s"
echo "   the last write was acknowledged $last s after the halt"
go_on
whole "8 s without etcd and a member"

stop_writing
[ "$(acknowledged)" -gt 300 ] || failed "only $(acknowledged) rows were written: this tested nothing"
echo "all good"
