#!/usr/bin/env bash
# A standby cluster behind another one: writes arrive, each of the two fails over, it is promoted and demoted again. And a
# permanent logical slot goes on after a failover where its reader was.
# usage: standby_cluster_test.sh PGKEEL
pgkeel=$1
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"
second=$scratch/second  # the other site: two agents on the same etcd

before_cleanup() {
    for file in "$second"/*/data/postmaster.pid; do
        [ ! -e "$file" ] || kill -QUIT "$(head -1 "$file")" 2>/dev/null || true
    done
}

first() { "$pgkeel" "$1" --dir "$dir" "${@:2}" >"$scratch/said" 2>&1; }
other() { "$pgkeel" "$1" -c "$second/pgkeel.yml" "${@:2}" >"$scratch/said" 2>&1; }
shows() { "$pgkeel" list -c "$second/pgkeel.yml" -f json | jq -e "$1" >/dev/null; }
leader_of_second() { "$pgkeel" list -c "$second/pgkeel.yml" -f json | jq -r '.[] | select(.Role | endswith("Leader")).Member'; }
port() { sed -n 's/.*connect_address: 127.0.0.1://p' "$second/$1/agent.yml" | head -1; }  # postgresql comes before restapi
sql_there() { PGSERVICEFILE=$dir/pg_service.conf timeout 10 psql "service=pg-a port=$(port "$1") passfile=$second/pgpass" -X -At -q -v ON_ERROR_STOP=1 -c "$2"; }
is() { [ "$("${@:2}" 2>/dev/null)" = "$1" ]; }

owner() { stat -c %U "$dir/pg-a/agent.yml"; }
start_agent_of_second() {
    local run=(setsid)
    [ "$(id -u)" != 0 ] || [ "$(owner)" = root ] || run=(setsid runuser -u "$(owner)" --)
    "${run[@]}" "$pgkeel" agent "$second/$1/agent.yml" >>"$second/$1/agent.log" 2>&1 &
    started+=($!)
    disown  # it may be killed on purpose
}
kill_node_of_second() {
    pgrep -f "pgkeel agent $second/$1/agent.yml" | xargs -r kill -9
    kill -QUIT "$(head -1 "$second/$1/data/postmaster.pid")"
}

# Their files are pg-a's, with other names, ports and directories. Their keys are below those of the first, because its etcd
# lets the user in nowhere else.
make_second() {
    local name postgres_port rest_port
    mkdir -p "$second"
    sed 's|^scope: .*|scope: second\nnamespace: /service/demo|' "$dir/pgkeel.yml" >"$second/pgkeel.yml"
    for name in two-a two-b; do
        mkdir -p "$second/$name"
        read -r postgres_port rest_port < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
        python3 - "$dir/pg-a/agent.yml" "$second/$name" "$name" "$postgres_port" "$rest_port" "$(ports_of_first)" <<'PY'
import sys, yaml
source, directory, name, postgres, rest, first = sys.argv[1:]
file = yaml.safe_load(open(source))
file['scope'], file['namespace'], file['name'] = 'second', '/service/demo', name
file['restapi']['listen'] = file['restapi']['connect_address'] = '127.0.0.1:' + rest
file['bootstrap']['dcs']['standby_cluster'] = {
    'host': ','.join(['127.0.0.1'] * len(first.split(','))), 'port': first, 'primary_slot_name': 'second_site'}
server = file['postgresql']
server['listen'] = server['connect_address'] = '127.0.0.1:' + postgres
server['data_dir'], server['pgpass'] = directory + '/data', directory + '/pgpass'
server['use_unix_socket'] = False
server['parameters'].update(unix_socket_directories='', log_directory=directory, log_filename='postgresql.log')
yaml.safe_dump(file, open(directory + '/agent.yml', 'w'))
PY
        sed "s/^127.0.0.1:[0-9]*:/127.0.0.1:$postgres_port:/" "$dir/pgpass" | head -1 >>"$second/pgpass"
    done
    chmod 600 "$second/pgpass"
    chown -R "$(owner)" "$second"
    [ "$(id -u)" != 0 ] || chown "$(id -un)" "$second/pgpass"
}
ports_of_first() { jq -r '[.nodes[].postgres_port] | join(",")' "$dir/cluster.json"; }

has_slot() { is "$3" sql_on "$1" "select active or confirmed_flush_lsn is not null or restart_lsn is not null from pg_replication_slots where slot_name = '$2'"; }
slot_of() { sql_on "$1" "select confirmed_flush_lsn from pg_replication_slots where slot_name = 'app'"; }
read_slot() { sql "select substring(data from 'n\[integer\]:(\d+)') from pg_logical_slot_get_changes('app', null, null) where data like 'table%'"; }
insert() { sql "insert into t select generate_series($1, $2)"; }
arrived() { is "$2" sql_there "$1" 'select count(*) from t'; }

step "a cluster with permanent slots, one for the second site, one for a logical reader"
timeout 120 "$pgkeel" up -d -n 2 --dir "$dir" --not-current >"$scratch/up" 2>&1 || failed "up: $(cat "$scratch/up")"
first edit-config -p wal_level=logical --force
first restart --force
sql 'create table t (n int primary key)'
first edit-config --force -s 'slots={second_site: {type: physical}, app: {type: logical, database: postgres, plugin: test_decoding}}'
for name in pg-a pg-b; do
    within 20 has_slot "$name" app t || failed "$name has no slot app"
    within 10 has_slot "$name" second_site t || failed "$name has no slot second_site"
done

step "a second cluster that follows it"
make_second
start_agent_of_second two-a
within 30 shows 'length == 1 and .[0].Role == "Standby Leader" and .[0].State == "running"' || failed "no standby leader: $(tail -5 "$second/two-a/agent.log")"
start_agent_of_second two-b
within 30 shows 'any(.[]; .Role == "Replica" and .State == "streaming")' || failed "no replica of the standby leader"
insert 1 100
for name in two-a two-b; do within 10 arrived "$name" 100 || failed "the rows did not arrive at $name"; done
[ "$(read_slot | wc -l)" = 100 ] || failed "the slot has not shown 100 rows"
status=$(curl -sk -o "$scratch/said" -w '%{http_code}' "https://127.0.0.1:$(sed -n 's/.*listen: 127.0.0.1://p' "$second/two-a/agent.yml" | tail -1)/standby-leader")
[ "$status" = 200 ] || failed "GET /standby-leader says $status"
jq -e '.role == "standby_leader"' "$scratch/said" >/dev/null || failed "no standby leader in its own words"

step "a failover of the first: the slots go on, and the second follows the new primary"
insert 101 200
old=$(leader) new=$(a_standby)
within 10 is "$(slot_of "$old")" slot_of "$new" || failed "the copy of the slot is at $(slot_of "$new"), the original at $(slot_of "$old")"
kill -STOP "$(agent_pid "$old")"  # its machine is gone
kill -QUIT "$(postmaster_pid "$old")"
within 20 leads "$new" || failed "no failover to $new"
within 10 sql 'select 1'
[ "$(read_slot | tr '\n' ' ')" = "$(seq -s ' ' 101 200) " ] || failed "the slot has a gap or repeats something"
insert 201 210
for name in two-a two-b; do within 20 arrived "$name" 210 || failed "the rows of the new primary did not arrive at $name"; done
kill -CONT "$(agent_pid "$old")"
within 30 has_slot "$old" app t || failed "$old has no slot app after it came back"

step "a failover of the second: nobody is promoted"
kill_node_of_second two-a
within 20 shows 'any(.[]; .Role == "Standby Leader" and .Member == "two-b" and .State == "running")' || failed "two-b does not lead"
is t sql_there two-b 'select pg_is_in_recovery()' || failed "two-b was promoted"
insert 211 220
within 20 arrived two-b 220 || failed "the rows did not arrive at two-b"
start_agent_of_second two-a
within 20 shows 'any(.[]; .Role == "Replica" and .Member == "two-a" and .State == "streaming")' || failed "two-a did not come back"

step "it is promoted"
other promote-cluster --force
grep -q 'cluster second is promoted' "$scratch/said"
sql_there two-b 'insert into t values (1000)'
within 10 arrived two-a 221 || failed "the promoted cluster does not replicate"

step "and follows the first again: what it wrote meanwhile is undone"
insert 221 230
other demote-cluster --force --host 127.0.0.1,127.0.0.1 --port "$(ports_of_first)" --primary-slot-name second_site ||
    failed "demote-cluster: $(cat "$scratch/said")"
for name in two-b two-a; do within 30 arrived "$name" 230 || failed "$name does not follow"; done
is 0 sql_there two-b 'select count(*) from t where n = 1000' || failed "two-b was not rewound"
step "done"
