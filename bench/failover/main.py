"""Failover figures, side by side: see bench/README.md. Started by bench/run.sh."""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import processes
import report
import writer
from events import CRASH, NODE_AND_ETCD_LOST, NODE_LOST, SWITCHOVER, Bench
from patroni_cluster import PatroniCluster
from pgkeel_cluster import PgkeelCluster

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

ROUNDS = {
    "pgkeel": {SWITCHOVER: 5, CRASH: 5, NODE_LOST: 10, NODE_AND_ETCD_LOST: 5},
    "patroni": {SWITCHOVER: 5, CRASH: 5, NODE_LOST: 3},
}

ASYNCHRONOUS = ("All nodes have asynchronous standbys. A node that is lost takes rows with it that no standby had received: "
                "the column says how many.")
NOTES = [
    "pgkeel runs as `pgkeel up` sets it up: ttl 5, loop_wait 1, retry_timeout 2, TLS and passwords for PostgreSQL, etcd and "
    "the REST API. Patroni runs with its defaults: ttl 30, loop_wait 10, retry_timeout 10, without TLS. Most of the "
    "difference at the loss of a node is the time to live of the lease, which an operator could lower there too.",
    ASYNCHRONOUS,
    "A lost node refuses connections at once, as its kernel is still there; on real machines a client also "
    "waits for its own connect timeout. The loopback has no latency.",
    "A client of Patroni writes through HAProxy and another one through libpq's multi-host URI, at the same time. "
    "A client of pgkeel uses the multi-host URI.",
]


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__)
    parser.add_argument("--only", choices=["pgkeel", "patroni"], help="one cluster instead of both, one after the other")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each event (default: 5; 10 and 3 lost nodes)")
    parser.add_argument("--event", action="append", choices=[SWITCHOVER, CRASH, NODE_LOST, NODE_AND_ETCD_LOST],
                        help="only this event; may be given more than once")
    parser.add_argument("--idle", type=float, default=60, metavar="SECONDS", help="how long CPU is measured; 0: not at all")
    parser.add_argument("--out", metavar="FILE", help="the report (default: bench/results/DATE-failover.md)")
    parser.add_argument("--beside", metavar="JSON", help="beside the figures of an earlier run, of the other cluster")
    parser.add_argument("--program", default=os.path.join(REPOSITORY, "build/release/pgkeel"), metavar="FILE",
                        help="the pgkeel to measure (default: build/release/pgkeel)")
    parser.add_argument("--load", type=float, default=1.5, metavar="LOAD", help="wait until the load is below (default: 1.5)")
    parser.add_argument("--load-wait", type=float, default=600, metavar="SECONDS", help="but no longer, all waits together (default: 600)")
    parser.add_argument("--config", action="append", default=[], metavar="KEY=VALUE",
                        help="change the dynamic configuration of pgkeel's cluster first; may be given more than once")
    parser.add_argument("--keep", action="store_true", help="leave data and logs where they are")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if options.only != "patroni" and not os.access(options.program, os.X_OK):
        parser.error(f"no program at {options.program}: run ./dev build, or name another one with --program")
    if options.only != "pgkeel":
        for program in ("/usr/bin/patroni", "/usr/bin/patronictl", "/usr/sbin/haproxy"):
            if not os.access(program, os.X_OK):
                parser.error(f"{program} is not installed: run ./dev deps")
    return options


def say(line):
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().split("\n")[0]


def debian_version(package):
    return first_line("dpkg-query", "-W", "-f", "${Version}", package)


def commit():
    git = ["git", "-c", "safe.directory=*", "-C", REPOSITORY]
    changed = first_line(*git, "status", "--porcelain", "--untracked-files=no")
    return first_line(*git, "rev-parse", "--short=12", "HEAD") + (", with uncommitted changes" if changed else "")


