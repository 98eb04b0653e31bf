"""Measured trust: how often each system's values were corrected, bounced or overruled, and the order that speaks for.

Nothing is decided here; how an order becomes a draft: hub.app.trust_drafts.

Invariant: the same store gives the same figures and the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hub.app.cases import Case, all_cases
from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.voices import source_name
from hub.core.canonical import CanonicalField
from hub.core.trust import BOUNCED, Trust, count_conflict, count_spans, reason, spans_of, suggested_order
from hub.errors import NotFound
from hub.model import WHOLE, ConflictKind, ConflictRow, HistoryRow

WEIGHED = (ConflictKind.CONCURRENT, ConflictKind.REFUSED, ConflictKind.FIRST_CONTACT)  # what says who was believed
COLUMNS = (
    "entity", "field", "system", "given", "corrected", "bounced", "weighed", "overruled", "by_person", "failed", "of",
    "low", "high", "suggests",
)  # fmt: skip
Key = tuple[str, str]  # entity type, field
Trusts = dict[Key, dict[str, Trust]]  # … -> connection -> trust
Look = Callable[[], None]
T = TypeVar("T", HistoryRow, ConflictRow)


def measure_trust(hub: Hub, *, look: Look = lambda: None) -> Trusts:
    """Over every entity, its history, its conflicts and the mail that bounced; by pages."""
    found: Trusts = defaultdict(lambda: defaultdict(Trust))
    bounces = _bounces(hub)
    for cases in all_cases(hub):
        look()
        home = {member: case.row.id for case in cases for member in case.members}
        with hub.store.reading() as tx:
            changes = _at_home(tx.history(home), home)
            conflicts = _at_home(tx.conflicts_of(home), home)
        for case in cases:
            mine = sorted(at for member in case.members for at in bounces.get(member, ()))
            for name, declared in case.entity.fields.items():
                if _is_weighed(declared):
                    weighed = [row for row in conflicts[case.row.id] if row.field == name and _says(row)]
                    _count(case, declared, changes[case.row.id], weighed, mine, found[case.row.type, name])
    return {key: dict(each) for key, each in found.items() if each}


def _is_weighed(declared: CanonicalField) -> bool:
    return not declared.derived and declared.kind not in ("set", "consent")


def _says(row: ConflictRow) -> bool:
    return row.state == "closed" and row.kind in WEIGHED and not any(each["part"] for each in row.candidates)


def _at_home(rows: Sequence[T], home: Mapping[int, int]) -> dict[int, list[T]]:
    found: dict[int, list[T]] = defaultdict(list)
    for row in rows:
        found[home[row.entity_id]].append(row)
    return found


def _bounces(hub: Hub) -> dict[int, list[float]]:
    """Person (as the event names them) -> moments at which mail to them came back."""
    found: dict[int, list[float]] = defaultdict(list)
    after_id = 0
    while True:
        with hub.store.reading() as tx:
            rows = tx.events_page(after_id, name=BOUNCED)
        for row in rows:
            if row.subject_id is not None and row.withdrawn_at is None:
                found[row.subject_id].append(row.at)
        if not rows:
            return found
        after_id = rows[-1].id or 0


def _count(
    case: Case, declared: CanonicalField, changes: Sequence[HistoryRow], conflicts: Sequence[ConflictRow],
    bounces: Sequence[float], into: Mapping[str, Trust],
) -> None:  # fmt: skip
    state = case.states.get(declared.name)
    if state is None and not changes:
        return
    links = {link.id: link.connection for link in case.links}
    claim = state.memory.get(WHOLE) if state is not None and state.ruling is None else None
    own = [(row.at, row.version, row.changes[declared.name]) for row in changes if declared.name in row.changes]
    stands = links.get(claim.link) if claim is not None else None
    spans = spans_of(own, stands, (row.version for row in conflicts))
    if declared.type == "email":
        for at in bounces:
            hit = next((each for each in spans if each.since <= at and (each.until is None or at < each.until)), None)
            if hit is not None:
                hit.bounced = True
    count_spans(spans, into)
    ruled = state.value if state is not None and state.ruling is not None else None
    for row in conflicts:
        count_conflict(row.candidates, row.winner, row.decided_by, into, ruled=ruled)


# Told

MEASURED = "trust"  # the setting that keeps what was measured last: {"at": seconds, "rows": of list_trust}


def kept_trust(hub: Hub) -> Dict:
    """What the last audit of the data measured: measuring looks at every entity, which nobody should wait for.

    Returns:
        {"measured": when, None if no audit was made yet, "rows": of `list_trust`}
    """
    with hub.store.reading() as tx:
        kept = tx.setting(MEASURED)
    return {"measured": iso(kept["at"]), "rows": kept["rows"]} if kept else {"measured": None, "rows": []}


def list_trust(hub: Hub, found: Trusts | None = None) -> list[Dict]:
    """A row per system and field, with the order that the figures of the field speak for."""
    found = measure_trust(hub) if found is None else found
    return [
        {
            "entity": kind, "field": name, "system": system, "given": each.given, "corrected": each.corrected,
            "bounced": each.bounced, "weighed": each.weighed, "overruled": each.lost, "by_rank": each.by_rank,
            "by_person": each.by_person, "failed": each.failed, "of": each.measured,
            "low": round(each.interval[0], 4) if each.interval else None,
            "high": round(each.interval[1], 4) if each.interval else None, "suggests": order,
        }
        for (kind, name), trusts in sorted(found.items())
        if (order := order_of(hub, kind, name, trusts)) is not None
        for system, each in sorted(trusts.items())
    ]  # fmt: skip


def order_of(hub: Hub, kind: str, name: str, trusts: Mapping[str, Trust]) -> list[str]:
    """The order of sources, as canonical.yaml names them, that a field's figures speak for; empty if for none."""
    now, ranked = _order_now(hub, kind, name, trusts)
    return suggested_order(now, _by_source(hub, trusts), ranked=ranked)


