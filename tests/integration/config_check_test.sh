#!/usr/bin/env bash
# `pgkeel config check` with good and bad files of every kind, and the process `pgkeel proxy` around its event loops: each way in which
# it is refused, the daemon with its pidfile, the log, the signals.
# usage: config_check_test.sh PGKEEL
set -euo pipefail
pgkeel=$(readlink -f "$1")
export NO_COLOR=1
scratch=$(mktemp -d /tmp/pgkeel-check-XXXXXX)
chmod 755 "$scratch"
failures=0
pids=()

# The proxy does not serve as root.
user=$(id -un)
[ "$user" != root ] || { user=postgres && chown postgres "$scratch"; }
cleanup() {
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap cleanup EXIT
cd "$scratch"

problem() {
    failures=$((failures + 1))
    echo "FAILED: $*" >&2
}
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}
gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }

# says LABEL STATUS COMMAND... -- WORDS...: the command ends with that status, within 10 s, and says all the words.
says() {
    local label=$1 expected=$2 status=0 word
    shift 2
    local command=()
    while [ "$1" != -- ]; do
        command+=("$1")
        shift
    done
    shift
    echo "== $label"
    timeout -k 2 10 "${command[@]}" >out 2>&1 </dev/null || status=$?
    [ "$status" = "$expected" ] || problem "$label: status $status instead of $expected: $(cat out)"
    for word in "$@"; do grep -qF -- "$word" out || problem "$label: '$word' is not in: $(cat out)"; done
    if grep -q 'secret-of' out; then problem "$label: a password is in: $(cat out)"; fi
    [ -z "${SHOW:-}" ] || sed 's/^/    /' out
}
check() {
    local label=$1 expected=$2
    shift 2
    says "$label" "$expected" as_user config check "$@"
}
refused() {
    local label=$1 expected=$2
    shift 2
    says "$label" "$expected" as_user proxy "$@"
}
# A program of its own: `timeout` runs no function, and in the background its pid is the proxy's.
if [ "$(id -u)" = 0 ]; then become="exec setpriv --reuid=postgres --regid=postgres --init-groups"; else become="exec"; fi
printf '#!/bin/sh\n%s "%s" "$@"\n' "$become" "$pgkeel" >as_user
chmod 755 as_user
PATH=$scratch:$PATH

ini() { # FILE: settings on standard input; they begin in line 2
    {
        echo '[pgbouncer]'
        cat
        cat <<EOF
unix_socket_dir = $scratch
[databases]
shop = host=127.0.0.1 user=shop password=secret-of-shop
reports = host=127.0.0.1 pool_mode=session
* = host=127.0.0.1
[users]
batch = pool_size=3
EOF
    } >"$1"
    chmod 600 "$1"
    [ "$(id -u)" != 0 ] || chown postgres "$1"
}

echo '"shop" "secret-of-shop"' >userlist.txt
printf 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n' >hba.conf
printf 'map1 alice shop\n' >ident.conf
echo "-" >certificate.pem

ini good.ini <<EOF
listen_addr = 127.0.0.1, ::1
listen_port = 7432
auth_type = hba
auth_file = $scratch/userlist.txt
auth_hba_file = $scratch/hba.conf
auth_ident_file = $scratch/ident.conf
EOF
check "a good ini" 0 good.ini -- "good.ini: proxy: 3 databases, 1 user, listens on 127.0.0.1:7432, [::1]:7432" ": no errors"

printf '[pgbouncer]\nlisten_adr = 127.0.0.1\npool_mode = sesion\n[databases]\nshop = host=127.0.0.1 poolsize=3\n' >bad.ini
check "an ini with misspelt words" 2 bad.ini -- "bad.ini:3: error: " "sesion" "bad.ini:5: error: " "  hint: " "bad.ini: proxy: "
[ "$(grep -c ': error: ' out)" -ge 2 ] || problem "not every mistake is named: $(cat out)"

check "a file that is not there" 1 nowhere.ini -- "nowhere.ini: error: cannot read nowhere.ini: No such file" "not readable"
check "several files: the worst counts" 2 good.ini bad.ini -- "no errors" "bad.ini: proxy: "

