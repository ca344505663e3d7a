"""Clients of a proxy that is restarted under them, and processes that pretend to take over from it.

usage: takeover_clients.py PORT DIRECTORY COMMAND [ARGUMENTS]
Who waits for the test to go on touches DIRECTORY/NAME.ready and waits for DIRECTORY/NAME.go. Whatever is wrong ends this with a status.
"""
import os
import socket
import struct
import sys
import threading
import time

import psycopg2
import psycopg2.extensions

port, directory, command = int(sys.argv[1]), sys.argv[2], sys.argv[3]
arguments = sys.argv[4:]


def connect(user="app", database="app", tls="disable"):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user=user, password=f"secret-of-{user}", dbname=database, sslmode=tls)
    connection.autocommit = True
    return connection


def value(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def touch(name):
    open(f"{directory}/{name}", "w", encoding="ascii").close()


def wait_for(test, seconds=60):
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "nothing has happened"
        time.sleep(0.02)


def rendezvous(name):
    for leftover in (f"{directory}/{name}.ready", f"{directory}/{name}.go"):
        if os.path.exists(leftover):
            os.unlink(leftover)
    touch(f"{name}.ready")
    wait_for(lambda: os.path.exists(f"{directory}/{name}.go"))


class Raw:
    """The protocol on the socket of a libpq connection: it has statements that libpq's own callers cannot make."""

    def __init__(self, connection):
        self.socket = socket.socket(fileno=os.dup(connection.fileno()))
        self.socket.setblocking(True)
        self.socket.settimeout(20)

    def send(self, *messages):
        self.socket.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, "the connection was closed"
            data += more
        return data

    def rows(self):
        found = []
        while True:
            kind, length = struct.unpack("!ci", self.exactly(5))
            body = self.exactly(length - 4)
            assert kind != b"E", body
            if kind == b"D":
                size = struct.unpack_from("!hi", body)[1]
                found.append(body[6 : 6 + size].decode())
            if kind == b"Z":
                assert body == b"I", body
                return found

    def prepare(self, name, sql):
        self.send((b"P", name + b"\0" + sql + b"\0\0\0"), (b"S", b""))
        self.rows()

    def execute(self, name, argument):
        self.send(
            (b"B", b"\0" + name + b"\0\0\0\0\1" + struct.pack("!i", len(argument)) + argument + b"\0\0"),
            (b"E", b"\0\0\0\0\0"),
            (b"S", b""),
        )
        return self.rows()

    def query(self, sql):
        self.send((b"Q", sql + b"\0"))
        return self.rows()


def idle(count):
    connections = [connect() for _ in range(count)]
    clients = [Raw(connection) for connection in connections]
    for i, client in enumerate(clients):
        client.query(f"set timezone = 'Etc/GMT-{i % 14}'".encode())
        client.query(f"set application_name = 'idle {i}'".encode())
        client.prepare(b"st", f"select $1::int + {i}".encode())
        client.prepare(f"of {i}".encode(), f"select $1::int * {i}".encode())
    touch("idle.ready")
    while not os.path.exists(f"{directory}/idle.end"):
        if os.path.exists(f"{directory}/idle.ask"):
            for i, client in enumerate(clients):
                assert client.execute(b"st", b"1000") == [str(1000 + i)], i
                assert client.execute(f"of {i}".encode(), b"10") == [str(10 * i)], i
                assert client.query(b"show timezone") == [f"Etc/GMT-{i % 14}"], i
                assert client.query(b"show application_name") == [f"idle {i}"], i
            os.unlink(f"{directory}/idle.ask")
        time.sleep(0.02)


def verified():
    """Two at a time need another server than the one that has moved along: it is logged in with the client's keys."""
    one, two = connect("verified"), connect("verified")
    assert value(one, "select 1") == 1
    rendezvous("verified")
    for connection in (one, two):
        connection.autocommit = False
    assert value(one, "select pg_backend_pid()") != value(two, "select pg_backend_pid()")


def canceled(connection, sql, at_the_moment):
    said = []

    def run():
        try:
            said.append(value(connection, sql))
        except psycopg2.extensions.QueryCanceledError:
            said.append("canceled")
        except psycopg2.Error as error:
            said.append(error)

    running = threading.Thread(target=run)
    running.start()
    time.sleep(0.5)
    at_the_moment()
    connection.cancel()
    running.join(10)
    assert said == ["canceled"], said


def cancel():
    connection = connect()
    canceled(connection, "select pg_sleep(60)", lambda: rendezvous("cancel"))
    canceled(connection, "select pg_sleep(61)", lambda: None)
    assert value(connection, "select 5") == 5


def staying():
    tls, transaction = connect(tls="require"), connect()
    assert value(tls, "select 1") == 1
    transaction.autocommit = False
    pid = value(transaction, "select pg_backend_pid()")
    rendezvous("staying")
    assert value(tls, "select 2") == 2
    assert value(transaction, "select pg_backend_pid()") == pid
    transaction.commit()
    assert value(transaction, "select 3") == 3
    tls.close()


# ---- the protocol between two processes

HELLO, WELCOME, REFUSAL, LISTENER, LISTENERS_END, READY, GO, SESSION = range(1, 9)


class Newer:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(f"{directory}/.s.PGKEEL.{port}")
        self.sockets = []

    def send(self, kind, body=b""):
        self.socket.sendall(struct.pack("!IBB", len(body), kind, 0) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more, descriptors, _, _ = socket.recv_fds(self.socket, count - len(data), 16)
            self.sockets += descriptors
            assert more, "it has hung up"
            data += more
        return data

    def next(self):
        length, kind, _ = struct.unpack("!IBB", self.exactly(6))
        return kind, self.exactly(length)

    def hello(self, protocol=1):
        self.send(HELLO, struct.pack("!II", protocol, 4) + b"test")

    def listeners(self):
        self.hello()
        kind, body = self.next()
        assert kind == WELCOME, body
        while kind != LISTENERS_END:
            kind, body = self.next()
        assert len(self.sockets) >= 2, self.sockets

    def ready(self):
        self.listeners()
        self.send(READY)
        assert self.next()[0] == GO

    def die(self):
        self.socket.close()
        for descriptor in self.sockets:
            os.close(descriptor)


def killed_at(moment):
    connections = [connect() for _ in range(10)]
    clients = [Raw(connection) for connection in connections]
    for i, client in enumerate(clients):
        client.prepare(b"st", f"select $1::int + {i}".encode())
    newer = Newer()
    if moment == "hello":
        newer.hello()
    elif moment == "version":
        newer.hello(protocol=7)
        kind, body = newer.next()
        assert kind == REFUSAL and b"speaks version 1 of the handover protocol" in body, (kind, body)
    elif moment == "garbled":
        newer.socket.sendall(os.urandom(300))
    elif moment == "listeners":
        newer.listeners()
    elif moment == "garbled_at_the_end":
        newer.listeners()
        newer.socket.sendall(b"\xff" * 100)
    elif moment == "ready":
        newer.ready()
    elif moment == "pending":
        # Sessions that it has, but has not said to have taken: they go on where they were.
        newer.ready()
        sessions = 0
        while sessions < len(clients):
            kind, body = newer.next()
            sessions += kind == SESSION
        clients[0].send((b"Q", b"select 'sent meanwhile'\0"))
        time.sleep(0.2)
    newer.die()
    if moment == "pending":
        assert clients[0].rows() == ["sent meanwhile"]
    for i, client in enumerate(clients):
        assert client.execute(b"st", b"1000") == [str(1000 + i)], i
    assert value(connect(), "select 9") == 9


if command == "idle":
    idle(int(arguments[0]))
elif command.startswith("killed_at_"):
    killed_at(command.removeprefix("killed_at_"))
else:
    {"verified": verified, "cancel": cancel, "staying": staying}[command]()
