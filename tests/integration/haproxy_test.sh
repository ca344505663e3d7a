#!/usr/bin/env bash
# A HAProxy as Patroni's documentation sets it up routes by our REST API, over TLS.
# usage: haproxy_test.sh PGKEEL
pgkeel=$1
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

read -r primary_port replica_port stats_port < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(3)]
for one in sockets: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))')

write_haproxy_file() {
    local tls="check-ssl verify required ca-file $dir/tls/ca.crt crt $scratch/client.pem"
    cat "$dir/tls/client.crt" "$dir/tls/client.key" >"$scratch/client.pem"
    cat <<END
global
    maxconn 100
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 2s
listen stats
    mode http
    bind 127.0.0.1:$stats_port
    stats enable
    stats uri /
listen primary
    bind 127.0.0.1:$primary_port
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
$(servers)
listen replicas
    bind 127.0.0.1:$replica_port
    balance roundrobin
    option httpchk OPTIONS /replica
    http-check expect status 200
    default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
$(servers)
END
}
servers() {
    jq -r --arg tls "$tls" '.nodes[] | "    server \(.name) 127.0.0.1:\(.postgres_port) maxconn 50 check port \(.rest_port) \($tls)"' "$dir/cluster.json"
}

# "pg-a pg-b": the members that HAProxy takes for up behind a port, in the order of their names.
up_behind() {
    curl -sf "http://127.0.0.1:$stats_port/;csv" | awk -F, -v port="$1" '$1 == port && $2 ~ /^pg-/ && $18 ~ /^UP/ {print $2}' | sort | xargs
}
routes() { [ "$(up_behind primary)" = "$1" ] && [ "$(up_behind replicas)" = "$(standbys | sort | xargs)" ]; }
# One connection through a port: who answers, and whether it is a standby.
through() {
    PGSERVICEFILE=$dir/pg_service.conf PGCONNECT_TIMEOUT=5 psql "service=demo host=127.0.0.1 port=$1 target_session_attrs=any" -X -At -q -c \
        "select regexp_replace(current_setting('data_directory'), '^.*/(pg-.)/data$', '\1'), pg_is_in_recovery()"
}
expect_routes() {
    local lead
    lead=$(leader)
    within 15 routes "$lead" || failed "$1: primary port: $(up_behind primary), replica port: $(up_behind replicas), leader: $lead"
    [ "$(through "$primary_port")" = "$lead|f" ] || failed "$1: the primary port leads to $(through "$primary_port"), not to $lead"
    for _ in {1..8}; do through "$replica_port"; done | sort -u | xargs >"$scratch/said"
    [ "$(cat "$scratch/said")" = "$(standbys | sort | sed 's/$/|t/' | xargs)" ] || failed "$1: the replica port leads to $(cat "$scratch/said")"
}

start_cluster
PGPASSWORD=$(jq -r .passwords.superuser "$dir/cluster.json")  # the password file knows the servers' ports alone
export PGPASSWORD
step "routes"
write_haproxy_file >"$scratch/haproxy.cfg"
haproxy -c -q -f "$scratch/haproxy.cfg" >"$scratch/said" 2>&1 || failed "haproxy does not take its file"
haproxy -db -f "$scratch/haproxy.cfg" >"$scratch/haproxy.log" 2>&1 &
started+=($!)
expect_routes "at first"
start_writing "service=demo host=127.0.0.1 port=$primary_port target_session_attrs=any"
expect_healthy "start"

step "a switchover"
first=$(leader)
"$pgkeel" switchover --force --dir "$dir" >"$scratch/said" 2>&1
! leads "$first" || failed "$first still leads"
expect_healthy "a switchover"
expect_routes "after a switchover"

step "and back"
"$pgkeel" switchover --force --candidate "$first" --dir "$dir" >"$scratch/said" 2>&1
leads "$first" || failed "$first does not lead"
expect_healthy "a switchover back"
expect_routes "after a switchover back"

step "a standby that is shut down gets no clients"
member=$(a_standby)
"$pgkeel" pause --wait --dir "$dir" >"$scratch/said" 2>&1
kill -INT "$(postmaster_pid "$member")"
left_out() { [ "$(up_behind replicas)" = "$(standbys | sort | grep -v "$member")" ]; }
within 15 left_out || failed "$member is behind the replica port without PostgreSQL"
for _ in {1..4}; do through "$replica_port"; done | sort -u >"$scratch/said"
[ "$(cat "$scratch/said")" = "$(standbys | grep -v "$member")|t" ] || failed "the replica port leads to $(cat "$scratch/said")"
"$pgkeel" resume --wait --dir "$dir" >"$scratch/said" 2>&1
expect_healthy "a standby without PostgreSQL"

step "the primary is killed"
# Without synchronous replication a crash may lose what no standby had yet.
stop_writing
within 10 standbys_have_all || failed "the standbys do not catch up"
first=$(leader)
kill -9 "$(agent_pid "$first")" "$(postmaster_pid "$first")"
has_new_leader() {
    local lead
    lead=$(leader)
    [ -n "$lead" ] && [ "$lead" != "$first" ] && [ "$(up_behind primary)" = "$lead" ]
}
within 30 has_new_leader || failed "the primary port leads to $(up_behind primary)"
[ -z "$(lost_rows)" ] || failed "acknowledged rows are lost"
start_writing "service=demo host=127.0.0.1 port=$primary_port target_session_attrs=any"
start_cluster
expect_healthy "a crash"
expect_routes "after a crash"

echo "all good: $(acknowledged) rows in $SECONDS s"
