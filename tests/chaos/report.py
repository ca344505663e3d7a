"""What has happened, as a table for people."""
import statistics
import time

VIOLATION = "VIOLATION"


class Step:
    """One step of the schedule as it went."""

    def __init__(self, names, may_lose, begin):
        self.names, self.may_lose, self.begin = names, may_lose, begin
        self.healed = self.end = begin
        self.outage = {}   # route -> seconds
        self.failures = {}  # route -> writes refused or unknown
        self.lost = 0
        self.overlap = 0.0
        self.awoke = []  # when nodes that had stood still went on
        self.moved = False  # another node leads
        self.recovered = True

    @property
    def name(self):
        return " + ".join(self.names)


class Timeline:
    """What was done and seen when: to the screen, and kept."""

    def __init__(self):
        self.begin = time.monotonic()
        self.lines = []

    def say(self, text):
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self.begin:7.1f}  {text}"
        self.lines.append(line)
        print(line, flush=True)


def seconds(value):
    return "-" if value is None else f"{value:.2f}"


def table(header, lines):
    widths = [max(len(str(line[column])) for line in [header, *lines]) for column in range(len(header))]
    out = []
    for number, line in enumerate([header, *lines]):
        out.append("| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths)) + " |")
        if number == 0:
            out.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(out)


def outages(steps, routes):
    """One line a fault; pairs stand together, since their outage belongs to both."""
    lines = []
    kinds = sorted({step.name for step in steps if len(step.names) == 1})
    kinds += ["two at once"] if any(len(step.names) > 1 for step in steps) else []
    for kind in kinds:
        these = [step for step in steps if (step.name == kind if kind != "two at once" else len(step.names) > 1)]
        line = [kind, len(these)]
        for route in routes:
            seen = [step.outage[route] for step in these if route in step.outage]
            line.append(f"{statistics.median(seen):.2f} / {max(seen):.2f}" if seen else "-")
        line += [sum(step.failures.get(route, 0) for step in these) for route in routes if route != "direct"]
        line.append(sum(step.moved for step in these))
        line.append(seconds(max((step.end - step.healed for step in these), default=None)))
        line.append(sum(step.lost for step in these))
        line.append(f"{sum(step.overlap for step in these):.3f}")
        lines.append(line)
    header = ["fault", "times", *[f"outage {route}, median / worst s" for route in routes],
              *[f"failed writes {route}" for route in routes if route != "direct"], "leader moved",
              "whole after heal, worst s", "lost", "two writers s"]
    return table(header, lines)
