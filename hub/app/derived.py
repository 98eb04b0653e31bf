"""Computed fields and segments: kept up to date by what changes, and once a day by the day itself.

The story of a change: whoever it touches (the person themselves, whoever a changed record names or named) is computed
anew from their facts in the transaction of the change, after its events are kept and before rules look at anything;
what comes out differently is a new value like any other, goes into history, puts links on notice and is what triggers
may wait for. The story of a day: before the first sync of a day
writes anything, everybody is looked at, page by page, and only who has other values now is locked and written. That is
also when the fifths of all buyers are drawn anew, and when what a first load brought is taken in: a first load itself
computes nothing.

Invariant: after either, a person's values are those that `core.computed` gives for their facts on that day.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from hub.app.context import Hub
from hub.app.facts import PAGE, facts_of_all, load_facts
from hub.app.forecasting import FIT, explain_outlook, fit_if_due, kept_fit
from hub.app.leases import KeepAlive, take
from hub.app.listings import Dict
from hub.app.rewards import Compute
from hub.app.scene import Scene
from hub.app.titles import card
from hub.app.transact import commit
from hub.core.canonical import Canonical
from hub.core.computed import SEGMENTS, Bounds, Derived, Today, bounds_of, computed_values, local_day
from hub.core.computed import score_parts as parts_of
from hub.core.computed_file import PERSON
from hub.core.rewards import triggers_of
from hub.core.shadow import is_empty
from hub.errors import NotFound
from hub.model import Json
from hub.store import Tx

BOUNDS, DONE, LEASE = "derived.bounds", "derived.done", "derived"  # settings, and who computes for the day
CLOCK_FIELDS = ("phone", "mobile", "address", "country")  # they say where a person's clock is
Changed = Mapping[str, Json]


# In the transaction of a change


def compute_hook(derived: Derived | None, canonical: Canonical) -> Compute | None:
    """What `reward_hook` computes people with: after a change's events, before anything follows from them."""
    if derived is None:
        return None
    subjects, own = _subjects(derived, canonical)
    looked_at = _uses(derived) | own

    def compute(scene: Scene) -> tuple[dict[int, list[str]], bool]:
        changed = recompute(scene, derived, _touched(scene, subjects, looked_at))
        return changed, not changed or _is_caught_up(scene.hub, scene.tx, derived)

    return compute


def _subjects(derived: Derived, canonical: Canonical) -> tuple[dict[str, set[str]], frozenset[str]]:
    """Entity type -> the references that say whose its events are; and what the events of people themselves look at."""
    triggers = triggers_of(canonical, currency=derived.currency)
    subjects = {kind: {each.subject for each in group if each.subject} for kind, group in triggers.items()}
    return subjects, frozenset().union(*(each.looks_at for each in triggers.get(PERSON, ())))


def _uses(derived: Derived) -> frozenset[str]:
    """Fields of a person whose change may change what is computed."""
    rules = [rule.when for each in derived.fields for rule in each.rules if rule.when is not None]
    conditions = [*rules, *(each.when for each in derived.segments)]
    own = {each.name for each in derived.fields} | {SEGMENTS}
    return frozenset({each.field for each in derived.fields} | set(CLOCK_FIELDS)).union(
        *(condition.uses for condition in conditions)
    ) - (own | {""})


def _touched(scene: Scene, subjects: Mapping[str, set[str]], looked_at: frozenset[str]) -> set[int]:
    """Whom this transaction may have changed, or something of theirs."""
    found: set[int] = set()
    for root, changed in scene.changed.items():
        kind = scene.entities[root].type
        if kind == PERSON and changed.keys() & looked_at:
            found.add(root)
        for name in subjects.get(kind, ()):
            old, new = changed.get(name, (None, None))
            found.update(each for each in (old, new, scene.value(root, name)) if isinstance(each, int))
    return found


def recompute(scene: Scene, derived: Derived, people: Iterable[int]) -> dict[int, list[str]]:
    """Compute people anew in this scene; gives which values of whom are others now."""
    asked, changed = set(people), dict[int, list[str]]()
    if not asked:
        return changed
    scene.load(asked)
    roots = {scene.root_of[each] for each in asked if each in scene.root_of}
    roots = {root for root in roots if scene.entities[root].type == PERSON and scene.entities[root].state == "live"}
    hub, members = scene.hub, {root: scene.values(root) for root in sorted(roots)}
    facts = load_facts(
        scene.tx, hub.canonical, derived, members, lambda root: scene.values(root) if root in scene.entities else None
    )
    today, segments = today_of(scene.tx, derived, scene.now), {}
    for root, known in facts.items():
        found = computed_values(derived, known, today)
        for name, value in differing(known.values, found).items():
            scene.set_value(root, name, value)
            changed.setdefault(root, []).append(name)
            if name == SEGMENTS:
                segments[root] = value or ()
    if segments:
        scene.store_new()
        scene.tx.set_segments(segments)
    return changed


