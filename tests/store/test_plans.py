"""No question that a page or a cycle asks reads a whole table: every plan goes through an index.

A forgotten index is not seen in tests with ten rows; the database's own plan shows it at once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from hub.store import (
    Store,
    blocking,
    entities,
    figures,
    firings,
    identities,
    inbox,
    intents,
    ledger,
    links,
    notes,
    people,
    plans,
    reading,
    reviews,
    runs,
    segments,
    waiting,
)
from hub.store.statements import Statement
from tests.store.conftest import AddRecords

# Lists of everything, by the order of ids or grouped: asked by people, not by pages.
WHOLE = {
    "entities.PAGES", "entities.COUNT", "entities.NEWEST", "links.COUNT_BEHIND",
    "links.PAGE", "intents.OPEN_ONES", "reading.PRUNE",
    "reviews.COUNTS", "reviews.COUNT_OPEN", "identities.COUNTS", "waiting.QUARANTINE_COUNTS", "ledger.BUDGETS",
    "runs.RUNS", "runs.SLOTS",
    "runs.INTERRUPT", "inbox.CODES", "inbox.WAITING_BY", "people.TOKENS", "people.DRAFTS", "people.DROP_LINKS",
    "segments.COUNTS", "people.OLD_SESSIONS", "people.OLD_LINKS", "people.OLD_FAILURES", "firings.TALLY",
    "firings.NEWEST_OF", "ledger.GRANT_TALLY", "notes.NOTES",
}  # fmt: skip

LISTS = {
    "ids": [1], "subjects": [1], "external_ids": ["x"], "markers": ["x"], "values": ["x"], "states": ["live"],
    "streams": ["x"], "names": ["x"], "hashes": ["x"], "keys": ["x"], "reasons": ["x"], "targets": ["x"],
    "cells": ["x.y"], "orders": ["x"], "people": [1], "spans": ["x"],
}  # fmt: skip
NUMBERS = (
    "id",
    "limit",
    "hold",
    "run",
    "grant",
    "amount",
    "cap",
    "now",
    "at",
    "until",
    "before",
    "since",
    "epoch",
    "link",
    "after",
)
ROOMS = (
    blocking,
    entities,
    figures,
    firings,
    identities,
    inbox,
    intents,
    ledger,
    links,
    notes,
    people,
    plans,
    reading,
    reviews,
    runs,
    segments,
    waiting,
)


def statements() -> Iterator[tuple[str, Statement]]:
    for room in ROOMS:
        for name, found in vars(room).items():
            several = found.values() if isinstance(found, dict) else [found]
            for each in several:
                if isinstance(each, Statement):
                    yield f"{room.__name__.rsplit('.', 1)[-1]}.{name}", each


def sample(name: str) -> Any:
    """A value of the kind that a parameter of this name takes."""
    if name in LISTS:
        return LISTS[name]
    words = name.removeprefix("new_").split("_")
    if name in ("new_value", "new_order_id", "external_id", "new_external_id"):
        return "1"
    return 1 if words[-1] in NUMBERS or words[-1] in ("minor", "stamp", "attempts", "of", "count", "ceiling") else "1"


def plan(store: Store, statement: Statement, *, after: str = "") -> str:
    """How the database would carry a statement out, whole tables avoided where it can; `after` another one."""
    database = store._database
    compiled = statement.on(database.dialect)
    values = [compiled.constants.get(name, sample(name)) for name in compiled.names]
    given = [database.listed(value) if isinstance(value, list) else value for value in values]
    how = "EXPLAIN QUERY PLAN" if database.dialect.name == "sqlite" else "EXPLAIN"
    with database.transaction(writes=True, relaxed=False) as cursor:
        if how == "EXPLAIN":
            cursor.execute("SET LOCAL enable_seqscan = off")
        if after:
            cursor.execute(after)
        return "\n".join(str(row[-1]) for row in cursor.execute(f"{how} {compiled.sql}", given).fetchall())


def reads_a_whole_table(told: str) -> bool:
    """A walk over the rows themselves. One over a list that was given, or within an index over some rows, is none."""
    scans = [line for line in told.splitlines() if line.startswith("SCAN ") or "Seq Scan" in line]
    return any("VIRTUAL TABLE" not in line and "COVERING INDEX" not in line for line in scans)


def asked() -> dict[str, Statement]:
    spared = ("ADD", "START", "OPEN_BUDGET")  # they put rows in
    named = {f"{name}-{n}": each for n, (name, each) in enumerate(statements()) if name not in WHOLE}
    return {name: each for name, each in named.items() if not name.split(".")[1].startswith(spared)}


def test_every_question_goes_through_an_index(store: Store) -> None:
    told = {name: plan(store, statement) for name, statement in asked().items()}
    assert len(told) > 60
    assert {name: each for name, each in told.items() if reads_a_whole_table(each)} == {}


def test_what_walks_through_a_stream_sorts_nothing(store: Store, add_links: AddRecords) -> None:
    with store.transaction() as tx:  # PostgreSQL's plan depends on how many there are, and on what it knows of them
        for stream in ("contacts", "1"):
            add_links(tx, 1000, "crm", stream)
        add_links(tx, 500, "1", "1")
    for walk in (links.NAMED_PAGE, links.NAMELESS_PAGE, links.HEADS_PAGE, links.UNSEEN):
        told = plan(store, walk, after="ANALYZE link")
        assert "uq_link_record" in told or "sqlite_autoindex_link_1 (connection=? AND stream=? AND" in told, told
        assert "ORDER BY" not in told, told  # SQLite: USE TEMP B-TREE FOR ORDER BY
    if store._database.dialect.name == "sqlite":
        assert "ORDER BY" in plan(store, links.PAGE[True])


def test_the_test_sees_a_whole_table_being_read(store: Store) -> None:
    from sqlalchemy import bindparam, select

    from hub.store.statements import table

    link = table("link")
    no_index = Statement(lambda d: select(link.c.id).where(link.c.hash == bindparam("hash")))
    assert reads_a_whole_table(plan(store, no_index))


def test_every_list_of_exceptions_is_still_there() -> None:
    assert {name for name, _ in statements()} >= WHOLE


def test_a_store_loads_neither_migrations_nor_the_other_databases_driver() -> None:
    asks = (
        "import sys, hub.store; hub.store.Store('sqlite://').close(); "
        "print('alembic' in sys.modules, 'psycopg' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True).stdout
    assert told == "False False\n"
