"""Systems in which records are archived, deleted, restored and listed, beside what the simulated vendor can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hub.connector import Connector, Page
from hub.model import ChangeSet, Json, PushResult, SourceRecord
from hub.verify.vendor import STREAM, SimVendor
from tests.app_world import World, mapping_of


class Remover(SimVendor):
    """A vendor that can archive and delete, and tells restores; deletes look alike to who asks for the record."""

    removed: list[tuple[str, str]]
    can: frozenset[str] = frozenset({"create", "update", "archive", "delete"})
    lists_all = False

    def connector(self) -> Connector:
        plain = super().connector()
        shows = "listing" if self.lists_all else "tombstone"
        stream = replace(plain.streams[0], writes=self.can, deletes=shows, page_size=100)
        return replace(plain, streams=(stream,))

    def pull(self, cursor: Json) -> Page:
        if not self.lists_all:
            return super().pull(cursor)
        self._call()
        records = [self._record(each, self.current(each)) for each in self.alive()]
        return Page(records=records, next_cursor={"n": 1}, complete=True, listing_complete=True, read_at=self.now())

    def user_restore(self, external_id: str) -> None:
        before = [version for version in self.records[external_id] if version.fields is not None]
        self._append(external_id, "user", before[-1].fields)

    def _apply(self, index: int, change: ChangeSet, shown: Any) -> PushResult:
        if change.op not in ("archive", "delete"):
            return super()._apply(index, change, shown)
        assert change.external_id is not None
        if self.current(change.external_id).fields is None:
            return PushResult(index=index, outcome="not_found")
        self._append(change.external_id, "hub", None)
        self.writes += 1
        self.removed.append((change.op, change.external_id))
        held = SourceRecord(external_id=change.external_id, data={}, op="delete")
        return PushResult(index=index, outcome="applied", external_id=change.external_id, held=held)


def with_deletes(
    make: Any, rules: Mapping[str, tuple[str, str]], *, can: Mapping[str, Sequence[str]] | None = None, **more: Any
) -> World:
    """A world whose mappings say what deletes do: system -> (in, out)."""
    world: World = make(names="".join(rules), **more)
    for name, (inward, outward) in rules.items():
        plain = world.vendors[name]
        remover = Remover(
            name=name, traits=plain.traits, clock=plain.clock, rng=plain.rng, seam=plain.seam,
            check_intent=plain.check_intent, depth=plain.depth,
        )  # fmt: skip
        remover.faulty, remover.removed = False, []
        if can and name in can:
            remover.can = frozenset(can[name])
        world.vendors[name] = remover
        mode = world.hub.connections[name].mode
        world.connect(name, remover.connector(), mode=mode)
        mapping = replace(mapping_of(name, world.hub.canonical), deletes_in=inward, deletes_out=outward)
        world.change(name, mappings={STREAM: mapping})
    return world


def removed(world: World, name: str) -> list[tuple[str, str]]:
    vendor = world.vendors[name]
    assert isinstance(vendor, Remover)
    return vendor.removed


def restore(world: World, name: str, external_id: str) -> None:
    vendor = world.vendors[name]
    assert isinstance(vendor, Remover)
    world.clock.sleep(1.0)
    vendor.user_restore(external_id)
