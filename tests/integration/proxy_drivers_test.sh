#!/usr/bin/env bash
# The drivers that people have, through the proxy: each does what its programs do all day, in transaction mode with fewer servers and
# fewer prepared statements than the drivers together want, and in session mode. All at once. Real PostgreSQL, which the same programs
# pass without a proxy.
# usage: proxy_drivers_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/integration/proxy_lib.sh
. "$here/proxy_lib.sh"
programs=$here/proxy_drivers
unset PGSSLMODE # node-postgres takes "prefer" for "require"

# What Debian's packages give, and npm where they cannot be installed; `./dev test` sees to both.
jdbc=/usr/share/java/postgresql.jar
export NODE_PATH=${NODE_PATH:-/usr/share/nodejs:$here/../../build/node_driver/node_modules}
python=/usr/bin/python3
has() { "$@" >/dev/null 2>&1; }
skip() { echo "SKIP $1: $2"; }
drivers=()
if has $python -c 'import psycopg2'; then drivers+=(psycopg2); else skip psycopg2 "python3-psycopg2 is not installed"; fi
if has $python -c 'import psycopg'; then drivers+=(psycopg3); else skip "psycopg 3, libpq's pipelines" "python3-psycopg is not installed"; fi
if has node -e 'require("pg")'; then drivers+=(node); else skip node-postgres "node-pg is not installed"; fi
if ! has javac -version; then
    skip JDBC "no JDK is installed"
elif [ ! -e $jdbc ]; then
    skip JDBC "libpostgresql-jdbc-java is not installed"
else
    drivers+=(jdbc)
    javac -cp $jdbc -d "$scratch" "$programs/WithJdbc.java"
fi
[ ${#drivers[@]} != 0 ] || problem "there is no driver at all"

# run DRIVER PORT DATABASE MODE
run() {
    trap - ERR
    case $1 in
    psycopg2 | psycopg3) timeout 90 $python "$programs/with_$1.py" "host=127.0.0.1 port=$2 user=app password=secret-of-app dbname=$3" "$4" ;;
    node) timeout 90 node "$programs/with_pg.js" 127.0.0.1 "$2" app secret-of-app "$3" "$4" ;;
    jdbc) timeout 90 java -XX:TieredStopAtLevel=1 -cp "$scratch:$jdbc" WithJdbc "jdbc:postgresql://127.0.0.1:$2/$3" app secret-of-app "$4" ;;
    esac
}

make_postgres
direct postgres "create role app login password 'secret-of-app'"
direct postgres 'create database app owner app'
direct postgres 'create database plain owner app'
direct postgres 'create database session owner app'
printf '"app" "secret-of-app"\n"admin" "secret-of-admin"\n' >"$scratch/users"
chmod 600 "$scratch/users"
own "$scratch/users"
proxy drivers <<INI
[databases]
app = host=127.0.0.1 port=$pg_port pool_mode=transaction pool_size=4
session = host=127.0.0.1 port=$pg_port pool_mode=session pool_size=50
[pgbouncer]
auth_type = scram-sha-256
auth_file = $scratch/users
max_client_conn = 300
threads = 2
max_prepared_statements = 20
ignore_startup_parameters = extra_float_digits
INI

step "without the proxy, through transaction mode, through session mode: ${drivers[*]}"
jobs=()
for driver in "${drivers[@]}"; do
    run "$driver" "$pg_port" plain session >"$scratch/$driver-plain" 2>&1 &
    jobs+=("$driver-plain:$!")
    run "$driver" "$port" app transaction >"$scratch/$driver-transaction" 2>&1 &
    jobs+=("$driver-transaction:$!")
    run "$driver" "$port" session session >"$scratch/$driver-session" 2>&1 &
    jobs+=("$driver-session:$!")
done
most=0
while [ -n "$(jobs -rp | grep -vx -e "$proxy_pid" -e "$pg_pid")" ]; do
    now=$(direct postgres "select count(*) from pg_stat_activity where datname = 'app'")
    [ "$now" -le "$most" ] || most=$now
    sleep 0.5
done
for job in "${jobs[@]}"; do
    name=${job%:*}
    if wait "${job##*:}"; then grep -v "error ignored terminating" "$scratch/$name"; else problem "$name: $(tail -25 "$scratch/$name")"; fi
done

step "afterwards"
[ "$most" = 4 ] || problem "a pool of 4 had $most servers"
all_idle() { [ "$(direct postgres "select count(*) from pg_stat_activity where datname in ('app', 'session') and state <> 'idle'")" = 0 ]; }
within 5 all_idle || problem "servers are not idle: $(direct postgres 'table pg_stat_activity')"
nobody_is_linked() { [ "$(column pools cl_active '^(app|session)\|')$(column pools sv_active '^(app|session)\|')" = $'0\n00\n0' ]; }
within 5 nobody_is_linked || problem "clients or servers are left: $(console 'show pools')"
lives "$proxy_pid" || problem "the proxy is gone: $(tail "$scratch/drivers.log")"
if grep -qE 'secret-of|SCRAM-SHA' "$scratch/drivers.log"; then problem "a password is in the proxy's log"; fi
end "$proxy_pid"
finish
