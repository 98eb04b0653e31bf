"""`hub verify unmerge`: unmerge(merge(s)) == s, over the hub and every system (law L19).

Each seed is a small company in the real engine: two or three people in two or three simulated systems, edited and
ruled about at random. Some are merged and split again: at once; after every system was brought to the joint values;
after somebody edited them meanwhile; two merges deep; or after the merge happened at a system. Then everything must be
as it was, in the hub up to the numbering of versions, and in every system; and nothing is written any more.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from hub.app.merging import Ends, carry_out_merges, merge_roots, newest_merge, unmerge_row
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty, unpack_fields, unpack_shadow
from hub.errors import HubError
from hub.model import Json, LinkState, RulingRow
from hub.verify.convergence import STORY_LINES, Report, Result
from hub.verify.history import History
from hub.verify.laws import entities_and_links
from hub.verify.vendor import FIELDS

# Faults that can be planted here, each a mechanism of merging taken out of the real engine.
PLANTABLE = {
    "merge_keeps_version": "a merge gives its fields no version of their own",
    "unmerge_forgets": "an unmerge does not put the survivor's before-image back",
}
KINDS = ("at once", "at once", "after writes", "after writes", "after edits", "deep", "at a system")
PERSON = "kim"
State = Mapping[str, Json]


class Company(History):
    """A history without faults, in which a person merges and splits."""

    plain = True

    def __init__(self, seed: int, *, systems: int | None = None, url: str = "sqlite://") -> None:
        super().__init__(seed, steps=0, systems=systems, url=url)
        self.deciding = random.Random(f"deciding-{seed}")
        self.polls = True
        for vendor in self.vendors.values():  # no webhooks that come a quarter of an hour late, no pages of one record
            vendor.traits = replace(vendor.traits, hooks=False, page_size=50, max_batch=50)
        self.hub = self._start()
        self.calm()

    def settle(self, number: int = 8) -> None:
        """People are in their systems, edit there, and a person rules on some fields."""
        draw = self.people
        names = sorted(self.vendors)
        for place in range(draw.choice((2, 2, 3))):
            for vendor in draw.sample(names, draw.choice((1, 1, 2))):
                self.person_creates(self.vendors[vendor], f"P{place}")
        self.clock.advance(60.0)
        self.drain()
        for _ in range(draw.randrange(number)):
            self.clock.advance(draw.choice((1.0, 30.0)))
            if draw.random() < 0.25:
                self.rule()
            else:
                self.person_edits()
            if draw.random() < 0.4:
                self.round()
        self.drain()

    def rule(self) -> None:
        """A person decides a field, as app.review does."""
        root, name = self.people.choice(self.roots()), self.people.choice(("name", "phone"))
        self.token += 1
        value = f"ruled{self.token}"

        def decide(tx: object) -> None:
            scene = Scene(hub=self.hub, tx=tx, now=self.clock.now(), actor=PERSON)  # type: ignore[arg-type]
            scene.load([root])
            ruling = RulingRow(
                id=scene.tx.reserve_ids("ruling", 1)[0], entity_id=root, field=name, value=value,
                version=scene.version, by=PERSON, at=scene.now,
            )  # fmt: skip
            scene.tx.add_ruling(ruling)
            scene.rulings[root][name] = ruling
            scene.touch(root, name)
            scene.decide()
            scene.mark_behind()
            scene.save()

        commit(self.hub, decide)
        self.story.tell(self.clock.now(), f"{PERSON} rules contact:{root}.{name} = {value!r}")

    def roots(self) -> list[int]:
        return [entity.id for entity in entities_and_links(self)[0] if entity.alias_of is None]

    def merge(self, survivor: int, alias: int) -> None:
        ends = Ends(survivor=survivor, alias=alias)
        commit(self.hub, lambda tx: merge_roots(self.hub, tx, ends, by=PERSON))
        self.story.tell(self.clock.now(), f"{PERSON} merges contact:{alias} into contact:{survivor}")

    def merge_at_system(self) -> int | None:
        """A person merges two records at a system; the surviving entity, None if no system has two people."""
        entities, links = entities_and_links(self)
        live = [link for entity in entities for link in links[entity.id] if link.state == LinkState.LIVE]
        system = self.deciding.choice(sorted(self.vendors))
        here = [link for link in live if link.connection == system]
        if len(here) < 2:
            return None
        survivor, loser = self.deciding.sample(here, 2)
        anew = self.deciding.random() < 0.5
        self.vendors[system].user_merge(survivor.external_id or "", loser.external_id or "", anew=anew)
        self.story.tell(
            self.clock.now(), f"{survivor.connection} person merges {loser.external_id} into {survivor.external_id}"
        )
        return survivor.entity_id

    def round(self, *, pull: bool | None = None) -> None:
        super().round(pull=pull)
        carry_out_merges(self.hub)

    def split(self, survivor: int) -> None:
        with self.store.reading() as tx:
            row = newest_merge(tx, survivor)
        assert row is not None
        commit(self.hub, lambda tx: unmerge_row(self.hub, tx, row, by=PERSON))
        self.story.tell(self.clock.now(), f"{PERSON} splits contact:{row['other_id']} off contact:{survivor}")

    # What must come back

    def in_hub(self, *, cells: bool) -> Mapping[str, State]:
        """Everything that a merge may touch, without the numbers of versions.

        Args:
            cells: also what each link holds and claims: the same only if nothing was written or read meanwhile.
        """
        entities, links = entities_and_links(self)
        found: dict[str, dict[str, Json]] = {}
        with self.store.reading() as tx:
            rulings = tx.rulings([entity.id for entity in entities])
            owners = tx.find_by_keys("contact", [("code", f"p{number}") for number in range(3)])
            conflicts = tx.conflicts(state="open", limit=100_000)  # what is decided stays on record, also of the merge
        for entity in entities:
            states = unpack_fields(entity.fields, entity.values)
            filled = {n: s for n, s in states.items() if not is_empty(s.value) or s.memory}
            found[f"contact:{entity.id}"] = {
                "alias_of": entity.alias_of, "state": entity.state,
                "values": {n: s.value for n, s in filled.items()},
                "rulings": {n: r.id for n, r in rulings.get(entity.id, {}).items()},
                "links": {link.id: (link.external_id, str(link.state)) for link in links[entity.id]},
            }  # fmt: skip
            if cells:
                found[f"contact:{entity.id}"] |= {
                    "memory": {n: repr(sorted(s.memory.items())) for n, s in filled.items()},
                    "keys": sorted(key for key, ids in owners.items() if entity.id in ids),
                    "cells": {link.id: repr(dict(unpack_shadow(link.shadow))) for link in links[entity.id]},
                    "conflicts": [repr(each) for each in conflicts if each.entity_id == entity.id],
                }  # fmt: skip
        return found

    def in_systems(self) -> dict[str, State]:
        """What every record holds, less what a person has yet to decide: a ruling on the other may have decided it."""
        entities, links = entities_and_links(self)
        with self.store.reading() as tx:
            waiting = {(c.entity_id, c.field) for c in tx.conflicts(state="open", limit=100_000)}
        owners = {link.external_id: entity.id for entity in entities for link in links[entity.id]}
        return {
            each: {name: fields[name] for name in (*FIELDS, "code") if (owners.get(each), name) not in waiting}
            for _, each, fields in self.records()
        }


# The laws


def run_seed(seed: int, *, systems: int | None = None, url: str = "sqlite://") -> Result:
    """One company, one merge and its inverse."""
    company = Company(seed, systems=systems, url=url)
    kind = company.deciding.choice(KINDS)
    try:
        errors = _case(company, kind)
    except HubError as error:
        errors = [f"L19 {kind}: {error}"]
    finally:
        company.store.close()
    company.story.counts[kind] += 1
    company.story.counts["writes"] += company.writes()
    return Result(
        seed, errors + company.errors, company.story.lines[-STORY_LINES:] if errors else [], company.story.counts
    )


def _case(company: Company, kind: str) -> list[str]:
    company.settle()
    if kind == "at a system":
        return _seen_at_system(company)
    roots = company.roots()
    chosen = company.deciding.sample(roots, min(len(roots), 3 if kind == "deep" else 2))
    hub, writes = company.in_hub(cells=kind == "at once"), company.writes()
    systems = company.in_systems()
    for alias in chosen[1:]:
        company.merge(chosen[0], alias)
        if kind != "at once":
            broken = _brought_to_one(company)
            if broken:
                return broken
    edited = _edit_meanwhile(company) if kind == "after edits" else {}
    for _ in chosen[1:]:
        company.split(chosen[0])
        if company.deciding.random() < 0.5 and kind == "deep":
            company.drain()
    broken = _differences("hub", hub, company.in_hub(cells=kind == "at once")) if not edited else []
    if kind == "at once" and not broken:
        company.drain()
        broken = [f"L19 {company.writes() - writes} writes after a merge that was undone at once"]
        broken = broken if company.writes() != writes else []
    if company.drain() is None:
        return [*broken, "L1 no rest after the split"]
    broken += _agreed(company) + (_quiet(company) if not broken else [])
    if edited:
        return broken + _kept_edits(company, edited)
    broken += _differences("hub", _only(hub, "values", "links"), _only(company.in_hub(cells=False), "values", "links"))
    return broken + _differences("system", systems, company.in_systems())


def _seen_at_system(company: Company) -> list[str]:
    """What a system merged is one here, too; split again, everybody has a record there once more."""
    before, everywhere = company.in_hub(cells=False), _living(company)
    survivor = company.merge_at_system()
    if survivor is None:
        return []
    broken = _brought_to_one(company)
    if broken:
        return broken
    if len(company.roots()) != len(before) - 1:
        return [f"L19 a merge at a system left {len(company.roots())} of {len(before)}"]
    company.split(survivor)
    if company.drain() is None:
        return ["L1 no rest after the split"]
    broken = _agreed(company) + _quiet(company)
    broken += _differences("hub", _only(before, "values"), _only(company.in_hub(cells=False), "values"))
    return broken + [f"L19 {place} has no live record any more" for place in everywhere - _living(company)]


def _living(company: Company) -> set[tuple[int, str]]:
    """(entity, system) of every live record."""
    entities, links = entities_and_links(company)
    return {(e.id, k.connection) for e in entities for k in links[e.id] if k.state == LinkState.LIVE}


def _only(state: Mapping[str, State], *names: str) -> dict[str, State]:
    return {each: {name: parts[name] for name in names} for each, parts in state.items()}


def _differences(where: str, before: Mapping[str, State], after: Mapping[str, State]) -> list[str]:
    broken = [f"L19 {where}: {each} is new" for each in after.keys() - before.keys()]
    broken += [f"L19 {where}: {each} is lost" for each in before.keys() - after.keys()]
    for each in before.keys() & after.keys():
        for name in before[each]:
            if name in after[each] and before[each][name] != after[each][name]:
                broken.append(f"L19 {where}: {each}.{name} was {before[each][name]!r}, is {after[each][name]!r}")
    return sorted(broken)


def _brought_to_one(company: Company) -> list[str]:
    """After a merge every live record holds the joint values, and then nothing is written any more."""
    if company.drain() is None:
        return ["L1 no rest after the merge"]
    return _agreed(company) + _quiet(company)


def _agreed(company: Company) -> list[str]:
    """L2 over roots: every live record holds its system's form of what its person is; one live record per system."""
    entities, links = entities_and_links(company)
    rows = {entity.id: entity for entity in entities}
    with company.store.reading() as tx:
        roots = tx.roots(rows)
        waiting = {(c.entity_id, c.field) for c in tx.conflicts(state="open", limit=100_000)}
        waiting |= {(roots[each], name) for each, name in waiting}
    living: Counter[tuple[str, int]] = Counter()
    broken = []
    for link in (each for group in links.values() for each in group if each.state == LinkState.LIVE):
        root, vendor = rows[roots[link.entity_id]], company.vendors[link.connection]
        living[link.connection, root.id] += 1
        fields = vendor.current(link.external_id or "").fields or {}
        for name in FIELDS:
            want = vendor.traits.normalise(name, root.values.get(name))
            if (want or None) != (fields.get(name) or None) and (root.id, name) not in waiting:
                broken.append(f"L2 {link.external_id}.{name} is {fields.get(name)!r}, contact:{root.id} is {want!r}")
    return broken + [
        f"L19 contact:{root} has {n} live records at {name}" for (name, root), n in living.items() if n > 1
    ]


