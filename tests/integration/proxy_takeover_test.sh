#!/usr/bin/env bash
# Online restarts of the proxy under load: nobody who is connected, or connects, sees any of them. Then processes that die in the middle
# of one, or cannot take over. Real PostgreSQL.
# usage: proxy_takeover_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/proxy_lib.sh
. "$(dirname "$(readlink -f "$0")")/proxy_lib.sh"

here=$(dirname "$(readlink -f "$0")")
make_postgres
psql "host=$scratch port=$pg_port user=postgres dbname=postgres" -Xq -v ON_ERROR_STOP=1 <<'SQL'
set password_encryption = 'scram-sha-256';
create role app login password 'secret-of-app';
create role verified login password 'secret-of-verified';
create database app owner app;
SQL
# SCRAM from the client to PostgreSQL: what the proxy has is the verifier alone, so its keys have to come along.
sed -i 's/md5/scram-sha-256/' "$scratch/data/pg_hba.conf"
direct postgres 'select pg_reload_conf()' >/dev/null
verifier=$(direct postgres "select rolpassword from pg_authid where rolname = 'verified'")
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/server.key" -out "$scratch/server.crt" -subj /CN=localhost -days 2 2>/dev/null
cat >"$scratch/users" <<USERS
"app" "secret-of-app"
"admin" "secret-of-admin"
"verified" "$verifier"
USERS
chmod 600 "$scratch/users" "$scratch/server.key"
own "$scratch/users" "$scratch/server.key"

config() { # THREADS
    cat <<INI
[databases]
app = host=127.0.0.1 port=$pg_port pool_mode=transaction pool_size=5
session = host=127.0.0.1 port=$pg_port dbname=app pool_mode=session pool_size=40
[pgbouncer]
auth_file = $scratch/users
auth_type = scram-sha-256
client_tls_sslmode = allow
client_tls_key_file = $scratch/server.key
client_tls_cert_file = $scratch/server.crt
pidfile = $scratch/proxy.pid
max_client_conn = 300
threads = $1
INI
}
# start_next [OPTIONS]: another process of the same configuration takes over; $proxy_pid is its own, $old_pid the one before.
start_next() {
    old_pid=$proxy_pid
    become "$pgkeel" proxy -R "$@" "$scratch/takeover.ini" >>"$scratch/takeover.log" 2>&1 &
    proxy_pid=$!
    pids+=("$proxy_pid")
}
has_the_pidfile() { [ "$(cat "$scratch/proxy.pid" 2>/dev/null)" = "$1" ]; }
reaps_to_nothing() { ! lives "$1" || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
clients() { /usr/bin/python3 "$here/takeover_clients.py" "$port" "$scratch" "$@"; }
set_threads() { sed -i "s/^threads = .*/threads = $1/" "$scratch/takeover.ini"; }
pgbench() { # DATABASE ARGUMENTS
    local database=$1
    shift
    PGSSLMODE=disable PGPASSWORD=secret-of-app timeout 120 "$bin_dir/pgbench" -n -h 127.0.0.1 -p "$port" -U app "$@" "$database"
}

proxy takeover < <(config 1)
expect "pgbench -i" env PGSSLMODE=disable PGPASSWORD=secret-of-app "$bin_dir/pgbench" -i -q -h 127.0.0.1 -p "$port" -U app session

step "four takeovers under load: 50 idle clients, 8 busy ones, 4 in session mode, and somebody who always connects anew"
clients idle 50 >"$scratch/idle.out" 2>&1 &
idle=$!
pgbench app -M prepared -c 8 -j 8 -T 25 >"$scratch/busy.out" 2>&1 &
busy=$!
pgbench session -M prepared -c 4 -j 4 -T 25 >"$scratch/session.out" 2>&1 &
session=$!
echo 'select 1;' >"$scratch/one.sql"
pgbench app -C -f "$scratch/one.sql" -c 2 -j 2 -T 25 >"$scratch/connect.out" 2>&1 &
connects=$!
within 20 test -e "$scratch/idle.ready" || problem "the idle clients: $(cat "$scratch/idle.out")"
for threads in 2 3 1 2; do
    set_threads $threads
    start_next
    within 15 has_the_pidfile "$proxy_pid" || problem "takeover with $threads threads: $(tail -5 "$scratch/takeover.log")"
    within 15 reaps_to_nothing "$old_pid" || problem "process $old_pid is still there: $(tail -5 "$scratch/takeover.log")"
    touch "$scratch/idle.ask"
    within 20 test ! -e "$scratch/idle.ask" || problem "idle clients after a takeover: $(cat "$scratch/idle.out")"
done
wait $busy || problem "8 busy clients: $(tail -5 "$scratch/busy.out")"
wait $session || problem "clients in session mode: $(tail -5 "$scratch/session.out")"
wait $connects || problem "who connects anew: $(tail -5 "$scratch/connect.out")"
touch "$scratch/idle.end"
wait $idle || problem "50 idle clients: $(tail -5 "$scratch/idle.out")"
for who in busy session connect; do
    grep -q "number of failed transactions: 0" "$scratch/$who.out" || problem "$who: $(cat "$scratch/$who.out")"
    ! grep -qi "error\|abort\|fatal" "$scratch/$who.out" || problem "$who: $(cat "$scratch/$who.out")"
done
[ "$(direct app "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)")" = t ] || problem "the balances of pgbench do not add up"

