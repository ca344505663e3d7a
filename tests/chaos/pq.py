"""libpq as it is, through ctypes: nothing but Python's own library is needed, and the clients are real libpq clients.

A statement has a deadline of its own: a server that stands still must not hold a client for ever. What a client knows
after a statement is one of three things, and the whole harness hangs on keeping them apart: it was done, it was
refused, or nobody knows.
"""
import ctypes
import ctypes.util
import select
import time
from dataclasses import dataclass, field

_pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
for _name in ("PQconnectdb", "PQgetResult", "PQgetCancel"):
    getattr(_pq, _name).restype = ctypes.c_void_p
for _name in ("PQgetvalue", "PQerrorMessage", "PQresultErrorField", "PQresultErrorMessage", "PQcmdStatus"):
    getattr(_pq, _name).restype = ctypes.c_char_p
_pq.PQconnectdb.argtypes = [ctypes.c_char_p]
_pq.PQsendQuery.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_pq.PQresultErrorField.argtypes = [ctypes.c_void_p, ctypes.c_int]
_pq.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
for _name in ("PQstatus", "PQfinish", "PQerrorMessage", "PQresultStatus", "PQclear", "PQgetResult", "PQconsumeInput",
              "PQisBusy", "PQsocket", "PQntuples", "PQnfields", "PQresultErrorMessage", "PQcmdStatus", "PQgetCancel",
              "PQfreeCancel"):
    getattr(_pq, _name).argtypes = [ctypes.c_void_p]

_pq.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]

_Receiver = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_pq.PQsetNoticeReceiver.argtypes = [ctypes.c_void_p, _Receiver, ctypes.c_void_p]
_pq.PQsetNoticeReceiver.restype = ctypes.c_void_p
_silent = _Receiver(lambda *_: None)  # otherwise libpq prints them

DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"

# Errors after which the statement has certainly done nothing: a standby, a server that takes no connection yet, too
# many connections, a transaction that was rolled back. All others, 57P01 above all, may come after the commit.
CERTAIN = {"25006", "57P03", "53300", "40001", "40P01", "25P02", "55000", "42P01"}


@dataclass
class Answer:
    outcome: str
    rows: list = field(default_factory=list)
    sqlstate: str = ""
    text: str = ""
    tag: str = ""  # what the command says it did: COMMIT, or ROLLBACK

    @property
    def done(self):
        return self.outcome == DONE


class Session:
    """One connection, made when it is needed and thrown away when it is broken."""

    def __init__(self, conninfo):
        self.conninfo = conninfo
        self._connection = None

    def connect(self):
        """An empty text, or why there is no connection."""
        if self._connection:
            return ""
        connection = _pq.PQconnectdb(self.conninfo.encode())
        if _pq.PQstatus(connection) == 0:
            self._connection = connection
            _pq.PQsetNoticeReceiver(connection, _silent, None)
            return ""
        why = (_pq.PQerrorMessage(connection) or b"").decode(errors="replace").strip()
        _pq.PQfinish(connection)
        return why or "no connection"

    def close(self):
        if self._connection:
            _pq.PQfinish(self._connection)
        self._connection = None

    def run(self, statement, timeout=10.0):
        why = self.connect()
        if why:
            return Answer(REFUSED, text=why, sqlstate="08001")
        if not _pq.PQsendQuery(self._connection, statement.encode()):
            return self._broken()
        end = time.monotonic() + timeout
        poll = select.poll()
        poll.register(_pq.PQsocket(self._connection), select.POLLIN)
        answer = None
        while True:
            while _pq.PQisBusy(self._connection):
                left = end - time.monotonic()
                if left <= 0:
                    self.close()
                    return Answer(UNKNOWN, text=f"no answer in {timeout:g} s")
                poll.poll(left * 1000)
                if not _pq.PQconsumeInput(self._connection):
                    return self._broken()
            result = _pq.PQgetResult(self._connection)
            if not result:
                break
            answer = self._read(result) if answer is None or answer.done else answer
            _pq.PQclear(result)
        if answer is None or _pq.PQstatus(self._connection) != 0:
            broken = self._broken()
            return answer or broken
        return answer

    def cancel(self):
        """What another thread runs here."""
        request = _pq.PQgetCancel(self._connection)
        _pq.PQcancel(request, ctypes.create_string_buffer(256), 256)
        _pq.PQfreeCancel(request)

    def _broken(self):
        text = (_pq.PQerrorMessage(self._connection) or b"").decode(errors="replace").strip()
        self.close()
        return Answer(UNKNOWN, text=text)

    @staticmethod
    def _read(result):
        if _pq.PQresultStatus(result) in (1, 2):
            rows = [[_pq.PQgetvalue(result, row, column).decode() for column in range(_pq.PQnfields(result))]
                    for row in range(_pq.PQntuples(result))]
            return Answer(DONE, rows=rows, tag=(_pq.PQcmdStatus(result) or b"").decode())
        state = (_pq.PQresultErrorField(result, ord("C")) or b"").decode()
        text = (_pq.PQresultErrorMessage(result) or b"").decode(errors="replace").strip()
        return Answer(REFUSED if state in CERTAIN else UNKNOWN, sqlstate=state, text=text)
