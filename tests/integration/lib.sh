# Shared by the tests that drive a whole local cluster; to be sourced. Needs $pgkeel, the program.
# shellcheck shell=bash disable=SC2154
set -Eeuo pipefail

scratch=$(mktemp -d /tmp/pgkeel-test-XXXXXX)
chmod 755 "$scratch"  # PostgreSQL's own user has to come through
dir=$scratch/cluster
export NO_COLOR=1
started=()  # pids to end when the test is over

failed() {
    trap - ERR
    [ -z "${trying:-}" ] || [ "$BASH_SUBSHELL" = 0 ] || exit 1  # `within` tries again
    if [ -e "$scratch/failed" ]; then  # a failing $(…), or something in the background, has told the rest, perhaps to nobody
        echo "FAILED: $*; before that: $(cat "$scratch/failed")" >&2
        exit 1
    fi
    echo "$*" >"$scratch/failed"
    echo "FAILED: $*" >&2  # again below: a reader of a long log sees one of the two
    echo "-- the cluster's logs:" >&2
    "$pgkeel" logs --dir "$dir" -n 100 2>&1 | cut -c1-300 >&2 || true
    [ ! -s "$scratch/said" ] || { echo "-- the last command said:" >&2; cat "$scratch/said" >&2; }
    echo "FAILED: $*" >&2
    exit 1
}

