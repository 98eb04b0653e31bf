"""Events and what is owed for them, in the transaction of the change that brought them about.

The story of a page: sums that hang on what changed are moved; conditions that turned true make events; an event that
is new (its key is unique for ever) is held against the rules; for each that asks for it, money is set aside by one
conditional update and a grant is kept (its key is unique, too). All of it commits with the page, or none of it: so a
page that is taken in again, after a crash or twice, owes nothing twice. Orders follow later (hub.app.reward_orders).

What a rule would give and does not (over a limit, over the budget, nobody there) is kept as a refused grant, with the
reason: nothing that somebody might expect vanishes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hub.app.events import Turn, follow, subject_of, turns_of
from hub.app.reward_messages import withdraw_message
from hub.app.reward_moves import locked, move, note
from hub.app.reward_owing import Named, Owed, leaves_out, owe, refuse
from hub.app.reward_providers import can_cancel
from hub.app.scene import Scene
from hub.core.canonical import Canonical
from hub.core.derived import Derivation, Movement, add_to, derivations, movements
from hub.core.first import AllNew
from hub.core.rewards import (
    HELD_OUT,
    NO_ADDRESS,
    NO_COUNTRY,
    NOBODY,
    Entry,
    GrantState,
    Refusal,
    Rewards,
    Rule,
    Trigger,
    grant_key,
    key_under,
    over_limit,
    period_start,
    recipient_of,
    refusal_key,
    rules_for,
    rules_reversed_by,
    triggers_of,
)
from hub.model import EventRow, Grant, Json, LinkRow

LOADED = "loaded"  # mark of a change in the history that a first load brought
PLACED = (GrantState.ISSUED, GrantState.UNDELIVERED)

Hook = Callable[..., Mapping[str, int]]  # (scene, *, first_load) -> counts
# (entity -> which of its computed fields are others now, whether by this change alone)
Compute = Callable[[Scene], tuple[Mapping[int, Sequence[str]], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is the same for every page: rewards.yaml, and canonical.yaml's events and sums, compiled."""

    rewards: Rewards
    triggers: Mapping[str, tuple[Trigger, ...]]  # entity type -> its events
    named: Mapping[str, Trigger]  # "order.paid" -> event
    derived: tuple[Derivation, ...]


@dataclass(slots=True, kw_only=True)
class Work:
    """One page's events."""

    setup: Setup
    scene: Scene
    first_load: bool
    counts: Counter[str] = field(default_factory=Counter)
    moved: dict[tuple[int, str], Movement] = field(default_factory=dict)  # (root, derived field) -> why it moved
    loaded: dict[tuple[str, str], bool] = field(default_factory=dict)  # (connection, stream) -> was it read whole once
    aliases: dict[int, list[int]] = field(default_factory=dict)  # root -> its aliases, where it has some
    turns: list[Turn] = field(default_factory=list)  # what became of events that may be stored
    fresh: list[EventRow] = field(default_factory=list)  # events that were new, without their ids
    late: set[tuple[str, str]] = field(default_factory=set)  # (event key, rule) decided after the event's own time

    def members(self, root: int) -> list[int]:
        """The entity and its aliases."""
        return [root, *self.aliases.get(root, ())]

    def load(self, entity_ids: Iterable[int]) -> None:
        """Bring entities in, locked, and know everybody's aliases."""
        self.scene.load(entity_ids)
        self.aliases = {}
        for member, root in self.scene.root_of.items():
            if member != root:
                self.aliases.setdefault(root, []).append(member)


def setup_of(rewards: Rewards, canonical: Canonical) -> Setup:
    """Raises ConfigFault, MappingFault: canonical.yaml declares sums or events that cannot be computed."""
    triggers = triggers_of(canonical, currency=rewards.currency)
    return Setup(
        rewards=rewards,
        triggers=triggers,
        named={trigger.name: trigger for group in triggers.values() for trigger in group},
        derived=derivations(canonical, currency=rewards.currency),
    )


def reward_hook(
    rewards: Rewards,
    canonical: Canonical,
    *,
    compute: Compute | None = None,
    then: Callable[[Work], None] | None = None,
) -> Hook:
    """What `Hub.on_changes` is to be: called with a scene that has decided and not yet saved.

    Args:
        compute: computes anew whoever a scene touches (app.derived).
        then: what follows in the same transaction: triggers.

    Raises as `setup_of`.
    """
    setup = setup_of(rewards, canonical)

    def on_changes(scene: Scene, *, first_load: bool) -> Mapping[str, int]:
        """Returns events, events_silent, grants, grants_refused, grants_waiting_approval, grants_reversed …"""
        work = Work(setup=setup, scene=scene, first_load=first_load)
        _move_sums(work)
        _mark_history(work)
        happened = _happened(work)
        fresh = _keep(work, happened)
        if compute is not None and not first_load:
            _compute(work, compute, happened)
        _settle_grants(work, fresh)
        _take_back(work, fresh)
        if then is not None:
            then(work)
        return +work.counts

    return on_changes


