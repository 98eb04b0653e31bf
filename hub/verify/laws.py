"""The laws, as questions about a history that has come to rest (reliability.md §1.2). Each answers with what broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from hub.app.ingest import ingest_page
from hub.app.pairs import MERGE
from hub.core.mapping import held_form
from hub.core.shadow import unpack_fields
from hub.model import ConflictKind, EntityRow, Json, LinkRow, LinkState, RulingRow
from hub.store import Store
from hub.verify.vendor import ADDRESS, CONSENT, STREAM, SimVendor, spoken
from hub.verify.world import NAMES

if TYPE_CHECKING:
    from hub.verify.history import History


def snapshot(store: Store) -> bytes:
    """Everything that must not move when nothing happens: entities, links, conflicts, rulings."""
    with store.reading() as tx:
        entities = tx.entities_page(limit=1_000_000)
        links = tx.links_of([entity.id for entity in entities])
        conflicts = tx.conflicts(limit=100_000)
    return orjson.dumps(
        {
            "entities": [[e.id, e.version, e.values, e.fields, e.alias_of] for e in entities],
            "links": [[k.id, k.external_id, k.entity_id, k.state, k.shadow] for k in sorted(links, key=lambda k: k.id)],
            "conflicts": sorted(c.digest for c in conflicts),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def entities_and_links(history: History) -> tuple[list[EntityRow], dict[int, list[LinkRow]]]:
    """Every entity that is not another's alias, and the links of each, those of its aliases among them."""
    with history.store.reading() as tx:
        known = tx.entities_page(limit=10_000)
        roots = tx.roots([entity.id for entity in known])
        links: dict[int, list[LinkRow]] = {root: [] for root in roots.values()}
        for link in tx.links_of(list(roots)):
            links[roots[link.entity_id]].append(link)
    return [entity for entity in known if entity.id in links], links


def standing_rulings(history: History) -> dict[int, dict[str, RulingRow]]:
    """Entity, each by its own id -> field -> the latest ruling on it or on any that it is one with."""
    with history.store.reading() as tx:
        known = [entity.id for entity in tx.entities_page(limit=10_000)]
        roots, made = tx.roots(known), tx.rulings(known)
    joint: dict[int, dict[str, RulingRow]] = {root: {} for root in roots.values()}
    for entity_id, found in made.items():
        ours = joint[roots[entity_id]]
        ours |= {name: row for name, row in found.items() if name not in ours or row.version > ours[name].version}
    return {each: joint[root] for each, root in roots.items()}


def check_converged(history: History, only: Collection[str] | None = None) -> list[str]:
    """L2: every live link holds the system's own form of the entity's value, or the difference is listed.

    Args:
        only: the systems that are looked at; None for all.
    """
    broken = []
    entities, links = entities_and_links(history)
    listed = Listed.read(history)
    for entity in entities:
        for link in links[entity.id]:
            if link.state != LinkState.LIVE or link.external_id is None or link.connection not in (only or NAMES):
                continue
            vendor = history.vendors[link.connection]
            fields = vendor.current(link.external_id).fields
            if fields is None:
                broken.append(f"L2 {link.external_id} is deleted, its link is {link.state}")
                continue
            for name in history.mappings[link.connection].out_fields:
                want, held = _wanted(history, vendor, name, entity.values.get(name)), _held(vendor, name, fields)
                if want != held and not listed.covers(entity, link, name):
                    broken.append(f"L2 {link.external_id}.{name} is {held!r}, contact:{entity.id} is {want!r}")
    return broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a person can see to be different, and why."""

    asked: set[tuple[int, str]]  # entity, field of open conflicts
    refused: set[tuple[str, str, str]]  # connection, external id, field in quarantine

    @classmethod
    def read(cls, history: History) -> Listed:
        with history.store.reading() as tx:
            return cls(
                asked={(c.entity_id, c.field) for c in tx.conflicts(state="open", limit=100_000)},
                refused={(q.connection, q.external_id, q.field) for q in tx.quarantine(limit=100_000)},
            )

    def covers(self, entity: EntityRow, link: LinkRow, name: str) -> bool:
        row = (link.connection, link.external_id or "", name)
        return (entity.id, name) in self.asked or row in self.refused


def _wanted(history: History, vendor: SimVendor, name: str, value: Json) -> Json:
    """What a system should hold of an entity's value."""
    if name == CONSENT:
        held = held_form(history.mappings[vendor.name], name, value)
        return held and held["state"]
    if name == "address":
        return {part: vendor.traits.normalise(part, (value or {}).get(part)) or None for part in ADDRESS}
    return vendor.traits.normalise(name, value) or None


def _held(vendor: SimVendor, name: str, fields: Mapping[str, Json]) -> Json:
    """What it holds, in the same terms."""
    if name == CONSENT and vendor.traits.consent == "box":
        return "opted_out" if fields["optout"] else None
    if name == CONSENT:
        return spoken(fields, "marketing")
    if name == "address":
        return {part: fields[part] or None for part in ADDRESS}
    return fields[name] or None


