"""Records that are deleted, archived or merged away over there: their voice ends, their values stay remembered."""

from __future__ import annotations

from hub.app.page import PageContext, content_hash, live_links
from hub.core.guards import allowance
from hub.model import LinkRow, LinkState, SourceRecord


def take_gone(page: PageContext, link: LinkRow, record: SourceRecord) -> None:
    """A record is deleted, archived or merged away over there: its voice ends, its values stay remembered."""
    scene, root = page.scene, page.scene.root_of[link.entity_id]
    if link.state in (LinkState.GONE, LinkState.MERGED_INTO):
        page.counts["unchanged"] += 1
        return
    if record.op != "merged_into" and not _delete_allowed(page, link):
        return
    link.state = LinkState.MERGED_INTO if record.op == "merged_into" else LinkState.GONE
    link.stamp = record.stamp if record.stamp is not None else link.stamp
    link.read_at, link.hash, link.behind_since = page.read_at, content_hash(record), None
    scene.dirty(link)
    intent = page.intents.pop(link.id, None)
    if intent is not None:
        intent.state = "not_done"
        scene.tx.update_intents([intent])
    evidence = f"{record.op} seen at {page.connection.name}"
    scene.tx.add_tombstones(
        [
            {
                "link_id": link.id, "entity_id": link.entity_id, "connection": link.connection, "stream": link.stream,
                "external_id": link.external_id or "", "evidence": evidence, "at": scene.now, "keys": [],
            }
        ]
    )  # fmt: skip
    for name, cell in scene.cells(link.id).items():
        if cell.own:
            scene.depart(root, name, cell.own, is_set=page.mapping.entity_type.fields[name].kind == "set")
    scene.touch_all(root)
    page.counts["deleted" if record.op != "merged_into" else "merged_away"] += 1


def _delete_allowed(page: PageContext, link: LinkRow) -> bool:
    page.tally["deletes", "", ""] += 1
    if page.tally["deletes", "", ""] <= allowance(page.hub.guards["deletes"], live_links(page)):
        return True
    if (link.id, "") in page.released:
        return True
    page.held_back.setdefault(("deletes", ""), []).append(link.id)
    page.counts["held_deletes"] += 1
    return False
