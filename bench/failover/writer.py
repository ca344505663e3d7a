"""A client that writes: one numbered row every 5 ms, each its own transaction, and a new connection after an error.

It runs as a process of its own, so that nothing the harness does delays it. All times are CLOCK_MONOTONIC, which
processes of one machine share.
"""

import multiprocessing
import os
import signal
import time

import psycopg2

PERIOD = 0.005
AFTER_ERROR = 0.010
GAP_NOTED = 0.050  # shorter pauses are the machine's own
GIVE_UP_CONNECTING = 2  # s for each address: the least that libpq takes

TABLE = "create table if not exists failover_bench(writer int, id bigint, primary key (writer, id))"


class Writer:
    """One client on one route. `number` tells its rows from those of all others."""

    def __init__(self, number, dsn):
        self.number = number
        self._stop = multiprocessing.Event()
        self._connected_at = multiprocessing.Value("d", 0.0)
        self._flows_since = multiprocessing.Value("d", 0.0)
        self._last_ack = multiprocessing.Value("d", 0.0)
        self._results, results = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(target=self._write, args=(dsn, results), daemon=True)
        self._process.start()
        results.close()

    def flows(self, seconds):
        """True: every write of the last `seconds` was acknowledged."""
        now = time.monotonic()
        return 0 < self._flows_since.value <= now - seconds and now - self._last_ack.value < 0.5

    def reconnected_after(self, moment):
        return self._connected_at.value > moment

    def stop(self):
        """What the client saw: acknowledged ids, [time, phase, text] of errors, [begin, end] of pauses."""
        self._stop.set()
        if not self._results.poll(30):
            self._process.kill()
            raise RuntimeError("the writing client hangs")
        seen = self._results.recv()
        self._process.join()
        return seen

    def kill(self):
        self._process.kill()
        self._process.join()

    def _write(self, dsn, results):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness ends its writers
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        harness = os.getppid()
        acknowledged, errors, gaps = [], [], []
        connection = None
        last = None
        number = 0
        while not self._stop.is_set() and os.getppid() == harness:
            began = time.monotonic()
            phase = "connect"
            wait = PERIOD
            try:
                if connection is None:
                    connection = psycopg2.connect(dsn, connect_timeout=GIVE_UP_CONNECTING)
                    connection.autocommit = True
                    self._connected_at.value = time.monotonic()
                    cursor = connection.cursor()
                phase = "write"
                number += 1
                cursor.execute("insert into failover_bench values (%s, %s)", (self.number, number))
                now = time.monotonic()
                acknowledged.append(number)
                if last is not None and now - last > GAP_NOTED:
                    gaps.append((last, now))
                last = now
                self._last_ack.value = now
                if self._flows_since.value == 0:
                    self._flows_since.value = now
            except psycopg2.Error as error:
                self._flows_since.value = 0
                errors.append((time.monotonic(), phase, str(error).strip().split("\n")[0]))
                if connection is not None:
                    connection.close()
                connection = None
                wait = AFTER_ERROR
            rest = wait - (time.monotonic() - began)
            if rest > 0:
                time.sleep(rest)
        if connection is not None:
            connection.close()
        if last is not None and time.monotonic() - last > GAP_NOTED:
            gaps.append((last, time.monotonic()))
        results.send({"acknowledged": acknowledged, "errors": errors, "gaps": gaps})
        results.close()
