"""What both clusters have in common: three nodes of agent and PostgreSQL, seen through SQL and the agents' REST API."""

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import psycopg2

import processes


@dataclass
class Node:
    name: str
    postgres_port: int
    data_directory: str
    rest_url: str


@dataclass
class EtcdMember:
    name: str
    client_url: str


@dataclass
class Cluster:
    """A subclass knows how to start its servers, where their pids are, and how an operator asks for a switchover."""

    directory: str
    nodes: list = field(default_factory=list)
    etcd: list = field(default_factory=list)
    routes: dict = field(default_factory=dict)  # how a client finds the primary: name -> libpq connection string
    tls: ssl.SSLContext = None
    known: dict = field(default_factory=dict)  # pid -> start time, of every server ever seen

    title = ""
    calm_s = 2.0  # between two events, once every replica streams

    def start(self): raise NotImplementedError
    def stop(self, keep): raise NotImplementedError
    def switchover_command(self): raise NotImplementedError
    def agent_pid(self, node): raise NotImplementedError
    def etcd_pid(self, member): raise NotImplementedError
    def start_missing(self): raise NotImplementedError
    def node_dsn(self, node): raise NotImplementedError
    def postgres_log(self, node): raise NotImplementedError

    def postmaster_pid(self, node):
        with open(os.path.join(node.data_directory, "postmaster.pid"), encoding="ascii") as file:
            return int(file.readline())

    def agent_processes(self, node):
        """The agent and what it has started, without PostgreSQL."""
        agent = self.agent_pid(node)
        postgres = set()
        for pid in processes.descendants(agent):
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "postgres":
                    postgres.add(pid)
            except OSError:
                continue
        return [agent] + [pid for pid in processes.descendants(agent) if pid not in postgres]

    def remember_servers(self):
        """Notes every server's identity, so that the end can make sure that none is left."""
        for member in self.etcd:
            self._remember(self.etcd_pid(member))
        for node in self.nodes:
            self._remember(self.agent_pid(node))
            try:
                self._remember(self.postmaster_pid(node))
            except (OSError, ValueError):
                pass

    def _remember(self, pid):
        started = pid and processes.start_time(pid)
        if started:
            self.known[pid] = started

    def end_what_is_left(self):
        for pid, started in self.known.items():
            processes.end(pid, started, patience=1.0)

    def query(self, node, text, parameters=None):
        connection = psycopg2.connect(self.node_dsn(node), connect_timeout=2)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(text, parameters)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def get_json(self, url, body=None, timeout=3):
        request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as answer:
            return json.load(answer)

    def primary(self):
        """The one node that takes writes, as PostgreSQL says; None when there is none, or more than one."""
        found = []
        for node in self.nodes:
            try:
                if self.query(node, "select not pg_is_in_recovery()")[0][0]:
                    found.append(node)
            except psycopg2.Error:
                continue
        return found[0] if len(found) == 1 else None

    def wait_for_primary(self, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            node = self.primary()
            if node:
                return node
            time.sleep(0.2)
        raise RuntimeError(f"{self.title}: no primary within {seconds} s")

    def is_whole(self):
        """Every other node streams from the primary, and the agents agree."""
        node = self.primary()
        if node is None:
            return False
        try:
            streaming = self.query(node, """select count(*) from pg_stat_replication
                where state = 'streaming' and pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) < 65536""")[0][0]
            members = self.get_json(node.rest_url + "/cluster")["members"]
        except (psycopg2.Error, OSError, ValueError):
            return False
        healthy = [member for member in members if member["state"] in ("running", "streaming")]
        leaders = [member["name"] for member in members if member["role"] == "leader"]
        return streaming == len(self.nodes) - 1 and len(healthy) == len(self.nodes) and leaders == [node.name]

    def wait_until_whole(self, seconds=240):
        deadline = time.monotonic() + seconds
        while not self.is_whole():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.title}: not every replica streams after {seconds} s: see {self.directory}")
            time.sleep(0.5)
        self.remember_servers()

    def etcd_leader(self):
        for member in self.etcd:
            try:
                status = self.get_json(member.client_url + "/v3/maintenance/status", body={})
            except (OSError, ValueError):
                continue
            if status.get("leader") == status["header"]["member_id"]:
                return member
        raise RuntimeError(f"{self.title}: etcd has no leader")

    def lose_node(self, node, member=None):
        """Everything of the node dies in the same moment, and with it a member of etcd."""
        postmaster = self.postmaster_pid(node)
        doomed = self.agent_processes(node) + [postmaster] + processes.descendants(postmaster)
        if member is not None:
            doomed.insert(0, self.etcd_pid(member))
        processes.kill_together(doomed)
