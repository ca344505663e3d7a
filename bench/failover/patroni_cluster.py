"""Debian's Patroni at its defaults (ttl 30, loop_wait 10, retry_timeout 10) behind HAProxy as Patroni's manual sets it up.

etcd, PostgreSQL and their settings are those of the pgkeel cluster, but without TLS: Patroni gets the cheaper
connections.
"""

import os
import secrets
import shutil
import time

import processes
from cluster import Cluster, EtcdMember, Node

SCOPE = "bench"

AGENT = """\
scope: {scope}
name: {name}
restapi:
  listen: 127.0.0.1:{rest_port}
  connect_address: 127.0.0.1:{rest_port}
etcd3:
  hosts: [{etcd_hosts}]
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        shared_buffers: 32MB
        max_connections: 100
        wal_keep_size: 128MB
  initdb:
  - encoding: UTF8
  - locale: C.UTF-8
  - data-checksums
postgresql:
  listen: 127.0.0.1:{postgres_port}
  connect_address: 127.0.0.1:{postgres_port}
  data_dir: {data_directory}
  bin_dir: {bin_directory}
  pgpass: {directory}/{name}/pgpass
  authentication:
    superuser: {{username: postgres, password: {password}}}
    replication: {{username: replicator, password: {password}}}
    rewind: {{username: rewinder, password: {password}}}
  parameters:
    unix_socket_directories: ''
    password_encryption: scram-sha-256
  pg_hba:
  - host all all 127.0.0.1/32 scram-sha-256
  - host replication replicator 127.0.0.1/32 scram-sha-256
"""

HAPROXY = """\
global
    maxconn 100
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen primary
    bind 127.0.0.1:{port}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
{servers}
"""


class PatroniCluster(Cluster):
    title = "Patroni"
    calm_s = 12.0  # HAProxy has to see three failed checks, 3 s apart, of who was primary before

    def __init__(self, directory, bin_directory="/usr/lib/postgresql/15/bin"):
        super().__init__(directory)
        self.bin_directory = bin_directory
        self.commands = {}  # server name -> command
        self.running = {}   # server name -> Popen

    def _write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        processes.owned_by_server_user(path)
        return path

    def _directory(self, *names):
        path = os.path.join(self.directory, *names)
        os.makedirs(path, mode=0o700)
        processes.owned_by_server_user(path)
        return path

    def start(self):
        self._directory()
        ports = processes.free_ports(13)
        self._plan_etcd(ports[0:3], ports[3:6])
        self._plan_nodes(ports[6:9], ports[9:12], secrets.token_hex(16))
        self._plan_haproxy(ports[12])
        for member in self.etcd:
            self._start(member.name)
        self._wait_for_etcd()
        for node in self.nodes:
            self._start(node.name)
        self._start("haproxy")

    def _plan_etcd(self, client_ports, peer_ports):
        peers = ",".join(f"etcd-{i}=http://127.0.0.1:{port}" for i, port in enumerate(peer_ports, 1))
        for i, (client, peer) in enumerate(zip(client_ports, peer_ports), 1):
            name, client_url, peer_url = f"etcd-{i}", f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
            self.commands[name] = [
                "etcd", f"--name={name}", f"--data-dir={self._directory(name)}", f"--initial-cluster={peers}",
                "--initial-cluster-token=bench",
                f"--listen-client-urls={client_url}", f"--advertise-client-urls={client_url}",
                f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}"]
            self.etcd.append(EtcdMember(name, client_url))

    def _wait_for_etcd(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                self.etcd_leader()
                return
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _plan_nodes(self, postgres_ports, rest_ports, password):
        hosts = ", ".join(member.client_url.removeprefix("http://") for member in self.etcd)
        self._write("pgpass", f"127.0.0.1:*:*:*:{password}\n")
        for i, (postgres_port, rest_port) in enumerate(zip(postgres_ports, rest_ports)):
            name = "pg-" + "abc"[i]
            data = os.path.join(self._directory(name), "data")
            file = self._write(name + ".yml", AGENT.format(
                scope=SCOPE, name=name, rest_port=rest_port, etcd_hosts=hosts, postgres_port=postgres_port,
                data_directory=data, bin_directory=self.bin_directory, directory=self.directory, password=password))
            self.commands[name] = ["/usr/bin/python3", "/usr/bin/patroni", file]
            self.nodes.append(Node(name, postgres_port, data, f"http://127.0.0.1:{rest_port}"))

    def _plan_haproxy(self, port):
        servers = "\n".join(f"    server {node.name} 127.0.0.1:{node.postgres_port} maxconn 100 check port "
                            f"{node.rest_url.rpartition(':')[2]}" for node in self.nodes)
        file = self._write("haproxy.cfg", HAPROXY.format(port=port, servers=servers))
        self.commands["haproxy"] = ["/usr/sbin/haproxy", "-db", "-f", file]
        login = f"user=postgres dbname=postgres passfile={self.directory}/pgpass"
        everyone = ",".join(str(node.postgres_port) for node in self.nodes)
        self.routes = {
            "HAProxy": f"host=127.0.0.1 port={port} {login}",
            "multi-host URI": f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={everyone} target_session_attrs=read-write {login}"}

    def _start(self, name):
        child = processes.start(self.commands[name], os.path.join(self.directory, name + ".log"))
        self.running[name] = child
        self._remember(child.pid)

    def start_missing(self):
        for name, child in list(self.running.items()):
            if child.poll() is not None:
                self._start(name)

    def stop(self, keep):
        """HAProxy first, then the agents, which stop their PostgreSQL, then etcd."""
        self.remember_servers()
        order = ["haproxy"] + [node.name for node in self.nodes] + [member.name for member in self.etcd]
        try:
            for name in order:
                child = self.running.get(name)
                if child is not None and child.poll() is None:
                    processes.end(child.pid, processes.start_time(child.pid))
        finally:
            self.end_what_is_left()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def node_dsn(self, node):
        return f"host=127.0.0.1 port={node.postgres_port} user=postgres dbname=postgres passfile={self.directory}/pgpass"

    def postgres_log(self, node):
        return os.path.join(self.directory, node.name + ".log")  # with the agent's own lines

    def switchover_command(self):
        primary = self.wait_for_primary()
        return ["patronictl", "-c", os.path.join(self.directory, "pg-a.yml"), "switchover", "--master", primary.name,
                "--force", SCOPE]

    def agent_pid(self, node):
        return self._pid_of(node.name)

    def etcd_pid(self, member):
        return self._pid_of(member.name)

    def _pid_of(self, name):
        child = self.running.get(name)
        return child.pid if child is not None and child.poll() is None else None