def _quiet(company: Company) -> list[str]:
    before = company.writes()
    for _ in range(2):
        company.clock.advance(1000.0)
        company.round()
    return [f"L3 {company.writes() - before} writes while nothing happened"] if company.writes() != before else []


def _edit_meanwhile(company: Company) -> dict[tuple[int, str], Json]:
    """Somebody edits a record while the two are one; gives (entity of the record's link, field) -> value."""
    entities, links = entities_and_links(company)
    live = [link for entity in entities for link in links[entity.id] if link.state == LinkState.LIVE]
    link = company.deciding.choice(live)
    vendor = company.vendors[link.connection]
    company.token += 1
    text = f"late{company.token}"
    company.clock.advance(100.0)
    vendor.user_edit(link.external_id or "", "note", text)
    company.story.tell(company.clock.now(), f"{vendor.name} person sets {link.external_id}.note = {text!r}, as one")
    company.drain()
    return {(link.entity_id, "note"): vendor.traits.normalise("note", text)}


def _kept_edits(company: Company, edited: Mapping[tuple[int, str], Json]) -> list[str]:
    """What was edited while they were one belongs to whose record it was, and to nobody else."""
    entities, _ = entities_and_links(company)
    broken = []
    for (owner, name), value in edited.items():
        for entity in entities:
            has = entity.values.get(name) == value
            if has != (entity.id == owner):
                broken.append(
                    f"L19 contact:{entity.id}.{name} is {entity.values.get(name)!r}; {value!r} is contact:{owner}'s"
                )
    return broken


def verify(
    seeds: Iterable[int],
    *,
    systems: int | None = None,
    planted: Sequence[str] = (),
    stop_at_first: bool = False,
    progress: Callable[[Result], None] | None = None,
) -> Report:
    """Run seeds, one after the other: each is a matter of milliseconds.

    Args:
        planted: faults to plant (keys of PLANTABLE).
        stop_at_first: end with the first failing seed.
    """
    report, before = Report(), set(PLANTED)
    PLANTED.update(planted)
    try:
        for seed in seeds:
            result = run_seed(seed, systems=systems)
            report.seeds += 1
            report.counts += result.counts
            if result.errors:
                report.failures.append(result)
            if progress is not None:
                progress(result)
            if result.errors and stop_at_first:
                break
    finally:
        PLANTED.intersection_update(before)
    return report
