"""Every figure of kpis.yaml and every field of derived.yaml against a computation that knows their texts, not our code.

It works on what was sent (tests.app.shipped_world): late records, refunds, merges, unmerges, other currencies, days of
New York. No code of the hub takes part in it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from math import ceil, floor
from statistics import median
from zoneinfo import ZoneInfo

import pytest

from hub.app.board import board, refresh
from hub.app.context import Hub
from hub.app.derived import compute_everybody, list_segments
from hub.app.kpis import kpis_of, list_kpis, look_at_all, show_kpi
from hub.core.kpis import periods_between
from tests.app.shipped_world import DAY, FIRST, LIFECYCLES, NOW, ZONE, Row, Sent, Year, shipped

SINCE = "2025-12-01"
Value = Fraction | None
Months = dict[str, Value]
PEOPLE, MANY = 110, 4_600  # of which come about 3,000 and 120,000 events


# Plain helpers


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def month_of(at: datetime | date) -> str:
    day = at.astimezone(ZONE).date() if isinstance(at, datetime) else at
    return f"{day:%Y-%m}"


def months() -> list[str]:
    return ["2025-12", *(f"2026-{n:02}" for n in range(1, 13))]


def begin(label: str) -> datetime:
    return datetime(int(label[:4]), int(label[5:]), 1, tzinfo=ZONE).astimezone(UTC)


def after(label: str) -> datetime:
    year, number = int(label[:4]), int(label[5:])
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=ZONE).astimezone(UTC)


def euros(row: Row, name: str = "total") -> Fraction:
    return Fraction(row[name]) if row["currency"] == "EUR" else Fraction(0)


def share(part: int | Fraction, of: int | Fraction) -> Value:
    return Fraction(part) / Fraction(of) if of else None


def mean(numbers: Iterable[Fraction]) -> Value:
    found = list(numbers)
    return sum(found, Fraction(0)) / len(found) if found else None


class Truth:
    """What was sent, by its meaning."""

    def __init__(self, sent: Sent) -> None:
        self.sent, rows = sent, sent.rows
        self.people = self.persons()
        self.deals = list(rows["deals"].values())
        self.orders = [each for each in rows["orders"].values() if when(each["placed_at"]) <= NOW]
        self.kept = [
            each
            for each in self.orders
            if each["status"] in ("paid", "partially_refunded") and each["cancelled_at"] is None
        ]
        self.subscriptions = [each for each in rows["subscriptions"].values() if each["status"] != "incomplete"]

    def persons(self) -> dict[str, Row]:
        """People as they are after all merges: the furthest stage, the earliest moments, all their money."""
        found = {id_: dict(row) for id_, row in self.sent.rows["contacts"].items() if id_ not in self.sent.merged}
        for twin, id_ in self.sent.merged.items():
            one, other = found[id_], self.sent.rows["contacts"][twin]
            one["lifecycle"] = max(one["lifecycle"], other["lifecycle"], key=LIFECYCLES.index)
            one["created_at"] = min(one["created_at"], other["created_at"], key=when)
        for id_, row in found.items():
            mine = [each for each in self.of("orders", id_) if each["status"] in ("paid", "partially_refunded")]
            row["spent"] = sum((euros(each) for each in mine), Fraction(0))
        return found

    def of(self, stream: str, person: str) -> list[Row]:
        if not hasattr(self, "_of"):
            self._of: dict[tuple[str, str], list[Row]] = defaultdict(list)
            for name, rows in self.sent.rows.items():
                for row in rows.values():
                    if row.get("contact") is not None:
                        self._of[name, str(self.sent.person(row["contact"]))].append(row)
        return self._of[stream, person]

    def person(self, row: Row) -> str | None:
        return self.sent.person(row["contact"])


def grouped(rows: Iterable[Row], at: Callable[[Row], datetime | date | None]) -> dict[str, list[Row]]:
    """By month; what has no moment, or one that is to come, counts nowhere."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        moment = at(row)
        if moment is None:
            continue
        exact = moment if isinstance(moment, datetime) else datetime(*moment.timetuple()[:3], tzinfo=ZONE)
        if exact <= NOW:
            found[month_of(moment)].append(row)
    return found


def by_month(rows: Mapping[str, list[Row]], tell: Callable[[list[Row]], Value]) -> Months:
    return {label: tell(rows.get(label, [])) for label in months()}


