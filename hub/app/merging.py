"""Two entities become one, and two again: each a transaction with an inverse (design.md §4 rule 9, law L19).

A merge makes the alias a name of the survivor: links, rulings, events and grants keep the entity that they were made
for, and what the person is, is computed over all of them. Nothing is thrown away: both rows as they were, and the
states of all links, are kept with the merge. An unmerge takes the survivor's newest merge back: the alias stands for
itself again, both rows are their before-images, and each is decided anew, so that what was claimed since belongs to
the entity of the link that made the claim.

Neither is an act of the customer: no event happens and nothing is owed for it. Who was given a reward under either
name had it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from hub.app.context import Hub
from hub.app.matching import LIVING
from hub.app.pairs import MERGE, NEVER, REVIEW, kept_apart, pair
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.core.derived import Derivation, add_to, derivations
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty, pack_fields, unpack_fields
from hub.errors import Drifted, NeedsReview
from hub.model import ConflictRow, EntityRow, FieldState, Json, LinkRow, LinkState
from hub.store import Tx
from hub.store.identities import pair_key
from hub.store.rows import IdentityRow

UNMERGE = "unmerge"
MERGED, SPLIT = "merge", "split"  # what closed a conflict
NO_CURRENCY = "XXX"  # of ISO 4217; where no project says which is the hub's
SYNC = "sync"  # who merges what a system has merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The two that a merge is about: root entities."""

    survivor: int
    alias: int


# Merging


def merge_roots(
    hub: Hub, tx: Tx, ends: Ends, *, by: str, note: str = "", row: IdentityRow | None = None
) -> IdentityRow:
    """Make one root entity a name of another, in this transaction.

    Args:
        row: the merge as a system told it, which this carries out; None: a person's.

    Raises:
        Drifted: IDN-SAME they are one already. NeedsReview: IDN-TYPES, IDN-STATE, IDN-BUSY.
    """
    scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), actor=by)
    scene.load([ends.survivor, ends.alias])
    ends = Ends(survivor=scene.root_of[ends.survivor], alias=scene.root_of[ends.alias])
    _refuse(scene, ends)
    before = _images(scene, ends)
    merged = dict(scene.states(ends.alias))
    joint = _joined(hub, tx, ends, merged, by)
    _one_live_link(joint, ends.survivor, first=ends.survivor)
    before["states"] = {str(link.id): str(link.state) for link in joint.links_at[ends.survivor]}
    joint.decide()
    before["conflicts"] = _close_conflicts(tx, joint, ends)
    _follow(joint, [ends.survivor])
    joint.mark_behind()
    joint.save()
    kept: IdentityRow = {
        "kind": MERGE, "state": "accepted", "entity_id": ends.survivor, "other_id": ends.alias, "before": before,
        "by": by, "at": scene.now, "version": joint.version, "note": note,
        "evidence": row.get("evidence") if row is not None else None,
    }  # fmt: skip
    if row is None:
        kept["id"] = tx.add_identity(kept)
    else:
        kept["id"] = row["id"]
        tx.update_identity(kept)
    _close_pairs(tx, scene, ends, by)
    tx.audit(by, "merged", _named(scene, ends.survivor), _named(scene, ends.alias), note, scene.now)
    return kept


def _refuse(scene: Scene, ends: Ends) -> None:
    """What cannot be one, or not now."""
    if ends.survivor == ends.alias:
        raise Drifted("they are one already", code="IDN-SAME", where=_named(scene, ends.survivor))
    rows = [scene.entities[ends.survivor], scene.entities[ends.alias]]
    where = f"{_named(scene, ends.survivor)}, {_named(scene, ends.alias)}"
    if rows[0].type != rows[1].type:
        raise NeedsReview("only entities of one type can be one", code="IDN-TYPES", where=where)
    if any(row.state != "live" for row in rows):
        raise NeedsReview("one of them is deleted", code="IDN-STATE", where=where)
    creates = [link.id for root in (ends.survivor, ends.alias) for link in _creating(scene, root)]
    if any(intent.op == "create" for intent in scene.tx.intents_for(creates).values()):
        raise NeedsReview(
            "a record of theirs is just being created, and nobody knows yet whether it is there", code="IDN-BUSY",
            where=where, fix="hub sync settles it; then do it again",
        )  # fmt: skip


