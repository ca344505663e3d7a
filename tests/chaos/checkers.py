"""What must hold when everything is healed and has come to rest."""
import time
from collections import Counter

from pq import DONE, REFUSED, Session
from workloads import ACCOUNTS, MONEY


class Findings:
    def __init__(self):
        self.violations = []
        self.lost = []  # acknowledged writes that are not there: append and bank alike
        self.checked = 0
        self.unknown = 0
        self.unknown_present = 0

    def wrong(self, text):
        self.violations.append(text)


def rows(node, sql):
    session = Session(node.dsn())
    answer = session.run(sql, 120)
    session.close()
    if not answer.done:
        raise RuntimeError(f"{node.name}: {sql}: {answer.text}")
    return answer.rows


def check_writes(findings, name, writes, present):
    """Lost, duplicate and phantom rows of one table."""
    counted = Counter(present)
    attempted = {write.id: write for write in writes}
    for write in writes:
        there = counted.get(write.id, 0)
        if write.outcome == DONE:
            findings.checked += 1
            if not there:
                findings.lost.append(write)
        elif write.outcome == REFUSED:
            if there:
                findings.wrong(f"{name}: row {write.id} was refused ({write.text.strip()}) and is there all the same")
        else:
            findings.unknown += 1
            findings.unknown_present += bool(there)
    twice = [number for number, count in counted.items() if count > 1]
    if twice:
        findings.wrong(f"{name}: {len(twice)} rows are there more than once, such as {twice[:3]}")
    never = [number for number in counted if number not in attempted]
    if never:
        findings.wrong(f"{name}: {len(never)} rows that nobody has attempted, such as {never[:3]}")


def check_bank(findings, primary):
    total = int(rows(primary, "select sum(balance) from account")[0][0])
    if total != ACCOUNTS * MONEY:
        findings.wrong(f"bank: the sum is {total} instead of {ACCOUNTS * MONEY}")
    due = f"{MONEY} + coalesce(sum(case when t.target = a.id then t.amount else -t.amount end), 0)"
    odd = rows(primary, f"select a.id, a.balance, {due} from account a left join transfer t"
                        f" on a.id in (t.source, t.target) group by a.id having a.balance <> {due}")
    if odd:
        findings.wrong(f"bank: balances that the transfers do not explain: {odd[:3]}")


CONTENT = {"append": "select count(*), coalesce(md5(string_agg(id || ' ' || at, ',' order by id, at)), '') from append",
           "account": "select count(*), md5(string_agg(id || ' ' || balance, ',' order by id)) from account",
           "transfer": "select count(*), coalesce(md5(string_agg(t::text, ',' order by id)), '') from transfer t"}


def check_replicas(findings, cluster, primary, timeout=60):
    """All three nodes have the same content, once the standbys have replayed what the primary has."""
    end = rows(primary, "select pg_current_wal_insert_lsn()")[0][0]
    for node in cluster.nodes:
        if node is primary:
            continue
        until = time.monotonic() + timeout
        while node.ask(f"select pg_last_wal_replay_lsn() >= '{end}'") != ["t"]:
            if time.monotonic() > until:
                findings.wrong(f"{node.name} has not replayed {end} after {timeout} s: "
                               f"{node.ask('select pg_last_wal_replay_lsn()')}")
                return
            time.sleep(0.2)
    for table, sql in CONTENT.items():
        content = {node.name: rows(node, sql)[0] for node in cluster.nodes}
        if len({tuple(row) for row in content.values()}) != 1:
            findings.wrong(f"the nodes differ in {table}: {content}")


def check(cluster, workload):
    findings = Findings()
    for text in cluster.crashes():
        findings.wrong(text)
    primary = cluster.await_primary()
    check_writes(findings, "append", workload.writes(kind="append"),
                 [int(row[0]) for row in rows(primary, "select id from append")])
    check_writes(findings, "bank", workload.writes(kind="bank"),
                 [int(row[0]) for row in rows(primary, "select id from transfer")])
    check_bank(findings, primary)
    check_replicas(findings, cluster, primary)
    return findings
