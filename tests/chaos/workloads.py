"""Clients that remember what they were told.

append: each client inserts ids that nobody else uses, in ascending order. bank: each client moves money between
accounts in a transaction and writes the transfer down in the same one, so that the sum never changes and each balance
can be computed again. Every client keeps for each of its writes when it began, when it was answered, and whether that
was done, refused or unknown.
"""
import random
import threading
import time
from collections import Counter

from pq import DONE, REFUSED, UNKNOWN, Session

ACCOUNTS, MONEY = 20, 1000

# No primary key on append: a row that is there twice has to be able to show.
SCHEMA = ["create table append (id bigint not null, at timestamptz not null default clock_timestamp())",
          "create table account (id int primary key, balance bigint not null)",
          "create table cancelled (n int)",
          "create table transfer (id bigint, source int, target int, amount bigint)",
          f"insert into account select n, {MONEY} from generate_series(1, {ACCOUNTS}) n"]


class Write:
    __slots__ = ("id", "begin", "end", "outcome", "text")

    def __init__(self, number, begin, end, outcome, text=""):
        self.id, self.begin, self.end, self.outcome, self.text = number, begin, end, outcome, text


class Client(threading.Thread):
    def __init__(self, index, route, conninfo, pause, stop):
        super().__init__(daemon=True)
        self.index, self.route, self.conninfo = index, route, conninfo
        self.writes = []
        self._pause, self._stop_event = pause, stop
        self._chance = random.Random(index)

    def run(self):
        session = Session(self.conninfo)
        number = 0
        while not self._stop_event.is_set():
            number += 1
            unique = number * 100 + self.index
            begin = time.monotonic()
            answer = self.write(session, unique)
            text = f"{answer.sqlstate} {answer.text}"[:160]
            self.writes.append(Write(unique, begin, time.monotonic(), answer.outcome, text))
            # A transaction must not be left open, and a list of hosts is asked anew where the primary is now.
            if not answer.done:
                session.close()
            self._stop_event.wait(self._pause if answer.done else 0.1)
        session.close()


class Append(Client):
    kind = "append"

    def write(self, session, number):
        return session.run(f"insert into append (id) values ({number})")


class Bank(Client):
    kind = "bank"

    def write(self, session, number):
        source, target = self._chance.sample(range(1, ACCOUNTS + 1), 2)
        amount = self._chance.randint(1, 10)
        statements = ["begin"]
        for account, change in sorted([(source, -amount), (target, amount)]):  # one order: no deadlocks
            statements.append(f"update account set balance = balance + {change} where id = {account}")
        statements.append(f"insert into transfer values ({number}, {source}, {target}, {amount})")
        for statement in statements:
            answer = session.run(statement)
            if not answer.done:
                answer.outcome = REFUSED  # no commit was sent
                return answer
        answer = session.run("commit")
        if answer.done and answer.tag != "COMMIT":
            answer.outcome = REFUSED
        return answer


class Workload:
    """All clients, two thirds of them append."""

    def __init__(self, routes, clients, pause):
        self._stop = threading.Event()
        names = list(routes)
        self.clients = []
        for index in range(clients):
            route = names[index % len(names)]
            kind = (Append, Append, Bank)[index // len(names) % 3]
            self.clients.append(kind(index, route, routes[route], pause, self._stop))
        self.routes = names

    def start(self):
        for client in self.clients:
            client.start()

    def stop(self):
        self._stop.set()
        for client in self.clients:
            client.join(30)

    def writes(self, kind=None, route=None):
        return [write for client in self.clients if kind in (None, client.kind) and route in (None, client.route)
                for write in list(client.writes)]

    def acknowledged(self, route, since):
        """How many on this route since then: what shows that writes work again."""
        return sum(1 for client in self.clients if client.route == route
                   for write in client.writes[-50:] if write.outcome == DONE and write.begin >= since)

    def outage(self, route, begin, end):
        """The longest time without an acknowledged write on this route that touches begin..end, in seconds."""
        at = sorted(write.end for client in self.clients if client.route == route for write in list(client.writes)
                    if write.outcome == DONE and begin <= write.end <= end + 5)
        gaps = [after - earlier for earlier, after in zip([begin, *at], at) if earlier <= end]
        return max(gaps, default=end - begin)

    def told(self, begin, end):
        """What clients of the proxy were told by failed writes: (route and text, how often)."""
        said = Counter()
        for client in self.clients:
            for write in list(client.writes):
                if write.outcome != DONE and begin <= write.end <= end and client.route != "direct":
                    text = " ".join(write.text.split()).split(" This probably means")[0]
                    said[f"{client.route} {client.kind}: {write.outcome}: {text[:70]}"] += 1
        return sorted(said.items())

    def failures(self, route, begin, end):
        """How many writes were refused or unknown."""
        return sum(1 for client in self.clients if client.route == route for write in list(client.writes)
                   if write.outcome in (REFUSED, UNKNOWN) and begin <= write.end <= end)