def _creating(scene: Scene, root: int) -> list[LinkRow]:
    return [link for link in scene.links_at[root] if link.state == LinkState.WANTED]


def _named(scene: Scene, root: int) -> str:
    return f"{scene.entities[root].type}:{root}"


def _images(scene: Scene, ends: Ends) -> dict[str, Json]:
    """Both as they are now; JSON. The alias's row itself stays untouched, its image is for people."""
    links = [link for root in (ends.survivor, ends.alias) for link in scene.links_at[root]]
    return {
        "survivor": _image(scene.entities[ends.survivor], scene.states(ends.survivor)),
        "alias": _image(scene.entities[ends.alias], scene.states(ends.alias)),
        "links": {str(link.id): str(link.state) for link in links},
    }


def _image(row: EntityRow, states: Mapping[str, FieldState]) -> dict[str, Json]:
    values = {name: state.value for name, state in states.items()}
    return {"values": values, "fields": pack_fields(states), "version": row.version}


def _joined(hub: Hub, tx: Tx, ends: Ends, merged: Mapping[str, FieldState], by: str) -> Scene:
    """A scene in which the alias is one, with every field to be decided anew."""
    alias = tx.entities([ends.alias])[ends.alias]
    alias.alias_of, alias.state = ends.survivor, "alias"
    tx.update_entities([alias])
    tx.note_changes([ends.survivor])  # also where no value of it changes, the alias's events are its own now
    scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), actor=by)
    scene.load([ends.survivor])
    if "merge_keeps_version" not in PLANTED:
        scene.joining[ends.survivor] = merged
    _add_sums(scene, ends.survivor, merged)
    _touch(scene, ends.survivor, merged)
    return scene


def _follow(scene: Scene, roots: Iterable[int]) -> None:
    """Events of theirs stand as what is true now has it; none is new."""
    if scene.hub.on_merges is not None:
        scene.hub.on_merges(scene, roots)


def _touch(scene: Scene, root: int, names: Iterable[str]) -> None:
    scene.touch_all(root)
    for name in names:
        if name in scene.entity_type(root).fields:
            scene.touch(root, name)


def _add_sums(scene: Scene, root: int, other: Mapping[str, FieldState]) -> None:
    """Derived fields are sums over records that refer to either: the sum of both."""
    for derivation in _sums_of(scene, root):
        share = other.get(derivation.field)
        if share is not None and not is_empty(share.value):
            value = scene.states(root).get(derivation.field, FieldState()).value
            scene.set_value(root, derivation.field, add_to(derivation, value, derivation.number(share.value)))


def _sums_of(scene: Scene, root: int) -> list[Derivation]:
    hub, kind = scene.hub, scene.entity_type(root).name
    currency = hub.projects.settings.hub.currency if hub.projects is not None else NO_CURRENCY
    return [each for each in derivations(hub.canonical, currency=currency) if each.owner == kind]


def _one_live_link(scene: Scene, root: int, *, first: int) -> None:
    """At most one live record per stream: the survivor's own before others, then the oldest; and no create beside one.

    Args:
        first: entity whose own links come first.
    """
    links = sorted(scene.links_at[root], key=lambda link: (link.entity_id != first, link.id))
    for connection, streams in _streams_of(scene, root).items():
        here = [link for link in links if link.connection == connection and link.stream in streams]
        taken: set[str] = set()
        for link in here:
            if link.state in LIVING and link.stream in taken:
                _demote(scene, link)
            elif link.state in LIVING:
                taken.add(link.stream)
        wanted = [link for link in here if link.state == LinkState.WANTED]
        for link in wanted if taken else wanted[1:]:
            _demote(scene, link)


