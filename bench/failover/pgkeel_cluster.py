"""A pgkeel cluster as `pgkeel up` makes it: ttl 5, loop_wait 1, TLS and passwords everywhere."""

import json
import os
import re
import shutil
import ssl
import subprocess

import processes
from cluster import Cluster, EtcdMember, Node


class PgkeelCluster(Cluster):
    title = "pgkeel"

    def __init__(self, directory, program, config=()):
        super().__init__(directory)
        self.program = program
        self.config = config  # KEY=VALUE, as for edit-config

    def _up(self):
        command = [self.program, "up", "-d", "--not-current", "--dir", self.directory]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return done.stdout

    def start(self):
        self.nodes, self.etcd = [], []
        said = self._up()
        uri = re.search(r"postgresql://[^\s']+", said)
        if not uri:
            raise RuntimeError(f"`pgkeel up` has named no connection string: {said}")
        self.routes = {"multi-host URI": uri.group(0)}
        with open(os.path.join(self.directory, "cluster.json"), encoding="utf-8") as file:
            plan = json.load(file)
        certificates = os.path.join(self.directory, "tls")
        self.tls = ssl.create_default_context(cafile=os.path.join(certificates, "ca.crt"))
        self.tls.load_cert_chain(os.path.join(certificates, "client.crt"), os.path.join(certificates, "client.key"))
        for node in plan["nodes"]:
            self.nodes.append(Node(node["name"], node["postgres_port"], os.path.join(self.directory, node["name"], "data"),
                                   f"https://127.0.0.1:{node['rest_port']}"))
        for member in plan["etcd"]:
            self.etcd.append(EtcdMember(member["name"], f"https://127.0.0.1:{member['client_port']}"))
        if self.config:
            changes = [word for change in self.config for word in ("-s", change)]
            subprocess.run([self.program, "edit-config", "--force", "--dir", self.directory] + changes, check=True,
                           capture_output=True, timeout=30, stdin=subprocess.DEVNULL)

    def start_missing(self):
        self._up()

    def stop(self, keep):
        if not os.path.exists(os.path.join(self.directory, "cluster.json")):
            return
        self.remember_servers()
        try:
            command = [self.program, "down", "--dir", self.directory] + ([] if keep else ["--purge", "--force"])
            subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        finally:
            self.end_what_is_left()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def node_dsn(self, node):
        return (f"host=127.0.0.1 port={node.postgres_port} user=postgres dbname=postgres sslmode=verify-full "
                f"sslrootcert={self.directory}/tls/ca.crt passfile={self.directory}/pgpass")

    def postgres_log(self, node):
        return os.path.join(self.directory, node.name, "postgresql.log")

    def switchover_command(self):
        return [self.program, "switchover", "--dir", self.directory, "--force"]

    def _pid_of(self, name):
        try:
            with open(os.path.join(self.directory, name, "pid"), encoding="ascii") as file:
                pid, started = file.read().split()[:2]
        except OSError:
            return None
        return int(pid) if processes.start_time(int(pid)) == int(started) else None

    def agent_pid(self, node):
        return self._pid_of(node.name)

    def etcd_pid(self, member):
        return self._pid_of(member.name)