# Every figure of kpis.yaml


def counts(rows: list[Row]) -> Value:
    return Fraction(len(rows))


def sales(t: Truth) -> dict[str, Months]:
    closed = grouped(t.deals, lambda deal: date.fromisoformat(deal["close_date"]))
    found = {
        "close_rate": by_month(closed, lambda own: share(
            sum(each["stage"] == "won" for each in own), sum(each["stage"] in ("won", "lost") for each in own))),
        "won_value": by_month(closed, lambda own: sum(
            (euros(each, "amount") for each in own if each["stage"] == "won"), Fraction(0))),
    }  # fmt: skip
    reached = {
        deal["id"]: {stage: at for at, stage, silent in t.sent.stages[deal["id"]] if not silent} for deal in t.deals
    }
    waits: dict[str, dict[str, list[timedelta]]] = defaultdict(lambda: defaultdict(list))
    steps = {
        "qualification_days": ("new", "qualified"), "presentation_days": ("qualified", "presentation"),
        "decision_days": ("presentation", "decision"), "contract_days": ("decision", "contract"),
        "closing_days": ("contract", "won"),
    }  # fmt: skip
    for name, (first, then) in steps.items():
        for own in reached.values():
            if first in own and then in own:
                waits[name][month_of(own[then])].append(own[then] - own[first])
    for deal in t.deals:
        own = reached[deal["id"]]
        if deal["stage"] == "won" and "won" in own:
            waits["sales_cycle"][month_of(own["won"])].append(own["won"] - t.sent.known[deal["id"]])
    for name in (*steps, "sales_cycle"):
        told = {label: Fraction(median(each) / DAY) for label, each in waits[name].items()}  # type: ignore[type-var]
        found[name] = {label: told.get(label) for label in months()}
    stalled = [each for each in t.deals if each["stage"] not in ("won", "lost")]
    last = {each["id"]: t.sent.stages[each["id"]][-1][0] for each in stalled}
    old = [each for each in stalled if NOW - last[each["id"]] >= 30 * DAY]
    found["stalled_deals"] = by_month(grouped(old, lambda deal: last[deal["id"]]), counts)
    return found


def leads(t: Truth) -> dict[str, Months]:
    people = list(t.people.values())
    created = grouped(people, lambda each: when(each["created_at"]))
    known = grouped(people, lambda each: t.sent.known[each["id"]])

    def wait(each: Row) -> timedelta | None:
        if each["lifecycle"] == "subscriber" or each["first_response_at"] is None:
            return None
        return when(each["first_response_at"]) - when(each["created_at"])

    def middle(own: list[Row]) -> Value:
        waits = [found for each in own if (found := wait(each)) is not None and found >= timedelta(0)]
        return Fraction(median(waits) / timedelta(minutes=1)) if waits else None  # type: ignore[type-var]

    def within(minutes: int) -> Callable[[list[Row]], Value]:
        bound = timedelta(minutes=minutes)

        def tell(own: list[Row]) -> Value:
            asked = [each for each in own if each["lifecycle"] != "subscriber"]
            waits = [wait(each) for each in asked if wait(each) is not None or NOW - when(each["created_at"]) >= bound]
            told = [each for each in waits if each is None or each >= timedelta(0)]
            return share(sum(each is not None and each <= bound for each in told), len(told))

        return tell

    def further(stage: str) -> Callable[[list[Row]], Value]:
        """Share that is beyond a stage, of all who are at it or beyond."""
        place = LIFECYCLES.index(stage)
        return lambda own: share(
            sum(LIFECYCLES.index(each["lifecycle"]) > place for each in own),
            sum(LIFECYCLES.index(each["lifecycle"]) >= place for each in own),
        )

    qualified = {
        label: sum(each["lifecycle"] not in ("subscriber", "lead") for each in own) for label, own in created.items()
    }
    before = dict(itertools.pairwise(reversed(["2025-11", *months()])))
    early = grouped(people, lambda each: when(each["created_at"]))
    qualified["2025-11"] = sum(each["lifecycle"] not in ("subscriber", "lead") for each in early.get("2025-11", []))

    def points(each: Row) -> int:
        return 25 * sum((
            each["email"] is not None, each["phone"] is not None, each["last_name"] is not None,
            each["country"] is not None,
        ))  # fmt: skip

    return {
        "speed_to_lead": by_month(created, middle),
        "answered_within_1_minute": by_month(created, within(1)),
        "answered_within_5_minutes": by_month(created, within(5)),
        "qualified_leads": {label: Fraction(qualified.get(label, 0)) for label in months()},
        "lead_velocity": {
            label: share(qualified.get(label, 0) - qualified.get(before[label], 0), qualified.get(before[label], 0))
            for label in months()
        },
        "lead_to_mql": by_month(known, further("lead")),
        "mql_to_sql": by_month(known, further("mql")),
        "sql_to_opportunity": by_month(known, further("sql")),
        "opportunity_to_customer": by_month(known, further("opportunity")),
        "referrals": by_month(known, lambda own: Fraction(sum("eferral" in (x["lead_source"] or "") for x in own))),
        "customer_lifetime_value": by_month(known, lambda own: mean(x["spent"] for x in own if x["spent"] > 0)),
        "new_people": by_month(created, counts),
        "data_quality": by_month(known, lambda own: mean(Fraction(points(each)) for each in own)),
    }  # fmt: skip