def _demote(scene: Scene, link: LinkRow) -> None:
    link.state, link.behind_since = LinkState.DUPLICATE, None
    scene.dirty(link)


def _streams_of(scene: Scene, root: int) -> dict[str, set[str]]:
    """Connection -> its streams of this entity type that hold one record per entity."""
    kind, found = scene.entities[root].type, {}
    for connection in scene.hub.connections.values():
        found[connection.name] = {
            name
            for name, mapping in connection.mappings.items()
            if mapping.entity == kind and not connection.stream_of(mapping).acts
        }
    return found


def _close_conflicts(tx: Tx, joint: Scene, ends: Ends) -> list[Json]:
    """Open conflicts of either, as they were. Those that nobody need decide any more are closed.

    What of them is still open between the two was found anew, and is the survivor's.
    """
    rows = [row for each in (ends.survivor, ends.alias) for row in tx.conflicts(state="open", entity_id=each)]
    still = {row.field for row in joint.conflicts if row.state == "open"}
    for row in rows:
        if row.entity_id == ends.alias or row.field not in still:
            tx.close_conflict(row.id or 0, MERGED, row.winner, row.winner_link)
    return [asdict(row) for row in rows]


def _reopen_conflicts(tx: Tx, row: IdentityRow, ends: Ends) -> None:
    """Conflicts are as they were, but for those that a person has decided; the joint ones end."""
    before = {each["id"]: ConflictRow(**each) for each in row["before"]["conflicts"]}
    for found in tx.conflicts(state="open", entity_id=ends.survivor):
        if found.version >= row["version"] and found.id not in before:
            tx.close_conflict(found.id or 0, SPLIT, found.winner, found.winner_link)
    now = {each: tx.conflict(each) for each in before}
    tx.put_conflicts([before[each] for each, found in now.items() if found.decided_by in ("", MERGED)])


def _close_pairs(tx: Tx, scene: Scene, ends: Ends, by: str) -> None:
    """What was asked or ruled about the two is answered: they are one."""
    sides = [{m for m, root in scene.root_of.items() if root == each} for each in (ends.survivor, ends.alias)]
    keys = [pair_key(one, other) for one in sides[0] for other in sides[1]]
    for kind, state in ((REVIEW, "accepted"), (NEVER, "undone")):
        for found in tx.identities_by_keys(kind, keys).values():
            if found["state"] != state:
                tx.update_identity({**found, "state": state, "note": f"merged by {by}"})


# What systems merged


def carry_out_merges(hub: Hub) -> int:
    """Merge what systems were seen to have merged; a pair that a person keeps apart is shown to one instead.

    Returns:
        How many entities became one.
    """
    with hub.store.reading() as tx:
        due = tx.identities(kind=MERGE, state="open")
    return sum(commit(hub, _carrying(hub, row["id"])) for row in due)


def _carrying(hub: Hub, row_id: int) -> Callable[[Tx], bool]:
    def work(tx: Tx) -> bool:
        row = tx.identity(row_id)
        target = _survivor_of(tx, row)
        alias = row["other_id"]
        if row["state"] != "open" or target is None or alias is None:
            return False  # another did it, or the record that is left over there was not read yet
        roots = tx.roots([target, alias])
        ends = Ends(survivor=roots[target], alias=roots[alias])
        if ends.survivor == ends.alias:
            tx.update_identity({**row, "state": "refused", "entity_id": ends.survivor, "note": "one already"})
            return False
        rows = tx.entities([ends.survivor, ends.alias], lock=True)
        if tx.identity(row_id)["state"] != "open":
            return False  # another worker was faster
        apart = kept_apart(tx, [ends.survivor, ends.alias])
        if apart or len({each.type for each in rows.values()}) > 1 or any(r.state != "live" for r in rows.values()):
            tx.update_identity(
                {**row, "state": "refused", "note": "kept apart by a person" if apart else "cannot be one"}
            )
            told = row.get("evidence")
            asked = pair(REVIEW, ends.survivor, ends.alias, by=row["by"], at=hub.clock.now(), evidence=told)
            tx.add_reviews([asked])
            return False
        try:
            merge_roots(hub, tx, ends, by=SYNC, note=f"merged at {row['by']}", row=row)
        except NeedsReview:
            return False  # a create is under way: next time
        return True

    return work


