"""Key figures over what really was taken in, held against plain computations over what the systems sent."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.app import sights
from hub.app.identity import merge, unmerge
from hub.app.ingest import ingest_page
from hub.app.kpis import list_kpis, show_kpi
from hub.app.past import show
from hub.core.document import Sheet
from hub.core.kpis import Kpis
from hub.core.kpis_file import parse_kpis
from hub.errors import NeedsReview, NotFound
from hub.model import SourceRecord
from hub.runtime.yaml import parse_yaml
from tests.reward_world import DAY, MakeWorld, World, declared, order_record, worlds

ZONE = ZoneInfo("America/New_York")
SINCE = "2026-01-01"
FIRST, LAST = datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 12, 5, tzinfo=UTC)
DAYS = (LAST - FIRST).days
NOW = datetime(2026, 12, 5, 12, tzinfo=UTC)  # of the world

KPIS = """
language: 1
kpis:
  revenue:
    {text: t, unit: money, direction: up, of: order, at: paid_at, when: "refunded_at is None",
     formula: {kind: sum, value: total}}
  orders: {text: t, unit: number, direction: up, of: order, at: paid_at, formula: {kind: count}}
  buyers: {text: t, unit: number, direction: up, of: order, at: paid_at, formula: {kind: count, per: contact}}
  per_buyer:
    {text: t, unit: money, direction: up, of: order, at: paid_at, formula: {kind: average, value: total, per: contact}}
  new_revenue:
    {text: t, unit: money, direction: up, of: order, at: paid_at,
     formula: {kind: sum, value: total, per: contact, only: first}}
  refund_rate:
    {text: t, unit: share, direction: down, of: order, at: paid_at,
     formula: {kind: ratio, part: "refunded_at is not None"}}
  time_to_refund:
    {text: t, unit: hours, direction: up, of: order, at: paid_at,
     formula: {kind: duration, from: paid_at, to: refunded_at}}
  refunded_in_a_day:
    {text: t, unit: share, direction: down, of: order, at: paid_at,
     formula: {kind: within, from: paid_at, to: refunded_at, bound: 1d}}
  kept: {text: t, unit: share, direction: up, of: order, formula: {kind: retention, from: paid_at, to: refunded_at}}
  people_lost:
    {text: t, unit: share, direction: down, of: order,
     formula: {kind: retention, from: paid_at, to: refunded_at, per: contact, lost: true}}
  money_kept:
    {text: t, unit: share, direction: up, of: order,
     formula: {kind: retention, from: paid_at, to: refunded_at, value: total}}
  growing: {text: t, unit: share, direction: up, of: order, at: paid_at, formula: {kind: growth}}
  an_order: {text: t, unit: money, direction: up, formula: {kind: quotient, above: revenue, below: orders}}
  stuck: {text: t, unit: number, direction: down, of: deal, at: changed.stage, when: "stage == 'new'",
          formula: {kind: count, older: 30d}}
  sales_cycle: {text: t, unit: days, direction: down, of: deal, at: event.won, when: "stage == 'won'",
                formula: {kind: duration, from: known, to: event.won}}
