"""A plan as a document: the exact writes, what holds them up, and the digest that says it is still the same plan.

The digest is SHA-256 over the canonical JSON of everything that people see and `apply` acts upon; only the moment at
which it was made, and rows that are derived from the writes for reading, stand outside of it. So two plans of one
state have one digest, and a file that was changed by hand is noticed.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from hub.app.scene import Scene
from hub.core.plan import CASE
from hub.errors import ConfigFault, Fault
from hub.model import WHOLE, Intent, Json, LinkRow

FORMAT = 1
OUTSIDE = ("made_at", "digest", "changes")  # keys that the digest does not cover
SYNC, UNDO = "sync", "undo"  # what a plan is made from: what is due, or what a run wrote

Dict = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """One write, and what must still be true when it is made."""

    connection: str
    stream: str
    op: str  # create, update, archive, delete
    entity_type: str
    entity_id: int  # root
    external_id: str | None  # None: a create
    version: int  # of the entity, when it was planned
    stamp: float | None  # of the record, when it was last read
    values: Mapping[str, Json]  # canonical field -> what the system will hold
    before: Mapping[str, Json]  # canonical field -> what it holds
    body: Mapping[str, Json]  # remote field -> value as sent
    later: Mapping[str, Json] = field(default_factory=dict)  # references to records that this plan makes first
    why: Mapping[str, str] = field(default_factory=dict)  # canonical field -> which rule and source decided
    guard: str = ""  # would keep it back: goes only with an approval

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What tells one write from another within a plan."""
        return self.connection, self.stream, self.entity_id, self.external_id or ""

    @property
    def entity(self) -> str:
        return f"{self.entity_type}:{self.entity_id}"

    def document(self) -> Dict:
        found: Dict = {
            "connection": self.connection, "stream": self.stream, "op": self.op, "entity": self.entity,
            "external_id": self.external_id, "version": self.version, "stamp": self.stamp, "values": dict(self.values),
            "before": dict(self.before), "body": dict(self.body), "why": dict(self.why),
        }  # fmt: skip
        if self.later:
            found["later"] = dict(self.later)
        if self.guard:
            found["guard"] = self.guard
        return found

    @classmethod
    def of(cls, found: Dict) -> PlannedWrite:
        kind, _, number = found["entity"].partition(":")
        return cls(
            connection=found["connection"], stream=found["stream"], op=found["op"], entity_type=kind,
            entity_id=int(number), external_id=found["external_id"], version=found["version"], stamp=found["stamp"],
            values=found["values"], before=found["before"], body=found["body"], later=found.get("later", {}),
            why=found["why"], guard=found.get("guard", ""),
        )  # fmt: skip


def planned_write(
    scene: Scene, link: LinkRow, intent: Intent, *, why: Mapping[str, str], later: Mapping[str, Json] | None = None
) -> PlannedWrite:
    """The write that an intent froze, with what it was decided from."""
    root = scene.root_of[link.entity_id]
    return PlannedWrite(
        connection=link.connection, stream=link.stream, op=intent.op, entity_type=scene.entities[root].type,
        entity_id=root, external_id=link.external_id, version=scene.entities[root].version, stamp=link.stamp,
        values=intent.values, before=intent.before, body=intent.body, why=why, later=later or {},
    )  # fmt: skip


def reasons(scene: Scene, link: LinkRow, names: Sequence[str]) -> dict[str, str]:
    """Canonical field -> who said so: the rule and the systems behind it, or the person's ruling."""
    root = scene.root_of[link.entity_id]
    fields, states = scene.entity_type(root).fields, scene.states(root)
    found = {}
    for name in names:
        if name.startswith(CASE):
            found[name] = "computed"
        elif name in scene.rulings[root]:
            found[name] = f"ruling {scene.rulings[root][name].id}"
        elif fields[name].derived:
            found[name] = f"derived: {fields[name].derived}"
        else:
            memory = states[name].memory if name in states else {}
            links = [memory[WHOLE].link] if WHOLE in memory else [claim.link for claim in memory.values()]
            known = sorted({scene.links[each].connection for each in links if each in scene.links})
            rule = "consent" if fields[name].kind == "consent" else fields[name].survivorship.rule
            found[name] = f"{rule}, from {', '.join(known)}" if known else rule
    return found


# Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan that was read and found whole."""

    digest: str
    kind: str  # SYNC, UNDO
    writes: Sequence[PlannedWrite]
    mapping_versions: Mapping[str, int]  # connection -> the version it was planned with
    runs: Sequence[int] = ()  # kind UNDO: whose writes are put back
    delete_created: bool = False  # kind UNDO: records that the runs made may be deleted though the mapping says never
    id: int | None = None  # in the store
    carried_by: Sequence[int] = ()  # runs that wrote some of it already

    def at(self, connection: str, stream: str) -> list[PlannedWrite]:
        return [write for write in self.writes if (write.connection, write.stream) == (connection, stream)]


def digest_of(document: Dict) -> str:
    """SHA-256 over the canonical JSON of what the digest covers."""
    covered = {key: value for key, value in document.items() if key not in OUTSIDE}
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def sealed(document: Dict) -> Dict:
    """The document in plain JSON values, with its digest."""
    plain: Dict = orjson.loads(orjson.dumps(document))
    return {**plain, "digest": digest_of(plain)}


def read_plan(document: Json, *, instance: str, where: str) -> Plan:
    """A plan out of its document.

    Raises:
        ConfigFault: it is no plan (PLAN-FILE), was changed since it was made (PLAN-DIGEST), or is another hub's
            (PLAN-HUB).
    """
    if not isinstance(document, dict) or document.get("plan") != FORMAT or "digest" not in document:
        raise _fault("PLAN-FILE", where, "this is no plan of this hub's format", "make one: hub plan -o plan.json")
    if digest_of(document) != document["digest"]:
        raise _fault("PLAN-DIGEST", where, "the plan is not what was made: its digest differs", "make it again")
    if document["hub"] != instance:
        raise _fault("PLAN-HUB", where, "this is a plan of another hub", "apply it there, or make one here")
    return Plan(
        digest=document["digest"],
        kind=document["kind"],
        writes=[PlannedWrite.of(each) for each in document["writes"]],
        mapping_versions={each["connection"]: each["mapping_version"] for each in document["connections"]},
        runs=document.get("runs", ()),
        delete_created=document.get("delete_created", False),
    )


def _fault(code: str, where: str, message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code=code, where=where, message=message, fix=fix)])


def packed(document: Dict) -> bytes:
    """As the store keeps it."""
    return zlib.compress(orjson.dumps(document), 6)


def unpacked(content: bytes) -> Dict:
    """Inverse of packed."""
    found: Dict = orjson.loads(zlib.decompress(content))
    return found


# What people see


def changes_of(writes: Sequence[PlannedWrite]) -> list[Dict]:
    """One row per record and field; a removal is one row."""
    rows = []
    for write in writes:
        place = {
            "connection": write.connection, "stream": write.stream, "op": write.op, "entity": write.entity,
            "external_id": write.external_id,
        }  # fmt: skip
        names = {**write.values, **write.later} or {"": None}
        rows += [
            {
                **place, "field": name.removeprefix(CASE), "old": write.before.get(name), "new": value,
                "why": write.why.get(name, ""), "guard": write.guard,
            }
            for name, value in names.items()
        ]  # fmt: skip
    return rows
