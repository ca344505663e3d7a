#!/usr/bin/env bash
# Online restarts of a proxy that follows a cluster: clients keep their sessions, each on the route they came by, and an
# order to a new leader is obeyed by whichever process has them. Real etcd and PostgreSQL.
# usage: proxy_takeover_routes_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
start_cluster
within 60 is_healthy || failed "the new cluster has no two streaming replicas: $(members)"
sql "create role app login password 'correct horse'" >/dev/null
sql "create database shop owner app" >/dev/null

# The proxy that `pgkeel up` has made asks for TLS, whose sessions stay where they are. This one does not.
own=$scratch/own
mkdir "$own"
pooled=$(free_port) standby=$(free_port)
python3 - "$dir/proxy/proxy.yml" "$own" "$pooled" "$standby" >"$own/proxy.yml" <<'PY'
import sys
text, own, pooled, standby = open(sys.argv[1], encoding="utf-8").read(), *sys.argv[2:]
before, rest = text.split("  listeners:\n")
after = rest[rest.index("  unix_socket_dir:"):]
for word in ("client_tls_sslmode", "client_tls_cert_file", "client_tls_key_file"):
    after = "".join(line for line in after.splitlines(True) if word not in line)
print(f"""{before}  listeners:
  - {{listen: '127.0.0.1:{pooled}', route: primary, pool_mode: transaction}}
  - {{listen: '127.0.0.1:{standby}', route: standby, pool_mode: session}}
  pidfile: {own}/pid
  threads: 2
{after}""", end="")
PY
chmod 600 "$own/proxy.yml"
[ "$(id -u)" != 0 ] || chown -R postgres "$own"
# Its own pid, not that of a shell before it.
start_proxy() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$pgkeel" proxy "$@" "$own/proxy.yml" >>"$own/log" 2>&1 &
    else
        "$pgkeel" proxy "$@" "$own/proxy.yml" >>"$own/log" 2>&1 &
    fi
    old=${serving:-}
    serving=$!
    started+=("$serving")
}
through() { PGPASSWORD='correct horse' PGCONNECT_TIMEOUT=5 timeout 20 psql "host=127.0.0.1 port=$1 user=app dbname=shop sslmode=disable" -X -w -Atq -v ON_ERROR_STOP=1 -c "$2"; }
serves() { [ "$(through "$1" 'select 1')" = 1 ]; }
has_the_pidfile() { [ "$(cat "$own/pid" 2>/dev/null)" = "$serving" ]; }
has_ended() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
take_over() {
    start_proxy -R
    within 15 has_the_pidfile || failed "nobody took over ($1): $(tail -n 5 "$own/log")"
}
old_one_ends() { within 20 has_ended "$old" || failed "the process before is still there ($1): $(tail -n 5 "$own/log")"; }

start_proxy
within 15 serves "$pooled" || failed "the proxy does not serve: $(tail -n 5 "$own/log")"
within 15 serves "$standby" || failed "the proxy leads to no standby: $(tail -n 5 "$own/log")"
through "$pooled" 'create table numbered (n bigint primary key)'

step "takeovers under load: writers on the primary, a reader who stays on a standby"
/usr/bin/python3 "$(dirname "$0")/takeover_writers.py" "$pooled" "$standby" "$scratch" >"$scratch/writers.log" 2>&1 &
writers=$!
started+=("$writers")
within 20 test -s "$scratch/written" || failed "nothing was written: $(cat "$scratch/writers.log")"
for round in 1 2 3; do
    take_over "round $round"
    old_one_ends "round $round"
    [ ! -s "$scratch/errors" ] || failed "an error at a takeover: $(cat "$scratch/errors")"
done

step "a switchover after a takeover: sessions that came along go to the new leader"
touch "$scratch/may_fail"
before=$(leader)
"$pgkeel" switchover --dir "$dir" --force >"$scratch/said" 2>&1 || failed "switchover"
within 30 is_healthy || failed "not healthy after a switchover: $(members)"
[ "$(leader)" != "$before" ] || failed "$before leads still"
seen=$(wc -l <"$scratch/written")
goes_on() { [ "$(wc -l <"$scratch/written")" -gt $((seen + 50)) ]; }
within 20 goes_on || failed "nobody writes after the switchover: $(tail -n 5 "$scratch/writers.log")"
[ "$(through "$pooled" 'select pg_is_in_recovery()')" = f ] || failed "primary leads to a standby"
[ "$(through "$standby" 'select pg_is_in_recovery()')" = t ] || failed "standby leads to the primary"

step "a takeover while the primary dies"
victim=$(leader)
kill -9 "$(agent_pid "$victim")" "$(postmaster_pid "$victim")"
take_over "failover"
old_one_ends "failover"
within 30 another_leads "$victim" || failed "nobody leads: $(members)"
seen=$(wc -l <"$scratch/written")
within 20 goes_on || failed "nobody writes after the failover: $(tail -n 5 "$scratch/writers.log")"

step "nothing that was acknowledged after the last failover, and nothing before a takeover, is missing"
touch "$scratch/end"
wait "$writers" || failed "the writers: $(cat "$scratch/writers.log")"
sort "$scratch/written" >"$scratch/expected"
PGSERVICEFILE=$dir/pg_service.conf psql "service=demo dbname=shop" -XAtq -c 'select n from numbered' | sort >"$scratch/there"
# Asynchronous: what the dead primary had not sent may be lost, a fraction of a second of four writers.
lost=$(comm -23 "$scratch/expected" "$scratch/there" | wc -l)
[ "$lost" -le 20 ] || failed "$lost of $(wc -l <"$scratch/expected") rows are missing"
[ "$(wc -l <"$scratch/expected")" -gt 500 ] || failed "only $(wc -l <"$scratch/expected") rows were written: this tested nothing"
echo "   $(wc -l <"$scratch/expected") rows, $lost of them lost with the dead primary"
kill "$serving"
within 10 has_ended "$serving" || failed "the proxy does not end"
echo "all good"