# Sums


def _before(scene: Scene, root: int, after: Mapping[str, Json]) -> dict[str, Json]:
    changed = scene.changed[root]
    old = changed.before() if isinstance(changed, AllNew) else {name: each[0] for name, each in changed.items()}
    return {**after, **old}


def _move_sums(work: Work) -> None:
    """Move every derived field by the difference that this page's changes make."""
    scene = work.scene
    for derivation in work.setup.derived:
        changes = []
        for root in [each for each in scene.changed if scene.entities[each].type == derivation.function.source]:
            if scene.changed[root].keys() & derivation.uses:
                after = scene.values(root)
                changes.append((root, _before(scene, root, after), after))
        moved = movements(derivation, changes)
        work.load(moved)
        total: dict[int, Movement] = defaultdict(Movement)
        for owner, movement in moved.items():
            if owner in scene.root_of:
                _join(total[scene.root_of[owner]], movement)
                _share(scene, derivation, owner, movement.delta)
        for root, movement in sorted(total.items()):
            if movement.delta and scene.entities[root].type == derivation.owner:
                work.moved[root, derivation.field] = movement
                value = scene.values(root).get(derivation.field)
                scene.set_value(root, derivation.field, add_to(derivation, value, movement.delta))


def _share(scene: Scene, derivation: Derivation, owner: int, delta: Decimal) -> None:
    """Who was merged into another keeps count of what is his own, and so does everybody on the way to the root."""
    row = scene.entities[owner]
    while delta and row.alias_of is not None:
        state = scene.states(row.id).get(derivation.field)
        scene.set_share(row.id, derivation.field, add_to(derivation, state.value if state else None, delta))
        row = scene.entities[row.alias_of]


def _join(total: Movement, movement: Movement) -> None:
    """Two references to one person under two names are one movement."""
    total.delta += movement.delta
    total.causes += movement.causes
    if movement.moment is not None:
        total.moment = max(movement.moment, total.moment or 0.0)


# Events


def _happened(work: Work) -> list[EventRow]:
    """What turned true in this page, whether or not it is known already; `turns` gets what it did to known events."""
    scene, found = work.scene, []
    looks = {kind: [(each, each.looks_at) for each in group] for kind, group in work.setup.triggers.items()}
    for root in sorted(scene.changed):
        changed = scene.changed[root]
        asked = [
            trigger
            for trigger, names in looks.get(scene.entities[root].type, ())
            if any(name in changed for name in names)
        ]
        if asked:
            after = scene.values(root)
            before = _before(scene, root, after)
            found += [_event(work, root, trigger, after) for trigger in asked if trigger.turned_true(before, after)]
            if root not in scene.new_entities:  # of a new one nothing can be stored
                work.turns += turns_of(root, asked, before, after, changed.keys())
    return _quiet_old_causes(work, found)


def _event(work: Work, root: int, trigger: Trigger, values: Mapping[str, Json]) -> EventRow:
    scene = work.scene
    names = {name for name in trigger.condition.uses if name in scene.changed[root]}
    movement = next((work.moved[root, name] for name in sorted(names) if (root, name) in work.moved), None)
    link = _speaker(work, root, names)
    stamp = link.stamp if link is not None and movement is None else None  # the vendor's word on when it changed
    moment = movement.moment if movement is not None and movement.moment is not None else stamp or scene.now
    return EventRow(
        key=trigger.key(root, values), name=trigger.name, entity_id=root,
        subject_id=subject_of(trigger, root, values),
        at=trigger.moment(values, otherwise=moment, now=scene.now), source=link.connection if link else "",
        silent=work.first_load or not (link is None or _was_listed(work, link)),
        values={name: values.get(name) for name in sorted(trigger.condition.uses)},
        version=scene.version, noticed_at=scene.now,
    )  # fmt: skip


def _speaker(work: Work, root: int, names: Iterable[str]) -> LinkRow | None:
    """The link by whose word one of these fields changed; of a sum, the one that moved it."""
    moved = next((work.moved[root, name] for name in sorted(names) if (root, name) in work.moved), None)
    if moved is None:
        return _source(work.scene, root, names)
    return _source(work.scene, moved.causes[0], work.scene.changed[moved.causes[0]].keys())


