"""The figures as a Markdown page. Only what was measured is written."""

import platform
import statistics

from events import CRASH, NODE_AND_ETCD_LOST, NODE_LOST, SWITCHOVER

TITLES = {
    SWITCHOVER: "planned switchover",
    CRASH: "postmaster killed, agent alive",
    NODE_LOST: "node lost",
    NODE_AND_ETCD_LOST: "node lost with etcd's leader",
}

# pgkeel's targets for the pause: text, largest median, largest worst case (s)
PAUSE_TARGETS = {
    SWITCHOVER: ("median ≤ 1 s", 1.0, None),
    CRASH: ("≤ 1 s plus crash recovery", 1.0, None),
    NODE_LOST: ("median ≤ 6.5 s, worst ≤ 8 s", 6.5, 8.0),
    NODE_AND_ETCD_LOST: ("median ≤ 6.5 s, worst ≤ 8 s", 6.5, 8.0),
}
LOST_TARGET = {SWITCHOVER: 0, CRASH: 0}
MEMORY_TARGET_MB = 15.0
CPU_TARGET_PERCENT = 0.5


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" --- " for _ in header) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def megabytes(kib):
    return kib * 1024 / 1e6


def verdict(met):
    return "met" if met else "**missed**"


def event_rows(result):
    rows = []
    for kind in TITLES:
        for route in dict.fromkeys(event["route"] for event in result["events"]):
            events = [event for event in result["events"] if event["event"] == kind and event["route"] == route]
            if not events:
                continue
            pauses = [event["pause_s"] for event in events]
            median, worst = statistics.median(pauses), max(pauses)
            lost = sum(event["lost"] for event in events)
            recoveries = [event["recovery_s"] for event in events if event["recovery_s"] is not None]
            recovery = statistics.median(recoveries) if len(recoveries) == len(events) else None
            row = [result["title"], TITLES[kind], route, str(len(events)), f"{median:.2f}", f"{min(pauses):.2f}",
                   f"{worst:.2f}", "—" if recovery is None else f"{recovery:.2f}",
                   f"{statistics.median(event['failed_writes'] for event in events):g}",
                   f"{statistics.median(event['failed_connects'] for event in events):g}",
                   f"{lost} of {sum(event['acknowledged'] for event in events)}"]
            if result["title"] == "pgkeel":
                text, median_most, worst_most = PAUSE_TARGETS[kind]
                if kind == CRASH:
                    median = statistics.median(event["pause_s"] - (event["recovery_s"] or 0) for event in events)
                    text += f" (without it: median {median:.2f} s)"
                met = median <= median_most and (worst_most is None or worst <= worst_most)
                row.append(f"{text}: {verdict(met)}")
                row.append(f"{LOST_TARGET[kind]}: {verdict(lost <= LOST_TARGET[kind])}" if kind in LOST_TARGET else "—")
            else:
                row += ["—", "—"]
            rows.append(row)
    return rows


def agent_rows(result):
    rows = []
    ours = result["title"] == "pgkeel"
    idle = result.get("idle") or {}
    for memory, when in (idle.get("memory"), "at rest"), (result.get("memory"), "at any look, right after a start or an event"):
        if not memory:
            continue
        size = megabytes(memory["VmRSS"])
        rows.append([result["title"], f"resident memory of the largest agent (VmRSS) {when}",
                     f"{size:.1f} MB: {megabytes(memory['RssAnon']):.1f} MB its own, {megabytes(memory['RssFile']):.1f} MB "
                     "mapped program and libraries",
                     f"≤ {MEMORY_TARGET_MB:g} MB: {verdict(size <= MEMORY_TARGET_MB)}" if ours else "—"])
    if idle:
        percent = idle["percent_of_core"]
        rows.append([result["title"], f"CPU of an idle agent over {idle['seconds']:.0f} s, % of a core",
                     ", ".join(f"{value:.2f} ({'primary' if name == idle['leader'] else 'standby'})"
                               for name, value in percent.items()),
                     f"≤ {CPU_TARGET_PERCENT:g}: {verdict(max(percent.values()) <= CPU_TARGET_PERCENT)}" if ours else "—"])
    return rows


def machine(about):
    with open("/proc/meminfo", encoding="ascii") as file:
        total = int(next(line for line in file if line.startswith("MemTotal")).split()[1])
    processor = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return (f"{about['processors']} × {processor}, {total / 1048576:.1f} GiB memory, "
            f"{platform.system()} {platform.release()}; data on {about['filesystem']}")


def run_row(result):
    run = result["run"]
    return [result["title"], f"`{run['command']}`", run["commit"], run.get("program", "Debian's package"),
            f"{run['began']} to {run['ended']}", f"{result['load_before']:.2f} to {result['load_after']:.2f}"]


def page(about, results):
    parts = [
        f"# Failover, {about['date']}",
        "What a client that inserts one row every 5 ms sees: the pause is the longest time between two acknowledged writes "
        "around the event. Everything runs on one machine; `bench/README.md` says how each event is made.",
        table(["", ""], [
            ["machine", machine(about)],
            ["versions", about["versions"]],
        ]),
        "## Runs",
        table(["cluster", "command", "commit", "program", "time", "load average (1 minute) before and after"],
              [run_row(result) for result in results]),
        "## Events",
        table(["cluster", "event", "route", "rounds", "pause, median s", "best s", "worst s", "crash recovery, median s", "failed writes, median",
               "failed connects, median", "acknowledged rows lost", "target for the pause", "target for loss"],
              [row for result in results for row in event_rows(result)]),
        "## Agents",
        table(["cluster", "figure", "measured", "target"], [row for result in results for row in agent_rows(result)]),
        "## Each round",
        table(["cluster", "event", "round", "at", "route", "pause s", "crash recovery s", "failed writes", "failed connects", "lost", "primary"],
              [[result["title"], event["event"], str(event["round"]), event["at"].split()[1], event["route"],
                f"{event['pause_s']:.3f}", "—" if event["recovery_s"] is None else f"{event['recovery_s']:.3f}",
                str(event["failed_writes"]), str(event["failed_connects"]), str(event["lost"]),
                f"{event['primary_before']} → {event['primary_after']}"]
               for result in results for event in result["events"]]),
        "## How to read it",
        "\n".join(f"- {note}" for note in about["notes"]),
    ]
    failures = [f"- {result['title']}: {result['failure']}" for result in results if result.get("failure")]
    if failures:
        parts.insert(3, "**This run did not finish:**\n\n" + "\n".join(failures))
    return "\n\n".join(parts) + "\n"