# Halted processes go on again whatever stops the test.
halted=()
halt() {
    kill -STOP "$@"
    halted+=("$@")
}
go_on() {
    for pid in "${halted[@]}"; do kill -CONT "$pid" 2>/dev/null || true; done
    halted=()
}
cleanup() {
    [ $? = 0 ] || [ ! -s "$scratch/tried" ] || { echo "-- the last try said:" >&2; tail -20 "$scratch/tried" >&2; }
    go_on
    [ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true
    "$pgkeel" down --purge --force --dir "$dir" >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'failed "line $LINENO: $BASH_COMMAND"' ERR

step() { printf '== %3d s  %s\n' "$SECONDS" "$*"; }

# Tries a command until it works, at most $1 seconds.
within() {
    local end=$((SECONDS + $1)) trying=1
    shift
    until "$@" >/dev/null 2>"$scratch/tried"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

start_cluster() { timeout 120 "$pgkeel" up -d --dir "$dir" --not-current >"$scratch/up" 2>&1 || failed "up: $(cat "$scratch/up")"; }

# SQL on the primary, wherever it is; or on one server.
sql_on() { PGOPTIONS="-c client_min_messages=warning" PGSERVICEFILE=$dir/pg_service.conf timeout 20 psql "service=$1" -X -At -q -v ON_ERROR_STOP=1 -c "$2"; }
sql() { sql_on demo "$1"; }

# The node that takes writes, as PostgreSQL says.
primary() { sql "select regexp_replace(current_setting('data_directory'), '^.*/(pg-.)/data$', '\\1')"; }
etcd_ctl() {
    ETCDCTL_API=3 etcdctl --cacert="$dir/tls/ca.crt" --user="pgkeel:$(jq -r .passwords.etcd "$dir/cluster.json")" \
        --endpoints="$(jq -r '[.etcd[] | "https://127.0.0.1:\(.client_port)"] | join(",")' "$dir/cluster.json")" "$@"
}

members() { "$pgkeel" list --dir "$dir" -f json; }
leader() { members | jq -r '.[] | select(.Role == "Leader").Member'; }
standbys() { members | jq -r '.[] | select(.Role != "Leader").Member'; }
a_standby() { standbys | head -1; }
leads() { [ "$(leader)" = "$1" ]; }
# Somebody leads who is not $1. Asked once: between two looks the leader may have gone.
another_leads() {
    local now
    now=$(leader)
    [ -n "$now" ] && [ "$now" != "$1" ]
}
agent_pid() { cut -d' ' -f1 "$dir/$1/pid"; }
postmaster_pid() { head -1 "$dir/$1/data/postmaster.pid"; }
rest_address() { jq -r --arg name "$1" '.nodes[] | select(.name == $name) | "127.0.0.1:\(.rest_port)"' "$dir/cluster.json"; }

# One leader and two standbys that stream from it on its timeline: as etcd tells it, and as PostgreSQL does.
is_healthy() {
    members | jq -e 'length == 3 and ([.[] | select(.Role == "Leader" and .State == "running")] | length == 1)
        and ([.[] | select(.Role == "Replica" and .State == "streaming")] | length == 2) and (map(.TL) | unique | length == 1)' >/dev/null &&
        [ "$(sql "select count(*) from pg_stat_replication where state = 'streaming'")" = 2 ]
}

standbys_have_all() { [ "$(sql 'select count(*) from pg_stat_replication where flush_lsn = pg_current_wal_lsn()')" = 2 ]; }

# A client that writes into the table ack, and witnesses that try to write on every node all the time (witnesses.py).
start_witnesses() {
    sql 'create table ack (id bigint primary key, at timestamptz default now())' >/dev/null
    : >"$scratch/acknowledged"
    python3 "$(dirname "$0")/witnesses.py" "$dir" "$scratch/acknowledged" >"$scratch/watch.log" 2>&1 &
    witnesses=$!
    started+=("$witnesses")
    within 10 grep -q running "$scratch/watch.log" || failed "the witnesses do not run: $(cat "$scratch/watch.log")"
}
# never_two WHAT: no two nodes took writes at once so far.
never_two() { if grep -q "TWO PRIMARIES" "$scratch/watch.log"; then failed "$1: $(grep "TWO PRIMARIES" "$scratch/watch.log" | head -3)"; fi; }
# Says what they have seen, and demands that they saw enough, and never two.
stop_witnesses() {
    kill "$witnesses"
    wait "$witnesses" || true
    grep -v running "$scratch/watch.log" | sed 's/^/   /'
    if grep -q "TWO PRIMARIES\|Traceback" "$scratch/watch.log"; then failed "the witnesses: $(cat "$scratch/watch.log")"; fi
    [ "$(acknowledged)" -gt 1000 ] || failed "only $(acknowledged) rows were written: this tested nothing"
}

# A client that numbers its rows, one transaction each, and remembers which were acknowledged.
start_writing() {
    local to=${1:-service=demo}
    sql 'create table if not exists numbered (n int primary key)'
    touch "$scratch/acknowledged"
    (
        trap - ERR EXIT
        set +e
        n=$(($(sort -n "$scratch/acknowledged" | tail -1) + 1000))
        while :; do
            n=$((n + 1))
            PGSERVICEFILE=$dir/pg_service.conf PGCONNECT_TIMEOUT=3 psql "$to" -X -q -c "insert into numbered values ($n)" >/dev/null 2>&1 &&
                echo $n >>"$scratch/acknowledged"
            sleep 0.02
        done
    ) &
    writer=$!
    started+=("$writer")
}
stop_writing() {
    kill "$writer"
    wait "$writer" 2>/dev/null || true
}
acknowledged() { wc -l <"$scratch/acknowledged"; }
writes_went_on() { [ "$(acknowledged)" -gt "$1" ]; }
# Acknowledged rows that the primary does not have; one line each.
lost_rows() {
    sort "$scratch/acknowledged" >"$scratch/expected"
    sql 'select n from numbered' | sort | comm -23 "$scratch/expected" -
}

# Clients that write through the proxy's listeners, all the time; each acknowledged row is a line "client number port timeline begin end".
start_routed_clients() {
    sql 'create table routed (client int, n int, port int, timeline int, primary key (client, n))'
    : >"$scratch/acknowledged"
    python3 "$(dirname "$0")/routing_clients.py" "$dir" "$scratch/acknowledged" >"$scratch/clients.log" 2>&1 &
    clients=$!
    started+=("$clients")
    within 10 grep -q running "$scratch/clients.log" || failed "the clients do not run: $(cat "$scratch/clients.log")"
}
# Their acknowledged rows that the primary does not have; one line each.
lost_routed_rows() {
    cp "$scratch/acknowledged" "$scratch/copy"
    head -n "$(wc -l <"$scratch/copy")" "$scratch/copy" | cut -d' ' -f1,2 | sort >"$scratch/expected"
    sql "select client || ' ' || n from routed" | sort | comm -23 "$scratch/expected" -
}

# What has to hold after each step.
expect_healthy() {
    local seen
    within 30 is_healthy || failed "not healthy 30 s after: $*: $(members)"
    seen=$(acknowledged)
    within 10 writes_went_on "$seen" || failed "no write was acknowledged after: $*"
    [ -z "$(lost_rows)" ] || failed "acknowledged rows are lost after: $*: $(lost_rows | tr '\n' ' ')"
}
