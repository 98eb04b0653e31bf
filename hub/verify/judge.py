"""The verdict over a rehearsal: every record of every simulated vendor against the hub's entities, field by field.

It does not ask the hub whether it is done. It reads each record from the vendor once more through the connector,
translates it, and holds it against the entity; what differs must be the vendor's own form of the value, or listed for
a person with a reason. A difference that is neither makes the verdict fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.app.context import Connection, Hub
from hub.connector import Stream
from hub.core.mapping import StreamMapping, external_id_of, held_form, to_canonical
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.model import EntityRow, Json, LinkRow, LinkState, Reference, SourceRecord

FETCH = 100
Place = tuple[str, str, str, str]  # connection, stream, record, field; record "" the whole stream, field "" the record
MANY = 1_000_000


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What the comparison found."""

    records: int = 0  # vendor records compared
    fields: int = 0  # values compared
    listed: int = 0  # differences that are listed with a reason
    differences: list[str] = field(default_factory=list)  # neither equal nor listed
    unknown: list[str] = field(default_factory=list)  # vendor records that the hub has not

    @property
    def converged(self) -> bool:
        return not self.differences and not self.unknown


def compare(hub: Hub, present: Mapping[tuple[str, str], Sequence[str]]) -> Verdict:
    """Hold every vendor record against its entity.

    Args:
        present: (connection, stream) -> ids of the records that are alive at the vendor, told by the vendor itself.
    """
    verdict = Verdict()
    listed = _listed(hub)
    for connection in hub.connections.values():
        for mapping in connection.mappings.values():
            ids = present.get((connection.name, mapping.source))
            if ids is not None and not connection.stream_of(mapping).acts:
                _compare_stream(hub, connection, mapping, list(ids), listed, verdict)
    return verdict


def _listed(hub: Hub) -> set[Place]:
    """Everything that waits for a person, by the name of the record: its link, its external id, or its entity."""
    with hub.store.reading() as tx:
        rows = tx.quarantine(state="open", limit=MANY)
        held = {(hold.connection, hold.stream, "", hold.field) for hold in tx.open_holds()}
        waiting = {("", "", str(c.entity_id), c.field) for c in tx.conflicts(state="open", limit=MANY)}
    found = held | waiting
    for row in rows:
        name = _canonical(hub, row.connection, row.stream, row.field)
        found.add((row.connection, row.stream, row.external_id, name))
        if row.link_id is not None:
            found.add((row.connection, row.stream, f"#{row.link_id}", name))
    return found


def _canonical(hub: Hub, connection: str, stream: str, name: str) -> str:
    """A group's field for the part that a row names."""
    mapping = hub.mapping_of(connection, stream)
    declared = mapping.entity_type.field_of(name) if mapping is not None and name else None
    return declared.name if declared is not None else name


def _compare_stream(
    hub: Hub,
    connection: Connection,
    mapping: StreamMapping,
    ids: list[str],
    listed: set[Place],
    verdict: Verdict,
) -> None:
    stream = connection.stream_of(mapping)
    for start in range(0, len(ids), FETCH):
        records = _read(connection, stream, ids[start : start + FETCH])
        with hub.store.reading() as tx:
            keys = [external_id_of(mapping, record) or "" for record in records]
            links = tx.links_by_keys(connection.name, mapping.name, [key for key in keys if key])
            roots = tx.roots({link.entity_id for link in links.values()})
            entities = tx.entities(set(roots.values()))
            mapped = {key: to_canonical(mapping, record) for key, record in zip(keys, records, strict=True)}
            asked = {ref for each in mapped.values() for ref in each.references.values() if ref is not None}
            parents = tx.entity_ids(connection.name, asked) if asked else {}
            names = tx.roots([*parents.values(), *_named(mapping, entities.values())])
        for key, record in zip(keys, records, strict=True):
            link = links.get(key)
            if link is None or link.state == LinkState.GONE:
                if (connection.name, mapping.name, key, "") not in listed and mapping.name == mapping.source:
                    verdict.unknown.append(f"{connection.name}/{mapping.name}/{record.external_id}")
                continue
            verdict.records += 1
            shown = {**mapped[key].values, **_references(mapped[key].references, parents)}
            entity = entities[roots[link.entity_id]]
            _compare_record(connection, mapping, link, entity, shown, names, listed, verdict)


def _named(mapping: StreamMapping, entities: Iterable[EntityRow]) -> list[int]:
    """Every entity that references name."""
    values = (entity.values.get(name) for entity in entities for name in mapping.references)
    return [each for each in values if each is not None]


def _read(connection: Connection, stream: Stream, ids: list[str]) -> list[SourceRecord]:
    fetch = connection.connector.fetch
    if fetch is None:
        return []
    return [record for record in fetch(connection.api, stream.name, ids) if record.op in ("upsert", "restore")]


def _references(references: Mapping[str, Reference | None], parents: Mapping[tuple[str, str], int]) -> dict[str, Json]:
    return {name: None if ref is None else parents.get(ref) for name, ref in references.items()}


def _compare_record(
    connection: Connection,
    mapping: StreamMapping,
    link: LinkRow,
    entity: EntityRow,
    shown: Mapping[str, Json],
    names: Mapping[int, int],
    listed: set[Place],
    verdict: Verdict,
) -> None:
    """A duplicate is heard and not written; whatever else is linked must agree in every field that may be written."""
    if link.state != LinkState.LIVE:
        verdict.listed += 1
        return
    for name in sorted(mapping.out_fields & mapping.in_fields):
        declared, value = mapping.entity_type.fields[name], entity.values.get(name)
        verdict.fields += 1
        there = shown.get(name)
        if declared.kind == "ref" and there is not None and names.get(there) == names.get(value or 0):
            continue  # one person, under two names
        if is_empty(value) or same(declared, there, value) or same(declared, there, held_form(mapping, name, value)):
            continue
        here = (connection.name, mapping.name)
        records = (link.external_id or "", f"#{link.id}", "")
        reasons = {(*here, record, each) for record in records for each in (name, "")}
        if (reasons | {("", "", str(entity.id), name)}) & listed:
            verdict.listed += 1
            continue
        verdict.differences.append(
            f"{connection.name}/{mapping.name}/{link.external_id}.{name}: {there!r}, "
            f"{entity.type}:{entity.id} has {value!r}"
        )
