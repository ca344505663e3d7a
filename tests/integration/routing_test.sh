#!/usr/bin/env bash
# The proxy that `pgkeel up` starts, on a real cluster: each port leads where it says, whoever the database knows may come, and
# writers never lose a row, nor reach a server that is not the leader, whatever happens to it. Real etcd and PostgreSQL.
# usage: routing_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

port_of() { jq -r --arg name "$1" '.nodes[] | select(.name == $name).postgres_port' "$dir/cluster.json"; }
proxy_port() { jq -r --arg listener "$1" '.proxy[$listener]' "$dir/cluster.json"; }
service_of() { [ "$1" = primary ] && echo demo-proxy || echo "demo-proxy-$1"; }
through() { sql_on "$(service_of "$1")" "$2"; }
# Ports of the servers behind as many connections at the same time.
servers_behind() {
    local i pids=()
    for i in $(seq "$2"); do
        through "$1" "select current_setting('port')::int from pg_sleep(1)" >"$scratch/behind.$i" &
        pids+=($!)
    done
    wait "${pids[@]}"
    cat "$scratch"/behind.* | sort -u
    rm "$scratch"/behind.*
}

start_cluster
within 60 is_healthy || failed "the new cluster has no two streaming replicas: $(members)"

step "each port leads where it says"
for listener in primary pooled; do
    [ "$(servers_behind $listener 4)" = "$(port_of "$(leader)")" ] || failed "$listener leads to $(servers_behind $listener 4), not to the leader"
    [ "$(through $listener 'select pg_is_in_recovery()')" = f ] || failed "$listener leads to a server in recovery"
done
both_standbys() { [ "$(servers_behind standby 6)" = "$(for name in $(standbys); do port_of "$name"; done | sort)" ]; }
within 10 both_standbys || failed "standby leads to $(servers_behind standby 6)"
[ "$(through standby 'select pg_is_in_recovery()')" = t ] || failed "standby leads to no standby"
every_node() { [ "$(servers_behind any 9 | wc -l)" = 3 ]; }
within 10 every_node || failed "any leads to $(servers_behind any 9 | tr '\n' ' ')"

step "members on this machine by their unix sockets, unless told otherwise"
by_socket() { sql_on "demo-proxy dbname=$1" 'select inet_client_addr() is null'; }
sql "create database by_socket" >/dev/null  # servers that are open stay as they are
[ "$(by_socket by_socket)" = t ] || failed "a member on this machine is reached by TCP"
routes_told() { grep -c "route primary:" "$dir/proxy/proxy.log"; }
reload_proxy() {
    local before
    before=$(routes_told)
    kill -HUP "$(agent_pid proxy)"
    told_again() { [ "$(routes_told)" -gt "$before" ]; }
    within 5 told_again || failed "the proxy does not take its file again"
}
sed -i 's/^proxy:$/&\n  server_unix_sockets: no/' "$dir/proxy/proxy.yml"
reload_proxy
sql "create database by_tcp" >/dev/null
[ "$(by_socket by_tcp)" = f ] || failed "server_unix_sockets: no has no effect"
sed -i '/^  server_unix_sockets: no$/d' "$dir/proxy/proxy.yml"
reload_proxy

step "who the database knows may come, and nobody else"
printed=$(sed -n 's/^  \(PGSERVICEFILE=.* psql service=demo-proxy\)$/\1/p' "$scratch/up")
[ "$(eval "$printed -X -At -c 'select current_user'")" = postgres ] || failed "the printed command does not work: $printed"
[ "${#printed}" -le 150 ] || failed "too long to be pasted: $printed"
sql "create role app login password 'correct horse'; create role guest login; create role group_only password 'correct horse'" >/dev/null
sql "create database shop owner app" >/dev/null
as() { PGPASSWORD=$2 PGCONNECT_TIMEOUT=5 psql "host=127.0.0.1 port=$(proxy_port "$3") user=$1 dbname=${4:-shop} sslmode=verify-full sslrootcert=$dir/tls/ca.crt" -X -w -At -c 'select current_user'; }
for listener in primary standby any pooled; do
    within 5 as app 'correct horse' $listener || failed "app cannot log in on $listener: $(as app 'correct horse' $listener 2>&1)"
    [ "$(as app 'correct horse' $listener)" = app ] || failed "on $listener app is $(as app 'correct horse' $listener)"
    as app 'wrong horse' $listener >/dev/null 2>&1 && failed "a wrong password is taken on $listener"
    as guest '' $listener >/dev/null 2>&1 && failed "a role without a password is let in on $listener"
    as group_only 'correct horse' $listener >/dev/null 2>&1 && failed "a role that may not log in is let in on $listener"
    as nobody 'correct horse' $listener >/dev/null 2>&1 && failed "an unknown role is let in on $listener"
