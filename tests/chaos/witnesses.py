"""One witness a node: it tries to take a write there all the time, directly.

A write that was acknowledged carries the server's own clock, which is this machine's and the same for all nodes, and
its timeline. A timeline is one node's time as a primary. A node that accepted a write after another one had accepted
one of a later timeline was a second primary meanwhile; so were two nodes that accepted writes on one timeline.
"""
import threading
import time

from pq import Session

EVERY = 0.02
STOOD_STILL = 1.0
WRITE = "select pg_walfile_name(pg_current_wal_lsn()), extract(epoch from clock_timestamp()), txid_current()"


class Accepted:
    __slots__ = ("at", "node", "timeline")

    def __init__(self, at, node, timeline):
        self.at, self.node, self.timeline = at, node, timeline


class Witness(threading.Thread):
    def __init__(self, node, stop):
        super().__init__(daemon=True)
        self._node, self._stop_event = node, stop
        self.accepted = []
        self.asked = 0

    def run(self):
        # Not waiting for standbys: whether the node would take the write is what counts. A server that stood still
        # answers late, and that is the answer that matters, so the witness waits for it.
        session = Session(self._node.dsn("-c application_name=witness -c synchronous_commit=local"
                                         " -c log_min_messages=fatal -c log_min_error_statement=panic"))
        offset = time.time() - time.monotonic()
        while not self._stop_event.is_set():
            begin = time.monotonic()
            answer = session.run(WRITE, 60)
            self.asked += 1
            if answer.done and answer.rows:
                at = float(answer.rows[0][1]) - offset
                end = time.monotonic()
                # A server whose clock was moved: the time of the request has to do.
                self.accepted.append(Accepted(at if begin - 0.01 <= at <= end + 0.01 else begin, self._node.name,
                                              int(answer.rows[0][0][:8], 16)))
            self._stop_event.wait(EVERY)
        session.close()


class Overlap:
    """Two nodes that took writes at once. `late` are the times of those that the older one should not have taken."""

    def __init__(self, older, newer, late, why):
        self.older, self.newer, self.late, self.why = older, newer, late, why
        self.begin, self.end = late[0], late[-1]
        # Between two that are far apart it stood still, and took nothing.
        gaps = [after - one for one, after in zip(late, late[1:])]
        self.seconds = EVERY + sum(gap for gap in gaps if gap < STOOD_STILL)


class Witnesses:
    def __init__(self, cluster):
        self._stop = threading.Event()
        self._witnesses = [Witness(node, self._stop) for node in cluster.nodes]

    def start(self):
        for witness in self._witnesses:
            witness.start()

    def stop(self):
        self._stop.set()
        for witness in self._witnesses:
            witness.join(65)

    @property
    def asked(self):
        return sum(witness.asked for witness in self._witnesses)

    @property
    def accepted(self):
        return sorted((one for witness in self._witnesses for one in list(witness.accepted)), key=lambda one: one.at)

    def tenures(self):
        """(timeline, node) -> the times of the writes that it accepted."""
        tenures = {}
        for one in self.accepted:
            tenures.setdefault((one.timeline, one.node), []).append(one.at)
        return tenures

    def overlaps(self):
        """Every two that took writes at once."""
        tenures = sorted(self.tenures().items())
        found = []
        for index, ((timeline, node), times) in enumerate(tenures):
            for (later, other), others in tenures[index + 1:]:
                if node == other:
                    continue
                late = [at for at in times if at > others[0]]
                if timeline == later:
                    found.append(Overlap(node, other, late or times[-1:], f"both on timeline {timeline}"))
                elif late:
                    found.append(Overlap(node, other, late, f"timelines {timeline} and {later}"))
        return found

    def closest(self):
        """The shortest time between one primary's last write and the next one's first; None without a change."""
        tenures = sorted(self.tenures().items())
        gaps = [others[0] - times[-1] for ((_, node), times), ((_, other), others) in zip(tenures, tenures[1:])
                if node != other]
        return min(gaps, default=None)
