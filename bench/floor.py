"""The floor: what a load costs at least (design.md §11).

One process; per system one keep-alive connection whose pages a thread fetches; orjson; a plain tuple of twenty fields
for each record; one statement per page into one table, and one transaction per page. SQLite with a write-ahead log;
PostgreSQL with COPY.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench.people import START, SYSTEMS

FIELDS = 20
AHEAD = 4  # pages on their way
NAMES = [f"f{number}" for number in range(FIELDS)]

Rows = Sequence[tuple[Any, ...]]
Store = Callable[[Rows], None]


def load(base_url: str, store: Store) -> int:
    """Load both systems; gives how many records that were."""
    pages: Queue[bytes | None] = Queue(AHEAD)
    threads = [threading.Thread(target=fetch, args=(base_url, system, pages)) for system in SYSTEMS]
    for thread in threads:
        thread.start()
    total, going = 0, len(threads)
    while going:
        page = pages.get()
        if page is None:
            going -= 1
            continue
        rows = [as_tuple(record) for record in orjson.loads(page)["records"]]
        store(rows)
        total += len(rows)
    return total


def fetch(base_url: str, system: str, pages: Queue[bytes | None]) -> None:
    """All pages of a system, over one connection."""
    parts = urlsplit(base_url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    at, done = START, False
    while not done:
        connection.request("GET", f"/pages/{system}?after={at}")
        body = connection.getresponse().read()
        pages.put(body)
        tail = orjson.loads(b"{" + body[body.rindex(b'"at":') :])  # what follows the records
        at, done = tail["at"], tail["done"]
    connection.close()
    pages.put(None)


def as_tuple(record: dict[str, Any]) -> tuple[Any, ...]:
    """The twenty fields; what the vendor adds stands before them."""
    values = record.get("properties") or record
    return tuple(islice(values.values(), len(values) - FIELDS, None))


def into_sqlite(path: Path) -> Store:
    """A new file with one table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"CREATE TABLE records ({', '.join(NAMES)})")
    insert = f"INSERT INTO records VALUES ({', '.join('?' * FIELDS)})"  # noqa: S608

    def store(rows: Rows) -> None:
        connection.execute("BEGIN")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")

    return store


def into_postgres(url: str) -> Store:
    """One table in an empty database."""
    import psycopg  # 12 MB that SQLite's floor does not need

    connection = psycopg.connect(url)
    connection.execute(f"CREATE TABLE records ({', '.join(f'{name} text' for name in NAMES)})")
    connection.commit()

    def store(rows: Rows) -> None:
        with connection.cursor() as cursor, cursor.copy("COPY records FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        connection.commit()

    return store
