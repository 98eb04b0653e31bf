"""Computed fields, each against a second computation written another way, on generated people."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.canonical_file import read_canonical
from hub.core.computed import (
    KINDS,
    SEGMENTS,
    Bounds,
    Derived,
    Facts,
    Happening,
    Today,
    bounds_of,
    computed_values,
    quintiles,
    score_parts,
    zone_of,
)
from hub.core.computed_file import parse_derived
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.runtime.registry import SHIPPED
from hub.runtime.yaml import load_yaml, parse_yaml

CANONICAL = read_canonical(Sheet(load_yaml(SHIPPED / "canonical.yaml")), derived=FUNCTIONS)
BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 28)
NOW = datetime(2026, 11, 28, 9, tzinfo=BERLIN).timestamp()


def derived(text: str = "") -> Derived:
    sheet = Sheet(parse_yaml(text, "derived.yaml") if text else load_yaml(SHIPPED / "derived.yaml"))
    found, _ = parse_derived(sheet, CANONICAL, currency="EUR", zone=BERLIN)
    assert sheet.faults == []
    return found


SHIPPED_FIELDS = derived()
NAMES = ("form_submission.submitted", "activity.product_viewed", "activity.email_opened", "order.paid",
         "contact.lead_created", "activity.answered")  # fmt: skip


def happenings(rng: random.Random, number: int) -> tuple[Happening, ...]:
    found = []
    for place in range(number):
        name = rng.choice(NAMES)
        amount = Decimal(rng.randrange(0, 50_000)) / 100 if name == "order.paid" else None
        found.append(
            Happening(name=name, at=NOW - rng.randrange(0, 400 * 86_400), key=f"{name}:{place}", amount=amount)
        )
    return tuple(sorted(found, key=lambda each: (each.at, each.key)))


def today(day: date = DAY, bounds: Bounds | None = None) -> Today:
    return Today(day=day, zone=BERLIN, bounds=bounds or Bounds())


def values_of(facts: Facts, day: Today, of: Derived = SHIPPED_FIELDS) -> dict[str, Any]:
    return computed_values(of, facts, day)


PEOPLE = [
    Facts(
        values={"job_title": random.Random(seed).choice((None, "Buyer")), "lifetime_value": str(seed * 37)},
        events=happenings(random.Random(seed), seed % 40),
    )
    for seed in range(200)
]


def local(at: float, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromtimestamp(at, zone)


# Score and stage


def plain_score(facts: Facts, day: date) -> float | None:
    """Every event by itself, in exact fractions where they are exact."""
    rules = {"form_submission.submitted": (20, 30, 60), "activity.product_viewed": (5, 14, 30)}
    total, any_ = 0.0, False
    for name, (points, half, most) in rules.items():
        ages = [max(0, (day - local(e.at).date()).days) for e in facts.events if e.name == name]
        any_ = any_ or bool(ages)
        total += min(most, math.fsum(points * 0.5 ** (age / half) for age in ages))
    if facts.values.get("job_title"):
        total, any_ = total + 5, True
    return total if any_ else None


def test_a_score_is_the_sum_of_what_fades() -> None:
    seen = set()
    for facts in PEOPLE:
        plain, told = plain_score(facts, DAY), values_of(facts, today())["lead_score"]
        assert told == (None if plain is None else math.floor(plain / 5 + 0.5) * 5)
        seen.add(told)
    assert len(seen) >= 8


def test_the_parts_of_a_score_are_the_score() -> None:
    field = SHIPPED_FIELDS.fields[0]
    for facts in PEOPLE:
        parts, score = score_parts(field, facts, today()), values_of(facts, today())["lead_score"]
        assert math.floor(sum(each.points for each in parts) / 5 + 0.5) * 5 == (score or 0)
        assert sum(each.events for each in parts) == sum(
            e.name in ("form_submission.submitted", "activity.product_viewed") for e in facts.events
        )


def test_a_stage_is_the_highest_that_the_score_of_any_day_reached_and_stays() -> None:
    names = [None, "mql", "sql"]
    seen: Counter[str | None] = Counter()
    for facts in PEOPLE:
        days = {DAY, *(local(e.at).date() for e in facts.events)}
        best = 0.0
        for day in days:
            until = tuple(e for e in facts.events if local(e.at).date() <= day)
            plain = plain_score(Facts(values=facts.values, events=until), day) or 0.0
            best = max(best, math.floor(plain / 5 + 0.5) * 5)
        told = values_of(facts, today())["lead_stage"]
        assert told == ("sql" if best >= 80 else "mql" if best >= 40 else None)
        seen[told] += 1
        for later in (DAY + timedelta(days=400), DAY + timedelta(days=4000)):
            kept = Facts(values={**facts.values, "lead_stage": told}, events=())  # even if all of it was withdrawn
            assert names.index(values_of(kept, today(later))["lead_stage"]) >= names.index(told)
    assert seen["mql"] > 10
    assert seen[None] > 10


def test_points_may_be_taken_away_and_a_score_ends_at_zero() -> None:
    of = derived(
        "{language: 1, fields: {s: {kind: score, rules: [{on: contact.unsubscribed, points: -20, most: 30}]}}}"
    )
    gone = tuple(Happening(name="contact.unsubscribed", at=NOW - place, key=str(place)) for place in range(3))
    assert values_of(Facts(values={}, events=gone), today(), of) == {"s": 0}
    assert [part.points for part in score_parts(of.fields[0], Facts(values={}, events=gone), today())] == [-30]
    assert values_of(Facts(values={}), today(), of) == {"s": None}


def test_values_move_from_day_to_day_and_not_within_one() -> None:
    """What is computed hangs on the date alone; the half-life is as long as it says."""
    of = derived("{language: 1, fields: {s: {kind: score, rules: [{on: order.paid, points: 64, half_life_days: 10}]}}}")
    facts = Facts(values={}, events=(Happening(name="order.paid", at=NOW, key="a", amount=Decimal(1)),))
    told = [values_of(facts, today(DAY + timedelta(days=days)), of)["s"] for days in (0, 10, 20, 30, 60, 200)]
    assert told == [64, 32, 16, 8, 1, 0]


# Purchases


def bought(facts: Facts) -> list[Happening]:
    return [e for e in facts.events if e.name == "order.paid"]


def test_average_order_tier_cadence_and_churn() -> None:
    risks: Counter[str | None] = Counter()
    for facts in PEOPLE:
        told, orders = values_of(facts, today()), bought(facts)
        cents = [int((e.amount or 0) * 100) for e in orders]
        mean = Fraction(sum(cents), len(cents)) / 100 if cents else None
        assert (told["average_order"] is None) == (mean is None)
        if mean is not None:
            assert abs(Fraction(told["average_order"]) - mean) <= Fraction(1, 200)
        spent = float(facts.values["lifetime_value"])
        assert told["value_tier"] == (
            "gold" if spent >= 2000 else "silver" if spent >= 500 else "bronze" if spent >= 1 else None
        )
        days = sorted({local(e.at).date().toordinal() for e in orders})
        if len(days) < 3:
            assert (told["purchase_cadence"], told["churn_risk"]) == (None, None)
            continue
        gap = statistics.median([b - a for a, b in itertools.pairwise(days)])
        assert told["purchase_cadence"] == int(gap + 0.5)
        away = DAY.toordinal() - days[-1]
        assert told["churn_risk"] == ("high" if away >= 3 * gap else "medium" if 2 * away >= 3 * gap else "low")
        risks[told["churn_risk"]] += 1
    assert min(risks["low"], risks["medium"], risks["high"]) >= 3


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 5), st.integers(0, 30)), min_size=1, max_size=60))
def test_fifths_are_as_ranks_have_them_and_ties_are_together(rows: list[tuple[int, int, int]]) -> None:
    buyers = [(float(at), often, float(spent)) for at, often, spent in rows]
    bounds = bounds_of(buyers)
    for place in range(3):
        column = [row[place] for row in buyers]
        bound = (bounds.recency, bounds.frequency, bounds.monetary)[place]
        for value in column:
            below = sum(each < value for each in column)  # the rank of the first of its equals, from 0
            fifth = min(5, 1 + below * 5 // len(column))
            told = 1 + sum(value > each for each in bound)
            assert told == fifth


def test_rfm_is_three_fifths() -> None:
    buyers = {}
    for place, facts in enumerate(PEOPLE):
        orders = bought(facts)
        if orders:
            spent = float(sum((e.amount or Decimal(0) for e in orders), Decimal(0)))
            buyers[place] = (max(e.at for e in orders), len(orders), spent)
    bounds = bounds_of(list(buyers.values()))
    told = {place: values_of(facts, today(bounds=bounds))["rfm"] for place, facts in enumerate(PEOPLE)}
    assert {place for place, each in told.items() if each is not None} == set(buyers)
    for column in range(3):
        ranked = [each[column] for each in buyers.values()]
        for place, each in buyers.items():
            below = sum(other < each[column] for other in ranked)
            assert told[place][column] == str(min(5, 1 + below * 5 // len(ranked)))
    assert {values_of(facts, today())["rfm"] for facts in PEOPLE} == {None}, "no fifths were drawn yet"
    assert quintiles([]) == ()


def test_what_was_paid_back_is_no_purchase() -> None:
    paid = Happening(name="order.paid", at=NOW, key="a", amount=Decimal("10.01"))
    back = Happening(name="order.paid", at=NOW, key="b", amount=None)
    assert values_of(Facts(values={}, events=(paid, back)), today())["average_order"] == "10.01"
    assert values_of(Facts(values={}, events=(back,)), today())["average_order"] is None


# Times


def test_speed_to_lead_is_from_the_first_to_the_first_after_it() -> None:
    answered = 0
    for facts in PEOPLE:
        starts = [e.at for e in facts.events if e.name in ("contact.lead_created", "form_submission.submitted")]
        ends = sorted(e.at for e in facts.events if e.name == "activity.answered")
        wanted = None
        if starts:
            after = [each for each in ends if each >= min(starts)]
            wanted = math.floor((after[0] - min(starts)) / 60) if after else None
        assert values_of(facts, today())["speed_to_lead"] == wanted
        answered += wanted is not None
    assert answered > 20


OPENED = "activity.email_opened"


def opens(*moments: datetime) -> tuple[Happening, ...]:
    return tuple(Happening(name=OPENED, at=each.timestamp(), key=str(n)) for n, each in enumerate(moments))


def test_the_best_hour_is_where_a_smoothed_circle_is_highest() -> None:
    rng = random.Random(5)
    for _ in range(100):
        moments = [NOW - rng.randrange(0, 400 * 86_400) for _ in range(rng.randrange(1, 30))]
        events = tuple(Happening(name=OPENED, at=at, key=str(n)) for n, at in enumerate(moments))
        told = values_of(Facts(values={}, events=events), today())["best_send_hour"]
        if len(moments) < 3:
            assert told is None
            continue
        hours = [local(at).hour for at in moments]
        weight = {hour: sum(max(0, 2 - min((hour - h) % 24, (h - hour) % 24)) for h in hours) for hour in range(24)}
        assert told == min(hour for hour in range(24) if weight[hour] == max(weight.values()))


def test_midnight_is_beside_eleven_at_night() -> None:
    at = [
        datetime(2026, 11, day, hour, tzinfo=BERLIN)
        for day, hour in ((1, 23), (2, 0), (3, 0), (4, 1), (5, 12), (6, 12))
    ]
    assert values_of(Facts(values={}, events=opens(*at)), today())["best_send_hour"] == 0


def test_an_hour_is_the_persons_own_in_summer_and_in_winter() -> None:
    """Nine o'clock in Berlin is 7:00 UTC in July and 8:00 UTC in December."""
    moments = (
        datetime(2026, 7, 1, 7, 30, tzinfo=UTC),
        datetime(2026, 7, 2, 7, 30, tzinfo=UTC),
        datetime(2026, 12, 1, 8, 30, tzinfo=UTC),
        datetime(2026, 12, 2, 8, 30, tzinfo=UTC),
    )
    there = Facts(values={"address": {"country": "DE"}}, events=opens(*moments))
    assert values_of(there, today(), SHIPPED_FIELDS)["best_send_hour"] == 9
    tokyo = Facts(values={"phone": "+819012345678"}, events=opens(*moments))
    assert values_of(tokyo, today())["best_send_hour"] == 16


