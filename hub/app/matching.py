"""Whose is a record that has no link yet: adopted by the hub's id, matched by key, new, or a person's to decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from hub.app.page import PageContext, quarantine_row
from hub.app.pairs import ALWAYS, NEVER, RecordRuling, records_of
from hub.core.identity import Match, decide_match
from hub.core.mapping import keys_of
from hub.core.planted import PLANTED
from hub.model import Cell, EntityRow, LinkRow, LinkState, MappedRecord, SourceRecord
from hub.store.links import LinkHead

LIVE = LinkState.LIVE
LIVING = frozenset({LinkState.LIVE, LinkState.OUT_OF_SCOPE})  # of these a stream holds at most one per entity


def link_for(page: PageContext, record: SourceRecord, mapped: MappedRecord, external_id: str) -> LinkRow | None:
    """The link of a record that has none yet: adopted by the hub's id, matched by key, or new."""
    if record.marker is not None and "no_adopt" not in PLANTED:
        marked = page.hub.entity_of_marker(record.marker)
        if marked is not None and marked in page.scene.root_of:
            return _attach(page, page.scene.root_of[marked], external_id, adopted=True)
    entity = page.mapping.entity_type
    if not page.mapping.in_scope(mapped.values):
        page.counts["out_of_scope"] += 1
        return None
    known = page.keys.get(id(record))
    if known is None:
        known = keys_of(entity, mapped.values)
    keys = {(name, value) for name, value, _ in known}
    rulings = page.ruled.get(external_id, ()) if page.ruled else ()
    same = next((each for each in rulings if each.row["kind"] == ALWAYS), None) if rulings else None
    if same is not None:
        root = page.scene.root_of[same.other]
        if _create_in_flight(page, root, external_id):
            return None
        page.scene.findings.obeyed.append((same, root))
        _known_by(page, keys, root)
        return _attach(page, root, external_id, adopted=False)
    old = _old_link(page, external_id, keys) if external_id in page.moved else None
    if old is not None:
        _known_by(page, keys, page.scene.root_of[old.entity_id])
        return _move(page, old, external_id)
    apart = {page.scene.root_of[each.other] for each in rulings if each.row["kind"] == NEVER} if rulings else ()
    owners = _owners(page, keys)
    match = decide_match(entity, known, owners, here=_here(page, owners) if owners else None, apart=apart)
    if match.outcome == "ambiguous" or (match.outcome == "keyless" and page.mapping.needs_key):
        page.scene.findings.crowded += match.crowded
        if match.outcome == "ambiguous":
            _review(page, record, external_id, match.candidates)
        else:
            page.counts["keyless"] += 1
        return None
    link = _matched(page, match, keys, external_id)
    if link is not None and rulings:
        page.scene.findings.obeyed += [(each, page.scene.root_of[link.entity_id]) for each in rulings]
    return link


def _matched(page: PageContext, match: Match, keys: set[tuple[str, str]], external_id: str) -> LinkRow | None:
    """The link to the entity that keys name, or to a new one."""
    scene, root = page.scene, match.entity_id
    if match.crowded:
        scene.findings.crowded += match.crowded
    if root is None:
        root = _new_entity(page)
        scene.own_keys[root] = keys if page.keys_by_value else None
    elif _create_in_flight(page, root, external_id):
        return None
    elif keys and all(root in page.owners.get(key, ()) for key in keys):
        page.known_keys.add(external_id)
    _known_by(page, keys, root)
    if match.weak:
        scene.findings.weak.append((root, match.weak))
    if match.entity_id is None:
        return _new_link(page, root, external_id)
    return _attach(page, root, external_id, adopted=False)


def _known_by(page: PageContext, keys: set[tuple[str, str]], root: int) -> None:
    """Further records of this very page find the entity by these keys."""
    fresh = page.scene.fresh_keys[page.mapping.entity]
    for key in keys:
        if key in fresh:
            fresh[key].add(root)
        else:
            fresh[key] = {root}


def _old_link(page: PageContext, external_id: str, keys: set[tuple[str, str]]) -> LinkRow | None:
    """The link of a record that was merged into this one under a new id: of several one whose key it has, or the first.

    That the others are one with it is told separately, and carried out after the page.
    """
    links = [page.scene.links[each] for each in page.moved.get(external_id, ())]
    owners = {each for group in _owners(page, keys).values() for each in group} if len(links) > 1 else set()
    heirs = [link for link in links if page.scene.root_of[link.entity_id] in owners]
    return next(iter(heirs or links), None)


def _move(page: PageContext, old: LinkRow, external_id: str) -> LinkRow:
    """The record goes on under a new id, with what it was last seen to hold and given: only what differs is an edit."""
    link = _attach(page, page.scene.root_of[old.entity_id], external_id, adopted=False)
    cells = page.scene.cells(old.id)
    page.scene.set_cells(link.id, {name: Cell(held=cell.held, agreed=cell.agreed) for name, cell in cells.items()})
    return link


def moved_ids(news: Sequence[SourceRecord], known: Mapping[str, LinkHead]) -> Mapping[str, list[int]]:
    """Id that is left -> links of the records that were merged into it (a merge may make a new id: HubSpot)."""
    found: dict[str, list[int]] = {}
    for record in news:
        if record.op == "merged_into" and record.merged_into and record.external_id in known:
            found.setdefault(record.merged_into, []).append(known[record.external_id].id)
    return found