def differing(values: Changed, found: Changed) -> dict[str, Json]:
    """What is computed otherwise than it stands; nothing at all is the same as an empty list."""
    return {
        name: value
        for name, value in found.items()
        if values.get(name) != value and not (is_empty(value) and is_empty(values.get(name)))
    }


def after_merges(settle: Callable[..., None], derived: Derived | None, canonical: Canonical) -> Callable[..., None]:
    """`Hub.on_merges` that computes whoever was joined or parted anew, and whose records were."""
    if derived is None:
        return settle
    subjects, _ = _subjects(derived, canonical)

    def on_merges(scene: Scene, roots: Iterable[int]) -> None:
        settle(scene, roots)
        people = [root for root in roots if scene.entities[root].type == PERSON]
        members = [each for each, root in scene.root_of.items() if root in people]
        named = {scene.value(root, name) for root in roots for name in subjects.get(scene.entities[root].type, ())}
        recompute(scene, derived, {*people, *(each for each in named if isinstance(each, int))})
        standing = {root: scene.value(root, SEGMENTS) or () for root in people}
        scene.tx.set_segments({**dict.fromkeys(members, ()), **standing})  # aliases are members of nothing

    return on_merges


def today_of(tx: Tx, derived: Derived, now: float) -> Today:
    """The day, and the fifths of all buyers and the models of their purchases as they were found last."""
    kept = tx.setting(BOUNDS) if derived.needs_bounds else None
    bounds = Bounds(**{name: tuple(values) for name, values in kept.items()}) if kept else Bounds()
    zone = derived.zone
    if zone is None:
        raise ValueError("derived fields have a zone to count days in")
    fit = kept_fit(tx) if derived.needs_fit else None
    return Today(day=local_day(now, zone), zone=zone, bounds=bounds, fit=fit)


# Once a day


def compute_for_today(hub: Hub, *, owner: str) -> Counter[str]:
    """Compute everybody, unless that was done for this day, these rules and these loads already, or somebody is at it.

    Returns:
        looked, changed: how many people; empty if nothing was due.
    """
    derived = hub.derived
    if derived is None:
        return Counter()
    with hub.store.reading() as tx:
        wanted, done = _standing(hub, tx, derived), tx.setting(DONE)
        if done == wanted:
            return Counter()
    epoch = commit(hub, lambda tx: take(tx, LEASE, owner, hub.clock.now()))
    if epoch is None:
        return Counter()
    try:
        with KeepAlive(hub, owner, {LEASE: epoch}) as leases:
            counts = compute_everybody(hub, look=lambda: leases.check(LEASE), news=_is_news(done, wanted))
        commit(hub, lambda tx: tx.set_setting(DONE, {**wanted, "fit": _fitted(tx, derived)}))
        return counts
    finally:
        commit(hub, lambda tx: tx.release(LEASE, owner))


def _standing(hub: Hub, tx: Tx, derived: Derived) -> Dict:
    """What the values hang on besides facts: the day, the rules, the models, which streams have been read whole."""
    day = today_of(tx, derived, hub.clock.now()).day
    return {
        "day": day.isoformat(), "rules": derived.digest, "loaded": _loaded(hub, tx), "fit": _fitted(tx, derived)
    }  # fmt: skip


def _loaded(hub: Hub, tx: Tx) -> list[str]:
    """Streams that have been read whole."""
    sources = [(each.name, source) for each in hub.connections.values() for source in each.in_order()]
    return sorted(f"{name}/{source}" for name, source in sources if (tx.cursor(name, source) or {}).get("first_done"))


def _is_caught_up(hub: Hub, tx: Tx, derived: Derived) -> bool:
    """Whether everybody was computed by these rules and these loads; before that a change may bring them in as well."""
    return _is_news(tx.setting(DONE), {"rules": derived.digest, "loaded": _loaded(hub, tx)})


def _is_news(done: Json, wanted: Dict) -> bool:
    """Whether only time went by since everybody was computed last. Other rules and what a first load brought are no
    news: the first day with them is silent.
    """
    return done is not None and all(done.get(name) == wanted[name] for name in ("rules", "loaded"))


def _fitted(tx: Tx, derived: Derived) -> Json:
    return tx.setting(FIT) if derived.needs_fit else None


