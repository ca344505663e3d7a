#!/usr/bin/env bash
# What an asynchronous failover costs, and what is kept of it: a primary that wrote what nobody else got is killed; the new one tells how
# much that was at least, the old one exactly how much, and its WAL can be read afterwards. Real etcd and PostgreSQL.
# usage: lost_wal_test.sh PGKEEL
pgkeel=$(readlink -f "$1")
# shellcheck source=tests/integration/lib.sh
source "$(dirname "$0")/lib.sh"

says() { grep -qE -- "$1" "$scratch/said" || failed "expected '$1'"; }
key() { etcd_ctl get --print-value-only "/service/demo/$1"; }
lsn_bytes() { sql "select '$1'::pg_lsn - '0/0'"; }
status_has() { [ "$(key status | jq .optime)" -ge "$1" ]; }
another_serves() { another_leads "$1" && sql "select 1" >/dev/null; }
timeline_left() { key history | jq -r '.[-1][0]'; }
is_told() { [ -n "$(key "lost_wal/$1")" ]; }
lost_wal_page() {
    curl --noproxy '*' -sf --cacert "$dir/tls/ca.crt" --cert "$dir/tls/client.crt" --key "$dir/tls/client.key" \
        "https://$(rest_address "$1")/pgkeel/lost_wal"
}

# The primary's wal senders stop; it acknowledges $1 rows that no standby gets. Sets old, begin and end: who it was, and where its WAL ends.
write_alone() {
    old=$(leader)
    mapfile -t senders < <(sql "select pid from pg_stat_replication")
    [ "${#senders[@]}" = 2 ] || failed "expected two wal senders: ${senders[*]}"
    within 10 standbys_have_all || failed "the standbys are behind"
    halt "${senders[@]}"
    begin=$(sql "select pg_current_wal_lsn() - '0/0'")
    sql "insert into alone select n, repeat('x', 100) from generate_series(1, $1) n"
    end=$(sql "select pg_current_wal_flush_lsn() - '0/0'")
    [ "$end" -gt $((begin + 100000)) ] || failed "too little was written: $begin to $end"
    within 10 status_has "$end" || failed "the position $end is not published: $(key status)"
}
# The server may have written on by itself between our last look and its end: a record of running transactions, at most.
ends_as_written() {
    local beyond=$(($(jq .end <<<"$1") - end))
    { [ "$beyond" -ge 0 ] && [ "$beyond" -le 4096 ]; } || failed "its WAL ended at $end, and $1 says something else"
}
kill_server() {
    local postmaster
    postmaster=$(postmaster_pid "$1")
    kill -9 "$postmaster" "${senders[@]}"
    halted=()
}

start_cluster
within 60 is_healthy || failed "the new cluster is not healthy: $(members)"
sql "create table alone (n int, filler text)" >/dev/null

step "the primary is lost with its agent, and with what only it had"
write_alone 3000
kill -9 "$(agent_pid "$old")"
kill_server "$old"
within 30 another_serves "$old" || failed "nobody took over: $(members)"
lost=$(timeline_left)
within 10 is_told "$lost/leader" || failed "nobody tells what was lost"
left_at=$(key "lost_wal/$lost/leader" | jq .begin)
[ "$(key "lost_wal/$lost/leader" | jq -r .member)" = "$old" ] || failed "it was not $old: $(key "lost_wal/$lost/leader")"
[ "$(key "lost_wal/$lost/leader" | jq .end)" -ge "$end" ] || failed "less is known than was published: $(key "lost_wal/$lost/leader"), $end"
[ "$left_at" -lt "$end" ] || failed "nothing is lost: $left_at, $end"
"$pgkeel" history --dir "$dir" >"$scratch/said"
says "^Lost: at least $(($(key "lost_wal/$lost/leader" | jq .end) - left_at)) bytes of WAL that $old wrote on timeline $lost after "
"$pgkeel" list --dir "$dir" >"$scratch/said"
says "^ Lost: at least [0-9]+ bytes of WAL that $old"
sed 's/^/   /' "$scratch/said" | grep Lost
"$pgkeel" logs --dir "$dir" -n 1000 >"$scratch/said"
says "at least [0-9]+ bytes of WAL that $old wrote .* are not here; how much it was exactly is known when $old comes back"

