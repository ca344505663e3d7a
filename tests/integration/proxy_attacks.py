"""Strangers, liars and accidents at the proxy, while a healthy client works beside them and must not see an error.

usage: proxy_attacks.py PORT PID FAKE_SERVER_PORT
The proxy has the database app (real); all others are at the server below, which plays what it is asked for. It has client_login_timeout and
server_connect_timeout of 3 s, query_wait_timeout of 6 s, and max_client_conn of 100.
"""
import base64
import hashlib
import hmac
import os
import selectors
import socket
import ssl
import struct
import sys
import threading
import time

import psycopg2

port, proxy_pid, fake_port = (int(argument) for argument in sys.argv[1:4])
DSN = f"host=127.0.0.1 port={port} user=app password=secret-of-app dbname=app sslmode=disable"
problems = []
started = time.monotonic()


def step(text):
    print(f"==   {time.monotonic() - started:5.1f} s  {text}", flush=True)


def problem(text):
    problems.append(text)
    print(f"FAILED: {text}", file=sys.stderr, flush=True)


def resident_kb():
    with open(f"/proc/{proxy_pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def descriptors():
    return len(os.listdir(f"/proc/{proxy_pid}/fd"))


# ---- the protocol, as far as a stranger needs it
def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


def packet(body):
    return struct.pack("!i", len(body) + 4) + body


def startup(user="app", database="app", version=0x30000, **more):
    pairs = {"user": user, "database": database, **more}
    return packet(struct.pack("!i", version) + b"".join(f"{k}\0{v}\0".encode() for k, v in pairs.items()) + b"\0")


SSL_REQUEST = packet(struct.pack("!i", 80877103))
GSS_REQUEST = packet(struct.pack("!i", 80877104))


def connect(timeout=8):
    return socket.create_connection(("127.0.0.1", port), timeout)


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError(data)
        data += more
    return data


def read_message(sock):
    head = read_exactly(sock, 5)
    return head[:1], read_exactly(sock, struct.unpack("!i", head[1:])[0] - 4)


def fields(body):
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def until_closed(sock):
    """All bytes until the other side closes. A silent connection that stays is a failure of its own."""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
            if len(data) > 1 << 20:
                break
    except ConnectionError:
        pass
    return data


def scram_first(sock, nonce="abcdefghijklmnop", mechanism=b"SCRAM-SHA-256", first=None):
    kind, body = read_message(sock)
    if kind == b"E":
        raise PermissionError(fields(body))
    if kind != b"R" or body[:4] != struct.pack("!i", 10):
        raise ValueError(f"no SCRAM: {kind} {body}")
    first = first if first is not None else f"n,,n=,r={nonce}".encode()
    sock.sendall(message(b"p", mechanism + b"\0" + struct.pack("!i", len(first)) + first))


def scram_final(server_first, password, nonce):
    parts = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = f"c=biws,r={nonce or parts['r']}"
    signed = f"n=,r=abcdefghijklmnop,{server_first},{without_proof}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    return f"{without_proof},p={base64.b64encode(proof).decode()}"


def log_in(database="app", timeout=8):
    sock = connect(timeout)
    sock.sendall(startup(database=database))
    scram_first(sock)
    kind, body = read_message(sock)
    sock.sendall(message(b"p", scram_final(body[4:].decode(), "secret-of-app", None).encode()))
    while True:
        kind, body = read_message(sock)
        if kind == b"E":
            raise PermissionError(fields(body))
        if kind == b"Z":
            return sock


class Healthy(threading.Thread):
    """Works all the time, in one connection and in new ones."""

    def __init__(self):
        super().__init__(daemon=True)
        self.errors, self.longest, self.count, self.stop = [], 0.0, 0, False

    def run(self):
        conn = psycopg2.connect(DSN)
        conn.autocommit = True
        cursor = conn.cursor()
        while not self.stop:
            began = time.monotonic()
            try:
                cursor.execute("select %s::int + 1, repeat('x', 2000)", (self.count,))
                assert cursor.fetchone() == (self.count + 1, "x" * 2000)
            except BaseException as error:  # pylint: disable=broad-except
                self.errors.append(repr(error))
                return
            self.longest = max(self.longest, time.monotonic() - began)
            self.count += 1
            time.sleep(0.005)
        conn.close()


# ---- clients
def malformed_startups():
    step("startups that are none")
    user = b"user\0app\0"
    version = struct.pack("!i", 0x30000)
    table = {
        "nothing but zeros": b"\0" * 64,
        "a length of 0": struct.pack("!i", 0) + version,
        "a length of 3": struct.pack("!i", 3) + version,
        "a length of 4": struct.pack("!i", 4) + version,
        "a length of 7": struct.pack("!i", 7) + version,
        "a negative length": struct.pack("!i", -1) + version,
        "a length of 2 GB": struct.pack("!i", 0x7FFFFFFF) + version,
        "10 MB of a startup": struct.pack("!i", 10 << 20) + version + b"x" * (10 << 20),
        "no terminator": packet(version + user + b"database\0app"),
        "no final zero": packet(version + user),
        "a key without a value": packet(version + user + b"database\0\0"),
        "bytes behind the terminator": packet(version + user + b"\0garbage\0"),
        "no user": packet(version + b"database\0app\0\0"),
        "an empty user": packet(version + b"user\0\0\0"),
        "a user of 5000 bytes": packet(version + b"user\0" + b"u" * 5000 + b"\0\0"),
        "protocol 2": packet(struct.pack("!i", 0x20000) + user + b"\0"),
        "protocol 4": packet(struct.pack("!i", 0x40000) + user + b"\0"),
        "protocol 0": packet(struct.pack("!i", 0) + user + b"\0"),
        "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
        "a TLS hello that is none": b"\x16\x03\x01\x02\x00" + os.urandom(512),
        "SSLRequest with a body": struct.pack("!ii", 12, 80877103) + b"xxxx",
        "SSLRequest twice": SSL_REQUEST + SSL_REQUEST,
        "GSSENCRequest twice": GSS_REQUEST + GSS_REQUEST,
        "a cancel request without a key": struct.pack("!ii", 8, 80877102),
        "a cancel request with half a key": struct.pack("!iii", 12, 80877102, 5),
        "a cancel request of 5000 bytes": packet(struct.pack("!i", 80877102) + b"k" * 5000),
        "options that are none": startup(options="--"),
        "a query instead of a password": startup() + message(b"Q", b"select 1\0"),
        "a password of 2 GB": startup() + b"p" + struct.pack("!i", 0x7FFFFFFF) + b"x" * 100000,
        "a password of a negative length": startup() + b"p" + struct.pack("!i", -5),
        "a message type of none": startup() + b"\0\0\0\0\4",
        "an empty password message": startup() + message(b"p"),
        "replication=maybe": startup(replication="maybe"),
        **{f"random bytes {n}": os.urandom(1 + n * 37) for n in range(1, 20)},
    }
    waiting = {}
    for name, data in table.items():
        sock = connect()
        waiting[name] = sock
        try:
            sock.sendall(data)
        except ConnectionError:
            pass
    for name, sock in waiting.items():
        try:
            answer = until_closed(sock)
        except TimeoutError:
            problem(f"{name}: the connection stays open")
            continue
        if struct.pack("!cii", b"R", 8, 0) in answer or b"secret" in answer:
            problem(f"{name}: is let in: {answer[:200]}")
        if len(answer) > 2000:
            problem(f"{name}: {len(answer)} bytes come back")
        sock.close()


def injected_plaintext():
    step("plaintext behind a request for encryption (CVE-2021-3935)")
    sock = connect()
    sock.sendall(SSL_REQUEST + startup())
    answer = until_closed(sock)
    if answer[:1] == b"S":
        problem(f"plaintext after SSLRequest is taken: {answer[:100]}")
    sock.close()
    # In time the handshake works; what was injected in the middle breaks it.
    sock = connect()
    sock.sendall(SSL_REQUEST)
    if read_exactly(sock, 1) != b"S":
        problem("no TLS is offered")
    sock.sendall(startup())
    answer = until_closed(sock)
    if b"R" in answer[:1]:
        problem(f"plaintext instead of a handshake is taken: {answer[:100]}")
    sock.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = connect()
    sock.sendall(SSL_REQUEST)
    read_exactly(sock, 1)
    with context.wrap_socket(sock) as tls:
        tls.sendall(SSL_REQUEST)  # TLS in TLS
        if until_closed(tls)[:1] == b"S":
            problem("TLS is offered inside TLS")


def wrong_logins():
    step("SCRAM by liars")

    def attempt(name, first=None, mechanism=b"SCRAM-SHA-256", answer=None):
        sock = connect()
        sock.sendall(startup())
        scram_first(sock, mechanism=mechanism, first=first)
        replies = b""
        if answer is not None:
            kind, body = read_message(sock)
            if kind != b"R":
                problem(f"{name}: {kind} {body}")
                return
            sock.sendall(message(b"p", answer(body[4:].decode())))
        try:
            replies = until_closed(sock)
        except TimeoutError:
            problem(f"{name}: the connection stays open")
        if struct.pack("!cii", b"R", 8, 0) in replies:
            problem(f"{name}: is let in")
        if not replies.startswith(b"E"):
            problem(f"{name}: no error: {replies[:100]}")
        sock.close()

    attempt("a mechanism of none", mechanism=b"SCRAM-MD5")
    attempt("channel binding without TLS", mechanism=b"SCRAM-SHA-256-PLUS", first=b"p=tls-server-end-point,,n=,r=abcdefghijklmnop")
    attempt("channel binding that was not negotiated", first=b"p=tls-unique,,n=,r=abcdefghijklmnop")
    attempt("no nonce", first=b"n,,n=")
    attempt("an empty first message", first=b"")
    attempt("garbage", first=b"\0\xff\0\xff")
    attempt("a mandatory extension", first=b"n,,m=x,n=,r=abcdefghijklmnop")
    attempt("a long nonce", first=b"n,,n=,r=" + b"x" * 60000)
    attempt("a wrong password", answer=lambda said: scram_final(said, "wrong", None).encode())
    attempt("another nonce", answer=lambda said: scram_final(said, "secret-of-app", "abcdefghijklmnopqrst").encode())
    attempt("our half of the nonce alone", answer=lambda said: scram_final(said, "secret-of-app", "abcdefghijklmnop").encode())
    attempt("no proof", answer=lambda said: b"c=biws,r=abcdefghijklmnop")
    attempt("a proof that is no base64", answer=lambda said: scram_final(said, "x", None).rsplit("p=", 1)[0].encode() + b"p=****")
    attempt("a short proof", answer=lambda said: scram_final(said, "x", None).rsplit("p=", 1)[0].encode() + b"p=AAAA")
    attempt("an empty last message", answer=lambda said: b"")
    attempt("wrong binding data", answer=lambda said: scram_final(said, "secret-of-app", None).replace("biws", "eSws").encode())
    log_in().close()  # and who does it right comes in


def messages_after_login():
    step("messages that are none, and huge ones")
    before = resident_kb()
    table = {
        "a length of 0": b"Q\0\0\0\0",
        "a length of 3": b"Q\0\0\0\3",
        "a negative length": b"Q\xff\xff\xff\xff",
        "an unknown type": b"!\0\0\0\4",
        "a Bind of nothing": message(b"B", b""),
        "a Bind whose name has no end": message(b"B", b"x" * 1000),
        "a Parse without an end": message(b"P", b"name\0select 1") + message(b"S"),
        "a Describe of nothing": message(b"D", b"") + message(b"S"),
        "a Close of something else": message(b"C", b"Xname\0") + message(b"S"),
        "a password after the login": message(b"p", b"secret\0"),
    }
    for name, data in table.items():
        sock = log_in(timeout=3)
        sock.sendall(data)
        try:
            kind, body = read_message(sock)
            if kind not in (b"E",):
                problem(f"{name}: {kind} {body}")
        except (TimeoutError, EOFError, ConnectionError) as error:
            problem(f"{name}: no answer: {error!r}")
        sock.close()
    # Copy messages of a session that copies nothing mean nothing.
    sock = log_in()
    sock.sendall(message(b"d", b"x" * 100000) + message(b"c") + message(b"f", b"why\0") + message(b"H") + message(b"Q", b"select 1\0"))
    kinds = b""
    while not kinds.endswith(b"Z"):
        kinds += read_message(sock)[0]
    if kinds != b"TDCZ":
        problem(f"copy messages without a copy: {kinds}")
    sock.close()
    # A query, and a Parse, that claim 1 GB and stop after 24 MB.
    peak = 0
    for kind, rest in ((b"Q", b"select '"), (b"P", b"big\0select '"), (b"B", b"\0\0\0\0")):
        sock = log_in()
        sock.sendall(kind + struct.pack("!i", 1 << 30) + rest)
        try:
            for _ in range(24):
                sock.sendall(b"x" * (1 << 20))
        except ConnectionError:
            pass  # too much for it
        peak = max(peak, resident_kb())
        sock.close()
    if peak - before > 120_000:
        problem(f"messages of 1 GB cost {peak - before} kB")


def silent_clients():
    step("clients that say nothing, or half a word")
    base = descriptors()
    halves = [b"", b"\0", b"\0\0\0", startup()[:20], SSL_REQUEST, GSS_REQUEST, startup(), startup()[:-1]]
    socks = []
    began = time.monotonic()
    for n in range(160):
        sock = connect(8)
        sock.sendall(halves[n % len(halves)])
        socks.append(sock)
    with psycopg2.connect(DSN):
        pass  # others come in meanwhile
    for sock in socks:
        try:
            until_closed(sock)
        except TimeoutError:
            problem("a silent client stays longer than client_login_timeout")
            break
    took = time.monotonic() - began
    if took < 2:
        problem(f"silent clients are closed after {took:.1f} s, before client_login_timeout")
    for sock in socks:
        sock.close()
    time.sleep(0.2)
    if descriptors() > base + 10:
        problem(f"{descriptors() - base} descriptors are left of silent clients")


def slow_readers():
    step("clients that do not read what they asked for")
    before = resident_kb()
    socks = []
    for _ in range(8):
        sock = log_in()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.sendall(message(b"Q", b"select repeat('x', 1000) from generate_series(1, 300000)\0"))
        socks.append(sock)
    patient = log_in()
    patient.sendall(message(b"Q", b"select repeat('x', 1000) from generate_series(1, 50000)\0"))
    # And clients who ask on and on, and read nothing.
    asking = log_in()
    asking.settimeout(0.2)
    questions = message(b"Q", b"select repeat('y', 10000)\0") * 1000
    asked = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            asked += asking.send(questions)
        except TimeoutError:
            pass
    time.sleep(0.5)
    grown = resident_kb() - before
    if grown > 40_000:
        problem(f"slow readers cost {grown} kB")
    # One of them changes its mind and gets all of it.
    total = 0
    data = patient.makefile("rb", 1 << 16)
    while True:
        head = data.read(5)
        data.read(struct.unpack("!i", head[1:])[0] - 4)
        total += head[:1] == b"D"
        if head[:1] == b"Z":
            break
    if total != 50000:
        problem(f"a slow reader gets {total} rows of 50000")
    for sock in socks + [asking, patient]:
        sock.close()


def unknown_keys():
    step("cancel requests for nobody")
    for _ in range(500):
        sock = connect()
        sock.sendall(packet(struct.pack("!i", 80877102) + os.urandom(8)))
        if until_closed(sock):
            problem("a cancel request is answered")
        sock.close()


def many_connections():
    step("20,000 connections where 100 are allowed")
    base = descriptors()
    held = []
    try:
        while True:
            held.append(log_in())
    except PermissionError as refused:
        if refused.args[0].get("C") != "53300":
            problem(f"at max_client_conn: {refused}")
    except EOFError:
        problem("at max_client_conn: closed without a word")
    before = resident_kb()
    began = time.monotonic()
    selector = selectors.DefaultSelector()
    begun = finished = wrong = 0
    data = startup()

    def begin():
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        selector.register(sock, selectors.EVENT_WRITE, [b""])

    while finished < 20000:
        while begun < 20000 and begun - finished < 100:
            begin()
            begun += 1
        ready = selector.select(10)
        if not ready:
            problem(f"{begun - finished} of {begun} connections get no answer")
            break
        for key, events in ready:
            sock, seen = key.fileobj, key.data
            try:
                if events & selectors.EVENT_WRITE:
                    sock.send(data)
                    selector.modify(sock, selectors.EVENT_READ, seen)
                    continue
                more = sock.recv(4096)
                seen[0] += more
            except OSError as error:
                more, seen[0] = b"", seen[0] or repr(error).encode()
            if more:
                continue
            if b"C53300\0" not in seen[0]:
                wrong += 1
                if wrong < 5:
                    problem(f"one connection too many sees {seen[0][:200]}")
            selector.unregister(sock)
            sock.close()
            finished += 1
    took = time.monotonic() - began
    print(f"   20000 refused in {took:.1f} s, {resident_kb() - before} kB more, {wrong} without 53300")
    if took > 40:
        problem(f"20,000 refusals take {took:.1f} s")
    for sock in held:
        sock.sendall(message(b"Q", b"select 1\0"))
    for sock in held:
        if read_message(sock)[0] != b"T":
            problem("a client that was there before gets no answer")
        sock.close()
    time.sleep(0.3)
    if descriptors() > base + 10:
        problem(f"{descriptors() - base} descriptors are left")


# ---- a server that lies
def authentication(code, body=b""):
    return message(b"R", struct.pack("!i", code) + body)


READY = message(b"Z", b"I")
GREETING = (authentication(0) + message(b"S", b"server_version\0" + b"15.0\0") + message(b"S", b"client_encoding\0UTF8\0") +
            message(b"K", struct.pack("!ii", 4711, 12)) + READY)
AT_LOGIN = {
    "closes": b"",
    "rubbish": os.urandom(300),
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "tiny_length": b"R\0\0\0\2",
    "negative_length": b"R\xff\xff\xff\xff",
    "huge_length": b"R\x7f\xff\xff\xff" + b"x" * 100000,
    "unknown_authentication": authentication(99),
    "empty_authentication": message(b"R"),
    "rows_first": message(b"D", b"\0\0"),
    "error_without_end": message(b"E", b"SFATAL\0Mno end"),
    "error": message(b"E", b"SFATAL\0VFATAL\0C28000\0Mthe fake server says no\0\0"),
    "salt_too_short": authentication(5, b"ab"),
    "scram_mechanism": authentication(10, b"SCRAM-SHA-1\0\0"),
    "scram_without_end": authentication(10, b"SCRAM-SHA-256"),
    "scram_done_at_once": authentication(12, b"v=AAAA"),
    "short_key": authentication(0) + message(b"K", b"\0") + READY,
    "bad_status": authentication(0) + message(b"Z", b"?"),
    "long_status": authentication(0) + message(b"Z", b"II"),
    "parameter_without_end": authentication(0) + message(b"S", b"server_version\0nothing") + READY,
}
AT_QUERY = {
    "query_closes": b"",
    "query_rubbish": os.urandom(300),
    "query_tiny_length": b"T\0\0\0\1",
    "query_ready_twice": message(b"C", b"SELECT 0\0") + READY + READY,
    "query_bad_status": message(b"C", b"SELECT 0\0") + message(b"Z", b"X"),
    "query_authentication": authentication(0) + READY,
    "query_error_without_end": message(b"E", b"SERROR\0Mno end") + READY,
    "query_dies_in_a_row": message(b"T", b"\0\0") + b"D\0\1\0\0abc",
}
SCRAM = {
    "scram_other_nonce": lambda first: b"r=somethingelse,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096",
    "scram_iterations": lambda first: b"r=" + first.rsplit(b"r=", 1)[1] + b"more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=2147483647",
    "scram_garbage": lambda first: os.urandom(100),
    "scram_bad_signature": lambda first: b"r=" + first.rsplit(b"r=", 1)[1] + b"more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096",
}
NEVER = ("never_answers", "never_answers_the_password")


class FakeServer(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", fake_port))
        self.listener.listen(50)

    def run(self):
        while True:
            sock, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            length = struct.unpack("!i", read_exactly(sock, 4))[0]
            pairs = read_exactly(sock, length - 4)[4:].split(b"\0")
            what = pairs[pairs.index(b"database") + 1].decode()
            self.play(what.removeprefix("fake_"), sock)
        except (EOFError, ConnectionError, OSError):
            pass
        finally:
            sock.close()

    def play(self, what, sock):
        sock.settimeout(15)
        if what == "never_answers":
            return sock.recv(1)
        if what == "never_answers_the_password":
            sock.sendall(authentication(3))
            while sock.recv(100):
                pass
            return None
        if what in AT_LOGIN:
            return sock.sendall(AT_LOGIN[what])
        if what in SCRAM:
            sock.sendall(authentication(10, b"SCRAM-SHA-256\0\0"))
            _, body = read_message(sock)
            sock.sendall(authentication(11, SCRAM[what](body)))
            if what == "scram_bad_signature":
                read_message(sock)
                return sock.sendall(authentication(12, b"v=" + base64.b64encode(b"x" * 32)) + GREETING)
            return sock.recv(1)
        sock.sendall(GREETING)
        while True:
            kind, body = read_message(sock)
            if kind == b"X":
                return None
            if kind == b"Q" and b"attack" in body:
                sock.sendall(AT_QUERY[what])
                if "ready_twice" not in what:
                    return None
            elif kind == b"Q":
                sock.sendall(message(b"C", b"SET\0") + READY)


def lying_servers():
    step("servers that lie, at each stage, and servers that never answer")
    FakeServer().start()
    names = [*AT_LOGIN, *SCRAM, *AT_QUERY, *NEVER]
    results = {}

    def ask(name):
        began = time.monotonic()
        try:
            sock = log_in(f"fake_{name}", timeout=12)
            sock.sendall(message(b"Q", b"attack\0"))
            seen = until_closed(sock) if "ready_twice" not in name else sock.recv(100)
            results[name] = (seen, time.monotonic() - began)
            sock.close()
        except PermissionError as refused:
            results[name] = (refused.args[0], time.monotonic() - began)
        except EOFError as error:
            results[name] = (error.args[0], time.monotonic() - began)
        except Exception as error:  # pylint: disable=broad-except
            results[name] = (error, time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for name in names:
        seen, took = results[name]
        if os.environ.get("SHOW"):
            print(f"   {name}: {took:.1f} s {seen}"[:250])
        if isinstance(seen, Exception):
            problem(f"the server {name}: the client sees {seen!r} after {took:.1f} s")
        elif took > 9:
            problem(f"the server {name}: the client waits {took:.1f} s")
        elif name in SCRAM and isinstance(seen, bytes):
            problem(f"the server {name}: the client comes in")


def accidents():
    step("clients that are killed in the middle of a COPY, a transaction, a message")
    table = "killed_copy"
    conn = psycopg2.connect(DSN)
    conn.autocommit = True
    cursor = conn.cursor()
    cursor.execute(f"create table {table} (t text)")
    for turn in range(12):
        sock = log_in()
        if turn % 3 == 0:
            sock.sendall(message(b"Q", f"copy {table} from stdin\0".encode()))
            while read_message(sock)[0] != b"G":
                pass
            sock.sendall(message(b"d", b"row\n" * 1000) * 20 + b"d\0\1\0\0half")
        elif turn % 3 == 1:
            sock.sendall(message(b"Q", f"copy {table} from stdin\0".encode()))
            while read_message(sock)[0] != b"G":
                pass
            sock.sendall(message(b"d", b"row\n" * 1000))
        else:
            sock.sendall(message(b"Q", f"begin; insert into {table} values ('x'); lock table {table}\0".encode()))
            while read_message(sock)[0] != b"Z":
                pass
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", turn % 2, 0))
        sock.close()
    time.sleep(0.5)
    cursor.execute(f"set statement_timeout = '5s'; select count(*) from {table}")
    if cursor.fetchone() != (0,):
        problem("rows of clients that were killed are there")
    cursor.execute("select count(*) from pg_stat_activity where datname = 'app' and state not in ('idle', 'active')")
    if cursor.fetchone() != (0,):
        problem("transactions of clients that were killed are left")
    conn.close()


healthy = Healthy()
healthy.start()
time.sleep(0.5)
with psycopg2.connect(DSN) as warm:
    warm.cursor().execute("select 1")
warm.close()
memory, files = resident_kb(), descriptors()
for attack in (malformed_startups, injected_plaintext, wrong_logins, messages_after_login, silent_clients, slow_readers, unknown_keys,
               many_connections, lying_servers, accidents):
    try:
        attack()
    except Exception as error:  # pylint: disable=broad-except
        problem(f"{attack.__name__}: {error!r} at line {error.__traceback__.tb_next and error.__traceback__.tb_next.tb_lineno}")
    if not os.path.exists(f"/proc/{proxy_pid}"):
        problem(f"the proxy is gone after {attack.__name__}")
        sys.exit(1)
    if healthy.errors:
        problem(f"the healthy client after {attack.__name__}: {healthy.errors}")
        break
healthy.stop = True
healthy.join(5)
end = time.monotonic() + 10
while time.monotonic() < end and (resident_kb() > memory + 30_000 or descriptors() > files + 25):
    time.sleep(0.2)
print(f"   the healthy client asked {healthy.count} times, at most {healthy.longest * 1000:.0f} ms each; "
      f"memory {memory} kB at first, {resident_kb()} kB now; descriptors {files}, {descriptors()}")
if healthy.longest > 2:
    problem(f"the healthy client waited {healthy.longest:.1f} s")
if resident_kb() > memory + 30_000:
    problem(f"memory: {memory} kB at first, {resident_kb()} kB now")
if descriptors() > files + 25:
    problem(f"descriptors: {files} at first, {descriptors()} now")
sys.exit(bool(problems))
