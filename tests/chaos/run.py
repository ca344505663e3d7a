#!/usr/bin/env python3
"""Hurts a whole cluster on one machine, for minutes, and checks that it kept its promises. See docs/chaos.md.

usage: run.py [--minutes N] [--seed S] [--mode async|sync|quorum] [--binary PATH] [--dir DIR] [--faults a,b] [--list]

Exit status: 0 when nothing was violated, 1 when something was, 2 when the harness itself failed, 77 when it cannot
run here.
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time

import checkers
import faults
import report
import sandbox
import schedule
from clocks import Clocks
from cluster import SQL_PORT, USER, Cluster
from disk import why_no_volumes
from pq import DONE, Session
from product_patroni import Patroni
from product_pgkeel import Pgkeel
from witnesses import Witnesses
from workloads import SCHEMA, Workload

SKIPPED = 77


def arguments():
    parser = argparse.ArgumentParser(description="chaos for a whole cluster; docs/chaos.md")
    parser.add_argument("--minutes", type=float, default=5, help="how long faults are injected (5)")
    parser.add_argument("--steps", type=int, help="at most so many steps of the schedule")
    parser.add_argument("--seed", type=int, help="of the schedule; a random one by default, and said")
    parser.add_argument("--mode", choices=("async", "sync", "quorum"), default="async")
    parser.add_argument("--failsafe", action="store_true", help="with failsafe_mode")
    parser.add_argument("--ttl", type=int, help="of the leader lease, in seconds (pgkeel 5, Patroni 30)")
    parser.add_argument("--peer", choices=("patroni",), help="hurt that instead of pgkeel")
    parser.add_argument("--binary", default="build/release/pgkeel")
    parser.add_argument("--dir", help="for everything; a new one below /tmp by default, removed when all is well")
    parser.add_argument("--images", help="where the nodes' volumes are; by default in memory where there is room, so"
                        " that this machine's disk is not what is measured")
    parser.add_argument("--faults", help="only these, with commas between")
    parser.add_argument("--without", help="not these, with commas between")
    parser.add_argument("--stretch", type=float, default=1, help="how much longer each fault lasts (1)")
    parser.add_argument("--patience", type=float, default=60, help="seconds after healing, until the cluster has to be"
                        " whole and take writes (60)")
    parser.add_argument("--no-pairs", action="store_true", help="never two faults at once")
    parser.add_argument("--in-order", action="store_true", help="the faults of --faults once, in that order")
    parser.add_argument("--no-guardian", action="store_true", help="pgkeel without guardians, which has to be found")
    parser.add_argument("--clients", type=int, default=9)
    parser.add_argument("--pause", type=float, default=0.04, help="of a client after each write, in seconds")
    parser.add_argument("--clocks", action="store_true", help="with libfaketime in front of every process of a node")
    parser.add_argument("--list", action="store_true", help="print the faults, and which are impossible here")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.randrange(1, 1 << 31)
    for name in [*(options.faults or "").split(","), *(options.without or "").split(",")]:
        if name and name not in faults.ALL:
            parser.error(f"no fault {name}; see --list")
    if options.ttl is None:
        options.ttl = 30 if options.peer else 5
    return options


class World:
    """The cluster as the faults see it."""

    def __init__(self, cluster, clocks, note):
        self.cluster, self.clocks, self.note = cluster, clocks, note
        self.mode = cluster.settings.mode
        self.nodes, self.etcd, self.proxy, self.product = cluster.nodes, cluster.etcd, cluster.proxy, cluster.product
        self.etcd_leader, self.etcd_member_of = cluster.etcd_leader, cluster.etcd_member_of

    def primary(self):
        return self.cluster.primary() or self.nodes[0]

    def all_but(self, one):
        return [machine for machine in self.cluster.machines if machine is not one]


class Run:
    def __init__(self, options, product, directory, images):
        self.options, self.product, self.directory, self.images = options, product, directory, images
        self.timeline = report.Timeline()
        self.say = self.timeline.say
        self.steps, self.violations, self.overlaps = [], [], {}
        self.recovery_max = options.patience + 2 * max(0, options.ttl - 5)  # a longer lease takes longer
        self.clocks = Clocks(directory, options.clocks)
        self.world = self.workload = self.witnesses = None

    def violated(self, text):
        self.violations.append(text)
        self.say(f"{report.VIOLATION}: {text}")

    def work(self):
        options = self.options
        product = self.product
        product.install(self.directory)
        without_volumes = why_no_volumes()
        images = "" if without_volumes else self.images
        self.say(f"the nodes' volumes: {images or 'none, so no faults of disks: ' + without_volumes}")
        self.say(f"seed {options.seed}, {options.mode}, {product.name}, {options.minutes:g} min, ttl {options.ttl} s,"
                 f" load {os.getloadavg()[0]:.2f}, in {self.directory}")
        environment = self.clocks.environment(["n1", "n2", "n3"])
        cluster = Cluster(self.directory, product, options, images, environment)
        self.world = World(cluster, self.clocks, self.say)
        try:
            return self._with(cluster)
        finally:
            cluster.stop()

    def _with(self, cluster):
        product = self.product
        cluster.start()
        self.say(f"the cluster is whole, {cluster.await_primary().name} leads; {product.version()}")
        self._schema(cluster)
        hosts = ",".join(node.address for node in cluster.nodes)
        routes = {**product.routes(cluster), "direct": f"host={hosts} port={SQL_PORT} user={USER} dbname=postgres"
                                                       " connect_timeout=2 target_session_attrs=read-write"
                                                       " options='-c client_min_messages=error'"}
        self.workload = Workload(routes, self.options.clients, self.options.pause)
        self.witnesses = Witnesses(cluster)
        self.workload.start()
        self.witnesses.start()
        time.sleep(2)
        alive = self._hurt(cluster)
        self.workload.stop()
        self.witnesses.stop()
        findings = checkers.check(cluster, self.workload) if alive else self._check_what_is_left(cluster)
        return self._conclude(findings)

    @staticmethod
    def _schema(cluster):
        session = Session(cluster.await_primary().dsn())
        for statement in SCHEMA:
            answer = session.run(statement)
            if not answer.done:
                raise RuntimeError(f"{statement}: {answer.text}")
        session.close()

    def _possible(self):
        chosen = self.options.faults.split(",") if self.options.faults else list(faults.ALL)
        chosen = [name for name in chosen if name not in (self.options.without or "").split(",")]
        possible = []
        for name in chosen:
            why = faults.ALL[name].impossible(self.world)
            if why:
                self.say(f"left out: {name}: {why}")
            else:
                possible.append(name)
        return possible

    def _hurt(self, cluster):
        """False when the cluster did not come back."""
        options = self.options
        names = self._possible()
        if not names:
            raise RuntimeError("none of these faults is possible here")
        if options.in_order:
            chance = random.Random(options.seed)
            plan = ([schedule.planned(name, chance, 0.0)] for name in names)
        else:
            plan = schedule.steps(options.seed, names, pairs=not options.no_pairs)
        end = time.monotonic() + options.minutes * 60
        for number, planned in enumerate(plan, 1):
            if time.monotonic() >= end or (options.steps and number > options.steps):
                break
            if not self._step(cluster, planned):
                return False
            time.sleep(2)
        return True

    def _step(self, cluster, planned):
        world = self.world
        for one in planned:
            one.stretch(self.options.stretch)
        before = cluster.primary()
        for one in planned:
            one.fault.aim(world)
        begin = time.monotonic()
        step = report.Step([one.fault.name for one in planned], any(one.fault.may_lose for one in planned), begin)
        self.steps.append(step)
        events = sorted([(one.after, "inject", one) for one in planned] +
                        [(one.after + one.hold, "heal", one) for one in planned], key=lambda event: event[0])
        for at, what, one in events:
            time.sleep(max(0, begin + at - time.monotonic()))
            held = f" for {one.hold:g} s" if what == "inject" else ""
            self.say(f"{what} {one.fault.name} ({one.fault.whom()}){held}")
            if what == "inject":
                one.fault.inject(world)
            else:
                step.awoke += [time.monotonic()] if one.fault.awakes else []
                one.fault.heal(world)
        step.healed = time.monotonic()
        step.recovered = self._await_recovery(cluster, step)
        step.end = time.monotonic()
        if len(planned) == 1 and step.recovered and hasattr(planned[0].fault, "recovered"):
            planned[0].fault.recovered(world)
        for one in planned:
            for text in one.fault.violations:
                self.violated(text)
        for route in self.workload.routes:
            step.outage[route] = self.workload.outage(route, begin, step.end)
            step.failures[route] = self.workload.failures(route, begin, step.end)
        leader = cluster.primary()
        step.moved = leader is not before
        for told, count in self.workload.told(begin, step.end):
            self.say(f"    {count} x {told}")
        self.say(f"{'whole' if step.recovered else 'NOT whole'} {step.end - step.healed:.1f} s after healing, "
                 f"{leader.name if leader else 'nobody'} leads; longest without a write: "
                 + ", ".join(f"{route} {step.outage[route]:.2f} s" for route in self.workload.routes))
        self._look_for_two()
        return step.recovered

    def _await_recovery(self, cluster, step):
        """The cluster is whole and every route takes writes, RECOVERY_MAX after the healing at the latest."""
        said = False
        while True:
            cluster.start_what_has_ended()
            ailment = cluster.ailment()
            if not ailment:
                silent = [route for route in self.workload.routes if not self.workload.acknowledged(route, step.healed)]
                ailment = f"no write is acknowledged by {' '.join(silent)}" if silent else ""
            waited = time.monotonic() - step.healed
            if not ailment:
                return True
            if waited > self.recovery_max and not said:
                self.violated(f"not whole {self.recovery_max} s after {step.name}: {ailment}")
                said = True
            if waited > 2 * self.recovery_max:
                return False
            time.sleep(0.25)

    def _look_for_two(self):
        """Says what is new."""
        overlaps = self.witnesses.overlaps()
        for overlap in overlaps:
            key = (overlap.older, overlap.newer, overlap.why)
            if self.overlaps.get(key, []) == overlap.late:
                continue
            self.overlaps[key] = overlap.late
            step = self._step_of(overlap.begin)
            text = (f"two primaries: {overlap.older} took {len(overlap.late)} writes in {overlap.seconds:.3f} s after "
                    f"{overlap.newer} had taken one ({overlap.why})")
            awake = [(awoke, awoke + faults.AWAKE_MAX) for awoke in step.awoke] if step else []
            if all(any(begin <= at <= end for begin, end in awake) for at in overlap.late):
                self.say(f"{text}: just after it had stood still as a whole, which nothing on it can prevent")
            else:
                self.violated(text)
        return overlaps

    def _step_of(self, at):
        """The first step that was over after this moment."""
        return next((step for step in self.steps if step.end >= at), None)

    def _check_what_is_left(self, cluster):
        try:
            return checkers.check(cluster, self.workload)
        except (RuntimeError, TimeoutError) as error:
            findings = checkers.Findings()
            findings.wrong(f"could not be checked: {error}")
            return findings

    def _blame(self, findings):
        """Each lost write belongs to the first step that was over after its acknowledgement."""
        for write in findings.lost:
            step = self._step_of(write.end)
            if step:
                step.lost += 1
            else:
                self.violated(f"acknowledged row {write.id} is lost, and no fault came after it")
        for step in self.steps:
            allowed = self.options.mode == "async" and step.may_lose
            if step.lost and not allowed:
                self.violated(f"{step.lost} acknowledged writes are lost by {step.name}, {self.options.mode}")

    def _conclude(self, findings):
        overlaps = self._look_for_two()
        self._blame(findings)
        for overlap in overlaps:
            step = self._step_of(overlap.begin)
            if step:
                step.overlap += overlap.seconds
        for text in findings.violations:
            self.violated(text)
        writes = self.workload.writes()
        two = sum(overlap.seconds for overlap in overlaps)
        closest = self.witnesses.closest()
        print()
        print(report.outages(self.steps, self.workload.routes))
        print()
        print(f"product            {self.product.version()}, {self.options.mode}, seed {self.options.seed}")
        print(f"faults             {sum(len(step.names) for step in self.steps)} in {len(self.steps)} steps")
        done = sum(write.outcome == DONE for write in writes)
        print(f"writes             {len(writes)} attempted, {done} acknowledged, {findings.unknown} unknown"
              f" ({findings.unknown_present} of them there)")
        print(f"checked            {findings.checked} acknowledged writes, {len(findings.lost)} lost")
        print(f"two writers        {two:.3f} s, as {len(self.witnesses.accepted)} accepted of {self.witnesses.asked}"
              " tries tell")
        print(f"between primaries  {report.seconds(closest)} s at the shortest")
        print(f"load average       {os.getloadavg()[0]:.2f}")
        if not self.violations:
            print("nothing was violated")
            return 0
        print(f"\n{len(self.violations)} VIOLATIONS, seed {self.options.seed}:")
        for text in self.violations:
            print(f"  {text}")
        print(f"logs: {self.directory}/n?/agent.log {self.directory}/n?/postgresql.log {self.directory}/e?/etcd.log "
              f"{self.directory}/px/proxy.log {self.directory}/timeline")
        return 1


def list_faults(options):
    world = type("World", (), {"clocks": Clocks("/nonexistent", options.clocks), "mode": options.mode})()
    for name, kind in faults.ALL.items():
        why = kind.impossible(world)
        print(f"{name:26} {(kind.__doc__ or '').strip().splitlines()[0]}")
        if why:
            print(f"{'':26} IMPOSSIBLE HERE: {why}")
    return 0


def place_for_images(options, directory):
    """The memory is the sandbox's own and goes with it."""
    memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if not options.images and memory > 5 << 30:
        return "/dev/shm"
    return tempfile.mkdtemp(prefix="images-", dir=options.images or directory)


