#!/usr/bin/env bash
# pgkeel and Debian's Patroni in one cluster: the lead goes back and forth between them, in order and when a node is lost, and a
# cluster of Patroni's becomes pgkeel's node by node, under a client that writes. Real etcd and PostgreSQL.
# usage: mixed_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
command -v patroni >/dev/null || { echo "skipped: there is no Patroni (Debian's package patroni)"; exit 77; }

declare -A agents kinds
# run NAME KIND: the agent of that node, by pgkeel or by Patroni, with one and the same file.
run() {
    local command=("$pgkeel" agent) owner=()
    [ "$2" = pgkeel ] || command=(patroni)
    [ "$(id -u)" != 0 ] || owner=(setpriv --reuid=postgres --regid=postgres --init-groups)
    HOME=$scratch "${owner[@]}" "${command[@]}" "$dir/$1/agent.yml" >>"$scratch/$1.$2.log" 2>&1 &
    agents[$1]=$!
    kinds[$1]=$2
    started+=($!)
}
gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
no_postmaster() { [ ! -e "$dir/$1/data/postmaster.pid" ]; }
# In order: whoever it is stops its PostgreSQL.
stop() {
    kill "${agents[$1]}"
    within 60 gone "${agents[$1]}" || failed "the ${kinds[$1]} of $1 does not end: $(tail -n 5 "$scratch/$1.${kinds[$1]}.log")"
    within 10 no_postmaster "$1" || failed "PostgreSQL of $1 runs on without an agent"
}
lose() {
    kill -9 "${agents[$1]}" "$(postmaster_pid "$1")"
    within 10 gone "${agents[$1]}"
}
becomes() { stop "$1" && run "$1" "$2"; }

# Patroni 3.0 says "running" of a standby that streams.
is_whole() {
    members | jq -e 'length == 3 and ([.[] | select(.Role == "Leader" and .State == "running")] | length == 1)
        and ([.[] | select(.Role == "Replica" and (.State == "streaming" or .State == "running"))] | length == 2)
        and (map(.TL) | unique | length == 1)' >/dev/null &&
        [ "$(sql "select count(*) from pg_stat_replication where state = 'streaming'")" = 2 ]
}
forgiven=0
# whole WHAT LOST_MAX: everybody is there, the client writes, and at most so many acknowledged rows are missing.
whole() {
    local seen lost
    within 60 is_whole || failed "$1: $("$pgkeel" list --dir "$dir" 2>&1); $(tail -n 5 "$scratch"/pg-?.*.log)"
    seen=$(acknowledged)
    within 20 writes_went_on "$seen" || failed "$1: the client does not write"
    lost=$(lost_rows | wc -l)
    [ "$lost" -le $((forgiven + $2)) ] || failed "$1: $((lost - forgiven)) acknowledged rows are missing"
    forgiven=$lost
    echo "   $1: $(leader) (${kinds[$(leader)]}) leads"
}
hand_over() {
    "$pgkeel" switchover --dir "$dir" --force --candidate "$1" >"$scratch/said" 2>&1 || failed "switchover to $1"
    within 30 leads "$1" || failed "$1 does not lead after a switchover"
}

start_cluster
within 60 is_whole || failed "the new cluster: $(members)"
start_writing
for name in pg-a pg-b pg-c; do
    agents[$name]=$(agent_pid "$name")
    kinds[$name]=pgkeel
done
first=$(leader)
second=$(standbys | head -1)
third=$(standbys | tail -1)

step "one of three nodes is Patroni's; the lead goes round"
becomes "$third" patroni
whole "two of pgkeel, one of Patroni" 0
hand_over "$third"
whole "from pgkeel to Patroni" 0
hand_over "$second"
whole "from Patroni to pgkeel" 0
hand_over "$first"
whole "between the two of pgkeel" 0

step "a node of Patroni's that leads is lost"
hand_over "$third"
whole "Patroni leads" 0
lose "$third"
within 60 another_leads "$third" || failed "nobody took over from Patroni: $(members)"
[ "${kinds[$(leader)]}" = pgkeel ] || failed "$(leader) leads"
run "$third" patroni
whole "pgkeel has taken over, and Patroni's node joined again" 30

step "a node of pgkeel's that leads is lost, and only Patroni's is left"
led=$(leader)
other=$([ "$led" = "$first" ] && echo "$second" || echo "$first")
stop "$other"
lose "$led"
within 60 leads "$third" || failed "Patroni did not take over: $(members)"
run "$led" pgkeel
run "$other" pgkeel
whole "Patroni has taken over, and both of pgkeel joined again" 30

step "all of them are Patroni's"
for name in $(standbys); do
    becomes "$name" patroni
    whole "$name is Patroni's" 0
done

step "and become pgkeel's, node by node, the leader last"
for name in $(standbys); do
    becomes "$name" pgkeel
    whole "$name is pgkeel's" 0
done
last=$(leader)
hand_over "$(a_standby)"
becomes "$last" pgkeel
whole "everything is pgkeel's" 0
stop_writing
[ "$(acknowledged)" -gt 200 ] || failed "only $(acknowledged) rows were written: this tested nothing"
echo "   $(acknowledged) rows acknowledged, $forgiven of them lost with nodes of an asynchronous cluster"
# Ours by now, of which `down` knows nothing.
for name in $(standbys) $(leader); do stop "$name"; done
