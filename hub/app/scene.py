"""The working set of one transaction: entities with their aliases, links with their cells, and what changed in them.

Loading is page-wise (one query per table), deciding is `core.merge`, saving is page-wise again. Ingest, push,
rulings and holds all work on a scene, so there is one way in which a value can change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace

from hub.app.conflicts import change_of, conflict_of, history_rows
from hub.app.context import Connection, Hub
from hub.app.first_contacts import Contact, FirstContacts
from hub.app.pairs import Findings, store_findings
from hub.app.voices import SPEAKING, voice_of
from hub.core.canonical import CanonicalField, EntityType
from hub.core.first import AllNew, Own, first_shadow, taken_over
from hub.core.identity import keys_for
from hub.core.mapping import StreamMapping
from hub.core.merge import Decision, Voice, after_split, decide_field, heard_since
from hub.core.plan import Due, fields_due, wants_create
from hub.core.planted import PLANTED
from hub.core.shadow import Shadow, States, is_empty, pack_fields, pack_shadow, unpack_fields, unpack_shadow
from hub.errors import RetryLater
from hub.model import (
    NO_VERSION,
    WHOLE,
    Cell,
    Claim,
    ConflictRow,
    EntityRow,
    FieldState,
    Json,
    LinkRow,
    LinkState,
    RulingRow,
)
from hub.store import Tx

Cells = MutableMapping[str, Cell]
LIVE = LinkState.LIVE  # asked for each record, and an enum is slow to ask
ID_BLOCK, ID_BLOCK_MOST = 50, 1600  # ids drawn from the store at a time: first, and at most


@dataclass(slots=True, kw_only=True)
class Scene:
    """One transaction's working set. Everything is keyed by root entity; links keep their own entity id."""

    hub: Hub
    tx: Tx
    now: float
    hopeful: bool = False  # keys are kept from others only while this is saved, and looked up once more then
    hoped: list[tuple[str, set[tuple[str, str]], Mapping[tuple[str, str], list[int]]]] = field(default_factory=list)
    run_id: int | None = None
    actor: str = "sync"
    entities: dict[int, EntityRow] = field(default_factory=dict)
    root_of: dict[int, int] = field(default_factory=dict)
    links: dict[int, LinkRow] = field(default_factory=dict)
    links_at: dict[int, list[LinkRow]] = field(default_factory=lambda: defaultdict(list))
    rulings: dict[int, dict[str, RulingRow]] = field(default_factory=lambda: defaultdict(dict))
    changed: dict[int, MutableMapping[str, tuple[Json, Json]]] = field(default_factory=lambda: defaultdict(dict))
    conflicts: list[ConflictRow] = field(default_factory=list)
    joining: dict[int, Mapping[str, FieldState]] = field(default_factory=dict)  # root -> of whom it took in (merge)
    joint: dict[int, Mapping[str, FieldState]] = field(default_factory=dict)  # root -> what stood for both (unmerge)
    merged_at: int = NO_VERSION  # version of the merge that is being undone
    under_way: set[tuple[int, str]] = field(default_factory=set)  # (link, field) written since, and not settled yet
    findings: Findings = field(default_factory=Findings)
    returned: set[int] = field(default_factory=set)  # links whose records were gone, and are back
    departed: dict[tuple[int, str], dict[str, list[Claim]]] = field(default_factory=dict)
    fresh_keys: dict[str, dict[tuple[str, str], set[int]]] = field(default_factory=lambda: defaultdict(dict))
    own_keys: dict[int, set[tuple[str, str]] | None] = field(default_factory=dict)  # of new entities, by their record
    link_index: dict[tuple[str, str, str], LinkRow] = field(default_factory=dict)  # made or adopted in this transaction
    _cells: dict[int, Mapping[str, Cell]] = field(default_factory=dict)
    _first: FirstContacts = field(init=False)
    _alone: set[int] = field(default_factory=set)  # new entities whose documents were made in one go
    _rekeyed: set[int] = field(default_factory=set)  # roots that may answer to other keys now
    _ranks: dict[str, tuple[str, int]] = field(default_factory=dict)  # connection -> what voices of its links share
    _read_whole: dict[tuple[str, str], bool] = field(default_factory=dict)
    _states: dict[int, States] = field(default_factory=dict)
    _touched: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _recheck: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    _new_links: set[int] = field(default_factory=set)
    new_entities: set[int] = field(default_factory=set)  # made in this very transaction
    _stored: set[int] = field(default_factory=set)  # new entities whose rows are there already
    _turned: set[int] = field(default_factory=set)  # entities that live again, or no more
    _dirty_links: set[int] = field(default_factory=set)
    _written: set[int] = field(default_factory=set)
    _dirty_cells: set[int] = field(default_factory=set)
    _dirty_entities: set[int] = field(default_factory=set)
    _passed_on: set[int] = field(default_factory=set)  # entities of which only who is remembered for a value changed
    _dirty_aliases: set[int] = field(default_factory=set)
    history: dict[int, dict[str, Json]] = field(default_factory=lambda: defaultdict(dict))
    _ids: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _drawn: dict[str, int] = field(default_factory=dict)  # kind -> how many ids were drawn last

    def __post_init__(self) -> None:
        self._first = FirstContacts(self.hub)

    @property
    def version(self) -> int:
        return self.tx.next_version()

    def load(self, entity_ids: Iterable[int]) -> None:
        """Bring entities in, with their alias closures, links and rulings; those here already are left alone."""
        wanted = {each for each in entity_ids if each not in self.root_of}
        if not wanted:
            return
        roots = self.tx.roots(wanted)
        fresh = {root for root in roots.values() if root not in self.entities}
        closures = self.tx.alias_closure(fresh) if fresh else {}
        members = {member: root for root, group in closures.items() for member in group}
        self.root_of.update(roots)
        self.root_of.update(members)
        locked = self.tx.entities(members, lock=True)
        if any((row.alias_of is None) != (row.id == members[row.id]) for row in locked.values()):
            raise RetryLater("merged or split while this page waited for it", code="STORE-BUSY")
        self.entities.update(locked)
        for link in self.tx.links_of(members, raw=False):
            self.links[link.id] = link
            self.links_at[members[link.entity_id]].append(link)
        for entity_id, found in self.tx.rulings(members).items():
            ours = self.rulings[members[entity_id]]
            for name, ruling in found.items():
                if name not in ours or ruling.version > ours[name].version:
                    ours[name] = ruling

    def new_id(self, kind: str) -> int:
        """The next id of a kind; ids are drawn in blocks, each twice the one before; gaps mean nothing."""
        ids = self._ids[kind]
        if not ids:
            many = self._drawn[kind] = min(2 * self._drawn[kind], ID_BLOCK_MOST) if kind in self._drawn else ID_BLOCK
            ids.extend(reversed(self.tx.reserve_ids(kind, many)))
        return ids.pop()

    def entity_type(self, root: int) -> EntityType:
        return self.hub.canonical.entities[self.entities[root].type]

    def cells(self, link_id: int) -> Mapping[str, Cell]:
        if link_id not in self._cells:
            self._cells[link_id] = unpack_shadow(self.links[link_id].shadow)
        return self._cells[link_id]

    def cells_to_change(self, link_id: int) -> Cells:
        """A copy, for `set_cells`."""
        cells = self.cells(link_id)
        return cells.copy() if isinstance(cells, Shadow) else dict(cells)

    def set_cells(self, link_id: int, cells: Mapping[str, Cell]) -> None:
        self._cells[link_id] = cells
        self._dirty_links.add(link_id)
        self._dirty_cells.add(link_id)
        self._rekeyed.add(self.root_of[self.links[link_id].entity_id])

    def first_contact(self, link: LinkRow, held: dict[str, Json], filled: list[str], own: Own, *, rekey: bool) -> None:
        """A link that had no cells was read: all it holds, and the fields that it claims, with one claim for all.

        Whether fields must be decided anew for it is told when all of the page is known.
        """
        root = self.root_of[link.entity_id]
        link.shadow = first_shadow(held, filled, own)
        self._cells.pop(link.id, None)
        self._dirty_links.add(link.id)
        if rekey:
            self._rekeyed.add(root)
        self._first.add(self.entities[root], self.links_at[root], link, filled, new=root in self.new_entities)

    def value(self, root: int, name: str) -> Json:
        """What stands in one field."""
        if root not in self._states:
            return self.entities[root].values.get(name)
        state = self._states[root].get(name)
        return None if state is None else state.value

    def claimants(self, root: int, name: str) -> list[int]:
        """Ids of the links whose claims made one field what it is."""
        if root in self._alone and root not in self._states:  # all it has was claimed by the record that brought it
            there = name in self.entities[root].values
            return [link.id for link in self.links_at[root] if link.shadow] if there else []
        state = self.states(root).get(name)
        return [claim.link for claim in state.memory.values()] if state is not None else []

    def states(self, root: int) -> States:
        if root not in self._states:
            row = self.entities[root]
            self._states[root] = unpack_fields(row.fields, row.values)
        return self._states[root]

    def put_states(self, root: int, states: Mapping[str, FieldState]) -> None:
        """These stand now; what they say is decided anew before it is saved."""
        self._states[root] = States({}, {})
        self._states[root].update(states)
        self._dirty_entities.add(root)

    def is_new(self, root: int) -> bool:
        """True for an entity of this very transaction of which nothing was decided yet."""
        return root in self.new_entities and root not in self._states and not self.entities[root].values

    def add_entity(self, row: EntityRow) -> None:
        self.entities[row.id] = row
        self.root_of[row.id] = row.id
        self.new_entities.add(row.id)

    def add_link(self, link: LinkRow) -> None:
        self.links[link.id] = link
        self.links_at[self.root_of[link.entity_id]].append(link)
        self._cells[link.id] = {}
        self._new_links.add(link.id)

    def dirty(self, link: LinkRow) -> None:
        """A column of this link changed."""
        self._dirty_links.add(link.id)

    def touch(self, root: int, name: str) -> None:
        """This field must be decided anew."""
        self._touched[root].add(name)
        self._recheck[root].add(name)

    def touch_all(self, root: int) -> None:
        """A voice joined or left: every field that it, or anybody, speaks of is decided anew."""
        names = {name for link in self.links_at[root] for name in self.cells(link.id)} | set(self.states(root))
        for name in names:
            if name in self.entity_type(root).fields:
                self.touch(root, name)

    def recheck(self, root: int, name: str) -> None:
        """No new claim, but what some link lacks may have changed."""
        self._recheck[root].add(name)

    def voices(self, root: int) -> dict[int, Voice]:
        """Link id -> voice, for the links of an entity and its aliases."""
        return {link.id: voice_of(self.hub, link, self._ranks) for link in self.links_at[root]}

    # Deciding

    def decide(self) -> None:
        """Derive every touched field anew; note history and conflicts."""
        for root, contacts in self._first.items():
            if not self._settled_at_once(root, contacts):
                self._touched[root].update(name for _, filled, _ in contacts for name in filled)
                self._recheck[root].update(self._touched[root])
            if root not in self._alone:
                for link, filled, _ in contacts:
                    held = link.shadow["held"]
                    self._recheck[root].update(held.keys() - filled if len(held) > len(filled) else ())
        self._first.clear()
        for root in sorted(self._touched):
            names, entity = self._touched[root], self.entity_type(root)
            voices, states = self.voices(root), self.states(root)
            for name in sorted(names):
                declared = entity.fields[name]
                if declared.derived:
                    continue
                held = ((link.id, self.cells(link.id)) for link in self.links_at[root])
                cells = {link_id: each[name] for link_id, each in held if name in each}
                nothing = FieldState(value=[] if declared.kind == "set" else None)
                joint = self.joint[root].get(name, nothing) if root in self.joint else None
                decision = decide_field(
                    declared, cells, states.get(name, nothing), voices, version=self.version,
                    ruling=self.rulings[root].get(name), also=self._also(root, declared, joint),
                    since=self.merged_at if root in self.joining or joint is not None else None,
                    departed=self.departed.pop((root, name), None), returned=self.returned,
                )  # fmt: skip
                if joint is not None:
                    decision = after_split(decision, joint, version=self.version, given=self._given(root, name))
                self._accept(root, name, decision, voices, joint)
        self._touched.clear()

    def _settled_at_once(self, root: int, contacts: list[Contact]) -> bool:
        """True if a first contact's fields are decided: it is all that is known, or it agrees (but for some, touched).

        Nothing else may have happened to the entity in this transaction, and no person may have ruled on it.
        """
        (link, filled, foreseen), here = contacts[0], self.links_at[root]
        if len(contacts) > 1 or foreseen is None or link.id in self._dirty_cells or link.state not in SPEAKING:
            return False
        if root in self._touched or root in self._states or self.rulings.get(root):
            return False
        row, own = self.entities[root], link.shadow["own"]
        if root in self.new_entities:
            if len(here) != 1 or root in self._stored:
                return False
            row.values, row.fields = foreseen
            row.version = own[4]
            self.changed[root] = AllNew(row.values)
            self._alone.add(root)
            self._recheck[root].update(())  # everything, told when somebody asks (`_rechecked`)
            return True
        old = here[0] if here[1] is link else here[1]
        if len(here) != 2 or old.id in self._dirty_cells or old.id in self._new_links or old.state not in SPEAKING:
            return False
        for name in foreseen[0]:
            self.touch(root, name)
        if foreseen[1]:
            row.fields = taken_over(row.fields, row.values, foreseen[1], own)
            self._passed_on.add(root)
        mapping = self.hub.mapping_of(link.connection, link.stream)
        if mapping is not None and mapping.cases:
            self._recheck[root].update(filled)
        return True

    def _also(self, root: int, declared: CanonicalField, joint: FieldState | None) -> list[FieldState]:
        """States that join the evidence as memory: of a merged entity; of both, what they were heard to consent to."""
        if joint is not None and heard_since(declared, joint, self.merged_at):
            return [joint]
        merged = self.joining.get(root, {}).get(declared.name)
        return [merged] if merged is not None else []

    def _given(self, root: int, name: str) -> bool:
        """Whether some system holds what it was given of both, or may hold it."""
        cells = [(link.id, self.cells(link.id).get(name)) for link in self.links_at[root]]
        held = any(cell is not None and cell.agreed >= self.merged_at for _, cell in cells)
        return held or any((link, name) in self.under_way for link, _ in cells)

    def _accept(
        self, root: int, name: str, decision: Decision, voices: Mapping[int, Voice], joint: FieldState | None
    ) -> None:
        old = self.states(root).get(name)
        self._retire(root, name, decision)
        if decision.losers:
            told = conflict_of(root, name, decision, voices, at=self.now, version=self.version, run_id=self.run_id)
            self.conflicts.append(told)
            if "agreed_on_lost" in PLANTED:
                for link_id in {loser.claim.link for loser in decision.losers}:
                    cells = self.cells(link_id)
                    self.set_cells(link_id, {**cells, name: Cell(held=cells[name].held, agreed=self.version)})
        state = decision.state
        if old != state and (old or state.version != NO_VERSION or not is_empty(state.value)):
            self.states(root)[name] = state
            self._dirty_entities.add(root)
        elif joint is None:  # but what stood for two may be another value than the one that stands again
            return
        stood = self.entities[root].values.get(name) if joint is not None else old.value if old else None
        if decision.changed and state.value != stood:
            self.changed[root][name] = (stood, state.value)
            if root not in self.new_entities:
                self.history[root][name] = change_of(stood, decision, voices, old.memory.get(WHOLE) if old else None)

    def _retire(self, root: int, name: str, decision: Decision) -> None:
        """Claims that do not return: their links are behind."""
        for link_id, part in decision.retired:
            cell = self.cells(link_id)[name]
            own = {each: claim for each, claim in cell.own.items() if each != part}
            cells = self.cells_to_change(link_id)
            cells[name] = Cell(held=cell.held, own=own)
            self.set_cells(link_id, cells)
            self.recheck(root, name)

    def depart(self, root: int, name: str, claims: Mapping[str, Claim], *, is_set: bool) -> None:
        """These claims leave the set: a write of ours landed on them, or their link is gone."""
        place = self.departed.setdefault((root, name), {})
        for part, claim in claims.items():
            place.setdefault(part if is_set else WHOLE, []).append(claim)

    def silence(self, root: int, link: LinkRow) -> None:
        """The voice of a link ends: its claims leave, and everything it spoke of is decided anew."""
        for name, cell in self.cells(link.id).items():
            if cell.own:
                self.depart(root, name, cell.own, is_set=self.entity_type(root).fields[name].kind == "set")
        self.touch_all(root)

    def set_state(self, root: int, state: str) -> None:
        """Whether the entity still lives in any system."""
        if self.entities[root].state != state:
            self.entities[root].state = state
            self._dirty_entities.add(root)
            self._turned.add(root)

    def freeze(self, root: int, name: str) -> None:
        """The field keeps its value, whatever is claimed, until a person decides."""
        self.states(root)[name] = replace(self.states(root)[name], frozen=self.version)
        self._dirty_entities.add(root)

    def thaw(self, root: int, name: str) -> None:
        """The field is decided by its rule again."""
        self.states(root)[name] = replace(self.states(root)[name], frozen=None)
        self._dirty_entities.add(root)
        self.touch(root, name)

    def set_value(self, root: int, name: str, value: Json) -> None:
        """A derived field has a new value; such fields have no claims."""
        old = self.states(root).get(name, FieldState())
        if old.value == value:
            return
        self.states(root)[name] = FieldState(value=value, version=self.version)
        self.changed[root][name] = (old.value, value)
        self._dirty_entities.add(root)
        self._recheck[root].add(name)
        if root not in self.new_entities:
            derived = self.entity_type(root).fields[name].derived
            told = {"old": old.value, "new": value, "connection": None, "rule": f"derived:{derived}"}
            self.history[root][name] = told

    def set_share(self, alias: int, name: str, value: Json) -> None:
        """An alias keeps its own share of a derived field, for the day on which it is split off again."""
        self.states(alias)[name] = FieldState(value=value, version=self.version)
        self._dirty_aliases.add(alias)

    # What is behind now

    def mark_behind(self) -> None:
        """Put every link on notice that lacks a rechecked field, and want the records that should exist."""
        makers: dict[str, tuple[list[Connection], bool]] = {}
        computed = self.hub.computes_outward()
        for root in sorted(self._recheck):
            if root in self.new_entities or root in self.changed or root in self._turned:
                kind = self.entities[root].type
                if kind not in makers:
                    makers[kind] = self.hub.makers_of(kind), self.hub.has_scope(kind)
                connections, has_scope = makers[kind]
                if has_scope or root not in self._alone:
                    self._scope(root)
                for connection in connections:
                    self.want(root, connection)
            if root in self._alone and root not in self._states and not computed:
                continue  # the one record that brought it lacks nothing
            for link in tuple(self.links_at[root]):
                if (
                    link.state == LIVE
                    and link.behind_since is None
                    and self._may_lack(root, link)
                    and self.due(link, self._rechecked(root)).fields
                ):
                    link.behind_since = self.now
                    self.dirty(link)
        self._recheck.clear()
        for link_id in self._written:
            link = self.links[link_id]
            lacks = link.state == LinkState.LIVE and "written_is_done" not in PLANTED and self.due(link).fields
            link.behind_since = self.now if lacks else None
        self._written.clear()

    def _may_lack(self, root: int, link: LinkRow) -> bool:
        """False where no rechecked field has a value that this link could lack: mostly, and cheaply told."""
        mapping = self.hub.mapping_of(link.connection, link.stream)
        if mapping is None or mapping.cases:
            return mapping is not None
        if root in self._states:
            return any(name in self._states[root] for name in self._rechecked(root))
        return root not in self._alone and not self._recheck[root].isdisjoint(self.entities[root].values)

    def _rechecked(self, root: int) -> set[str]:
        """The fields of which it may have changed what a link lacks; of an entity that one record brought, all."""
        if root not in self._alone:
            return self._recheck[root]
        held = (name for link in self.links_at[root] for name in link.shadow.get("held") or ())
        return self._recheck[root].union(self.entities[root].values, held)

    def look_again(self, link: LinkRow) -> None:
        """A write of ours landed: whether the link still lacks anything is told when all is decided."""
        self._written.add(link.id)
        self.dirty(link)

    def due(self, link: LinkRow, names: Iterable[str] | None = None) -> Due:
        """What one link lacks now."""
        mapping = self.hub.mapping_of(link.connection, link.stream)
        if mapping is None:
            return Due(fields=(), waiting=())
        root = self.root_of[link.entity_id]
        return fields_due(
            self.entity_type(root), mapping, self.states(root), self.cells(link.id), self.rulings[root], names=names
        )

    def values(self, root: int) -> dict[str, Json]:
        if root not in self._states:
            return self.entities[root].values
        return self._states[root].plain()

    def _scope(self, root: int) -> None:
        """A record that leaves its mapping's scope is still heard, never written; it may come back."""
        values = self.values(root)
        for link in self.links_at[root]:
            mapping = self.hub.mapping_of(link.connection, link.stream)
            if mapping is None or link.state not in (LinkState.LIVE, LinkState.OUT_OF_SCOPE):
                continue
            state = LinkState.LIVE if mapping.in_scope(values) else LinkState.OUT_OF_SCOPE
            if state == link.state:
                continue
            link.state = state
            self.dirty(link)
            if state == LinkState.OUT_OF_SCOPE and mapping.leaves == "detach":
                self._detach(root, link)

    def _detach(self, root: int, link: LinkRow) -> None:
        """Cut a link: its record is neither heard nor written any more; what it said stays remembered."""
        link.state, link.behind_since = LinkState.DETACHED, None
        self.silence(root, link)
        self.decide()

    def want(self, root: int, connection: Connection, *, past_merges: bool = False) -> bool:
        """A link in state `wanted` if this connection should have the entity and has not; True if there is one now."""
        mapping = self.missing_in(root, connection, past_merges=past_merges)
        if mapping is not None:
            self.new_wanted(root, connection, mapping)
        return mapping is not None

    def missing_in(self, root: int, connection: Connection, *, past_merges: bool = False) -> StreamMapping | None:
        """The first stream of a connection that should get a record for this entity, if none has one.

        An entity that no system speaks of any more is not made again anywhere (law L7), unless a person split it off;
        with `past_merges`, records that were merged away over there do not count.
        """
        if not past_merges and not any(link.state in SPEAKING for link in self.links_at[root]):
            return None
        kind, values = self.entities[root].type, self.values(root)
        streams = {
            name: mapping
            for name, mapping in connection.mappings.items()
            if mapping.entity == kind and not connection.stream_of(mapping).acts
        }
        here = [each for each in self.links_at[root] if each.connection == connection.name and each.stream in streams]
        if past_merges:
            here = [each for each in here if each.state != LinkState.MERGED_INTO]
        for mapping in streams.values():
            creates = bool(connection.stream_of(mapping).writes & {"create", "upsert"}) and connection.writes
            if wants_create(mapping, values, here, creates=creates) and self.is_listed(connection, mapping):
                return mapping
        return None

    def is_listed(self, connection: Connection, mapping: StreamMapping) -> bool:
        """Nothing is created where the hub has not yet seen everything that is there."""
        key = (connection.name, mapping.source)
        if key not in self._read_whole:
            cursor = self.tx.cursor(*key)
            self._read_whole[key] = bool(cursor and cursor.get("first_done"))
        return self._read_whole[key] or "no_listing" in PLANTED

    def new_wanted(self, root: int, connection: Connection, mapping: StreamMapping) -> None:
        """A record is to be created there."""
        self.add_link(
            LinkRow(
                id=self.new_id("link"), connection=connection.name, stream=mapping.name, external_id=None,
                entity_id=root, state=LinkState.WANTED, marker=self.hub.marker(root), behind_since=self.now,
                mapping_version=connection.mapping_version,
            )
        )  # fmt: skip

    # Saving

    def store_new(self) -> None:
        """Give new entities their rows now: what happens in this transaction (events, grants) may point at them."""
        fresh = self.new_entities - self._stored
        for root in fresh:
            if root not in self._alone or root in self._states:
                self._pack(root)
        self.tx.insert_entities([self.entities[each] for each in sorted(fresh)])
        self._stored |= fresh
        self._dirty_entities -= fresh

    def _pack(self, root: int) -> None:
        row, states = self.entities[root], self.states(root)
        row.values = states.plain()
        row.fields = pack_fields(states)
        row.version = states.newest()

    def save(self) -> None:
        """Write the working set back: one statement per table and kind."""
        for link_id in self._dirty_cells:
            self.links[link_id].shadow = pack_shadow(self._cells[link_id])
        for link in (self.links[each] for each in self._new_links):
            link.shadow = link.shadow or pack_shadow({})
        for kind, keys, found in self.hoped:
            if self.tx.find_by_keys(kind, keys) != found:
                raise RetryLater("another page brought the same people first", code="STORE-BUSY")
        self.store_new()
        rows = self._dirty_entities | self._dirty_aliases
        for each in rows:
            self._pack(each)
        self.tx.update_entities([self.entities[each] for each in sorted(rows | self._passed_on)])
        self.tx.insert_links([self.links[each] for each in sorted(self._new_links)])
        self.tx.update_links([self.links[each] for each in sorted(self._dirty_links - self._new_links)])
        rekeyed = sorted(self.new_entities | self._dirty_entities | self._rekeyed)
        names = [(root, self.entities[root].type, self._keys(root)) for root in rekeyed]
        self.tx.set_keys(names, fresh=self.new_entities)
        links = (link for links in self.links_at.values() for link in links)
        told = self.history if "no_history" not in PLANTED else {}
        self.tx.add_history(
            history_rows(
                told, links if told else (), version=lambda: self.version, at=self.now, run_id=self.run_id,
                actor=self.actor,
            )
        )  # fmt: skip
        self.tx.add_conflicts(self.conflicts)
        store_findings(self.tx, self.findings, self.entity_type, at=self.now, run_id=self.run_id)

    def _keys(self, root: int) -> set[tuple[str, str]]:
        if root in self._alone and root not in self._states:  # its one record holds no other
            own = self.own_keys.get(root)
            return keys_for(self.entity_type(root), [self.entities[root].values]) if own is None else own
        holdings: list[Mapping[str, Json]] = [self.values(root)]
        holdings += [self._held(link) for link in self.links_at[root] if link.state in SPEAKING]
        return keys_for(self.entity_type(root), holdings)

    def _held(self, link: LinkRow) -> Mapping[str, Json]:
        """What a system holds, without unpacking what nobody changed."""
        if link.id in self._dirty_cells:
            return {name: cell.held for name, cell in self.cells(link.id).items()}
        return link.shadow.get("held") or {}
