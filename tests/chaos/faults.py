"""What is done to the cluster. A class a fault: inject(), and heal() if it does not heal by itself.

`strikes` says what it hurts: two faults that overlap never strike the same. `may_lose` says whether an asynchronous
cluster may lose acknowledged writes by it: where another node takes over from one that did not hand over. `hold` is
how long it lasts, in seconds. To add a fault, write a class; the schedule, the report and --list find it in ALL.
"""
import os
import signal
import subprocess
import threading
import time

import disk
import network
from cluster import command_line
from pq import Session

AWAKE_MAX = 1.0  # seconds
STOP, CONTINUE = signal.SIGSTOP, signal.SIGCONT


def send(pids, number):
    for pid in filter(None, pids):  # another fault may have ended them
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Fault:
    name = ""
    strikes = "primary's processes"
    may_lose = False
    awakes = False  # the whole node stood still: what it takes within AWAKE_MAX after is told, and no violation
    hold = (2, 4)

    def __init__(self, chance):
        self.chance = chance
        self.target = None
        self.violations = []  # what only this fault can see

    @staticmethod
    def impossible(_world):
        """Why this cannot be done here; empty if it can."""
        return ""

    def aim(self, world):
        """Chooses whom it hurts, before anything is hurt."""
        self.target = world.primary()

    def inject(self, world):
        raise NotImplementedError

    def heal(self, world):
        pass

    def whom(self):
        return self.target.name if self.target else "nobody"


class OnStandby(Fault):
    strikes = "standby"

    def aim(self, world):
        primary = world.primary()
        self.target = self.chance.choice([node for node in world.nodes if node is not primary])


class OnEtcd(Fault):
    strikes = "etcd"

    def aim(self, world):
        self.target = world.etcd_leader()


# Processes and machines.

class PostmasterKilled(Fault):
    """kill -9 of the primary's postmaster: it is started again where it was, nothing is lost."""
    name = "postmaster-killed"

    def inject(self, world):
        send([self.target.postmaster()], signal.SIGKILL)


class AgentKilled(Fault):
    """kill -9 of the primary's agent, started again at once: PostgreSQL goes on, nothing is lost."""
    name = "agent-killed"
    hold = (1, 1.5)

    def inject(self, world):
        self._before = self.target.postmaster()
        self.target.process.kill()

    def heal(self, world):
        """An agent that comes up late, on a machine that is busy, finds what its guardian has left."""
        self.target.start()
        end = time.monotonic() + 2
        while not self.target.agent_answers() and time.monotonic() < end:
            time.sleep(0.05)
        self._in_time = time.monotonic() < end

    def recovered(self, world):
        """Asked when the cluster is whole again and nothing else was done to it."""
        if world.product.name == "pgkeel" and self._in_time and self.target.postmaster() != self._before:
            self.violations.append(f"{self.whom()}: PostgreSQL did not go on while its agent was started again")


class AgentStopped(Fault):
    """SIGTERM to the primary's agent, and a new start: a planned handover, nothing is lost."""
    name = "agent-stopped"
    hold = (6, 9)

    def inject(self, world):
        self.target.process.send(signal.SIGTERM)

    def heal(self, world):
        if not self.target.process.ended(60):
            self.violations.append(f"{self.whom()}: the agent did not end 60 s after SIGTERM")
        self.target.start()


class AgentGone(Fault):
    """kill -9 of the primary's agent, for longer than a lease: its guardian ends PostgreSQL, another takes over."""
    name = "agent-gone"
    may_lose = True
    hold = (8, 12)

    def inject(self, world):
        self.target.process.kill()

    def heal(self, world):
        self.target.start()


class NodeKilled(Fault):
    """kill -9 of everything on the primary's node; it comes back later."""
    name = "node-killed"
    may_lose = True
    hold = (3, 10)

    def inject(self, world):
        self.target.kill_everything()

    def heal(self, world):
        self.target.start()


class StandbyKilled(OnStandby):
    """kill -9 of everything on a standby's node."""
    name = "standby-killed"
    hold = (3, 8)

    def inject(self, world):
        self.target.kill_everything()

    def heal(self, world):
        self.target.start()


