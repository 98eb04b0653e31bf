"""First contacts of one transaction: what each comes to, told while its record is at hand.

At the end of a page its records are cold: a page is more than a processor's cache holds. So what a record that was
never read comes to, if nothing else happens to its entity, is worked out when it is taken in. Whether anything else
happened is for the scene to say (`Scene.decide`), and if it did, what was foreseen is thrown away.
"""

from __future__ import annotations

from collections.abc import ItemsView, Sequence
from typing import Any

from hub.app.context import Hub
from hub.app.voices import standing_of
from hub.core.first import Standing, groups_of, undecided, values_alone
from hub.model import EntityRow, LinkRow

# (values, fields) of a new entity; or the fields that must be decided, and those in which its claim takes over
Foreseen = tuple[Any, Any] | None
Contact = tuple[LinkRow, list[str], Foreseen]  # link, fields that it claims


class FirstContacts:
    """Root -> the links of it that were read for the first time."""

    __slots__ = ("_found", "_groups", "_hub", "_standings")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._found: dict[int, list[Contact]] = {}
        self._standings: dict[tuple[str, str, str, bool], Standing] = {}
        self._groups: dict[str, dict[str, list[str]]] = {}  # entity type -> its groups and their parts

    def add(self, row: EntityRow, here: Sequence[LinkRow], link: LinkRow, filled: list[str], *, new: bool) -> None:
        """A link of `here`, the entity's, was read, and claims the fields `filled`; `new`: so is the entity."""
        if row.id in self._found:  # nothing is foreseen for several
            self._found[row.id].append((link, filled, None))
            return
        foreseen: Foreseen = None
        if new and filled:
            if row.type not in self._groups:
                self._groups[row.type] = groups_of(self._hub.canonical.entities[row.type].fields)
            foreseen = values_alone(self._groups[row.type], link.shadow["held"], filled, link.shadow["own"])
        elif not new and len(here) == 2:
            old = here[0] if here[1] is link else here[1]
            foreseen = undecided(
                row.fields, row.values, old.shadow, link.shadow, filled, self._standing(row, old, link)
            )
        self._found[row.id] = [(link, filled, foreseen)]

    def _standing(self, row: EntityRow, old: LinkRow, link: LinkRow) -> Standing:
        pair = (row.type, old.connection, link.connection, old.id < link.id)
        found = self._standings.get(pair)
        if found is None:
            entity = self._hub.canonical.entities[row.type]
            found = self._standings[pair] = standing_of(self._hub, entity, old, link)
        return found

    def items(self) -> ItemsView[int, list[Contact]]:
        return self._found.items()

    def clear(self) -> None:
        self._found.clear()
