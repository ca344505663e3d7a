"""pgkeel: how its agents and its proxy are configured, and how a switchover is asked for."""
import json
import os
import shutil
import subprocess

from cluster import REST_PORT, SQL_PORT, USER


def dynamic_configuration(settings):
    configuration = {
        "ttl": settings.ttl, "loop_wait": 1, "retry_timeout": 2, "maximum_lag_on_failover": 1048576,
        "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": {
            "shared_buffers": "32MB", "max_connections": 100, "wal_keep_size": "64MB",
            "max_wal_size": "128MB", "min_wal_size": "48MB"}}}
    if settings.mode != "async":
        configuration["synchronous_mode"] = True if settings.mode == "sync" else "quorum"
    if settings.failsafe:
        configuration["failsafe_mode"] = True
    return configuration


def node_configuration(cluster, node, bootstrap):
    """What pgkeel and Patroni have in common: all of it but the times."""
    return {
        "scope": "chaos", "name": node.name,
        "restapi": {"listen": f"{node.address}:{REST_PORT}", "connect_address": f"{node.address}:{REST_PORT}",
                    "authentication": {"username": "chaos", "password": "chaos"}},
        "ctl": {"authentication": {"username": "chaos", "password": "chaos"}},
        "etcd3": {"hosts": cluster.etcd_hosts},
        "bootstrap": {"dcs": bootstrap, "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums",
                                                    {"auth": "trust"}]},
        "postgresql": {
            "listen": f"{node.address}:{SQL_PORT}", "connect_address": f"{node.address}:{SQL_PORT}",
            "data_dir": node.data, "bin_dir": "/usr/lib/postgresql/15/bin", "pgpass": node.volume.directory + "/pgpass",
            "use_unix_socket": True,
            "authentication": {"superuser": {"username": USER}, "replication": {"username": USER},
                               "rewind": {"username": USER}},
            "parameters": {"unix_socket_directories": node.directory, "logging_collector": True,
                           "log_directory": node.directory, "log_filename": "postgresql.log", "log_rotation_age": 0,
                           "log_rotation_size": 0, "log_line_prefix": "%m [%p] %a "},
            "pg_hba": ["local all all trust", "host all all 10.213.0.0/24 trust",
                       "host replication all 10.213.0.0/24 trust"]}}


def write_json(path, content):
    """JSON is YAML."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    os.chmod(path, 0o644)
    return path


class Pgkeel:
    name = "pgkeel"

    def __init__(self, binary):
        self.binary = os.path.abspath(binary)

    def missing(self, _settings):
        return "" if os.access(self.binary, os.X_OK) else f"no program {self.binary}: ./dev build, or --binary"

    def install(self, directory):
        """A copy, so that a build meanwhile changes nothing, and where PostgreSQL's user may read it."""
        self.binary = shutil.copy(self.binary, directory + "/pgkeel")
        os.chmod(self.binary, 0o755)

    def version(self):
        return subprocess.run([self.binary, "version"], capture_output=True, text=True, check=False).stdout.strip()

    def agent(self, cluster, node):
        configuration = node_configuration(cluster, node, dynamic_configuration(cluster.settings))
        if cluster.settings.no_guardian:
            configuration["pgkeel"] = {"guardian": False}
        file = write_json(node.directory + "/agent.yml", configuration)
        return [self.binary, "agent", file]

    def proxy(self, cluster, place):
        users = place.directory + "/userlist.txt"
        with open(users, "w", encoding="utf-8") as file:
            file.write(f'"{USER}" ""\n')
        os.chmod(users, 0o644)
        file = write_json(place.directory + "/proxy.yml", {
            "scope": "chaos", "etcd3": {"hosts": cluster.etcd_hosts},
            "proxy": {"listeners": [
                {"listen": f"{place.address}:5000", "route": "primary", "pool_mode": "session"},
                {"listen": f"{place.address}:6432", "route": "primary", "pool_mode": "transaction"}],
                "unix_socket_dir": "", "auth_type": "trust", "auth_file": users, "admin_users": USER,
                "log_connections": 0, "log_disconnections": 0}})
        return [self.binary, "proxy", file]

    def routes(self, cluster):
        at = f"host={cluster.proxy.address} user={USER} dbname=postgres connect_timeout=5"
        return {"pooled": f"{at} port=6432", "primary": f"{at} port=5000"}

    def switchover(self, cluster):
        """Starts one; the caller waits for it."""
        file = cluster.nodes[0].directory + "/agent.yml"
        return subprocess.Popen([self.binary, "switchover", "-c", file, "--force"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
