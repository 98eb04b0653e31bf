"""Closing a write of ours by proof (reliability.md §4.4 step 6).

An intent is closed when a read shows that it landed or certainly did not; until then it stays open, whatever the
answer was. *agreed* moves only here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import takewhile
from typing import TYPE_CHECKING

from hub.app.conflicts import conflict_row
from hub.app.scene import Scene
from hub.core.changes import Verdict, judge_intent, settle_cells
from hub.core.mapping import held_form
from hub.core.plan import CASE, REMOVALS
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.model import NO_VERSION, Cell, ConflictKind, Intent, Json, LinkRow, LinkState, SourceRecord

if TYPE_CHECKING:
    from hub.app.ingest import PageContext

UNEXPLAINED = "unexplained"  # closed: it landed, and then somebody else wrote what nobody can attribute


def settle_intent(
    page: PageContext, link: LinkRow, intent: Intent, shown: Mapping[str, Json], record: SourceRecord
) -> bool:
    """Judge an open intent by a record that was just read, and close it if the record proves anything.

    Returns:
        True if it stays open: the fields it sent are left alone until it is settled, since what they show may be ours.
    """
    scene, fields = page.scene, page.mapping.entity_type.fields
    if intent.op in REMOVALS:
        return _settle_removal(page, link, intent)
    forms = {
        name: held_form(page.mapping, name, value) for name, value in intent.values.items() if not name.startswith(CASE)
    }
    if intent.op == "create":  # the record carries our id, or was answered: it exists, so the create landed
        strange = {
            name: shown[name]
            for name, form in forms.items()
            if name in shown and not record.by_hub and not same(fields[name], shown[name], form)
        }
        close_landed(scene, link, intent, stored_by(page, intent, shown, strange), read_at=page.read_at)
        _note_strangers(scene, link, strange)
        page.counts["settled"] += 1
        return False
    judgement = judge_intent(
        intent, fields, scene.cells(link.id), shown, forms=forms, stamp=record.stamp, by_hub=record.by_hub,
        now=page.read_at, lag_s=page.lag_s + page.stream.stamp_tick_s,
        tries={} if record.by_hub else _unexplained(scene, intent),
    )  # fmt: skip
    match judgement.verdict:
        case Verdict.WAIT:
            page.counts["intents_waiting"] += 1
            return True
        case Verdict.LANDED:
            close_landed(scene, link, intent, stored_by(page, intent, shown), read_at=page.read_at)
            page.counts["settled"] += 1
        case Verdict.NOT_LANDED:
            close_not_done(scene, link, intent)
            page.counts["not_landed"] += 1
        case Verdict.MIXED:  # of what is hidden, only an acknowledgement tells
            left = {n for n in forms if n not in judgement.stored and (n in shown or intent.state != "acked")}
            close_landed(scene, link, intent, stored_by(page, intent, shown, left), read_at=page.read_at)
            intent.state = UNEXPLAINED
            scene.tx.update_intents([intent])
            _note_strangers(scene, link, judgement.strange)
            page.counts["settled"] += 1
    return False


def _settle_removal(page: PageContext, link: LinkRow, intent: Intent) -> bool:
    """The record that was to go is there: it did not land yet, never will, or somebody brought it back since."""
    lag_s = page.lag_s + page.stream.stamp_tick_s
    if page.read_at < (intent.last_possible or intent.created_at) + lag_s:
        page.counts["intents_waiting"] += 1
        return True
    if intent.state == "acked":
        intent.state, link.leaving = "done", None
        page.scene.tx.update_intents([intent])
        page.scene.look_again(link)
        page.counts["settled"] += 1
    else:
        close_not_done(page.scene, link, intent)
        page.counts["not_landed"] += 1
    return False


def _unexplained(scene: Scene, intent: Intent) -> dict[str, int]:
    """Field -> how many writes of this very value to this link, the last ones before this, nobody could explain."""
    past = [
        each
        for each in scene.tx.intents_of_entities([intent.entity_id])
        if each.link_id == intent.link_id and each.id < intent.id and each.state != "not_done"
    ]
    past.sort(key=lambda each: each.id, reverse=True)
    counts = {}
    for name, value in intent.values.items():
        same_value = takewhile(lambda each: each.state == UNEXPLAINED and each.values.get(name) == value, past)  # noqa: B023
        counts[name] = sum(1 for _ in same_value)
    return counts


def tells_all(intent: Intent, shown: Mapping[str, Json]) -> bool:
    """Whether a record shows every field that was sent, but for computed ones, which no record shows."""
    return all(name in shown or name.startswith(CASE) for name in intent.values)


def stored_by(
    page: PageContext, intent: Intent, shown: Mapping[str, Json], strange: Collection[str] = ()
) -> dict[str, Json]:
    """What a landed write left: the fields as read; what is not shown (computed, or hidden from us) as it was sent.

    A system may take a field that it does not let us see: without the second half it would be sent for ever.
    """
    if "sent_is_held" in PLANTED:
        return dict(intent.values)
    return {
        name: shown[name] if name in shown else held_form(page.mapping, name, value)
        for name, value in intent.values.items()
        if name not in strange
    }


def close_landed(scene: Scene, link: LinkRow, intent: Intent, stored: Mapping[str, Json], *, read_at: float) -> None:
    """The write is there: what was sent is held, as of the version it was frozen at; the claim it met retires."""
    root = scene.root_of[link.entity_id]
    fields = scene.entity_type(root).fields
    for name in stored:
        cell = scene.cells(link.id).get(name)
        if cell is not None and cell.own:
            scene.depart(root, name, cell.own, is_set=fields[name].kind == "set")
    scene.set_cells(link.id, settle_cells(scene.cells(link.id), stored, intent.version))
    for name in stored:
        if not name.startswith(CASE):
            scene.touch(root, name)
    intent.state, intent.landed_at = "done", read_at
    scene.tx.update_intents([intent])
    link.attempts, link.retry_at = 0, None
    scene.look_again(link)


def close_not_done(scene: Scene, link: LinkRow, intent: Intent) -> None:
    """It certainly did not happen and never will: plan again."""
    intent.state = "not_done"
    scene.tx.update_intents([intent])
    if link.state in (LinkState.LIVE, LinkState.WANTED):  # it may have become the second of two since
        link.behind_since = link.behind_since or scene.now
    scene.dirty(link)


def _note_strangers(scene: Scene, link: LinkRow, strange: Mapping[str, Json]) -> None:
    """A value that neither we nor the past explain never wins in silence: it is put on record and corrected."""
    root = scene.root_of[link.entity_id]
    cells = dict(scene.cells(link.id))
    for name, value in strange.items():
        stands = scene.states(root).get(name)
        cells[name] = Cell(held=value, agreed=NO_VERSION)
        scene.touch(root, name)
        if is_empty(value):
            continue
        candidate = {
            "link": link.id, "value": value, "after": link.read_at or 0.0, "before": scene.now, "base": NO_VERSION,
            "taken": scene.version, "connection": link.connection, "part": "", "won": False,
        }  # fmt: skip
        scene.conflicts.append(
            conflict_row(
                root, name, ConflictKind.CONCURRENT, [candidate], stands.value if stands else None, winner_link=None,
                decided_by="rule:unattributable", open_=False, at=scene.now, version=scene.version,
                run_id=scene.run_id,
            )
        )  # fmt: skip
    scene.set_cells(link.id, cells)
