"""An entity's values as a pure function of its claims, its memory and its rulings (design.md §4, rules 1-9).

One function over the set, the same for one arriving record and for a recomputation: `decide_field`. It never looks
at the order of arrival, never folds in pairs, and reads neither clock nor store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.core.canonical import CanonicalField
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import order_key, same
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, ConflictKind, FieldState, Json, RulingRow

Rank = Callable[[Claim], tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What the decision must know of a link."""

    link: int
    connection: str
    connector: str
    rank: int  # place of its connection in `sources`
    speaks: bool  # its claims count: live, duplicate or out of scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Loser:
    """A claim that did not win, and why nobody may forget it."""

    claim: Claim
    part: str
    kind: ConflictKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One field, decided."""

    state: FieldState
    changed: bool  # the value differs from the one that stood
    losers: Sequence[Loser]
    winner: Claim | None  # None: a ruling, or no claim at all
    open: bool  # a person must decide
    decided_by: str
    retired: Sequence[tuple[int, str]] = ()  # (link, part) of claims whose later claim left the set: they do not return


def is_later(c: Claim, d: Claim, *, by_base: bool = True) -> bool:
    """c was certainly made after d, or by someone shown a value that d had already been weighed for."""
    if c.after >= d.before and c.before > d.before:  # two statements of one instant are concurrent
        return True
    return by_base and "no_base" not in PLANTED and d.after < c.before and c.base >= d.taken


def _top(claims: Sequence[Claim], *, by_base: bool = True) -> Sequence[Claim]:
    """Claims that no other is later than; all of them where base and window contradict in a circle."""
    return [c for c in claims if not any(is_later(d, c, by_base=by_base) for d in claims)] or claims


def _pick_consent(claims: Sequence[Claim]) -> Claim:
    """Later evidence wins, concurrent: the opt-out. An opt-in without time and source is no evidence (L20)."""
    if "consent_newest" in PLANTED:
        return max(claims, key=lambda c: (c.taken, c.link))
    if any(c.value["state"] == "opted_out" for c in claims):
        claims = [c for c in claims if c.value["state"] == "opted_out" or (c.value["at"] and c.value["source"])]
    free = _top(claims, by_base=False)  # having seen an opt-out is no evidence for an opt-in
    outs = [c for c in free if c.value["state"] == "opted_out"]
    return max(outs or free, key=lambda c: (c.before, c.after, c.taken, c.link))


def place_of(rule: tuple[str, ...], voice: Voice | None) -> tuple[int, int]:
    """Place of a link in a sticky order; links that are gone rank last, systems not named after the named ones."""
    if voice is None:
        return 1, len(rule)
    named = [index for index, name in enumerate(rule) if name in (voice.connection, voice.connector)]
    return int(not voice.speaks), named[0] if named else len(rule)


def pick(claims: Sequence[Claim], field: CanonicalField, rank: Rank, voices: Mapping[int, Voice]) -> Claim:
    """The winner of a set, for one part of one field. Same set, same winner."""
    if len(claims) == 1 or "first_come" in PLANTED:
        return claims[0]
    rule = field.survivorship.rule
    if field.kind == "consent":
        return _pick_consent(claims)
    if rule == "manual":  # the value stays: the oldest evidence
        return min(claims, key=lambda c: (c.before, rank(c)))
    if rule == "first":
        return min(claims, key=lambda c: (c.before, rank(c)))
    if rule in ("max", "min"):
        filled = [c for c in claims if not is_empty(c.value)] or claims
        extreme = (max if rule == "max" else min)(order_key(field, c.value) for c in filled)
        return min(_top([c for c in filled if order_key(field, c.value) == extreme]), key=rank)
    if rule == "source":
        places = [place_of(field.survivorship.source, voices.get(c.link)) for c in claims]
        best = min(places)
        return min(_top([c for c, place in zip(claims, places, strict=True) if place == best]), key=rank)
    top = _top(claims)
    if field.kind == "set":  # concurrent add and remove: it stays in
        return min(top, key=lambda c: (not c.value, rank(c)))
    if rule == "longest":
        return min(top, key=lambda c: (-len(str(c.value or "")), rank(c)))
    if rule == "majority":
        votes = Counter(repr(c.value) for c in top)
        return min(top, key=lambda c: (-votes[repr(c.value)], rank(c)))
    if field.kind == "group":  # the fuller claim before the one that lacks parts
        return min(top, key=lambda c: (-len(c.value or ()), rank(c)))
    return min(top, key=rank)


def _complete(
    winner: Claim, claims: Sequence[Claim], field: CanonicalField, rank: Rank, voices: Mapping[int, Voice], known: Json
) -> tuple[Json, dict[str, Claim]]:
    """A group's value: the winner's parts; those its system does not map from the next claims, then from *known*."""
    value, memory = dict(winner.value), {WHOLE: winner}
    rest = [c for c in claims if c is not winner and c.value]
    while rest:
        follower = pick(rest, field, rank, voices)
        memory.update(dict.fromkeys(follower.value.keys() - value.keys(), follower))
        value = {**follower.value, **value}
        rest.remove(follower)
    value = _fill(value, winner, claims, field, rank, voices, memory)
    full = {**dict.fromkeys(field.parts), **(known or {}), **value}
    return {part: full[part] for part in field.parts}, memory


def _fill(
    value: dict[str, Json],
    winner: Claim,
    claims: Sequence[Claim],
    field: CanonicalField,
    rank: Rank,
    voices: Mapping[int, Voice],
    memory: dict[str, Claim],
) -> dict[str, Json]:
    """Parts that the winner leaves blank, from the claims that contradict it in nothing, in the order of the rule.

    An address without a country is completed by the same address with one, and by no other: no part is lost because
    one system has no word for it, and no two addresses are mixed.
    """
    rest = [c for c in claims if c is not winner and c.value]
    while rest and any(part is None for part in value.values()):
        follower = pick(rest, field, rank, voices)
        rest.remove(follower)
        shared = [p for p, v in follower.value.items() if v is not None and value.get(p) is not None]
        if shared and all(value[p] == follower.value[p] for p in shared):
            news = {p: v for p, v in follower.value.items() if v is not None and value.get(p) is None and p in value}
            memory.update(dict.fromkeys(news, follower))
            value = {**value, **news}
    return value


def decide(
    field: CanonicalField, found: Mapping[str, Sequence[Claim]], known: Json, voices: Mapping[int, Voice]
) -> tuple[Json, dict[str, Claim]]:
    """Value and winning claims of one field from its whole evidence, without rulings; pure."""

    def rank(claim: Claim) -> tuple[int, ...]:
        voice = voices.get(claim.link)
        return (voice.rank if voice else 1_000_000, claim.link)

    if field.kind == "set":
        winners = {part: pick(claims, field, rank, voices) for part, claims in found.items()}
        return sorted(part for part, claim in winners.items() if claim.value), winners
    if WHOLE not in found:
        return known, {}
    winner = pick(found[WHOLE], field, rank, voices)
    if field.kind == "group" and winner.value is not None:
        return _complete(winner, found[WHOLE], field, rank, voices, known)
    return winner.value, {WHOLE: winner}


def evidence(
    field: CanonicalField, cells: Mapping[int, Cell], states: Iterable[FieldState], voices: Mapping[int, Voice]
) -> dict[str, list[Claim]]:
    """Part -> the set of claims that decides it: of every link that speaks, plus the memory that still counts."""
    found: dict[str, list[Claim]] = {}
    for link, cell in cells.items():
        if voices[link].speaks:
            for part, claim in cell.own.items():
                found.setdefault(part, []).append(claim)
    always = field.kind == "consent" or field.survivorship.rule == "manual"
    for state in states:
        for part, memory in state.memory.items():
            place = part if field.kind == "set" else WHOLE
            if memory in found.get(place, ()):
                continue
            voice, its = voices.get(memory.link), cells.get(memory.link)
            silent = voice is None or not voice.speaks or its is None or part not in its.own
            if always or silent:  # no live claim stands behind it, and its own link has not said otherwise since
                found.setdefault(place, []).append(memory)
    return found


def _losers(
    field: CanonicalField,
    found: Mapping[str, Sequence[Claim]],
    value: Json,
    winners: Mapping[str, Claim],
    *,
    version: int,
    since: int,
    returned: Collection[int] = (),
) -> list[Loser]:
    """Claims that differ from the value and that nobody has put on record yet, or not since they came back (law L4)."""
    losers: list[Loser] = []
    if "no_conflict_log" in PLANTED:
        return losers
    for part, claims in found.items():
        winner = winners.get(part if field.kind == "set" else WHOLE)
        stands = part in value if field.kind == "set" else value
        fresh = any(claim.taken >= since or claim.link in returned for claim in claims)
        for claim in claims:
            if (
                claim is winner
                or not fresh
                or (claim.value == stands if field.kind == "set" else same(field, claim.value, stands))
            ):
                continue
            if winner is not None and is_later(winner, claim):
                if claim.taken == version:
                    losers.append(Loser(claim=claim, part=part, kind=ConflictKind.SUPERSEDED))
            elif winner is None or is_later(claim, winner):
                losers.append(Loser(claim=claim, part=part, kind=ConflictKind.REFUSED))
            elif LONG_AGO in (claim.after, winner.after):
                losers.append(Loser(claim=claim, part=part, kind=ConflictKind.FIRST_CONTACT))
            else:
                losers.append(Loser(claim=claim, part=part, kind=ConflictKind.CONCURRENT))
    return losers


def _uses_order(field: CanonicalField) -> bool:
    """True where a later claim ends an earlier one, whatever the ranks."""
    return field.kind != "consent" and field.survivorship.rule in ("newest", "longest", "majority", "union")


def _ended(
    field: CanonicalField, cells: Mapping[int, Cell], departed: Mapping[str, Sequence[Claim]]
) -> list[tuple[int, str]]:
    """(link, part) of claims that a departed claim was later than.

    A claim leaves the set when a write of ours lands on it, when its link is gone, or when a new memory replaces it.
    What it had ended must not come back to life for that: the value would go back (law L5).
    """
    if not departed or not _uses_order(field) or "no_retire" in PLANTED:
        return []
    return [
        (link, part)
        for link, cell in cells.items()
        for part, claim in cell.own.items()
        if any(is_later(gone, claim) for gone in departed.get(part if field.kind == "set" else WHOLE, ()))
    ]


def decide_field(
    field: CanonicalField,
    cells: Mapping[int, Cell],
    state: FieldState,
    voices: Mapping[int, Voice],
    *,
    version: int,
    ruling: RulingRow | None = None,
    also: Sequence[FieldState] = (),
    since: int | None = None,
    departed: Mapping[str, Sequence[Claim]] | None = None,
    returned: Collection[int] = (),
) -> Decision:
    """Derive one field of one entity anew, in the running transaction.

    Args:
        field: its declaration.
        cells: link id -> cell of this field, for every link of the entity and its aliases that has one.
        state: what stands now.
        voices: link id -> voice; at least of every link in `cells` and in the memory.
        version: of the running transaction; the field carries it if its value changes.
        ruling: the newest ruling of a person on this field, if any.
        also: states that join as memory (a merge).
        since: claims taken in from that version on were not held against each other yet; None: those of `version`.
        departed: part -> claims that leave the set in this transaction; what they had ended leaves with them.
        returned: links whose records are back from being gone: what they claim is in question again.
    """
    retired = _ended(field, cells, departed or {})
    cells = without(cells, retired)
    found = evidence(field, cells, [state, *also], voices)
    if is_frozen(state, ruling) and not also:
        return _as_it_stands(field, found, state, version=version)
    value, memory = decide(field, found, state.value, voices)
    winner = memory.get(WHOLE) if field.kind != "set" else None
    decided_by = f"rule:{field.survivorship.rule}" if field.kind != "consent" else "rule:consent"
    if ruling is not None and "ruling_yields" not in PLANTED:
        value, winner, decided_by = ruling.value, None, f"ruling:{ruling.id}"
    unheard = version if since is None else since
    losers = _losers(field, found, value, {} if ruling else memory, version=version, since=unheard, returned=returned)
    asks = ruling is not None or field.survivorship.rule == "manual"
    bar = ruling.version if ruling else NO_VERSION
    waits = asks and any(claim.taken > bar for loser in losers for claim in (loser.claim,))
    changed = any(other.value != value for other in (state, *also))
    retired += _ended(field, cells, _replaced(field, [state, *also], memory, cells, voices))
    if "no_memory" in PLANTED:
        memory = {}
    new_version = version if changed else max([state.version, *(other.version for other in also)])
    if new_version == NO_VERSION and memory:
        new_version = version
    withdrawn = state.withdrawn and is_empty(value)
    ruled = ruling.id if ruling else None
    return Decision(
        state=FieldState(value=value, version=new_version, memory=memory, ruling=ruled, withdrawn=withdrawn),
        changed=changed,
        losers=losers,
        winner=winner,
        open=waits,
        decided_by="" if waits else decided_by,
        retired=retired,
    )


def is_frozen(state: FieldState, ruling: RulingRow | None) -> bool:
    """True while a field stands still because two systems keep overwriting each other; a later ruling moves it."""
    return state.frozen is not None and (ruling is None or ruling.version <= state.frozen)


def _as_it_stands(
    field: CanonicalField, found: Mapping[str, Sequence[Claim]], state: FieldState, *, version: int
) -> Decision:
    """A frozen field keeps its value; what is claimed meanwhile joins the open conflict."""
    losers = _losers(field, found, state.value, state.memory, version=version, since=version)
    return Decision(
        state=state, changed=False, losers=losers, winner=state.memory.get(WHOLE), open=True, decided_by=""
    )  # fmt: skip


def heard_since(field: CanonicalField, joint: FieldState, merged: int) -> bool:
    """True if a consent statement came in after that merge: it binds both, for nobody knows of whom it was."""
    return field.kind == "consent" and any(claim.taken > merged for claim in joint.memory.values())


def after_split(decision: Decision, joint: FieldState, *, version: int, given: bool) -> Decision:
    """A field of one of the two entities after an unmerge (design.md §4 rule 9).

    What differs from the joint value is a new version, so that it is written back, blanks too: else one person's data
    would stay with the other. What equals it keeps the joint version: the systems have it.

    Args:
        given: some system was given a joint value, or may have been; if none was, nothing has to be written back.
    """
    value = decision.state.value
    if not given and not decision.changed:
        return replace(decision, changed=value != joint.value)
    if value == joint.value or (is_empty(value) and is_empty(joint.value)):
        withdrawn = joint.withdrawn and is_empty(value)
        state = replace(decision.state, version=joint.version, withdrawn=withdrawn)
        return replace(decision, changed=False, state=state)
    state = replace(decision.state, version=version, withdrawn=is_empty(value))
    return replace(decision, changed=True, state=state)


def _replaced(
    field: CanonicalField, states: Sequence[FieldState], memory: Mapping[str, Claim], cells: Mapping[int, Cell],
    voices: Mapping[int, Voice],
) -> dict[str, list[Claim]]:  # fmt: skip
    """Part -> claims that only an old memory (in a merge: that of either) knew and the new one does not.

    A claim in the cell of a link that is silent stays there for the day it comes back, and decides nothing until then.
    """
    gone: dict[str, list[Claim]] = {}
    old = [(part, claim) for state in states if state.memory != memory for part, claim in state.memory.items()]
    if not old:
        return gone
    speaking = (cell for link, cell in cells.items() if voices[link].speaks)
    stays = [*memory.values(), *(claim for cell in speaking for claim in cell.own.values())]
    for part, claim in old:
        if claim not in stays:
            gone.setdefault(part if field.kind == "set" else WHOLE, []).append(claim)
    return gone


def without(cells: Mapping[int, Cell], retired: Sequence[tuple[int, str]]) -> Mapping[int, Cell]:
    """The cells without retired claims; such a link is behind, since nothing it holds is agreed any more."""
    if not retired:
        return cells
    left = dict(cells)
    for link, part in retired:
        own = {name: claim for name, claim in left[link].own.items() if name != part}
        left[link] = Cell(held=left[link].held, agreed=NO_VERSION, own=own)
    return left


def is_open(cell: Cell, field: CanonicalField, ruling: RulingRow | None, expected: Json) -> bool:
    """True if a person must decide before this link's field is written (design.md §4 rule 5).

    Args:
        cell: the link's cell.
        expected: what the link would hold if it had been given the entity's value.
    """
    if is_empty(cell.held) or not (ruling is not None or field.survivorship.rule == "manual"):
        return False
    bar = ruling.version if ruling else NO_VERSION
    young = {part: claim for part, claim in cell.own.items() if claim.taken > bar}
    if field.kind == "set":  # an element that is wanted, too, asks nothing on behalf of the others
        return any(claim.value != (part in (expected or ())) for part, claim in young.items())
    return bool(young) and not same(field, cell.held, expected)
