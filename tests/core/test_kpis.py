"""Periods, and kpis.yaml read strictly: every fault with its place."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from hub.core.canonical_file import read_canonical
from hub.core.derived import FUNCTIONS
from hub.core.document import Sheet
from hub.core.facts import facts_of, grouped
from hub.core.kpis import (
    Fact,
    Figure,
    Kpi,
    Sight,
    chosen,
    figures,
    last_periods,
    period_around,
    periods_between,
    previous_days,
    quotients,
)
from hub.core.kpis_file import parse_kpis
from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.runtime.yaml import load_yaml, parse_yaml

CANONICAL = read_canonical(Sheet(load_yaml(SHIPPED / "canonical.yaml")), derived=FUNCTIONS)
ZONE = ZoneInfo("Pacific/Auckland")

GOOD = """\
language: 1
kpis:
  rate:
    text: t
    unit: share
    direction: up
    of: deal
    at: close_date
    when: "stage in ('won', 'lost')"
    formula: {kind: ratio, part: "stage == 'won'"}
"""


def fact_of(kpi: Kpi, sight: Sight, zone: tzinfo) -> Fact | None:
    return facts_of(grouped([kpi]), [sight], zone)[0][0]


def faults(text: str) -> list[tuple[str, int]]:
    sheet = Sheet(parse_yaml(text, "kpis.yaml"))
    parse_kpis(sheet, CANONICAL)
    return [(fault.code, int(fault.where.partition(":")[2])) for fault in sheet.faults]


def kpi(text: str = GOOD) -> Kpi:
    sheet = Sheet(parse_yaml(text, "kpis.yaml"))
    found = parse_kpis(sheet, CANONICAL, zone=ZONE)
    assert sheet.faults == []
    return next(iter(found.kpis.values()))


def test_a_good_file_has_no_fault() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("of: deal", "of: deel", "KPI-001", 7),
        ("{kind: ratio, part: \"stage == 'won'\"}", "{kind: quotient, above: rate, below: rate}", "KPI-004", 10),
        ("at: close_date", "at: closed", "KPI-001", 8),
        ("at: close_date", "at: amount", "KPI-001", 8),
        ("at: close_date", "at: event.shelved", "KPI-001", 8),
        ("at: close_date\n    ", "", "KPI-003", 3),
        ("kind: ratio", "kind: ration", "KPI-002", 10),
        ("unit: share", "unit: days", "KPI-002", 5),
        ("direction: up", "direction: sideways", "CFG-012", 6),
        ("text: t", "txt: t", "CFG-010", 4),
        ("""part: "stage == 'won'\"""", "part: sum(stage)", "MAP-012", 10),
        ("""stage in (""", "stagge in (", "MAP-013", 9),
        ("""kind: ratio, part: "stage == 'won'\"""", "kind: ratio", "CFG-013", 10),
        ("kind: ratio,", "kind: ratio, bound: 1d,", "CFG-010", 10),
        ("  rate:", "  Rate:", "CFG-015", 3),
        ("language: 1", "language: 2", "CFG-014", 1),
    ],
)
def test_a_fault_is_told_with_its_code_and_line(old: str, new: str, code: str, line: int) -> None:
    assert old in GOOD
    assert (code, line) in faults(GOOD.replace(old, new, 1))


def test_what_a_formula_needs_to_be_understood_is_asked_for() -> None:
    order = GOOD.replace("of: deal", "of: order").replace("close_date", "placed_at").replace("    when", "    # when")
    share = order.replace("unit: share", "unit: money")
    formula = "{kind: ratio, part: \"stage == 'won'\"}"
    for text, code in (
        (share.replace(formula, "{kind: sum, value: total, only: first}"), "KPI-002"),  # first of whom?
        (share.replace(formula, "{kind: average, value: total, per: total}"), "KPI-001"),
        (order.replace(formula, "{kind: within, from: placed_at, to: known, bound: soon}"), "KPI-003"),
        (order.replace(formula, "{kind: retention, from: placed_at, to: cancelled_at}"), "KPI-003"),  # and at:
    ):
        assert (code, 10) in faults(text) or (code, 8) in faults(text), text


def test_one_bad_figure_leaves_the_others_and_all_faults_are_told() -> None:
    second = GOOD.partition("kpis:\n")[2].replace("rate", "other").replace("deal", "deel").replace(" up", " aside")
    sheet = Sheet(parse_yaml(GOOD + second, "kpis.yaml"))
    found = parse_kpis(sheet, CANONICAL)
    assert sorted(fault.code for fault in sheet.faults) == ["CFG-012", "KPI-001"]
    assert list(found.kpis) == ["rate"]


