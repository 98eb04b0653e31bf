"""Quarantine and holds as people work through them: by what is wrong, with what to do, and what each click means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.app.context import Hub
from hub.app.listings import Dict, hold_row, quarantine_line
from hub.app.reference_errors import meaning_of
from hub.app.review import retry_all
from hub.app.syncing import MENDS_ITSELF
from hub.app.titles import cards
from hub.store import Tx

PAGE = 50
AT_ONCE = 200  # rows that one click tries again
SAMPLE = 20  # of what a hold keeps back

# Guard -> what it saw, what releasing does, what dropping does.
GUARDS: Mapping[str, tuple[str, str, str]] = {
    "deletes": (
        "Unusually many records are said to be deleted.",
        "The system is asked once more; what is still gone there is taken as gone.",
        "The records count as still there; nothing is passed on.",
    ),
    "blanks": (
        "Unusually many values became empty at once.",
        "The empty values are taken in, and passed on to the other systems.",
        "The values are put back where they were emptied.",
    ),
    "one_value": (
        "One value is taking over a whole field.",
        "The value is taken in everywhere it was set.",
        "The former values are put back where they were overwritten.",
    ),
    "consent_flips": (
        "Unusually many people's consent changed at once.",
        "The new consents are taken in, and passed on.",
        "The former consents are put back at the system.",
    ),
    "owner_changes": (
        "Unusually many records changed their owner at once.",
        "The new owners are taken in, and passed on.",
        "The former owners are put back at the system.",
    ),
    "creates": (
        "A run would create unusually many records.",
        "Exactly those that are held are created with the next run.",
        "They are never created; what is new later is not concerned.",
    ),
    "first_contact": (
        "On first contact a field differs in so many records that a mapping is probably wrong.",
        "The values are taken in and merged by the field's rule.",
        "The system's values are not taken; they are corrected there.",
    ),
    "rolled_back": (
        "Records are older at the system than they were before: it was put back to a backup.",
        "What stands there now is taken in as somebody's edit, and passed on.",
        "What the hub knows is written there again.",
    ),
    "rewards": (
        "Unusually many rewards within an hour.",
        "They go out with the next run.",
        "They are not given.",
    ),
}


def quarantine_groups(hub: Hub) -> Dict:
    """Open rows by code, those that ask for a person first; each with what the code means and what to do."""
    with hub.store.reading() as tx:
        counts = tx.count_codes()
        told = {code: _told(tx, code) for code in {code for code, _ in counts}}
    found: dict[str, Dict] = {}
    for (code, connection), number in counts.items():
        text, fix = told[code]
        group = found.setdefault(
            code,
            {"code": code, "text": text, "fix": fix, "count": 0, "connections": {}, "mends": code in MENDS_ITSELF},
        )
        group["count"] += number
        group["connections"][connection] = number
    groups = sorted(found.values(), key=lambda group: (group["mends"], -group["count"], group["code"]))
    return {"groups": groups, "asking": sum(group["count"] for group in groups if not group["mends"])}


def _told(tx: Tx, code: str) -> tuple[str, str]:
    """What a code means and what to do; what the catalogue leaves open, as of a system's own codes, a row tells."""
    text, fix = meaning_of(code)
    row = None if text and fix else next(iter(tx.quarantine(code=code, limit=1)), None)
    return (text, fix) if row is None else (text or row.message, fix or row.fix)


def quarantine_page(
    hub: Hub, code: str, *, connection: str | None = None, after_id: int = 0, limit: int = PAGE
) -> Dict:
    """Open rows of one code, oldest first, with whose they are."""
    with hub.store.reading() as tx:
        rows = tx.quarantine(code=code, connection=connection, after_id=after_id, limit=limit + 1)
        named = cards(tx, {row.entity_id for row in rows if row.entity_id is not None})
        text, fix = _told(tx, code)
    shown = rows[:limit]
    return {
        "code": code, "text": text, "fix": fix, "mends": code in MENDS_ITSELF, "connection": connection,
        "rows": [{**quarantine_line(row), "card": named.get(row.entity_id or 0)} for row in shown],
        "next": shown[-1].id if len(rows) > limit else None,
    }  # fmt: skip


def retry_code(hub: Hub, code: str, *, connection: str | None = None, by: str) -> Dict:
    """Try rows of one code again, a bounded number of them; gives how many were tried and how many went through."""
    with hub.store.reading() as tx:
        rows = [row.id or 0 for row in tx.quarantine(code=code, connection=connection, limit=AT_ONCE)]
    return retry_rows(hub, rows, by=by)


def retry_rows(hub: Hub, rows: Sequence[int], *, by: str) -> Dict:
    """The same for these rows."""
    return counted(retry_all(hub, rows, by=by)) if rows else {"tried": 0, "mended": 0}


def counted(tried: list[Dict]) -> Dict:
    return {"tried": len(tried), "mended": sum(each["state"] != "open" for each in tried)}


# Holds


def holds_open(hub: Hub) -> list[Dict]:
    """Every open hold, with what it saw and what each decision would do."""
    with hub.store.reading() as tx:
        return [_meant(hold_row(row)) for row in tx.open_holds()]


def _meant(row: Dict) -> Dict:
    saw, release, drop = GUARDS.get(row["guard"], ("", "", ""))
    return {**row, "saw": saw, "release": release, "drop": drop}


def hold_case(hub: Hub, hold_id: int) -> Dict:
    """One hold with some of what it keeps back. Raises NotFound."""
    with hub.store.reading() as tx:
        row = tx.hold(hold_id)
        if row.guard == "creates":
            links = tx.links_with_hold(hold_id, limit=SAMPLE, raw=False)
            kept = [(link.entity_id, "", link) for link in links]
        else:
            items = tx.hold_items(hold_id, limit=SAMPLE)
            by_id = tx.links_by_ids([link for link, _ in items], raw=False)
            kept = [(by_id[link].entity_id, field, by_id[link]) for link, field in items if link in by_id]
        named = cards(tx, {entity for entity, _, _ in kept})
    sample = [
        {"card": named[entity], "field": field, "external_id": link.external_id}
        for entity, field, link in kept
        if entity in named
    ]
    return {**_meant(hold_row(row)), "sample": sample}


def decided_holds(hub: Hub, *, limit: int = 30) -> list[Dict]:
    """Holds that were decided, newest first."""
    with hub.store.reading() as tx:
        rows = [row for row in tx.holds(limit=1000) if row.state != "open"]
    return [_meant(hold_row(row)) for row in rows[::-1][:limit]]
