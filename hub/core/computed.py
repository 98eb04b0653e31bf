"""Fields of people that are computed from what they did: score, stage, value, rhythm, best hour. Pure functions.

Each takes a person's facts and a day and gives one value. The day is the only clock: a value is the same from midnight
to midnight in the hub's zone, so a run that finds nothing new writes nothing, however often it runs. What decays is
rounded to whole steps for the same reason.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from itertools import groupby, pairwise
from statistics import median
from zoneinfo import ZoneInfo

from hub.core.conditions import Condition
from hub.core.forecast import Fit, History, Outlook, history_of, judged, outlook
from hub.core.values import number_of, plain_decimal
from hub.model import Json

COMPUTED = "computed"  # what stands in CanonicalField.derived
SEGMENTS = "segments"  # the field that tells which segments a person is in
PURCHASE, REFUND, AMOUNT = "order.paid", "order.refunded", "total"  # what a purchase is, and what it comes to
LOW, MEDIUM, HIGH = "low", "medium", "high"
DAY_HOURS, QUINTILES = 24, 5
CENT = Decimal("0.01")

Values = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event of a person that stands."""

    name: str  # "order.paid"
    at: float  # epoch seconds, the vendor's time
    key: str
    amount: Decimal | None = None  # of a purchase that was not paid back, in the hub's currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one person, over all names that were merged into theirs."""

    values: Values
    events: tuple[Happening, ...] = ()  # by (at, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where the quintiles of all buyers lie: the values at 20, 40, 60 and 80 %; none while nobody has bought."""

    recency: tuple[float, ...] = ()  # moment of the last purchase
    frequency: tuple[float, ...] = ()  # purchases
    monetary: tuple[float, ...] = ()  # what they come to


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The day that values are computed for."""

    day: date
    zone: tzinfo  # the hub's
    bounds: Bounds = Bounds()
    fit: Fit | None = None  # of the models that tell what customers will spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Points for something that happened, or for something that holds."""

    points: float
    on: str = ""  # event
    when: Condition | None = None  # over the person; one of the two is given
    half_life_days: float = 0.0  # after it half of the points are left; 0: they stay
    most: float = math.inf  # what all events of the rule give together at most
    text: str = ""  # for people: the event or the condition as written


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """One field of derived.yaml."""

    name: str
    kind: str  # a key of KINDS
    text: str = ""
    rules: tuple[Rule, ...] = ()  # score
    step: int = 1  # score, expected: it is told in multiples of it
    of: Computed | None = None  # stage: the score
    field: str = ""  # tier: the number it looks at
    type: str = ""  # tier: that field's canonical type
    levels: tuple[tuple[str, float], ...] = ()  # stage, tier, churn: name and where it begins, rising
    begins: tuple[str, ...] = ()  # wait: events
    ends: tuple[str, ...] = ()  # wait, send_hour: events
    least: int = 1  # send_hour, expected: so many are needed
    days: int = 0  # expected: how far ahead
    where: str = ""  # file:line


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A saved condition over a person's fields, the computed ones included."""

    name: str
    text: str
    when: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """All of derived.yaml."""

    fields: tuple[Computed, ...] = ()  # in the order of the file: later ones may look at earlier ones
    segments: tuple[Segment, ...] = ()
    currency: str = "EUR"  # the hub's; money in another is not counted
    zone: tzinfo | None = None  # the hub's
    digest: str = ""

    @property
    def needs_bounds(self) -> bool:
        return any(each.kind == "rfm" for each in self.fields)

    @property
    def needs_fit(self) -> bool:
        return any(each.kind == "expected" for each in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to compute a field."""

    text: str
    type: str  # canonical type of its values
    compute: Callable[[Computed, Facts, Today, str], Json]
    takes: tuple[str, ...] = ()  # keys of derived.yaml …
    needs: tuple[str, ...] = field(default=())  # … those that must be there
    buys: bool = False  # whether it looks at purchases


def computed_values(derived: Derived, facts: Facts, today: Today) -> dict[str, Json]:
    """Every computed field of a person, and their segments."""
    found: dict[str, Json] = {}
    values = dict(facts.values)
    for each in derived.fields:
        seen = Facts(values=values, events=facts.events)
        found[each.name] = values[each.name] = KINDS[each.kind].compute(each, seen, today, derived.currency)
    if derived.segments:
        found[SEGMENTS] = sorted(each.name for each in derived.segments if each.when(values))
    return found


def local_day(at: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


# Score and stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one rule gives."""

    rule: Rule
    points: float  # on the day, decayed
    events: int  # how many it counted; 0 for one that looks at the person


def score_parts(field: Computed, facts: Facts, today: Today) -> list[Part]:
    """What each rule gives on the day, in the order of the file; together, rounded, they are the score."""
    return _walk(field, facts, today)[0]


def _walk(score: Computed, facts: Facts, today: Today) -> tuple[list[Part], int]:
    """(parts on the day, the highest score ever reached).

    Exponential decay: points of age t days count p * 2**(-t / h), h being the half-life in days. A sum of such terms is
    decayed as a whole, so one walk over the days on which something happened gives the score of each.
    """
    rules = score.rules
    fixed = [rule.points if rule.when is not None and rule.when(facts.values) else 0.0 for rule in rules]
    sums, counts = [0.0] * len(rules), [0] * len(rules)
    names = {rule.on for rule in rules if rule.on}
    dated = [(min(local_day(each.at, today.zone), today.day), each) for each in facts.events if each.name in names]
    base, last = sum(fixed), None
    peak = _stepped(score, base)
    for day, group in groupby(dated, key=lambda pair: pair[0]):
        _decay(rules, sums, last, day)
        last = day
        for _, event in group:
            for place, rule in enumerate(rules):
                if rule.on == event.name:
                    sums[place] += rule.points
                    counts[place] += 1
        peak = max(peak, _stepped(score, base + sum(map(_cap, rules, sums))))
    _decay(rules, sums, last, today.day)
    parts = [
        Part(rule=rule, points=_cap(rule, total) if rule.on else own, events=count)
        for rule, own, total, count in zip(rules, fixed, sums, counts, strict=True)
    ]
    return parts, peak


def _decay(rules: Sequence[Rule], sums: list[float], since: date | None, until: date) -> None:
    days = (until - since).days if since is not None else 0
    for place, rule in enumerate(rules):
        if rule.half_life_days and days:
            sums[place] *= 2.0 ** (-days / rule.half_life_days)


def _cap(rule: Rule, total: float) -> float:
    return max(-rule.most, min(rule.most, total))


def _stepped(score: Computed, points: float) -> int:
    """The nearest multiple of the step, halves up; never below zero."""
    return max(0, math.floor(round(points, 6) / score.step + 0.5) * score.step)


def _score(score: Computed, facts: Facts, today: Today, currency: str) -> Json:
    parts = score_parts(score, facts, today)
    if not any(part.points or part.events for part in parts):
        return None  # nothing is known of them that counts
    return _stepped(score, sum(part.points for part in parts))


def _stage(stage: Computed, facts: Facts, today: Today, currency: str) -> Json:
    """The highest stage that the score ever reached. It never goes back: not by decay, and not by a later reading."""
    names = [name for name, _ in stage.levels]
    peak = _walk(stage.of, facts, today)[1] if stage.of is not None else 0
    reached = sum(1 for _, least in stage.levels if peak >= least)
    before = facts.values.get(stage.name)
    known = names.index(before) + 1 if before in names else 0
    best = max(reached, known)
    return names[best - 1] if best else None


# Purchases


def _purchases(facts: Facts) -> list[Happening]:
    return [each for each in facts.events if each.amount is not None]


def _tier(tier: Computed, facts: Facts, today: Today, currency: str) -> Json:
    number = number_of(tier.type, facts.values.get(tier.field), currency=currency)
    if number is None:
        return None
    return next((name for name, least in reversed(tier.levels) if number >= Decimal(repr(least))), None)


def _average_order(_: Computed, facts: Facts, today: Today, currency: str) -> Json:
    bought = _purchases(facts)
    if not bought:
        return None
    total = sum((each.amount or Decimal(0) for each in bought), Decimal(0))
    return plain_decimal((total / len(bought)).quantize(CENT, ROUND_HALF_EVEN))


def quintiles(values: Sequence[float]) -> tuple[float, ...]:
    """The values at 20, 40, 60 and 80 % by the nearest rank: the k-th bound is the ceil(k * n / 5)-th smallest."""
    ranked = sorted(values)
    if not ranked:
        return ()
    return tuple(ranked[-(-k * len(ranked) // QUINTILES) - 1] for k in range(1, QUINTILES))


def bounds_of(buyers: Sequence[tuple[float, int, float]]) -> Bounds:
    """Quintiles of all buyers: (moment of the last purchase, purchases, what they come to) each."""
    if not buyers:
        return Bounds()
    recency, frequency, monetary = zip(*buyers, strict=True)
    return Bounds(recency=quintiles(recency), frequency=quintiles(frequency), monetary=quintiles(monetary))


def _fifth(bounds: Sequence[float], value: float) -> int:
    """1 to 5: one more than the bounds below the value. Equal values are in one fifth, the lower one."""
    return 1 + bisect_left(bounds, value)


def _rfm(_: Computed, facts: Facts, today: Today, currency: str) -> Json:
    """Three digits, 5 the best: how lately, how often, how much."""
    bought, bounds = _purchases(facts), today.bounds
    if not bought or not bounds.recency:
        return None
    spent = float(sum((each.amount or Decimal(0) for each in bought), Decimal(0)))
    return "".join(
        str(_fifth(*each))
        for each in (
            (bounds.recency, max(each.at for each in bought)),
            (bounds.frequency, len(bought)),
            (bounds.monetary, spent),
        )
    )


def outlook_of(field: Computed, facts: Facts, today: Today) -> tuple[History | None, Outlook | None, str]:
    """(what a customer bought, what is expected of them, why nothing is).

    Counted from the day of the fit, or from their last purchase if it is later: between two fits a value moves only
    when its customer buys.
    """
    bought = [(local_day(each.at, today.zone), each.amount or Decimal(0)) for each in _purchases(facts)]
    bought = [(day, amount) for day, amount in bought if amount > 0 and day <= today.day]
    if not bought:
        return None, None, "nothing was bought yet"
    if today.fit is None:
        return None, None, "no model was fitted yet: that happens before the first sync of a day"
    history = history_of(bought, max(today.fit.day, max(day for day, _ in bought)))
    reason = judged(today.fit, least=field.least)
    if reason or history is None:
        return history, None, reason
    found = outlook(today.fit, history, field.days)
    return history, found, "" if found is not None else "the models give no finite number"


def _expected(field: Computed, facts: Facts, today: Today, currency: str) -> Json:
    _, found, _ = outlook_of(field, facts, today)
    if found is None:
        return None
    return plain_decimal((found.value / field.step).quantize(Decimal(1), ROUND_HALF_EVEN) * field.step)


def _rhythm(facts: Facts, zone: tzinfo) -> tuple[float, date] | None:
    """(middle number of days between days of purchase, the last such day); None for fewer than three days."""
    days = sorted({local_day(each.at, zone) for each in _purchases(facts)})
    if len(days) < 3:  # one gap is no rhythm
        return None
    return float(median((after - before).days for before, after in pairwise(days))), days[-1]


def _cadence(_: Computed, facts: Facts, today: Today, currency: str) -> Json:
    rhythm = _rhythm(facts, today.zone)
    return None if rhythm is None else math.floor(rhythm[0] + 0.5)


def _churn(churn: Computed, facts: Facts, today: Today, currency: str) -> Json:
    """How many of their own gaps long they have been away, by the levels of the file."""
    rhythm = _rhythm(facts, today.zone)
    if rhythm is None:
        return None
    gaps = max(0, (today.day - rhythm[1]).days) / rhythm[0]
    return next((name for name, least in reversed(churn.levels) if gaps >= least), LOW)


# Times


def _wait(wait: Computed, facts: Facts, today: Today, currency: str) -> Json:
    """Whole minutes from the first of some events to the first of others that did not come before it."""
    began = min((each.at for each in facts.events if each.name in wait.begins), default=None)
    if began is None:
        return None
    ended = min((each.at for each in facts.events if each.name in wait.ends and each.at >= began), default=None)
    return None if ended is None else int((ended - began) // 60)


def _send_hour(hour: Computed, facts: Facts, today: Today, currency: str) -> Json:
    """The hour of the person's day around which they act most: a circular histogram, smoothed by (1, 2, 1) / 4.

    Of hours that are equal the earliest.
    """
    moments = [each.at for each in facts.events if each.name in hour.ends]
    if len(moments) < hour.least:
        return None
    zone = zone_of(facts.values, today)
    counts = [0] * DAY_HOURS
    for at in moments:
        counts[datetime.fromtimestamp(at, zone).hour] += 1
    smooth = [counts[h - 1] + 2 * counts[h] + counts[(h + 1) % DAY_HOURS] for h in range(DAY_HOURS)]
    return smooth.index(max(smooth))


def zone_of(values: Values, today: Today) -> tzinfo:
    """Where a person's clock is: by their country, if it has one time; else by their telephone; else the hub's."""
    address = values.get("address")
    country = values.get("country") or (address.get("country") if isinstance(address, Mapping) else None)
    named = _zone_of_country(country, today.day.year) if isinstance(country, str) else ""
    phones = [values.get(name) for name in ("phone", "mobile")]
    named = named or next((found for each in phones if isinstance(each, str) and (found := _zone_of_phone(each))), "")
    return ZoneInfo(named) if named else today.zone


@lru_cache(maxsize=512)
def _zone_of_country(country: str, year: int) -> str:
    """The zone of a country whose clocks all show the same; "" if they differ, or none is known."""
    from babel.core import get_global

    names = get_global("territory_zones").get(country, [])
    probes = [datetime(year, month, 1, tzinfo=UTC) for month in (1, 7)]
    offsets = {tuple(each.astimezone(ZoneInfo(name)).utcoffset() for each in probes) for name in names}
    return str(names[0]) if len(offsets) == 1 else ""


@lru_cache(maxsize=4096)
def _zone_of_phone(phone: str) -> str:
    from phonenumbers import NumberParseException, parse
    from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

    try:
        names = time_zones_for_number(parse(phone))
    except NumberParseException:
        return ""
    return str(names[0]) if len(names) == 1 and names[0] != UNKNOWN_TIMEZONE else ""


KINDS: Mapping[str, Kind] = {
    "score": Kind(
        text="Points for what a person did and is; those for deeds may fade.", type="integer", compute=_score,
        takes=("rules", "step"), needs=("rules",),
    ),
    "stage": Kind(
        text="The highest stage that a score ever reached; it never goes back.", type="enum", compute=_stage,
        takes=("of", "levels"), needs=("of", "levels"),
    ),
    "tier": Kind(
        text="The level that a number has reached.", type="enum", compute=_tier, takes=("of", "levels"),
        needs=("of", "levels"),
    ),
    "average_order": Kind(
        text="What a purchase comes to on average, in the hub's currency.", type="decimal", compute=_average_order,
        buys=True,
    ),
    "rfm": Kind(
        text="How lately, how often and how much a person bought: a fifth of all buyers each, 5 the best.",
        type="text", compute=_rfm, buys=True,
    ),
    "cadence": Kind(
        text="Days between purchases, the middle gap; of people who bought on three days or more.", type="integer",
        compute=_cadence, buys=True,
    ),
    "churn": Kind(
        text="How long a person has been away, measured by their own rhythm.", type="enum", compute=_churn,
        takes=("levels",), needs=("levels",), buys=True,
    ),
    "expected": Kind(
        text="What a customer will probably spend within so many days, by BG/NBD with Gamma-Gamma.", type="decimal",
        compute=_expected, takes=("days", "least", "step"), buys=True,
    ),
    "send_hour": Kind(
        text="The hour of a person's day, 0 to 23, around which they act most.", type="integer", compute=_send_hour,
        takes=("on", "least"), needs=("on",),
    ),
    "wait": Kind(
        text="Minutes from the first of some events to the first of others.", type="integer", compute=_wait,
        takes=("from", "to"), needs=("from", "to"),
    ),
}  # fmt: skip
