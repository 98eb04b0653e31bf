"""Entities with everything that speaks of them, loaded page-wise for whoever only looks: why, replay, explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hub.app.context import Hub
from hub.app.voices import voice_of
from hub.core.canonical import EntityType
from hub.core.explain import Recomputed, recompute
from hub.core.merge import Voice
from hub.core.shadow import unpack_fields, unpack_shadow
from hub.model import Cell, EntityRow, FieldState, HistoryRow, LinkRow, RulingRow
from hub.store import Tx

PAGE = 500


@dataclass(slots=True, kw_only=True)
class Case:
    """One entity with everything that speaks of it."""

    hub: Hub
    row: EntityRow
    entity: EntityType
    members: list[int]  # itself and its aliases
    links: list[LinkRow]
    states: Mapping[str, FieldState]
    cells: Mapping[int, Mapping[str, Cell]]  # link id -> field -> cell
    rulings: Mapping[str, RulingRow]
    history: list[HistoryRow] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.row.type}:{self.row.id}"

    def voices(self) -> dict[int, Voice]:
        return {link.id: voice_of(self.hub, link) for link in self.links}

    def cells_of(self, name: str) -> dict[int, Cell]:
        """Link id -> cell of one field."""
        return {link_id: cells[name] for link_id, cells in self.cells.items() if name in cells}

    def recomputed(self, name: str) -> Recomputed:
        """One field, decided again from its evidence."""
        state = self.states.get(name, FieldState())
        return recompute(
            self.entity.fields[name], self.cells_of(name), state, self.voices(), self.rulings.get(name)
        )  # fmt: skip


def load_cases(hub: Hub, tx: Tx, roots: Iterable[int], *, raw: bool = False) -> list[Case]:
    """Root entities of declared types, in the order of ids; a handful of queries however many they are."""
    rows = tx.entities(roots)
    closures = tx.alias_closure(rows)
    home = {member: root for root, group in closures.items() for member in group}
    links: dict[int, list[LinkRow]] = {root: [] for root in rows}
    for link in tx.links_of(home, raw=raw):
        links[home[link.entity_id]].append(link)
    rulings: dict[int, dict[str, RulingRow]] = {root: {} for root in rows}
    for member, found in tx.rulings(home).items():
        ours = rulings[home[member]]
        for name, ruling in found.items():
            if name not in ours or ruling.version > ours[name].version:
                ours[name] = ruling
    return [
        Case(
            hub=hub, row=row, entity=hub.canonical.entities[row.type], members=closures[root], links=links[root],
            states=unpack_fields(row.fields, row.values), rulings=rulings[root],
            cells={link.id: unpack_shadow(link.shadow) for link in links[root]},
        )
        for root, row in sorted(rows.items())
        if row.type in hub.canonical.entities
    ]  # fmt: skip


def all_cases(hub: Hub, *, raw: bool = False) -> Iterator[list[Case]]:
    """Every root entity, page by page; each page is read in a transaction of its own."""
    after_id: int | None = 0
    while after_id is not None:
        with hub.store.reading() as tx:
            rows = tx.entities_page(after_id=after_id, limit=PAGE)
            cases = load_cases(hub, tx, [row.id for row in rows if row.alias_of is None], raw=raw)
        after_id = rows[-1].id if len(rows) == PAGE else None
        yield cases
