#!/usr/bin/env bash
# pgkeel rotate-credentials on a real cluster while clients write: nothing is interrupted by it, nothing secret leaks, it can be interrupted
# anywhere and run again, with synchronous replication too, a failover in the middle of it is survived, and afterwards the new passwords are in
# force everywhere.
# usage: rotate_credentials_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

rotate() { timeout 120 "$pgkeel" rotate-credentials --dir "$dir" "$@" </dev/null >"$scratch/said" 2>&1; }
says() { grep -qE -- "$1" "$scratch/said" || failed "expected '$1'"; }
refused() {
    local expected=$1 words=$2 status=0
    shift 2
    rotate "$@" || status=$?
    [ "$status" = "$expected" ] || failed "expected the exit status $expected, got $status: $*"
    says "$words"
}
rotate_in_background() {
    "$pgkeel" rotate-credentials --dir "$dir" --force </dev/null >"$scratch/background" 2>&1 &
    rotation=$!
    started+=("$rotation")
}
kill_rotation() {
    kill -9 "$rotation" 2>/dev/null || true
    wait "$rotation" 2>/dev/null || true
}
background_says() { grep -qE "$1" "$scratch/background"; }
fits_80_columns() { [ "$(grep -v '^  pg-' "$scratch/said" | awk '{ if (length($0) > most) most = length($0) } END { print most }')" -le 80 ] || failed "wider than 80 columns"; }

phase() { etcd_ctl get --print-value-only /service/demo/rotation | jq -r '.phase' 2>/dev/null; }
phase_is() { [ "$(phase)" = "$1" ]; }
password() { jq -r ".passwords.$1" "$dir/cluster.json"; }
port_of() { jq -r --arg name "$1" '.nodes[] | select(.name == $name).postgres_port' "$dir/cluster.json"; }
# login NODE ROLE PASSWORD [CONNECTION PARAMETERS]: as anybody would do it.
login() { PGPASSWORD=$3 PGPASSFILE=/dev/null timeout 10 psql "host=127.0.0.1 port=$(port_of "$1") dbname=postgres user=$2 sslmode=require ${4:-}" -X -At -c "${5:-select 1}" 2>&1; }
takes() { login "$@" >/dev/null; }
refuses() { (login "$@" || true) | grep -q 'password authentication failed'; }
remember_passwords() { for role in superuser replication rewind; do password $role; done >>"$scratch/secrets"; }
new_passwords_in_force() {
    local old_superuser=$1 old_replication=$2 old_rewind=$3 name lead
    lead=$(leader)
    for name in pg-a pg-b pg-c; do
        refuses $name postgres "$old_superuser" || failed "$name does not refuse the old password of the superuser"
        takes $name postgres "$(password superuser)" || failed "$name does not take the new password of the superuser"
        ! grep -q '"other"' "$dir/$name/agent.yml.credentials" || failed "$name has not forgotten the old passwords"
    done
    refuses "$lead" replicator "$old_replication" replication=true IDENTIFY_SYSTEM || failed "the old replication password is taken"
    takes "$lead" replicator "$(password replication)" replication=true IDENTIFY_SYSTEM || failed "the new replication password is refused"
    refuses "$lead" rewinder "$old_rewind" || failed "the old rewind password is taken"
    takes "$lead" rewinder "$(password rewind)" || failed "the new rewind password is refused"
    [ -z "$(phase)" ] || failed "the key rotation is still there"
}
passwords() { echo "$(password superuser) $(password replication) $(password rewind)"; }
# What every finished rotation has to have left behind: the passwords of before, one word, are of no use.
rotated() {
    local former
    read -ra former <<<"$1"
    says '^4/4  all: '
    remember_passwords
    new_passwords_in_force "${former[@]}"
    within 20 all_stream || failed "not healthy: $(members)"
}
# A standby that has not replayed the change takes the old password.
resume_replay() { login "$1" postgres "${2%% *}" '' 'select pg_wal_replay_resume()' >/dev/null; }
# As is_healthy, and a standby may be synchronous.
all_stream() {
    members | jq -e 'length == 3 and ([.[] | select(.Role == "Leader" and .State == "running")] | length == 1)
        and ([.[] | select(.State == "streaming")] | length == 2) and (map(.TL) | unique | length == 1)' >/dev/null &&
        [ "$(sql "select count(*) from pg_stat_replication where state = 'streaming'")" = 2 ]
}
walsenders() { sql 'select pid from pg_stat_replication order by 1' | tr '\n' ' '; }

