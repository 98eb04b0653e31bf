"""Some of a plan: writes chosen by a filter or by their places, whole or cut down to some of their fields.

A write that is cut down is made again by the very steps that made it, for these fields alone, and undone: so its body
is what carrying out will compute, and a record that moved since the plan was made is left out instead of guessed at.
What is left out is proposed again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hub.app.context import Connection, Hub, connection_of
from hub.app.due import PAGE, due_write, looking
from hub.app.listings import Dict
from hub.app.plan_document import tally
from hub.app.plan_pages import Narrowed
from hub.app.planned import SYNC, PlannedWrite, sealed
from hub.app.push import Batch, plan_links
from hub.core.mapping import StreamMapping
from hub.core.plan import CASE
from hub.errors import Drifted, NeedsReview

UPDATE = "update"
Place = tuple[str, str, str]  # (connection, stream, external id) of an update


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which writes of a plan are wanted; all of them if nothing is said."""

    narrowed: Narrowed | None = None
    places: Collection[int] | None = None  # from 1, as the plan's pages count
    fields: Mapping[int, frozenset[str]] = field(default_factory=dict)  # place of an update -> these of its fields
    alone: bool = False  # of updates, only the field of the filter

    def of(self, document: Dict) -> Iterator[tuple[Dict, frozenset[str] | None]]:
        """(write, its fields that are wanted; None: all), in the plan's order."""
        wanted, named = self.narrowed or Narrowed(), self.places is not None or self.fields
        for place, write in enumerate(document["writes"], 1):
            if not wanted.takes(write):
                continue
            if self.alone and wanted.field is not None:
                if write["op"] == UPDATE:
                    yield write, frozenset((wanted.field,))
            elif not named or place in (self.places or ()):
                yield write, None
            elif place in self.fields:
                yield write, self.fields[place] if write["op"] == UPDATE else None


def part_of(hub: Hub, document: Dict, chosen: Chosen) -> Dict:
    """A plan of some of a plan's writes.

    Raises:
        NeedsReview: none were chosen (PLAN-NONE), or single fields of an undo, which is made of whole writes
            (PLAN-WHOLE). Drifted PLAN-VALUES: of those chosen none is any more what the plan says.
    """
    picked = [(write, _cut_to(write, names)) for write, names in chosen.of(document)]
    if not picked:
        raise NeedsReview("no write was chosen", code="PLAN-NONE", where="plan", fix="tick some, or approve all")
    cut = [(PlannedWrite.of(write), names) for write, names in picked if names is not None]
    if not cut and len(picked) == len(document["writes"]):
        return document
    if cut and document["kind"] != SYNC:
        raise NeedsReview(
            "an undo is made of whole writes", code="PLAN-WHOLE", where="plan", fix="tick the write, not its fields"
        )
    again = _made_again(hub, cut)
    writes = [write if names is None else again.get(_place(PlannedWrite.of(write))) for write, names in picked]
    kept = [each for each in writes if each is not None]
    if not kept:
        raise Drifted(
            "what would be written now is not what was planned", code="PLAN-VALUES", where="plan", fix="make it again"
        )
    return sealed({**document, "connections": _summed(hub, document, kept), "writes": kept})


def _cut_to(write: Dict, names: frozenset[str] | None) -> frozenset[str] | None:
    """The fields as the write has them; None if that is the whole of it."""
    if names is None:
        return None
    known = frozenset(name for name in write["values"] if name.removeprefix(CASE) in names)
    return None if len(known) == len(write["values"]) else known


def _summed(hub: Hub, document: Dict, writes: Sequence[Dict]) -> list[Dict]:
    planned = [PlannedWrite.of(each) for each in writes]
    summaries = []
    for row in document["connections"]:
        connection = connection_of(hub, row["connection"])
        own = [each for each in planned if each.connection == connection.name]
        streams = dict.fromkeys(each.stream for each in own)
        parts = [
            (connection.stream_of(connection.mappings[name]), [each for each in own if each.stream == name])
            for name in streams
        ]
        summaries.append({**row, **tally(connection, parts)})
    return summaries


# Cut down


def _made_again(hub: Hub, cut: Sequence[tuple[PlannedWrite, frozenset[str]]]) -> dict[Place, Dict]:
    """What is still what the plan says, with these fields alone; a page of records at a time."""
    streams: dict[tuple[str, str], list[tuple[PlannedWrite, frozenset[str]]]] = defaultdict(list)
    for write, names in cut:
        if names:
            streams[write.connection, write.stream].append((write, names))
    found: dict[Place, Dict] = {}
    for (name, stream), some in streams.items():
        connection = connection_of(hub, name)
        mapping = connection.mappings.get(stream)
        if mapping is None:
            continue
        for start in range(0, len(some), PAGE):
            page = {write.external_id or "": (write, names) for write, names in some[start : start + PAGE]}
            for now in _page_again(hub, connection, mapping, page):
                found[_place(now)] = now.document()
    return found


def _page_again(
    hub: Hub, connection: Connection, mapping: StreamMapping, page: Mapping[str, tuple[PlannedWrite, frozenset[str]]]
) -> list[PlannedWrite]:
    made: list[PlannedWrite] = []
    with looking(hub) as scene:
        links = scene.tx.links_by_keys(connection.name, mapping.name, page, raw=False)
        scene.load({link.entity_id for link in links.values()})
        batch = Batch(
            hub=hub, connection=connection, mapping=mapping, stream=connection.stream_of(mapping), run_id=None
        )  # fmt: skip
        only = {link.id: page[external_id][1] for external_id, link in links.items()}
        plan_links(batch, scene, list(only), only=only)
        made = [due_write(scene, mapping, scene.links[each.link_id], each) for each in batch.intents]
    return [now for now in made if _as_planned(*page[now.external_id or ""], now)]


def _as_planned(planned: PlannedWrite, names: frozenset[str], now: PlannedWrite) -> bool:
    """Whether all that is wanted is written, and nothing that the plan does not show."""
    shown = all(
        name in planned.values and planned.values[name] == value and planned.before.get(name) == now.before.get(name)
        for name, value in now.values.items()
    )
    return shown and now.op == UPDATE and now.version == planned.version and names <= now.values.keys()


def _place(write: PlannedWrite) -> Place:
    return write.connection, write.stream, write.external_id or ""