step "it comes back: exactly how much, and a copy of it"
start_cluster
within 60 is_healthy || failed "$old did not come back: $(members)"
is_told "$lost/members/$old" || failed "$old does not tell what it found"
found=$(key "lost_wal/$lost/members/$old")
[ "$(jq .begin <<<"$found")" = "$left_at" ] || failed "it begins elsewhere: $found, $left_at"
ends_as_written "$found"
kept=$(jq -r .kept_in <<<"$found")
[ "$kept" = "$dir/$old/data_lost_wal/timeline-$lost-$(sql "select replace(('0/0'::pg_lsn + $left_at)::text, '/', '_')")" ] || failed "kept in $kept"
[ "$(stat -c %a "$kept")" = 700 ] || failed "$kept is open to others"
"$pgkeel" logs --dir "$dir" -n 2000 >"$scratch/said"
says "$(($(jq .end <<<"$found") - left_at)) bytes of WAL that $old wrote on timeline $lost after [0-9A-F/]+ are not in the cluster. They are kept in $kept; to see it: pg_waldump --path=$kept"
"$pgkeel" history --dir "$dir" >"$scratch/said"
says "^Lost: $(($(jq .end <<<"$found") - left_at)) bytes of WAL that $old wrote"
says "kept on $old in $kept"
"$pgkeel" history --dir "$dir" -f json | jq -e --arg kept "$old:$kept" '.[-1]."Lost Exact" and .[-1]."Lost Kept In" == $kept' >/dev/null || failed "history -f json does not tell it"
lost_wal_page "$(leader)" | jq -e 'length == 1 and .[0].exact' >/dev/null || failed "GET /pgkeel/lost_wal: $(lost_wal_page "$(leader)")"
# As the log said: every row that was acknowledged and is lost can be seen.
bash -c "$(sed -n 's/^ *\(pg_waldump .*\)$/\1/p' "$kept/README" | sed "s|^pg_waldump|$(pg_config --bindir)/pg_waldump|")" >"$scratch/wal" 2>"$scratch/wal.errors" || true
rows=$(grep -cE 'rmgr: Heap .*desc: INSERT|rmgr: Heap2 .*MULTI_INSERT' "$scratch/wal" || true)
[ "$(sql 'select count(*) from alone')" = 0 ] || failed "the rows are not lost, so this tested nothing"
[ "$rows" -ge 3000 ] || failed "$rows inserts are in the kept WAL, and 3000 rows were lost: $(head -3 "$scratch/wal.errors")"
echo "   published $(($(key "lost_wal/$lost/leader" | jq .end) - left_at)) bytes, found $(($(jq .end <<<"$found") - left_at)), kept $(jq .kept_bytes <<<"$found") with $rows inserts"

# `pgkeel up` writes the files of its agents anew, so an agent with settings of its own is started by hand.
declare -A by_hand=()
pg_rewind=''
lose_node() {
    kill -9 "${by_hand[$1]:-$(agent_pid "$1")}"
    kill_server "$1"
}
start_agent() {
    local name=$1 setting as=()
    shift
    [ "$(id -u)" != 0 ] || as=(setpriv --reuid "$(stat -c %U "$dir/$name/data")" --regid "$(stat -c %G "$dir/$name/data")" --init-groups --reset-env)
    [ -e "$dir/$name/as-made.yml" ] || cp -p "$dir/$name/agent.yml" "$dir/$name/as-made.yml"
    cp -p "$dir/$name/as-made.yml" "$dir/$name/agent.yml"
    [ -z "$pg_rewind" ] || sed -i "s|^postgresql:\$|&\n  bin_name: {pg_rewind: $pg_rewind}|" "$dir/$name/agent.yml"
    [ "$#" = 0 ] || printf 'pgkeel:\n' >>"$dir/$name/agent.yml"
    for setting; do echo "  $setting" >>"$dir/$name/agent.yml"; done
    (
        trap - ERR EXIT
        exec "${as[@]}" "$pgkeel" agent "$dir/$name/agent.yml" >"$scratch/$name.log" 2>&1
    ) &
    by_hand[$name]=$!
    started+=("$!")
}

