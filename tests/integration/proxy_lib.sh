# Shared by the tests of the proxy in front of one PostgreSQL, without a cluster; to be sourced. Needs $pgkeel, the program.
# shellcheck shell=bash disable=SC2154,SC2034
set -Eeuo pipefail

scratch=$(mktemp -d /tmp/pgkeel-proxy-XXXXXX)
chmod 755 "$scratch"  # PostgreSQL's own user has to come through
bin_dir=${PGKEEL_TEST_BIN_DIR:-/usr/lib/postgresql/15/bin}
export NO_COLOR=1 PGCONNECT_TIMEOUT=10 PGSSLMODE=prefer PGGSSENCMODE=disable
unset PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGOPTIONS PGSERVICE
failures=0
pids=()

# Neither PostgreSQL nor the proxy runs as root.
if [ "$(id -u)" = 0 ]; then
    chown postgres "$scratch"
    as_user() { runuser -u postgres -- "$@"; }
    # For the background: every step replaces the one before, so that $! is the program's own pid.
    become() { exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
    own() { chown postgres "$@"; }
else
    as_user() { "$@"; }
    become() { exec "$@"; }
    own() { :; }
fi

step() { printf '== %3d s  %s\n' "$SECONDS" "$*"; }
problem() {
    failures=$((failures + 1))
    echo "FAILED: $*" >&2
}
# A command that has to succeed; what it says is shown when it does not.
expect() {
    local label=$1
    shift
    "$@" >"$scratch/said" 2>&1 || problem "$label: $(tail -n 20 "$scratch/said")"
}
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt "$end" ] || return 1
        sleep 0.1
    done
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
lives() { kill -0 "$1" 2>/dev/null; }
is_gone() { ! lives "$1"; }
# Ends one process that we started.
end() {
    kill "-${2:-QUIT}" "$1" 2>/dev/null || return 0
    within 10 is_gone "$1" || kill -9 "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
cleanup() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    [ ! -e "$scratch/data/postmaster.pid" ] || end "$(head -1 "$scratch/data/postmaster.pid")" QUIT
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'echo "FAILED: line $LINENO: $BASH_COMMAND" >&2; tail -n 20 "$scratch"/*.log >&2' ERR
finish() {
    [ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
    echo "all good"
}

# PostgreSQL on $pg_port and on a socket in $scratch, where everybody is let in.
make_postgres() {
    pg_port=$(free_port)
    as_user "$bin_dir/initdb" -D "$scratch/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 >"$scratch/initdb.log"
    cat >>"$scratch/data/postgresql.conf" <<CONF
port = $pg_port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$scratch'
fsync = off
shared_buffers = 64MB
max_connections = 150
max_wal_senders = 8
log_line_prefix = '%m [%p] %u@%d %a '
CONF
    cat >"$scratch/data/pg_hba.conf" <<CONF
local all,replication all trust
host all,replication all 127.0.0.1/32 md5
CONF
    start_postgres
}
accepts_connections() { [ "$(direct postgres 'select 1')" = 1 ]; }
start_postgres() {
    become "$bin_dir/postgres" -D "$scratch/data" >>"$scratch/postgres.log" 2>&1 &
    pg_pid=$!
    within 20 accepts_connections || { cat "$scratch/postgres.log" >&2; exit 1; }
}
# direct DATABASE SQL: past the proxy, as the superuser.
direct() { timeout 30 psql "host=$scratch port=$pg_port user=postgres dbname=$1" -XAtq -v ON_ERROR_STOP=1 -c "$2"; }

# proxy NAME: starts one with the file NAME.ini, whose [databases] and [pgbouncer] are what comes on standard input; listens on
# $port, its process is $proxy_pid.
proxy() {
    local name=$1
    port=$(free_port)
    {
        cat
        cat <<INI
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir = $scratch
admin_users = admin
server_tls_sslmode = disable
INI
    } >"$scratch/$name.ini"
    own "$scratch/$name.ini"
    become "$pgkeel" proxy "$scratch/$name.ini" >>"$scratch/$name.log" 2>&1 &
    proxy_pid=$!
    pids+=("$proxy_pid")
    within 10 answers || { cat "$scratch/$name.log" >&2; exit 1; }
}
answers() { python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)"; }
# console COMMAND: rows of the admin console, columns parted by |.
console() { timeout 30 psql "host=127.0.0.1 port=$port user=admin password=secret-of-admin dbname=pgbouncer" -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
# column TABLE COLUMN [PATTERN]: the values of a column of SHOW TABLE, of the rows that match.
column() {
    timeout 30 psql "host=127.0.0.1 port=$port user=admin password=secret-of-admin dbname=pgbouncer" -XAq -P footer=off -c "show $1" |
        awk -F'|' -v name="$2" -v rows="${3:-}" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next } $0 ~ rows { print $at }'
}
# through DATABASE SQL [USER [PASSWORD]]
through() { timeout 30 psql "host=127.0.0.1 port=$port user=${3:-app} password=${4-secret-of-app} dbname=$1" -XAtq -v ON_ERROR_STOP=1 -c "$2"; }
