"""What a program on psycopg 3 does all day, through the proxy: above all, libpq's pipelines and prepared statements.

usage: with_psycopg3.py DSN transaction|session
"""
import sys
import threading
import time

import psycopg
from psycopg import errors, pq

dsn, mode = sys.argv[1], sys.argv[2]
table = f"psycopg3_{mode}"


def connect(**more):
    return psycopg.connect(dsn, autocommit=True, prepared_max=None, **more)


def prepared_statements(conn):
    # More clients than servers, the same statements under the same names, and others under the same names.
    failures = []

    def work(which):
        try:
            with connect() as own:
                for turn in range(40):
                    with own.transaction():
                        row = own.execute("select %s::int + 1, %s::text", (turn, "x" * turn), prepare=True).fetchone()
                        assert row == (turn + 1, "x" * turn), row
                    row = own.execute(f"select %s::int * {which}", (turn,), prepare=True).fetchone()
                    assert row == (turn * which,), row
                names = own.execute("select count(*) from pg_prepared_statements").fetchone()
                assert names[0] >= 0
        except BaseException as error:  # pylint: disable=broad-except
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failures, failures


def more_statements_than_the_server_keeps(conn):
    for _ in range(2):
        for number in range(60):
            assert conn.execute(f"select {number} + %s::int", (1,), prepare=True).fetchone() == (number + 1,)


def statements_that_fail(conn):
    for _ in range(3):
        try:
            conn.execute("select %s::int from missing_table", (1,), prepare=True)
            raise AssertionError("a table that is missing was read")
        except errors.UndefinedTable:
            pass
        try:
            conn.execute("select 1 / %s::int", (0,), prepare=True)
            raise AssertionError("1/0 is something")
        except errors.DivisionByZero:
            pass
        assert conn.execute("select 1 / %s::int", (1,), prepare=True).fetchone() == (1,)


def statements_whose_table_changes(conn):
    conn.execute(f"drop table if exists {table}_changing; create table {table}_changing (a int)")
    conn.execute(f"insert into {table}_changing values (1)")
    query = f"select * from {table}_changing where a > %s"
    assert conn.execute(query, (0,), prepare=True).fetchall() == [(1,)]
    conn.execute(f"alter table {table}_changing add b text")
    for _ in range(2):  # PostgreSQL says so itself; psycopg takes it as final too
        try:
            assert conn.execute(query, (0,), prepare=True).fetchall() == [(1, None)]
        except errors.FeatureNotSupported as error:
            assert "cached plan" in str(error), error
    assert conn.execute(query + " ", (0,), prepare=True).fetchall() == [(1, None)]


def pipelines(conn):
    for turn in range(5):
        with conn.pipeline():
            results = [conn.execute("select %s::int", (n,), prepare=n % 2 == 0) for n in range(300)]
        assert [one.fetchone()[0] for one in results] == list(range(300)), turn


def pipelines_with_errors(conn):
    for _ in range(5):
        try:
            with conn.pipeline() as pipeline:
                conn.execute("select 1", prepare=True)
                pipeline.sync()
                conn.execute("select 1 / %s::int", (0,), prepare=True)
                conn.execute("select 2")  # is skipped; prepared, psycopg 3.1 would take it for known
                pipeline.sync()
            raise AssertionError("the error in the pipeline was not told")
        except errors.DivisionByZero:
            pass
        assert conn.info.transaction_status == pq.TransactionStatus.IDLE
        assert conn.execute("select 2", prepare=True).fetchone() == (2,)


def pipelines_with_transactions(conn):
    conn.execute(f"drop table if exists {table}_pipe; create table {table}_pipe (n int unique)")
    with conn.pipeline():
        for start in range(0, 100, 10):
            with conn.transaction():
                conn.cursor().executemany(f"insert into {table}_pipe values (%s)", [(n,) for n in range(start, start + 10)])
    assert conn.execute(f"select count(*) from {table}_pipe").fetchone() == (100,)
    try:
        with conn.pipeline(), conn.transaction():
            conn.execute(f"insert into {table}_pipe values (1000)")
            conn.execute(f"insert into {table}_pipe values (5)")
        raise AssertionError("a duplicate was taken")
    except errors.UniqueViolation:
        pass
    assert conn.execute(f"select count(*) from {table}_pipe").fetchone() == (100,)


def libpq_pipeline_past_errors(conn):
    """PQsendPrepare, PQsendQueryPrepared and PQsendDescribePrepared in one go, aborted in the middle, and once more."""
    pgconn = psycopg.pq.PGconn.connect(dsn.encode())
    assert pgconn.status == pq.ConnStatus.OK, pgconn.error_message
    ok, tuples, aborted, sync, fatal = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.PIPELINE_ABORTED,
                                        pq.ExecStatus.PIPELINE_SYNC, pq.ExecStatus.FATAL_ERROR)
    for turn in range(3):
        name = f"pipe{turn}".encode()
        pgconn.enter_pipeline_mode()
        pgconn.send_prepare(name, b"select $1::int + 1")
        pgconn.send_query_prepared(name, [b"41"])
        pgconn.send_describe_prepared(name)
        pgconn.pipeline_sync()
        pgconn.send_prepare(b"broken" + name, b"selectt")
        pgconn.send_prepare(b"after" + name, b"select 1")  # is skipped
        pgconn.pipeline_sync()
        pgconn.send_query_prepared(b"broken" + name, [])
        pgconn.pipeline_sync()
        pgconn.send_prepare(name, b"select 7")  # is taken
        pgconn.pipeline_sync()
        pgconn.send_query_prepared(name, [b"1"])
        pgconn.pipeline_sync()
        expected = [ok, None, tuples, None, ok, None, sync, fatal, None, aborted, None, sync, fatal, None, sync, fatal, None,
                    sync, tuples, None, sync]
        seen, states = [], []
        while pgconn.pipeline_status != pq.PipelineStatus.OFF and len(seen) < len(expected):
            result = pgconn.get_result()
            seen.append(result and result.status)
            if result and result.status == fatal:
                states.append(result.error_field(pq.DiagnosticField.SQLSTATE).decode())
        assert seen == expected, seen
        # As PgBouncer does, the proxy tries a Parse that has failed again when it is used.
        assert states in (["42601", "26000", "42P05"], ["42601", "42601", "42P05"]), states
        pgconn.exit_pipeline_mode()
    pgconn.finish()