@pytest.mark.parametrize(
    ("values", "zone"),
    [
        ({}, "Europe/Berlin"),
        ({"address": {"country": "JP"}}, "Asia/Tokyo"),
        ({"country": "GB"}, "Europe/London"),
        ({"address": {"country": "US"}}, "Europe/Berlin"),  # many clocks, and no telephone
        ({"address": {"country": "US"}, "phone": "+12125551234"}, "America/New_York"),
        ({"address": {"country": "DE"}, "phone": "+819012345678"}, "Europe/Berlin"),  # where they live
        ({"phone": "nonsense", "mobile": "+4930123456"}, "Europe/Berlin"),
        ({"phone": "+18005551234"}, "Europe/Berlin"),  # free of charge from anywhere
    ],
)
def test_where_a_persons_clock_is(values: dict[str, Any], zone: str) -> None:
    assert str(zone_of(values, today())) == zone


def test_a_purchase_at_midnight_is_of_the_day_in_the_hubs_zone() -> None:
    late = datetime(2026, 11, 27, 23, 30, tzinfo=UTC).timestamp()  # 0:30 on the 28th in Berlin
    of = derived("{language: 1, fields: {s: {kind: score, rules: [{on: order.paid, points: 64, half_life_days: 1}]}}}")
    facts = Facts(values={}, events=(Happening(name="order.paid", at=late, key="a", amount=Decimal(1)),))
    assert values_of(facts, today(), of)["s"] == 64


