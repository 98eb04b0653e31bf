"""Triggers, decided: which causes a rule answers, and whether one of them fires.

A *cause* is an event, a change of a field, a crossed mark, a silence or a slot of a schedule. Whether it fires follows
from the rule, the cause and what fired before, and from nothing else: the running hub and a trial on the past ask the
same function (`decide`), so what a trial predicts is what would have happened.

Invariant: a firing's key follows from hub, rule and cause alone, so nothing fires twice for one cause.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from hub.core.rewards import Amount, Give, Measure, PerPerson, RuleCondition, digest_of, period_start
from hub.core.values import number_of
from hub.model import Firing, Json

EVENT, CHANGE, CROSSING, SILENCE, SCHEDULE = "event", "changed", "crosses", "quiet_for", "every"
CAUSES = (EVENT, CHANGE, CROSSING, SILENCE, SCHEDULE)
REWARD, NOTICE, FIELD, TASK, WEBHOOK = "reward", "notice", "field", "task", "webhook"
ACTIONS = (REWARD, NOTICE, FIELD, TASK, WEBHOOK)


class FiringState(StrEnum):
    """Where a firing is."""

    DUE = "due"  # to be done now
    WAITING = "waiting"  # until `not_before`: quiet hours, or the next try
    HELD = "held"  # a person must let it go
    DONE = "done"
    FAILED = "failed"  # tried for the last time
    REFUSED = "refused"  # by a limit, a cool-down, a budget, or a person


COUNTED = (FiringState.DUE, FiringState.WAITING, FiringState.HELD, FiringState.DONE)  # against limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A value that a number must come over, or under."""

    kind: str  # canonical type of the field
    currency: str  # the hub's; money in another reaches no mark
    over: Decimal | None = None  # at least
    under: Decimal | None = None  # less than

    def reached(self, value: Json) -> bool:
        number = number_of(self.kind, value, currency=self.currency)
        if number is None:
            return False
        return number >= self.over if self.over is not None else self.under is not None and number < self.under


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """So often within a span, of the same person."""

    count: int
    within_s: float
    same: str = ""  # field of the event's entity that must be the same each time


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """When nothing is done; what fires then is done at their end."""

    begins: time
    ends: time
    of_person: bool = False  # by the person's time zone, where it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Do:
    """What is done."""

    action: str  # of ACTIONS
    give: Give | None = None  # reward, and a notice to a person: by this connection
    budget: str = ""
    text: str = ""  # notice to the team
    values: Mapping[str, Json] = field(default_factory=dict)  # fields to set, or of the task
    due_s: float = 0.0  # task: from the firing to its due day
    owner: str = ""  # task: reference of the subject that names who is to do it
    url: str = ""
    secret: str = ""  # webhook: "secret:NAME" or "env:NAME", which signs
    local: bool = False  # webhook: to this machine or network, and to no other


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRule:
    """One rule of triggers.yaml."""

    name: str
    text: str
    cause: str  # of CAUSES
    of: str  # entity type that the cause happens to
    do: Do
    active_from: float  # epoch seconds; what happened before never fires
    event: str = ""  # "order.paid"
    repeated: Repeated | None = None
    field: str = ""  # changed, crosses
    before: tuple[Json, ...] = ()  # changed: from one of these; none: from any
    after: tuple[Json, ...] = ()  # changed: to one of these; none: to any
    mark: Mark | None = None
    silent_events: tuple[str, ...] = ()  # quiet_for: none of these …
    silent_s: float = 0.0  # … for so long
    slots: Json = None  # every: parts of a cron line, as APScheduler's CronTrigger takes them
    when: RuleCondition | None = None
    who: str = ""  # reference that names the subject; "": the entity itself
    cool_down_s: float = 0.0  # of one person under this rule
    per_person: PerPerson | None = None
    in_all: PerPerson | None = None  # of everybody together
    quiet_hours: QuietHours | None = None
    approve: bool = False
    reverse_on: tuple[str, ...] = ()  # events of the cause's entity that take its reward back
    hold_out: Decimal = Decimal(0)  # share of people who get no reward by lot, so that its effect can be measured
    measured_by: Measure | None = None
    where: str = ""  # file:line

    @property
    def measure(self) -> Measure:
        """As of a rule of rewards.yaml: unless told otherwise, whether the event happens again."""
        return self.measured_by or Measure(on=self.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggers:
    """All of triggers.yaml."""

    rules: Mapping[str, TriggerRule] = field(default_factory=dict)
    zone: tzinfo = UTC
    version: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a rule may answer."""

    key: str  # the same whoever computes it
    entity_id: int  # that it happened to
    at: float  # when it happened
    noticed_at: float  # when the hub learned of it: limits count by this
    topic: str = ""  # repeated with `same`: the value that is the same
    event_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a cause."""

    state: FiringState
    not_before: float
    reason: str = ""  # "CODE: words"; empty if it is simply due


Counted = Callable[[float, bool], int]  # (since, of this person only) -> firings of the rule that count


def firing_key(instance: str, rule: str, cause: Cause) -> str:
    return digest_of("firing", instance, rule, cause.key)


def answers_change(rule: TriggerRule, old: Json, new: Json) -> bool:
    """Whether a change of its field is what a rule waits for: only the step itself, never the standing value."""
    if rule.cause == CROSSING and rule.mark is not None:
        return rule.mark.reached(new) and not rule.mark.reached(old)
    came = not rule.before or old in rule.before
    return rule.cause == CHANGE and old != new and came and (not rule.after or new in rule.after)


def decide(rule: TriggerRule, cause: Cause, *, subject: int | None, counted: Counted, zone: tzinfo,
           person_zone: tzinfo) -> Decision:  # fmt: skip
    """What becomes of a cause that a rule answers: cool-down, limits, approval, quiet hours, in this order.

    Args:
        counted: firings of this rule that the ledger counts, of the person under all their names or of everybody.
        zone: where days and months begin; `person_zone` is the person's own, or the same.
    """
    now = cause.noticed_at
    if subject is None:
        return Decision(state=FiringState.REFUSED, not_before=now, reason="TRG-NOBODY: nobody is named")
    if rule.cool_down_s and counted(now - rule.cool_down_s, True):
        return Decision(state=FiringState.REFUSED, not_before=now, reason="TRG-COOL-DOWN: it fired not long ago")
    for limit, one in ((rule.per_person, True), (rule.in_all, False)):
        # (what fired at the very beginning of the period is of it, and only what came later is counted)
        if limit is not None and counted(math.nextafter(period_start(limit.per, now, zone), 0.0), one) >= limit.count:
            return Decision(state=FiringState.REFUSED, not_before=now, reason=_over(limit, one))
    if rule.approve:
        return Decision(state=FiringState.HELD, not_before=now, reason="TRG-APPROVE: a person must let it go")
    until = end_of_quiet(rule.quiet_hours, now, person_zone)
    if until > now:
        return Decision(
            state=FiringState.WAITING, not_before=until, reason="TRG-QUIET: put off to the end of quiet hours"
        )
    return Decision(state=FiringState.DUE, not_before=now)


def _over(limit: PerPerson, one: bool) -> str:
    if one:
        return f"TRG-LIMIT: the person had {limit.count} in this {limit.per}"
    return f"TRG-LIMIT-ALL: everybody together had {limit.count} in this {limit.per}"


def end_of_quiet(quiet: QuietHours | None, now: float, zone: tzinfo) -> float:
    """When quiet hours end, if it is quiet now; else now."""
    if quiet is None or quiet.begins == quiet.ends:
        return now
    there = datetime.fromtimestamp(now, zone)
    clock = there.time()
    over_night = quiet.begins > quiet.ends
    inside = clock >= quiet.begins or clock < quiet.ends if over_night else quiet.begins <= clock < quiet.ends
    if not inside:
        return now
    day = there.date() + timedelta(days=1 if over_night and clock >= quiet.begins else 0)
    return datetime.combine(day, quiet.ends, zone).timestamp()


def total_of(rule: TriggerRule, times: int) -> Amount | None:
    """What so many firings cost; None: nothing that has a price."""
    give = rule.do.give
    return Amount(minor=times * give.amount.minor, currency=give.amount.currency) if give is not None else None


# What may follow a try

TRIES = 8
FIRST_WAIT_S = 60.0


def after_failure(firing: Firing, now: float) -> tuple[FiringState, float]:
    """Again, twice as late each time, or no more."""
    if firing.attempts >= TRIES:
        return FiringState.FAILED, now
    return FiringState.WAITING, now + FIRST_WAIT_S * 2.0 ** (firing.attempts - 1)
