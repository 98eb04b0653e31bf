"""What a read or a landed write changes in a link's cells. Nothing here decides a value.

`observe_cell`: only what differs from *held* is an edit (echoes, replays and untouched fields give nothing).
`settle_cells`: after a write of ours is proved to have landed, *agreed* is the version of its intent, and the claim
that stood in that link retires.
`judge_intent`: what a record, read with a write of ours still open, proves about that write (reliability.md §4.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from hub.core.canonical import CanonicalField
from hub.core.planted import PLANTED
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, Intent, Json


class Window(NamedTuple):
    """When an edit seen by a read was made: within (after, before]."""

    after: float
    before: float

    @classmethod
    def of_read(cls, *, last_known: float | None, read_at: float, stamp: float | None) -> Window:
        """A window by the hub's clock; a vendor stamp (already corrected for its clock) may only shrink it."""
        after = LONG_AGO if last_known is None else last_known
        before = read_at if stamp is None or not after < stamp < read_at else stamp
        return cls(after=min(after, before), before=before)


def observe_cell(
    field: CanonicalField, cell: Cell | None, value: Json, *, link: int, window: Window, version: int, erases: bool
) -> tuple[Cell, bool]:
    """Take in what a system holds in one field.

    Args:
        cell: what we knew; None at first contact with this field.
        value: canonical; None for blank.
        erases: a blank from this system is a claim (blank policy), not silence.

    Returns:
        The cell moved on, and whether the entity's field must be decided anew.
    """
    known = cell is not None
    old = cell or Cell(held=[] if field.kind == "set" else None)
    if field.kind == "set":
        return _observe_set(old, value or [], known=known, link=link, window=window, version=version)
    if field.kind == "consent" and value is not None and value.get("state") not in ("opted_in", "opted_out"):
        value = None  # unknown is blank, never a claim
    if known and (value == old.held or _says_the_same(field, value, old.held)):
        return (old if value == old.held else Cell(held=value, agreed=old.agreed, own=_restate(old.own, value))), False
    if not known and is_empty(value):
        return Cell(held=value), False
    if is_empty(value) and not (erases and known):
        return Cell(held=value, agreed=NO_VERSION, own=old.own), False  # what it claimed stands; it is put back there
    after, before = (window.after, window.before) if known else (LONG_AGO, window.before)
    if field.kind == "consent" and value.get("at"):
        after = before = _instant(value["at"])  # evidence of its own
    claim = Claim(link, value, after, before, old.agreed, version)
    return Cell(held=value, agreed=old.agreed, own={WHOLE: claim}), True


def _says_the_same(field: CanonicalField, value: Json, held: Json) -> bool:
    """Equal by the type's own equality. Consent given once more is a statement of its own: it may be later than an
    opt-out that the first one is not."""
    if field.kind == "consent" and not is_empty(value) and not is_empty(held) and value.get("at"):
        return bool(value == held)
    return same(field, value, held)


def _restate(own: Mapping[str, Claim], value: Json) -> Mapping[str, Claim]:
    """The same claim in the system's newest spelling (equal by the type's own equality)."""
    return {part: claim._replace(value=value) for part, claim in own.items()}


