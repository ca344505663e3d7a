#!/usr/bin/env bash
# Every member of etcd dies and is replaced by a new one at another address, one after the other, under clients that write through the
# proxy, as docs/replace-etcd-member.md says. In the end no address is left that any file names. Real etcd and PostgreSQL.
# usage: etcd_replacement_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

now() { date +%s.%N; }
timeline() { sql "select pg_walfile_name(pg_current_wal_lsn())" | cut -c1-8; }
says() { grep -qE -- "$1" "$scratch/said" || failed "expected '$1'"; }

# ---- etcd, as its operator sees it: members that live, and the ports of their clients
declare -A port_of=() pid_of=()
endpoints() { for name in "${!port_of[@]}"; do echo "https://127.0.0.1:${port_of[$name]}"; done | sort | paste -sd,; }
etcd_root() {
    timeout 20 env ETCDCTL_API=3 etcdctl --cacert="$dir/tls/ca.crt" --user="root:$(jq -r .passwords.etcd_root "$dir/cluster.json")" \
        --endpoints="$(endpoints)" "$@"
}
member_id() { etcd_root member list 2>/dev/null | awk -F', ' -v name="$1" '$3 == name { print $1 }'; }
all_are_healthy() { etcd_root endpoint health && [ "$(etcd_root member list | grep -c ', started, ')" = 3 ]; }
leader_key() { etcd_root get /service/demo/leader -w json 2>/dev/null | jq -r '.kvs[0] | "\(.value | @base64d) \(.create_revision)"'; }

# A new member without data, with the flags of those that `pgkeel up` has started, which knows nothing of it.
start_etcd() {
    local name=$1 client=$2 peer=$3 cluster=$4
    mkdir -m 700 "$scratch/$name"
    etcd --name="$name" --data-dir="$scratch/$name/data" \
        --listen-client-urls="https://127.0.0.1:$client" --advertise-client-urls="https://127.0.0.1:$client" \
        --listen-peer-urls="https://127.0.0.1:$peer" --initial-advertise-peer-urls="https://127.0.0.1:$peer" \
        --initial-cluster="$cluster" --initial-cluster-state=existing \
        --cert-file="$dir/tls/etcd-1.crt" --key-file="$dir/tls/etcd-1.key" \
        --peer-cert-file="$dir/tls/etcd-1.crt" --peer-key-file="$dir/tls/etcd-1.key" --peer-trusted-ca-file="$dir/tls/ca.crt" \
        --peer-client-cert-auth=true --heartbeat-interval=50 --election-timeout=500 --logger=zap --log-outputs=stderr \
        >"$scratch/$name/log" 2>&1 &
    pid_of[$name]=$!
    started+=("$!")
    disown
}

# replace OLD NEW [MEANWHILE]: as the operator does it.
replace() {
    local old=$1 new=$2 client peer began pause
    step "$old is killed, and $new takes its place"
    began=$(now)
    kill -9 "${pid_of[$old]}"
    unset "port_of[$old]"
    [ -z "${3:-}" ] || "$3"
    removed() {  # while etcd elects a leader it says no, or may have done it and not say so
        local id
        id=$(member_id "$old") || return 1
        [ -z "$id" ] || etcd_root member remove "$id" >"$scratch/said" 2>&1
    }
    within 10 removed || failed "member remove $old"
    read -r client peer < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
    # "unhealthy cluster": one of the others has been there for less than five seconds.
    added() { etcd_root member add "$new" --peer-urls="https://127.0.0.1:$peer" >"$scratch/said" 2>&1; }
    within 20 added || failed "member add $new"
    start_etcd "$new" "$client" "$peer" "$(sed -n 's/^ETCD_INITIAL_CLUSTER="\(.*\)"$/\1/p' "$scratch/said")"
    port_of[$new]=$client
    within 10 all_are_healthy || failed "$new does not join: $(etcd_root member list 2>&1) $(tail -3 "$scratch/$new/log")"
    pause=$(longest_pause "$began")
    echo "   $(awk -v a="$began" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }') s; no client waited longer than $pause ms"
    nothing_has_moved "$old was replaced"
}

