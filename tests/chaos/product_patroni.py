"""Patroni from Debian 12, behind HAProxy with the configuration that Patroni's own documentation gives: the same
faults for it."""
import os
import shutil
import subprocess

from cluster import REST_PORT, SQL_PORT, USER
from product_pgkeel import dynamic_configuration, node_configuration, write_json


class Patroni:
    name = "patroni"

    @staticmethod
    def missing(settings):
        """Why it cannot be run; empty if it can."""
        for program in ("patroni", "patronictl", "haproxy"):
            if not shutil.which(program):
                return f"needs the program {program} (Debian's packages patroni and haproxy)"
        return "this Patroni has no quorum mode" if settings.mode == "quorum" else ""

    def install(self, directory):
        pass

    def version(self):
        return subprocess.run(["patroni", "--version"], capture_output=True, text=True, check=False).stdout.strip()

    def agent(self, cluster, node):
        # Patroni's own proportions: loop_wait + 2 * retry_timeout <= ttl.
        ttl = cluster.settings.ttl
        dynamic = {**dynamic_configuration(cluster.settings), "loop_wait": ttl // 3, "retry_timeout": ttl // 3}
        return ["patroni", write_json(node.directory + "/agent.yml", node_configuration(cluster, node, dynamic))]

    def proxy(self, cluster, place):
        servers = "\n".join(f"    server {node.name} {node.address}:{SQL_PORT} maxconn 100 check port {REST_PORT}"
                            for node in cluster.nodes)
        path = place.directory + "/haproxy.cfg"
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"""global
    maxconn 200
    log stderr format raw local0
defaults
    log global
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen primary
    bind {place.address}:5000
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
{servers}
""")
        os.chmod(path, 0o644)
        return ["haproxy", "-f", path]

    def routes(self, cluster):
        return {"primary": f"host={cluster.proxy.address} user={USER} dbname=postgres connect_timeout=5 port=5000"}

    def switchover(self, cluster):
        file = cluster.nodes[0].directory + "/agent.yml"
        return subprocess.Popen(["patronictl", "-c", file, "switchover", "--force"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
