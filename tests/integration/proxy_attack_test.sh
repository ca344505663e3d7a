#!/usr/bin/env bash
# The proxy among strangers, liars and accidents (proxy_attacks.py), and with a PostgreSQL that is killed under load: it lives, serves
# the others meanwhile, and gives back what it took.
# usage: proxy_attack_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/integration/proxy_lib.sh
. "$here/proxy_lib.sh"
python=/usr/bin/python3

make_postgres
direct postgres "create role app login password 'secret-of-app'"
direct postgres 'create database app owner app'
printf '"app" "secret-of-app"\n"admin" "secret-of-admin"\n' >"$scratch/users"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/server.key" -out "$scratch/server.crt" -subj /CN=localhost -days 2 2>/dev/null
chmod 600 "$scratch/users" "$scratch/server.key"
own "$scratch/users" "$scratch/server.key"
fake_port=$(free_port)
proxy attacked <<INI
[databases]
app = host=127.0.0.1 port=$pg_port pool_mode=transaction pool_size=30
* = host=127.0.0.1 port=$fake_port pool_mode=session
[pgbouncer]
auth_type = scram-sha-256
auth_file = $scratch/users
client_tls_sslmode = allow
client_tls_key_file = $scratch/server.key
client_tls_cert_file = $scratch/server.crt
client_login_timeout = 3
server_connect_timeout = 3
server_login_retry = 1
query_wait_timeout = 6
max_client_conn = 100
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
threads = 2
INI
step "attacks"
timeout 120 $python "$here/proxy_attacks.py" "$port" "$proxy_pid" "$fake_port" || problem "attacks: status $?"

step "PostgreSQL is killed under load"
PGPASSWORD=secret-of-app expect "pgbench -i" "$bin_dir/pgbench" -i -q -h 127.0.0.1 -p "$port" -U app app
load() { trap - ERR; PGPASSWORD=secret-of-app timeout 40 "$bin_dir/pgbench" -n -h 127.0.0.1 -p "$port" -U app -c 20 -j 4 -M extended -T 4 app >"$scratch/load" 2>&1; }
serves() { [ "$(through app 'select 1' 2>/dev/null)" = 1 ]; }
load &
load_pid=$!
sleep 1
direct postgres "select pid from pg_stat_activity where datname = 'app' and query <> '' limit 1" >"$scratch/backend"
kill -9 "$(cat "$scratch/backend")" # one backend: PostgreSQL restarts all of them
within 15 serves || problem "no service after a backend was killed: $(through app 'select 1' 2>&1)"
wait $load_pid || true
load &
load_pid=$!
sleep 1
mapfile -t children < <(pgrep -P "$pg_pid")
kill -9 "$pg_pid" # and the postmaster
sleep 1
if PGCONNECT_TIMEOUT=20 through app 'select 1' >"$scratch/said" 2>&1; then problem "an answer without PostgreSQL"; fi
wait $load_pid || true
# Its children notice by themselves that it is gone; until then the memory is in use.
for child in "${children[@]}"; do within 15 is_gone "$child" || problem "a child of the killed postmaster stays"; done
rm -f "$scratch/data/postmaster.pid"
start_postgres
within 20 serves || problem "no service after the postmaster was killed: $(through app 'select 1' 2>&1)"
expect "pgbench after all" env PGPASSWORD=secret-of-app timeout 40 "$bin_dir/pgbench" -n -h 127.0.0.1 -p "$port" -U app -c 10 -j 2 -t 20 app
[ "$(direct app "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
    and (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history)")" = t ] || problem "half a transaction is there"

step "afterwards"
lives "$proxy_pid" || problem "the proxy is gone"
[ "$(column lists items '^used_clients')" -le 1 ] || problem "clients are left: $(console 'show clients')"
if grep -nE 'secret-of|Assertion|terminate called' "$scratch/attacked.log"; then problem "the proxy's log"; fi
end "$proxy_pid" INT
finish
