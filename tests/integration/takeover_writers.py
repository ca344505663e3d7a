"""Clients of a proxy with routes that is restarted under them: four that write to the primary, one that stays on a standby.

usage: takeover_writers.py POOLED_PORT STANDBY_PORT DIRECTORY
Acknowledged rows go to DIRECTORY/written. Until DIRECTORY/may_fail is there, an error of any of them goes to
DIRECTORY/errors; from then on they connect again. They end when DIRECTORY/end is there.
"""
import os
import sys
import threading
import time

import psycopg2

pooled, standby, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
writing = threading.Lock()


def there(name):
    return os.path.exists(f"{directory}/{name}")


def add(name, text):
    with writing, open(f"{directory}/{name}", "a", encoding="ascii") as file:
        file.write(text + "\n")


def connect(port):
    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user="app", password="correct horse", dbname="shop", sslmode="disable", connect_timeout=5
    )
    connection.autocommit = True
    return connection


def session(port, turn):
    """Turns on one connection as long as it lives."""
    connection = connect(port)
    try:
        while not there("end"):
            turn(connection)
            time.sleep(0.005)
    finally:
        connection.close()


def live(who, port, turn):
    while not there("end"):
        try:
            session(port, turn)
        except psycopg2.Error as error:
            print(who, str(error).strip().replace("\n", " "), flush=True)
            if not there("may_fail"):
                add("errors", f"{who}: {error}".strip())
            time.sleep(0.05)


def writer(index):
    numbers = iter(range(index * 1_000_000, (index + 1) * 1_000_000))

    def turn(connection):
        number = next(numbers)
        with connection.cursor() as cursor:
            cursor.execute("insert into numbered values (%s)", (number,))
        add("written", str(number))

    return turn


def read(connection):
    with connection.cursor() as cursor:
        cursor.execute("select pg_is_in_recovery()")
        if not cursor.fetchone()[0]:
            add("errors", "the reader is not on a standby")


threads = [threading.Thread(target=live, args=(f"writer {i}", pooled, writer(i))) for i in range(4)]
threads.append(threading.Thread(target=live, args=("reader", standby, read)))
for each in threads:
    each.start()
for each in threads:
    each.join()