def _mark_history(work: Work) -> None:
    """Changes that a first load brings say so in the history: nothing follows from them, and a trial must know that."""
    for root, changes in work.scene.history.items():
        for name, change in changes.items():
            if _is_history(work, root, name):
                change[LOADED] = True


def mark_loaded(scene: Scene, changed: Mapping[int, Iterable[str]]) -> None:
    """Nothing follows from these changes."""
    for root, names in changed.items():
        for name in names:
            if name in scene.history.get(root, ()):
                scene.history[root][name][LOADED] = True


def _compute(work: Work, compute: Compute, happened: Sequence[EventRow]) -> None:
    """What is computed from history is history, too."""
    scene = work.scene
    silent = any(event.silent for event in happened) or any(
        LOADED in change for changes in scene.history.values() for change in changes.values()
    )
    changed, news = compute(scene)
    if silent or not news:
        mark_loaded(scene, changed)
    work.load(())  # whoever was brought in has aliases, too


def _is_history(work: Work, root: int, name: str) -> bool:
    """Whether a field is what it is by the word of a stream that was not read whole yet."""
    if work.first_load:
        return True
    link = _speaker(work, root, (name,))
    return link is not None and not _was_listed(work, link)


def is_news(work: Work, root: int, name: str) -> bool:
    """Whether a field of an entity that was there before changed, and not by what a first load brings."""
    return name in work.scene.history.get(root, ()) and LOADED not in work.scene.history[root][name]


def _source(scene: Scene, root: int, names: Iterable[str]) -> LinkRow | None:
    """The link whose claim made one of these fields what it is; None if a person's ruling did."""
    for name in sorted(names):
        for claimant in scene.claimants(root, name):
            if claimant in scene.links:
                return scene.links[claimant]
    return None


def _was_listed(work: Work, link: LinkRow) -> bool:
    """Whether the link's stream was read whole once. Before that whatever arrives by another way is history, too."""
    mapping = work.scene.hub.mapping_of(link.connection, link.stream)
    key = (link.connection, mapping.source if mapping else link.stream)
    if key not in work.loaded:
        cursor = work.scene.tx.cursor(*key)
        work.loaded[key] = bool(cursor and cursor.get("first_done"))
    return work.loaded[key]


def _quiet_old_causes(work: Work, found: list[EventRow]) -> list[EventRow]:
    """A sum that crossed its mark only because old orders found their buyer says nothing new: silent.

    An order is old if all that ever happened to it was stored silently.
    """
    summed = [event for event in found if not event.silent and _causes(work, event)]
    if not summed:
        return found
    new = {event.entity_id for event in found if not event.silent}
    causes = {cause for event in summed for cause in _causes(work, event)}
    told: dict[int, list[bool]] = defaultdict(list)
    for known in work.scene.tx.events(causes):
        told[known.entity_id].append(known.silent)
    old = {cause for cause in causes if told[cause] and all(told[cause]) and cause not in new}
    return [
        replace(event, silent=True) if event in summed and set(_causes(work, event)) <= old else event
        for event in found
    ]


def _causes(work: Work, event: EventRow) -> tuple[int, ...]:
    movements_ = [work.moved[event.entity_id, name] for name in event.values if (event.entity_id, name) in work.moved]
    return tuple(cause for movement in movements_ for cause in movement.causes)


def _keep(work: Work, found: Sequence[EventRow]) -> list[EventRow]:
    """Store what is new; those that a rule may follow come back, with their ids.

    What happened under an alias's name happened.
    """
    scene = work.scene
    if not found and not work.turns:
        return []
    work.load(())
    scene.store_new()
    stored = follow(scene, work.turns, work.members)
    known = {
        event.key for event in found if any(key_under(event, each) in stored for each in work.members(event.entity_id))
    }
    new = scene.tx.insert_events([event for event in found if event.key not in known])
    fresh = work.fresh = [event for event in found if event.key in new]
    silent = sum(event.silent for event in fresh)
    work.counts["events"] += len(fresh) - silent
    work.counts["events_silent"] += silent
    rewards = work.setup.rewards
    asked = [event.key for event in fresh if rules_for(rewards, event) or _reversed_by(work, event)]
    return sorted(scene.tx.events_by_keys(asked).values(), key=lambda event: event.id or 0) if asked else []


# Grants