def check_everywhere(history: History) -> list[str]:
    """Every living entity has one live record in every system, none twice (duplicates, endless creates)."""
    broken = []
    entities, links = entities_and_links(history)
    for vendor in history.vendors.values():
        codes = Counter(str((vendor.current(each).fields or {}).get("code")) for each in vendor.alive())
        twice = {code: n for code, n in codes.items() if n > 1 and not _was_deleted(vendor, code)}
        if history.swarm.merges:
            continue  # of two records that are one person, both bear the code that won
        broken += [f"duplicate: {vendor.name} has {n} records of {code}" for code, n in twice.items()]
    for entity in entities:
        if entity.state != "live":
            continue  # nobody speaks of it any more: it is made nowhere
        states = {(link.connection, link.state) for link in links[entity.id]}
        for name in history.vendors:
            if not any(connection == name for connection, _ in states):
                broken.append(f"not created: contact:{entity.id} at {name}")
    return broken


def _was_deleted(vendor: SimVendor, code: str) -> bool:
    """Whoever deletes a record, and brings it back when the hub has made another, has made two himself."""
    theirs = [v for v in vendor.records.values() if any((each.fields or {}).get("code") == code for each in v)]
    return any(version.fields is None for versions in theirs for version in versions)


def check_no_loss(history: History) -> list[str]:
    """L4: each edit is a value that stood, a candidate on record, overwritten in its own system, or exposed."""
    if history.restored:
        return []  # the books of the gap are gone with the store that kept them
    known = set()
    with history.store.reading() as tx:
        entities = tx.entities_page(limit=10_000)
        ids = [entity.id for entity in entities]
        for row in tx.history(ids):
            for name, change in row.changes.items():
                known |= {(name, str(change["new"])), (name, str(change["old"]))}
        for conflict in tx.conflicts(limit=100_000):
            known |= {(conflict.field, str(candidate["value"])) for candidate in conflict.candidates}
        known |= {(row.field, str(row.value)) for row in tx.quarantine(None, limit=100_000)}
    known |= {(name, str(value)) for entity in entities for name, value in entity.values.items()}
    broken = []
    for vendor in history.vendors.values():
        broken += [f"L4 lost: {vendor.name} {e} = {v!r}" for e, v in _lost(vendor, known)]
    return broken


def _lost(vendor: SimVendor, known: set[tuple[str, str]]) -> list[tuple[str, Json]]:
    lost = []
    for index, edit in enumerate(vendor.edits):
        if edit.field in ("tags", CONSENT) or edit.value is None or (edit.field, str(edit.value)) in known:
            continue
        if any((e.external_id, e.field) == (edit.external_id, edit.field) for e in vendor.edits[index + 1 :]):
            continue  # overwritten by a later edit in the same system
        parts = edit.value if edit.field == "address" else {edit.field: edit.value}
        if any((edit.external_id, name, str(value)) in vendor.exposed for name, value in parts.items()):
            continue  # the counted exposure of systems without precondition
        if vendor.current(edit.external_id).fields is None:
            continue
        lost.append((f"{edit.external_id}.{edit.field}", edit.value))
    return lost


def check_guarded(history: History) -> list[str]:
    """L4: a precondition that tells any two edits apart lets no edit fall under a write of ours (G23)."""
    return [
        f"L4 {external_id}.{name} = {value!r} was overwritten unseen, though {vendor.name} takes preconditions"
        for vendor in history.vendors.values()
        if vendor.guards
        for external_id, name, value in sorted(vendor.exposed)
    ]


def check_no_revert(history: History) -> list[str]:
    """L5: no value comes back after another stood, since every edit is unique: an old read never counts as an edit.

    One return is no breach: three concurrent claims may elect a, then b, then a again as they become known, since the
    set decides and not the order (L10). That a is the same claim as before, and what is new is on record beside it: a
    claim, or those that a merge brought.
    """
    if history.restored:
        return []  # what stood in the gap, nobody here knows
    broken = []
    entities, _ = entities_and_links(history)
    ruled = {(each, name) for each, found in standing_rulings(history).items() for name in found}
    with history.store.reading() as tx:
        rows = tx.history([entity.id for entity in entities])
        joined = {
            (row["entity_id"], row["version"]) for row in tx.identities(kind=MERGE, state="accepted", limit=10_000)
        }
        elections = {
            (conflict.entity_id, conflict.field, conflict.version)
            for conflict in tx.conflicts(limit=100_000)
            if any(candidate["taken"] == conflict.version for candidate in conflict.candidates)
            or (conflict.entity_id, conflict.version) in joined
        }
    leave = history.swarm.deletes or history.swarm.merges
    ranked = {n for n, f in history.canonical.entities["contact"].fields.items() if f.survivorship.rule == "source"}
    seen: dict[tuple[int, str], dict[str, Json]] = {}
    for row in sorted(rows, key=lambda row: row.version):
        for name, change in row.changes.items():
            if name in ("tags", CONSENT) or (row.entity_id, name) in ruled:
                continue  # these values are not unique; a person may well rule for an old one
            if leave and name in ranked:
                continue  # the voice that ranked first left with its record
            past = seen.setdefault((row.entity_id, name), {str(change["old"]): None})
            new, window = str(change["new"]), change["window"]
            elected = (row.entity_id, name, row.version) in elections and past.get(new) in (None, window)
            if new in past and not elected:
                broken.append(f"L5 contact:{row.entity_id}.{name} went back to {new!r}")
            past[new] = window
    return broken


