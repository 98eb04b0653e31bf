"""The laws, as questions about a history that has come to rest (reliability.md §1.2). Each answers with what broke."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson

from hub.app.ingest import ingest_page
from hub.model import EntityRow, Json, LinkRow, LinkState
from hub.verify.vendor import FIELDS, STREAM, SimVendor

if TYPE_CHECKING:
    from hub.verify.history import History


def snapshot(history: History) -> bytes:
    """Everything that must not move when nothing happens: entities, links, conflicts, rulings."""
    with history.store.reading() as tx:
        entities = tx.entities_page(limit=10_000)
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
    with history.store.reading() as tx:
        entities = tx.entities_page(limit=10_000)
        links: dict[int, list[LinkRow]] = {entity.id: [] for entity in entities}
        for link in tx.links_of(list(links)):
            links[link.entity_id].append(link)
    return entities, links


def check_converged(history: History) -> list[str]:
    """L2: every live link holds the system's own form of the entity's value, or the difference is listed."""
    broken = []
    entities, links = entities_and_links(history)
    with history.store.reading() as tx:
        waiting = {(c.entity_id, c.field) for c in tx.conflicts(state="open", limit=100_000)}
    for entity in entities:
        for link in links[entity.id]:
            vendor = history.vendors[link.connection]
            if link.state != LinkState.LIVE or link.external_id is None:
                continue
            fields = vendor.current(link.external_id).fields
            if fields is None:
                broken.append(f"L2 {link.external_id} is deleted, its link is {link.state}")
                continue
            for name in FIELDS:
                want = vendor.traits.normalise(name, entity.values.get(name))
                if (want or None) != (fields[name] or None) and (entity.id, name) not in waiting:
                    broken.append(f"L2 {link.external_id}.{name} is {fields[name]!r}, contact:{entity.id} is {want!r}")
    return broken


def check_everywhere(history: History) -> list[str]:
    """Every living entity has one live record in every system, none twice (duplicates, endless creates)."""
    broken = []
    entities, links = entities_and_links(history)
    for vendor in history.vendors.values():
        codes = Counter(str((vendor.current(each).fields or {}).get("code")) for each in vendor.alive())
        broken += [f"duplicate: {vendor.name} has {n} records of {code}" for code, n in codes.items() if n > 1]
    for entity in entities:
        states = {(link.connection, link.state) for link in links[entity.id]}
        for name in history.vendors:
            if not any(connection == name for connection, _ in states):
                broken.append(f"not created: contact:{entity.id} at {name}")
    return broken


def check_no_loss(history: History) -> list[str]:
    """L4: each edit is a value that stood, a candidate on record, overwritten in its own system, or exposed."""
    known = set()
    with history.store.reading() as tx:
        entities = tx.entities_page(limit=10_000)
        ids = [entity.id for entity in entities]
        for row in tx.history(ids):
            for name, change in row.changes.items():
                known |= {(name, str(change["new"])), (name, str(change["old"]))}
        for conflict in tx.conflicts(limit=100_000):
            known |= {(conflict.field, str(candidate["value"])) for candidate in conflict.candidates}
    known |= {(name, str(value)) for entity in entities for name, value in entity.values.items()}
    broken = []
    for vendor in history.vendors.values():
        broken += [f"L4 lost: {vendor.name} {e} = {v!r}" for e, v in _lost(vendor, known)]
    return broken


def _lost(vendor: SimVendor, known: set[tuple[str, str]]) -> list[tuple[str, Json]]:
    lost = []
    for index, edit in enumerate(vendor.edits):
        if edit.field == "tags" or (edit.field, str(edit.value)) in known:
            continue
        if any((e.external_id, e.field) == (edit.external_id, edit.field) for e in vendor.edits[index + 1 :]):
            continue  # overwritten by a later edit in the same system
        if (edit.external_id, edit.field, str(edit.value)) in vendor.exposed:
            continue  # the counted exposure of systems without precondition
        if vendor.current(edit.external_id).fields is None:
            continue
        lost.append((f"{edit.external_id}.{edit.field}", edit.value))
    return lost


def check_no_revert(history: History) -> list[str]:
    """L5: no value comes back after another stood, since every edit is unique: an old read never counts as an edit.

    One return is no breach: three concurrent claims may elect a, then b, then a again as they become known, since the
    set decides and not the order (L10). That a is the same claim as before, and a new claim is on record beside it.
    """
    broken = []
    entities, _ = entities_and_links(history)
    with history.store.reading() as tx:
        rows = tx.history([entity.id for entity in entities])
        elections = {
            (conflict.entity_id, conflict.field, conflict.version)
            for conflict in tx.conflicts(limit=100_000)
            if any(candidate["taken"] == conflict.version for candidate in conflict.candidates)
        }
    seen: dict[tuple[int, str], dict[str, Json]] = {}
    for row in sorted(rows, key=lambda row: row.version):
        for name, change in row.changes.items():
            if name == "tags":
                continue
            past = seen.setdefault((row.entity_id, name), {str(change["old"]): None})
            new, window = str(change["new"]), change["window"]
            elected = (row.entity_id, name, row.version) in elections and past.get(new) in (None, window)
            if new in past and not elected:
                broken.append(f"L5 contact:{row.entity_id}.{name} went back to {new!r}")
            past[new] = window
    return broken


def check_quiet(history: History) -> list[str]:
    """L3: from rest, further rounds with every channel write nothing and move nothing."""
    before, writes = snapshot(history), history.writes()
    for _ in range(3):
        history.clock.advance(1000.0)
        history.round()
        _sweep(history)
    broken = []
    if history.writes() != writes:
        broken.append(f"L3 {history.writes() - writes} writes while nothing happened")
    if snapshot(history) != before:
        broken.append("L3 state moved while nothing happened")
    return broken


def check_complete(history: History) -> list[str]:
    """L13: a full sweep by id finds nothing that the incremental channels had not brought."""
    broken = []
    known = {link.external_id for links in entities_and_links(history)[1].values() for link in links}
    for vendor in history.vendors.values():
        broken += [f"L13 never read: {each}" for each in vendor.alive() if each not in known]
    found = _sweep(history)
    if found["changed"] or found["new"]:
        broken.append(f"L13 the sweep found {found['changed']} changes and {found['new']} records")
    return broken


def _sweep(history: History) -> Counter[str]:
    total: Counter[str] = Counter()
    for name, vendor in history.vendors.items():
        read_at = history.clock.now()
        records = vendor.fetch(sorted(vendor.records))
        total += ingest_page(history.hub, history.hub.connections[name], STREAM, records, read_at=read_at)
    return total


def check_replay(history: History) -> list[str]:
    """L9: every page and webhook once more changes nothing."""
    before, writes = snapshot(history), history.writes()
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
    if snapshot(history) != before:
        broken.append("L9 a replay moved state")
    return broken


def check_calm_edits(history: History) -> list[str]:
    """L6: an edit made at rest becomes the value everywhere, if the policy lets its source speak."""
    entities, links = entities_and_links(history)
    expected: dict[int, str] = {}
    for entity in entities:
        live = [link for link in links[entity.id] if link.state == LinkState.LIVE and link.external_id]
        if not live or history.people.random() < 0.3:
            continue
        link = history.people.choice(sorted(live, key=lambda each: each.id))
        vendor = history.vendors[link.connection]
        history.token += 1
        text = f"calm{history.token}{vendor.name}"
        history.clock.advance(30.0)
        if vendor.user_edit(link.external_id or "", "name", text):
            expected[entity.id] = vendor.traits.normalise("name", text)
            history.story.tell(history.clock.now(), f"{vendor.name} calm edit {link.external_id}.name = {text!r}")
    if history.drain() is None:
        return ["L1 no rest after calm edits"]
    now = {entity.id: entity.values.get("name") for entity in entities_and_links(history)[0]}
    return [f"L6 contact:{e} is {now[e]!r}, not {text!r}" for e, text in expected.items() if now[e] != text]