ini files.ini <<EOF
auth_file = $scratch/missing.txt
client_tls_sslmode = require
client_tls_cert_file = $scratch/missing.crt
client_tls_key_file = $scratch/certificate.pem
EOF
check "files that are not there" 2 files.ini -- "files.ini:2: warning: auth_file: cannot read $scratch/missing.txt" \
    "files.ini:4: error: client_tls_cert_file: cannot read $scratch/missing.crt: No such file"
if grep -q client_tls_key_file out; then problem "a readable key is complained of"; fi

printf '"shop" "secret-of-shop"\n"broken secret-of-broken\n' >broken.txt
printf 'local all all trust\nhost all all 127.0.0.1/99 md5\n' >broken_hba.conf
printf '# a map\n\nmap1 /[ shop\n' >broken_ident.conf
ini lines.ini <<EOF
auth_type = hba
auth_file = $scratch/broken.txt
auth_hba_file = $scratch/broken_hba.conf
auth_ident_file = $scratch/broken_ident.conf
EOF
check "wrong lines in the files it names" 2 lines.ini -- "$scratch/broken.txt:2: warning: " "$scratch/broken_hba.conf:2: error: " \
    "$scratch/broken_ident.conf:3: error: "

ini places.ini <<EOF
logfile = $scratch/missing/p.log
pidfile = $scratch/missing/p.pid
user = nobody-of-that-name
syslog = 1
syslog_facility = locale1
EOF
sed -i "s|^unix_socket_dir.*|unix_socket_dir = $scratch/missing|" places.ini
check "directories and names" 2 places.ini -- "places.ini:2: error: logfile: cannot write" "places.ini:3: error: pidfile: cannot write" \
    "places.ini:4: error: user: there is no system user 'nobody-of-that-name'" "places.ini:6: error: syslog_facility: " \
    "places.ini:7: error: unix_socket_dir: cannot make sockets in $scratch/missing"

cat >proxy.yml <<EOF
scope: demo
etcd3: {hosts: '127.0.0.1:1'}
proxy:
  unix_socket_dir: $scratch
  listeners:
    - {listen: "127.0.0.1:5000", route: primary}
    - {listen: "127.0.0.1:5001", route: standby}
EOF
check "a proxy's YAML" 0 proxy.yml -- "proxy.yml: proxy: 1 database, 0 users, listens on 127.0.0.1:5000, 127.0.0.1:5001" "no errors"
sed 's/route: standby/route: stanby/; s/unix_socket_dir/unix_socket_dri/' proxy.yml >bad_proxy.yml
check "a bad one" 2 bad_proxy.yml -- "bad_proxy.yml:4:" "unix_socket_dir" "bad_proxy.yml:7:" "stanby" "proxy: 2 errors"
sed "s|^proxy:|proxy:\n  auth_file: $scratch/missing.txt|" proxy.yml >strict.yml
check "what a pgbouncer.ini may have, a YAML may not" 2 strict.yml -- "strict.yml:4:3: error: auth_file"

cat >agent.yml <<EOF
scope: demo
name: n1
restapi: {listen: '127.0.0.1:8008'}
etcd3: {hosts: '127.0.0.1:1'}
postgresql:
  listen: 127.0.0.1:5432
  data_dir: $scratch/data
  authentication: {superuser: {username: postgres, password: secret-of-superuser}, replication: {username: r, password: secret-of-r}}
EOF
chmod 600 agent.yml
[ "$(id -u)" != 0 ] || chown postgres agent.yml
check "an agent's YAML" 0 agent.yml -- "agent.yml: agent: node n1 of cluster demo: no errors"
sed 's/^name: n1//; s/data_dir/data_drr/' agent.yml >bad_agent.yml
check "a bad one" 2 bad_agent.yml -- "bad_agent.yml" ": error: " "name is missing" "postgresql.data_dir is missing" "agent: 2 errors"
if grep -q 'proxy:' out; then problem "an agent's file was read as a proxy's"; fi
(cat agent.yml && sed -n '/^proxy/,$p' proxy.yml) >both.yml
check "one file for both" 0 both.yml -- "both.yml: agent: node n1 of cluster demo" "both.yml: proxy: 1 database"
printf 'scope: [demo\n' >broken.yml
check "no YAML at all" 2 broken.yml -- "broken.yml:" ": error: "

