"""Two systems whose automations keep overwriting each other: after three writes the field stands still (trap T47).

Seen at the moment of sending, where every cycle must pass: a write is about to overwrite what somebody put there, with
the value that was overwritten by it before. Either the two values went back and forth between two systems (A sets x, B
sets y, A sets x, and now B's y is to be written to A again), or one system put the same value back after each of three
corrections. A person who changes his mind in one system overwrites nobody, and is never stopped.

A frozen field keeps its value, is written nowhere, and asks: an open conflict names both writers. Everything else of
the record goes on. A ruling, or `hub conflicts release`, moves it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hub.app.conflicts import conflict_row
from hub.app.scene import Scene
from hub.core.plan import CASE
from hub.core.planted import PLANTED
from hub.core.values import same
from hub.errors import Drifted
from hub.model import WHOLE, Claim, ConflictKind, ConflictRow, FieldState, Intent, Json, LinkRow

WRITES = 3  # then it stands still
WITHIN_S = 30 * 86_400.0  # writes older than that are no cycle

Due = tuple[LinkRow, tuple[str, ...]]  # a link, and the fields that it lacks


def freeze_cycles(scene: Scene, planned: Sequence[Due]) -> list[Due]:
    """What may be written of what is due; fields that bounce are frozen instead, and asked about."""
    doubtful = {link.entity_id for link, names in planned if any(_overwrites(scene, link, name) for name in names)}
    if not doubtful or "no_freeze" in PLANTED:
        return list(planned)
    writes = _writes(scene, doubtful)
    return [
        (link, tuple(n for n in names if not _freeze_if_bounced(scene, link, n, writes))) for link, names in planned
    ]


def _overwrites(scene: Scene, link: LinkRow, name: str) -> bool:
    """True if somebody put there what is to be overwritten."""
    cell = None if name.startswith(CASE) else scene.cells(link.id).get(name)
    return cell is not None and bool(cell.own)


def _writes(scene: Scene, entity_ids: set[int]) -> Mapping[int, list[Intent]]:
    """Root entity -> its updates of late that left, newest first."""
    found: dict[int, list[Intent]] = defaultdict(list)
    roots = {scene.root_of[each] for each in entity_ids}
    members = [each for each, root in scene.root_of.items() if root in roots]
    for intent in reversed(scene.tx.intents_of_entities(members)):
        if intent.op == "update" and intent.state != "not_done" and intent.created_at > scene.now - WITHIN_S:
            found[scene.root_of[intent.entity_id]].append(intent)
    return found


def _freeze_if_bounced(scene: Scene, link: LinkRow, name: str, writes: Mapping[int, list[Intent]]) -> bool:
    root = scene.root_of[link.entity_id]
    if not _overwrites(scene, link, name) or not _is_cycle(scene, root, link, name, writes.get(root, ())):
        return False
    asked = scene.tx.conflicts(entity_id=root, field=name, kind=ConflictKind.OSCILLATION)
    fresh = [each for each in writes[root] if all(each.version > row.version for row in asked)]
    if not _is_cycle(scene, root, link, name, fresh):  # a person let it go: what was before that does not count
        return False
    scene.freeze(root, name)
    scene.conflicts.append(_question(scene, root, link, name))
    return True


def _is_cycle(scene: Scene, root: int, link: LinkRow, name: str, writes: Sequence[Intent]) -> bool:
    """True if the last writes of this field only ever exchanged the two values that are exchanged now, each the same
    way: a value that both were given once, and that one of them took back, is no cycle."""
    declared = scene.entity_type(root).fields[name]
    state, held = scene.states(root)[name], scene.cells(link.id)[name].held
    writer = _writer(state, link)
    past = [each for each in writes if name in each.values and each.link_id in (link.id, writer)][:WRITES]
    if len(past) < WRITES:
        return False
    given = {writer: held, link.id: state.value}  # one link alone: it is given the same again and again
    if not all(same(declared, each.values[name], given[each.link_id]) for each in past):
        return False
    to = [each.link_id for each in past]
    return to in ([writer, link.id, writer], [link.id] * WRITES)


def _writer(state: FieldState, link: LinkRow) -> int:
    """The link whose claim stands; of a set, the newest one that is not this link's."""
    claims = [claim for claim in state.memory.values() if claim.link != link.id] or list(state.memory.values())
    if not claims:
        return link.id
    return (state.memory.get(WHOLE) or max(claims, key=lambda claim: claim.taken)).link


def _question(scene: Scene, root: int, link: LinkRow, name: str) -> ConflictRow:
    state, cell = scene.states(root)[name], scene.cells(link.id)[name]
    lost = [(part, claim, False) for part, claim in cell.own.items()]
    stands = [(part, claim, True) for part, claim in state.memory.items() if claim.link != link.id]
    candidates = [_candidate(scene, part, claim, won=won) for part, claim, won in (*lost, *stands)]
    row = conflict_row(
        root, name, ConflictKind.OSCILLATION, candidates, state.value, winner_link=_writer(state, link), decided_by="",
        open_=True, at=scene.now, version=scene.version, run_id=scene.run_id,
    )  # fmt: skip
    home = scene.links.get(_writer(state, link))
    names = " and ".join(sorted({link.connection, home.connection if home else "a system that is gone"}))
    return replace(row, note=f"{names} keep overwriting each other; it stands still until a person decides")


def _candidate(scene: Scene, part: str, claim: Claim, *, won: bool) -> dict[str, Json]:
    home = scene.links.get(claim.link)
    return {**claim._asdict(), "connection": home.connection if home else None, "part": part, "won": won}


def release(scene: Scene, conflict: ConflictRow) -> None:
    """The field moves again, by its rule. Raises Drifted if it does not stand still."""
    root = scene.root_of[conflict.entity_id]
    if conflict.kind != ConflictKind.OSCILLATION or conflict.state == "closed":
        where, fix = f"conflict {conflict.id}", "other conflicts are resolved: hub conflicts resolve"
        raise Drifted("only a field that stands still can be released", where=where, fix=fix)
    scene.thaw(root, conflict.field)