# Segments and the file


def test_segments_look_at_what_was_computed() -> None:
    for facts in PEOPLE:
        told = values_of(facts, today())
        wanted = [
            *(["best_customers"] if told["value_tier"] == "gold" else []),
            *(
                ["hot_leads"]
                if (told["lead_score"] or 0) >= 60 and facts.values.get("lifecycle") not in (None, "customer")
                else []
            ),
            *(["slipping_away"] if told["churn_risk"] == "high" else []),
        ]
        assert told[SEGMENTS] == wanted


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{language: 1, fields: {x: {kind: guess}}}", "DRV-001", "no kind of field guess"),
        ("{language: 1, fields: {x: {kind: score, rules: [{points: 5}]}}}", "DRV-002", "an event or about the person"),
        ("{language: 1, fields: {x: {kind: score, rules: [{points: many, on: order.paid}]}}}", "DRV-002", "a number"),
        ("{language: 1, fields: {x: {kind: score, rules: [{points: 5, on: order.eaten}]}}}", "DRV-003", "order.eaten"),
        (
            "{language: 1, fields: {x: {kind: score, rules: [{points: 5, when: 'shoe_size > 3'}]}}}",
            "MAP-013",
            "shoe_size",
        ),
        ("{language: 1, fields: {email: {kind: rfm}}}", "DRV-003", "a field email already"),
        ("{language: 1, fields: {x: {kind: stage, of: y, levels: {a: 1}}}}", "DRV-003", "no score above"),
        ("{language: 1, fields: {x: {kind: tier, of: email, levels: {a: 1}}}}", "DRV-003", "no number"),
        (
            "{language: 1, fields: {x: {kind: tier, of: lifetime_value, levels: {a: 5, b: 5}}}}",
            "DRV-002",
            "not above a",
        ),
        ("{language: 1, fields: {x: {kind: churn}}}", "CFG-013", "lacks levels"),
        ("{language: 1, segments: {x: {when: 'shoe_size > 3'}}}", "MAP-013", "shoe_size"),
        ("{language: 1, fields: {x: {kind: wait, from: [a.b], to: [order.paid]}}}", "DRV-003", "no event a.b"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, code: str, words: str) -> None:
    sheet = Sheet(parse_yaml(text, "derived.yaml"))
    parse_derived(sheet, CANONICAL)
    (fault,) = sheet.faults
    assert fault.code == code
    assert words in fault.message
    assert fault.where.startswith("derived.yaml:1")


def test_every_kind_is_shipped_once_at_least() -> None:
    assert {each.kind for each in SHIPPED_FIELDS.fields} == set(KINDS)