echo "== for programs"
as_user config check --format json files.ini nowhere.ini >out && problem "status 0 in spite of errors" || true
jq -e --arg missing "$scratch/missing.crt" '.[0].process == "proxy" and .[0].errors == 1 and .[1].errors == 1
    and ([.[0].problems[] | select(.severity == "error" and .line == 4 and .file == "files.ini" and (.text | contains($missing)))] | length == 1)' \
    out >/dev/null || problem "the JSON is wrong: $(cat out)"

says "usage" 2 "$pgkeel" config check -- "FILE is required"
says "no such format" 2 "$pgkeel" config check -f xml good.ini -- "xml"
says "the version" 0 "$pgkeel" proxy --version -- "pgkeel "
[ "$(head -1 out)" = "$("$pgkeel" version | head -1)" ] || problem "proxy --version says $(head -1 out)"
says "the help" 0 "$pgkeel" proxy --help -- "--quiet" "--daemon" "--reboot" "--verbose" "--user" "FILE"
says "no file" 2 "$pgkeel" proxy -- "FILE is required"
says "no such option" 2 "$pgkeel" proxy --quite good.ini -- "--quite"

refused "a bad configuration" 2 bad.ini -- "pgkeel proxy: bad.ini:3: " "pgkeel proxy: bad.ini:5: " "  hint: "
refused "no configuration" 1 nowhere.ini -- "cannot read nowhere.ini"
refused "missing files" 2 files.ini -- "client_tls_cert_file: cannot read"
refused "a broken hba file" 2 lines.ini -- "$scratch/broken_hba.conf:2: "
refused "a user that does not exist" 1 -u nobody-of-that-name good.ini -- "no system user 'nobody-of-that-name'"
if [ "$(id -u)" = 0 ]; then
    says "root" 1 "$pgkeel" proxy good.ini -- "the proxy does not run as root" "-u"
    says "root as root" 1 "$pgkeel" proxy -u root good.ini -- "user 'root' is root"
    refused "another user, without the right to" 1 -u nobody good.ini -- "cannot become system user 'nobody': Operation not permitted"
fi
refused "a daemon without a pidfile" 2 -d good.ini -- "a daemon needs a pidfile"
ini daemon.ini <<EOF
pidfile = $scratch/p.pid
EOF
refused "a daemon without a log" 2 --daemon daemon.ini -- "a daemon needs a log"

ini run.ini <<EOF
pidfile = $scratch/p.pid
logfile = $scratch/p.log
auth_file = $scratch/missing.txt
max_client_conn = 500
EOF
sleep 60 &
pids+=($!)
echo $! >p.pid
refused "a pidfile of a process that lives" 1 run.ini -- "$scratch/p.pid names process $!, which lives"
refused "and as a daemon" 1 -d run.ini -- "$scratch/p.pid names process $!, which lives"
[ "$(cat p.pid)" = $! ] || problem "the pidfile of another was changed"
echo "no number" >p.pid
refused "a pidfile that is none" 2 run.ini -- "$scratch/p.pid holds no process id"
rm -f p.pid
[ ! -e p.log ] || problem "a refused start has written a log: $(cat p.log)"