def revenue(t: Truth) -> dict[str, Months]:
    def placed(row: Row) -> datetime:
        return when(row["placed_at"])

    mine = [each for each in t.kept if t.person(each) is not None]
    first_euro: dict[str | None, Row] = {}
    first: dict[str | None, Row] = {}
    for order in sorted(mine, key=placed):
        first.setdefault(t.person(order), order)
        if order["currency"] == "EUR":
            first_euro.setdefault(t.person(order), order)
    new = {each["id"] for each in first_euro.values()}
    own_euros = [each for each in mine if each["currency"] == "EUR"]
    kept = grouped(t.kept, placed)

    def total(own: list[Row]) -> Value:
        return sum((euros(each) for each in own), Fraction(0))

    def per_person(own: list[Row]) -> Value:
        known = [each for each in own if each["contact"] is not None and each["currency"] == "EUR"]
        return share(sum((euros(each) for each in known), Fraction(0)), len({t.person(each) for each in known}))

    paid = [each for each in t.orders if each["status"] in ("paid", "partially_refunded", "refunded")]
    return {
        "revenue": by_month(kept, total),
        "new_revenue": by_month(grouped(first_euro.values(), placed), total),
        "repeat_revenue": by_month(grouped([each for each in own_euros if each["id"] not in new], placed), total),
        "average_order_value": by_month(kept, lambda own: mean(euros(x) for x in own if x["currency"] == "EUR")),
        "revenue_per_customer": by_month(kept, per_person),
        "customers": by_month(grouped(mine, placed), lambda own: Fraction(len({t.person(each) for each in own}))),
        "refund_rate": by_month(grouped(paid, placed), lambda own: share(
            sum(each["status"] != "paid" for each in own), len(own))),
        "new_customers": by_month(grouped(first.values(), placed), counts),
    }  # fmt: skip


def subscribers(t: Truth) -> dict[str, Months]:
    mine = [each for each in t.subscriptions if each["contact"] is not None]
    found: dict[str, Months] = {
        "new_subscribers": by_month(
            grouped(mine, lambda each: when(each["started_at"])),
            lambda own: Fraction(len({t.person(each) for each in own})),
        ),
        "subscriber_retention": {}, "subscriber_churn": {},
    }  # fmt: skip
    for label in months():
        start, end = begin(label), min(after(label), NOW)

        def runs(each: Row, at: datetime) -> bool:
            return each["ended_at"] is None or when(each["ended_at"]) >= at

        running = [each for each in mine if when(each["started_at"]) < start and runs(each, start)]
        everybody = {t.person(each) for each in running}
        stays = {t.person(each) for each in running if runs(each, end)}
        found["subscriber_retention"][label] = share(len(stays), len(everybody))
        found["subscriber_churn"][label] = share(len(everybody) - len(stays), len(everybody))
    return found


