#!/usr/bin/python3
"""What a pooled transaction costs: pgkeel's proxy beside PgBouncer, in one rotation on one machine.

usage: bench/pool.py PGKEEL [--rounds N] [--seconds N] [--pgbouncer PATH] [--idle N] [--only NAME,…] [--engines NAME,…]

Each round runs the same pgbench through each pooler, one after the other, so that what else the machine does hits all
of them. CPU is the pooler's own user and system time over the transactions of the run, from /proc. PostgreSQL and the
poolers are started here, on free ports of the loopback, and ended by pid. Needs root or the user postgres.
With --engines epoll,io_uring there is a pgkeel of each instead of one with the default."""

import argparse, json, os, re, resource, shutil, signal, socket, ssl, statistics, subprocess, sys, tempfile, time

PG = "/usr/lib/postgresql/15/bin/"
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def as_postgres(command):
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] + command


class Pooler:
    def __init__(self, name, command, port, host):
        self.name, self.port, self.host = name, port, host
        self.process = subprocess.Popen(as_postgres(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if self.process.poll() is not None:
                sys.exit(f"bench: {name} did not start: {' '.join(command)}")
            time.sleep(0.05)
        sys.exit(f"bench: {name} does not listen on port {port}")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def stop(self):
        self.process.send_signal(signal.SIGQUIT if self.name != "pgbouncer" else signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


def pgbench(pooler, seconds, protocol, clients, *more, tls=False):
    before = pooler.cpu_seconds()
    ran = subprocess.run([PG + "pgbench", "-h", "127.0.0.1", "-p", str(pooler.port), "-U", "postgres", "-n", "-S", "-M",
                          protocol, "-c", str(clients), "-j", "1", "-T", str(seconds), "-l",
                          "--log-prefix=" + os.path.join(scratch, "tx"), *more, "bench"],
                         capture_output=True, text=True, env={**os.environ, "PGSSLMODE": "require" if tls else "disable"})
    used = pooler.cpu_seconds() - before
    count = re.search(r"transactions actually processed: (\d+)", ran.stdout)
    if not count or int(count.group(1)) == 0:
        return {"error": (ran.stderr.strip() or ran.stdout.strip())[-200:]}
    latencies = []
    for name in os.listdir(scratch):
        if name.startswith("tx."):
            with open(os.path.join(scratch, name)) as log:
                latencies += [int(line.split()[2]) for line in log]
            os.unlink(os.path.join(scratch, name))
    latencies.sort()
    transactions = int(count.group(1))
    return {"tps": transactions / seconds, "cpu_us": used * 1e6 / transactions, "p50_us": latencies[len(latencies) // 2],
            "p99_us": latencies[len(latencies) * 99 // 100]}


def idle_clients(pooler, count, tls=False):
    """Memory for each client that has logged in and does nothing."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def login():
        s = socket.create_connection(("127.0.0.1", pooler.port))
        if tls:
            s.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
            if s.recv(1) != b"S":
                raise ConnectionError("no TLS")
            s = unverified.wrap_socket(s)
        body = b"\0\3\0\0user\0postgres\0database\0bench\0\0"
        s.sendall((len(body) + 4).to_bytes(4, "big") + body)
        seen = b""
        while b"Z\0\0\0\5I" not in seen:
            more = s.recv(4096)
            if not more:
                raise ConnectionError("refused")
            seen += more
        return s
    warm = [login() for _ in range(100)]
    time.sleep(1)
    before, refused, clients = pooler.memory_kb(), 0, []
    for _ in range(count):
        try:
            clients.append(login())
        except OSError:
            refused += 1
    time.sleep(2)
    after = pooler.memory_kb()
    for each in warm + clients:
        each.close()
    return {"clients": len(clients), "refused": refused, "bytes_each": (after - before) * 1024 / max(1, len(clients))}


parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("pgkeel")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=int, default=4)
parser.add_argument("--pgbouncer", default="/usr/sbin/pgbouncer")
parser.add_argument("--idle", type=int, default=10000)
parser.add_argument("--only", default="")
parser.add_argument("--engines", default="auto")
parser.add_argument("--json", default="")
options = parser.parse_args()

descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
if not shutil.which(options.pgbouncer):
    sys.exit("bench: Debian's pgbouncer is not installed: apt-get install pgbouncer")
scratch = tempfile.mkdtemp(prefix="pgkeel-bench-")
os.chmod(scratch, 0o755)
os.makedirs(os.path.join(scratch, "home"))
if os.getuid() == 0:
    shutil.chown(os.path.join(scratch, "home"), "postgres", "postgres")
home = os.path.join(scratch, "home")
server_port = free_port()


def run(command):
    subprocess.run(as_postgres(command), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


poolers = []
try:
    run([PG + "initdb", "-D", home + "/data", "-A", "trust", "-U", "postgres", "-N"])
    run([PG + "pg_ctl", "-D", home + "/data", "-w", "-l", home + "/log", "-o",
         f"-p {server_port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300"
         " -c shared_buffers=256MB", "start"])
    run([PG + "createdb", "-h", home, "-p", str(server_port), "-U", "postgres", "bench"])
    run([PG + "pgbench", "-h", home, "-p", str(server_port), "-U", "postgres", "-i", "-s", "10", "-q", "bench"])
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-keyout", home + "/key.pem", "-out", home + "/certificate.pem"])
    version = subprocess.run([options.pgbouncer, "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    tracks = tuple(int(n) for n in re.search(r"(\d+)\.(\d+)", version).groups()) >= (1, 21)

    def start(name, program, server_host, *more):
        port = free_port()
        ini = f"{home}/{name}.ini"
        keys = f"bench = host={server_host} port={server_port} user=postgres"
        text = (f"[databases]\n{keys}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
                "pool_mode = transaction\nmax_client_conn = 15000\ndefault_pool_size = 20\nunix_socket_dir =\n"
                f"logfile = {home}/{name}.log\nlog_connections = 0\nlog_disconnections = 0\n"
                "ignore_startup_parameters = extra_float_digits\nclient_tls_sslmode = allow\n"
                f"client_tls_key_file = {home}/key.pem\nclient_tls_cert_file = {home}/certificate.pem\n")
        if tracks or name != "pgbouncer":
            text += "max_prepared_statements = 200\n"
        with open(ini, "w") as file:
            file.write(text)
        poolers.append(Pooler(name, program + ["-q", *more, ini], port, server_host))

    start("pgbouncer", [options.pgbouncer], "127.0.0.1")
    for engine in options.engines.split(","):
        name = "pgkeel" if engine == "auto" else "pgkeel_" + engine
        settings = ["--set", "threads=1", "--set", "io_engine=" + engine]
        start(name, [os.path.abspath(options.pgkeel), "proxy"], "127.0.0.1", *settings)
        start(name + "_unix", [os.path.abspath(options.pgkeel), "proxy"], home, *settings)
    runs = [("simple", "simple", 16), ("extended", "extended", 16), ("prepared", "prepared", 16),
            ("1 client", "prepared", 1), ("4 clients", "prepared", 4), ("900 clients", "simple", 900),
            ("connection each", "simple", 16), ("TLS", "simple", 16), ("TLS prepared", "prepared", 16)]
    wanted = [name for name in options.only.split(",") if name]
    results = {}
    for number in range(options.rounds):
        for title, protocol, clients in runs:
            if wanted and title not in wanted:
                continue
            for pooler in poolers:
                if protocol == "prepared" and pooler.name == "pgbouncer" and not tracks:
                    continue
                more = ["-C"] if title == "connection each" else []
                print(f"round {number + 1}/{options.rounds}: {title} through {pooler.name}", file=sys.stderr)
                results.setdefault(title, {}).setdefault(pooler.name, []).append(
                    pgbench(pooler, options.seconds, protocol, clients, *more, tls=title.startswith("TLS")))
    print(f"pgkeel beside {version}: {options.rounds} rounds of {options.seconds} s, medians")
    print(f"{'':16} {'pooler':20} {'tps':>8} {'CPU µs':>8} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8}")
    for title, by_pooler in results.items():
        base = None
        for name, all_runs in by_pooler.items():
            good = [each for each in all_runs if "error" not in each]
            if not good:
                print(f"{title:16} {name:20} failed: {all_runs[0]['error']}")
                continue
            middle = {key: statistics.median(each[key] for each in good) for key in good[0]}
            base = base or (middle["cpu_us"] if name == "pgbouncer" else None)
            ratio = f"{middle['cpu_us'] / base:6.2f}" if base else "     –"
            print(f"{title:16} {name:20} {middle['tps']:8.0f} {middle['cpu_us']:8.2f} {ratio} "
                  f"{middle['p50_us'] / 1000:8.2f} {middle['p99_us'] / 1000:8.2f}")
    if options.idle and not wanted:
        for title in ("idle", "idle with TLS"):
            for pooler in poolers[:2]:
                idle = idle_clients(pooler, options.idle if title == "idle" else options.idle // 5, title != "idle")
                results.setdefault(title, {})[pooler.name] = idle
                print(f"{title:16} {pooler.name:20} {idle['clients']} clients, {idle['refused']} refused, "
                      f"{idle['bytes_each']:.0f} bytes each")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"pgbouncer": version, "results": results}, file, indent=1)
finally:
    for pooler in poolers:
        pooler.stop()
    subprocess.run(as_postgres([PG + "pg_ctl", "-D", home + "/data", "-m", "immediate", "stop"]),
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(scratch, ignore_errors=True)
