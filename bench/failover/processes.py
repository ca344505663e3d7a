"""Processes as /proc tells them, and how to start and end them. Everything is ended by its pid, never by its name."""

import os
import pwd
import random
import signal
import socket
import subprocess
import time



def server_user():
    """Who runs the servers: PostgreSQL refuses root."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def start(command, log_file, environment=None):
    """Starts a server in a session of its own, as server_user(); its words go to the end of `log_file`."""
    options = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam(server_user())
        options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with open(log_file, "ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                umask=0o077, cwd="/", env={**os.environ, **(environment or {})}, **options)


def owned_by_server_user(path):
    if os.geteuid() == 0:
        account = pwd.getpwnam(server_user())
        os.chown(path, account.pw_uid, account.pw_gid)


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third (state) on; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_time(pid):
    """Clock ticks since boot; with the pid it names one process for all time. None: it has ended."""
    fields = stat_fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def cpu_seconds(pid):
    """What its threads have run, to the nanosecond: the ticks of /proc/PID/stat miss whoever runs between two of them."""
    try:
        total = 0
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9
    except OSError:
        return None


def memory_kib(pid):
    """VmRSS and its parts."""
    wanted = {"VmRSS", "RssAnon", "RssFile"}
    found = {}
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in wanted:
                found[name] = int(value.split()[0])
    return found


def descendants(pid):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(entry)
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def kill_together(pids):
    """SIGKILL to all of them, as close together as system calls are."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end(pid, started, gentle_signal=signal.SIGTERM, patience=20.0):
    """Ends one process, which is the same as when `started` was read; with SIGKILL when patience runs out."""
    for number, wait in ((gentle_signal, patience), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + wait
        if started is None or start_time(pid) != started:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        while time.monotonic() < deadline:
            reap(pid)
            if start_time(pid) != started:
                return
            time.sleep(0.05)


def reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def free_ports(count):
    """Below the range of outgoing connections, so that a server finds its port free again when it is restarted."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first_outgoing = int(file.read().split()[0])
    ports, tried = [], 0
    while len(ports) < count:
        tried += 1
        if tried > 10000:
            raise RuntimeError("no free ports on 127.0.0.1")
        port = random.randrange(10240, max(first_outgoing, 20480))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def load_1_minute():
    return os.getloadavg()[0]