def the_rest(t: Truth) -> dict[str, Months]:
    rows = t.sent.rows
    forms = grouped(rows["forms"].values(), lambda each: when(each["submitted_at"]))
    bills = [each for each in rows["invoices"].values() if each["status"] not in ("draft", "void")]
    bound = 30 * DAY

    def in_time(own: list[Row]) -> Value:
        waits = [when(each["paid_at"]) - when(each["issued_at"]) if each["paid_at"] else None for each in own
                 if each["paid_at"] or NOW - when(each["issued_at"]) >= bound]  # fmt: skip
        return share(sum(each is not None and each <= bound for each in waits), len(waits))

    def promoted(own: list[Row]) -> Value:
        answers = [each["nps"] for each in own if each["nps"] is not None and 0 <= each["nps"] <= 10]
        return share(100 * (sum(each >= 9 for each in answers) - sum(each <= 6 for each in answers)), len(answers))

    due = [
        each
        for each in rows["appointments"].values()
        if each["status"] in ("completed", "no_show") or each["no_show_at"] is not None
    ]
    sold = [each for each in rows["activities"].values() if each["kind"] == "order_completed" and each["campaign"]]
    return {
        "paid_within_30_days": by_month(grouped(bills, lambda each: when(each["issued_at"])), in_time),
        "costs": by_month(
            grouped(rows["costs"].values(), lambda each: date.fromisoformat(each["spent_on"])),
            lambda own: sum((euros(each, "amount") for each in own), Fraction(0)),
        ),
        "campaign_value": by_month(
            grouped(sold, lambda each: when(each["at"])),
            lambda own: sum((euros(each, "amount") for each in own), Fraction(0)),
        ),
        "nps": by_month(forms, promoted),
        "csat": by_month(forms, lambda own: mean(Fraction(each["csat"]) for each in own if each["csat"] is not None)),
        "forms_submitted": by_month(forms, counts),
        "no_show_rate": by_month(
            grouped(due, lambda each: when(each["starts_at"])),
            lambda own: share(sum(x["status"] == "no_show" or x["no_show_at"] is not None for x in own), len(own)),
        ),
    }  # fmt: skip


def every_figure(t: Truth) -> dict[str, Months]:
    found = sales(t) | leads(t) | revenue(t) | subscribers(t) | the_rest(t)
    for name, above, below in (
        ("subscription_rate", "new_subscribers", "new_people"),
        ("customer_acquisition_cost", "costs", "new_customers"),
        ("return_on_campaigns", "campaign_value", "costs"),
    ):
        found[name] = {label: share(found[above][label] or 0, found[below][label] or 0) for label in months()}
    return found


# Every field of derived.yaml

SCORED = {  # event -> (points, half-life in days, most)
    "submitted": (20, 30, 60), "product_viewed": (5, 14, 30), "content_downloaded": (15, 30, 45),
    "checkout_started": (25, 7, 50), "email_clicked": (5, 14, 20), "booked": (30, 30, 60),
}  # fmt: skip
TODAY = NOW.astimezone(ZONE).date()


