"""Three members of etcd, three nodes with PostgreSQL, and a proxy, each in a network namespace, as processes of this
harness.

What is the same whatever product keeps the cluster together. What differs is in product_pgkeel.py and
product_patroni.py.
"""
import json
import os
import pwd
import signal
import subprocess
import time
import urllib.error
import urllib.request

import sandbox
from disk import Volume
from network import Place
from pq import Session

ETCD_PORT, ETCD_PEER_PORT, SQL_PORT, REST_PORT = 2379, 2380, 5432, 8008
USER = "postgres"


class Process:
    """A server of ours: what starts it, where it logs, and its pid."""

    def __init__(self, place, words, log, environment=None, hidden=()):
        self._place, self._log = place, log
        # `env` comes last: what a library makes while it is still root is out of reach later.
        self._words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                       "env", *(f"{name}={value}" for name, value in (environment or {}).items()), *words]
        if hidden:
            self._words = out_of_sight(hidden, self._words)
        self._child = None
        self.crashes = []

    def start(self):
        if self.running():
            return
        with open(self._log, "ab") as log:
            log.write(f"--- started {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self._child = subprocess.Popen(
                self._place.command(*self._words),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"})

    def running(self):
        if self._child is None:
            return False
        if self._child.poll() is None:
            return True
        # Ours are SIGKILL and SIGTERM.
        if self._child.returncode < 0 and -self._child.returncode not in (signal.SIGKILL, signal.SIGTERM):
            self.crashes.append(f"ended with {signal.Signals(-self._child.returncode).name}: see {self._log}")
        self._child = None
        return False

    @property
    def pid(self):
        return self._child.pid if self.running() else None

    def send(self, number):
        if self.running():
            os.kill(self._child.pid, number)

    def kill(self):
        self.send(signal.SIGKILL)

    def ended(self, timeout):
        """Whether it ended in time."""
        if self._child is None:
            return True
        try:
            self._child.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            return False


# A proxy reaches a server on its own machine by a socket in the file system, whatever the network says. Here nodes are
# other machines.
HIDE = 'for d in $HIDDEN; do umount -q "$d/volume"; mount -t tmpfs none "$d"; done; exec "$@"'


def out_of_sight(directories, words):
    """The command, unable to see these directories: with mounts of its own that keep no volume in use."""
    return ["env", "HIDDEN=" + " ".join(directories), "unshare", "--mount", "--propagation", "private",
            "sh", "-c", HIDE, "sh", *words]


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def kill_all(pids):
    """All at once: first nobody may act on the others' end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


class Machine:
    """A place with a volume, on which processes run."""

    def __init__(self, name, address, directory, megabytes, images):
        self.name = name
        self.place = Place(name, address)
        self.address = address
        self.directory = os.path.join(directory, name)
        os.makedirs(self.directory, exist_ok=True)
        os.chown(self.directory, *pwd.getpwnam(USER)[2:4])
        self.volume = Volume(images and f"{images}/{name}.img", f"{self.directory}/volume", megabytes, USER)
        self.process = None

    def start(self):
        self.process.start()

    def kill_everything(self):
        """Also what is born meanwhile."""
        for _ in range(20):
            pids = self.place.pids()
            if not pids:
                return
            kill_all(pids)
            time.sleep(0.05)
            self.process.running()  # buries it


class Node(Machine):
    """A node with PostgreSQL and the agent that looks after it (`process`)."""

    @property
    def data(self):
        return self.volume.directory + "/data"

    def servers(self):
        """The processes of PostgreSQL here, by program."""
        return [pid for pid in self.place.pids() if (command_line(pid) or [""])[0].startswith("postgres")
                or (command_line(pid) or [""])[0].endswith("/bin/postgres")]

    def postmaster(self):
        for pid in self.servers():
            if command_line(pid)[0].endswith("/bin/postgres"):
                return pid
        return None

    def dsn(self, options=""):
        """libpq prints what a server says while it connects: only errors, then."""
        return (f"host={self.address} port={SQL_PORT} user={USER} dbname=postgres connect_timeout=2"
                f" options='-c client_min_messages=error {options}'")

    def ask(self, sql, timeout=3.0):
        """One row, or None."""
        session = Session(self.dsn("-c statement_timeout=3000"))
        answer = session.run(sql, timeout)
        session.close()
        return answer.rows[0] if answer.done and answer.rows else None

    def agent_answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:{REST_PORT}/patroni", timeout=2) as reply:
                return reply.status == 200
        except (OSError, urllib.error.URLError):
            return False


class Etcd(Machine):
    def call(self, path, body, timeout=1.0):
        request = urllib.request.Request(f"http://{self.address}:{ETCD_PORT}/v3{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return json.loads(reply.read())

    def leads(self):
        try:
            status = self.call("/maintenance/status", {})
            return status.get("leader") == status["header"]["member_id"]
        except (OSError, ValueError, KeyError):
            return False

    def take_the_lead(self, leader):
        if leader is not self:
            me = self.call("/maintenance/status", {})["header"]["member_id"]
            leader.call("/maintenance/transfer-leadership", {"targetID": me}, timeout=5.0)

    def hang_in_a_write(self):
        """Its disk hangs: the write that is begun here does not end."""
        try:
            self.call("/kv/put", {"key": "Y2hhb3M=", "value": "eA=="}, timeout=0.4)
        except OSError:
            return
        raise RuntimeError(f"{self.name} writes, although its disk hangs")


class Cluster:
    def __init__(self, directory, product, settings, images, environment=None):
        """`images` is where the volumes' images are; empty: nodes have plain directories."""
        self.directory, self.product, self.settings = directory, product, settings
        self._had = {}
        self.etcd = [Etcd(f"e{n}", f"10.213.0.2{n}", directory, 256, images) for n in (1, 2, 3)]
        self.nodes = [Node(f"n{n}", f"10.213.0.1{n}", directory, 1024, images) for n in (1, 2, 3)]
        self.proxy = Machine("px", "10.213.0.31", directory, 16, "")
        self.machines = [*self.etcd, *self.nodes, self.proxy]
        peers = ",".join(f"{e.name}=http://{e.address}:{ETCD_PEER_PORT}" for e in self.etcd)
        for member in self.etcd:
            member.process = Process(member.place, [
                "etcd", "--name", member.name, "--data-dir", member.volume.directory + "/etcd",
                "--listen-client-urls", f"http://{member.address}:{ETCD_PORT}",
                "--advertise-client-urls", f"http://{member.address}:{ETCD_PORT}",
                "--listen-peer-urls", f"http://{member.address}:{ETCD_PEER_PORT}",
                "--initial-advertise-peer-urls", f"http://{member.address}:{ETCD_PEER_PORT}",
                "--initial-cluster", peers, "--heartbeat-interval", "50", "--election-timeout", "500",
                "--logger", "zap", "--log-outputs", "stderr"], member.directory + "/etcd.log")
        for node in self.nodes:
            node.process = Process(node.place, product.agent(self, node), node.directory + "/agent.log",
                                   (environment or {}).get(node.name))
        self.proxy.process = Process(self.proxy.place, product.proxy(self, self.proxy),
                                     self.proxy.directory + "/proxy.log",
                                     hidden=[node.directory for node in self.nodes])

    @property
    def etcd_hosts(self):
        return [f"{member.address}:{ETCD_PORT}" for member in self.etcd]

    def start(self):
        for member in self.etcd:
            member.start()
        self.await_(lambda: any(member.leads() for member in self.etcd), 30, "etcd has no leader")
        for node in self.nodes:
            node.start()
        self.proxy.start()
        self.await_(lambda: not self.ailment(), 180, self.ailment)

    @staticmethod
    def await_(condition, timeout, why):
        """Waits, and says how long it took."""
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > timeout:
                raise TimeoutError(f"after {timeout} s: {why() if callable(why) else why}")
            time.sleep(0.25)
        return time.monotonic() - begin

    def primary(self):
        """The node that takes writes, as PostgreSQL says; None if there is none, or if there are two."""
        primaries = [node for node in self.nodes if node.ask("select pg_is_in_recovery()") == ["f"]]
        return primaries[0] if len(primaries) == 1 else None

    def ailment(self):
        """Why the cluster is not whole; empty if it is: a primary, two standbys that keep up, agents that answer."""
        roles = {node.name: (node.ask("select pg_is_in_recovery()") or ["no answer"])[0] for node in self.nodes}
        if sorted(roles.values()) != ["f", "t", "t"]:
            return "in recovery: " + ", ".join(f"{name}: {role}" for name, role in roles.items())
        primary = next(node for node in self.nodes if roles[node.name] == "f")
        # A standby that was cut off looks as if it streamed: it has to have what the primary had at the last look.
        had = self._had.get(primary.name, "FFFFFFFF/0")
        seen = primary.ask("select count(*) filter (where state = 'streaming'),"
                           " count(*) filter (where sync_state in ('sync', 'quorum')),"
                           f" count(*) filter (where flush_lsn >= '{had}'), pg_current_wal_lsn()"
                           " from pg_stat_replication")
        self._had = {primary.name: seen[3]} if seen else {}
        if not seen or int(seen[0]) != 2:
            return f"{seen[0] if seen else 'nobody knows how many'} standbys stream from {primary.name}"
        if int(seen[2]) != 2:
            return f"{seen[2]} standbys have what {primary.name} had ({had})"
        if self.settings.mode != "async" and int(seen[1]) < (2 if self.settings.mode == "quorum" else 1):
            return f"{primary.name} has {seen[1]} synchronous standbys"
        silent = [node.name for node in self.nodes if not node.agent_answers()]
        return f"agents that do not answer: {' '.join(silent)}" if silent else ""

    def etcd_member_of(self, node):
        """The member of etcd that has most of the connections of the node's agent."""
        found = subprocess.run(node.place.command("ss", "-Htn", "state", "established", "dport", f"= :{ETCD_PORT}"),
                               capture_output=True, text=True, check=True).stdout
        return max(self.etcd, key=lambda member: found.count(f" {member.address}:{ETCD_PORT}"))

    def etcd_leader(self):
        return next((member for member in self.etcd if member.leads()), self.etcd[0])

    def start_what_has_ended(self):
        """As the service manager does: what could not be started while its disk hung, and what ended by itself."""
        for machine in self.machines:
            machine.start()

    def crashes(self):
        for machine in self.machines:
            machine.process.running()
        return [text for machine in self.machines for text in machine.process.crashes]

    def await_primary(self):
        self.await_(self.primary, 30, "there is no primary, or more than one")
        return self.primary() or self.await_primary()

    def stop(self):
        """The sandbox ends what is left; this is for logs that end in order."""
        for machine in self.machines:
            machine.volume.thaw()
        self.proxy.process.kill()
        for node in self.nodes:
            node.kill_everything()
        for member in self.etcd:
            member.kill_everything()
        for machine in self.machines:
            if machine.volume.real:
                sandbox.run("umount", machine.volume.directory, check=False)
