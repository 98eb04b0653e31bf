"""Records as they are, or as they were known at an earlier moment, for figures: page by page, never one by one.

The past is rebuilt from what the store keeps of it: values from the history of changes, who was one person from the
merges and unmerges, what was still there from the tombstones. Erased records are gone from the past, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hub.app.context import Hub
from hub.app.past import taken_back
from hub.core.canonical import Canonical, EntityType
from hub.core.conditions import Condition, condition_of
from hub.core.expressions import entity_names
from hub.core.facts import Group
from hub.core.kpis import CHANGED, HAPPENED, KNOWN, Kpi, Sight
from hub.core.kpis_file import happenings
from hub.errors import NeedsReview
from hub.model import LONG_AGO, EntityRow, EventRow, HistoryRow, Json
from hub.store import Tx

PAGE = 500
LIVE, DELETED = "live", "deleted"
SOURCE = "source"  # segment: the connection that knew the record first
NONE: Mapping[str, float] = MappingProxyType({})
_COARSE = ("money", "decimal", "instant")  # types of too many values to tell segments apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """By what records are told apart."""

    field: str = ""  # canonical field; SOURCE; "" for all in one
    part: str = ""  # of a group
    via: str = ""  # ref field whose entity has the field; "": the record itself
    to: str = ""  # entity type that the field names; "": its value is a text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Happening:
    """A moment at which an event happened."""

    event: str  # as it is stored: deal.won
    ends: str  # of its key, where it happens once per value; "" for any
    dated: bool  # its own moment is declared
    condition: Condition

    def is_it(self, event: EventRow) -> bool:
        return event.name == self.event and event.key.endswith(self.ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What some figures of one entity type, who count by one reference, ask of every page."""

    hub: Hub
    entity: EntityType
    moments: tuple[str, ...]
    per: str
    segment: Segment
    as_of: float | None
    aliases: Mapping[int, int]  # as of then: alias -> the one it was merged into; empty for now
    events: Mapping[str, _Happening]  # by moment


def sights(hub: Hub, kpi: Kpi, *, segment: Segment | None = None, as_of: float | None = None) -> Iterator[Sight]:
    """Every record that a figure may look at, as it stands now or stood then."""
    for page in pages_of(look_for(hub, [kpi], segment=segment, as_of=as_of)):
        yield from page


def pages_of(look: Look) -> Iterator[list[Sight]]:
    """The same page by page."""
    after_id = 0
    while True:
        with look.hub.store.reading() as tx:
            rows = tx.entities_page(look.entity.name, after_id=after_id, limit=PAGE)
            found = sights_of(look, tx, rows)
        yield found
        if len(rows) < PAGE:
            return
        after_id = rows[-1].id


def look_for(
    hub: Hub, kpis: Sequence[Kpi], *, segment: Segment | None = None, as_of: float | None = None
) -> Look:  # fmt: skip
    """What figures of one entity type ask together; of those that count by a reference, all by the same."""
    moments = tuple(dict.fromkeys(moment for kpi in kpis for moment in kpi.moments))
    entity = kpis[0].entity
    return Look(
        hub=hub, entity=entity, moments=moments, per=next((kpi.per for kpi in kpis if kpi.per), ""),
        segment=segment or Segment(), as_of=as_of, aliases={} if as_of is None else _aliases(hub, as_of),
        events=_events(entity, moments, hub),
    )  # fmt: skip


def looks_for(hub: Hub, groups: Sequence[Group], *, as_of: float | None = None) -> list[tuple[Look, list[int]]]:
    """How records are looked at for many figures, once for as many as can be; and the places of their groups."""
    asked: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, group in enumerate(groups):
        asked[group.question.entity][group.question.per].append(place)
    return [
        (look_for(hub, [groups[place].first for place in places], as_of=as_of), places)
        for own in asked.values()
        for places in _together(own)
    ]


def _together(by_reference: Mapping[str, list[int]]) -> list[list[int]]:
    """Those that count by no reference look together with those that do."""
    plain = by_reference.get("", [])
    first, *rest = [own for per, own in by_reference.items() if per] or [[]]
    return [first + plain, *rest]


def segment_of(canonical: Canonical, kpi: Kpi, text: str) -> Segment:
    """What `--segment` names: a field, a part of one, REFERENCE.FIELD, or `source`. Raises NeedsReview KPI-SEGMENT."""
    if text in ("", SOURCE):
        return Segment(field=text)
    via, _, rest = text.partition(".")
    declared = kpi.entity.fields.get(via)
    if rest and declared is not None and declared.kind == "ref" and declared.to in canonical.entities:
        found = _field(canonical.entities[declared.to], rest, via)
    else:
        found = _field(kpi.entity, text, "")
    if found is None:
        raise NeedsReview(
            f"{text[:80]} tells no {kpi.entity.name}s apart", code="KPI-SEGMENT", where="--segment",
            fix=f"a field of {kpi.entity.name}, a field of what it refers to (contact.lead_source), or {SOURCE}",
        )  # fmt: skip
    return found


