"""Clients that remember what they were told.

append: each client inserts ids that nobody else uses, in ascending order. bank: each client moves money between accounts in a
transaction and writes the transfer down in the same one, so that the sum never changes and each balance can be computed again.
Every client keeps for each of its writes when it began, when it was answered, and whether that was done, refused or unknown.
"""
import random
import threading
import time

from pq import DONE, REFUSED, UNKNOWN, Session

ACCOUNTS, MONEY = 20, 1000

# No primary key on append: a row that is there twice has to be able to show.
SCHEMA = ["create table append (id bigint not null, at timestamptz not null default clock_timestamp())",
          "create table account (id int primary key, balance bigint not null)",
          "create table transfer (id bigint not null, source int not null, target int not null, amount bigint not null)",
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
            self.writes.append(Write(unique, begin, time.monotonic(), answer.outcome, f"{answer.sqlstate} {answer.text}"[:160]))
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
        move = {source: -amount, target: amount}
        statements = ["begin"] + [f"update account set balance = balance + {move[one]} where id = {one}" for one in sorted(move)]
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
        kinds = (Append, Append, Bank)
        self.clients = [kinds[index // len(names) % 3](index, names[index % len(names)], routes[names[index % len(names)]],
                                                       pause, self._stop)
                        for index in range(clients)]
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
                    if write.outcome == DONE and begin - 5 <= write.end <= end + 5)
        before = [begin] + [one for one in at if one <= begin]
        inside = [max(before)] + [one for one in at if one > begin]
        return max((after - earlier for earlier, after in zip(inside, inside[1:]) if earlier <= end), default=end - begin)

    def failures(self, route, begin, end):
        """How many writes were refused or unknown."""
        return sum(1 for client in self.clients if client.route == route for write in list(client.writes)
                   if write.outcome in (REFUSED, UNKNOWN) and begin <= write.end <= end)
