#!/usr/bin/env bash
# pgkeel rolling-restart on a real cluster while clients write: what it refuses, its order, parameters that wait for a restart,
# synchronous replication, a restart that fails in the middle, and a minor upgrade.
# usage: rolling_restart_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

rolling() { timeout 300 "$pgkeel" rolling-restart --dir "$dir" "$@" </dev/null >"$scratch/said" 2>&1; }
says() { grep -qE -- "$1" "$scratch/said" || failed "expected '$1'"; }
# It has to fail with status $1 and to say $2 and $3.
refused() {
    local expected=$1 words=$2 hint=$3 status=0
    shift 3
    rolling "$@" || status=$?
    [ "$status" = "$expected" ] || failed "expected the exit status $expected, got $status: $*"
    says "$words"
    says "$hint"
}
fits_80_columns() { [ "$(awk '{ if (length($0) > most) most = length($0) } END { print most }' "$scratch/said")" -le 80 ] || failed "wider than 80 columns"; }
configure() { "$pgkeel" edit-config --dir "$dir" --force "$@" >"$scratch/configured" 2>&1 || failed "edit-config $*: $(cat "$scratch/configured")"; }
postmasters() { for name in pg-a pg-b pg-c; do echo "$name $(postmaster_pid $name)"; done; }
all_restarted() { [ -z "$(comm -12 <(sort <<<"$1") <(postmasters | sort))" ] || failed "somebody was not restarted: $1, now $(postmasters)"; }
nobody_restarted() { [ "$1" = "$(postmasters)" ] || failed "somebody was restarted: $1, now $(postmasters)"; }
on_all() {
    local name
    for name in pg-a pg-b pg-c; do [ "$(sql_on "$name" "$1")" = "$2" ] || return 1; done
}
all_wait_for_restart() { members | jq -e 'all(.[]; ."Pending restart" == "*")' >/dev/null; }
none_waits_for_restart() { members | jq -e 'all(.[]; has("Pending restart") | not)' >/dev/null; }
member_is_gone() { members | jq -e 'length == 2' >/dev/null; }
synchronous_standbys() { members | jq '[.[] | select(.Role == "Sync Standby")] | length'; }
# Members stand in the order in which they were restarted; the former primary is the last.
order() { grep -E '^[0-9]+/[0-9]+ ' "$scratch/said" | sed -E 's|^[0-9]+/[0-9]+ +([^:]+):.*|\1|' | uniq | tr '\n' ' '; }

start_cluster
start_writing
expect_healthy "start"

step "what is refused, and a dry run"
before=$(postmasters)
refused 1 "'pg-x' is neither a member" 'pgkeel list' pg-x --force
refused 2 'standard input is not a terminal' 'add --force'
refused 1 "no member 'pg-x'" '' --candidate pg-x --force
refused 1 "$(leader) leads cluster demo already" 'name a standby' --candidate "$(leader)" --force
refused 2 'excludes' 'help' --candidate pg-b --no-switchover
"$pgkeel" pause --dir "$dir" --wait >/dev/null
refused 1 'it is paused' 'pgkeel resume' --force
"$pgkeel" resume --dir "$dir" --wait >/dev/null
rolling --pending --force
says 'no member of cluster demo waits for a restart'
rolling --outdated --force
says 'no member of cluster demo runs an older PostgreSQL than is installed'
rolling --dry-run
says "^   3  $(leader) .* switch over to the best standby"
says '^   5  all '
fits_80_columns
nobody_restarted "$before"

step "a member is missing"
gone=$(a_standby)
kill "$(agent_pid "$gone")"  # it stops its server, and leaves
within 20 member_is_gone || failed "$gone is still there: $(members)"
refused 1 "slots are kept for ${gone/-/_}" 'ignore-missing' --force
start_cluster
expect_healthy "the return of $gone"

step "all members, one after the other"
first=$(leader)
before=$(postmasters)
rolling --force
all_restarted "$before"
! leads "$first" || failed "$first still leads"
[ "$(order)" = "$(members | jq -r --arg first "$first" '[.[].Member | select(. != $first)] | join(" ")') $first all " ] || failed "unexpected order: $(order)"
says '^5/5  all: healthy: '
says '^write pause: [0-9.]+ s'
fits_80_columns
expect_healthy "a rolling restart"
grep '^write pause' "$scratch/said" | sed 's/^/   /'

step "parameters that wait for a restart, in one round"
configure -p max_connections=120 -p shared_buffers=40MB
within 10 all_wait_for_restart || failed "nobody waits for a restart: $(members)"
candidate=$(a_standby)
rolling --pending --force --candidate "$candidate"
leads "$candidate" || failed "$candidate does not lead"
none_waits_for_restart || within 5 none_waits_for_restart || failed "somebody still waits: $(members)"
on_all 'show max_connections' 120 || failed "max_connections is not in force everywhere"
on_all 'show shared_buffers' 40MB || failed "shared_buffers is not in force everywhere"
expect_healthy "a rolling restart for parameters"

step "a decrease begins at the primary"
configure -p max_connections=110
within 10 all_wait_for_restart || failed "nobody waits for a restart: $(members)"
refused 1 'max_connections \(120 to 110\)' 'no-switchover' --pending --force
rolling --pending --force --no-switchover
leads "$candidate" || failed "the leader changed without a switchover"
[ "$(order)" = "$candidate $(members | jq -r --arg first "$candidate" '[.[].Member | select(. != $first)] | join(" ")') all " ] || failed "unexpected order: $(order)"
within 5 none_waits_for_restart || failed "somebody still waits: $(members)"
on_all 'show max_connections' 110 || failed "max_connections is not in force everywhere"
expect_healthy "a decrease"