def program(path):
    """Which program was measured; with its hash, as the version is the same for many builds."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    built = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(os.path.getmtime(path)))
    return f"{first_line(path, 'version')}, built {built}, sha256 {digest[:16]}"


def wait_for_quiet(options, deadline):
    if processes.load_1_minute() >= options.load:
        say(f"waiting until the load ({processes.load_1_minute():.2f}) is below {options.load:g}, "
            f"{max(0, deadline - time.monotonic()):.0f} s at most")
    while processes.load_1_minute() >= options.load and time.monotonic() < deadline:
        time.sleep(5)


def this_run(name, options):
    """What it takes to measure this again: it stands beside the figures."""
    command = "bench/run.sh" + "".join(" " + shlex.quote(word) for word in sys.argv[1:])
    run = {"command": command, "commit": commit(), "began": time.strftime("%Y-%m-%d %H:%M:%S %Z")}
    if name == "pgkeel":
        run["program"] = program(options.program)
    return run


def measure(name, directory, options, quiet_deadline, save):
    """One cluster from start to end. A failure ends it, and is part of the result."""
    wait_for_quiet(options, quiet_deadline)
    path = os.path.join(directory, name)
    cluster = PgkeelCluster(path, options.program, options.config) if name == "pgkeel" else PatroniCluster(path)
    result = {"title": cluster.title, "load_before": processes.load_1_minute(), "failure": "it was ended early",
              "run": this_run(name, options)}

    def save_events():
        result.update(memory=bench.memory(), load_after=processes.load_1_minute())
        result["run"]["ended"] = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        save(result)

    bench = Bench(cluster, say, save_events)
    result["events"] = bench.seen
    try:
        say(f"{cluster.title}: starting in {path}")
        cluster.start()
        cluster.wait_until_whole()
        cluster.query(cluster.wait_for_primary(), writer.TABLE)
        if options.idle > 0:
            say(f"{cluster.title}: idle for {options.idle:.0f} s")
            time.sleep(5)
            result["idle"] = bench.measure_idle(options.idle)
        for kind, rounds in ROUNDS[name].items():
            if options.event and kind not in options.event:
                continue
            for number in range(1, (options.rounds or rounds) + 1):
                bench.run(kind, number)
        cluster.wait_until_whole()
        del result["failure"]
    except Exception as error:  # whatever it was: what was measured until then is still worth reading
        result["failure"] = str(error)
        say(f"{cluster.title}: {error}")
    finally:
        save_events()
        cluster.stop(options.keep)
    return "failure" not in result


def write(out, about, results):
    """The page and its numbers, written anew after every event: an interrupted run leaves what it has measured."""
    text = report.page(about, results)
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.splitext(out)[0] + ".json", "w", encoding="utf-8") as file:
        json.dump({"about": about, "results": results}, file, indent=1, ensure_ascii=False)
        file.write("\n")
    return text


def filesystem(directory):
    return first_line("stat", "-f", "-c", "%T", directory)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory = tempfile.mkdtemp(prefix="failover-bench-")
    processes.owned_by_server_user(directory)
    about = {
        "date": time.strftime("%Y-%m-%d"), "notes": NOTES,
        "processors": os.cpu_count(), "filesystem": filesystem(directory),
        "versions": "; ".join([
            first_line("/usr/lib/postgresql/15/bin/postgres", "--version"), first_line("etcd", "--version"),
            f"Patroni {debian_version('patroni')}", f"HAProxy {debian_version('haproxy')}"])}
    if options.config:
        synchronous = any(one.startswith("synchronous_mode=") for one in options.config)
        kept = [note for note in NOTES if not (synchronous and note is ASYNCHRONOUS)]
        about["notes"] = [f"pgkeel's cluster was changed: {', '.join(options.config)}."] + kept
    out = options.out or os.path.join(REPOSITORY, "bench/results", about["date"] + "-failover.md")
    results = {}
    if options.beside:
        with open(options.beside, encoding="utf-8") as file:
            results = {result["title"]: result for result in json.load(file)["results"]}
    quiet_deadline = time.monotonic() + options.load_wait

    def save(result):
        results[result["title"]] = result
        write(out, about, list(results.values()))

    try:
        done = [measure(name, directory, options, quiet_deadline, save)
                for name in ([options.only] if options.only else ["pgkeel", "patroni"])]
    finally:
        if options.keep:
            say(f"data and logs are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    print(write(out, about, list(results.values())))
    say(f"written: {out}")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