echo "== a daemon: pidfile, log, user, its end by TERM"
line='^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3} [A-Z0-9+-]+ \[[0-9]+\] '
start() { "$pgkeel" proxy "$@" -u "$user" run.ini >out 2>&1 </dev/null; }
start -d || problem "the daemon does not start: $(cat out)"
[ ! -s out ] || problem "a daemon says: $(cat out)"
pid=$(cat p.pid)
pids+=("$pid")
kill -0 "$pid" || problem "the pidfile names nobody right after the start"
[ "$(stat -c %U "/proc/$pid")" = "$user" ] || problem "it runs as $(stat -c %U "/proc/$pid")"
[ "$(ps -o ppid= -p "$pid" | tr -d ' ')" != $$ ] && [ "$(ps -o tty= -p "$pid" | tr -d ' ')" = '?' ] || problem "it is no daemon: $(ps -f -p "$pid")"
[ "$(ps -o sid= -p "$pid" | tr -d ' ')" != "$(ps -o sid= -p $$ | tr -d ' ')" ] || problem "it is in our session"
for stream in 0 1 2; do [ "$(readlink "/proc/$pid/fd/$stream")" = /dev/null ] || problem "stream $stream is $(readlink "/proc/$pid/fd/$stream")"; done
within 5 grep -qE "${line}WARNING .*auth_file: cannot read $scratch/missing.txt" p.log || problem "no warning in the log: $(cat p.log)"
if start -d; then problem "a second daemon starts"; fi
grep -q "names process $pid, which lives" out || problem "the second daemon says: $(cat out)"
kill "$pid"
within 5 gone "$pid" || problem "TERM does not end it"
[ ! -e p.pid ] || problem "the pidfile is left"
grep -qE "${line}LOG got SIGTERM, shutting down" p.log || problem "the log does not tell its end: $(cat p.log)"
! grep -vE "$line" p.log || problem "these lines are not PgBouncer's"

echo "== a stale pidfile is replaced; PIPE does no harm"
echo "$pid" >p.pid
start -d || problem "a stale pidfile stops the start: $(cat out)"
pid=$(cat p.pid)
pids+=("$pid")
kill -PIPE "$pid"
sleep 0.2
kill -0 "$pid" || problem "PIPE ends it"
kill -INT "$pid"
within 5 gone "$pid" || problem "INT does not end it"

echo "== in the foreground: standard error and the logfile, only the logfile with -q"
for quiet in "" -q; do
    : >p.log
    # shellcheck disable=SC2086
    as_user proxy $quiet run.ini >out 2>&1 </dev/null &
    pid=$!
    pids+=("$pid")
    within 5 grep -q "auth_file: cannot read" p.log || problem "no log: $(cat p.log)"
    [ "$(cat p.pid)" = "$pid" ] || problem "the pidfile holds $(cat p.pid), not $pid"
    kill -QUIT "$pid"
    within 5 gone "$pid" || { problem "QUIT does not end it"; continue; }
    status=0
    wait "$pid" || status=$?
    [ "$status" = 0 ] || problem "QUIT: status $status"
    if [ -z "$quiet" ]; then cmp -s out p.log || problem "standard error differs from the logfile: $(cat out)"; fi
    if [ -n "$quiet" ] && [ -s out ]; then problem "it is not quiet: $(cat out)"; fi
done

echo "== too few descriptors"
: >p.log
(
    ulimit -n 256
    exec as_user proxy -q run.ini
) >out 2>&1 </dev/null &
pid=$!
pids+=("$pid")
within 5 grep -qE "${line}WARNING the limit of open files is 256, and [0-9]+ may be needed: max_client_conn 500" p.log || problem "no warning of the limit: $(cat p.log out)"
kill "$pid"
within 5 gone "$pid" || problem "TERM does not end it"

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    echo "== syslog"
    ini syslog.ini <<EOF
pidfile = $scratch/p.pid
syslog = 1
syslog_ident = shop-pooler
syslog_facility = local3
EOF
    # A /dev of our own, where we are the system's log.
    cat >with_syslog <<EOF
set -e
mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/urandom c 1 9
socat -u UNIX-RECVFROM:/dev/log,fork,mode=666 OPEN:$scratch/syslog,creat,append &
log=\$!
for _ in \$(seq 100); do [ -S /dev/log ] && break; sleep 0.05; done
"$pgkeel" proxy -d -u postgres syslog.ini
kill "\$(cat p.pid)"
for _ in \$(seq 100); do grep -qs 'got SIGTERM' $scratch/syslog && break; sleep 0.05; done
kill "\$log"
EOF
    unshare -m bash with_syslog >out 2>&1 || problem "syslog: $(cat out)"
    # 19 * 8 + 6: local3, informational
    grep -qaE '^<158>.* shop-pooler\[[0-9]+\]: got SIGTERM, shutting down' syslog || problem "syslog got: $(cat syslog 2>/dev/null)"
fi

[ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
echo "all good"