# ---- the clients
# "client number port timeline begin end": how long a client was without an acknowledgement at most, in ms.
longest_pause() {
    awk -v since="$1" -v till="$(now)" '
        $6 > since { gap = $6 - ($1 in last ? last[$1] : since); if (gap > most) most = gap }
        { last[$1] = $6 }
        END { for (c in last) if (till - last[c] > most) most = till - last[c]; printf "%d\n", most * 1000 }' "$scratch/acknowledged"
}
nothing_has_moved() {
    local pause
    [ "$(leader_key)" = "$lead_key" ] || failed "$1: the leader key is '$(leader_key)', and was '$lead_key'"
    [ "$(primary) $(timeline) $(postmaster_pid "$lead")" = "$lead $line $server" ] || failed "$1: the primary is $(primary) on $(timeline)"
    [ -z "$(lost_routed_rows)" ] || failed "$1: acknowledged rows are lost: $(lost_routed_rows | wc -l), $(lost_routed_rows | head -5 | tr '\n' ' ')"
    # A primary that loses the lead stops; the next one comes after more than this.
    pause=$(longest_pause "$began_all")
    [ "$pause" -lt 3000 ] || failed "$1: a client waited $pause ms"
}

# uses PROCESS MEMBER: it has a connection to this member of etcd.
uses() {
    python3 - "$(agent_pid "$1")" "${port_of[$2]}" <<'PY'
import os, sys
pid, port = sys.argv[1], int(sys.argv[2])
own = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if os.path.islink(f"/proc/{pid}/fd/{fd}")}
connections = [line.split() for line in open("/proc/net/tcp").readlines()[1:]]
sys.exit(not any(c[3] == "01" and int(c[2].split(":")[1], 16) == port and f"socket:[{c[9]}]" in own for c in connections))
PY
}
file_of() {
    case $1 in
    commands) echo "$dir/pgkeel.yml" ;;
    proxy) echo "$dir/proxy/proxy.yml" ;;
    *) echo "$dir/$1/agent.yml" ;;
    esac
}
log_of() { if [ "$1" = proxy ]; then echo "$dir/proxy/proxy.log"; else echo "$dir/$1/agent.log"; fi; }
# name_hosts OF MEMBER…: etcd3.hosts of its file.
name_hosts() {
    local file member hosts=()
    file=$(file_of "$1")
    for member in "${@:2}"; do hosts+=("127.0.0.1:${port_of[$member]}"); done
    python3 - "$file" "${hosts[@]}" <<'PY'
import re, sys
path, *hosts = sys.argv[1:]
text, count = re.subn(r'(\netcd3:\n  hosts:\n)(?: +- .*\n)+', lambda m: m[1] + "".join(f"    - {h}\n" for h in hosts), open(path).read())
assert count == 1, "no etcd3.hosts in " + path
open(path, "w").write(text)
PY
}

start_cluster
for name in etcd-1 etcd-2 etcd-3; do
    port_of[$name]=$(jq -r --arg name $name '.etcd[] | select(.name == $name).client_port' "$dir/cluster.json")
    pid_of[$name]=$(agent_pid $name)
done
within 60 is_healthy || failed "the new cluster has no two streaming replicas: $(members)"
start_routed_clients
within 10 writes_went_on 100 || failed "the clients do not write: $(cat "$scratch/clients.log")"
lead=$(primary) line=$(timeline) server=$(postmaster_pid "$(primary)") lead_key=$(leader_key)
began_all=$(now)
sleep 2
echo "   undisturbed, no client waits longer than $(longest_pause "$began_all") ms"

# The last one first: agents and proxy use the first one of their files as long as it lives, so nothing but etcd's own list
# tells them of the others.
replace etcd-3 etcd-4
replace etcd-2 etcd-5
step "agents and proxy learn of the new members"
for name in pg-a pg-b pg-c proxy; do
    within 15 grep -qE "etcd has other members now: .*:${port_of[etcd-5]}" "$(log_of $name)" || failed "$name has not learned of etcd-5"