class Life:
    """What one person did, and what should be computed of it."""

    def __init__(self, t: Truth, id_: str) -> None:
        self.row = t.people[id_]
        self.deeds = [
            *(("submitted", when(each["submitted_at"])) for each in t.of("forms", id_)),
            *((each["kind"], when(each["at"])) for each in t.of("activities", id_)),
            *(("booked", when(each["booked_at"])) for each in t.of("appointments", id_)),
        ]
        if "eferral" in (self.row["lead_source"] or ""):
            self.deeds.append(("referred", when(self.row["created_at"])))
        paid = [
            each for each in t.of("orders", id_) if each["status"] in ("paid", "partially_refunded")
        ]  # fmt: skip
        self.bought = sorted((when(each["placed_at"]), euros(each)) for each in paid)
        self.spent = self.row["spent"]

    def points(self, day: date) -> Fraction:
        """The score of a day: deeds until then, each rule capped, and what the person is."""
        found = 0.0
        for name, (points, half_life, most) in SCORED.items():
            ages = [(day - at.astimezone(ZONE).date()).days for deed, at in self.deeds if deed == name]
            found += min(most, sum(points * 2 ** (-age / half_life) for age in ages if age >= 0))
        found += 10 * sum(deed == "referred" and at.astimezone(ZONE).date() <= day for deed, at in self.deeds)
        return Fraction(round(found, 6)) + self.fixed

    @property
    def fixed(self) -> int:
        return 5 * (self.row["job_title"] is not None)

    def stepped(self, day: date) -> int:
        return max(0, floor(self.points(day) / 5 + Fraction(1, 2)) * 5)

    @property
    def lead_score(self) -> int | None:
        told = self.fixed or any(deed in (*SCORED, "referred") for deed, _ in self.deeds)
        return self.stepped(TODAY) if told else None

    @property
    def lead_stage(self) -> str | None:
        days = {min(at.astimezone(ZONE).date(), TODAY) for deed, at in self.deeds if deed in (*SCORED, "referred")}
        best = max([self.fixed, *(self.stepped(day) for day in days)])
        return "sql" if best >= 80 else "mql" if best >= 40 else None

    @property
    def value_tier(self) -> str | None:
        return next(
            (name for name, least in (("gold", 2000), ("silver", 500), ("bronze", 1)) if self.spent >= least), None
        )

    @property
    def average_order(self) -> Decimal | None:
        if not self.bought:
            return None
        whole = Fraction(sum((amount for _, amount in self.bought), Fraction(0)), len(self.bought))
        exact = Decimal(whole.numerator) / Decimal(whole.denominator)
        return exact.quantize(Decimal("0.01"), ROUND_HALF_EVEN)

    @property
    def gap(self) -> tuple[float, date] | None:
        days = sorted({at.astimezone(ZONE).date() for at, _ in self.bought})
        if len(days) < 3:
            return None
        return median((two - one).days for one, two in itertools.pairwise(days)), days[-1]

    @property
    def purchase_cadence(self) -> int | None:
        return None if self.gap is None else floor(self.gap[0] + 0.5)

    @property
    def churn_risk(self) -> str | None:
        if self.gap is None:
            return None
        away = max(0, (TODAY - self.gap[1]).days) / self.gap[0]
        return "high" if away >= 3 else "medium" if away >= 1.5 else "low"

    @property
    def best_send_hour(self) -> int | None:
        zones = {"DE": "Europe/Berlin", "AT": "Europe/Vienna", "JP": "Asia/Tokyo"}
        zone = ZoneInfo(zones.get(self.row["country"] or "", "America/New_York"))
        hours = [at.astimezone(zone).hour for deed, at in self.deeds if deed in ("email_opened", "email_clicked")]
        if len(hours) < 3:
            return None
        smooth = [hours.count((h - 1) % 24) + 2 * hours.count(h) + hours.count((h + 1) % 24) for h in range(24)]
        return smooth.index(max(smooth))

    @property
    def speed_to_lead(self) -> int | None:
        begins = [at for deed, at in self.deeds if deed == "submitted"]
        ends = [at for deed, at in self.deeds if deed == "answered"]
        if self.row["lifecycle"] != "subscriber":
            begins.append(when(self.row["created_at"]))
        if self.row["first_response_at"] is not None:
            ends.append(when(self.row["first_response_at"]))
        answers = [at for at in ends if begins and at >= min(begins)]
        return int((min(answers) - min(begins)).total_seconds() // 60) if answers else None

    @property
    def segments(self) -> list[str]:
        hot = (self.lead_score or 0) >= 60 and self.row["lifecycle"] != "customer"
        held = {
            "best_customers": self.value_tier == "gold",
            "slipping_away": self.churn_risk == "high",
            "hot_leads": hot,
        }
        return sorted(name for name, holds in held.items() if holds)


def fifths(lives: Iterable[Life]) -> dict[str, str]:
    """Person -> recency, frequency, money, each by fifths of all buyers with nearest ranks."""
    buyers = {life.row["id"]: (life.bought[-1][0].timestamp(), len(life.bought), float(life.spent)) for life in lives
              if life.bought}  # fmt: skip
    bounds = []
    for column in range(3):
        ranked = sorted(each[column] for each in buyers.values())
        bounds.append([ranked[ceil(k * len(ranked) / 5) - 1] for k in range(1, 5)])
    return {
        id_: "".join(str(1 + sum(own[column] > bound for bound in bounds[column])) for column in range(3))
        for id_, own in buyers.items()
    }


# The comparison


def told(hub: Hub, names: Iterable[str], at: float, *, as_of: bool = False) -> dict[str, dict[str, Decimal | None]]:
    """Figure -> month -> value, as the hub tells it."""
    kpis = kpis_of(hub)
    own = [kpis.kpis[name] for name in names]
    periods = periods_between("month", date.fromisoformat(SINCE), datetime.fromtimestamp(at, kpis.zone).date())
    found = look_at_all(hub, [(kpi, periods) for kpi in own], until=at, as_of=at if as_of else None)
    return {
        kpi.name: {each.period.label: each.value for each in figures} for kpi, figures in zip(own, found, strict=True)
    }


def assert_every_figure_right(y: Year) -> None:
    want = every_figure(Truth(y.sent))
    assert want.keys() == {row["kpi"] for row in list_kpis(y.hub)}, "every shipped figure has its second computation"
    told_of_all = told(y.hub, want, y.clock.now())
    for name, expected in want.items():
        found = told_of_all[name]
        assert found.keys() == expected.keys(), name
        for label, value in expected.items():
            exact = found[label]
            ours = None if exact is None else Fraction(exact)
            assert (ours is None) == (value is None), (name, label, ours, value)
            if ours is not None and value is not None:
                assert abs(ours - value) <= Fraction(1, 10**6), (name, label, float(ours), float(value))
        assert len({value for value in expected.values() if value}) > 1, f"{name} says the same of every month"


def assert_every_field_right(y: Year) -> None:
    truth = Truth(y.sent)
    lives = {y.target(id_): Life(truth, id_) for id_ in truth.people}
    rfm = fifths(lives.values())
    held = defaultdict(set)
    with y.store.reading() as tx:
        rows = {row.id: row for row in tx.entities([int(each[8:]) for each in lives]).values()}
    for target, life in lives.items():
        values = rows[int(target[8:])].values
        average = values.get("average_order")
        ours = {name: values.get(name) for name in FIELDS} | {"average_order": average and Decimal(average)}
        assert ours == {name: getattr(life, name) for name in FIELDS}, (target, life.row)
        assert values.get("rfm") == rfm.get(life.row["id"])
        assert list(values.get("segments") or []) == life.segments
        for name in FIELDS:
            held[name].add(ours[name])
    assert all(len(each) > 2 or name == "lead_stage" for name, each in held.items()), "each tells people apart"
    counted = {each["segment"]: each["people"] for each in list_segments(y.hub)}
    for name, people in counted.items():
        assert people == sum(name in life.segments for life in lives.values()) > 0


FIELDS = (
    "lead_score", "lead_stage", "value_tier", "average_order", "purchase_cadence", "churn_risk", "best_send_hour",
    "speed_to_lead",
)  # fmt: skip


def through_a_year(url: str, people: int, seed: int, names: Iterable[str]) -> Iterator[Year]:
    """The year lived; what was shown on the way is shown again as of then."""
    y = Year(url, people=people, seed=seed)
    shown: list[tuple[float, dict[str, dict[str, Decimal | None]]]] = []

    def look() -> None:
        if y.clock.now() > FIRST.timestamp():
            shown.append((y.clock.now(), told(y.hub, names, y.clock.now())))

    try:
        y.live(look)
        compute_everybody(y.hub)
        yield y
        assert len(shown) > 2
        for at, figures in shown[1:]:
            then = told(y.hub, names, at, as_of=True)
            for name, months in figures.items():
                assert months == then[name], (name, at)
    finally:
        y.store.close()


AS_OF = ("revenue", "new_revenue", "customers", "refund_rate", "close_rate", "sales_cycle", "subscriber_churn",
         "answered_within_5_minutes", "mql_to_sql", "customer_lifetime_value", "nps", "subscription_rate")  # fmt: skip


def test_every_shipped_figure_and_field_is_what_its_text_says(migrated_url: str) -> None:
    for y in through_a_year(migrated_url, PEOPLE, 5, AS_OF):
        assert y.events() >= 3_000
        assert_every_figure_right(y)
        assert_every_field_right(y)
        refresh(y.hub, owner="test")
        for each in board(y.hub)["figures"]:
            assert each["figures"] == show_kpi(y.hub, each["kpi"])["figures"], each["kpi"]


@pytest.mark.long
@pytest.mark.timeout(3_000)
def test_the_same_of_a_hundred_thousand_events(migrated_url: str) -> None:
    for y in through_a_year(migrated_url, MANY, 6, shipped()[2].kpis):
        assert y.events() >= 100_000
        assert_every_figure_right(y)
        assert_every_field_right(y)
