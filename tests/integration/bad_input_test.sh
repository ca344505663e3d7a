#!/usr/bin/env bash
# What a person or a stranger can get wrong: each mistake ends in one clear error that names the object, the value and the next step,
# and leaves the data as it was. Real etcd and PostgreSQL.
# usage: bad_input_test.sh PGKEEL
set -euo pipefail
pgkeel=$(readlink -f "$1")
export NO_COLOR=1
scratch=$(mktemp -d /tmp/pgkeel-bad-XXXXXX)
chmod 755 "$scratch"
bin_dir=${PGKEEL_TEST_BIN_DIR:-/usr/lib/postgresql/15/bin}
failures=0
pids=()

# PostgreSQL does not run as root, so neither does the agent.
if [ "$(id -u)" = 0 ]; then
    as_user() { runuser -u postgres -- "$@"; }
    chown postgres "$scratch"
else
    as_user() { "$@"; }
fi

problem() {
    failures=$((failures + 1))
    echo "FAILED: $*" >&2
}
# Ends one process that we started, and its PostgreSQL when it was an agent.
end() {
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$1" 2>/dev/null || true
}
cleanup() {
    for pid in "${pids[@]}"; do end "$pid"; done
    for file in "$scratch"/*/postmaster.pid; do
        [ -e "$file" ] && kill -QUIT "$(head -1 "$file")" 2>/dev/null
    done
    sleep 0.3
    rm -rf "$scratch"
}
trap cleanup EXIT
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# etcd_at NAME [ARGUMENTS]: sets $etcd_port. The last one started is $etcd_pid.
etcd_at() {
    local name=$1 peer
    shift
    etcd_port=$(free_port)
    peer=$(free_port)
    etcd --name="$name" --data-dir="$scratch/$name" --listen-client-urls="http://127.0.0.1:$etcd_port" \
        --advertise-client-urls="http://127.0.0.1:$etcd_port" --listen-peer-urls="http://127.0.0.1:$peer" \
        --initial-advertise-peer-urls="http://127.0.0.1:$peer" --initial-cluster="$name=http://127.0.0.1:$peer" \
        --logger=zap "$@" >"$scratch/$name.log" 2>&1 &
    etcd_pid=$!
    pids+=("$etcd_pid")
    within 15 etcdctl --endpoints="127.0.0.1:$etcd_port" endpoint health || { cat "$scratch/$name.log"; exit 1; }
}

# Writes a whole configuration; variables of the caller change one thing of it.
configuration() {
    cat >"$scratch/${file:-agent}.yml" <<EOF
scope: ${scope:-bad}
name: ${name:-n1}
restapi:
  listen: 127.0.0.1:${rest:-$rest_port}
  connect_address: 127.0.0.1:${rest:-$rest_port}
  authentication: {username: ops, password: secret-of-rest}
  ${rest_more:-}
etcd3:
  host: 127.0.0.1:${etcd:-$etcd_port}
  ${etcd_more:-}
bootstrap:
  dcs:
    ttl: 5
    loop_wait: 1
    retry_timeout: 2
    postgresql: {use_pg_rewind: true, parameters: {shared_buffers: 16MB, max_connections: 30}}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, data-checksums]
postgresql:
  listen: 127.0.0.1:${port:-$pg_port}
  connect_address: 127.0.0.1:${port:-$pg_port}
  data_dir: ${data:-$scratch/data}
  bin_dir: ${bin:-$bin_dir}
  pgpass: $scratch/pgpass
  authentication:
    superuser: {username: postgres, password: secret-of-superuser}
    replication: {username: replicator, password: secret-of-replication}
  parameters: {unix_socket_directories: $scratch}
  pg_hba: [local all all trust, host all all 127.0.0.1/32 scram-sha-256, host replication all 127.0.0.1/32 scram-sha-256]
${more:-}
EOF
    chmod 600 "$scratch/${file:-agent}.yml"
    [ "$(id -u)" != 0 ] || chown postgres "$scratch/${file:-agent}.yml"
}
# What the data directory holds, by content and by right. Nothing of it may change.
checksum() { (cd "${1:-$scratch/data}" 2>/dev/null && find . -printf '%p %m %s\n' -type f -exec sha256sum {} + | sort | sha256sum) || echo none; }

# refused LABEL WORDS...: the agent ends by itself with 1 or 2, says all the words, says only one error, and changes no data.
refused() {
    local label=$1 before after status=0 word errors
    shift
    echo "== $label"
    before=$(checksum "${data:-}")
    as_user timeout -k 5 "${patience:-25}" "$pgkeel" agent "$scratch/${file:-agent}.yml" >"$scratch/out" 2>&1 || status=$?
    after=$(checksum "${data:-}")
    [ "$status" = 1 ] || [ "$status" = 2 ] || problem "$label: ended with status $status: $(tail -5 "$scratch/out")"
    for word in "$@"; do grep -qF -- "$word" "$scratch/out" || problem "$label: '$word' is not in: $(cat "$scratch/out")"; done
    errors=$(grep -cE '^pgkeel agent: | (ERROR|CRITICAL): ' "$scratch/out" || true)
    [ "$errors" = "${errors_expected:-1}" ] || problem "$label: $errors errors instead of ${errors_expected:-1}: $(cat "$scratch/out")"
    if grep -q 'secret-of' "$scratch/out"; then problem "$label: a password is in its output"; fi
    [ "$before" = "$after" ] || problem "$label: the data directory has changed"
    [ -z "${SHOW:-}" ] || sed 's/^/    /' "$scratch/out"
}
# To be run in the background: every step replaces the one before, so that $! is the agent's own pid.
become_agent() {
    [ "$(id -u)" != 0 ] || exec setpriv --reuid=postgres --regid=postgres --init-groups "$pgkeel" agent "$1"
    exec "$pgkeel" agent "$1"
}
# Starts an agent in the background: $agent_pid.
agent() {
    become_agent "$scratch/agent.yml" >"$scratch/agent.log" 2>&1 &
    agent_pid=$!
    pids+=("$agent_pid")
}
code() { curl -s -o /dev/null -m 10 -w '%{http_code}' "$@" || true; }
leads() { [ "$(code "http://127.0.0.1:$rest_port/primary")" = 200 ]; }

etcd_at etcd-main
main_etcd=$etcd_port
main_etcd_pid=$etcd_pid
rest_port=$(free_port)
pg_port=$(free_port)

echo "== a cluster of one node, whose data has to survive all this"
configuration
agent
within 60 leads || { cat "$scratch/agent.log"; exit 1; }
PGPASSWORD=secret-of-superuser psql -qX "host=127.0.0.1 port=$pg_port user=postgres" -c 'create table kept as select generate_series(1, 1000)'

echo "== the reader of the log goes away"
file=piped name=n2 scope=piped etcd=1 rest=$(free_port) port=$(free_port) data=$scratch/piped configuration
become_agent "$scratch/piped.yml" > >(exec true) 2>&1 &
piped=$!
pids+=("$piped")
sleep 6  # it tries etcd every five seconds, and says so
kill -0 "$piped" 2>/dev/null || problem "the reader of the log went away, and the agent with it"
end "$piped"

echo "== strangers at the REST API"
python3 - "$rest_port" "$agent_pid" <<'EOF' || problem "the REST API did not hold (see above)"
import json, socket, sys, time, urllib.request, base64
port, agent = int(sys.argv[1]), int(sys.argv[2])
bad = []

def raw(data, wait=8):
    s = socket.create_connection(("127.0.0.1", port), timeout=wait)
    answer = b""
    try:
        s.sendall(data)
        while chunk := s.recv(65536):
            answer += chunk
    except (ConnectionError, socket.timeout):
        pass
    s.close()
    return answer

def status(answer):
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and answer.startswith(b"HTTP/") else 0

def expect(what, answer, *codes):
    if status(answer) not in codes:
        bad.append(f"{what}: {status(answer)} instead of {codes}: {answer[:200]!r}")

login = b"Authorization: Basic " + base64.b64encode(b"ops:secret-of-rest") + b"\r\n"
def post(path, body, head=login, method=b"POST"):
    return raw(method + b" " + path + b" HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

expect("garbage", raw(b"\x16\x03\x01\x00\xff" + bytes(range(256)) + b"\r\n\r\n"), 400)
expect("no version", raw(b"GET\r\n\r\n"), 400)
expect("a huge header", raw(b"GET /primary HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"), 431)
expect("many headers", raw(b"GET /primary HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n"), 431)
expect("two lengths", raw(b"POST /restart HTTP/1.1\r\n" + login + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), 400)
expect("a negative length", raw(b"POST /restart HTTP/1.1\r\n" + login + b"Content-Length: -1\r\n\r\n"), 400)
expect("a length that is none", raw(b"POST /restart HTTP/1.1\r\n" + login + b"Content-Length: 0x10\r\n\r\n"), 400)
expect("a length over all bounds", raw(b"POST /restart HTTP/1.1\r\n" + login + b"Content-Length: 99999999999999999999\r\n\r\n"), 400, 413)
expect("a length over the limit", raw(b"POST /restart HTTP/1.1\r\n" + login + b"Content-Length: 100000000\r\n\r\n"), 413)
expect("chunks and a length", raw(b"POST /restart HTTP/1.1\r\n" + login + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}"), 400, 411, 501)
expect("a folded header", raw(b"GET /primary HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), 200, 400)
expect("a zero byte", raw(b"GET /pri\x00mary HTTP/1.1\r\n\r\n"), 400)

for path, method in (b"/restart", b"POST"), (b"/reinitialize", b"POST"), (b"/switchover", b"POST"), (b"/failover", b"POST"), \
                    (b"/config", b"PATCH"), (b"/config", b"PUT"), (b"/reload", b"POST"), (b"/switchover", b"DELETE"):
    what = f"{method.decode()} {path.decode()}"
    expect(what + " without a login", post(path, b"{}", b"", method), 401)
    expect(what + " with a wrong password", post(path, b"{}", b"Authorization: Basic b3BzOndyb25n\r\n", method), 401)
    expect(what + " with a broken login", post(path, b"{}", b"Authorization: Basic \xff\xfe!!\r\n", method), 400, 401)
for path in b"/restart", b"/reinitialize", b"/switchover", b"/failover":
    for body in b"[]", b"1", b"\"x\"", b"{\"", b"\xff\xfe", b"[" * 100_000:
        expect(f"{path.decode()} with {body[:10]!r}", post(path, body), 400)
for body in (b'{"leader": 1}', b'{"leader": "n1", "candidate": {"a": []}}', b'{"leader": "n1", "scheduled_at": 5}',
             b'{"leader": "n1", "scheduled_at": "yesterday"}', b'{"leader": "nobody"}', b'{"leader": null, "candidate": null}'):
    expect(f"/switchover with {body!r}", post(b"/switchover", body), 400, 412, 422)
for body in b'{"schedule": 1}', b'{"schedule": "never"}', b'{"role": "king"}', b'{"postgres_version": {}}', b'{"timeout": "soon"}', b'{"timeout": -1}':
    expect(f"/restart with {body!r}", post(b"/restart", body), 400, 422)
for body in b"[]", b"1", b"{", b'{"ttl": "long"}', b'{"ttl": -1}', b'{"loop_wait": {}}', b'{"postgresql": 5}', b'{"postgresql": {"parameters": []}}':
    expect(f"PATCH /config with {body!r}", post(b"/config", body, method=b"PATCH"), 400, 422)
expect("an unknown action", post(b"/no-such-action", b"{}"), 404, 501)
expect("an unknown method", raw(b"BREW /primary HTTP/1.1\r\n\r\n"), 400, 501)
expect("a path of dots", raw(b"GET /../../etc/passwd HTTP/1.1\r\n\r\n"), 400, 404, 200, 503)
if b"root:" in raw(b"GET /../../etc/passwd HTTP/1.1\r\n\r\n"): bad.append("a file was given away")

# 600 connections that say nothing, or one byte a second: a health check is still answered.
idle = []
for i in range(600):
    try:
        s = socket.create_connection(("127.0.0.1", port), timeout=2)
        if i % 2: s.sendall(b"GET /pri")
        idle.append(s)
    except OSError as error:
        bad.append(f"connection {i} was not accepted: {error}")
        break
slowest = 0
for i in range(20):
    for s in idle[i::20]:
        try: s.sendall(b"m")
        except OSError: pass
    begin = time.monotonic()
    answer = raw(b"GET /primary HTTP/1.1\r\nHost: x\r\n\r\n")
    slowest = max(slowest, time.monotonic() - begin)
    expect("/primary while 600 strangers hold connections", answer, 200)
for s in idle: s.close()
if slowest > 2: bad.append(f"/primary took {slowest:.1f} s while 600 strangers held connections")
descriptors = 0
time.sleep(1)
import os
descriptors = len(os.listdir(f"/proc/{agent}/fd"))
if descriptors > 100: bad.append(f"the agent holds {descriptors} descriptors after they left")
for line in bad: print("  " + line, file=sys.stderr)
sys.exit(bool(bad))
EOF
leads || problem "the node does not lead any more after the strangers"
if grep -q 'secret-of' "$scratch/agent.log"; then problem "a password is in the agent's log"; fi
if grep -qE 'CRITICAL|terminate|Assertion' "$scratch/agent.log"; then problem "the agent's log: $(grep -E 'CRITICAL|terminate|Assertion' "$scratch/agent.log")"; fi

echo "== a second agent with this name"
second() {
    local rest data port
    rest=$(free_port)
    port=$(free_port)
    data=$scratch/second
    file=second configuration
    file=second refused "a second agent named n1" "n1" "127.0.0.1:$rest_port"
}
second
leads || problem "the first agent suffered from the second"

echo "== a file that is reloaded with another data directory"
data=$scratch/elsewhere configuration
kill -HUP "$agent_pid"
within 5 grep -q "$scratch/elsewhere" "$scratch/agent.log" || problem "SIGHUP with another data_dir: nothing is said"
sleep 2
leads || problem "SIGHUP with another data_dir cost the lease"
rest=$(free_port) configuration
kill -HUP "$agent_pid"
within 5 grep -q "not reloaded: restapi.listen cannot change" "$scratch/agent.log" || problem "SIGHUP with another restapi.listen: $(tail -3 "$scratch/agent.log")"
leads || problem "SIGHUP with another restapi.listen cost the lease"
configuration
echo "scope: [" >>"$scratch/agent.yml"
kill -HUP "$agent_pid"
within 5 grep -q "not reloaded.*agent.yml" "$scratch/agent.log" || problem "SIGHUP with a broken file: $(tail -3 "$scratch/agent.log")"
leads || problem "SIGHUP with a broken file cost the lease"
configuration

end "$agent_pid"
[ ! -e "$scratch/data/postmaster.pid" ] || problem "PostgreSQL runs although its agent was stopped"

echo "== the file"
printf 'scope: bad\nname: n1\npostgresql:\n  listen: "127.0.0.1:1\n  data_dir: /x\n' >"$scratch/agent.yml"
refused "broken YAML" "agent.yml:4:11:"
printf 'scope: bad\nname: n1\n  indented: wrong\n' >"$scratch/agent.yml"
refused "broken indentation" "agent.yml:3"
configuration
sed -i '/^name:/d' "$scratch/agent.yml"
refused "no name" "name"
configuration
sed -i '/^scope:/d' "$scratch/agent.yml"
refused "no scope" "scope"
configuration
sed -i '/data_dir:/d' "$scratch/agent.yml"
refused "no data_dir" "data_dir"
configuration
sed -i '/^etcd3:/,/^bootstrap:/{/^bootstrap:/!d}' "$scratch/agent.yml"
refused "no etcd" "etcd"
more='pgkeel: {quorum_fensing: true}' configuration
refused "an unknown key of our own" "quorum_fensing"
port=70000 configuration
refused "a port that is none" "70000"
file=missing refused "no such file" "missing.yml"
rm -f "$scratch/missing.yml"
configuration
if [ "$(id -u)" = 0 ]; then
    echo "== the agent as root"
    status=0
    "$pgkeel" agent "$scratch/agent.yml" >"$scratch/out" 2>&1 || status=$?
    [ "$status" = 2 ] && grep -q "root" "$scratch/out" && grep -q hint "$scratch/out" || problem "as root: $status $(cat "$scratch/out")"
    chmod 000 "$scratch/agent.yml" && chown root "$scratch/agent.yml"
    refused "an unreadable file" "agent.yml" "ermission"
    rm -f "$scratch/agent.yml"
fi
configuration
chmod 644 "$scratch/agent.yml"
"$pgkeel" agent --validate-config "$scratch/agent.yml" >"$scratch/out" 2>&1 || problem "a file that others can read is refused: $(cat "$scratch/out")"
grep -q "warning.*agent.yml" "$scratch/out" && grep -q "chmod" "$scratch/out" || problem "no warning of a file with passwords that others can read: $(cat "$scratch/out")"

echo "== what the file names"
bin=/nowhere/bin configuration
refused "no PostgreSQL" "/nowhere/bin" "postgresql.bin_dir"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/rest.key" -out "$scratch/rest.crt" -subj /CN=127.0.0.1 -days 2 2>/dev/null
chmod 644 "$scratch/rest.crt"
chmod 000 "$scratch/rest.key"
rest_more="{}" configuration
sed -i "s#^  {}#  certfile: $scratch/rest.crt\n  keyfile: $scratch/rest.key#" "$scratch/agent.yml"
refused "an unreadable TLS key" "rest.key"
echo garbage >"$scratch/garbage.key"
chmod 644 "$scratch/garbage.key"
rest_more="{}" configuration
sed -i "s#^  {}#  certfile: $scratch/rest.crt\n  keyfile: $scratch/garbage.key#" "$scratch/agent.yml"
refused "a TLS key that is none" "garbage.key"

python3 -c '
import socket, time
s = [socket.socket(), socket.socket()]
for one in s: one.bind(("127.0.0.1", 0)); one.listen()
print(s[0].getsockname()[1], s[1].getsockname()[1], flush=True); time.sleep(300)' >"$scratch/taken" &
pids+=($!)
within 5 test -s "$scratch/taken"
read -r taken_rest taken_pg <"$scratch/taken"
rest=$taken_rest configuration
refused "the REST API's port is taken" "$taken_rest" "in use"
pg_port_taken() {
    # An agent waits for its port: somebody may give it back. What it says names the port.
    echo "== PostgreSQL's port is taken"
    port=$taken_pg configuration
    agent
    within 15 grep -E "ERROR.*$taken_pg" "$scratch/agent.log" || problem "PostgreSQL's port is taken: $(tail -5 "$scratch/agent.log")"
    [ "$(code "http://127.0.0.1:$rest_port/primary")" = 503 ] || problem "it claims to be the primary without its port"
    end "$agent_pid"
}
pg_port_taken

echo "== etcd"
etcd_port=$(free_port)
configuration
echo "== etcd is not there: the agent waits and says so"
before=$(checksum)
agent
within 10 grep "waiting for etcd.*$etcd_port" "$scratch/agent.log" || problem "it does not say that it waits for etcd: $(cat "$scratch/agent.log")"
end "$agent_pid"
if kill -0 "$agent_pid" 2>/dev/null; then problem "an agent that waits for etcd does not stop"; fi
[ "$before" = "$(checksum)" ] || problem "waiting for etcd changed the data"

etcd_at etcd-auth
ctl() { etcdctl --endpoints="127.0.0.1:$etcd_port" "$@" >/dev/null; }
ctl user add root:right
ctl user grant-role root root
ctl auth enable
configuration
sed -i "s#^  host: 127.0.0.1:$etcd_port#&\n  username: root\n  password: secret-of-etcd#" "$scratch/agent.yml"
refused "wrong credentials of etcd" "etcd" "root"
end "$etcd_pid"

# The flag exists in the configuration file alone; curl says whether this etcd obeys it.
etcd_port=$(free_port)
peer=$(free_port)
cat >"$scratch/plain.yml" <<EOF
name: plain
data-dir: $scratch/etcd-plain
listen-client-urls: http://127.0.0.1:$etcd_port
advertise-client-urls: http://127.0.0.1:$etcd_port
listen-peer-urls: http://127.0.0.1:$peer
initial-advertise-peer-urls: http://127.0.0.1:$peer
initial-cluster: plain=http://127.0.0.1:$peer
enable-grpc-gateway: false
EOF
etcd --config-file "$scratch/plain.yml" >"$scratch/plain.log" 2>&1 &
pids+=($!)
within 15 etcdctl --endpoints="127.0.0.1:$etcd_port" endpoint health
[ "$(code -X POST -d '{"key":"AA=="}' "http://127.0.0.1:$etcd_port/v3/kv/range")" = 404 ] || problem "this etcd has its gateway all the same"
echo "== an etcd without its JSON gateway: the agent says what to change"
configuration
agent
within 10 grep "enable-grpc-gateway" "$scratch/agent.log" || problem "an etcd without its gateway: $(cat "$scratch/agent.log")"
end "$agent_pid"

echo "== data"
etcd_port=$main_etcd
configuration
mkdir -p "$scratch/stuff" && echo precious >"$scratch/stuff/file"
[ "$(id -u)" != 0 ] || chown -R postgres "$scratch/stuff"
chmod 700 "$scratch/stuff"
data=$scratch/stuff name=n2 scope=other configuration
data=$scratch/stuff refused "a data directory of something else" "$scratch/stuff" "postgresql.data_dir"
foreign() {
    local data=$scratch/foreign
    as_user "$bin_dir/initdb" -D "$data" >/dev/null
    port=$(free_port) rest=$(free_port) name=n3 configuration
    # By itself a node that leads nobody would start, so the keys of the cluster are there.
    data=$scratch/foreign refused "a data directory of another cluster" "belongs to a different cluster" "n3"
}
foreign

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    echo "== a full disk"
    mkdir -p "$scratch/small"
    full() {
        mount -t tmpfs -o size="$1" none "$scratch/small" && chown postgres "$scratch/small" && chmod 700 "$scratch/small"
        exec setpriv --reuid=postgres --regid=postgres --init-groups timeout -k 5 "$2" "$pgkeel" agent "$scratch/full.yml"
    }
    export -f full
    export pgkeel scratch
    status=0
    data=$scratch/small/data rest=$(free_port) port=$(free_port) scope=full name=f1 file=full configuration
    unshare -m bash -c 'full 12m 40' >"$scratch/out" 2>&1 || status=$?
    [ "$status" = 1 ] || problem "a full disk at the bootstrap: status $status: $(tail -5 "$scratch/out")"
    grep -qi "no space left" "$scratch/out" && grep -q "CRITICAL: Failed to bootstrap" "$scratch/out" || problem "a full disk at the bootstrap: $(tail -8 "$scratch/out")"
    [ -z "$(etcdctl --endpoints="127.0.0.1:$main_etcd" get /service/full/initialize --print-value-only)" ] || problem "the key initialize is left after a failed bootstrap"

    configuration
    agent
    within 30 leads || problem "the first node does not come back: $(tail -5 "$scratch/agent.log")"
    replica_rest=$(free_port)
    data=$scratch/small/data rest=$replica_rest port=$(free_port) name=n4 file=full configuration
    unshare -m bash -c 'full 20m 15' >"$scratch/out" 2>&1 &
    full_pid=$!
    pids+=("$full_pid")
    within 14 grep -qiE "ERROR.*no space left" "$scratch/out" || problem "a full disk at the base backup: $(tail -8 "$scratch/out")"
    leads || problem "the primary suffers from the full disk of another node"
    wait "$full_pid" || true
    if grep -q 'secret-of' "$scratch/out"; then problem "a password is in the output of a failed base backup"; fi
    end "$agent_pid"
fi

echo "== a socket's lock file that a killed server has left, with the number of a process that lives"
as_user sleep 300 &
pids+=($!)
within 5 pgrep -u "$(stat -c %U "$scratch/data")" -x sleep
stale=$(pgrep -u "$(stat -c %U "$scratch/data")" -nx sleep)
pids+=("$stale")
printf '%s\n%s\n%s\n%s\n' "$stale" "$scratch/data" "$(date +%s)" "$pg_port" >"$scratch/.s.PGSQL.$pg_port.lock"
[ "$(id -u)" != 0 ] || chown postgres "$scratch/.s.PGSQL.$pg_port.lock"
touch "$scratch/.s.PGSQL.$pg_port"

echo "== after all this the data is there"
configuration
agent
within 30 leads || problem "the node does not lead: $(tail -5 "$scratch/agent.log")"
[ "$(PGPASSWORD=secret-of-superuser psql -AtqX "host=127.0.0.1 port=$pg_port user=postgres" -c 'select count(*) from kept')" = 1000 ] || problem "rows are missing"
end "$agent_pid"
end "$main_etcd_pid"
[ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
echo "all good"
