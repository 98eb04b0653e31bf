"""Expected values in the store: fitted once a week over orders, computed for whom a change touches, or told why not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from hub.app.derived import compute_for_today
from hub.app.forecasting import show_fit
from hub.app.why import why
from hub.errors import NotFound
from tests.app.test_derived import fitted
from tests.buyers import TRUE, UNTIL, simulated
from tests.reward_world import DAY, MakeWorld, World, order_record, worlds

DERIVED = """
language: 1
fields:
  expected_value: {kind: expected, days: 365, step: 5, least: LEAST}
  best: {kind: tier, of: expected_value, levels: {high: 100}}
"""
needs_it = pytest.mark.skipif(importlib.util.find_spec("lifetimes") is None, reason="lifetimes is not installed")


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield lambda **options: make(**options)


def forecasting(w: World, *, least: int = 100) -> World:
    return fitted(w, DERIVED.replace("LEAST", str(least)))


def buy(w: World, number: int, goes_on: Callable[[int, date], bool] = lambda place, day: True) -> None:
    """Simulated customers with their orders, taken in as a first load."""
    people = simulated(number, seed=7)
    records = [
        {"id": f"c{place}", "email": f"c{place}@example.com", "name": "N", "country": "DE", "phone": None}
        for place in range(number)
    ]
    orders = [
        order_record(f"o{place}-{index}", f"c{place}", f"{amount:.2f}", paid_at=f"{day.isoformat()}T10:00:00Z")
        for place, bought in enumerate(people)
        for index, (day, amount) in enumerate(bought)
        if goes_on(place, day)
    ]
    w.take("shop", "customers", *records, first_load=True)
    w.take("shop", "orders", *orders, first_load=True)


def values(w: World) -> dict[int, str | None]:
    with w.store.reading() as tx:
        return {row.id: row.values.get("expected_value") for row in tx.entities_page("contact", limit=5000)}


@needs_it
def test_parameters_are_found_and_only_who_buys_moves(world: MakeWorld) -> None:
    w = forecasting(world())
    buy(w, 450)
    w.customer("idle")
    compute_for_today(w.hub, owner="a")
    told = show_fit(w.hub)
    found = told["parameters"]
    assert told["tells"], told["reason"]
    assert told["customers"] == 450
    for name, within in (("r", 0.3), ("alpha", 0.3)):
        assert found[name] == pytest.approx(TRUE[name], rel=within)
    assert found["a"] / (found["a"] + found["b"]) == pytest.approx(0.8 / 3.3, rel=0.35), "the chance to leave"
    assert found["p"] * found["v"] / (found["q"] - 1) == pytest.approx(6 * 150 / 3, rel=0.1), "a mean purchase"
    tried = told["tried_on_the_past"]
    assert tried["told"] == pytest.approx(tried["happened"], rel=0.3)
    before = values(w)
    idle = max(before)
    assert before[idle] is None
    assert (
        why(w.hub, f"contact:{idle}", "expected_value")["recomputed"]["forecast"]["reason"] == "nothing was bought yet"
    )
    assert all(Decimal(told) % 5 == 0 for each, told in before.items() if each != idle and told is not None)
    assert list(before.values()).count(None) == 1
    assert compute_for_today(w.hub, owner="a") == {}, "quiet"

    root = min(before)
    w.clock.advance(2 * DAY)
    w.order("new", "c0", "400", paid_at="2026-12-07T10:00:00Z")
    after = values(w)
    assert after[root] != before[root]
    assert compute_for_today(w.hub, owner="a") == {"looked": 451}, "between two fits nobody else moves"
    explained = why(w.hub, f"contact:{root}", "expected_value")["recomputed"]
    assert explained["same"]
    assert explained["forecast"]["fitted"] == "2026-12-05"
    assert explained["forecast"]["reason"] is None
    w.clock.advance(5 * DAY)
    compute_for_today(w.hub, owner="a")
    assert show_fit(w.hub)["day"] == "2026-12-12"
    assert values(w) != after


def test_too_few_customers_give_no_figure_but_the_reason(world: MakeWorld) -> None:
    w = forecasting(world())
    with pytest.raises(NotFound):
        show_fit(w.hub)
    buy(w, 60)
    compute_for_today(w.hub, owner="a")
    assert set(values(w).values()) == {None}
    told = show_fit(w.hub)
    assert not told["tells"]
    assert "are needed" in told["reason"]
    explained = why(w.hub, f"contact:{min(values(w))}", "expected_value")["recomputed"]
    assert "100 are needed" in explained["forecast"]["reason"]


@needs_it
def test_a_past_that_the_models_do_not_tell_gives_no_figure(world: MakeWorld) -> None:
    w = forecasting(world())
    closed = UNTIL - timedelta(days=130)  # for nine of ten customers

    def goes_on(place: int, day: date) -> bool:
        return day < closed or place % 10 == 0

    buy(w, 600, goes_on)
    compute_for_today(w.hub, owner="a")
    told = show_fit(w.hub)
    assert set(values(w).values()) == {None}
    assert "tried on the past" in told["reason"]