step "it cannot be kept, and that keeps nobody away"
write_alone 3000
lose_node "$old"
within 30 another_serves "$old" || failed "nobody took over: $(members)"
start_agent "$old" "lost_wal_max_size: 1"
within 60 is_healthy || failed "$old did not come back: $(members) $(tail -20 "$scratch/$old.log")"
found=$(key "lost_wal/$(timeline_left)/members/$old")
jq -e '.not_kept | contains("more than lost_wal_max_size")' <<<"$found" >/dev/null || failed "unexpected: $found"
ends_as_written "$found"
"$pgkeel" history --dir "$dir" >"$scratch/said"
says 'not kept: .*lost_wal_max_size'

step "unless it is required: then it waits for its operator"
write_alone 3000
lose_node "$old"
within 30 another_serves "$old" || failed "nobody took over: $(members)"
start_agent "$old" "lost_wal_max_size: 1" "lost_wal_required: true"
waits() { grep -q "not rejoining without" "$scratch/$old.log"; }
within 30 waits || failed "$old does not say that it waits: $(tail -20 "$scratch/$old.log")"
sleep 6
! sql_on "$old" 'select 1' >/dev/null 2>&1 || failed "$old runs"
sed -i '/lost_wal_max_size/d' "$dir/$old/agent.yml"
"$pgkeel" reload "$old" --dir "$dir" --force >/dev/null
within 60 is_healthy || failed "$old did not come back: $(members) $(tail -20 "$scratch/$old.log")"
[ -d "$(key "lost_wal/$(timeline_left)/members/$old" | jq -r .kept_in)" ] || failed "it was not kept: $(key "lost_wal/$(timeline_left)/members/$old")"
step "its agent is killed in the middle of pg_rewind, which goes on by itself"
write_alone 3000
cat >"$scratch/pg_rewind" <<EOF
#!/bin/sh
echo \$\$ >"$dir/$old/rewinding"
while sleep 0.1; do date >>"$dir/$old/data/half"; done
EOF
chmod 755 "$scratch/pg_rewind"
lose_node "$old"
within 30 another_serves "$old" || failed "nobody took over: $(members)"
pg_rewind=$scratch/pg_rewind
start_agent "$old"
rewinds() { [ -e "$dir/$old/data/half" ]; }
within 30 rewinds || failed "pg_rewind was not started: $(tail -20 "$scratch/$old.log")"
kill -9 "${by_hand[$old]}"
start_agent "$old"
within 60 is_healthy || failed "$old did not come back: $(members) $(tail -20 "$scratch/$old.log")"
grep -q "still writes into $dir/$old/data, for an agent that is no more" "$scratch/$old.log" || failed "pg_rewind was not ended: $(cat "$scratch/$old.log")"
grep -q "reinitializing: a rewind was interrupted here" "$scratch/$old.log" || failed "it was not copied anew: $(cat "$scratch/$old.log")"
! grep -qs '^State:[[:space:]][^Z]' "/proc/$(cat "$dir/$old/rewinding")/status" || failed "pg_rewind still runs"
[ ! -e "$dir/$old/data/half" ] && [ ! -e "$dir/$old/data/pgkeel_rewinding" ] || failed "something is left of it"
for name in "${!by_hand[@]}"; do kill "${by_hand[$name]}"; done
wait "${by_hand[@]}" 2>/dev/null || true

echo "all good in $SECONDS s"
