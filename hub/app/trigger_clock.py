"""What fires because time passed: a silence that lasted long enough, a slot of a schedule.

How far a rule has looked is kept after what it found: a process that dies between looks again at the same people, and
comes to the same keys. Of slots that were missed the newest one is made up for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub.app.context import Hub
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.app.triggers import concerned, fire
from hub.core.triggers import SCHEDULE, SILENCE, Cause, TriggerRule
from hub.runtime.slots import newest_slot
from hub.store import Tx

PAGE = 200
LOOK_S = 60.0
MADE_UP_S = 7 * 86_400.0  # slots older than that are not made up for


def look_at_clock(hub: Hub) -> None:
    """Let rules fire whose time has come."""
    for rule in hub.triggers.rules.values():
        look = {SILENCE: _silences, SCHEDULE: _slot}.get(rule.cause)
        if look is not None:
            now = hub.clock.now()
            with hub.store.reading() as tx:
                kept = tx.setting(_place(rule))
            if kept is None or now >= kept["until"] + LOOK_S:
                look(hub, rule, kept["until"] if kept is not None else None, now)
                _keep(hub, rule, now)


def _keep(hub: Hub, rule: TriggerRule, until: float) -> None:
    commit(hub, lambda tx: tx.set_setting(_place(rule), {"until": until}))


def _place(rule: TriggerRule) -> str:
    return f"trigger.looked.{rule.name}"


def _silences(hub: Hub, rule: TriggerRule, until: float | None, now: float) -> None:
    after = max(until if until is not None else 0.0, rule.active_from) - rule.silent_s
    with hub.store.reading() as tx:
        found = tx.fell_silent(rule.silent_events, after, now - rule.silent_s)
    for start in range(0, len(found), PAGE):
        page = found[start : start + PAGE]

        def once(tx: Tx, page: Sequence[tuple[int, float]] = page) -> None:
            scene = Scene(hub=hub, tx=tx, now=now)
            causes = {}
            scene.load(subject for subject, _ in page)
            for subject, last in page:
                root = scene.root_of.get(subject)
                if root is not None and scene.entities[root].type == rule.of and not _spoke(scene, rule, root, last):
                    causes[root] = silence_of(root, last, rule, now)
            _fire(scene, hub, rule, sorted(causes.values(), key=lambda cause: (cause.at, cause.entity_id)))

        commit(hub, once)


def silence_of(root: int, last: float, rule: TriggerRule, noticed_at: float) -> Cause:
    return Cause(key=f"silence:{root}:{last!r}", entity_id=root, at=last + rule.silent_s, noticed_at=noticed_at)


def _spoke(scene: Scene, rule: TriggerRule, root: int, last: float) -> bool:
    """Whether the person did something later, under another of their names."""
    members = [each for each, of in scene.root_of.items() if of == root]
    later = scene.tx.events(subject_ids=members, since=last) if len(members) > 1 else ()
    return any(event.at > last and event.name in rule.silent_events for event in later if event.withdrawn_at is None)


def _slot(hub: Hub, rule: TriggerRule, until: float | None, now: float) -> None:
    """A rule that is new waits for its first slot: what was before it never fires."""
    if until is None:
        return
    after = max(until, rule.active_from, now - MADE_UP_S)
    slot = newest_slot(rule.slots, after, now, hub.triggers.zone)
    after_id = 0
    while slot is not None:
        with hub.store.reading() as tx:
            rows = tx.entities_page(rule.of, after_id=after_id, limit=PAGE)
        if not rows:
            return
        after_id = rows[-1].id
        ids = [row.id for row in rows if row.state == "live"]
        commit(hub, _slot_page(hub, rule, ids, slot, now))


def _slot_page(hub: Hub, rule: TriggerRule, ids: Sequence[int], slot: float, now: float) -> Callable[[Tx], None]:
    def once(tx: Tx) -> None:
        scene = Scene(hub=hub, tx=tx, now=now)
        scene.load(ids)
        causes = [
            Cause(key=f"slot:{int(slot)}:{each}", entity_id=each, at=slot, noticed_at=now)
            for each in ids
            if scene.root_of.get(each) == each
        ]
        _fire(scene, hub, rule, causes)

    return once


def _fire(scene: Scene, hub: Hub, rule: TriggerRule, causes: Sequence[Cause]) -> None:
    scene.load({each for cause in causes for each in concerned(rule, scene.values(scene.root_of[cause.entity_id]))})
    for cause in causes:
        fire(scene, hub.triggers, rule, cause)
