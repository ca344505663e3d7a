#!/usr/bin/env bash
# The proxy with a pgbouncer.ini in front of one PostgreSQL: what people do with it by hand and by script, every way to log in, the admin
# console, one thread and four. Real PostgreSQL, and its own tools.
# usage: proxy_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/proxy_lib.sh
. "$(dirname "$(readlink -f "$0")")/proxy_lib.sh"

# ---- the server, its users, keys and certificates
make_postgres
psql "host=$scratch port=$pg_port user=postgres dbname=postgres" -Xq -v ON_ERROR_STOP=1 <<'SQL'
set password_encryption = 'scram-sha-256';
create role app login password 'secret-of-app';
create role replicator login replication password 'secret-of-replicator';
create role asker login password 'secret-of-asker';
create role scrammer login password 'secret-of-scrammer';
create role expired login password 'secret-of-expired' valid until '2020-01-01';
create role cert_user login password 'secret-of-cert';
set password_encryption = 'md5';
create role hashed login password 'secret-of-hashed';
create database app owner app;
create database copy owner app;
grant pg_read_all_data to asker;
SQL
direct app "create function find_secret(text, out name text, out secret text) language sql security definer set search_path = pg_catalog
    as 'select usename::text, case when valuntil < now() then null else passwd end from pg_shadow where usename = \$1'"