class Halted(Fault):
    """SIGSTOP, and SIGCONT to the same processes."""

    def victims(self, world):
        raise NotImplementedError

    def inject(self, world):
        self._halted = self.victims(world)
        send(self._halted, STOP)

    def heal(self, world):
        send(self._halted, CONTINUE)


class AgentHaltedBriefly(Halted):
    """SIGSTOP of the primary's agent for less than a lease: nothing happens."""
    name = "agent-halted-briefly"
    hold = (1, 2)

    def victims(self, world):
        return [self.target.process.pid]


class AgentHalted(Halted):
    """SIGSTOP of the primary's agent for longer than a lease: fenced, another takes over."""
    name = "agent-halted"
    may_lose = True
    hold = (8, 14)

    def victims(self, world):
        return [self.target.process.pid]


class PostmasterHalted(Halted):
    """SIGSTOP of the primary's postmaster: sessions go on, new ones get no answer."""
    name = "postmaster-halted"
    may_lose = True
    hold = (6, 12)

    def victims(self, world):
        return [self.target.postmaster()]


class NodeHalted(Halted):
    """SIGSTOP of everything on the primary's node, as a virtual machine is paused, for longer than a lease.

    One process after the other goes on again, and PostgreSQL's last. A backend may still be faster than the guardian,
    as on a real machine: nothing on it runs before everything does. So it may take a write for a moment (`awakes`).
    """
    name = "node-halted"
    awakes = True
    may_lose = True
    hold = (8, 14)

    def victims(self, world):
        for pid in self.target.place.pids():  # what its service gives a guardian
            if command_line(pid)[1:2] == ["guardian"]:
                try:
                    os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(10))
                except OSError:
                    pass
        servers = self.target.servers()
        return [pid for pid in self.target.place.pids() if pid not in servers] + servers


class ProxyKilled(Fault):
    """kill -9 of the proxy, started again."""
    name = "proxy-killed"
    strikes = "proxy"
    hold = (1, 3)

    def aim(self, world):
        self.target = world.proxy

    def inject(self, world):
        self.target.process.kill()

    def heal(self, world):
        self.target.start()


class Switchover(Fault):
    """A planned switchover under load: nothing is lost."""
    name = "switchover"
    strikes = "roles"
    hold = (4, 5)

    def inject(self, world):
        self._asked = world.product.switchover(world)

    def heal(self, world):
        """What the command says is no violation: a second fault may have come between."""
        try:
            said, _ = self._asked.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._asked.kill()
            said = "no end after 60 s"
        if self._asked.returncode:
            world.note("    switchover: " + " ".join(said.split())[:200])