def _instant(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _observe_set(
    old: Cell, value: list[str], *, known: bool, link: int, window: Window, version: int
) -> tuple[Cell, bool]:
    """An edit of a set claims the elements it added and removed against *held*."""
    changed = set(value) - set(old.held or []) if "union_only" in PLANTED else set(value) ^ set(old.held or [])
    if not changed:
        return (old if known else Cell(held=sorted(value))), False
    after = window.after if known else LONG_AGO
    claims = {part: Claim(link, part in value, after, window.before, old.agreed, version) for part in sorted(changed)}
    return Cell(held=sorted(value), agreed=old.agreed, own={**old.own, **claims}), True


def restate_cell(field: CanonicalField, old: Cell, value: Json, *, link: int, before: float, version: int) -> Cell:
    """The same record read in other terms (a changed mapping): who made a statement, and when, stays as it was.

    Args:
        before: when the record was read; the end of the window of elements that a set has only in the new terms.
    """
    if field.kind == "consent" and value is not None and value.get("state") not in ("opted_in", "opted_out"):
        value = None  # unknown is blank, never a claim
    if field.kind == "set":
        known, now = set(old.held or ()), set(value or ())
        own = {part: claim for part, claim in old.own.items() if (part in now) == (part in known)}
        if old.own:  # who claimed the words of before claims those that took their place
            fresh = {part: Claim(link, True, LONG_AGO, before, NO_VERSION, version) for part in sorted(now - known)}
            own |= fresh
        return Cell(held=sorted(now), agreed=old.agreed, own=own)
    if not old.own or is_empty(value):  # put there by us, or nothing is said any more: memory keeps what was said
        return Cell(held=value, agreed=old.agreed)
    return Cell(held=value, agreed=old.agreed, own=_restate(old.own, value))


def settle_cells(cells: Mapping[str, Cell], stored: Mapping[str, Json], version: int) -> dict[str, Cell]:
    """The cells after a write landed: what the system now holds in the fields we sent, and as of which version."""
    return {**cells, **{name: Cell(held=value, agreed=version) for name, value in stored.items()}}


PATIENT_TRIES = 2  # a value put back by a stranger looks just like one that the vendor ignores; the third write tells


class Verdict(StrEnum):
    """What a read proves about an open intent."""

    WAIT = "wait"  # it may still land, or the read may be old
    LANDED = "landed"
    NOT_LANDED = "not_landed"
    MIXED = "mixed"  # a stranger wrote since: some fields are ours, others cannot be attributed


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, with the fields it holds for."""

    verdict: Verdict
    stored: Mapping[str, Json]  # field -> what is there now, for fields that our write explains
    strange: Mapping[str, Json]  # field -> what is there now, explained neither by us nor by the past


def judge_intent(
    intent: Intent,
    fields: Mapping[str, CanonicalField],
    cells: Mapping[str, Cell],
    shown: Mapping[str, Json],
    *,
    forms: Mapping[str, Json],
    stamp: float | None,
    by_hub: bool | None,
    now: float,
    lag_s: float,
    tries: Mapping[str, int] | None = None,
) -> Judgement:
    """What a record, read now, proves about a write of ours that is still open.

    Args:
        shown: canonical field -> value as read.
        forms: canonical field -> what this system would hold after our write, as far as the mapping knows.
        tries: field -> earlier writes of this very value that ended unexplained; after some of them the vendor itself
            is taken to ignore or re-form it.
        lag_s: how old a read may be; an acknowledged write without visible effect is believed after that.

    Values alone prove nothing while the call can still land: a person may have typed the same.
    """
    sent = {name: shown[name] for name in intent.values if name in shown}
    changed = {n for n, value in sent.items() if not same(fields[n], value, cells[n].held if n in cells else None)}
    moved = bool(changed) if stamp is None or intent.pre_stamp is None else stamp > intent.pre_stamp
    ours = {
        name
        for name, value in sent.items()
        if same(fields[name], value, forms.get(name)) or same(fields[name], value, intent.values[name])
    }
    acked = intent.state == "acked"
    if moved and by_hub:
        return Judgement(verdict=Verdict.LANDED, stored=sent, strange={})
    if acked and sent and ours == set(sent):  # whether or not it moved the stamp (associations often do not)
        return Judgement(verdict=Verdict.LANDED, stored=sent, strange={})
    if now < (intent.last_possible or intent.created_at) + lag_s and "judge_early" not in PLANTED:
        return Judgement(verdict=Verdict.WAIT, stored={}, strange={})
    if acked:  # it landed; what does not show our form was written by a stranger since, or re-formed by the vendor
        told = tries or {}
        doubted = {name for name in sent if moved and told.get(name, 0) < PATIENT_TRIES}
        unexplained = (changed | doubted) - ours
        strange = {name: sent[name] for name in sorted(unexplained)}
        stored = {name: value for name, value in sent.items() if name not in strange}
        return Judgement(verdict=Verdict.MIXED if strange else Verdict.LANDED, stored=stored, strange=strange)
    if not changed:
        landed = bool(sent) and ours == set(sent)
        return Judgement(
            verdict=Verdict.LANDED if landed else Verdict.NOT_LANDED, stored=sent if landed else {}, strange={}
        )
    stored = {name: sent[name] for name in sorted(changed & ours)}
    strange = {name: sent[name] for name in sorted(changed - ours)}
    return Judgement(verdict=Verdict.MIXED, stored=stored, strange=strange)
