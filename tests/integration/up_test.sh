#!/usr/bin/env bash
# `pgkeel up` as a person uses it: a cluster, a write, a killed primary, a stop, a start. Real etcd and PostgreSQL.
# usage: up_test.sh PGKEEL [AGENT PROGRAM]
pgkeel=$1
agent=${2:+--agent-program=$2}
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2120  # `refused` passes some
up() { "$pgkeel" up -d --dir "$dir" --not-current ${agent:+"$agent"} "$@"; }
streaming() { sql "select count(*) from pg_stat_replication where state = 'streaming'"; }
two_stream() { [ "$(streaming)" = 2 ]; }

step "a new cluster"
up >"$scratch/out" || failed "up did not succeed"
within 10 two_stream || failed "expected 2 streaming standbys, got $(streaming)"
[ "$(sql 'show data_checksums')" = on ] || failed "data checksums are off"
[ "$(sql 'select ssl from pg_stat_ssl where pid = pg_backend_pid()')" = t ] || failed "the connection is not encrypted"
sql 'create table t (x int); insert into t select generate_series(1, 1000)' >/dev/null

step "the printed commands work as they are"
mapfile -t commands < <(sed -n 's/^  \(.*psql .*\)$/\1/p' "$scratch/out")
[ "${#commands[@]}" = 3 ] || failed "expected three commands to connect, got ${#commands[@]}"
for command in "${commands[@]}"; do
    [ "$(eval "$command -X -At -c 'select count(*) from t'")" = 1000 ] || failed "this does not work: $command"
done

step "no secret in any argument, and none that others can read"
password=$(jq -r .passwords.superuser "$dir/cluster.json")
if ps -eo args | grep -v grep | grep -q "$password"; then failed "a password is in a process's arguments"; fi
[ -z "$(find "$dir" -maxdepth 2 -type f -perm /077 ! -name '*.crt' ! -path '*/data/*' -exec grep -l "$password" {} +)" ] || failed "others can read a password"

step "the proxy: what list, dsn and psql say of it"
port() { jq -r --arg listener "$1" '.proxy[$listener]' "$dir/cluster.json"; }
"$pgkeel" list --dir "$dir" >"$scratch/list"
grep -q "proxy: primary $(port primary), standby $(port standby), any $(port any), pooled $(port pooled) on 127.0.0.1" "$scratch/list" ||
    failed "list does not name the proxy's ports: $(cat "$scratch/list")"
[ "$(members | jq length)" = 3 ] || failed "list -f json counts the proxy as a member"
[ "$("$pgkeel" dsn --proxy pooled --dir "$dir")" = "host=127.0.0.1 port=$(port pooled)" ] || failed "dsn --proxy: $("$pgkeel" dsn --proxy pooled --dir "$dir")"
[ "$("$pgkeel" dsn --proxy --dir "$dir")" = "host=127.0.0.1 port=$(port primary)" ] || failed "dsn --proxy without a name"
for listener in primary standby any pooled; do
    asked=$("$pgkeel" psql --proxy $listener --dir "$dir" -- -X -At -c 'select count(*) from t') || failed "psql --proxy $listener"
    [ "$asked" = 1000 ] || failed "psql --proxy $listener found $asked rows"
done
[ "$(stat -c %a "$dir/proxy/proxy.yml" "$dir/proxy/userlist.txt" | sort -u)" = 600 ] || failed "others may read the proxy's files"
"$pgkeel" config check "$dir/proxy/proxy.yml" >"$scratch/said" 2>&1 || failed "the proxy's file is not right"

step "up again changes nothing"
before=$(cat "$dir"/*/pid)
up >"$scratch/again" 2>&1 || failed "a second up failed: $(cat "$scratch/again")"
grep -q "running already: etcd-1, etcd-2, etcd-3, pg-a, pg-b, pg-c, proxy$" "$scratch/again" || failed "it does not say what runs"
[ "$before" = "$(cat "$dir"/*/pid)" ] || failed "a second up started something again"

step "a proxy that dies is missed, and started again"
kill -9 "$(agent_pid proxy)"
is_missed() { "$pgkeel" list --dir "$dir" | grep -q "proxy: not running"; }
within 5 is_missed || failed "list does not miss the proxy: $("$pgkeel" list --dir "$dir")"
before=$(port primary)
up >"$scratch/again" 2>&1 || failed "up without a proxy failed: $(cat "$scratch/again")"
grep -q "started: proxy$" "$scratch/again" || failed "it does not say that it started the proxy: $(cat "$scratch/again")"
[ "$before" = "$(port primary)" ] || failed "the proxy has moved"
sql_on demo-proxy 'select 1' >/dev/null || failed "the new proxy does not serve"
"$pgkeel" logs proxy --dir "$dir" | grep -q "route primary: $(primary)" || failed "logs proxy does not tell of its routes"