def _by_source(hub: Hub, trusts: Mapping[str, Trust]) -> dict[str, Trust]:
    """Connections of one connector, unless canonical.yaml names them itself, are one source."""
    found: dict[str, Trust] = defaultdict(Trust)
    for connection, each in trusts.items():
        found[source_name(hub, connection)].add(each)
    return dict(found)


def _order_now(hub: Hub, kind: str, name: str, trusts: Mapping[str, Trust]) -> tuple[list[str], bool]:
    """(the field's sources in the order that holds, whether they decide its value): of ties, if another rule does."""
    rule = hub.canonical.entities[kind].fields[name].survivorship
    spoke, ties = _by_source(hub, trusts), list(hub.canonical.sources)
    others = sorted(spoke, key=lambda each: (ties.index(each) if each in ties else len(ties), each))
    ranked = rule.rule == "source"
    return list(dict.fromkeys([*(rule.source if ranked else ()), *others])), ranked


def suggestion(hub: Hub, kind: str, name: str, *, rows: Sequence[Dict] | None = None) -> tuple[list[str], str]:
    """(the order that a field's figures speak for, empty if for none; the figures in words). Raises NotFound."""
    declared = hub.canonical.entities[kind].fields.get(name) if kind in hub.canonical.entities else None
    if declared is None or not _is_weighed(declared):
        raise NotFound(f"{kind}.{name} is no field with sources", where=f"{kind}.{name}", fix="such as contact.phone")
    if rows is None:
        trusts = measure_trust(hub).get((kind, name), {})
    else:
        trusts = {each["system"]: _trust_of(each) for each in rows if (each["entity"], each["field"]) == (kind, name)}
    order = order_of(hub, kind, name, trusts)
    return order, reason(order, _by_source(hub, trusts))


def _trust_of(row: Dict) -> Trust:
    return Trust(
        given=row["given"], corrected=row["corrected"], bounced=row["bounced"], weighed=row["weighed"],
        lost=row["overruled"], by_rank=row["by_rank"], by_person=row["by_person"],
    )  # fmt: skip
