"""Records that are deleted, archived or merged away over there: their voice ends, their values stay remembered.

What a delete asks of the other systems stands in hub.app.removals. A record comes back only through an observed
restore: a read by id, or of a later stamp, that began after the delete was seen and every replica must show it. Late
webhooks, stale pages and replays never bring one back (law L7); its tombstone stays as proof.
"""

from __future__ import annotations

import hashlib

from hub.app.page import PageContext, content_hash, live_links
from hub.app.removals import carry_on, close_question, edits_unseen, is_ours
from hub.app.scene import Scene
from hub.app.voices import SPEAKING
from hub.core.guards import allowance
from hub.core.mapping import keys_of
from hub.core.planted import PLANTED
from hub.model import Intent, LinkRow, LinkState, SourceRecord
from hub.store.rows import TombstoneRow

DELETED = "deleted"  # state of an entity that no system speaks of any more
SLACK_S = 1.0  # a hint is due a little after every replica must show the last state
GONE = "gone"  # an intent whose record went away before it was settled


def settle_later(page: PageContext, link: LinkRow) -> Intent | None:
    """The write that was in doubt when a record went away; it is back, and what it holds may be ours."""
    known = [each for each in page.scene.tx.intents_of_entities([link.entity_id]) if each.link_id == link.id]
    last = max(known, key=lambda each: each.id, default=None)
    if last is None or last.state != GONE:
        return None
    last.state = "open"
    page.scene.tx.update_intents([last])
    page.intents[link.id] = last
    return last


def take_gone(page: PageContext, link: LinkRow, record: SourceRecord) -> None:
    """A record is deleted, archived or merged away over there."""
    scene, root = page.scene, page.scene.root_of[link.entity_id]
    merged = record.op == "merged_into" and "merge_is_delete" not in PLANTED
    if link.state == LinkState.GONE and merged:  # it was missed before anybody told where it went
        link.state = LinkState.MERGED_INTO
        _mark_gone(page, link, record)
        page.counts["merged_away"] += 1
        return
    if link.state in (LinkState.GONE, LinkState.MERGED_INTO):
        if record.stamp is not None and record.stamp != link.stamp:  # it was back, unseen: no old read shall show it
            _mark_gone(page, link, record)
        page.counts["unchanged"] += 1
        return
    ours = not merged and is_ours(page, link)
    if not merged and not ours and not _delete_allowed(page, link):
        return
    if "recreate_on_404" in PLANTED and not merged and link.behind_since is not None:
        link.state, link.external_id = LinkState.WANTED, None
        scene.dirty(link)
        return
    alive = page.last_known(link)
    unseen = [] if merged or ours else edits_unseen(page, root, link, alive)
    link.state = LinkState.MERGED_INTO if merged else LinkState.GONE
    if merged and record.merged_into:
        scene.findings.seen_merged(link, record.merged_into)
    link.leaving, link.hold_id = None, None
    _mark_gone(page, link, record)
    intent = page.intents.pop(link.id, None)
    if intent is not None:
        intent.state = "done" if ours else GONE  # whether it landed, the record tells if it ever comes back
        scene.tx.update_intents([intent])
    if "no_tombstones" not in PLANTED:
        page.tombstones.append(_tombstone(page, link, record))
    scene.silence(root, link)
    if merged:
        page.counts["merged_away"] += 1
        return
    page.counts["removed_there" if ours else "deleted"] += 1
    _last_of_all(page, root)
    if not ours:
        carry_on(page, root, link, record, alive=alive, unseen=unseen)


def _last_of_all(page: PageContext, root: int) -> None:
    """When nobody speaks of an entity any more it is deleted, and what was to be created for it is not."""
    scene = page.scene
    if any(link.state in SPEAKING for link in scene.links_at[root]):
        return
    scene.set_state(root, DELETED)
    waiting = [link for link in scene.links_at[root] if link.state == LinkState.WANTED]
    busy = scene.tx.intents_for([link.id for link in waiting]) if waiting else {}
    for link in waiting:
        if link.id not in busy:
            link.state, link.behind_since, link.hold_id = LinkState.GONE, None, None
            scene.dirty(link)


def take_unknown(page: PageContext, record: SourceRecord, external_id: str) -> None:
    """Deleted before the hub ever saw it: only the proof is kept, so that a stale page cannot bring it in."""
    page.counts["unchanged"] += 1
    if not page.first_load and record.op != "merged_into" and "no_tombstones" not in PLANTED:
        page.tombstones.append(
            {
                "connection": page.connection.name, "stream": page.mapping.name, "external_id": external_id,
                "evidence": f"{record.op} seen at {page.connection.name}", "at": page.read_at, "stamp": record.stamp,
            }
        )  # fmt: skip


def is_buried(page: PageContext, record: SourceRecord, external_id: str) -> bool:
    """True for a record without a link that is known to be deleted, and asked for, unless this read proves it back."""
    proof = page.buried.get(external_id)
    if proof is None or _proves_restore(page, record, proof["at"], proof.get("stamp")):
        return False
    _ask_later(page, external_id, proof["at"])
    return True