def test_periods_begin_and_end_where_people_say_so() -> None:
    assert [period_around(by, date(2026, 11, 28)).label for by in ("day", "week", "month", "quarter", "year")] == [
        "2026-11-28", "2026-W48", "2026-11", "2026-Q4", "2026"
    ]  # fmt: skip
    assert period_around("week", date(2027, 1, 1)).label == "2026-W53"
    december = period_around("month", date(2026, 12, 31))
    assert (december.first, december.after) == (date(2026, 12, 1), date(2027, 1, 1))
    quarter = period_around("quarter", date(2026, 12, 31))
    assert (quarter.first, quarter.after) == (date(2026, 10, 1), date(2027, 1, 1))


@pytest.mark.parametrize("by", ["day", "week", "month", "quarter", "year"])
def test_periods_follow_each_other_without_gap(by: str) -> None:
    found = periods_between(by, date(2023, 12, 30), date(2026, 3, 2))
    assert all(one.after == two.first for one, two in pairwise(found))
    assert found[0].first <= date(2023, 12, 30) < found[0].after
    assert found[-1].first <= date(2026, 3, 2) < found[-1].after
    assert last_periods(by, date(2026, 3, 2), len(found)) == found


def test_a_date_is_that_day_in_every_zone_and_a_moment_is_the_day_there() -> None:
    rate, until = kpi(), 2_000_000_000.0
    deal = fact_of(rate, Sight(id=1, values={"stage": "won", "close_date": "2026-10-31"}), ZONE)
    assert deal is not None
    assert deal.day == date(2026, 10, 31)
    orders = kpi(
        GOOD.replace("deal", "order").replace("close_date", "placed_at").replace("share", "number")
        .replace("    when", "    # when").replace("{kind: ratio, part: \"stage == 'won'\"}", "{kind: count}")
    )  # fmt: skip
    late = fact_of(orders, Sight(id=2, values={"placed_at": "2026-10-31T11:00:00Z"}), ZONE)  # midnight in Auckland
    assert late is not None
    assert late.day == date(2026, 11, 1)
    (november,) = figures(orders, chosen(orders, [late], until=until), [period_around("month", late.day)],
                          zone=ZONE, until=until)  # fmt: skip
    assert (november.value, november.period.label, november.ids) == (Decimal(1), "2026-11", (2,))


def test_nothing_to_divide_by_is_no_figure_and_nothing_counted_is_zero() -> None:
    (empty,) = figures(kpi(), [], [period_around("month", date(2026, 1, 1))], zone=ZONE, until=0.0)
    assert (empty.value, empty.of) == (None, 0)


def test_every_shipped_figure_is_sound() -> None:
    sheet = Sheet(load_yaml(SHIPPED / "kpis.yaml"))
    found = parse_kpis(sheet, CANONICAL)
    assert [str(fault) for fault in sheet.faults] == []
    assert {"close_rate", "new_revenue", "subscriber_churn", "nps", "data_quality"} <= found.kpis.keys()


# Shipped figures, each over a few records whose answer can be counted on the fingers


def order(number: int, person: int | None, minor: int, at: str, **more: Json) -> Sight:
    values = {"total": {"minor": minor, "currency": "EUR"}, "placed_at": at, "payment_status": "paid", **more}
    return Sight(id=number, values=values, person=person)


ORDERS = [
    order(1, 7, 5000, "2026-02-01T00:00:00Z"),
    order(2, 7, 7000, "2026-03-01T00:00:00Z", payment_status="partially_refunded"),
    order(3, 8, 1000, "2026-03-02T00:00:00Z", payment_status="refunded"),
    order(4, 8, 9000, "2026-03-03T00:00:00Z"),
    order(5, 9, 100, "2026-03-04T00:00:00Z", cancelled_at="2026-03-05T00:00:00Z"),
    order(6, 9, 200, "2026-03-04T00:00:00Z", payment_status="pending"),
    order(7, None, 4000, "2026-03-06T00:00:00Z"),
]


def deals(*stages: str) -> list[Sight]:
    values = [
        {"stage": each, "close_date": "2026-03-01", "amount": {"minor": 1000, "currency": "EUR"}} for each in stages
    ]
    return [Sight(id=number, values=each) for number, each in enumerate(values)]


def forms(**answers: list[Json]) -> list[Sight]:
    told = [{"submitted_at": "2026-03-01T12:00:00Z", name: each} for name, some in answers.items() for each in some]
    return [Sight(id=number, values=each) for number, each in enumerate(told)]


def people(*values: dict[str, Json]) -> list[Sight]:
    known = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    return [Sight(id=number, values=each, moments={"known": known}) for number, each in enumerate(values)]


def runs(number: int, person: int, begins: str, ends: str | None = None) -> Sight:
    return Sight(
        id=number,
        person=person,
        values={"status": "active", "started_at": begins} | ({"ended_at": ends} if ends else {}),
    )