class SyncWaitCancelled(Fault):
    """A commit waits for standbys that confirm nothing, and its client cancels: it must not hear that it is done."""
    name = "sync-wait-cancelled"
    strikes = "everything"
    hold = (4, 4)  # from its beginning

    @staticmethod
    def impossible(world):
        return "needs --mode sync or quorum" if world.mode == "async" else ""

    def inject(self, world):
        standbys = [node for node in world.nodes if node is not self.target]
        receivers = [node.ask("select pid from pg_stat_wal_receiver") for node in standbys]
        self._receivers = [int(row[0]) for row in receivers if row]
        send(self._receivers, STOP)
        routes = {**world.product.routes(world.cluster), "without a proxy": self.target.dsn()}
        threads = [threading.Thread(target=self._commit, args=(world, *route)) for route in routes.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _commit(self, world, route, conninfo):
        session = Session(conninfo)
        answers = [session.run("set client_min_messages = error")]  # the warning is all that PostgreSQL says of it
        waiting = threading.Thread(target=lambda: answers.append(session.run("insert into cancelled values (1)",
                                                                               timeout=2.5)))
        waiting.start()
        time.sleep(1)
        if not waiting.is_alive():
            self.violations.append(f"{route}: the commit did not wait: {answers[-1]}")
            return
        session.cancel()
        waiting.join()
        session.close()
        told = "no answer" if answers[-1].text.startswith("no answer") else answers[-1].tag or answers[-1].text
        world.note(f"    {route}: {told}")
        if answers[-1].done and route != "without a proxy":
            self.violations.append(f"{route}: acknowledged a commit that no standby has: {told}")

    def heal(self, world):
        send(self._receivers, CONTINUE)


# The network. Clients and witnesses reach every node all the time.

class OnNetwork(Fault):
    strikes = "primary's network"
    may_lose = True
    hold = (7, 14)

    @staticmethod
    def impossible(world):
        return network.why_no_cuts()

    def heal(self, world):
        self._rules.remove()

    def rules(self):
        self._rules = network.Rules(self.target.place)
        return self._rules


class PrimaryIsolated(OnNetwork):
    """The primary's node is cut off from the other nodes, etcd and the proxy."""
    name = "primary-isolated"

    def inject(self, world):
        self.rules().cut(world.all_but(self.target))


class PrimaryWithoutEtcd(OnNetwork):
    """The primary's node is cut off from etcd alone."""
    name = "primary-without-etcd"

    def inject(self, world):
        self.rules().cut(world.etcd)


class PrimaryDeaf(OnNetwork):
    """What others send to the primary's node is lost; what it sends arrives."""
    name = "primary-deaf"

    def inject(self, world):
        self.rules().cut(world.all_but(self.target), outgoing=False)


class PrimaryMute(OnNetwork):
    """What the primary's node sends to others is lost; what they send arrives."""
    name = "primary-mute"

    def inject(self, world):
        self.rules().cut(world.all_but(self.target), incoming=False)


class PrimaryWithoutStandbys(OnNetwork):
    """The primary's node is cut off from the other two nodes alone; all see etcd."""
    name = "primary-without-standbys"
    may_lose = False

    def inject(self, world):
        self.rules().cut([node for node in world.nodes if node is not self.target])


class StandbyIsolated(OnStandby):
    """A standby's node is cut off from the other nodes, etcd and the proxy."""
    name = "standby-isolated"
    hold = (5, 10)
    impossible = OnNetwork.impossible

    def inject(self, world):
        self._rules = network.Rules(self.target.place)
        self._rules.cut(world.all_but(self.target))

    def heal(self, world):
        self._rules.remove()


class PrimarySlow(OnNetwork):
    """What the primary's node sends is delayed by 80 ms (+-30), and 5 % is lost."""
    name = "primary-slow"

    @staticmethod
    def impossible(world):
        return network.why_no_delay()

    def inject(self, world):
        self.rules().slow(80, 30, 0.05, self.chance.randrange(1 << 30))


class EtcdSlow(OnEtcd):
    """What each member of etcd sends is delayed by 50 ms (+-20), and 2 % is lost."""
    name = "etcd-slow"
    may_lose = True
    hold = (6, 10)

    @staticmethod
    def impossible(world):
        return network.why_no_delay()

    def inject(self, world):
        self._rules = [network.Rules(member.place) for member in world.etcd]
        for rules in self._rules:
            rules.slow(50, 20, 0.02, self.chance.randrange(1 << 30))

    def heal(self, world):
        for rules in self._rules:
            rules.remove()


# etcd.

class EtcdLeaderKilled(OnEtcd):
    """kill -9 of etcd's leader: no failover is due."""
    name = "etcd-leader-killed"
    hold = (3, 7)

    def inject(self, world):
        self.target.kill_everything()

    def heal(self, world):
        self.target.start()


class EtcdFollowerRestarted(EtcdLeaderKilled):
    """kill -9 of a follower of etcd, started again: nothing happens."""
    name = "etcd-follower-restarted"
    hold = (1, 3)

    def aim(self, world):
        super().aim(world)
        self.target = self.chance.choice([member for member in world.etcd if member is not self.target])


class EtcdHalted(OnEtcd, Halted):
    """SIGSTOP of etcd's leader."""
    name = "etcd-halted"
    hold = (5, 10)

    def victims(self, world):
        return self.target.place.pids()


class EtcdQuorumLost(OnEtcd):
    """Two members of etcd are killed: the primary stops within its lease, nobody takes over."""
    name = "etcd-quorum-lost"
    hold = (7, 10)

    def aim(self, world):
        self._down = self.chance.sample(world.etcd, 2)

    def inject(self, world):
        for member in self._down:
            member.kill_everything()

    def heal(self, world):
        for member in self._down:
            member.start()

    def whom(self):
        return " ".join(member.name for member in self._down)


class EtcdDiskHung(OnEtcd):
    """The disk of etcd's leader hangs: etcd 3.4 answers keepalives all the same."""
    name = "etcd-disk-hung"
    may_lose = True
    hold = (6, 12)

    @staticmethod
    def impossible(world):
        return disk.why_no_volumes()

    def inject(self, world):
        self.target.volume.freeze()

    def heal(self, world):
        self.target.volume.thaw()


# Disks.

class OnDisk(Fault):
    strikes = "primary's disk"
    may_lose = True

    @staticmethod
    def impossible(world):
        return disk.why_no_volumes()


class DiskHung(OnDisk):
    """The primary's disk hangs: what writes to it cannot even be killed."""
    name = "disk-hung"
    hold = (8, 14)

    def inject(self, world):
        self.target.volume.freeze()

    def heal(self, world):
        self.target.volume.thaw()


class DiskFull(OnDisk):
    """The primary's disk is full, and it needs new WAL segments."""
    name = "disk-full"
    hold = (8, 14)

    def inject(self, world):
        self.target.volume.fill()
        for _ in range(30):  # those that it has in stock are used up
            if self.target.ask("select pg_logical_emit_message(false, '', ''), pg_switch_wal()") is None:
                return

    def heal(self, world):
        self.target.volume.empty()


class PowerLost(OnDisk):
    """The primary's node loses its power: everything is killed, and what was not flushed is gone."""
    name = "power-lost"
    hold = (3, 10)

    def inject(self, world):
        self.target.volume.thaw()
        self.target.volume.lose_power()
        self.target.kill_everything()

    def heal(self, world):
        self.target.kill_everything()
        self.target.volume.regain_power()
        self.target.start()


class AllPowerLost(OnDisk):
    """All three nodes lose their power at once and come back one after the other."""
    name = "all-power-lost"
    strikes = "everything"
    hold = (2, 4)

    def aim(self, world):
        super().aim(world)
        self._order = self.chance.sample(world.nodes, 3)

    def inject(self, world):
        for node in self._order:
            node.volume.thaw()
            node.volume.lose_power()
        for node in self._order:
            node.kill_everything()

    def heal(self, world):
        for node in self._order:
            node.volume.regain_power()
            node.start()
            time.sleep(1)

    def whom(self):
        return " ".join(node.name for node in self._order)


class ZoneCutOff(OnDisk):
    """The primary's node is cut off together with etcd's leader, to which its agent talks, while that member's disk
    hangs in a write: such a leader of etcd does not find out that it has lost the others, and renews leases."""
    name = "zone-cut-off"
    strikes = "everything"
    hold = (10, 16)

    @staticmethod
    def impossible(world):
        return network.why_no_cuts() or disk.why_no_volumes()

    def aim(self, world):
        super().aim(world)
        self._member = world.etcd_member_of(self.target)
        self._member.take_the_lead(world.etcd_leader())

    def inject(self, world):
        self._member.volume.freeze()
        self._member.hang_in_a_write()
        outside = [each for each in world.all_but(self.target) if each is not self._member]
        self._rules = [network.Rules(inside.place) for inside in (self.target, self._member)]
        for rules in self._rules:
            rules.cut(outside)

    def heal(self, world):
        for rules in self._rules:
            rules.remove()
        self._member.volume.thaw()

    def whom(self):
        return f"{self.target.name} {self._member.name}"


# The clock.

class ClockStepped(Fault):
    """The wall clock of the primary's node, for all its processes, jumps an hour ahead or back."""
    name = "clock-stepped"
    strikes = "primary's clock"
    hold = (6, 10)

    @staticmethod
    def impossible(world):
        return world.clocks.impossible()

    def inject(self, world):
        world.clocks.set(self.target.name, self.chance.choice((3600, -3600)))

    def heal(self, world):
        world.clocks.set(self.target.name, 0)


def _all(base):
    for one in base.__subclasses__():
        if one.name:
            yield one
        yield from _all(one)


ALL = {one.name: one for one in _all(Fault)}