def _settle_grants(work: Work, fresh: Sequence[EventRow]) -> None:
    """Hold events against the rules. Everybody concerned is locked at once, in the order of their ids."""
    scene, rewards = work.scene, work.setup.rewards
    owed = [(event, rule) for event in fresh for rule in rules_for(rewards, event)]
    known = {(event.key, rule.name) for event, rule in owed}
    late = [(event, rule) for event, rule in _named_late(work) if (event.key, rule.name) not in known]
    work.late = {(event.key, rule.name) for event, rule in late}
    if not owed and not late:
        return
    asked: set[int] = set()
    for event, rule in [*owed, *late]:
        values = scene.values(scene.root_of[event.entity_id])
        names = (rule.who, *(rule.when.parents if rule.when else ()))
        asked.update(values[name] for name in names if values.get(name) is not None)
    work.load(asked)
    scene.store_new()
    for event, rule in [*owed, *late]:
        _settle(work, event, rule)


def _named_late(work: Work) -> list[tuple[EventRow, Rule]]:
    """Events that a rule could reward nobody for at their time, because the reference was not resolved yet."""
    scene, wanted = work.scene, []
    for rule in work.setup.rewards.rules.values() if not work.first_load else ():
        kind = rule.on.partition(".")[0]
        for root in [each for each in scene.history if scene.entities[each].type == kind and rule.who]:
            old, new = scene.changed[root].get(rule.who, (None, None))
            if old is None and new is not None and is_news(work, root, rule.who):
                trigger, values = work.setup.named[rule.on], scene.values(root)
                wanted += [(trigger.key(member, values), rule) for member in work.members(root)]
    known = scene.tx.events_by_keys(key for key, _ in wanted) if wanted else {}
    named = [(known[key], rule) for key, rule in wanted if key in known and known[key].withdrawn_at is None]
    asked = [(event, rule) for event, rule in named if rule in rules_for(work.setup.rewards, event)]
    return sorted(asked, key=lambda each: each[0].id or 0)


def _settle(work: Work, event: EventRow, rule: Rule) -> None:
    """One event under one rule: nothing, a refusal, or a grant."""
    scene = work.scene
    root = scene.root_of[event.entity_id]
    values = scene.values(root)
    if any(work.setup.named[name].condition(values) for name in rule.reverse_on):
        work.counts["grants_void"] += 1  # taken back before it was given
        return
    if rule.when is not None and not rule.when(values, _parents(scene, rule, values)):
        return
    receiver = scene.root_of.get(values.get(rule.who, -1)) if rule.who else root
    if receiver is None:
        _refuse(work, event, rule, root, {}, NOBODY)
        return
    people = work.members(receiver)
    recipient = recipient_of(scene.values(receiver))
    if _has_it(work, event, rule, people):
        work.counts["grants_already"] += 1
        return
    refusal = HELD_OUT if leaves_out(scene.tx, rule, people) else _limit_reached(work, rule, people)
    refusal = refusal or _out_of_reach(work, rule, receiver, recipient)
    if refusal is not None:
        _refuse(work, event, rule, receiver, recipient, refusal)
    else:
        _grant(work, event, rule, receiver, recipient)


def _out_of_reach(work: Work, rule: Rule, receiver: int, recipient: Mapping[str, Json]) -> Refusal | None:
    if rule.give.needs_address and "email" not in recipient:
        return NO_ADDRESS
    return None if _product(work, rule, receiver) else NO_COUNTRY


def _product(work: Work, rule: Rule, receiver: int) -> str:
    return rule.give.product_for(work.scene.values(receiver).get("country"))


