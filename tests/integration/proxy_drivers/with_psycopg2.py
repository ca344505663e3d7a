"""What a program on psycopg2 does all day, through the proxy.

usage: with_psycopg2.py DSN transaction|session
"""
import io
import sys
import threading
import time

import psycopg2
import psycopg2.errors
import psycopg2.extensions

dsn, mode = sys.argv[1], sys.argv[2]
table = f"psycopg2_{mode}"


def prepared_statements(conn):
    # psycopg2 knows the SQL command alone, which belongs to the server: in transaction mode to one transaction.
    for number in range(5):
        with conn, conn.cursor() as cursor:
            cursor.execute("prepare double(int) as select $1 * 2")
            for value in range(5):
                cursor.execute("execute double(%s)", (value + number,))
                assert cursor.fetchone() == ((value + number) * 2,)
            cursor.execute("deallocate double")


def copy_both_ways(conn):
    rows = "".join(f"{n}\tline {n}\n" for n in range(20000))
    with conn, conn.cursor() as cursor:
        cursor.execute(f"drop table if exists {table}; create table {table} (n int, t text)")
        cursor.copy_expert(f"copy {table} from stdin", io.StringIO(rows))
        back = io.StringIO()
        cursor.copy_expert(f"copy (select * from {table} order by n) to stdout", back)
        assert back.getvalue() == rows
    for bad in ("1\tone\textra\n", "x\ty\n"):
        try:
            with conn, conn.cursor() as cursor:
                cursor.copy_expert(f"copy {table} from stdin", io.StringIO(bad + rows))
            raise AssertionError("a bad line was taken")
        except (psycopg2.errors.BadCopyFileFormat, psycopg2.errors.InvalidTextRepresentation):
            pass
        with conn, conn.cursor() as cursor:
            cursor.execute(f"select count(*) from {table}")
            assert cursor.fetchone() == (20000,)


class Torn(io.StringIO):
    def read(self, size=-1):
        raise RuntimeError("the file is torn")


def copy_given_up_by_the_client(conn):
    try:
        with conn, conn.cursor() as cursor:
            cursor.copy_expert(f"copy {table} from stdin", Torn())
        raise AssertionError("a torn file was taken")
    except psycopg2.errors.QueryCanceled as error:  # CopyFail
        assert "torn" in str(error), error
    with conn, conn.cursor() as cursor:
        cursor.execute("select 1")


def cancel(conn):
    for _ in range(3):
        threading.Timer(0.2, conn.cancel).start()
        began = time.monotonic()
        try:
            with conn, conn.cursor() as cursor:
                cursor.execute("select pg_sleep(20)")
            raise AssertionError("not cancelled")
        except psycopg2.errors.QueryCanceled:
            assert time.monotonic() - began < 5
        with conn, conn.cursor() as cursor:
            cursor.execute("select 1")
            assert cursor.fetchone() == (1,)


def large_objects(conn):
    data = bytes(range(256)) * 8192
    with conn:
        large = conn.lobject(0, "wb")
        number = large.oid
        large.write(data)
        large.close()
    with conn:
        large = conn.lobject(number, "rb")
        assert large.read() == data
        large.seek(1000)
        assert large.read(10) == data[1000:1010]
        large.unlink()


def notices(conn):
    del conn.notices[:]
    with conn, conn.cursor() as cursor:
        cursor.execute("do $$ begin for i in 1..10 loop raise notice 'notice %', i; end loop; end $$")
    assert sum("notice" in one for one in conn.notices) == 10, conn.notices


def errors_in_transactions(conn):
    with conn.cursor() as cursor:
        for _ in range(3):
            try:
                cursor.execute("select 1/0")
                raise AssertionError("1/0 is something")
            except psycopg2.errors.DivisionByZero:
                pass
            try:
                cursor.execute("select 1")
                raise AssertionError("the transaction goes on after an error")
            except psycopg2.errors.InFailedSqlTransaction:
                pass
            conn.rollback()
            cursor.execute("savepoint one")
            try:
                cursor.execute("select nothing from nowhere")
            except psycopg2.errors.UndefinedTable:
                cursor.execute("rollback to one")
            cursor.execute("select 5")
            assert cursor.fetchone() == (5,)
            conn.commit()
    assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE


def cursors_and_large_results(conn):
    with conn, conn.cursor("named") as cursor:
        cursor.itersize = 500
        cursor.execute("select n, repeat('x', 1000) from generate_series(1, 5000) n")
        assert sum(row[0] for row in cursor) == 5000 * 5001 // 2
    with conn, conn.cursor() as cursor:
        cursor.execute("select repeat('y', 20000000)")
        assert len(cursor.fetchone()[0]) == 20000000
        text = "z" * 5000000
        cursor.execute("select md5(%s), length(%s)", (text, text))
        assert cursor.fetchone()[1] == 5000000


def settings_stay_with_the_client(conn):
    other = psycopg2.connect(dsn, application_name="another")
    conn.autocommit = other.autocommit = True
    with conn.cursor() as cursor, other.cursor() as others:
        cursor.execute("set timezone to 'Asia/Tokyo'; set datestyle to 'German'; set application_name to 'mine'")
        for _ in range(20):
            others.execute("select current_setting('timezone'), current_setting('application_name')")
            zone, name = others.fetchone()
            assert zone != "Asia/Tokyo" and name == "another", (zone, name)
            cursor.execute("select current_setting('timezone'), current_setting('application_name'), '2020-02-01'::date::text")
            assert cursor.fetchone() == ("Asia/Tokyo", "mine", "01.02.2020")
    conn.set_client_encoding("LATIN1")
    with conn.cursor() as cursor:
        cursor.execute("select 'ä'::text, octet_length(convert_to('ä', 'UTF8'))")
        assert cursor.fetchone() == ("ä", 2)
    conn.set_client_encoding("UTF8")
    other.close()
    conn.autocommit = False


def listen(conn):
    conn.autocommit = True
    sender = psycopg2.connect(dsn)
    sender.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("listen psycopg2")
    for number in range(3):
        with sender.cursor() as cursor:
            cursor.execute(f"notify psycopg2, 'number {number}'")
    end = time.monotonic() + 5
    while len(conn.notifies) < 3 and time.monotonic() < end:
        conn.poll()
        time.sleep(0.02)
    assert [one.payload for one in conn.notifies] == [f"number {n}" for n in range(3)], conn.notifies
    sender.close()
    conn.autocommit = False


jobs = [prepared_statements, copy_both_ways, copy_given_up_by_the_client, cancel, large_objects, notices,
        errors_in_transactions, cursors_and_large_results, settings_stay_with_the_client]
if mode == "session":
    jobs.append(listen)
connection = psycopg2.connect(dsn)
for job in jobs:
    try:
        job(connection)
    except BaseException:
        print(f"psycopg2, {mode} mode: {job.__name__}", file=sys.stderr)
        raise
connection.close()
print(f"psycopg2 {psycopg2.__version__.split()[0]}, {mode} mode: {len(jobs)} jobs")