def _survivor_of(tx: Tx, row: IdentityRow) -> int | None:
    """The entity of the record that is left; of a record of another stream if the id says so ("contacts:003…")."""
    told = row.get("evidence") or {}
    stream, _, external_id = told["into"].rpartition(":")
    for place, each in ((told["stream"], told["into"]), (stream, external_id)):
        link = tx.links_by_keys(told["connection"], place, [each], raw=False).get(each) if place else None
        if link is not None:
            return link.entity_id
    return None


# Unmerging


def newest_merge(tx: Tx, entity_id: int) -> IdentityRow | None:
    """The merge that an unmerge of this entity would take back: the newest of its root."""
    root = tx.roots([entity_id]).get(entity_id)
    found = tx.identities(kind=MERGE, state="accepted", entity_id=root, limit=10_000) if root is not None else []
    return max(found, key=lambda row: row["version"], default=None)


def unmerge_row(hub: Hub, tx: Tx, row: IdentityRow, *, by: str, note: str = "", apart: bool = True) -> Ends:
    """Take a merge back, in this transaction.

    Args:
        apart: they are never joined again by a machine.

    Raises:
        Drifted: IDN-UNDONE it was taken back already; IDN-ORDER a newer merge must be taken back first.
    """
    ends = Ends(survivor=row["entity_id"] or 0, alias=row["other_id"] or 0)
    scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), actor=by)
    scene.load([ends.survivor])
    row = tx.identity(row["id"])  # as it is now that the entities are locked
    _refuse_order(tx, scene, row, ends)
    joint = dict(scene.states(ends.survivor))
    parted = _parted(hub, tx, scene, row, ends, joint, by)
    for root in (ends.survivor, ends.alias):
        _restore_links(parted, root, row["before"])
    _reopen_conflicts(tx, row, ends)
    parted.decide()
    for root in (ends.survivor, ends.alias):
        _tell_history(parted, root)
    _follow(parted, [ends.survivor, ends.alias])
    parted.mark_behind()
    for root in (ends.survivor, ends.alias):
        _want_again(parted, root, merged_at=(row.get("evidence") or {}).get("connection", ""))
    parted.save()
    tx.update_identity({**row, "state": "undone"})
    tx.add_identity(
        {
            "kind": UNMERGE, "state": "accepted", "entity_id": ends.survivor, "other_id": ends.alias, "by": by,
            "at": scene.now, "version": parted.version, "note": note, "evidence": {"merge": row["id"]},
        }
    )  # fmt: skip
    if apart:
        tx.add_pair_rulings([pair(NEVER, ends.survivor, ends.alias, by=by, at=scene.now, note=note)])
    tx.audit(by, "split", _named(scene, ends.survivor), _named(scene, ends.alias), note, scene.now)
    return ends


def _refuse_order(tx: Tx, scene: Scene, row: IdentityRow, ends: Ends) -> None:
    where = f"merge {row['id']}"
    if row["kind"] != MERGE or row["state"] != "accepted":
        raise Drifted("this merge does not stand (any more)", code="IDN-UNDONE", where=where)
    if scene.root_of[ends.survivor] != ends.survivor:
        above = newest_merge(tx, scene.root_of[ends.survivor])
        raise Drifted(
            "its survivor was merged into another since", code="IDN-ORDER", where=where,
            fix=f"take merge {above['id'] if above else '?'} back first",
        )  # fmt: skip
    newest = newest_merge(tx, ends.survivor)
    if newest is not None and newest["id"] != row["id"]:
        raise Drifted(
            "a newer merge of the same survivor stands", code="IDN-ORDER", where=where,
            fix=f"take merge {newest['id']} back first",
        )  # fmt: skip