# meanwhile NAME: clients that are there before a takeover, and go on after it.
meanwhile() {
    clients "$1" >"$scratch/$1.out" 2>&1 &
    meanwhile=$!
    within 15 test -e "$scratch/$1.ready" || problem "$1: $(cat "$scratch/$1.out")"
    start_next
    within 15 has_the_pidfile "$proxy_pid" || problem "takeover, $1: $(tail -5 "$scratch/takeover.log")"
}
afterwards() {
    touch "$scratch/$1.go"
    wait $meanwhile || problem "$1: $(cat "$scratch/$1.out")"
    within 10 reaps_to_nothing "$old_pid" || problem "the old process is still there ($1)"
}
step "a user whose password nobody knows here: the keys of the login come along"
meanwhile verified
afterwards verified

step "a query that runs is not disturbed, and can be cancelled at the new process; so can the next one"
meanwhile cancel
afterwards cancel

step "a client in TLS and one in a transaction stay until they can go; then the old process ends"
meanwhile staying
sleep 1
lives "$old_pid" || problem "the old process has left its clients"
afterwards staying
[ "$(through app 'select 42')" = 42 ] || problem "the new process"

step "the new process is killed before it is ready, and in the middle: the old one serves on"
for moment in hello version garbled listeners garbled_at_the_end ready pending; do
    expect "killed at $moment" clients "killed_at_$moment"
    lives "$proxy_pid" || problem "the old process has ended ($moment)"
    [ "$(through app 'select 43')" = 43 ] || problem "the old process does not serve ($moment)"
    within 10 has_the_pidfile "$proxy_pid" || problem "the pidfile does not name the old process ($moment)"
done

step "the old process is killed when the new one has just begun"
rm -f "$scratch/idle.ready" "$scratch/idle.end"
clients idle 50 >"$scratch/idle.out" 2>&1 &
idle=$!
within 20 test -e "$scratch/idle.ready" || problem "the idle clients: $(cat "$scratch/idle.out")"
start_next
within 15 has_the_pidfile "$proxy_pid"
kill -9 "$old_pid" 2>/dev/null || true
touch "$scratch/idle.ask"
within 20 test ! -e "$scratch/idle.ask" || problem "idle clients after the old process was killed: $(cat "$scratch/idle.out")"
touch "$scratch/idle.end"
wait $idle || problem "idle clients: $(tail -5 "$scratch/idle.out")"

step "who cannot take over says why, and changes nothing"
cp "$scratch/takeover.ini" "$scratch/good.ini"
echo "auth_hba_file = /nowhere" >>"$scratch/takeover.ini"
sed -i 's/^auth_type = .*/auth_type = hba/' "$scratch/takeover.ini"
serving=$proxy_pid
start_next -q
wait "$proxy_pid" && problem "a configuration that is wrong was taken"
proxy_pid=$serving
cp "$scratch/good.ini" "$scratch/takeover.ini"
[ "$(through app 'select 44')" = 44 ] || problem "after a takeover that was refused"
kill -STOP "$proxy_pid"
start_next -q
status=0
wait "$proxy_pid" || status=$?
kill -CONT "$serving"
[ $status = 1 ] || problem "a process that does not answer: exit status $status"
grep -q "cannot take over from the process at $scratch/.s.PGKEEL.$port, which serves on: no answer in time" "$scratch/takeover.log" ||
    problem "what it says: $(tail -3 "$scratch/takeover.log")"
proxy_pid=$serving
[ "$(through app 'select 45')" = 45 ] || problem "after a takeover that timed out"

step "in the background, by another program's hand: -d, and nobody to take over from"
sed -i "s|^threads|logfile = $scratch/daemon.log\nthreads|" "$scratch/takeover.ini"
old_pid=$proxy_pid
expect "proxy -R -d" as_user "$pgkeel" proxy -R -d "$scratch/takeover.ini"
proxy_pid=$(cat "$scratch/proxy.pid")
pids+=("$proxy_pid")
[ "$proxy_pid" != "$old_pid" ] || problem "the pidfile names the old process"
within 10 reaps_to_nothing "$old_pid" || problem "the old process is still there"
[ "$(through app 'select 46')" = 46 ] || problem "after proxy -R -d"
kill -TERM "$proxy_pid"
within 10 is_gone "$proxy_pid" || problem "SIGTERM"
[ ! -e "$scratch/proxy.pid" ] || problem "the pidfile stays"
start_next
within 10 has_the_pidfile "$proxy_pid" || problem "-R with nobody there: $(tail -5 "$scratch/takeover.log")"
[ "$(through app 'select 47')" = 47 ] || problem "-R with nobody there"
end "$proxy_pid"

step "with so_reuseport, and a listener that only one process has"
cat >>"$scratch/takeover.ini" <<INI
so_reuseport = 1
metrics_listen = 127.0.0.1:$(free_port)
INI
become "$pgkeel" proxy "$scratch/takeover.ini" >>"$scratch/takeover.log" 2>&1 &
proxy_pid=$!
pids+=("$proxy_pid")
within 10 answers || problem "so_reuseport: $(tail -5 "$scratch/takeover.log")"
metrics=$(sed -n 's/^metrics_listen = //p' "$scratch/takeover.ini")
within 10 curl -sf "http://$metrics/metrics" || problem "no metrics"
start_next
within 10 has_the_pidfile "$proxy_pid" || problem "so_reuseport: $(tail -5 "$scratch/takeover.log")"
within 10 reaps_to_nothing "$old_pid" || problem "the old process is still there"
within 10 curl -sf "http://$metrics/metrics" || problem "no metrics of the new process"
[ "$(through app 'select 48')" = 48 ] || problem "so_reuseport"
end "$proxy_pid"
finish