def _parents(scene: Scene, rule: Rule, values: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    found: dict[str, Mapping[str, Json]] = {}
    for name in rule.when.parents if rule.when else ():
        parent = scene.root_of.get(values.get(name, -1))
        if parent is not None:
            found[name] = scene.values(parent)
    return found


def _has_it(work: Work, event: EventRow, rule: Rule, people: Sequence[int]) -> bool:
    """Whether this was granted already: to the person, under any name of theirs, or to another for the same event."""
    tx, hub, zone = work.scene.tx, work.scene.hub, work.setup.rewards.zone
    if any(tx.grants(key=grant_key(hub.instance, rule, each, event, zone), limit=1) for each in people):
        return True
    return any(grant.state != GrantState.REFUSED for grant in tx.grants(rule=rule.name, event_id=event.id))


def _limit_reached(work: Work, rule: Rule, people: Sequence[int]) -> Refusal | None:
    limit, scene = rule.per_person, work.scene
    if limit is None:
        return None
    since = period_start(limit.per, scene.now, work.setup.rewards.zone)
    return over_limit(limit) if scene.tx.count_grants_of(people, rule.name, since) >= limit.count else None


def _grant(work: Work, event: EventRow, rule: Rule, receiver: int, recipient: dict[str, Json]) -> None:
    """Owe it; the refusal of an event that nobody was named for says what came of it."""
    scene, rewards = work.scene, work.setup.rewards
    count, grant = owe(scene.hub, scene.tx, rewards, _owed(work, event, rule, receiver, recipient), scene.now)
    work.counts[count] += bool(count)
    if grant is not None and (event.key, rule.name) in work.late:
        _answer_refusal(work, event, rule, grant)


def _owed(work: Work, event: EventRow, rule: Rule, receiver: int, recipient: dict[str, Json]) -> Owed:
    instance = work.scene.hub.instance
    return Owed(
        rule=rule.name, key=grant_key(instance, rule, receiver, event, work.setup.rewards.zone),
        refusal_key=refusal_key(instance, rule, event), receiver=receiver, recipient=recipient, event_id=event.id,
        give=rule.give, product=_product(work, rule, receiver), budget=rule.budget, approve_over=rule.approve_over,
        wait_s=rule.wait_s, why=f"{event.name} under {rule.name}",
    )  # fmt: skip


def _answer_refusal(work: Work, event: EventRow, rule: Rule, grant: Grant) -> None:
    """The refusal of an event that nobody was named for says what came of it."""
    tx = work.scene.tx
    for refused in tx.grants(key=refusal_key(work.scene.hub.instance, rule, event)):
        note(tx, refused, Entry.REFUSED, at=work.scene.now, detail=f"{refused.detail}; named later: grant {grant.id}")


def _refuse(
    work: Work, event: EventRow, rule: Rule, receiver: int, recipient: dict[str, Json], refusal: Refusal
) -> None:
    """Keep what is not given, and why."""
    owed = _owed(work, event, rule, receiver, recipient)
    count = refuse(work.scene.hub, work.scene.tx, owed, refusal, work.scene.now)
    work.counts[count] += bool(count)


# Taking back


def _take_back(work: Work, fresh: Sequence[EventRow]) -> None:
    """An event that reverses a rule takes back what the rule gave for the same entity, also when it came silently."""
    tx = work.scene.tx
    against = [(event, rule) for event in fresh for rule in _reversed_by(work, event)]
    if not against:
        return
    members = {event.entity_id: work.members(event.entity_id) for event, _ in against}
    heard = [event for event in tx.events(each for group in members.values() for each in group) if not event.silent]
    for event, rule in against:
        paid = rule.on if isinstance(rule, Rule) else rule.event
        for given in heard:
            if given.name == paid and given.entity_id in members[event.entity_id]:
                for grant in tx.grants(rule=rule.name, event_id=given.id):
                    _reverse(work, locked(tx, grant.id), event)


def _reversed_by(work: Work, event: EventRow) -> list[Named]:
    """Rules of both files that an event takes back."""
    triggered = [rule for rule in work.scene.hub.triggers.rules.values() if event.name in rule.reverse_on]
    return [*rules_reversed_by(work.setup.rewards, event), *triggered]


def _reverse(work: Work, grant: Grant, event: EventRow) -> None:
    """Not ordered yet: the money is free again. Ordered, or perhaps: it stays given, and is shown to a person."""
    tx, at = work.scene.tx, work.scene.now
    if grant.state in (GrantState.RESERVED, GrantState.WAITING_APPROVAL):
        move(tx, grant, GrantState.REVERSED, Entry.REVERSAL, at=at, detail=f"taken back: {event.name}")
        work.counts["grants_reversed"] += 1
    elif grant.state in PLACED and can_cancel(work.scene.hub, grant.connection):
        text = f"{event.name}: order {grant.order_id} is to be taken back"
        move(tx, grant, GrantState.CANCELLING, Entry.REVERSAL, at=at, detail=text)
        withdraw_message(work.scene.hub, tx, grant, at)
        work.counts["grants_cancelling"] += 1
    elif grant.state in (GrantState.SENDING, GrantState.UNKNOWN) and can_cancel(work.scene.hub, grant.connection):
        note(tx, grant, Entry.REVERSAL, at=at, detail=f"{event.name}: an order that may exist is to be taken back")
        work.counts["grants_cancelling"] += 1
    elif grant.state in (GrantState.SENDING, GrantState.UNKNOWN, GrantState.NEEDS_PERSON, *PLACED):
        what = f"order {grant.order_id}" if grant.order_id else "an order that may exist"
        note(
            tx, grant, Entry.REVERSAL, at=at,
            detail=f"RWD-TAKE-BACK: {event.name}, but {what} at {grant.connection} cannot be cancelled by the hub",
        )  # fmt: skip
        work.counts["grants_to_take_back"] += 1
