"""Whose is a record that has no link yet: adopted by the hub's id, matched by key, new, or a person's to decide."""

from __future__ import annotations

from collections.abc import Sequence

from hub.app.page import PageContext, quarantine_row
from hub.core.identity import decide_match
from hub.core.mapping import keys_of
from hub.core.planted import PLANTED
from hub.model import EntityRow, LinkRow, LinkState, MappedRecord, SourceRecord


def link_for(page: PageContext, record: SourceRecord, mapped: MappedRecord, external_id: str) -> LinkRow | None:
    """The link of a record that has none yet: adopted by the hub's id, matched by key, or new."""
    marked = page.hub.entity_of_marker(record.marker) if "no_adopt" not in PLANTED else None
    if marked is not None and marked in page.scene.root_of:
        return _attach(page, page.scene.root_of[marked], external_id, adopted=True)
    entity = page.hub.canonical.entities[page.mapping.entity]
    if not page.mapping.in_scope(mapped.values):
        page.counts["out_of_scope"] += 1
        return None
    keys = {(name, value) for name, value, _ in keys_of(entity, mapped.values)}
    match = decide_match(entity, mapped.values, _owners(page, keys))
    if match.outcome == "ambiguous":
        _review(page, record, external_id, match.candidates)
        return None
    if match.outcome == "keyless" and page.mapping.name != page.mapping.source:
        page.counts["keyless"] += 1
        return None
    if match.entity_id is not None and _create_in_flight(page, match.entity_id, external_id):
        return None
    root = match.entity_id if match.entity_id is not None else _new_entity(page)
    for key in keys:
        page.scene.fresh_keys[page.mapping.entity, *key].add(root)
    if match.weak:
        page.scene.reviews.append((root, match.weak))
    return _attach(page, root, external_id, adopted=False)


def _create_in_flight(page: PageContext, root: int, external_id: str) -> bool:
    """True while a create of ours for this entity may still land: the record is read again when that is settled."""
    for link in page.scene.links_at[root]:
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
    scene, found = page.scene, {}
    for key in keys:
        roots = {scene.root_of[each] for each in page.owners.get(key, ()) if each in scene.root_of}
        roots |= scene.fresh_keys.get((page.mapping.entity, *key), set())
        if roots:
            found[key] = sorted(roots)
    return found


def _new_entity(page: PageContext) -> int:
    entity_id = page.scene.new_id("entity")
    page.scene.add_entity(EntityRow(id=entity_id, type=page.mapping.entity, created_at=page.scene.now))
    page.counts["entities"] += 1
    return entity_id


def _attach(page: PageContext, root: int, external_id: str, *, adopted: bool) -> LinkRow:
    """Give an entity this record: onto its wanted link, as a new link, or as a duplicate beside a live one."""
    scene, name, stream = page.scene, page.connection.name, page.mapping.name
    scene.set_state(root, "live")  # somebody speaks of it, perhaps again
    here = [each for each in scene.links_at[root] if (each.connection, each.stream) == (name, stream)]
    wanted = next((each for each in here if each.state == LinkState.WANTED), None)
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
    living = [each for each in here if each.state in (LinkState.LIVE, LinkState.OUT_OF_SCOPE)]
    duplicate = bool(living) and not page.stream.acts
    link = LinkRow(
        id=scene.new_id("link"), connection=name, stream=stream, external_id=external_id, entity_id=root,
        state=LinkState.DUPLICATE if duplicate else LinkState.LIVE, mapping_version=page.connection.mapping_version,
    )  # fmt: skip
    scene.add_link(link)
    page.counts["duplicates" if duplicate else "linked"] += 1
    return link


def _review(page: PageContext, record: SourceRecord, external_id: str, candidates: Sequence[int]) -> None:
    """Several entities could be meant: a person decides; the record waits, whole."""
    page.counts["quarantined"] += 1
    page.quarantine.append(
        quarantine_row(
            page, external_id, "", "IDN-AMBIGUOUS", f"its keys belong to {len(candidates)} different entities",
            "correct the key at one of the systems, then `hub quarantine retry`",
            dict(record.data) | {"entities": list(candidates)},
        )
    )  # fmt: skip