def copy_both_ways(conn):
    with conn.transaction():
        conn.execute(f"drop table if exists {table}; create table {table} (n int, t text)")
    with conn.cursor().copy(f"copy {table} from stdin") as copy:
        for n in range(20000):
            copy.write_row((n, f"line {n}"))
    with conn.cursor().copy(f"copy (select * from {table} order by n) to stdout") as copy:
        rows = [(int(row[0]), row[1]) for row in copy.rows()]
    assert rows == [(n, f"line {n}") for n in range(20000)]
    with conn.cursor().copy(f"copy {table} to stdout (format binary)") as copy:
        binary = b"".join(bytes(chunk) for chunk in copy)
    with conn.cursor().copy(f"copy {table} from stdin (format binary)") as copy:
        copy.write(binary)
    assert conn.execute(f"select count(*) from {table}").fetchone() == (40000,)
    try:
        with conn.cursor().copy(f"copy {table} from stdin") as copy:
            copy.write("not a number\tx\n")
            for n in range(20000):
                copy.write_row((n, "after the error"))
        raise AssertionError("a bad line was taken")
    except errors.InvalidTextRepresentation:
        pass
    try:  # the reader leaves in the middle: psycopg cancels
        with conn.cursor().copy("copy (select repeat('x', 100) from generate_series(1, 1000000)) to stdout") as copy:
            for number, _ in enumerate(copy):
                if number == 10:
                    raise KeyError("enough")
    except KeyError:
        pass
    assert conn.execute(f"select count(*) from {table}").fetchone() == (40000,)


def cancel(conn):
    for statement in ("select pg_sleep(20)", "begin; select pg_sleep(20)"):
        threading.Timer(0.2, conn.cancel).start()
        began = time.monotonic()
        try:
            conn.execute(statement)
            raise AssertionError("not cancelled")
        except errors.QueryCanceled:
            assert time.monotonic() - began < 5
        conn.rollback()
    conn.cancel()  # nothing is running
    time.sleep(0.05)
    for _ in range(10):
        conn.execute("select 1")


def notices(conn):
    seen = []
    conn.add_notice_handler(lambda one: seen.append(one.message_primary))
    conn.execute("do $$ begin for i in 1..10 loop raise notice 'notice %', i; end loop; end $$")
    assert seen == [f"notice {n}" for n in range(1, 11)], seen


def large_objects(conn):
    data = b"\x00\xff" * 100000
    with conn.transaction():
        number = conn.execute("select lo_from_bytea(0, %b)", (data,)).fetchone()[0]
    with conn.transaction():
        assert conn.execute("select lo_get(%s)", (number,)).fetchone()[0] == data
        conn.execute("select lo_unlink(%s)", (number,))


def errors_in_transactions(conn):
    for _ in range(5):
        try:
            with conn.transaction():
                try:
                    with conn.transaction():
                        conn.execute("select 1 / %s::int", (0,), prepare=True)
                except errors.DivisionByZero:
                    pass
                assert conn.execute("select 3", prepare=True).fetchone() == (3,)
                raise psycopg.Rollback()
        except psycopg.Rollback:
            pass
        assert conn.info.transaction_status == pq.TransactionStatus.IDLE


def cursors(conn):
    with conn.transaction(), conn.cursor("named") as cursor:
        cursor.execute("select n from generate_series(1, 3000) n")
        assert sum(row[0] for row in cursor) == 3000 * 3001 // 2
    with conn.cursor(binary=True) as cursor:
        seen = sum(row[0] for row in cursor.stream("select n from generate_series(1, 20000) n"))
        assert seen == 20000 * 20001 // 2


def listen(conn):
    conn.execute("listen psycopg3")
    with connect() as sender:
        for number in range(3):
            sender.execute("select pg_notify('psycopg3', %s)", (str(number),))
    seen = []
    for one in conn.notifies():
        seen.append(one.payload)
        if len(seen) == 3:
            break
    assert seen == ["0", "1", "2"], seen


jobs = [prepared_statements, more_statements_than_the_server_keeps, statements_that_fail, statements_whose_table_changes,
        pipelines, pipelines_with_errors, pipelines_with_transactions, libpq_pipeline_past_errors, copy_both_ways, cancel,
        notices, large_objects, errors_in_transactions, cursors]
if mode == "session":
    jobs.append(listen)
for job in jobs:
    try:
        with connect() as connection:
            job(connection)
    except BaseException:
        print(f"psycopg 3, {mode} mode: {job.__name__}", file=sys.stderr)
        raise
print(f"psycopg {psycopg.__version__} on libpq {pq.version()}, {mode} mode: {len(jobs)} jobs")