def _field(entity: EntityType, name: str, via: str) -> Segment | None:
    place = entity_names(entity).get(name)
    if place is None or place[2] in _COARSE:
        return None
    declared = entity.fields[place[0]]
    return Segment(field=place[0], part=place[1], via=via, to=declared.to if declared.kind == "ref" else "")


# A page


def sights_of(look: Look, tx: Tx, rows: Sequence[EntityRow]) -> list[Sight]:
    """These records, as they stand in this transaction; those that do not stand for themselves are left out."""
    there = _there(look, tx, rows)
    told = _history(look, tx, [row.id for row in there], whole=_needs_all_changes(look))
    values = {row.id: _values(look, row, told.get(row.id, ())) for row in there}
    moments = _moments(look, tx, there, values, told)
    people = _people(look, tx, (each.get(look.per) for each in values.values()))
    segments = _segments(look, tx, values)
    return [
        Sight(
            id=row.id, values=values[row.id], moments=moments.get(row.id, NONE),
            person=people.get(values[row.id].get(look.per) or 0), segment=segments.get(row.id, ""),
        )
        for row in there
    ]  # fmt: skip


def _there(look: Look, tx: Tx, rows: Sequence[EntityRow]) -> list[EntityRow]:
    """Those that stood for themselves at the moment."""
    as_of = look.as_of
    if as_of is None:
        return [row for row in rows if row.state == LIVE]
    known = [row for row in rows if row.created_at <= as_of and row.id not in look.aliases]
    gone = _gone_at(tx, [row.id for row in known if row.state == DELETED])
    return [
        row
        for row in known
        if row.state in (LIVE, "alias") or (row.state == DELETED and gone.get(row.id, 0.0) > as_of)
    ]  # fmt: skip


def _gone_at(tx: Tx, ids: Sequence[int]) -> dict[int, float]:
    """Entity -> when the last of its records was seen to be gone."""
    asked: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for link in tx.links_of(ids, raw=False) if ids else ():
        if link.external_id is not None:
            asked[link.connection, link.stream][link.external_id] = link.entity_id
    found: dict[int, float] = {}
    for (connection, stream), owners in asked.items():
        for external_id, row in tx.tombstones(connection, stream, owners).items():
            found[owners[external_id]] = max(row["at"], found.get(owners[external_id], 0.0))
    return found


def _aliases(hub: Hub, as_of: float) -> dict[int, int]:
    """Alias -> survivor of every merge that stood at the moment."""
    parted = {(row["evidence"] or {}).get("merge") for row in _rows(hub, "unmerge") if row["at"] <= as_of}
    return {
        row["other_id"]: row["entity_id"]
        for row in _rows(hub, "merge")
        if row["state"] in ("accepted", "undone") and row["at"] <= as_of and row["id"] not in parted
    }


def _rows(hub: Hub, kind: str) -> Iterator[Mapping[str, Json]]:
    after_id = 0
    while True:
        with hub.store.reading() as tx:
            page = tx.identities(kind=kind, limit=PAGE, after_id=after_id)
        yield from page
        if len(page) < PAGE:
            return
        after_id = page[-1]["id"]


# Values and moments


def _history(look: Look, tx: Tx, ids: Iterable[int], *, whole: bool = False) -> dict[int, list[HistoryRow]]:
    """Entity -> its changes since the moment that is asked about, or all of them."""
    found: dict[int, list[HistoryRow]] = defaultdict(list)
    wanted = list(ids) if whole or look.as_of is not None else []
    since = LONG_AGO if whole or look.as_of is None else look.as_of
    for row in tx.history(wanted, since=since) if wanted else ():
        found[row.entity_id].append(row)
    return found


def _needs_all_changes(look: Look) -> bool:
    """When a field last changed stands in the history; whether an event was known then, too."""
    asked = (CHANGED,) if look.as_of is None else (CHANGED, HAPPENED)
    return any(name.startswith(asked) for name in look.moments)


def _values(look: Look, row: EntityRow, changes: Iterable[HistoryRow]) -> dict[str, Json]:
    as_of = look.as_of
    return row.values if as_of is None else taken_back(row.values, [each for each in changes if each.at > as_of])


