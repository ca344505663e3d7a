#!/usr/bin/env python3
"""Clients of a local cluster's proxy, and witnesses beside it. usage: routing_clients.py DIR ACKNOWLEDGED

Writers insert numbered rows through the ports `primary` and `pooled`; each row says which server took it and on which timeline, and
each acknowledged one becomes a line "CLIENT NUMBER PORT TIMELINE BEGIN END" in ACKNOWLEDGED. Probes connect to `primary` again
whenever they lose their server. A witness of each node has a connection past the proxy: it sees when the node begins to take writes. At the
end (SIGTERM) it is said how long after each promotion the probes were served, and whether the rows belong together:
a timeline has one server, and nothing is written on an older one after the first row of a newer one.
"""
import collections, ctypes, ctypes.util, json, signal, sys, threading, time
pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for name in "PQconnectdb", "PQexec": getattr(pq, name).restype = ctypes.c_void_p
pq.PQgetvalue.restype = ctypes.c_char_p
pq.PQconnectdb.argtypes = [ctypes.c_char_p]
pq.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
pq.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
for name in "PQstatus", "PQfinish", "PQresultStatus", "PQclear", "PQntuples": getattr(pq, name).argtypes = [ctypes.c_void_p]

where = sys.argv[1]
cluster = json.load(open(where + "/cluster.json"))
nodes = {node["postgres_port"]: node["name"] for node in cluster["nodes"]}
common = f"host=127.0.0.1 user=postgres dbname=postgres password={cluster['passwords']['superuser']} sslmode=verify-full " \
         f"sslrootcert={where}/tls/ca.crt connect_timeout=10 tcp_user_timeout=4000 port="
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
lock = threading.Lock()

class Session:
    def __init__(self, port): self.port, self.conn = port, None
    def ask(self, statement):
        """The first row's values, or None when there is no answer."""
        if self.conn is None:
            self.conn = pq.PQconnectdb((common + str(self.port)).encode())
            if pq.PQstatus(self.conn) != 0: return self.drop()
        result = pq.PQexec(self.conn, statement.encode())
        row = None
        if pq.PQresultStatus(result) == 2 and pq.PQntuples(result): row = pq.PQgetvalue(result, 0, 0).decode().split(",")
        pq.PQclear(result)
        if row is None and pq.PQstatus(self.conn) != 0: self.drop()
        return row
    def drop(self):
        if self.conn: pq.PQfinish(self.conn)
        self.conn = None

taken = []  # (end, port): a witness's node took a write
def witness(port):
    session = Session(port)
    while not stop.is_set():
        if session.ask("set synchronous_commit = off; set log_min_messages = fatal; select txid_current()"):
            with lock: taken.append((time.time(), port))
        elif session.conn is None: time.sleep(0.1)
        time.sleep(0.01)

served = []  # (end, probe, port): a probe was served
def probe(number):
    session = Session(cluster["proxy"]["primary"])
    while not stop.is_set():
        row = session.ask("set synchronous_commit = off; select current_setting('port')::int || ',' || txid_current()")
        if row:
            with lock: served.append((time.time(), number, int(row[0])))
        time.sleep(0.01)

rows = []  # (begin, end, port, timeline)
def writer(number, listener, log):
    session, row_number = Session(cluster["proxy"][listener]), 0
    while not stop.is_set():
        row_number += 1
        begin = time.time()
        row = session.ask(f"insert into routed values ({number}, {row_number}, current_setting('port')::int, ('x' || left(pg_walfile_name("
                          "pg_current_wal_insert_lsn()), 8))::bit(32)::int) returning port || ',' || timeline")
        if row:
            with lock:
                rows.append((begin, time.time(), int(row[0]), int(row[1])))
                log.write(f"{number} {row_number} {row[0]} {row[1]} {begin:.4f} {time.time():.4f}\n")
                log.flush()
        time.sleep(0.01)

log = open(sys.argv[2], "w")
threads = [threading.Thread(target=witness, args=(port,)) for port in nodes]
threads += [threading.Thread(target=probe, args=(number,)) for number in range(4)]
threads += [threading.Thread(target=writer, args=(number, "pooled" if number % 2 else "primary", log)) for number in range(4)]
for thread in threads: thread.start()
print("running", flush=True)
stop.wait()
for thread in threads: thread.join()

taken.sort()
for (_, before), (promoted, port) in zip(taken, taken[1:]):
    if before == port: continue
    first = {}
    for end, number, by in sorted(served):
        if by == port and end > promoted - 0.5: first.setdefault(number, end)
    if len(first) < 4: print(f"NOT SERVED: {4 - len(first)} probes never came to {nodes[port]}")
    if first: print(f"from {nodes[before]} to {nodes[port]}: clients were served {(min(first.values()) - promoted) * 1000:.0f} to "
                    f"{(max(first.values()) - promoted) * 1000:.0f} ms after it took its first write", flush=True)

by_timeline = collections.defaultdict(set)
first_ack = {}
for begin, end, port, timeline in rows:
    by_timeline[timeline].add(port)
    first_ack[timeline] = min(end, first_ack.get(timeline, end))
for timeline, ports in sorted(by_timeline.items()):
    print(f"timeline {timeline}: {', '.join(nodes[port] for port in ports)}")
    if len(ports) != 1: print(f"WRONG SERVER: timeline {timeline} was written by {len(ports)}")
for begin, _, port, timeline in rows:
    late = [newer for newer, end in first_ack.items() if newer > timeline and end < begin]
    if late: print(f"WRONG SERVER: {nodes[port]} took a row on timeline {timeline} when timeline {late[0]} was there")
print(f"{len(rows)} rows were acknowledged")