HALF_KNOWN: dict[str, Json] = {"email": "a@b.org", "name": {"last_name": "A"}}  # but for telephone and country
SUBSCRIPTIONS = [
    runs(1, 1, "2026-01-01T00:00:00Z"),
    runs(2, 2, "2026-01-01T00:00:00Z", "2026-03-20T00:00:00Z"),
    runs(3, 3, "2026-01-01T00:00:00Z", "2026-03-20T00:00:00Z"),
    runs(4, 3, "2026-03-01T12:00:00Z"),
    runs(5, 4, "2026-01-01T00:00:00Z", "2026-02-20T00:00:00Z"),
]


@pytest.mark.parametrize(
    ("name", "sights", "value"),
    [
        ("close_rate", deals("won", "lost", "lost", "lost", "new"), "0.25"),
        ("won_value", deals("won", "lost", "won"), "20"),
        ("revenue", ORDERS, "200"),
        ("new_revenue", ORDERS, "90"),
        ("repeat_revenue", ORDERS, "70"),
        ("average_order_value", ORDERS, "66.666667"),
        ("revenue_per_customer", ORDERS, "80"),
        ("customers", ORDERS, "2"),
        ("refund_rate", ORDERS, "0.4"),
        ("nps", forms(nps=[10, 9, 8, 6, None, 11]), "25"),
        ("csat", forms(csat=["4", "5", None]), "4.5"),
        ("forms_submitted", forms(nps=[1, 2]), "2"),
        ("referrals", people(*({"lead_source": each} for each in ("Partner referral", "Referral", "Ad"))), "2"),
        ("mql_to_sql", people(*({"lifecycle": each} for each in ("lead", "mql", "sql", "customer", "mql"))), "0.5"),
        ("customer_lifetime_value", people(*({"lifetime_value": each} for each in ("10", "30", "0"))), "20"),
        ("data_quality", people(HALF_KNOWN, {"address": {"country": "DE"}}), "37.5"),
        ("new_subscribers", SUBSCRIPTIONS, "1"),
        ("subscriber_retention", SUBSCRIPTIONS[:3] + SUBSCRIPTIONS[4:], "0.333333"),
        ("subscriber_churn", SUBSCRIPTIONS[:3] + SUBSCRIPTIONS[4:], "0.666667"),
    ],
)  # fmt: skip
def test_a_shipped_figure_counts_what_it_says(name: str, sights: list[Sight], value: str) -> None:
    one = parse_kpis(Sheet(load_yaml(SHIPPED / "kpis.yaml")), CANONICAL).kpis[name]
    facts = [fact for sight in sights if (fact := fact_of(one, sight, UTC)) is not None]
    march, until = period_around("month", date(2026, 3, 1)), datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    (found,) = figures(one, chosen(one, facts, until=until), [march], zone=UTC, until=until)
    assert found.value == Decimal(value)


def test_a_quotient_is_of_figures_that_are_there_and_are_none_themselves() -> None:
    text = (
        GOOD
        + """\
  twice: {text: t, unit: share, direction: up, formula: {kind: quotient, above: rate, below: rate}}
  wrong: {text: t, unit: share, direction: up, formula: {kind: quotient, above: twice, below: ratte}}
  unsaid: {text: t, unit: days, direction: up, formula: {kind: quotient, above: rate, below: rate}}
"""
    )
    assert [code for code, _ in faults(text)][:2] == ["KPI-004", "KPI-004"]
    assert len(faults(text)) == 3


def test_what_comes_before_a_period_is_as_long() -> None:
    before = {
        by: previous_days(period_around(by, date(2024, 3, 31))) for by in ("day", "week", "month", "quarter", "year")
    }
    assert before == {
        "day": date(2024, 3, 30), "week": date(2024, 3, 18), "month": date(2024, 2, 1), "quarter": date(2023, 10, 1),
        "year": date(2023, 1, 1),
    }  # fmt: skip


def test_an_event_that_happens_once_per_value_has_a_moment_for_each() -> None:
    text = GOOD.replace("at: close_date", "at: event.stage_changed.contract")
    assert kpi(text).at == "event.stage_changed.contract"
    assert faults(GOOD.replace("at: close_date", "at: event.stage_changed")) == [("KPI-001", 8)]


def test_where_segments_differ_a_quotient_has_all_of_them_and_divides_by_none_that_is_missing() -> None:
    one = kpi(GOOD.replace("{kind: ratio, part: \"stage == 'won'\"}", "{kind: count}").replace("share", "number"))
    period = period_around("month", date(2026, 3, 3))

    def told(segment: str, value: int) -> Figure:
        return Figure(period=period, segment=segment, value=Decimal(value), part=Decimal(value), of=value, ids=(value,))

    found = quotients(one, [told("a", 3), told("b", 4)], [told("a", 6), told("c", 5)])
    assert [(each.segment, each.value, each.of) for each in found] == [
        ("a", Decimal("0.5"), 6), ("b", None, 0), ("c", Decimal(0), 5)
    ]  # fmt: skip
    empty = Figure(period=period, segment="", value=Decimal(0), part=Decimal(0), of=0, ids=())
    assert [each.segment for each in quotients(one, [empty], [told("c", 5)])] == ["c"]