def check_quiet(history: History) -> list[str]:
    """L3: from rest, further rounds with every channel write nothing and move nothing."""
    before, writes = snapshot(history.store), history.writes()
    for _ in range(3):
        history.clock.advance(1000.0)
        history.round()
        sweep(history)
    broken = []
    if history.writes() != writes:
        broken.append(f"L3 {history.writes() - writes} writes while nothing happened")
    if snapshot(history.store) != before:
        broken.append("L3 state moved while nothing happened")
    return broken


def check_complete(history: History) -> list[str]:
    """L13: a full sweep by id finds nothing that the incremental channels had not brought."""
    broken = []
    known = {link.external_id for links in entities_and_links(history)[1].values() for link in links}
    for vendor in history.vendors.values():
        broken += [f"L13 never read: {each}" for each in vendor.alive() if each not in known]
    found = sweep(history)
    if found["changed"] or found["new"]:
        broken.append(f"L13 the sweep found {found['changed']} changes and {found['new']} records")
    return broken


def sweep(history: History) -> Counter[str]:
    total: Counter[str] = Counter()
    for name, vendor in history.vendors.items():
        read_at = history.clock.now()
        records = vendor.fetch(sorted(vendor.records))
        total += ingest_page(history.hub, history.hub.connections[name], STREAM, records, read_at=read_at)
    return total


def check_replay(history: History) -> list[str]:
    """L9: every page and webhook once more changes nothing."""
    before, writes = snapshot(history.store), history.writes()
    with history.store.transaction() as tx:
        for name, vendor in history.vendors.items():
            tx.add_hints([(name, STREAM, each, None, history.clock.now(), "webhook") for each in vendor.records])
            state = tx.cursor(name, STREAM)
            if state:
                tx.set_cursor(name, STREAM, {**state, "at": None})
    history.round()
    history.round()
    broken = []
    if history.writes() != writes:
        broken.append("L9 a replay wrote")
    if snapshot(history.store) != before:
        broken.append("L9 a replay moved state")
    return broken


def check_calm_edits(history: History) -> list[str]:
    """L6: an edit made at rest becomes the value everywhere, if the policy lets its source speak.

    A field that stands still because two systems kept overwriting each other (D7) moves for a person's ruling only.
    """
    entities, links = entities_and_links(history)
    dice, expected, editor = history.people, {}, {}
    ruled = {each for each, found in standing_rulings(history).items() if {"name", "tags"} & found.keys()}
    for entity in entities:
        live = [link for link in links[entity.id] if link.state == LinkState.LIVE and link.external_id]
        if not live or entity.id in ruled or dice.random() < 0.3:
            continue
        link = dice.choice(sorted(live, key=lambda each: each.id))
        states = unpack_fields(entity.fields, entity.values)
        still = {name for name, state in states.items() if state.frozen is not None}
        vendor = history.vendors[link.connection]
        history.token += 1
        text = f"calm{history.token}{vendor.name}"
        history.clock.advance(30.0)
        if "name" not in still and vendor.user_edit(link.external_id or "", "name", text):
            expected[entity.id, "name"] = vendor.traits.normalise("name", text)
            history.tell(f"{vendor.name} calm edit {link.external_id}.name = {text!r}")
        tags = sorted(entity.values.get("tags") or [])[1:]  # one of them is taken away
        if "tags" not in still and vendor.user_edit(link.external_id or "", "tags", tags):
            expected[entity.id, "tags"] = tags
            editor[entity.id] = link.id
    if history.drain() is None:
        return ["L1 no rest after calm edits"]
    now = {entity.id: entity.values for entity in entities_and_links(history)[0]}
    return [
        f"L6 contact:{each}.{name} is {now[each].get(name)!r}, not {want!r}"
        for (each, name), want in expected.items()
        if now[each].get(name) != want and not (name == "tags" and _was_not_looked_at(history, each, editor[each]))
    ]


def _was_not_looked_at(history: History, entity_id: int, link_id: int) -> bool:
    """Where only webhooks tell, nobody knows since when a tag was gone: it may have been while another added it."""
    if history.swarm.channel != "hooks":
        return False
    with history.store.reading() as tx:
        rows = tx.conflicts(entity_id=entity_id, field="tags", kind=ConflictKind.CONCURRENT, state=None)
    lost = (each for row in rows for each in row.candidates if not each["won"])
    return any(each["link"] == link_id and not each["value"] for each in lost)