done
PGPASSWORD=x psql "host=127.0.0.1 port=$(proxy_port primary) user=app dbname=shop sslmode=disable" -X -w -c 'select 1' >/dev/null 2>&1 &&
    failed "it takes connections without TLS"

step "prepared statements on the pooled port"
export PGSERVICEFILE=$dir/pg_service.conf
pgbench -q -i -s 1 service=demo >"$scratch/said" 2>&1 || failed "pgbench -i"
# More clients than servers: only with single statements, as pgbench waits for one client's PREPARE while others hold transactions.
for load in "-S -c 40" "-c 10"; do
    # shellcheck disable=SC2086  # several words
    timeout 60 pgbench -M prepared -n $load -j 2 -t 40 service=demo-proxy-pooled >"$scratch/said" 2>&1 || failed "pgbench -M prepared $load"
    grep -q "number of transactions actually processed: \([0-9]*\)/\1\b" "$scratch/said" || failed "pgbench $load lost transactions"
done
python=$(for each in python3 /usr/bin/python3; do "$each" -c 'import psycopg, psycopg2' 2>/dev/null && echo "$each" && break; done || true)
if [ -n "$python" ]; then
    # Others hold the server on which `one` has prepared, so `one` is given another.
    timeout 60 "$python" - <<'PYTHON' >"$scratch/said" 2>&1 || failed "psycopg on the pooled port"
import psycopg, psycopg2
where = "service=demo-proxy-pooled"
one = psycopg.connect(where, autocommit=True)
question = "select %s::int + 1, pg_backend_pid()"
value, server = one.execute(question, (1,), prepare=True).fetchone()
assert value == 2
others, held = [], set()
while server not in held:
    assert len(others) < 25, "the pool has 25 servers, and none of them is the first one"
    others.append(psycopg.connect(where))
    held.add(others[-1].execute("select pg_backend_pid()").fetchone()[0])
value, another = one.execute(question, (2,), prepare=True).fetchone()
assert value == 3 and another not in held
for other in others: other.rollback()
old = psycopg2.connect(where)
cursor = old.cursor()
cursor.execute("select %s::int * 2", (21,))
assert cursor.fetchone() == (42,)
PYTHON
else
    echo "   without psycopg: there is none here"
fi

step "writers and reconnecting clients, while the primary moves and dies"
start_routed_clients
# recovered WHAT: the cluster is whole, every writer writes, and nothing acknowledged is lost.
recovered() {
    local writer
    within 60 is_healthy || failed "$1: not one leader and two streaming replicas: $(members)"
    for writer in 0 1 2 3; do
        local before
        before=$(grep -c "^$writer " "$scratch/acknowledged" || true)
        wrote_on() { [ "$(grep -c "^$writer " "$scratch/acknowledged" || true)" -gt "$before" ]; }
        within 20 wrote_on || failed "$1: client $writer does not write again; $(tail -3 "$scratch/acknowledged")"
    done
    [ -z "$(lost_routed_rows)" ] || failed "$1: acknowledged rows are lost: $(lost_routed_rows | wc -l), $(lost_routed_rows | head -5 | tr '\n' ' ')"
    [ "$(through primary "select current_setting('port')::int")" = "$(port_of "$(leader)")" ] || failed "$1: primary does not lead to the leader"
}
recovered "the beginning"

step "a switchover"
to=$(a_standby)
"$pgkeel" switchover --candidate "$to" --force --dir "$dir" >"$scratch/said" 2>&1 || failed "the switchover failed"
recovered "switchover"
leads "$to" || failed "$to does not lead after the switchover"

step "the postmaster is killed"
kill -9 "$(postmaster_pid "$(leader)")"
sleep 1
recovered "killed postmaster"

