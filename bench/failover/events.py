"""The events, and what writing clients see of one: start them, let it happen, wait until they write again, count."""

import subprocess
import time

import processes
import recovery
from writer import Writer

FLOWS = 3.0        # s of undisturbed writing before an event, and after it before it counts as over
STOPPED = 2.0      # s; a harness that did not run for so long has not seen what happened meanwhile
OVER_WITHIN = 150  # s; a client that still does not write then is a failure of the run

SWITCHOVER, CRASH, NODE_LOST, NODE_AND_ETCD_LOST = "switchover", "crash", "node lost", "node and etcd leader lost"


class Bench:
    """Runs events on one cluster and keeps what was seen of each."""

    def __init__(self, cluster, say, save):
        self.cluster = cluster
        self.say = say
        self.save = save  # called when there is something new in `seen`
        self.seen = []
        self._writers_started = 0
        self._memory = []

    def measure_idle(self, seconds):
        """CPU (% of a core) of each agent while nobody writes, and the memory of the largest afterwards."""
        cluster = self.cluster
        leader = cluster.wait_for_primary()
        before = {node.name: self._agent_cpu(node) for node in cluster.nodes}
        began = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        at_rest = self._note_memory()
        return {
            "memory": max(at_rest, key=lambda found: found["VmRSS"]),
            "seconds": round(elapsed, 1),
            "leader": leader.name,
            "percent_of_core": {node.name: round(100 * (self._agent_cpu(node) - before[node.name]) / elapsed, 2)
                                for node in cluster.nodes}}

    def memory(self):
        """Of the agent that was the largest at any look: VmRSS and its parts in KiB."""
        return max(self._memory, key=lambda found: found["VmRSS"], default=None)

    def run(self, kind, number):
        cluster = self.cluster
        cluster.wait_until_whole()
        self._note_memory()
        time.sleep(cluster.calm_s)
        old = cluster.wait_for_primary()
        writers = {}
        try:
            for route, dsn in cluster.routes.items():
                self._writers_started += 1
                writers[route] = Writer(self._writers_started, dsn)
            self._wait(lambda: all(writer.flows(FLOWS) for writer in writers.values()), "before the event")
            self._note_memory()
            log_end = recovery.end_of(cluster.postgres_log(old))
            began, wall = time.monotonic(), time.strftime("%Y-%m-%d %H:%M:%S")
            self._happen(kind, old)
            self._wait(lambda: all(writer.reconnected_after(began) and writer.flows(FLOWS)
                                   for writer in writers.values()), f"after the event ({kind})")
            results = {route: (writer.number, writer.stop()) for route, writer in writers.items()}
        except BaseException:
            for writer in writers.values():
                writer.kill()
            raise
        new = cluster.wait_for_primary()
        recovery_s = recovery.seconds(cluster.postgres_log(old), log_end) if new is old else None
        for route, (writer, result) in results.items():
            outcome = self._outcome(began, new, writer, result)
            about = {"event": kind, "round": number, "route": route, "at": wall, "primary_before": old.name,
                     "primary_after": new.name, "recovery_s": recovery_s}
            self.seen.append({**about, **outcome})
            self.say(f"{cluster.title}: {kind} {number}, {route}: pause {outcome['pause_s']:.2f} s, "
                     f"{outcome['failed_writes']}+{outcome['failed_connects']} errors, {outcome['lost']} of "
                     f"{outcome['acknowledged']} rows lost, {old.name} -> {new.name}")
        self.save()
        if kind in (NODE_LOST, NODE_AND_ETCD_LOST):
            cluster.start_missing()

    def _happen(self, kind, primary):
        cluster = self.cluster
        if kind == SWITCHOVER:
            command = cluster.switchover_command()
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise RuntimeError(f"`{' '.join(command)}` failed: {done.stdout} {done.stderr}")
        elif kind == CRASH:
            processes.kill_together([cluster.postmaster_pid(primary)])
        elif kind == NODE_LOST:
            cluster.lose_node(primary)
        elif kind == NODE_AND_ETCD_LOST:
            cluster.lose_node(primary, cluster.etcd_leader())
        else:
            raise ValueError(kind)

    def _outcome(self, began, new, writer, result):
        pauses = [(begin, end) for begin, end in result["gaps"] if end > began]
        longest = max(pauses, key=lambda gap: gap[1] - gap[0], default=(began, began))
        there = {row[0] for row in self.cluster.query(new, "select id from failover_bench where writer = %s", (writer,))}
        errors = [error for error in result["errors"] if error[0] > began]
        return {
            "pause_s": round(longest[1] - longest[0], 3),
            "pauses_s": [[round(begin - began, 3), round(end - begin, 3)] for begin, end in pauses],
            "failed_writes": sum(1 for error in errors if error[1] == "write"),
            "failed_connects": sum(1 for error in errors if error[1] == "connect"),
            "error_texts": sorted({error[2] for error in errors})[:5],
            "acknowledged": len(result["acknowledged"]),
            "lost": sum(1 for row in result["acknowledged"] if row not in there)}

    def _wait(self, condition, when):
        looked = time.monotonic()
        deadline = looked + OVER_WITHIN
        while not condition():
            if time.monotonic() - looked > STOPPED:
                raise RuntimeError(f"{self.cluster.title}: the benchmark itself stood still for "
                                   f"{time.monotonic() - looked:.1f} s {when}: was it stopped, or the machine?")
            looked = time.monotonic()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.cluster.title}: not every client writes {when}, {OVER_WITHIN} s later: "
                                   f"see {self.cluster.directory}")
            time.sleep(0.05)

    def _agent_cpu(self, node):
        return sum(processes.cpu_seconds(pid) or 0 for pid in self.cluster.agent_processes(node))

    def _note_memory(self):
        found = [{"node": node.name, **processes.memory_kib(self.cluster.agent_pid(node))} for node in self.cluster.nodes]
        self._memory += found
        return found