done
# A command knows nothing but its file, of which no address is left: it looks for 10 s, which is longer than a lease.
look_for_etcd() {
    (
        trap - ERR EXIT
        set +e
        "$pgkeel" list --dir "$dir" >"$scratch/list" 2>&1
        echo $? >"$scratch/list.status"
    ) &
}
replace etcd-1 etcd-6 look_for_etcd

step "no address that a file names is left: the agents go on, and a command says where it has looked"
before=$(acknowledged)
within 15 test -s "$scratch/list.status" || failed "list does not end"
cp "$scratch/list" "$scratch/said"
[ "$(cat "$scratch/list.status")" = 1 ] || failed "list has found etcd"
for port in $(jq -r '.etcd[].client_port' "$dir/cluster.json"); do says "127.0.0.1:$port"; done
within 5 writes_went_on $((before + 100)) || failed "nobody writes any more"
nothing_has_moved "the last of the old members was replaced"

step "the files are changed and read again, one after the other"
name_hosts commands etcd-4 etcd-5 etcd-6
for name in pg-a pg-b pg-c proxy; do
    # In an order whose first one is not the one that it uses already.
    hosts=(etcd-4 etcd-5 etcd-6)
    while uses $name "${hosts[0]}"; do
        [ "${hosts[0]}" != etcd-6 ] || failed "$name uses every member"
        hosts=("${hosts[@]:1}" "${hosts[0]}")
    done
    name_hosts $name "${hosts[@]}"
    if [ $name = proxy ]; then
        kill -HUP "$(agent_pid proxy)"
    else
        "$pgkeel" reload $name --dir "$dir" --force >"$scratch/said" 2>&1 || failed "reload $name"
    fi
    within 5 uses $name "${hosts[0]}" || failed "$name does not use ${hosts[0]}, the first host of its file"
done
within 10 is_healthy || failed "not healthy after the reload: $(members)"
sleep 2
nothing_has_moved "the files were read again"
echo "   through all of it no client waited longer than $(longest_pause "$began_all") ms"

step "an agent that is started with the new file finds etcd"
again=$(a_standby)
kill "$(agent_pid "$again")"
is_gone() { members | jq -e 'length == 2' >/dev/null; }
within 20 is_gone || failed "$again is still there: $(members)"
as=()
[ "$(id -u)" != 0 ] || as=(setpriv --reuid "$(stat -c %U "$dir/$again/data")" --regid "$(stat -c %G "$dir/$again/data")" --init-groups --reset-env)
(
    trap - ERR EXIT
    exec "${as[@]}" "$pgkeel" agent "$dir/$again/agent.yml" >>"$dir/$again/agent.log" 2>&1
) &
agent=$!
started+=("$agent")
disown
within 5 test -r /proc/$agent/stat
echo "$agent $(cut -d' ' -f22 /proc/$agent/stat) $(cat /proc/sys/kernel/random/boot_id)" >"$dir/$again/pid"  # for `down`
within 20 is_healthy || failed "$again did not come back: $(members)"
nothing_has_moved "$again was started again"

step "a switchover"
"$pgkeel" switchover --candidate "$again" --force --dir "$dir" >"$scratch/said" 2>&1 || failed "the switchover failed"
grep '^write pause' "$scratch/said" | sed 's/^/   /'
leads "$again" || failed "$again does not lead after the switchover"
within 20 is_healthy || failed "not healthy after the switchover: $(members)"
within 10 writes_went_on $(($(acknowledged) + 100)) || failed "nobody writes after the switchover"

kill "$clients"
wait "$clients" || true
grep -v running "$scratch/clients.log" | sed 's/^/   /'
if grep -q "WRONG SERVER\|NOT SERVED\|Traceback" "$scratch/clients.log"; then failed "the clients: $(cat "$scratch/clients.log")"; fi
[ -z "$(lost_routed_rows)" ] || failed "acknowledged rows are lost: $(lost_routed_rows | wc -l), $(lost_routed_rows | head -5 | tr '\n' ' ')"
"$pgkeel" down --purge --force --dir "$dir" >"$scratch/said" 2>&1 || failed "down"
echo "all good: $(acknowledged) rows in $SECONDS s"
