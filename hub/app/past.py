"""What was: every change of an entity, and its values as they stood at a moment.

History keeps changes, old and new (hub.model.HistoryRow); a first-loaded value has no row, since it is its own history.
So the past is rebuilt backwards: from the values of today, each later change is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from hub.app.cases import Case, load_cases
from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.why import find_entity
from hub.core.shadow import is_empty
from hub.errors import NeedsReview, NotFound
from hub.model import EntityRow, HistoryRow, Json
from hub.store import Tx

PAGE = 50
DAY_S = 86_400.0
TRIAL_DAYS_MOST = 3660
GRAIN_S = 0.001
FIRST = "first read"  # rule of the rows that tell an entity's first values
COLUMNS = ["at", "field", "old", "new", "connection", "external_id", "rule", "run", "actor", "version"]


def parse_moment(text: str) -> float:
    """Epoch seconds of an ISO 8601 moment, or of a day (its first instant, UTC). Raises NeedsReview WHY-TIME.

    It is the end of the millisecond that is named, since moments are shown without what is smaller.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise NeedsReview(
            f"{text} is no moment", code="WHY-TIME", where="--as-of", fix="such as 2026-11-02 or 2026-11-02T08:10:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() + GRAIN_S


def begin_of_trial(now: float, *, days: int = 0, since: float | None = None) -> float:
    """Where a trial on the past begins: so many days back, or at a moment. Raises NeedsReview: out of range."""
    begin = since if since is not None else now - days * DAY_S
    if not 0 < now - begin <= TRIAL_DAYS_MOST * DAY_S:
        where = "days" if since is None else "since"
        raise NeedsReview("that is no time to try a rule on", where=where, fix=f"1 to {TRIAL_DAYS_MOST} days back")
    return begin


# Changes


def history(hub: Hub, target: str, *, field: str | None = None, limit: int = PAGE, before: int | None = None) -> Dict:
    """Every change of an entity and its aliases, newest first, a page of them.

    Args:
        field: only of this canonical field.
        limit: how many transactions a page holds.
        before: the `next` of the page before.

    Returns:
        {"entity", "changes": one row per changed field, "next": where the next page goes on, None at the end}. The last
        page ends with the values that the entity was made with.

    Raises:
        NotFound: no such entity or field.
    """
    with hub.store.reading() as tx:
        (case,) = load_cases(hub, tx, [find_entity(hub, tx, target)])
        declared = case.entity.field_of(field) if field else None
        if field and declared is None:
            raise NotFound(f"{case.entity.name} has no field {field}", where=target, fix="hub why shows them all")
        name = declared.name if declared else None
        found = tx.history(case.members, field=name, limit=limit + 1, before=before)
        later = tx.history([case.row.id], since=0.0)
    more, page = _cut(found, limit)
    rows = [row for each in reversed(page) for row in _changes(case, each, name)]
    if not more:
        rows += _first(case, later, name)
    return {"entity": case.name, "changes": rows, "next": page[0].version if more else None}


def _cut(found: list[HistoryRow], limit: int) -> tuple[bool, list[HistoryRow]]:
    """Whether there is more, and the newest `limit` versions' rows."""
    versions = sorted({row.version for row in found})
    kept = set(versions[-limit:])
    return len(versions) > limit, [row for row in found if row.version in kept]


def _changes(case: Case, row: HistoryRow, name: str | None) -> list[Dict]:
    homes = {link.id: link for link in case.links}
    rows = []
    for field, change in sorted(row.changes.items()):
        if name not in (None, field):
            continue
        home = homes.get(change.get("link") or 0)
        after, before = change.get("window") or (None, None)
        rows.append(
            {
                "at": iso(row.at), "field": field, "old": change.get("old"), "new": change.get("new"),
                "connection": change.get("connection"), "external_id": home.external_id if home else None,
                "rule": change.get("rule"), "after": iso(after), "before": iso(before), "run": row.run_id,
                "actor": row.actor, "version": row.version, "mapping_version": row.mapping_version,
            }
        )  # fmt: skip
    return rows


def _first(case: Case, changes: Iterable[HistoryRow], name: str | None) -> list[Dict]:
    """The values that the entity was made with."""
    values = taken_back(case.row.values, changes)
    return [
        {
            "at": iso(case.row.created_at), "field": field, "old": None, "new": value, "connection": None,
            "external_id": None, "rule": FIRST, "after": None, "before": None, "run": None, "actor": "sync",
            "version": None, "mapping_version": None,
        }
        for field, value in sorted(values.items())
        if name in (None, field) and not is_empty(value)
    ]  # fmt: skip


def taken_back(values: Mapping[str, Json], changes: Iterable[HistoryRow]) -> dict[str, Json]:
    """Values before these changes (oldest first)."""
    found = dict(values)
    for row in sorted(changes, key=lambda row: row.version, reverse=True):
        for field, change in row.changes.items():
            found[field] = change.get("old")
    return found


# As of


def show(hub: Hub, target: str, *, as_of: float | None = None) -> Dict:
    """An entity's values, now or as they stood at a moment (epoch seconds), and its records.

    An entity that was merged away since is shown as it was then, under its own number.

    Raises:
        NotFound: no such entity, or it was not known at that moment.
    """
    with hub.store.reading() as tx:
        row = _row_at(hub, tx, target, as_of)
        changes = tx.history([row.id], since=as_of or 0.0) if as_of is not None else []
        links = tx.links_of(tx.alias_closure([row.id])[row.id], raw=False)
    values = taken_back(row.values, [change for change in changes if as_of is not None and change.at > as_of])
    found: Dict = {
        "entity": f"{row.type}:{row.id}", "as_of": iso(as_of), "created_at": iso(row.created_at),
        "fields": [{"field": name, "value": value} for name, value in values.items() if not is_empty(value)],
    }  # fmt: skip
    if as_of is None:
        found["state"] = row.state
        found["records"] = [
            {
                "connection": link.connection, "stream": link.stream, "external_id": link.external_id,
                "state": str(link.state), "read_at": iso(link.read_at), "leaving": link.leaving,
            }
            for link in links
        ]  # fmt: skip
    return found


def _row_at(hub: Hub, tx: Tx, target: str, as_of: float | None) -> EntityRow:
    """The entity that is meant: today's root, or the one named if it was no alias yet at that moment."""
    root = find_entity(hub, tx, target)
    wanted, number = root, target.partition(":")[2]
    if as_of is not None and number.isdigit() and int(number) != root:
        rows = tx.identities_of([int(number)], kind="merge")
        merges = [row for row in rows if row["other_id"] == int(number) and row["state"] == "accepted"]
        if not merges or merges[-1]["at"] > as_of:
            wanted = int(number)
    row = tx.entities([wanted])[wanted]
    if as_of is not None and row.created_at > as_of:
        raise NotFound(f"{target} was not known then", where=target, fix=f"it is known since {iso(row.created_at)}")
    return row