step "the agent is killed, and started again"
kill -9 "$(agent_pid "$(leader)")"
start_cluster
recovered "killed agent"

step "the primary is lost with its agent"
# Then nothing may be lost: a commit waits for a standby, which the election prefers to the others.
"$pgkeel" edit-config --pg synchronous_standby_names="'ANY 1 (*)'" --force --dir "$dir" >"$scratch/said" 2>&1 || failed "edit-config"
is_synchronous() { [ "$(sql 'show synchronous_standby_names')" = "ANY 1 (*)" ]; }
within 10 is_synchronous || failed "synchronous_standby_names is $(sql 'show synchronous_standby_names')"
sleep 1
lost=$(leader)
kill -9 "$(agent_pid "$lost")" "$(postmaster_pid "$lost")"
within 30 another_leads "$lost" || failed "nobody took over from $lost"
start_cluster
recovered "lost node"

step "a standby is lost: readers go to the other one at once"
lost=$(a_standby)
kill -9 "$(agent_pid "$lost")" "$(postmaster_pid "$lost")"
# Well before the lost one's key is gone from etcd.
begin=$SECONDS
for _ in 1 2 3; do
    for port in $(servers_behind standby 3); do
        [ "$port" != "$(port_of "$lost")" ] || failed "standby leads to $lost, which is gone"
    done
done
[ $((SECONDS - begin)) -lt 5 ] || failed "readers waited for the lost standby"
start_cluster
recovered "lost standby"

step "etcd is gone: the proxy goes on with what it knows"
# Paused, so that the primary does not stop with its lease: only then is there something to go on with.
"$pgkeel" pause --wait --dir "$dir" >"$scratch/said" 2>&1 || failed "pause"
leader_port=$(port_of "$(leader)")
for member in etcd-1 etcd-2 etcd-3; do halted+=("$(agent_pid "$member")"); done
kill -STOP "${halted[@]}"
sleep 8
for listener in primary pooled; do
    [ "$(through $listener "select current_setting('port')::int")" = "$leader_port" ] || failed "without etcd $listener leads elsewhere"
done
[ "$(through standby 'select pg_is_in_recovery()')" = t ] || failed "without etcd standby leads to no standby"
seen=$(acknowledged)
within 5 writes_went_on "$seen" || failed "without etcd nothing is written"
go_on
within 20 members || failed "etcd does not answer again"
"$pgkeel" resume --wait --dir "$dir" >"$scratch/said" 2>&1 || failed "resume"  # the agents' keys went with their leases
recovered "etcd gone for 8 s"

step "what the clients have seen"
kill "$clients"
wait "$clients" || true
grep -v running "$scratch/clients.log" | sed 's/^/   /'
if grep -q "WRONG SERVER\|NOT SERVED\|Traceback" "$scratch/clients.log"; then failed "the clients: $(cat "$scratch/clients.log")"; fi
[ "$(grep -c "clients were served" "$scratch/clients.log")" -ge 2 ] || failed "the primary has not moved twice: this tested nothing"
slowest=$(sed -n 's/.*clients were served .* to \(-\?[0-9]*\) ms.*/\1/p' "$scratch/clients.log" | sort -n | tail -1)
[ "$slowest" -lt 1000 ] || failed "a client was served only $slowest ms after a promotion"
# Who comes while there is no primary waits for one.
if grep -q "server login has been failing" "$dir/proxy/proxy.log"; then
    failed "clients were refused: $(grep "server login has been failing" "$dir/proxy/proxy.log" | tail -2)"
fi
# Who wrote each timeline is who the cluster's history says.
"$pgkeel" history --dir "$dir" -f json >"$scratch/history"
while IFS="|" read -r timeline port; do
    named=$(jq -r --argjson tl "$timeline" '.[] | select(.TL == $tl - 1)["New Leader"] // empty' "$scratch/history")
    [ -z "$named" ] || [ "$(port_of "$named")" = "$port" ] || failed "timeline $timeline is $named's, and port $port wrote it"
done < <(sql 'select distinct timeline, port from routed')
[ "$(acknowledged)" -gt 1000 ] || failed "only $(acknowledged) rows were written: this tested nothing"
echo "all good"