def rulings_on(page: PageContext, external_ids: Sequence[str]) -> Mapping[str, list[RecordRuling]]:
    """External id -> what a person said of this record and another one that is there; both become known here."""
    tx, name, stream = page.scene.tx, page.connection.name, page.mapping.name
    rulings = tx.rulings_on_records(name, stream, external_ids) if external_ids else {}
    found: dict[str, list[RecordRuling]] = {}
    for external_id, rows in rulings.items():
        for row in rows:
            for place in records_of(row):
                links = tx.links_by_keys(place[0], place[1], [place[2]], raw=False)
                if place != (name, stream, external_id) and place[2] in links:
                    found.setdefault(external_id, []).append(RecordRuling(row, links[place[2]].entity_id))
    page.scene.load({each.other for rows in found.values() for each in rows})
    return found


def _here(page: PageContext, owners: Mapping[tuple[str, str], Sequence[int]]) -> Counter[int]:
    """Root -> how many records of this stream it has already. Acts may be many: they are not counted."""
    counted: Counter[int] = Counter()
    if page.stream.acts:
        return counted
    name, stream, gone = page.connection.name, page.mapping.name, (LinkState.GONE, LinkState.MERGED_INTO)
    for root in {each for group in owners.values() for each in group}:
        for link in page.scene.links_at[root]:
            if link.connection == name and link.stream == stream and link.state not in gone:
                counted[root] += 1
    return counted


def link_of_tombstone(page: PageContext, record: SourceRecord, external_id: str) -> LinkRow | None:
    """A record that is gone before it was ever read: if it bears our id, a create of ours landed, and was undone."""
    marked = page.hub.entity_of_marker(record.marker)
    if marked is None or marked not in page.scene.root_of or "no_adopt" in PLANTED:
        return None
    root, place = page.scene.root_of[marked], (page.connection.name, page.mapping.name, LinkState.WANTED)
    if any((link.connection, link.stream, link.state) == place for link in page.scene.links_at[root]):
        return _attach(page, root, external_id, adopted=True)
    return None


def _create_in_flight(page: PageContext, root: int, external_id: str) -> bool:
    """True while a create of ours for this entity may still land: the record is read again when that is settled."""
    for link in page.scene.links_at[root] if page.intents and "no_patience" not in PLANTED else ():
        intent = page.intents.get(link.id)
        if (link.connection, link.stream, link.state) != (page.connection.name, page.mapping.name, LinkState.WANTED):
            continue
        if intent is not None and page.scene.now < (intent.last_possible or 0.0):
            due_at = (intent.last_possible or 0.0) + page.stream.fetch_lag_s + 1.0
            page.hints.append((link.connection, page.mapping.source, external_id, None, due_at, "a create to settle"))
            page.counts["deferred"] += 1
            return True
    return False


def _owners(page: PageContext, keys: set[tuple[str, str]]) -> dict[tuple[str, str], list[int]]:
    """Key -> root entities, of the store and of this very page."""
    root_of, fresh, found = page.scene.root_of, page.scene.fresh_keys[page.mapping.entity], {}
    for key in keys:
        if key not in page.owners and key not in fresh:
            continue
        roots = {root_of[each] for each in page.owners.get(key, ()) if each in root_of}
        roots |= fresh.get(key, set())
        if roots:
            found[key] = sorted(roots)
    return found


def _new_entity(page: PageContext) -> int:
    entity_id = page.scene.new_id("entity")
    page.scene.add_entity(EntityRow(id=entity_id, type=page.mapping.entity, created_at=page.scene.now))
    page.counts["entities"] += 1
    return entity_id


def _new_link(page: PageContext, root: int, external_id: str, state: LinkState = LIVE) -> LinkRow:
    scene = page.scene
    link = LinkRow(
        id=scene.new_id("link"), connection=page.connection.name, stream=page.mapping.name, external_id=external_id,
        entity_id=root, state=state, mapping_version=page.connection.mapping_version,
    )  # fmt: skip
    scene.add_link(link)
    page.counts["linked" if state is LIVE else "duplicates"] += 1
    return link


def _attach(page: PageContext, root: int, external_id: str, *, adopted: bool) -> LinkRow:
    """Give an entity this record: onto its wanted link, as a new link, or as a duplicate beside a live one."""
    scene, name, stream = page.scene, page.connection.name, page.mapping.name
    scene.set_state(root, "live")  # somebody speaks of it, perhaps again
    here = [each for each in scene.links_at[root] if each.connection == name and each.stream == stream]
    wanted = next((each for each in here if each.state == LinkState.WANTED), None) if here else None
    if wanted is not None:
        intent = page.intents.get(wanted.id)
        if intent is not None and not adopted:
            intent.state = "superseded"  # the record was there already; a create that lands later is a duplicate
            scene.tx.update_intents([intent])
        wanted.external_id, wanted.state = external_id, LinkState.LIVE
        wanted.hold_id = None
        wanted.mapping_version = page.connection.mapping_version
        scene.dirty(wanted)
        page.counts["adopted" if adopted else "linked"] += 1
        return wanted
    duplicate = bool(here) and not page.stream.acts and any(each.state in LIVING for each in here)
    return _new_link(page, root, external_id, LinkState.DUPLICATE if duplicate else LIVE)


def _review(page: PageContext, record: SourceRecord, external_id: str, candidates: Sequence[int]) -> None:
    """Several entities could be meant: a person decides; the record waits, whole."""
    page.counts["quarantined"] += 1
    page.quarantine.append(
        quarantine_row(
            page, external_id, "", "IDN-AMBIGUOUS", f"its keys belong to {len(candidates)} different entities",
            "say whose it is with `hub identity always`, or correct the key at one of the systems; "
            "then `hub quarantine retry`",
            dict(record.data) | {"entities": list(candidates)},
        )
    )  # fmt: skip