def compute_everybody(hub: Hub, *, look: Callable[[], None] = lambda: None, news: bool = False) -> Counter[str]:
    """Compute every person for today, by pages; writes only who has other values now. If that is news, it fires."""
    derived = hub.derived
    if derived is None:
        return Counter()
    if derived.needs_bounds:
        _draw_fifths(hub, derived)
    fit_if_due(hub, derived, look=look)
    counts: Counter[str] = Counter()
    after_id = 0
    while True:
        look()
        with hub.store.reading() as tx:
            rows = tx.entities_page(PERSON, after_id=after_id, limit=PAGE)
            people = {row.id: row.values for row in rows if row.state == "live"}
            today = today_of(tx, derived, hub.clock.now())
            facts = load_facts(tx, hub.canonical, derived, people)
        due = [root for root, known in facts.items() if differing(known.values, computed_values(derived, known, today))]
        counts["looked"] += len(people)
        if due:
            counts += commit(hub, lambda tx, due=due: _write(hub, tx, derived, due, news=news))  # type: ignore[misc]
        if len(rows) < PAGE:
            return counts
        after_id = rows[-1].id


def _write(hub: Hub, tx: Tx, derived: Derived, due: Iterable[int], *, news: bool) -> Counter[str]:
    scene = Scene(hub=hub, tx=tx, now=hub.clock.now())
    counts = Counter(changed=len(recompute(scene, derived, due)))
    if hub.on_computed is not None:
        counts.update(hub.on_computed(scene, news=news))
    scene.mark_behind()
    scene.save()
    return counts


def _draw_fifths(hub: Hub, derived: Derived) -> None:
    """Where the quintiles of all buyers lie, over everything that was bought and not paid back."""
    last: dict[int, float] = {}
    often: Counter[int] = Counter()
    spent: dict[int, float] = defaultdict(float)
    for facts in facts_of_all(hub, derived):
        for root, known in facts.items():
            bought = [(each.at, each.amount) for each in known.events if each.amount is not None]
            if bought:
                last[root], often[root] = max(at for at, _ in bought), len(bought)
                spent[root] = float(sum(amount for _, amount in bought))
    found = asdict(bounds_of([(last[root], often[root], spent[root]) for root in last]))
    bounds = {name: list(values) for name, values in found.items()}
    with hub.store.reading() as tx:
        known_bounds = tx.setting(BOUNDS)
    if known_bounds != bounds:
        commit(hub, lambda tx: tx.set_setting(BOUNDS, bounds))


# Told


def explain_computed(hub: Hub, tx: Tx, root: int, name: str) -> Dict:
    """A computed field of a person once more, with what it is made of.

    Returns:
        {"value", "kind", "day", "parts": of a score and of a stage, what each rule gives today, "forecast": of an
        expected value, what it is made of}
    """
    derived = hub.derived
    if derived is None:
        return {"value": None, "kind": "", "day": "", "parts": []}
    (row,) = tx.entities([root]).values()
    (facts,) = load_facts(tx, hub.canonical, derived, {root: row.values}).values()
    today = today_of(tx, derived, hub.clock.now())
    field = next((each for each in derived.fields if each.name == name), None)
    score = field.of if field is not None and field.of is not None else field
    parts = parts_of(score, facts, today) if score is not None and score.rules else []
    return {
        "value": computed_values(derived, facts, today).get(name), "kind": field.kind if field else SEGMENTS,
        "day": today.day.isoformat(),
        "parts": [
            {"rule": each.rule.text, "points": round(each.points, 2), "events": each.events,
             "half_life_days": each.rule.half_life_days or None}
            for each in parts
            if each.points or each.events
        ],
        **({"forecast": explain_outlook(field, facts, today)} if field is not None and field.days else {}),
    }  # fmt: skip


def list_segments(hub: Hub) -> list[Dict]:
    """Every segment with how many people are in it now."""
    with hub.store.reading() as tx:
        counts = tx.count_segments()
    known = hub.derived.segments if hub.derived is not None else ()
    return [{"segment": each.name, "people": counts.get(each.name, 0), "text": each.text} for each in known]


def list_members(hub: Hub, name: str, *, after_id: int = 0, limit: int = 50) -> Dict:
    """People of a segment, by number. Raises NotFound."""
    known = [each.name for each in hub.derived.segments] if hub.derived is not None else []
    if name not in known:
        raise NotFound(f"there is no segment {name[:60]}", where=name[:60], fix=f"known are: {', '.join(known)}")
    with hub.store.reading() as tx:
        ids = tx.segment_members(name, after_id=after_id, limit=limit + 1)
        rows = tx.entities(ids[:limit])
    return {
        "segment": name, "rows": [card(rows[each]) for each in ids[:limit] if each in rows],
        "next": ids[limit - 1] if len(ids) > limit else None,
    }  # fmt: skip