# Two clients with a role of their own: one at the servers, one through the proxy. Every failed write is kept.
client() {
    trap - ERR EXIT
    set +e
    local n=0
    while :; do
        n=$((n + 1))
        if PGSERVICEFILE=$dir/pg_service.conf PGCONNECT_TIMEOUT=10 psql "service=$1 user=app passfile=$scratch/app.pgpass" -X -q \
            -c "insert into written values ('$1', $n)" >/dev/null 2>"$scratch/$1.said"; then
            echo $n >>"$scratch/$1.written"
        else
            cat "$scratch/$1.said" >>"$scratch/$1.failed"
        fi
    done
}
start_clients() {
    : >"$scratch/demo.failed"
    : >"$scratch/demo-proxy-pooled.failed"
    client demo &
    clients=("$!")
    client demo-proxy-pooled &
    clients+=("$!")
    started+=("${clients[@]}")
}
stop_clients() { kill "${clients[@]}"; wait "${clients[@]}" 2>/dev/null || true; }
no_write_failed() {
    local service
    for service in demo demo-proxy-pooled; do
        [ ! -s "$scratch/$service.failed" ] || failed "a write failed ($service) after: $1: $(head -3 "$scratch/$service.failed")"
        [ "$(wc -l <"$scratch/$service.written")" -gt 3 ] || failed "$service has not written enough: this tested nothing"
    done
}
watch_processes() {
    while :; do ps -eo args; sleep 0.05; done >"$scratch/processes" 2>/dev/null &
    started+=("$!")
}

start_cluster
within 20 all_stream || failed "not healthy after the start"
remember_passwords
app=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
sql "create role app login password '$app'; create table written (client text, n int); grant insert on written to app" >/dev/null
jq -r --arg app "$app" '(.nodes[].postgres_port, .proxy[]) | "127.0.0.1:\(.):*:app:\($app)"' "$dir/cluster.json" >"$scratch/app.pgpass"
chmod 600 "$scratch/app.pgpass"
start_clients
watch_processes