def _moments(
    look: Look,
    tx: Tx,
    rows: Sequence[EntityRow],
    values: Mapping[int, Mapping[str, Json]],
    told: Mapping[int, Sequence[HistoryRow]],
) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    known = [name for name in look.moments if name == KNOWN or name.startswith(CHANGED)]
    for row in rows if known or look.events else ():
        past = [each for each in told.get(row.id, ()) if look.as_of is None or each.at <= look.as_of]
        found[row.id] = {
            name: row.created_at if name == KNOWN else _last_change(past, name.removeprefix(CHANGED), row.created_at)
            for name in known
        }
    if not look.events or not rows:
        return found
    home = _members(look, tx, [row.id for row in rows])
    for event in tx.events(entity_ids=home):
        root = home.get(event.entity_id)
        if root is None or _is_unknown(look, event):
            continue
        for name, asked in look.events.items():
            if not asked.is_it(event) or (
                event.silent and not asked.dated
            ):  # when a first load's happened, nobody knows
                continue
            # What happened under an alias's name was known when it became one.
            if (
                event.noticed_at is not None
                or event.entity_id != root
                or look.as_of is None
                or _was_true(asked.condition, values[root], told.get(root, ()), look)
            ):
                found[root][name] = min(event.at, found[root].get(name, event.at))
    return found


def _is_unknown(look: Look, event: EventRow) -> bool:
    """It was taken back by the moment that is asked about, or noticed after it."""
    if look.as_of is None:
        return event.withdrawn_at is not None
    taken_back = event.withdrawn_at is not None and event.withdrawn_at <= look.as_of
    return taken_back or (event.noticed_at is not None and event.noticed_at > look.as_of)


def _members(look: Look, tx: Tx, roots: Sequence[int]) -> dict[int, int]:
    """Entity or alias of it -> the entity, by the merges of then."""
    if look.as_of is None:
        return {each: root for root, members in tx.alias_closure(roots).items() for each in members}
    wanted = set(roots)
    found = {root: root for root in roots}
    return found | {each: root for each in look.aliases if (root := _root(look, each)) in wanted}


def _last_change(past: Iterable[HistoryRow], field: str, otherwise: float) -> float:
    return max((each.at for each in past if field in each.changes), default=otherwise)


def _was_true(condition: Condition, values: Mapping[str, Json], changes: Sequence[HistoryRow], look: Look) -> bool:
    """Whether it held at the moment, or in any state before."""
    state: Mapping[str, Json] = values
    if condition(state):
        return True
    for change in sorted(changes, key=lambda each: each.version, reverse=True):
        if look.as_of is None or change.at <= look.as_of:
            state = taken_back(state, [change])
            if condition(state):
                return True
    return False


def _events(entity: EntityType, moments: Iterable[str], hub: Hub) -> dict[str, _Happening]:
    found, able = {}, happenings(entity)
    for moment in moments:
        if moment.startswith(HAPPENED):
            name, value = able[moment.removeprefix(HAPPENED)]
            declared = entity.events[name]
            found[moment] = _Happening(
                event=f"{entity.name}.{name}", ends=f":{value}" if value else "", dated=bool(declared.at),
                condition=condition_of(declared.when, entity, currency=hub.projects.kpis.currency),
            )  # fmt: skip
    return found


# People and segments


def _people(look: Look, tx: Tx, ids: Iterable[Json]) -> dict[int, int]:
    """Entity that a reference names -> the one that speaks for it after the merges of then."""
    asked = {each for each in ids if isinstance(each, int)}
    if look.as_of is None:
        return tx.roots(asked) if asked else {}
    return {each: _root(look, each) for each in asked}


def _root(look: Look, entity_id: int) -> int:
    while entity_id in look.aliases:
        entity_id = look.aliases[entity_id]
    return entity_id


def _segments(look: Look, tx: Tx, values: Mapping[int, Mapping[str, Json]]) -> dict[int, str]:
    segment = look.segment
    if not segment.field or not values:
        return {}
    if segment.field == SOURCE and not segment.via:
        found: dict[int, str] = {}
        for link in tx.links_of(values, raw=False):
            found.setdefault(link.entity_id, link.connection)
        return found
    holders: Mapping[int, Mapping[str, Json]] = values
    if segment.via:
        people = _people(look, tx, (each.get(segment.via) for each in values.values()))
        rows = tx.entities(set(people.values())) if people else {}
        told = _history(look, tx, rows)
        own = {id_: _values(look, row, told.get(id_, ())) for id_, row in rows.items()}
        holders = {id_: own.get(people.get(each.get(segment.via) or 0, 0), {}) for id_, each in values.items()}
    told_by = {id_: _part(each.get(segment.field), segment.part) for id_, each in holders.items()}
    if segment.to:
        roots = _people(look, tx, told_by.values())
        return {id_: f"{segment.to}:{roots[each]}" for id_, each in told_by.items() if each in roots}
    return {id_: str(each) for id_, each in told_by.items() if each is not None}


def _part(value: Json, part: str) -> Json:
    if not part:
        return value
    return value.get(part) if isinstance(value, Mapping) else None
