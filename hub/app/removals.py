"""What a delete in one system asks of the others, and what a person decides where it met an edit.

The story of a delete: the record is gone, and nobody who deleted it can have missed an edit made elsewhere meanwhile.
Then the other links are *leaving*: the next push archives or deletes their records, by an intent like any other write,
under the guard on deletes. But where an edit was made that the deleted side was never shown, or one comes in before the
removal has left, nothing is removed: a person decides (`edit_delete`). Where the mapping says `ask`, a person always
does. The record that was deleted is not made again by anybody but a person (law L7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hub.app.conflicts import conflict_row
from hub.app.page import PageContext, quarantine_row
from hub.app.scene import Scene
from hub.app.voices import SPEAKING
from hub.core.plan import REMOVALS, removal
from hub.errors import NeedsReview, NotFound
from hub.model import LONG_AGO, NO_VERSION, Claim, ConflictKind, ConflictRow, Json, LinkRow, LinkState, SourceRecord

RECORD = ""  # field of conflicts that are about the whole record
DELETE, KEEP = "delete", "keep"  # what a person may decide
OUTGOING = "removals"  # field of holds on what would be removed there; "" is for deletes seen there

Unseen = Sequence[tuple[str, Claim]]  # (field, claim)


def is_ours(page: PageContext, link: LinkRow) -> bool:
    """True if the record is gone because we removed it, or were about to."""
    intent = page.intents.get(link.id)
    return link.leaving is not None or (intent is not None and intent.op in REMOVALS)


def edits_unseen(page: PageContext, root: int, link: LinkRow, since: float) -> Unseen:
    """Edits made elsewhere that whoever deleted this record may not have known of.

    Args:
        since: until then it was certainly there; edits from before are known, and so are those it was given.
    """
    scene = page.scene
    cells = scene.cells(link.id)
    found = []
    for other in scene.links_at[root]:
        if other is link or other.state not in SPEAKING:
            continue
        for name, cell in scene.cells(other.id).items():
            given = cells[name].agreed if name in cells else NO_VERSION
            found += [
                (name, claim)
                for claim in cell.own.values()
                if claim.after != LONG_AGO and claim.before > since and given < claim.taken
            ]
    return found


def carry_on(
    page: PageContext, root: int, link: LinkRow, record: SourceRecord, *, alive: float, unseen: Unseen
) -> None:
    """Let the delete do at the other systems what the mappings say, or ask.

    Args:
        alive: until then it was certainly there.
        unseen: edits that whoever deleted it may not have known of.
    """
    rest = [each for each in page.scene.links_at[root] if each is not link and each.connection == link.connection]
    if any(each.state in SPEAKING for each in rest):
        return  # a duplicate, or a lead beside its contact: the system still has the entity
    asked = page.mapping.deletes_in
    if record.op == "archive" and asked == "delete":
        asked = "archive"  # an archive asks for no more than an archive
    if unseen:
        _ask(page, root, link, unseen, alive=alive)
    elif asked == "ask":
        if _removals(page.scene, root, link, DELETE):
            _ask(page, root, link, (), alive=alive)
    else:
        _mark(page, root, link, asked)


def _removals(scene: Scene, root: int, link: LinkRow, asked: str) -> list[tuple[LinkRow, str | None]]:
    """(link, operation or None where the system cannot do what both allow) of the records that should follow."""
    found = []
    for other in scene.links_at[root]:
        mapping = scene.hub.mapping_of(other.connection, other.stream)
        if other is link or other.state != LinkState.LIVE or mapping is None:
            continue
        if asked in REMOVALS and mapping.deletes_out in REMOVALS:
            writes = scene.hub.connections[other.connection].stream_of(mapping).writes
            found.append((other, removal(asked, mapping.deletes_out, writes)))
    return found


def _mark(page: PageContext, root: int, link: LinkRow, asked: str) -> None:
    for other, operation in _removals(page.scene, root, link, asked):
        if operation is None:
            row = quarantine_row(
                page, other.external_id or "", "", "PUSH-CANNOT",
                f"was deleted at {link.connection}, and {other.connection} cannot archive",
                "delete it there by hand, or say deletes: {out: delete}", None,
            )  # fmt: skip
            page.quarantine.append(
                replace(row, connection=other.connection, stream=other.stream, direction="out", link_id=other.id)
            )
        else:
            _leave(page.scene, other, operation)


def _leave(scene: Scene, link: LinkRow, operation: str) -> None:
    link.leaving, link.behind_since, link.retry_at = operation, scene.now, None
    scene.dirty(link)


def contest(page: PageContext, root: int, link: LinkRow) -> None:
    """An edit came in while records of the entity were about to be removed: they stay, and a person decides."""
    scene = page.scene
    going = [each for each in scene.links_at[root] if each.leaving is not None]
    if not going:
        return
    busy = scene.tx.intents_for([each.id for each in going])
    staying = [each for each in going if each.id not in busy]
    for each in staying:
        each.leaving, each.hold_id = None, None
        scene.dirty(each)
    gone = [each for each in scene.links_at[root] if each.state == LinkState.GONE and each.external_id]
    if staying and gone:
        edits = [
            (name, claim)
            for name, cell in scene.cells(link.id).items()
            for claim in cell.own.values()
            if claim.taken == scene.version
        ]
        _ask(page, root, max(gone, key=lambda each: each.read_at or 0.0), edits, alive=LONG_AGO)


def _ask(page: PageContext, root: int, link: LinkRow, edits: Unseen, *, alive: float) -> None:
    """An open question about the whole record: candidate 0 is the delete, the others speak for keeping it."""
    scene = page.scene
    seen = Claim(link.id, None, alive, link.read_at or page.read_at, NO_VERSION, scene.version)
    candidates = [_candidate(scene, link, "deleted", seen)]
    candidates += [
        {**_candidate(scene, scene.links[claim.link], name, claim), "won": True} for name, claim in edits
    ]  # fmt: skip
    if not edits:
        living = next(each for each in scene.links_at[root] if each is not link and each.state in SPEAKING)
        claim = Claim(living.id, None, LONG_AGO, living.read_at or 0.0, NO_VERSION, scene.version)
        candidates.append({**_candidate(scene, living, KEEP, claim), "won": True})
    named = ", ".join(sorted({f"{name} at {scene.links[claim.link].connection}" for name, claim in edits}))
    note = f"deleted at {link.connection}" + (f", edited since: {named}" if named else "; the mapping says: ask")
    row = conflict_row(
        root, RECORD, ConflictKind.EDIT_DELETE, candidates, KEEP, winner_link=None, decided_by="", open_=True,
        at=scene.now, version=scene.version, run_id=scene.run_id,
    )  # fmt: skip
    scene.conflicts.append(replace(row, note=note))
    page.counts["edit_delete"] += 1


def _candidate(scene: Scene, link: LinkRow, part: str, claim: Claim) -> dict[str, Json]:
    return {**claim._asdict(), "connection": link.connection, "part": part, "won": False}


def close_question(page: PageContext, root: int, why: str) -> None:
    """The record came back by itself: there is nothing left to decide."""
    for row in page.scene.tx.conflicts(state="open", entity_id=root, field=RECORD):
        page.scene.tx.close_conflict(row.id or 0, f"rule:{why}", KEEP, None, row.note)


# A person decides


def decide_record(
    scene: Scene, conflict: ConflictRow, *, candidate: int | None, value: Json, by: str, note: str
) -> str:
    """Let a delete stand everywhere (as far as the mappings allow), or keep the record and give the deleted side one.

    Args:
        candidate: of the conflict; 0 is the delete. Or `value`: "delete" or "keep".

    Returns:
        "delete" or "keep".

    Raises:
        NotFound: there is no such candidate. NeedsReview: another value.
    """
    choice = _choice(conflict, candidate, value)
    root = scene.root_of[conflict.entity_id]
    link = scene.links[conflict.candidates[0]["link"]]
    mapping = scene.hub.mapping_of(link.connection, link.stream)
    if choice == DELETE:
        asked = mapping.deletes_in if mapping is not None and mapping.deletes_in != "ask" else DELETE
        for other, operation in _removals(scene, root, link, asked):
            if operation is not None:
                _leave(scene, other, operation)
    elif mapping is not None:
        _create_again(scene, root, link)
    scene.tx.close_conflict(conflict.id or 0, f"person:{by}", choice, None, note or conflict.note)
    return choice


def _choice(conflict: ConflictRow, candidate: int | None, value: Json) -> str:
    if candidate is not None:
        if not 0 <= candidate < len(conflict.candidates):
            raise NotFound(f"there is no candidate {candidate}", where=f"conflict {conflict.id}", fix="counted from 0")
        return DELETE if candidate == 0 else KEEP
    if value not in (DELETE, KEEP):
        fix = "candidate 0 is the delete; or say the value delete, or keep"
        raise NeedsReview("a deleted record is kept or deleted", where=f"conflict {conflict.id}", fix=fix)
    return str(value)


def _create_again(scene: Scene, root: int, link: LinkRow) -> None:
    """The side that deleted gets a new record, where its mapping creates any; the old id stays as it is."""
    connection, values = scene.hub.connections[link.connection], scene.values(root)
    mapping = connection.mappings[link.stream]
    here = [each for each in scene.links_at[root] if (each.connection, each.stream) == (link.connection, link.stream)]
    if link.state != LinkState.GONE or any(each.state != LinkState.GONE for each in here):
        return
    creates = connection.writes and connection.stream_of(mapping).writes & {"create", "upsert"}
    if creates and mapping.allows_create(values) and mapping.in_scope(values):
        scene.new_wanted(root, connection, mapping)