md5=$(direct postgres "select rolpassword from pg_authid where rolname = 'hashed'")
verifier=$(direct postgres "select rolpassword from pg_authid where rolname = 'scrammer'")
cat >"$scratch/users" <<USERS
"app" "secret-of-app"
"admin" "secret-of-admin"
"replicator" "secret-of-replicator"
"asker" "secret-of-asker"
"hashed" "$md5"
"scrammer" "$verifier"
"cert_user" "secret-of-cert"
USERS
make_certificate() { # NAME COMMON_NAME
    openssl req -newkey rsa:2048 -nodes -keyout "$scratch/$1.key" -out "$scratch/$1.csr" -subj "/CN=$2" 2>/dev/null
    openssl x509 -req -in "$scratch/$1.csr" -CA "$scratch/ca.crt" -CAkey "$scratch/ca.key" -CAcreateserial -days 2 -out "$scratch/$1.crt" \
        -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") 2>/dev/null
}
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/ca.key" -out "$scratch/ca.crt" -subj /CN=ca -days 2 2>/dev/null
make_certificate server localhost
make_certificate client cert_user
chmod 600 "$scratch"/*.key "$scratch/users"
own "$scratch/users" "$scratch/server.key"

databases() {
    cat <<INI
[databases]
app = host=127.0.0.1 port=$pg_port pool_mode=transaction pool_size=5
session = host=127.0.0.1 port=$pg_port dbname=app pool_mode=session pool_size=20
copy = host=127.0.0.1 port=$pg_port pool_mode=session
replication = host=127.0.0.1 port=$pg_port pool_mode=session
INI
}
common() {
    cat <<INI
[pgbouncer]
auth_file = $scratch/users
client_tls_sslmode = allow
client_tls_key_file = $scratch/server.key
client_tls_cert_file = $scratch/server.crt
client_tls_ca_file = $scratch/ca.crt
max_client_conn = 200
INI
}
pgbench() { # DATABASE ARGUMENTS
    local database=$1
    shift
    PGPASSWORD=secret-of-app timeout 60 "$bin_dir/pgbench" -n -h 127.0.0.1 -p "$port" -U app "$@" "$database"
}
servers_of() { direct postgres "select count(*) from pg_stat_activity where backend_type = 'client backend' and datname = '$1' and usename <> 'postgres'"; }

# ---- with one thread and with four
for threads in 1 4; do
    proxy "threads$threads" < <({ databases; common; echo "auth_type = scram-sha-256"; echo "threads = $threads"; })
    step "$threads threads: psql, in the clear and in TLS"
    [ "$(through app 'select 6 * 7')" = 42 ] || problem "psql"
    [ "$(PGSSLMODE=verify-full PGSSLROOTCERT=$scratch/ca.crt through app "select 'in TLS'")" = "in TLS" ] || problem "psql in TLS"
    expect "psql reads a script" psql "host=localhost port=$port user=app password=secret-of-app dbname=app sslmode=require" -Xq -v ON_ERROR_STOP=1 -c 'select 1' -c '\d' -c 'select 2'

    step "$threads threads: pgbench"
    expect "pgbench -i" timeout 60 env PGPASSWORD=secret-of-app "$bin_dir/pgbench" -i -q -h 127.0.0.1 -p "$port" -U app session
    for protocol in simple extended prepared; do
        # A thread of pgbench stands still while it prepares, also for its other clients: so each client has its own.
        expect "pgbench -M $protocol, transaction mode" pgbench app -M $protocol -c 12 -j 12 -t 60
        expect "pgbench -M $protocol, session mode" pgbench session -M $protocol -c 12 -j 2 -t 30
    done
    expect "pgbench -C" pgbench app -C -c 8 -j 2 -t 10 -S
    PGSSLMODE=require expect "pgbench in TLS" pgbench app -c 8 -j 8 -t 30 -M prepared
    [ "$(direct app 'select count(*), count(distinct bid) from pgbench_history')" = "3480|1" ] || problem "rows of pgbench: $(direct app 'select count(*) from pgbench_history')"
    [ "$(direct app "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
        and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)")" = t ] || problem "the balances of pgbench do not add up"

    step "$threads threads: counts add up, limits are exact"
    before=$(column stats_totals xact_count '^app\|')
    echo 'select 1;' >"$scratch/one.sql"
    expect "pgbench of one statement" pgbench app -f "$scratch/one.sql" -c 10 -j 2 -t 100
    [ $(($(column stats_totals xact_count '^app\|') - before)) = 1000 ] || problem "1000 transactions are counted as $(($(column stats_totals xact_count '^app\|') - before))"
    printf 'begin;\nselect 1;\nend;\n' >"$scratch/three.sql"
    queries_before=$(column stats_totals query_count '^app\|')
    before=$(column stats_totals xact_count '^app\|')
    expect "pgbench of three statements" pgbench app -f "$scratch/three.sql" -M extended -c 10 -j 2 -t 50
    [ $(($(column stats_totals xact_count '^app\|') - before)) = 500 ] || problem "500 transactions are counted as $(($(column stats_totals xact_count '^app\|') - before))"
    [ $(($(column stats_totals query_count '^app\|') - queries_before)) = 1500 ] || problem "1500 queries are counted as $(($(column stats_totals query_count '^app\|') - queries_before))"
    # Twelve clients that each take a while: five servers, not four and not six.
    echo 'select pg_sleep(0.1);' >"$scratch/slow.sql"
    pgbench app -f "$scratch/slow.sql" -c 12 -j 2 -T 3 >"$scratch/slow" 2>&1 &
    slow=$!
    sleep 0.7
    for _ in 1 2 3; do
        active=$(direct postgres "select count(*) from pg_stat_activity where query like '%pg_sleep(0.1)%' and datname = 'app' and usename = 'app'")
        [ "$active" = 5 ] || problem "a pool of 5 has $active servers"
    done
    console 'show pools' >"$scratch/pools"
    [ "$(awk -F'|' '$1 == "app" { print $3 + $4, $7 }' "$scratch/pools")" = "12 5" ] || problem "12 clients of a pool of 5: $(cat "$scratch/pools")"
    wait $slow || problem "clients that wait for a server: $(cat "$scratch/slow")"
    end "$proxy_pid"
done

proxy main < <({ databases; common; echo "auth_type = scram-sha-256"; echo "server_lifetime = 3600"; })
step "pg_dump into pg_restore"
export PGPASSWORD=secret-of-app
expect "pg_dump" timeout 60 "$bin_dir/pg_dump" -h 127.0.0.1 -p "$port" -U app -Fc -f "$scratch/dump" session
expect "pg_restore" timeout 60 "$bin_dir/pg_restore" -h 127.0.0.1 -p "$port" -U app -d copy --no-owner -j 2 "$scratch/dump"
expect "pg_dump -j" timeout 60 "$bin_dir/pg_dump" -h 127.0.0.1 -p "$port" -U app -Fd -j 3 -f "$scratch/dump-of-all" session
summary="select count(*), sum(abalance), md5(string_agg(aid::text || abalance, ',' order by aid)) from pgbench_accounts"
[ "$(direct app "$summary")" = "$(direct copy "$summary")" ] || problem "the restored accounts differ"

step "pg_basebackup and pg_receivewal"
export PGPASSWORD=secret-of-replicator
expect "pg_basebackup" timeout 60 "$bin_dir/pg_basebackup" -h 127.0.0.1 -p "$port" -U replicator -D "$scratch/backup" -c fast -X stream --no-sync
expect "pg_verifybackup" "$bin_dir/pg_verifybackup" "$scratch/backup"
mkdir "$scratch/wal"
"$bin_dir/pg_receivewal" -h 127.0.0.1 -p "$port" -U replicator -D "$scratch/wal" --synchronous --no-loop >"$scratch/receivewal.log" 2>&1 &
receiver=$!
pids+=("$receiver")
it_streams() { [ "$(direct postgres "select count(*) from pg_stat_replication where state = 'streaming'")" = 1 ]; }
within 10 it_streams || problem "pg_receivewal does not stream: $(cat "$scratch/receivewal.log")"
[ "$(column clients replication '\|replicator\|')" = physical ] || problem "the receiver's line: $(console 'show clients')"
direct app 'create table after_the_backup as select generate_series(1, 1000)'
segment=$(direct app 'select pg_walfile_name(pg_switch_wal())')
within 10 test -e "$scratch/wal/$segment" || problem "pg_receivewal has no $segment: $(ls "$scratch/wal")"
cmp "$scratch/wal/$segment" "$scratch/data/pg_wal/$segment" || problem "pg_receivewal has another $segment"
end "$receiver" INT
receiver_is_gone() { [ "$(direct postgres 'select count(*) from pg_stat_replication')" = 0 ]; }
within 5 receiver_is_gone || problem "the server of pg_receivewal stays"
unset PGPASSWORD

step "cancel"
cancelled() { # DATABASE: psql gets a SIGINT while its query runs
    local psql_pid began=$SECONDS
    psql "host=127.0.0.1 port=$port user=app password=secret-of-app dbname=$1" -Xq -c 'select pg_sleep(30)' >"$scratch/said" 2>&1 &
    psql_pid=$!
    within 5 eval '[ "$(direct postgres "select count(*) from pg_stat_activity where query = '\''select pg_sleep(30)'\'' and state = '\''active'\''")" = 1 ]' || problem "cancel: the query does not run"
    kill -INT $psql_pid
    wait $psql_pid && problem "cancel: psql has succeeded"
    grep -q 'canceling statement due to user request' "$scratch/said" || problem "cancel of $1: $(cat "$scratch/said")"
    [ $((SECONDS - began)) -le 8 ] || problem "cancel of $1 took long"
}
# A shell's background job ignores SIGINT unless job control is on.
set -m
cancelled app
cancelled session
PGSSLMODE=require cancelled app
set +m

step "the console: every table, PAUSE and RESUME, RELOAD, KILL"
for table in clients config databases dns_hosts dns_zones help lists mem peer_pools peers pools servers sockets active_sockets state stats \
    stats_averages stats_totals totals users version; do expect "show $table" console "show $table"; done
[ "$(console 'show version')" = "$("$pgkeel" proxy --version | head -1)" ] || problem "the version: $(console 'show version')"
if console 'show nothing' >"$scratch/said" 2>&1; then problem "show nothing is answered: $(cat "$scratch/said")"; fi
if through pgbouncer 'show pools' app >"$scratch/said" 2>&1; then problem "the console is open to app"; fi

printf "begin;\ninsert into after_the_backup values (2000);\nselect pg_sleep(1.5);\ncommit;\n" >"$scratch/transaction.sql"
direct app 'grant all on after_the_backup to app'
psql "host=127.0.0.1 port=$port user=app password=secret-of-app dbname=app" -Xq -v ON_ERROR_STOP=1 -f "$scratch/transaction.sql" >"$scratch/writer" 2>&1 &
writer=$!
sleep 0.5
pause_began=$(date +%s%N)
expect "PAUSE" console 'pause app'
[ $((($(date +%s%N) - pause_began) / 1000000)) -ge 500 ] || problem "PAUSE did not wait for the transaction"
wait $writer || problem "the transaction that PAUSE has to wait for: $(cat "$scratch/writer")"
[ "$(servers_of app)" = 0 ] || [ "$(column servers state '\|app\|app\|' | wc -l)" = 0 ] || problem "servers are left after PAUSE: $(console 'show servers')"
through app 'select 77' >"$scratch/held" 2>&1 &
held=$!
sleep 0.5
[ ! -s "$scratch/held" ] || problem "a query is answered while its database is paused: $(cat "$scratch/held")"
[ "$(column databases paused '^app\|')" = 1 ] || problem "SHOW DATABASES does not tell the pause"
expect "RESUME" console 'resume app'
wait $held || true
[ "$(cat "$scratch/held")" = 77 ] || problem "a client that was held: $(cat "$scratch/held")"
expect "PAUSE of all" console 'pause'
[ "$(column state value '^paused')" = yes ] || problem "SHOW STATE: $(console 'show state')"
expect "RESUME of all" console 'resume'

sed -i 's/pool_size=5/pool_size=3/' "$scratch/main.ini"
expect "RELOAD" console reload
[ "$(column databases pool_size '^app\|')" = 3 ] || problem "RELOAD does not change pool_size"
pgbench app -f "$scratch/slow.sql" -c 8 -j 2 -T 2 >"$scratch/said" 2>&1 &
slow=$!
sleep 1
active=$(direct postgres "select count(*) from pg_stat_activity where query like '%pg_sleep(0.1)%' and usename = 'app' and datname = 'app'")
[ "$active" = 3 ] || problem "after RELOAD a pool of 3 has $active servers"
wait $slow || problem "pgbench after RELOAD: $(cat "$scratch/said")"
sed -i 's/pool_size=3/pool_size=three/' "$scratch/main.ini"
if console reload >"$scratch/said" 2>&1; then problem "RELOAD of a broken file succeeds"; fi
grep -q 'RELOAD failed' "$scratch/said" || problem "RELOAD of a broken file: $(cat "$scratch/said")"
[ "$(column databases pool_size '^app\|')" = 3 ] || problem "a broken file has changed pool_size"
[ "$(through app 'select 1')" = 1 ] || problem "a broken file breaks the service"
sed -i 's/pool_size=three/pool_size=5/' "$scratch/main.ini"
expect "RELOAD of the mended file" console reload

through session 'select pg_sleep(20)' >"$scratch/killed" 2>&1 &
killed=$!
sleep 0.5
expect "KILL" console 'kill session'
wait $killed && problem "KILL leaves its client"
grep -q 'FATAL' "$scratch/killed" || problem "the client that was killed sees: $(cat "$scratch/killed")"
no_server_of_session() { [ "$(column servers state '\|session\|' | wc -l)" = 0 ]; }
within 5 no_server_of_session || problem "KILL leaves servers: $(console 'show servers')"
expect "RESUME after KILL" console 'resume session'
[ "$(through session 'select 1')" = 1 ] || problem "no service after KILL and RESUME"
expect "DISABLE" console 'disable copy'
if through copy 'select 1' >"$scratch/said" 2>&1; then problem "a disabled database lets clients in"; fi
expect "ENABLE" console 'enable copy'
[ "$(through copy 'select 1')" = 1 ] || problem "no service after ENABLE"
expect "RECONNECT" console 'reconnect'
expect "WAIT_CLOSE" console 'wait_close app'

step "limits of clients and servers"
cat >>"$scratch/main.ini" <<INI
max_db_connections = 4
max_client_conn = 10
INI
expect "RELOAD" console reload
pgbench app -f "$scratch/slow.sql" -c 5 -j 1 -T 6 >"$scratch/slow" 2>&1 &
slow=$!
busy_are_four() { [ "$(direct postgres "select count(*) from pg_stat_activity where query like '%pg_sleep(0.1)%' and usename = 'app' and datname = 'app'")" = 4 ]; }
within 5 busy_are_four || problem "max_db_connections = 4: $(direct postgres 'select pid, datname, state, query from pg_stat_activity')"
clients=()
for _ in 1 2 3 4 5; do
    through copy 'select pg_sleep(4)' >/dev/null 2>&1 &
    clients+=($!)
done
within 4 eval '[ "$(column lists items "^used_clients")" -ge 10 ]' || problem "no ten clients: $(console 'show lists')"
if through app 'select 1' >"$scratch/said" 2>&1; then problem "an eleventh client of ten is let in"; fi
grep -q 'no more connections allowed' "$scratch/said" || problem "max_client_conn: $(cat "$scratch/said")"
wait $slow || problem "pgbench at max_db_connections: $(cat "$scratch/slow")"
for client in "${clients[@]}"; do wait "$client" || true; done

step "SHUTDOWN, in each of its ways"
through app 'select pg_sleep(1.5)' >"$scratch/writer" 2>&1 &
writer=$!
sleep 0.5
expect "SHUTDOWN WAIT_FOR_SERVERS" console 'shutdown wait_for_servers'
wait $writer || problem "SHUTDOWN WAIT_FOR_SERVERS does not wait: $(cat "$scratch/writer")"
within 5 is_gone "$proxy_pid" || problem "it runs after SHUTDOWN WAIT_FOR_SERVERS"
wait "$proxy_pid" || problem "SHUTDOWN WAIT_FOR_SERVERS ends with $?"
proxy waits < <({ databases; common; echo "auth_type = scram-sha-256"; })
psql "host=127.0.0.1 port=$port user=app password=secret-of-app dbname=app" -Xq -v ON_ERROR_STOP=1 -c 'select 1' -c '\! sleep 1.5' -c 'select 2' >"$scratch/writer" 2>&1 &
writer=$!
sleep 0.5
expect "SHUTDOWN WAIT_FOR_CLIENTS" console 'shutdown wait_for_clients'
lives "$proxy_pid" || problem "SHUTDOWN WAIT_FOR_CLIENTS does not wait"
wait $writer || problem "SHUTDOWN WAIT_FOR_CLIENTS ends clients: $(cat "$scratch/writer")"
within 5 is_gone "$proxy_pid" || problem "it runs after SHUTDOWN WAIT_FOR_CLIENTS"
proxy atonce < <({ databases; common; echo "auth_type = scram-sha-256"; })
through app 'select pg_sleep(20)' >"$scratch/writer" 2>&1 &
writer=$!
sleep 0.5
console shutdown >/dev/null 2>&1 || true
within 3 is_gone "$proxy_pid" || problem "it runs after SHUTDOWN"
wait $writer && problem "SHUTDOWN waits for its clients"

# ---- logins
enters() { # USER PASSWORD [PARAMETERS]
    [ "$(timeout 15 psql "host=127.0.0.1 port=$port user=$1 password=$2 dbname=app ${3:-}" -XAtqw -c 'select current_user' 2>"$scratch/said")" = "${as:-$1}" ] ||
        problem "$login: $1 does not come in: $(cat "$scratch/said")"
}
refused() { # USER PASSWORD [PARAMETERS]
    local status=0
    timeout 15 psql "host=127.0.0.1 port=$port user=$1 password=$2 dbname=app ${3:-}" -XAtqw -c 'select current_user' >"$scratch/said" 2>&1 || status=$?
    [ $status = 2 ] && grep -q 'FATAL' "$scratch/said" || problem "$login: $1 is not refused ($status): $(cat "$scratch/said")"
}
login() { # TYPE [LINES]
    login=$1
    step "login: $login"
    proxy "login-$1${3:-}" < <({ databases; common; printf 'auth_type = %s\n%s\n' "$1" "${2:-}"; })
}
login trust
enters app anything
refused nobody anything
end "$proxy_pid"

login=any
step "login: any"
proxy login-any < <({ databases | sed "s/^app = /&user=app password=secret-of-app /"; common; echo "auth_type = any"; })
as=app enters whoever anything
end "$proxy_pid"

login plain
enters app secret-of-app
refused app wrong
refused nobody wrong
as=app enters app secret-of-app sslmode=require
end "$proxy_pid"

login md5
enters app secret-of-app
enters hashed secret-of-hashed
enters scrammer secret-of-scrammer # becomes SCRAM by itself
refused hashed wrong
refused scrammer wrong
refused nobody wrong
end "$proxy_pid"

login scram-sha-256
enters app secret-of-app
enters app secret-of-app "sslmode=require channel_binding=require"
enters scrammer secret-of-scrammer # its keys are enough for the server
refused hashed secret-of-hashed    # of an md5 hash no SCRAM can be made
refused app wrong
refused nobody wrong
end "$proxy_pid"

login cert "client_tls_sslmode = verify-full"
enters cert_user none "sslmode=require sslcert=$scratch/client.crt sslkey=$scratch/client.key"
refused app none "sslmode=require sslcert=$scratch/client.crt sslkey=$scratch/client.key"
if timeout 15 psql "host=127.0.0.1 port=$port user=cert_user dbname=app sslmode=require sslcert=none" -XAtqw -c 'select 1' >"$scratch/said" 2>&1; then problem "cert: no certificate is needed"; fi
if timeout 15 psql "host=127.0.0.1 port=$port user=cert_user dbname=app sslmode=disable" -XAtqw -c 'select 1' >"$scratch/said" 2>&1; then problem "cert: no TLS is needed"; fi
end "$proxy_pid"

cat >"$scratch/hba" <<HBA
hostssl app cert_user 127.0.0.1/32 cert
host app app 127.0.0.1/32 scram-sha-256
host app hashed 127.0.0.1/32 md5
host app scrammer 127.0.0.1/32 reject
host pgbouncer admin 127.0.0.1/32 scram-sha-256
HBA
login hba "auth_hba_file = $scratch/hba"
enters app secret-of-app
enters hashed secret-of-hashed
enters cert_user none "sslmode=require sslcert=$scratch/client.crt sslkey=$scratch/client.key"
refused cert_user secret-of-cert sslmode=disable
refused scrammer secret-of-scrammer
refused replicator secret-of-replicator
end "$proxy_pid"

grep -v -e scrammer -e hashed "$scratch/users" >"$scratch/few-users"
sed -i '/"app"/d' "$scratch/few-users"
chmod 600 "$scratch/few-users"
own "$scratch/few-users"
login scram-sha-256 "auth_user = asker
auth_query = select name, secret from public.find_secret(\$1)
auth_file = $scratch/few-users" -query
enters app secret-of-app
enters scrammer secret-of-scrammer
refused app wrong
refused expired secret-of-expired
refused nobody wrong
direct postgres "alter role app password 'secret-of-app-2'"
refused app secret-of-app
enters app secret-of-app-2
direct postgres "alter role app password 'secret-of-app'"
end "$proxy_pid"

step "a commit whose wait for a standby is cancelled is no success, natively"
direct app "create table unconfirmed (id int); grant insert on unconfirmed to app"
direct postgres "alter system set synchronous_standby_names = 'nobody'"
direct postgres "select pg_reload_conf()" >/dev/null
cancel_the_wait() { # until there is one
    [ "$(direct postgres "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'")" -gt 0 ]
}
commits() { # COMPAT PROTOCOL
    proxy "doubt$1$2" < <({ databases; common; echo "auth_type = scram-sha-256"; echo "pgbouncer_compat = $1"; })
    echo 'insert into unconfirmed values (1);' >"$scratch/insert.sql"
    pgbench app -f "$scratch/insert.sql" -M "$2" -t 1 >"$scratch/doubt$1$2.out" 2>&1 &
    local pid=$!
    within 10 cancel_the_wait || problem "nobody waits for the standby"
    wait $pid || true
    end "$proxy_pid"
}
for protocol in simple extended prepared; do
    commits 0 $protocol
    grep -q 'no synchronous standby has confirmed it' "$scratch/doubt0$protocol.out" ||
        problem "$protocol: the client did not hear of it: $(cat "$scratch/doubt0$protocol.out")"
done
commits 1 simple
grep -q '^number of transactions actually processed: 1/1' "$scratch/doubt1simple.out" || problem "with pgbouncer_compat: $(cat "$scratch/doubt1simple.out")"
[ "$(direct app 'select count(*) from unconfirmed')" = 4 ] || problem "they are committed all the same"
PGOPTIONS='-c synchronous_commit=local' direct postgres "alter system reset synchronous_standby_names"
direct postgres "select pg_reload_conf()" >/dev/null

step "afterwards"
if grep -rnE 'secret-of|SCRAM-SHA-256\$' "$scratch"/*.log | grep -v postgres.log; then problem "a password is in a log"; fi
if grep -nE 'PANIC|terminated by signal' "$scratch/postgres.log"; then problem "PostgreSQL suffered"; fi
finish
