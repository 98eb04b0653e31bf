"""What an undo writes: the before-images that a run's intents kept, where the system still holds what we wrote.

A field is put back if nothing has happened to it since: its cell has no claim of that system, *agreed* is the version
of the run's own intent, and the entity has no newer value on its way. All else is listed and left.

Why the next sync does not push the value again (design.md §4, idea 2): a write is due only if the system says so
itself or was last given an older version. An undo is a write of ours like any other: once it landed, *held* is the
before-image and *agreed* the version of the undo, which is younger than the entity's value. So it stays until the
value changes anew. A ruling would not do: it would be pushed to systems that the run never touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hub.app.carry import MADE
from hub.app.context import Connection, Hub
from hub.app.planned import Dict, PlannedWrite
from hub.app.push import Batch, add_intent, plan_links
from hub.app.scene import Scene
from hub.connector import Stream
from hub.core.mapping import Outward, StreamMapping, to_external
from hub.core.plan import CASE, REMOVALS
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.model import LONG_AGO, NO_VERSION, Intent, Json, LinkRow, LinkState, QuarantineRow

# Why something is left as it is: code -> what is said of it.
LEFT: Mapping[str, str] = {
    "UNDO-EDITED": "somebody changed it at the system since",
    "UNDO-SINCE": "the hub has written it again since; undo that run first",
    "UNDO-MOVED": "the entity has a newer value by now, which the next sync writes",
    "UNDO-UNKNOWN": "what was there before was never read",
    "UNDO-CONSENT": "an opt-out is never undone by a machine, and a blank cannot be written over consent",
    "UNDO-MAPPING": "the mapping does not write it any more, or the record has left its scope",
    "UNDO-HOLD": "a guard keeps it back until a person decides: hub holds list",
    "UNDO-GONE": "there is no such record any more",
    "UNDO-OPEN": "whether the write landed is not settled yet; try again after the next sync",
    "UNDO-CREATED": "the run created it; the mapping's `deletes: {out: …}` does not allow to delete it",
    "UNDO-CANNOT": "the run created it, and this system cannot delete or archive such records",
    "UNDO-THERE": "the run deleted it, but there is another record of this entity by now",
    "UNDO-REWARD": "orders of rewards stay as they are: hub rewards list",
}


@dataclass(slots=True)
class UndoMaker:
    """Undoes runs.

    Args:
        hub: whose runs.
        runs: their numbers.
        delete_created: records that the runs created may be deleted where the mapping says never.
    """

    hub: Hub
    runs: Sequence[int]
    delete_created: bool = False
    strangers: frozenset[tuple[str, str, str]] = frozenset()  # (connection, stream, id): last written by others
    left: list[Dict] = field(default_factory=list)
    already: int = 0  # fields that hold what they held before the runs
    made: dict[int, list[Intent]] = field(default_factory=dict)  # link id -> writes of the runs that landed, in order
    open_links: set[int] = field(default_factory=set)  # links with a write that is not settled

    def __post_init__(self) -> None:
        self.load()

    def load(self) -> None:
        """Read the intents anew: reading the records may have settled some."""
        self.made, self.open_links = {}, set()
        with self.hub.store.reading() as tx:
            found = [intent for run_id in self.runs for intent in tx.intents_of_run(run_id)]
        grouped: dict[int, list[Intent]] = defaultdict(list)
        for intent in sorted(found, key=lambda each: each.id):
            if intent.state in MADE:
                grouped[intent.link_id].append(intent)
            elif intent.state == "open":
                self.open_links.add(intent.link_id)
        self.made = dict(grouped)

    # For hub.app.carry

    def wants(self, scene: Scene, connection: Connection, mapping: StreamMapping, root: int) -> bool:
        """A record that the runs removed is made again, unless there is another by now."""
        links = scene.links_at[root]
        removed = any(each.id in self.made and self.made[each.id][-1].op in REMOVALS for each in links)
        rivals = {name for name, each in connection.mappings.items() if not connection.stream_of(each).acts}
        here = [each for each in links if each.connection == connection.name and each.stream in rivals]
        if not removed or any(each.state in (LinkState.LIVE, LinkState.WANTED) for each in here):
            return False
        scene.set_state(root, "live")
        scene.new_wanted(root, connection, mapping)
        return True

    def make(self, batch: Batch, scene: Scene, writes: Mapping[int, PlannedWrite]) -> list[QuarantineRow]:
        """Fill the batch with what puts these links back."""
        creates = [each for each in writes if writes[each].op == "create"]
        rows = plan_links(batch, scene, creates)
        self.put_back(batch, scene, [each for each in writes if writes[each].op != "create"])
        return rows

    def put_back(self, batch: Batch, scene: Scene, link_ids: Iterable[int]) -> None:
        """Freeze the inverse of what the runs wrote to these links; what cannot be undone joins `left`."""
        wanted = list(link_ids)
        busy, held = scene.tx.intents_for(wanted), scene.tx.held_items(wanted)
        for link_id in wanted:
            link, intents = scene.links[link_id], self.made.get(link_id, [])
            if link_id in busy or link_id in self.open_links:
                self.leave(link, "UNDO-OPEN")
            elif not intents or intents[-1].op in REMOVALS:
                continue
            elif link.state != LinkState.LIVE:
                self.leave(link, "UNDO-MAPPING" if link.state == LinkState.OUT_OF_SCOPE else "UNDO-GONE")
            elif any(intent.op == "create" for intent in intents):
                self._remove(batch, scene, link, intents, held.get(link_id, set()))
            else:
                self._restore(batch, scene, link, intents, {name for name, _ in held.get(link_id, ())})

    def leave(self, link: LinkRow, code: str, name: str = "", reason: str = "") -> None:
        self.left.append(
            {
                "connection": link.connection, "stream": link.stream, "entity": link.entity_id,
                "external_id": link.external_id, "field": name.removeprefix(CASE), "code": code,
                "reason": reason or LEFT[code],
            }
        )  # fmt: skip

    # Records that the runs created

    def _remove(
        self, batch: Batch, scene: Scene, link: LinkRow, intents: Sequence[Intent], held: set[tuple[str, int]]
    ) -> None:
        op = removal(batch.stream, batch.mapping, free=self.delete_created)
        place = (link.connection, link.stream, link.external_id or "")
        made = next(each for each in intents if each.op == "create")
        edited = was_edited(scene, link, made) or place in self.strangers
        if held:
            self.leave(link, "UNDO-HOLD")
        elif edited:
            self.leave(link, "UNDO-EDITED")
        elif not op:
            can = removal(batch.stream, batch.mapping, free=True)
            self.leave(link, "UNDO-CREATED" if can else "UNDO-CANNOT")
        else:
            add_intent(batch, scene, link, op, {}, {})

    # Fields that the runs wrote

    def _restore(self, batch: Batch, scene: Scene, link: LinkRow, intents: Sequence[Intent], held: set[str]) -> None:
        due = scene.due(link)
        moved, wanted = set() if "undo_swallows" in PLANTED else {*due.fields, *due.waiting}, {}
        for name in dict.fromkeys(name for intent in intents for name in intent.values):
            ours = [intent for intent in intents if name in intent.values]
            code = self._judge(scene, batch.mapping, link, name, ours)
            if code == "" and ({name, ""} & held or name in moved):
                code = "UNDO-MOVED" if name in moved else "UNDO-HOLD"
            if code == DONE:
                self.already += 1
            elif code:
                self.leave(link, code, name)
            else:
                wanted[name] = ours[0].before[name]
        if wanted:
            out = inverse(batch, scene, link, wanted)
            for name, fault in out.skipped.items():
                self.leave(link, fault.code, name, fault.message)
            if out.sent:
                add_intent(batch, scene, link, "update", out.sent, out.body)

    def _judge(self, scene: Scene, mapping: StreamMapping, link: LinkRow, name: str, ours: Sequence[Intent]) -> str:
        """Code of why a field is left, DONE if it holds what it held before, "" if it is to be put back."""
        fields = scene.entity_type(scene.root_of[link.entity_id]).fields
        cell, last, before = scene.cells(link.id).get(name), ours[-1], ours[0].before
        if name not in mapping.out_fields and name not in {CASE + case.name for case in mapping.cases}:
            return "UNDO-MAPPING"
        if name not in before:
            return "UNDO-UNKNOWN"
        if cell is None or ("undo_blind" not in PLANTED and (cell.own or cell.agreed < last.version)):
            return "UNDO-EDITED"
        if name in fields and fields[name].kind == "consent" and not tightens(before[name], last.values[name]):
            return "UNDO-CONSENT"
        if same(fields[name], cell.held, before[name]) if name in fields else cell.held == before[name]:
            return DONE
        return "UNDO-SINCE" if cell.agreed > last.version else ""


DONE = "done"


def was_edited(scene: Scene, link: LinkRow, made: Intent) -> bool:
    """Whether anybody but the hub changed a record since the hub created it.

    What the very read that proved the create showed besides is the system's own doing: defaults, computed fields. If
    that read came late, it may show a person's doing as well, and counts as that.
    """
    cells = scene.cells(link.id)
    prompt = made.landed_at is not None and made.landed_at <= (made.last_possible or LONG_AGO)
    known = made.landed_at if prompt and made.landed_at is not None else LONG_AGO
    claims = [claim for cell in cells.values() for claim in cell.own.values()]
    strange = any(cells[name].agreed == NO_VERSION for name in made.values if name in cells)
    return strange or any(claim.before > known for claim in claims)


def tightens(before: Json, wrote: Json) -> bool:
    """Going back from what was written to what was before only closes consent, if it changes it at all (L20)."""
    return not is_empty(before) and (before["state"] == "opted_out" or (wrote or {}).get("state") != "opted_out")


def removal(stream: Stream, mapping: StreamMapping, *, free: bool) -> str:
    """The mildest way to take a record away that system and mapping allow; "" if there is none."""
    allowed = {"never": (), "archive": ("archive",), "delete": REMOVALS}[mapping.deletes_out]
    return next((op for op in (REMOVALS if free else allowed) if op in stream.writes), "")


def inverse(batch: Batch, scene: Scene, link: LinkRow, wanted: Mapping[str, Json]) -> Outward:
    """The body that puts these values back; computed ones as they were, not computed anew."""
    mapping, name = batch.mapping, batch.connection.name
    plain = {each: value for each, value in wanted.items() if not each.startswith(CASE)}
    asked = {
        (name, stream, value)
        for each, value in plain.items()
        for stream in (mapping.named.get(each, ()) if value is not None else ())
    }
    parents = {(stream, entity): found for (_, stream, entity), found in scene.tx.external_ids(asked).items()}
    out = to_external(
        replace(mapping, cases=()), {**scene.values(scene.root_of[link.entity_id]), **plain}, changed=plain,
        external_ids=parents, creating=False,
    )  # fmt: skip
    cases = {case.name: case for case in mapping.cases}
    for each in wanted.keys() - plain.keys():
        cases[each.removeprefix(CASE)].put(out.body, wanted[each])
        out.sent[each] = wanted[each]
    return out
