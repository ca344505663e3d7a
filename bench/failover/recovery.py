"""How long PostgreSQL itself took to recover from a crash, as its log says: no agent can be faster than that."""

import os
from datetime import datetime

TIME = "%Y-%m-%d %H:%M:%S.%f"


def end_of(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _time(line):
    """Of a line that begins as log_line_prefix = '%m ...' says; the zone does not matter for a difference."""
    return datetime.strptime(" ".join(line.split()[:2]), TIME)


def seconds(path, offset):
    """From the first look at the crashed data to "ready to accept connections"; None when there was no such start."""
    began = ready = None
    with open(path, encoding="utf-8", errors="replace") as file:
        file.seek(offset)
        for line in file:
            if "LOG:  database system was interrupted" in line:
                began = _time(line)
            elif began and "LOG:  database system is ready to accept connections" in line:
                ready = _time(line)
    return None if ready is None else (ready - began).total_seconds()
