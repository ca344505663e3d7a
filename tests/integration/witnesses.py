#!/usr/bin/env python3
"""A client and three witnesses. usage: witnesses.py DIR ACKNOWLEDGED

The client inserts increasing numbers through the list of all nodes and writes down what was acknowledged. Each witness keeps one
connection to one node and tries to write there every 20 ms; a try that succeeded is an interval from its beginning to its end in
which that node took writes. Intervals of different nodes must not overlap or interleave. libpq is called as it is, so that
nothing but Python's own library is needed.
"""
import json, os, signal, subprocess, sys, threading, time
import ctypes, ctypes.util
pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for name in "PQconnectdb", "PQexec": getattr(pq, name).restype = ctypes.c_void_p
pq.PQgetvalue.restype = ctypes.c_char_p
pq.PQerrorMessage.restype = ctypes.c_char_p
pq.PQconnectdb.argtypes = [ctypes.c_char_p]
pq.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
for name in "PQstatus", "PQfinish", "PQerrorMessage": getattr(pq, name).argtypes = [ctypes.c_void_p]
for name in "PQresultStatus", "PQclear": getattr(pq, name).argtypes = [ctypes.c_void_p]

where = sys.argv[1]
cluster = json.load(open(where + "/cluster.json"))
common = f"user=postgres dbname=postgres sslmode=require password={cluster['passwords']['superuser']} connect_timeout=2 " \
         "options='-c synchronous_commit=local -c statement_timeout=5000 -c log_min_messages=fatal' tcp_user_timeout=4000"
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())

class Session:
    def __init__(self, where): self.where, self.conn = where, None
    def run(self, statement):
        """True: acknowledged."""
        if self.conn is None:
            self.conn = pq.PQconnectdb((common + " " + self.where).encode())
            if pq.PQstatus(self.conn) != 0: return self.drop()
        result = pq.PQexec(self.conn, statement.encode())
        ok = pq.PQresultStatus(result) in (1, 2)
        pq.PQclear(result)
        if not ok and (pq.PQstatus(self.conn) != 0 or self.where.count(",")): return self.drop()
        return ok
    def drop(self):
        if self.conn: pq.PQfinish(self.conn)
        self.conn = None
        return False

accepted = []  # (begin, end, node)
lock = threading.Lock()
def witness(node):
    session = Session(f"host=127.0.0.1 port={node['postgres_port']}")
    while not stop.is_set():
        begin = time.monotonic()
        if session.run("select txid_current()"):
            with lock: accepted.append((begin, time.monotonic(), node["name"]))
        time.sleep(0.02)

# The client keeps its acknowledged numbers in a file, line by line.
ports = ",".join(str(node["postgres_port"]) for node in cluster["nodes"])
hosts = ",".join("127.0.0.1" for _ in cluster["nodes"])
def client():
    session = Session(f"host={hosts} port={ports} target_session_attrs=read-write")
    with open(sys.argv[2], "w") as log:
        number = 0
        while not stop.is_set():
            number += 1
            if session.run(f"insert into ack (id) values ({number})"):
                log.write(f"{number} {time.time():.3f}\n")
                log.flush()
            time.sleep(0.005)

threads = [threading.Thread(target=witness, args=(node,)) for node in cluster["nodes"]] + [threading.Thread(target=client)]
for thread in threads: thread.start()
print("running", flush=True)
checked = 0
while not stop.is_set():
    time.sleep(0.5)
    with lock: seen = sorted(accepted)
    for (_, end, node), (begin, after_end, other) in zip(seen[checked:], seen[checked + 1:]):
        # One node's write began before the other's ended: both took writes at once, or the time between cannot be told.
        if node != other and begin < end: print(f"TWO PRIMARIES: {node} and {other} at {begin:.3f}", flush=True)
    checked = max(0, len(seen) - 50)
for thread in threads: thread.join()
changes = [(a[2], b[2], b[0] - a[1]) for a, b in zip(sorted(accepted), sorted(accepted)[1:]) if a[2] != b[2]]
for before, after, pause in changes: print(f"from {before} to {after} after {pause:.2f} s", flush=True)
for before, after, pause in changes:
    if pause < 0: print(f"TWO PRIMARIES: {before} and {after}", flush=True)
print(f"{len(accepted)} writes seen by the witnesses", flush=True)