step "what is refused, and a dry run"
rotate --dry-run
says '^   1  pg-a, pg-b, pg-c  keep the new passwords'
fits_80_columns
refused 2 'standard input is not a terminal'
refused 1 "neither a member of cluster demo" everybody --force
refused 2 'is not superuser, replication or rewind' pg-a --force
[ -z "$(phase)" ] || failed "a refusal has left the key rotation"
before=$(password superuser)
api=https://$(rest_address pg-a)/pgkeel/credentials
status_of() { curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/tls/ca.crt" "$@" -d '{"action":"look"}' "$api"; }
certificate=(--cert "$dir/tls/client.crt" --key "$dir/tls/client.key")
rest_user() { printf 'user = "pgkeel:%s"\n' "$(password rest)"; }
[ "$(status_of)" = 403 ] || failed "without a certificate: $(status_of)"
[ "$(status_of "${certificate[@]}")" = 401 ] || failed "without a password: $(status_of "${certificate[@]}")"
# As an agent is spoken to by the command; nothing secret on the command line.
tell() { curl -s -K <(rest_user) --cacert "$dir/tls/ca.crt" "${certificate[@]}" -d @- "https://$(rest_address "$1")/pgkeel/credentials" <<<"$2"; }
tell pg-a '{"action":"prepare","rotation":"1","passwords":{"postgres":"x"}}' | grep -q 'no rotation is under way' || failed "an agent obeys without the key"

step "while clients write: no write fails, no wal receiver is lost"
old=$(passwords)
senders=$(walsenders)
rotate --force
sed 's/^/   /' "$scratch/said"
fits_80_columns
rotated "$old"
[ "$senders" = "$(walsenders)" ] || failed "a wal receiver was lost: $senders, now $(walsenders)"
[ "$(password superuser)" != "$before" ] || failed "cluster.json has the old password"
no_write_failed "a rotation"
"$pgkeel" psql --dir "$dir" -- -X -At -c 'select 1' >/dev/null
"$pgkeel" psql --proxy pooled --dir "$dir" -- -X -At -c 'select 1' >/dev/null
"$pgkeel" query --dir "$dir" -c 'select 1' >/dev/null

# From here on the change is a commit that waits for a standby.
synchronous() { members | jq -e "[.[] | select(.Role == \"Sync Standby\")] | length == $1" >/dev/null; }
"$pgkeel" edit-config --dir "$dir" --force -s synchronous_mode=true >/dev/null
within 10 synchronous 1 || failed "nobody is synchronous: $(members)"

step "interrupted while members prepare: as a command that was killed leaves it; then one role alone"
old=$(passwords)
etcd_ctl put /service/demo/rotation '{"id":"dead","phase":"prepare","roles":["postgres"],"members":["pg-a","pg-b","pg-c"]}' >/dev/null
[ "$(tell pg-b '{"action":"prepare","rotation":"dead","passwords":{"postgres":"never-in-force"}}')" = "done" ] || failed "pg-b does not prepare"
tell pg-b '{"action":"commit","rotation":"dead"}' | grep -q 'phase prepare' || failed "an agent commits too early"
rotate replication --force
says 'interrupted before anything had changed'
remember_passwords
[ "$(password superuser) $(password rewind)" = "$(cut -d' ' -f1,3 <<<"$old")" ] || failed "other passwords changed as well"
refuses "$(leader)" replicator "$(cut -d' ' -f2 <<<"$old")" replication=true IDENTIFY_SYSTEM || failed "the old replication password is taken"
no_write_failed "a rotation that was interrupted"

step "killed while the primary is told, and a wal receiver that must come back before anybody finishes it"
old=$(passwords)
lead=$(leader)
# Whoever changes the role at the same time makes the agent wait.
PGAPPNAME=holder sql_on "$lead" 'begin; alter role replicator connection limit -1; select pg_sleep(18)' >/dev/null 2>&1 &
holds() { [ "$(sql "select count(*) from pg_stat_activity where application_name = 'holder' and wait_event = 'PgSleep'")" = 1 ]; }
within 10 holds || failed "nobody holds the role"
rotate_in_background
alter_waits() { [ "$(sql "select count(*) from pg_stat_activity where application_name = 'pgkeel rotation' and wait_event_type = 'Lock'")" = 1 ]; }
within 10 alter_waits || failed "the ALTER ROLE does not wait: $(cat "$scratch/background")"
kill_rotation
phase_is commit || failed "expected phase commit: $(phase)"
sql "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holder'" >/dev/null
changed() { refuses "$lead" replicator "$(cut -d' ' -f2 <<<"$old")" replication=true IDENTIFY_SYSTEM; }
within 10 changed || failed "the primary never got the new passwords"
# The servers' password files are of before, and nobody drives the rotation.
took=$(date +%s%N)
kill "$(pgrep -P "$(postmaster_pid "$lead")" -f walsender | head -1)"
streams() { "$pgkeel" list --dir "$dir" -f json | jq -e '[.[] | select(.State == "streaming")] | length == 2' >/dev/null; }
sleep 0.5
within 15 streams || failed "the wal receiver did not come back: $(members)"
echo "   a refused wal receiver was back after $((($(date +%s%N) - took) / 1000000)) ms"
rotate --force
says 'interrupted in phase commit'
rotated "$old"
no_write_failed "a rotation that was killed at the primary"

step "killed while members switch, and a second command meanwhile"
old=$(passwords)
late=$(a_standby)
sql_on "$late" 'select pg_wal_replay_pause()' >/dev/null
rotate_in_background
has_switched() { jq -e .switched "$dir/$late/agent.yml.credentials" >/dev/null; }
within 10 has_switched || failed "$late has not switched: $(cat "$scratch/background")"
refused 1 "being rotated already, by process $rotation " --force
kill_rotation
phase_is commit || failed "expected phase commit: $(phase)"
refused 1 "$late: its server has not replayed the new password" --force --timeout 1
says 'agents have both passwords and go on'

step "stopped while members forget"
chmod 500 "$dir/$late"  # its file can no longer be written
resume_replay "$late" "$old"
refused 1 "could not keep them|cannot (create|write)" --force --timeout 10
chmod 700 "$dir/$late"
rotate --force
says 'interrupted in phase (commit|finish)'
rotated "$old"
no_write_failed "rotations that were interrupted"

step "killed at any moment"
old=$(passwords)
for pause in 0.3 0.45 0.6; do
    rotate_in_background
    sleep $pause
    kill_rotation
    echo "   after $pause s: $(tail -1 "$scratch/background" | cut -c1-60); phase $(phase)"
    for name in pg-a pg-b pg-c; do jq -r '.roles[] | .password, .other // empty' "$dir/$name/agent.yml.credentials"; done >>"$scratch/secrets"
done
rotate --force
if [ -n "$(phase)" ]; then failed "not finished: $(phase)"; fi
remember_passwords
within 20 all_stream || failed "not healthy: $(members)"
no_write_failed "kills at any moment"
stop_clients
"$pgkeel" edit-config --dir "$dir" --force -s synchronous_mode=null >/dev/null
within 10 synchronous 0 || failed "still synchronous: $(members)"

step "the primary dies in the middle, and nobody else has heard of the new passwords"
old=$(passwords)
late=$(a_standby)
lead=$(leader)
receivers=()
for name in $(standbys); do receivers+=("$(sql_on "$name" 'select pid from pg_stat_wal_receiver')"); done
halt "${receivers[@]}"
sql "insert into written select 'lost', generate_series(1, 1000)" >/dev/null  # only this primary has them, and the change
rotate_in_background
within 10 has_switched || failed "$late has not switched: $(cat "$scratch/background")"
kill -9 "$(agent_pid "$lead")" "$(postmaster_pid "$lead")"
go_on
within 20 another_leads "$lead" || failed "nobody has taken over: $(members)"
start_cluster
wait "$rotation" || failed "the rotation did not survive the failover: $(cat "$scratch/background")"
cp "$scratch/background" "$scratch/said"
grep -E '^[0-9]/' "$scratch/said" | sed 's/^/   /'
rotated "$old"
grep -q 'pg_rewind from' "$dir/$lead/agent.log" || failed "$lead was not rewound"

step "agents and a server restarted, a switchover, a failover"
for name in pg-a pg-b pg-c; do kill -9 "$(agent_pid $name)"; done
start_cluster
within 20 all_stream || failed "not healthy after the agents' restart: $(members)"
"$pgkeel" restart demo "$(a_standby)" --dir "$dir" --force >/dev/null
within 20 all_stream || failed "not healthy after a server's restart: $(members)"
"$pgkeel" switchover --dir "$dir" --force >/dev/null
within 20 all_stream || failed "not healthy after a switchover: $(members)"
lead=$(leader)
kill -9 "$(agent_pid "$lead")" "$(postmaster_pid "$lead")"
within 20 another_leads "$lead" || failed "nobody has taken over: $(members)"
start_cluster
within 30 all_stream || failed "$lead did not come back: $(members)"

step "nothing secret is where it does not belong"
etcd_ctl get --prefix /service/demo/ >"$scratch/etcd"
sort -u "$scratch/secrets" | grep -v '^$' >"$scratch/patterns"
[ "$(wc -l <"$scratch/patterns")" -gt 10 ] || failed "too few secrets to look for"
for where in "$scratch/etcd" "$scratch/processes" "$scratch/said" "$scratch/background" "$dir"/*/*.log; do
    ! grep -qFf "$scratch/patterns" "$where" || failed "a password is in $where: $(grep -Ff "$scratch/patterns" "$where" | head -1 | cut -c1-200)"
done
! grep -q 'SCRAM-SHA-256' "$dir"/*/postgresql.log || failed "a verifier is in a server's log"
[ -z "$(find "$dir" \( -name '*.credentials*' -o -name pgpass -o -name cluster.json -o -name userlist.txt -o -name pgkeel.yml \) ! -perm 600)" ] || failed "a file of passwords is open: $(find "$dir" -name '*.credentials*' ! -perm 600)"
[ -z "$(find "$dir" -name '*.credentials.*')" ] || failed "left behind: $(find "$dir" -name '*.credentials.*')"

echo "all good in $SECONDS s"