def is_dead(page: PageContext, link: LinkRow, record: SourceRecord) -> bool:
    """True if the record was deleted (or merged away), and this read is no proof that it came back; it is asked for."""
    if link.state not in (LinkState.GONE, LinkState.MERGED_INTO) or "no_tombstones" in PLANTED:
        return False
    if _proves_restore(page, record, link.read_at or 0.0, link.stamp):
        return False
    _ask_later(page, record.external_id, link.read_at or 0.0)
    return True


def _ask_later(page: PageContext, external_id: str, gone_at: float) -> None:
    """What is known to be deleted was shown: once every replica must show the delete, it is read by id (again)."""
    page.counts["stale"] += 1
    if page.connection.connector.fetch is not None:
        due_at = max(page.scene.now, gone_at + page.stream.fetch_lag_s + page.stream.stamp_tick_s) + SLACK_S
        page.hints.append(
            (page.connection.name, page.mapping.source, external_id, None, due_at, "seen after its delete")
        )


def _proves_restore(page: PageContext, record: SourceRecord, gone_at: float, stamp: float | None) -> bool:
    """A strong read, or one of a later stamp, that began after the delete was seen, lag included."""
    if page.read_at <= gone_at + page.lag_s + page.stream.stamp_tick_s:
        return False
    later = record.stamp is not None and stamp is not None and record.stamp > stamp
    unasked = page.connection.connector.fetch is None
    return record.op == "restore" or page.by_id or later or unasked


def revive(page: PageContext, link: LinkRow) -> None:
    """It came back: same link, same shadow; what its delete asked of others is asked no more."""
    scene, root = page.scene, page.scene.root_of[link.entity_id]
    others = [each for each in scene.links_at[root] if each is not link]
    twin = any(each.state == LinkState.LIVE and _place(each) == _place(link) for each in others)
    link.state = LinkState.DUPLICATE if twin else LinkState.LIVE
    for other in others:
        if other.leaving is not None:
            other.leaving, other.hold_id = None, None
            scene.dirty(other)
        if other.state == LinkState.GONE and other.external_id is None and not _lives_there(scene, root, other):
            other.state, other.behind_since = LinkState.WANTED, scene.now  # its create was called off
            scene.dirty(other)
        elif other.state == LinkState.WANTED and other.id not in page.intents and _place(other) == _place(link):
            other.state, other.behind_since, other.hold_id = LinkState.GONE, None, None  # it is back by itself
            scene.dirty(other)
    scene.returned.add(link.id)
    scene.set_state(root, "live")
    close_question(page, root, "restored")
    page.counts["restored"] += 1
    scene.touch_all(root)


def _place(link: LinkRow) -> tuple[str, str]:
    return link.connection, link.stream


def _lives_there(scene: Scene, root: int, link: LinkRow) -> bool:
    """True if another record of the entity lives where this link has none."""
    return any(
        each.state in (LinkState.LIVE, LinkState.OUT_OF_SCOPE) and _place(each) == _place(link)
        for each in scene.links_at[root]
    )


def _tombstone(page: PageContext, link: LinkRow, record: SourceRecord) -> TombstoneRow:
    held = {name: cell.held for name, cell in page.scene.cells(link.id).items()}
    entity = page.mapping.entity_type
    return {
        "link_id": link.id, "entity_id": link.entity_id, "connection": link.connection, "stream": link.stream,
        "external_id": link.external_id or "", "evidence": f"{record.op} seen at {page.connection.name}",
        "at": page.read_at, "stamp": record.stamp,
        "keys": sorted(keyed(page.hub.instance, entity.name, name, value) for name, value, _ in keys_of(entity, held)),
    }  # fmt: skip


def keyed(instance: str, entity: str, name: str, value: str) -> str:
    """An identity key as a tombstone keeps it: it can be recognised by this hub, and not be read."""
    text = f"{entity} {name} {value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, key=instance.encode()[:64], digest_size=16).hexdigest()


def _mark_gone(page: PageContext, link: LinkRow, record: SourceRecord) -> None:
    """The read counts; nothing is written there any more."""
    link.stamp = record.stamp if record.stamp is not None else link.stamp
    link.read_at, link.hash, link.behind_since = page.read_at, content_hash(record), None
    page.scene.dirty(link)


def _delete_allowed(page: PageContext, link: LinkRow) -> bool:
    if (link.id, "") in page.released:
        return True
    if any(name == "" for name, _ in page.held_items.get(link.id, ())):
        return False  # kept back already
    page.tally["deletes", "", ""] += 1
    if page.tally["deletes", "", ""] <= allowance(page.hub.guards["deletes"], live_links(page)):
        return True
    page.held_back.setdefault(("deletes", ""), []).append(link.id)
    page.counts["held_deletes"] += 1
    return False