"""

Orders = Mapping[str, Mapping[str, Any]]


class Project:
    """All that figures and merges ask of a project."""

    def __init__(self, kpis: Kpis) -> None:
        self.kpis = kpis
        self.settings = self.hub = self
        self.currency = kpis.currency


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield lambda: with_kpis(make())


def with_kpis(w: World) -> World:
    sheet = Sheet(parse_yaml(KPIS, "kpis.yaml"))
    w.hub.projects = Project(parse_kpis(sheet, declared(), zone=ZONE))
    assert sheet.faults == []
    return w


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def made(chance: random.Random, numbers: range, people: int) -> dict[str, dict[str, Any]]:
    """Orders of the year: many near a midnight of New York, some refunded, some in another currency."""
    found = {}
    for number in numbers:
        at = FIRST + timedelta(
            days=chance.randrange(1, DAYS), seconds=chance.choice((0, -1, 1, chance.randrange(80_000)))
        )
        refund = at + timedelta(seconds=chance.choice((60, 86_400, 86_401, chance.randrange(40 * 86_400))))
        found[f"o{number}"] = order_record(
            f"o{number}", f"c{chance.randrange(people)}", f"{chance.randrange(1, 90_000) / 100:.2f}",
            currency=chance.choice(("EUR",) * 9 + ("USD",)), paid_at=iso(at),
            refunded_at=iso(refund) if chance.random() < 0.3 and refund < LAST else None,
        )  # fmt: skip
    return found


def load(w: World, orders: Orders, people: int = 0) -> None:
    for start in range(0, people, 500):
        records = [
            {
                "id": f"c{n}",
                "email": f"c{n}@example.com",
                "name": f"c{n}",
                "country": ("DE", "AT")[n % 2],
                "phone": None,
            }
            for n in range(start, min(people, start + 500))
        ]
        w.take("shop", "customers", *records, first_load=True)
    rows = [dict(each) for each in orders.values()]
    for start in range(0, len(rows), 500):
        w.take("shop", "orders", *rows[start : start + 500], first_load=True)


# The other computation: no code of the hub


def month(order: Mapping[str, Any]) -> str:
    return moment(order["paid_at"]).astimezone(ZONE).strftime("%Y-%m")


def cents(order: Mapping[str, Any]) -> int:
    return round(float(order["total"]) * 100)


def by_month(orders: Orders) -> dict[str, list[Mapping[str, Any]]]:
    found = defaultdict(list)
    for order in orders.values():
        found[month(order)].append(order)
    return found


def waited(order: Mapping[str, Any]) -> float:
    return (moment(order["refunded_at"]) - moment(order["paid_at"])).total_seconds()


def firsts(orders: Orders) -> list[Mapping[str, Any]]:
    """Of each person the first order in euros; of two at once the one that came first."""
    seen, found = set(), []
    for order in sorted(orders.values(), key=lambda each: moment(each["paid_at"])):  # stable: ids rise with arrival
        if order["currency"] == "EUR" and order["customer"] not in seen:
            seen.add(order["customer"])
            found.append(order)
    return found


def starts_of(label: str) -> tuple[datetime, datetime]:
    year, number = map(int, label.split("-"))
    after = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=ZONE)
    return datetime(year, number, 1, tzinfo=ZONE), min(after, NOW)


def expected(orders: Orders) -> dict[str, dict[str, Any]]:
    """Figure -> month -> value as an exact fraction."""
    want: dict[str, dict[str, Any]] = defaultdict(dict)
    new: dict[str, int] = defaultdict(int)
    for order in firsts(orders):
        new[month(order)] += cents(order)
    for label, own in by_month(orders).items():
        euros = [each for each in own if each["currency"] == "EUR"]
        back = [each for each in own if each["refunded_at"]]
        want["revenue"][label] = Fraction(sum(cents(each) for each in euros if not each["refunded_at"]), 100)
        want["orders"][label] = len(own)
        want["an_order"][label] = want["revenue"][label] / len(own)
        want["buyers"][label] = len({each["customer"] for each in own})
        want["per_buyer"][label] = Fraction(sum(map(cents, euros)), 100 * len({each["customer"] for each in euros}))
        want["new_revenue"] |= {label: Fraction(new[label], 100)} if label in new else {}
        want["refund_rate"][label] = Fraction(len(back), len(own))
        want["time_to_refund"][label] = Fraction(median(map(waited, back))) / 3600
        decided = [each for each in own if each["refunded_at"] or NOW - moment(each["paid_at"]) >= timedelta(days=1)]
        want["refunded_in_a_day"][label] = Fraction(sum(waited(each) <= 86_400 for each in back), len(decided))
        if label == "2026-01":
            continue  # nothing ran when the year began
        start, end = starts_of(label)
        running = [
            each
            for each in orders.values()
            if moment(each["paid_at"]) < start and (not each["refunded_at"] or moment(each["refunded_at"]) >= start)
        ]
        still = [each for each in running if not each["refunded_at"] or moment(each["refunded_at"]) >= end]
        people, stay = ({each["customer"] for each in some} for some in (running, still))
        paid, left = (sum(cents(each) for each in some if each["currency"] == "EUR") for some in (running, still))
        want["money_kept"][label] = Fraction(left, paid)
        before = by_month(orders)[f"2026-{int(label[5:]) - 1:02}"]
        want["growing"][label] = Fraction(len(own) - len(before), len(before))
        want["kept"][label] = Fraction(len(still), len(running))
        want["people_lost"][label] = 1 - Fraction(len(stay), len(people))
    return want


def shown(w: World, name: str, **more: Any) -> dict[str, str]:
    return {row["period"]: row["value"] for row in show_kpi(w.hub, name, since=SINCE, **more)["figures"] if row["of"]}


def assert_right(w: World, orders: Orders) -> None:
    for name, months in expected(orders).items():
        found = shown(w, name)
        assert found.keys() == months.keys(), name
        for label, value in months.items():
            assert abs(Fraction(found[label]) - value) <= Fraction(1, 10**6), (name, label)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_kind_of_formula_gives_what_a_plain_computation_gives(world: MakeWorld, seed: int) -> None:
    w, orders = world(), made(random.Random(seed), range(700), 60)
    load(w, orders, people=60)
    assert_right(w, orders)


@pytest.mark.long
def test_the_same_of_a_hundred_thousand_events(world: MakeWorld) -> None:
    w, orders = world(), made(random.Random(3), range(80_000), 9_000)
    load(w, orders, people=9_000)
    with w.store.reading() as tx:
        last, count = 0, 0
        while page := tx.events_page(after_id=last, limit=5_000):
            last, count = page[-1].id or 0, count + len(page)
    assert count >= 100_000
    assert_right(w, orders)


# As of


NAMES = (
    "an_order",
    "growing",
    "revenue",
    "orders",
    "buyers",
    "new_revenue",
    "refund_rate",
    "time_to_refund",
    "refunded_in_a_day",
    "kept",
)


def test_a_figure_of_then_is_shown_again_and_the_records_between_are_named(world: MakeWorld) -> None:
    w, chance = world(), random.Random(7)
    before = made(chance, range(300), 30)
    load(w, before, people=30)
    then = w.clock.now()
    first = {name: shown(w, name) for name in NAMES}
    w.clock.advance(DAY)
    late = made(chance, range(300, 340), 30)
    refunds = {
        name: {**order, "refunded_at": "2026-12-04T00:00:00Z"}
        for name, order in list(before.items())[:20]
        if not order["refunded_at"]
    }
    load(w, {**late, **refunds})
    for name in NAMES:
        assert shown(w, name, as_of=then) == first[name], name
    assert shown(w, "revenue") != first["revenue"]
    found = show_kpi(w.hub, "orders", since=SINCE, as_of=then)
    assert {row["difference"] for row in found["differences"]} == {"came"}
    assert len(found["differences"]) == 40
    found = show_kpi(w.hub, "revenue", since=SINCE, as_of=then)
    euros = [each for each in late.values() if each["currency"] == "EUR" and not each["refunded_at"]]
    left = [each for each in refunds.values() if each["currency"] == "EUR"]
    kinds = [row["difference"] for row in found["differences"]]
    assert (kinds.count("came"), kinds.count("left")) == (len(euros), len(left))
    now = {row["period"]: row["value_now"] for row in found["figures"] if row["value_now"] != "0"}
    assert now == {label: value for label, value in shown(w, "revenue").items() if value != "0"}


def test_the_difference_of_two_figures_is_what_the_named_records_make(world: MakeWorld) -> None:
    w = world()
    load(w, {"o1": order_record("o1", "c0", "10", paid_at="2026-11-10T12:00:00Z")}, people=1)
    then = w.clock.now()
    w.clock.advance(60)
    load(w, {
        "o1": order_record("o1", "c0", "7", paid_at="2026-11-10T12:00:00Z"),
        "o2": order_record("o2", "c0", "5", paid_at="2026-11-11T12:00:00Z"),
    })  # fmt: skip
    found = show_kpi(w.hub, "revenue", since="2026-11-01", as_of=then)
    assert (found["figures"][0]["value"], found["figures"][0]["value_now"]) == ("10", "12")
    assert [
        (row["difference"], row["value_then"] and row["value_then"]["value"], row["value_now"]["value"])
        for row in found["differences"]
    ] == [("changed", "10", "7"), ("came", None, "5")]


def test_a_merge_and_its_undoing_restate_who_is_counted(world: MakeWorld) -> None:
    w = world()
    load(w, {
        "o1": order_record("o1", "c0", "10", paid_at="2026-11-10T12:00:00Z"),
        "o2": order_record("o2", "c1", "20", paid_at="2026-11-11T12:00:00Z"),
    }, people=2)  # fmt: skip
    apart = w.clock.now()
    w.clock.advance(60)
    ann, bob = w.entity("contact", 0), w.entity("contact", 1)
    merge(w.hub, f"contact:{ann.id}", f"contact:{bob.id}", by="kim")
    joint = w.clock.now()
    assert (shown(w, "buyers"), shown(w, "new_revenue")) == ({"2026-11": "1"}, {"2026-11": "10"})
    assert shown(w, "buyers", as_of=apart) == {"2026-11": "2"}
    found = show_kpi(w.hub, "new_revenue", since=SINCE, as_of=apart)
    assert [row["difference"] for row in found["differences"]] == ["left"], "her second order is no first one"
    w.clock.advance(60)
    unmerge(w.hub, f"contact:{ann.id}", by="kim")
    assert shown(w, "buyers") == {"2026-11": "2"}
    assert shown(w, "buyers", as_of=joint) == {"2026-11": "1"}
    assert shown(w, "buyers", as_of=apart) == {"2026-11": "2"}


def test_what_stood_for_two_is_known_after_they_were_parted(world: MakeWorld) -> None:
    """No system was given the joint value, so nothing is written back; that it stood is history all the same."""
    w = world()
    w.customer("ann", phone=None)
    w.customer("bob", phone="+49301234567")
    ann, bob = w.entity("contact", 0), w.entity("contact", 1)
    merge(w.hub, f"contact:{ann.id}", f"contact:{bob.id}", by="kim")
    joint = w.clock.now()
    w.clock.advance(60)
    unmerge(w.hub, f"contact:{ann.id}", by="kim")
    then, now = (show(w.hub, f"contact:{ann.id}", as_of=moment) for moment in (joint, None))
    phones = [[each["value"] for each in told["fields"] if each["field"] == "phone"] for told in (then, now)]
    assert phones == [["+49301234567"], []]


def test_what_was_deleted_since_is_in_the_figure_of_then(world: MakeWorld) -> None:
    w = world()
    load(w, {f"o{n}": order_record(f"o{n}", "c0", "10", paid_at="2026-11-10T12:00:00Z") for n in range(2)}, people=1)
    then = w.clock.now()
    w.clock.advance(60)
    gone = [SourceRecord(external_id="o1", data={}, op="delete")]
    ingest_page(w.hub, w.hub.connections["shop"], "orders", gone, read_at=w.clock.now(), first_load=False)
    assert shown(w, "orders") == {"2026-11": "1"}
    assert shown(w, "orders", as_of=then) == {"2026-11": "2"}
    found = show_kpi(w.hub, "revenue", since=SINCE, as_of=then)
    assert [row["difference"] for row in found["differences"]] == ["left"]


# Moments that the hub itself knows


def deal(w: World, number: str, stage: str, **more: Any) -> None:
    w.take("crm", "deals", {"id": number, "stage": stage, "amount": "100", "owner": None}, **more)


def test_a_sales_cycle_runs_from_first_sight_to_the_event_and_old_deals_are_left_out(world: MakeWorld) -> None:
    w = world()
    deal(w, "d0", "won", first_load=True)
    deal(w, "d1", "new")
    deal(w, "d2", "new")
    w.clock.advance(2 * DAY)
    deal(w, "d1", "won")
    then = w.clock.now()
    w.clock.advance(4 * DAY)
    deal(w, "d2", "won")
    assert shown(w, "sales_cycle") == {"2026-12": "4"}  # the middle of 2 and 6 days
    assert shown(w, "sales_cycle", as_of=then) == {"2026-12": "2"}


def test_an_event_that_was_taken_back_is_no_event_and_was_one_then(world: MakeWorld) -> None:
    w = world()
    deal(w, "d1", "new")
    w.clock.advance(3 * DAY)
    deal(w, "d1", "won")
    then = w.clock.now()
    w.clock.advance(DAY)
    deal(w, "d1", "new")
    w.clock.advance(DAY)
    deal(w, "d2", "new")
    w.clock.advance(DAY)
    deal(w, "d2", "won")
    assert shown(w, "sales_cycle") == {"2026-12": "1"}
    assert shown(w, "sales_cycle", as_of=then) == {"2026-12": "3"}
    found = show_kpi(w.hub, "sales_cycle", since=SINCE, as_of=then)
    assert [row["difference"] for row in found["differences"]] == ["left", "came"]


def test_a_deal_is_stuck_once_its_stage_has_not_moved_for_that_long(world: MakeWorld) -> None:
    w = world()
    deal(w, "d1", "new")
    deal(w, "d2", "won")
    start = w.clock.now()
    w.clock.advance(29 * DAY)
    deal(w, "d2", "new")
    assert shown(w, "stuck", by="year") == {}
    w.clock.advance(DAY)
    assert shown(w, "stuck", by="year") == {"2026": "1"}
    w.clock.advance(30 * DAY)
    assert sum(int(value) for value in shown(w, "stuck", by="year").values()) == 2
    assert shown(w, "stuck", by="year", as_of=start + 30 * DAY) == {"2026": "1"}


def test_what_happened_under_the_name_of_an_alias_happened(world: MakeWorld) -> None:
    w = world()
    deal(w, "d1", "new")
    deal(w, "d2", "new")
    w.clock.advance(3 * DAY)
    deal(w, "d2", "won")
    apart = w.clock.now()
    w.clock.advance(DAY)
    one, two = w.entity("deal", 0), w.entity("deal", 1)
    merge(w.hub, f"deal:{one.id}", f"deal:{two.id}", by="kim")
    assert w.entity("deal").values["stage"] == "won"
    joint = w.clock.now()
    assert shown(w, "sales_cycle") == shown(w, "sales_cycle", as_of=joint) == {"2026-12": "3"}
    assert shown(w, "sales_cycle", as_of=apart) == {"2026-12": "3"}


# Segments, records, what is refused


def test_segments_come_from_fields_references_and_sources_and_add_up(world: MakeWorld) -> None:
    w, orders = world(), made(random.Random(11), range(120), 10)
    load(w, orders, people=10)
    whole = shown(w, "orders", by="year")["2026"]
    found = show_kpi(w.hub, "orders", by="year", since=SINCE, segment="contact.country")["figures"]
    want = {country: sum(int(each["customer"][1:]) % 2 == odd for each in orders.values())
            for odd, country in ((0, "DE"), (1, "AT"))}  # fmt: skip
    assert {row["segment"]: int(row["value"]) for row in found} == want
    assert [
        row["segment"] for row in show_kpi(w.hub, "orders", by="year", segment="source")["figures"] if row["of"]
    ] == ["shop"]
    people = show_kpi(w.hub, "orders", by="year", since=SINCE, segment="contact")["figures"]
    assert sum(int(row["value"]) for row in people) == int(whole)
    assert all(row["segment"].startswith("c") and "(contact:" in row["segment"] for row in people)


def test_the_records_behind_a_figure_make_the_figure(world: MakeWorld) -> None:
    w, orders = world(), made(random.Random(12), range(80), 9)
    load(w, orders, people=9)
    found = show_kpi(w.hub, "an_order", since=SINCE, records=True)
    assert [
        len([each for each in found["records"] if each["period"] == row["period"]]) for row in found["figures"]
    ] == [row["of"] for row in found["figures"]]
    found = show_kpi(w.hub, "revenue", since=SINCE, records=True)
    for row in found["figures"]:
        own = [Fraction(each["value"]) for each in found["records"] if each["period"] == row["period"]]
        assert (sum(own), len(own)) == (Fraction(row["value"]), row["of"])
    dollars = [each for each in orders.values() if each["currency"] != "EUR" and not each["refunded_at"]]
    assert found["left_out"] == len(dollars) > 0


def test_page_by_page_it_is_the_figure_of_all_records_together(
    world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sights, "PAGE", 7)
    w = with_kpis(world())
    load(w, made(random.Random(4), range(40), 6), people=6)
    for each in list_kpis(w.hub):
        for segment in ("", "source", "contact.country") if each["of"] == "order" else ("", "source"):
            page_wise = show_kpi(w.hub, each["kpi"], by="quarter", since="2025-06-01", segment=segment)
            whole = show_kpi(w.hub, each["kpi"], by="quarter", since="2025-06-01", segment=segment, records=True)
            for name in ("figures", "left_out"):
                assert page_wise[name] == whole[name], (each["kpi"], segment)


def test_what_cannot_be_asked_is_said(world: MakeWorld) -> None:
    w = world()
    assert [row["kpi"] for row in list_kpis(w.hub)][:2] == ["revenue", "orders"]
    with pytest.raises(NotFound):
        show_kpi(w.hub, "nothing")
    refused: tuple[dict[str, Any], ...] = (
        {"by": "hour"},
        {"since": "soon"},
        {"since": "2999-01-01"},
        {"segment": "total"},
        {"segment": "x.y"},
    )
    for more in refused:
        with pytest.raises(NeedsReview):
            show_kpi(w.hub, "revenue", **more)
