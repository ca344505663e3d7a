"""Network namespaces, and what can be done to the links between them.

Rules stand in the namespace of the one that is hurt, as iptables rules; what was added is removed one by one, so that
faults may overlap. The clients' own links are never touched: a primary that is cut off from its cluster still has
clients beside it, and the witnesses have to see whether it goes on taking their writes.
"""
import functools
import os
import shutil
import signal
import subprocess
import sys

import sandbox
from sandbox import run

QUEUE = "7"


class Place:
    """One network namespace with one address."""

    def __init__(self, name, address):
        self.name, self.address = name, address
        run("ip", "netns", "add", name)
        run("ip", "link", "add", "v" + name, "type", "veth", "peer", "name", "e0", "netns", name)
        run("ip", "link", "set", "v" + name, "master", sandbox.BRIDGE, "up")
        run("ip", "-n", name, "addr", "add", address + "/24", "dev", "e0")
        run("ip", "-n", name, "link", "set", "e0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        self._inode = os.stat("/run/netns/" + name).st_ino

    def command(self, *words):
        """The network namespace only: `ip netns exec` would keep a copy of every mount, and a volume in use."""
        return ["nsenter", "--net=/run/netns/" + self.name, *words]

    def pids(self):
        """Everything that runs here."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.stat(f"/proc/{entry}/ns/net").st_ino == self._inode:
                        found.append(int(entry))
                except OSError:
                    pass  # it has ended
        return found


@functools.cache
def why_no_cuts():
    if not shutil.which("iptables"):
        return "iptables is not installed (Debian's package iptables)"
    tried = run("iptables", "-w", "-A", "INPUT", "-s", "10.213.0.250", "-j", "DROP", check=False)
    run("iptables", "-w", "-D", "INPUT", "-s", "10.213.0.250", "-j", "DROP", check=False)
    return "" if tried.returncode == 0 else f"iptables does not work here: {tried.stderr.strip()}"


@functools.cache
def why_no_delay():
    """This is no tc netem: packets wait in a netfilter queue, which is there in kernels without sch_netem, too."""
    if why_no_cuts():
        return why_no_cuts()
    rule = ["OUTPUT", "-d", "10.213.0.250", "-m", "statistic", "--mode", "random", "--probability", "0.5",
            "-j", "NFQUEUE", "--queue-num", QUEUE, "--queue-bypass"]
    tried = run("iptables", "-w", "-A", *rule, check=False)
    run("iptables", "-w", "-D", *rule, check=False)
    return "" if tried.returncode == 0 else f"no NFQUEUE in this kernel's iptables: {tried.stderr.strip()}"


class Rules:
    """Rules in one place that can be taken back."""

    def __init__(self, place):
        self._place = place
        self._added = []
        self._delay = None

    def _add(self, *rule):
        run(*self._place.command("iptables", "-w", "-A", *rule))
        self._added.append(rule)

    def cut(self, others, incoming=True, outgoing=True):
        for other in others:
            if incoming:
                self._add("INPUT", "-s", other.address, "-j", "DROP")
            if outgoing:
                self._add("OUTPUT", "-d", other.address, "-j", "DROP")

    def slow(self, milliseconds, jitter, loss, seed):
        """Everything that leaves, but not what goes to the clients."""
        helper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay.py")
        self._delay = subprocess.Popen(
            self._place.command(sys.executable, helper, QUEUE, str(milliseconds), str(jitter), str(loss), str(seed)))
        self._add("OUTPUT", "-o", "e0", "!", "-d", sandbox.CLIENTS, "-j", "NFQUEUE", "--queue-num", QUEUE,
                  "--queue-bypass")

    def remove(self):
        for rule in reversed(self._added):
            run(*self._place.command("iptables", "-w", "-D", *rule), check=False)
        self._added = []
        if self._delay:
            self._delay.send_signal(signal.SIGTERM)
            self._delay.wait()
            self._delay = None