step "with synchronous replication"
configure -s synchronous_mode=true
one_is_synchronous() { [ "$(synchronous_standbys)" = 1 ]; }
within 10 one_is_synchronous || failed "nobody is synchronous: $(members)"
before=$(postmasters)
rolling --force
all_restarted "$before"
[ "$(synchronous_standbys)" = 1 ] || failed "nobody is synchronous afterwards: $(members)"
configure -s synchronous_mode=null
none_is_synchronous() { [ "$(synchronous_standbys)" = 0 ]; }
within 10 none_is_synchronous || failed "still synchronous: $(members)"
within 30 is_healthy || failed "not healthy: $(members)"

# Each node gets programs of its own: links to the real ones, so that a package can be "installed" on it. The newer minor version is
# simulated: the real server with another number in its strings and in server_version_num. All else is real: the file is replaced as dpkg
# does it, the running server goes on with the old one, and says afterwards that it is the newer version.
bindir=$(jq -r .postgresql.bin_dir "$dir/pg-a/agent.yml" 2>/dev/null || sed -n 's/^ *bin_dir: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$dir/pg-a/agent.yml")
[ -x "$bindir/postgres" ] || failed "no PostgreSQL in '$bindir'"
own_programs() {
    local name=$1 own=$scratch/$1$bindir
    mkdir -p "$own" "$scratch/$name/usr/share" "$(dirname "$own")"
    ln -s "$bindir"/* "$own/"
    ln -s "$(pg_config --pkglibdir)" "$(dirname "$own")/lib"
    mkdir -p "$(dirname "$scratch/$name$(pg_config --sharedir)")"
    ln -s "$(pg_config --sharedir)" "$scratch/$name$(pg_config --sharedir)"
    sed -i "s|^\( *bin_dir:\).*|\1 $own|" "$dir/$name/agent.yml"
    "$pgkeel" reload "$name" --dir "$dir" --force >/dev/null
}
running=$("$bindir/postgres" --version | sed -E 's/.* ([0-9]+\.[0-9]+).*/\1/')
newer=${running%.*}.$(sed 's/./9/g' <<<"${running#*.}")
python3 - "$bindir/postgres" "$scratch/newer" "$running" "$newer" <<'PY'
import struct, sys
source, target, old, new = sys.argv[1:]
number = lambda text: struct.pack("<i", int(text.split(".")[0]) * 10000 + int(text.split(".")[1]))
program = open(source, "rb").read()
assert program.count(number(old)) >= 1, "server_version_num is not in the program"
open(target, "wb").write(program.replace(old.encode(), new.encode()).replace(number(old), number(new)))
PY
chmod 755 "$scratch/newer"
install_newer() { cp "$scratch/newer" "$scratch/$1$bindir/postgres.new" && mv "$scratch/$1$bindir/postgres.new" "$scratch/$1$bindir/postgres"; }
for name in pg-a pg-b pg-c; do own_programs $name; done

step "a minor upgrade that fails in the middle, is mended and goes on: $running to $newer"
before=$(postmasters)
for name in pg-a pg-b pg-c; do install_newer $name; done
on_all 'show server_version_num' "$(sql 'show server_version_num')" || failed "somebody runs another version already"
rolling --outdated --dry-run
[ "$(grep -cE "^ +[0-9]  pg-[abc]    $running  $newer" "$scratch/said")" = 4 ] || failed "the plan does not show $running and $newer"
"$pgkeel" version demo --dir "$dir" >"$scratch/said"
[ "$(grep -cE "^pg-[abc]: .*PostgreSQL $running \($newer is installed\)" "$scratch/said")" = 3 ] || failed "pgkeel version does not tell what is installed"
nobody_restarted "$before"
lead=$(leader)
broken=$(standbys | tail -1)
fine=$(standbys | head -1)
printf '#!/bin/sh\n[ "$1" != --version ] || exec %s "$@"\necho broken >&2; exit 1\n' "$scratch/newer" >"$scratch/$broken$bindir/postgres.new"
chmod 755 "$scratch/$broken$bindir/postgres.new"
mv "$scratch/$broken$bindir/postgres.new" "$scratch/$broken$bindir/postgres"
refused 1 "stopped at step 2 of 5 \($broken\)" "pgkeel rolling-restart $broken $lead. does the rest" --outdated --force --timeout 60
says "restarted: $fine"
says "not finished: $broken, $lead"
leads "$lead" || failed "the leader changed although a standby had failed"
within 10 writes_went_on "$(acknowledged)" || failed "nobody could write after a standby had failed"
sed 's/^/   /' "$scratch/said" | tail -5
refused 1 "$broken: its state is" 'mend that first' --outdated --force
install_newer "$broken"
within 60 is_healthy || failed "$broken did not come back: $(members)"
seen=$(acknowledged)
rolling --outdated --force
sed 's/^/   /' "$scratch/said" | grep -E '^   ([0-9]/|write)'
on_all 'show server_version_num' "$((${newer%.*} * 10000 + ${newer#*.}))" || failed "somebody does not run $newer"
rolling --outdated --force
says 'runs an older PostgreSQL than is installed'
expect_healthy "a minor upgrade, from $seen rows on"

echo "all good: $(acknowledged) rows in $SECONDS s"