step "the primary and one of etcd are killed"
old=$(primary)
kill -9 "$(agent_pid "$old")" "$(postmaster_pid "$old")" "$(agent_pid etcd-2)"
within 40 sql "insert into t values (0)" || failed "no writes 40 s after the primary $old was killed"
[ "$(primary)" != "$old" ] || failed "$old is still the primary"
[ "$(sql 'select count(*) from t')" -ge 1001 ] || failed "rows are missing"

step "up starts what is missing, and it joins again"
up >/dev/null || failed "up after a crash failed"
within 60 two_stream || failed "$old did not come back as a standby"

step "an agent is killed: down finds its PostgreSQL"
kill -9 "$(agent_pid pg-a)"
"$pgkeel" down --dir "$dir" || failed "down failed"
# The guardian of that agent stays on duty until the lease's deadline.
nothing_is_left() { ! pgrep -f "$dir"; }
within 6 nothing_is_left || failed "left running: $(pgrep -af "$dir")"

step "a cluster that was made before there was a proxy gets one"
jq 'del(.proxy)' "$dir/cluster.json" >"$scratch/old"
cat "$scratch/old" >"$dir/cluster.json"
rm -r "$dir/proxy"

step "down and up keep the data"
up >/dev/null || failed "up after down failed"
[ "$(sql 'select count(*) from t')" -ge 1001 ] || failed "rows are missing after down and up"
[ "$(sql_on demo-proxy-pooled 'select count(*) from t')" -ge 1001 ] || failed "the old cluster's proxy does not serve"

step "one node alone has a proxy, too"
"$pgkeel" up -d -n 1 --dir "$scratch/one" --scope one --not-current ${agent:+"$agent"} >"$scratch/said" 2>&1 || failed "up -n 1 failed"
for service in one-proxy one-proxy-standby one-proxy-any one-proxy-pooled; do
    [ "$(PGSERVICEFILE=$scratch/one/pg_service.conf timeout 20 psql service=$service -X -At -c 'select pg_is_in_recovery()')" = f ] || failed "$service does not serve"
done
"$pgkeel" down --purge --force --dir "$scratch/one" 2>"$scratch/said" || failed "down of the one node failed"
grep -q "the proxy has stopped" "$scratch/said" || failed "down does not speak of the proxy"

step "in the foreground, an interrupt stops everything"
"$pgkeel" down --dir "$dir" 2>/dev/null
"$pgkeel" up --dir "$dir" --not-current ${agent:+"$agent"} >"$scratch/front" 2>&1 &
front=$!
within 60 grep -q leader "$scratch/front" || failed "no leader in the foreground: $(cat "$scratch/front")"
within 10 grep -q "proxy: running" "$scratch/front" || failed "it does not speak of the proxy: $(cat "$scratch/front")"
kill -9 "$(agent_pid proxy)"
within 10 grep -q "proxy: not running" "$scratch/front" || failed "it does not miss the proxy: $(cat "$scratch/front")"
kill -INT $front
wait $front || failed "up ended with status $?"
if pgrep -f "$dir/" >/dev/null; then failed "left running: $(pgrep -af "$dir/")"; fi

step "refusals"
refused() {
    local words=$1
    shift
    if "$@" >"$scratch/refused" 2>&1; then failed "should have been refused: $*"; fi
    grep -q -- "$words" "$scratch/refused" || failed "expected '$words' in: $(cat "$scratch/refused")"
}
port=$(jq -r '.nodes[1].postgres_port' "$dir/cluster.json")
python3 -c "
import socket, sys, time
server = socket.socket(); server.bind(('127.0.0.1', $port)); server.listen(); print('listening', flush=True); time.sleep(60)" >"$scratch/listener" &
listener=$!
within 5 grep -q listening "$scratch/listener"
refused "port $port of pg-b (PostgreSQL) is taken by pid $listener" up
kill $listener
wait $listener 2>/dev/null || true
refused "does not shrink" up -n 2
mkdir "$scratch/other" && touch "$scratch/other/file"
[ "$(id -u)" != 0 ] || chown postgres "$scratch/other"
refused "holds no local cluster" "$pgkeel" up --dir "$scratch/other" --not-current
refused "has no node 'pg-x'" "$pgkeel" psql pg-x --dir "$dir"

step "purge asks first, and removes everything"
"$pgkeel" down --purge --dir "$dir" </dev/null 2>/dev/null && failed "purged without an answer"
[ -e "$dir/cluster.json" ] || failed "removed without an answer"
"$pgkeel" down --purge --force --dir "$dir" || failed "purge failed"
[ ! -e "$dir" ] || failed "$dir is still there"
echo "all good"