def _parted(
    hub: Hub, tx: Tx, joined: Scene, row: IdentityRow, ends: Ends, joint: Mapping[str, FieldState], by: str
) -> Scene:
    """A scene in which both stand for themselves, as their before-images say, with every field to be decided anew."""
    alias = joined.tx.entities([ends.alias])[ends.alias]
    alias.alias_of, alias.state = None, joined.entities[ends.survivor].state
    tx.update_entities([alias])
    tx.note_changes([ends.survivor])  # what happened under the alias's name, and who names it, is its own again
    scene = Scene(hub=hub, tx=tx, now=hub.clock.now(), actor=by, merged_at=row["version"])
    scene.load([ends.survivor, ends.alias])
    written = tx.intents_for([link.id for root in (ends.survivor, ends.alias) for link in scene.links_at[root]])
    scene.under_way = {(i.link_id, name) for i in written.values() if i.version >= row["version"] for name in i.values}
    image = row["before"]["survivor"]
    before: Mapping[str, FieldState] = unpack_fields(image["fields"], image["values"])
    own = dict(scene.states(ends.alias))
    if "unmerge_forgets" in PLANTED:
        before = dict(joint)
    for root, states in ((ends.survivor, before), (ends.alias, own)):
        scene.put_states(root, states)
        scene.joint[root] = joint
        _touch(scene, root, {*joint, *states})
    _part_sums(scene, ends.survivor, joint, own)
    return scene


def _part_sums(scene: Scene, root: int, joint: Mapping[str, FieldState], own: Mapping[str, FieldState]) -> None:
    """Of a sum over both the alias takes its own share along, which it kept count of; the rest is the survivor's."""
    for derivation in _sums_of(scene, root):
        states, name = scene.states(root), derivation.field
        if name in joint:
            before = states.get(name, FieldState()).value
            left = derivation.number(joint[name].value) - derivation.number(own.get(name, FieldState()).value)
            states[name] = joint[name]
            moved = left != derivation.number(before)  # something was bought since the merge
            scene.set_value(root, name, add_to(derivation, None, left) if moved else before)


def _tell_history(scene: Scene, root: int) -> None:
    """What merely is again as it was has changed, too: the past is rebuilt from what history tells."""
    stood, told = scene.entities[root].values, scene.history[root]
    for name, state in scene.states(root).items():
        if (
            name not in told
            and stood.get(name) != state.value
            and not (is_empty(stood.get(name)) and is_empty(state.value))
        ):
            told[name] = {"old": stood.get(name), "new": state.value, "connection": None, "rule": UNMERGE}


def _restore_links(scene: Scene, root: int, before: Mapping[str, Json]) -> None:
    """Links are in the state that they had, unless something has happened to them since."""
    made, now = before["links"], before["states"]
    links = scene.links_at[root]
    for link in links:
        was, then = made.get(str(link.id)), now.get(str(link.id))
        if was is not None and was != then and link.state == then:
            link.state = LinkState(was)
            link.behind_since = scene.now if link.state == LinkState.WANTED else link.behind_since
            scene.dirty(link)
    for connection, streams in _streams_of(scene, root).items():
        for stream in sorted(streams):
            here = [link for link in links if (link.connection, link.stream) == (connection, stream)]
            young = [k for k in here if k.state == LinkState.DUPLICATE != now.get(str(k.id)) and k.external_id]
            if young and not any(link.state in LIVING for link in here):
                young[0].state = LinkState.LIVE  # made one since, beside the other's record
                scene.dirty(young[0])
    _one_live_link(scene, root, first=root)


def _want_again(scene: Scene, root: int, *, merged_at: str) -> None:
    """A record where one is due and none is: also at the system that had merged it away and cannot give it back."""
    for connection in scene.hub.connections.values():
        scene.want(root, connection, past_merges=connection.name == merged_at)