def main():
    options = arguments()
    why = sandbox.refused()
    if why:
        print(f"SKIPPED: {why}")
        return SKIPPED
    if options.list:
        return sandbox.enter(lambda: list_faults(options), [])
    product = Patroni() if options.peer else Pgkeel(options.binary)
    missing = product.missing(options)
    if missing:
        print(f"chaos: {missing}", file=sys.stderr)
        return 2
    directory = os.path.abspath(options.dir) if options.dir else tempfile.mkdtemp(prefix="pgkeel-chaos-")
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o755)

    def work():
        images = place_for_images(options, directory)
        run = Run(options, product, directory, images)
        try:
            return run.work()
        finally:
            if images != "/dev/shm":
                shutil.rmtree(images, ignore_errors=True)
            with open(f"{directory}/timeline", "w", encoding="utf-8") as file:
                file.write("\n".join(run.timeline.lines) + "\n")
            threading.excepthook = lambda *_: None
    volumes = [f"{directory}/{name}/volume" for name in ("e1", "e2", "e3", "n1", "n2", "n3")]
    status = sandbox.enter(work, volumes)
    if status in (0, 130) and not options.dir:
        shutil.rmtree(directory, ignore_errors=True)
    if status not in (0, 130):
        print(f"chaos: status {status}; everything is in {directory}, seed {options.seed}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
