"""One box for everything: records, conflicts, runs, connections, fields and codes, by whatever a person has of them.

Every question goes through an index and is bounded, so that it may be asked at every keystroke. Only text inside of
values is looked for one by one, among a bounded number of records at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.reference_errors import meaning_of
from hub.app.titles import card, cards
from hub.app.why import find_entity
from hub.core.values import key_value
from hub.errors import NotFound
from hub.model import ConflictRow
from hub.store import Tx

FOUND = 25  # hits of one search
SPAN = 20_000  # records that one search looks through for text inside of values
SHORTEST = 2  # characters of a search; a number may be shorter
LONGEST = 100
FEW = 5  # of everything but records
KEY_KINDS = ("email", "phone", "host", "text")  # how what was typed may be written as a key
NUMBERED = re.compile(r"(run|conflict|)\s*#?\s*([0-9]{1,18})", re.IGNORECASE)
WAITS = "open"


def search(hub: Hub, text: str, *, before_id: int | None = None) -> Dict:
    """Everything that what was typed may mean, by kind.

    Args:
        before_id: look on for records with this text in their values (`next` of the page before), and for nothing else.

    Returns:
        As `records_like`, and {"conflicts", "runs", "connections", "fields", "codes"}: a few lines of each.
    """
    found = records_like(hub, text, before_id=before_id)
    said = found["query"]
    rest: Dict = {"conflicts": [], "runs": [], "connections": [], "fields": [], "codes": []}
    if said and before_id is None:
        with hub.store.reading() as tx:
            kind, number = _number(said)
            if number and not kind:
                named = cards(tx, [number]).values()
                found["rows"] = list({row["entity"]: row for row in (*named, *found["rows"])}.values())
            rest |= {
                "conflicts": _conflicts(hub, tx, said, [row["id"] for row in found["rows"]]),
                "runs": _runs(hub, tx, said), "fields": _fields(hub, tx, said), "codes": _codes(tx, said),
                "connections": _connections(hub, said),
            }  # fmt: skip
    return {**found, **rest}


# Records


def records_like(hub: Hub, text: str, *, before_id: int | None = None) -> Dict:
    """Records by a key that begins so (an e-mail address, a phone number, a domain), by the id that a system knows them
    by, else by any text in their values.

    What is inside of values is looked for among the newest records first, a bounded number of them at a time.

    Returns:
        {"query", "rows": cards, "next": where to look on, None when everything was looked through}
    """
    said = " ".join(text.split())[:LONGEST]
    if len(said) < SHORTEST and not said.isdecimal():
        return {"query": "", "rows": [], "next": None}
    with hub.store.reading() as tx:
        if len(said) < SHORTEST:
            return {"query": said, "rows": _cards(tx, _by_external_id(hub, tx, said)), "next": None}
        if before_id is None:
            by_name = _by_name(hub, tx, said) or _by_key(hub, tx, said)
            if by_name:
                return {"query": said, "rows": by_name, "next": tx.newest_entity() + 1}
            before_id = tx.newest_entity() + 1
        rows = tx.search_entities(said, before_id=before_id, span=SPAN, limit=FOUND)
    reached = rows[-1].id if len(rows) == FOUND else max(0, before_id - SPAN)
    return {"query": said, "rows": [card(row) for row in rows], "next": reached if reached > 1 else None}


def _by_name(hub: Hub, tx: Tx, said: str) -> list[Dict]:
    """`contact:42`."""
    try:
        root = find_entity(hub, tx, said) if ":" in said else 0
    except NotFound:
        return []
    return list(cards(tx, [root]).values()) if root else []


def _by_key(hub: Hub, tx: Tx, said: str) -> list[Dict]:
    starts = dict.fromkeys(filter(None, [said.lower(), *(key_value(kind, said) for kind in KEY_KINDS)]))
    ids = [
        *_by_external_id(hub, tx, said),
        *(entity for start in starts for _, _, entity in tx.keys_from(start, FOUND)),
    ]
    return _cards(tx, ids)


def _cards(tx: Tx, ids: Iterable[int]) -> list[Dict]:
    """Each once, in this order."""
    wanted = list(ids)
    known = cards(tx, wanted)
    return list({known[each]["entity"]: known[each] for each in wanted if each in known}.values())[:FOUND]


def _by_external_id(hub: Hub, tx: Tx, said: str) -> list[int]:
    """Whoever has this id in any system, the systems in the order of hub.yaml."""
    return [
        entity
        for name, connection in hub.connections.items()
        for entity in tx.entity_ids(name, [(stream, said) for stream in connection.mappings]).values()
    ]


# Everything else


def _number(said: str) -> tuple[str, int]:
    """`12`, `#12`, `run 12` -> what it is of, if that is said, and which; 0 for what is no number."""
    found = NUMBERED.fullmatch(said)
    return (found[1].lower(), int(found[2])) if found else ("", 0)


def _conflicts(hub: Hub, tx: Tx, said: str, records: Iterable[int]) -> list[Dict]:
    """The one of this number; those that wait at the records that were found; those that wait at a field so called."""
    kind, number = _number(said)
    rows: list[ConflictRow] = []
    if number and kind != "run":
        with suppress(NotFound):
            rows.append(tx.conflict(number))
    members = {each for group in tx.alias_closure(list(records)[:FEW]).values() for each in group}
    rows += [row for row in tx.conflicts_of(members) if row.state == WAITS][:FEW] if members else []
    field = _as_name(said)
    if any(field in entity.fields for entity in hub.canonical.entities.values()):
        rows += tx.inbox(waits=True, edge=0, limit=FEW, field=field)
    named = cards(tx, {row.entity_id for row in rows})
    lines = [
        {
            "conflict": row.id, "field": row.field, "state": row.state, "at": iso(row.at),
            "title": named[row.entity_id]["title"] if row.entity_id in named else "",
        }
        for row in {row.id: row for row in rows}.values()
    ]  # fmt: skip
    return lines[: 2 * FEW]


def _runs(hub: Hub, tx: Tx, said: str) -> list[Dict]:
    """The one of this number; the last ones of a connection of this name."""
    kind, number = _number(said)
    rows = tx.runs(limit=1, before_id=number + 1) if number and kind != "conflict" else []
    rows = [row for row in rows if row.id == number]
    if said.lower() in hub.connections:
        rows += tx.runs(limit=FEW, connection=said.lower())
    return [
        {"run": row.id, "connection": row.connection, "kind": row.kind, "status": row.status,
         "started_at": iso(row.started_at)}
        for row in rows
    ]  # fmt: skip


def _connections(hub: Hub, said: str) -> list[Dict]:
    wanted = said.lower()
    found = [
        {"connection": each.name, "title": each.connector.title}
        for each in hub.connections.values()
        if wanted in each.name or wanted in each.connector.title.lower()
    ]
    return found[:FEW]


def _fields(hub: Hub, tx: Tx, said: str) -> list[Dict]:
    """Canonical fields with this in their name, with how many conflicts of each wait."""
    wanted = _as_name(said)
    names = [
        (kind, name) for kind, entity in hub.canonical.entities.items() for name in entity.fields if wanted in name
    ][:FEW]
    if not names:
        return []
    waiting: dict[tuple[str, str], int] = {}
    for (kind, field, _), count in tx.count_waiting_conflicts().items():
        waiting[kind, field] = waiting.get((kind, field), 0) + count
    return [{"type": kind, "field": name, "waiting": waiting.get((kind, name), 0)} for kind, name in names]


def _as_name(said: str) -> str:
    """`Job title` -> job_title."""
    return said.lower().replace(" ", "_")


def _codes(tx: Tx, said: str) -> list[Dict]:
    """Codes that begin so and stand in the quarantine now; and one that is written out, whether or not."""
    wanted, counts = said.upper(), dict[str, int]()
    for (code, _), count in tx.count_codes().items():
        if code.upper().startswith(wanted):
            counts[code] = counts.get(code, 0) + count
    if meaning_of(wanted)[0]:
        counts.setdefault(wanted, 0)
    return [{"code": code, "text": meaning_of(code)[0], "count": counts[code]} for code in sorted(counts)][:FEW]
