"""Stored events = events recomputed from the final entities, whatever came, in which order, merged, parted or crashed.

The recomputation is written here in plain words over the stored values; it shares nothing with the code under test.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.app.identity import merge, unmerge
from hub.errors import HubError
from hub.model import EventRow
from tests import reward_world
from tests.reward_world import CANONICAL, World, order_record

PEOPLE = ("ann", "bob", "cy")
ORDERS = ("o1", "o2", "o3", "o4")
DAYS = (None, "2026-12-04T08:00:00Z", "2026-12-05T11:00:00Z", "2026-12-09T00:00:00Z")  # the last is in the future

TAKES = st.tuples(
    st.just("order"), st.sampled_from(ORDERS), st.sampled_from((None, *PEOPLE)),
    st.sampled_from(("300", "600", "1200")), st.sampled_from(DAYS), st.sampled_from(DAYS), st.booleans(),
)  # fmt: skip
STEPS = st.one_of(
    TAKES,
    TAKES,
    st.tuples(st.just("customer"), st.sampled_from(PEOPLE)),
    st.tuples(st.just("deal"), st.sampled_from(("d1", "d2")), st.sampled_from(("new", "won"))),
    st.tuples(st.just("merge"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
    st.tuples(st.just("unmerge"), st.sampled_from(PEOPLE)),
)


def person(w: World, name: str) -> int | None:
    with w.store.reading() as tx:
        ids = tx.find_by_keys("contact", [("email", f"{name}@example.com")])
        roots = set(tx.roots([each for group in ids.values() for each in group]).values())
    return min(roots, default=None)


def do(w: World, step: tuple[Any, ...]) -> None:
    w.clock.advance(60.0)
    match step:
        case ("order", id_, who, total, paid, refunded, first):
            w.take(
                "shop", "orders", order_record(id_, who, total, paid_at=paid, refunded_at=refunded), first_load=first
            )
        case ("deal", id_, stage):
            w.take("crm", "deals", {"id": id_, "stage": stage, "amount": "5", "owner": None})
        case ("customer", who):
            w.customer(who)
        case ("merge", one, other):
            ids = (person(w, one), person(w, other))
            if None not in ids and ids[0] != ids[1]:
                merge(w.hub, f"contact:{ids[0]}", f"contact:{ids[1]}", by="kim")
        case ("unmerge", who):
            found = person(w, who)
            if found is not None:
                try:
                    unmerge(w.hub, f"contact:{found}", by="kim")
                except HubError:
                    pass  # nothing was merged


def moment(told: str | None) -> float | None:
    return datetime.strptime(told, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() if told else None


def stored(w: World) -> list[EventRow]:
    with w.store.reading() as tx:
        return tx.events_page(limit=10_000)


def check(w: World) -> None:
    """The law of hub.app.events, by its words."""
    rows = stored(w)
    assert len({row.key for row in rows}) == len(rows)
    standing = {(row.name, row.entity_id): row for row in rows if row.withdrawn_at is None}
    with w.store.reading() as tx:
        orders, contacts = tx.entities_page("order"), tx.entities_page("contact")
        roots = tx.roots([row.id for row in contacts])
    for order in orders:
        for name in ("paid", "refunded"):
            told = order.values.get(f"{name}_at")
            row = standing.pop((f"order.{name}", order.id), None)
            assert (row is not None) == (told is not None), (name, order.values)
            if row is not None:
                assert row.subject_id == order.values.get("contact")
                assert row.version is not None
                assert row.noticed_at is not None
                assert row.at == moment(told) or row.noticed_at <= row.at < (moment(told) or 0.0), (
                    "nothing is yet to come"
                )
    with w.store.reading() as tx:
        deals = tx.entities_page("deal")
    for deal in deals:
        assert (standing.pop(("deal.won", deal.id), None) is not None) == (deal.values.get("stage") == "won")
    for (name, entity_id), row in standing.items():
        assert name == "contact.big_spender"
        root = next(each for each in contacts if each.id == roots[entity_id])
        assert float(root.values["lifetime_value"]) >= 1000
        assert row.subject_id == entity_id


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=10, max_size=40))
def test_stored_events_are_those_that_the_final_entities_come_to(steps: list[tuple[Any, ...]]) -> None:
    w = World()
    try:
        for step in steps:
            do(w, step)
        check(w)
        before = stored(w)
        for step in (each for each in steps if each[0] == "customer"):
            do(w, step)
        assert stored(w) == before, "what says nothing new changes nothing"
    finally:
        w.store.close()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS.filter(lambda step: step[0] in ("order", "customer")), min_size=2, max_size=14))
def test_merged_and_parted_everybody_has_the_events_that_were_his(steps: list[tuple[Any, ...]]) -> None:
    w = World()
    try:
        for step in [("customer", "ann"), ("customer", "bob"), *steps]:
            do(w, step)
        before = {row.key: (row.subject_id, row.at, row.withdrawn_at is None) for row in stored(w)}
        do(w, ("merge", "ann", "bob"))
        check(w)
        do(w, ("unmerge", "ann"))
        assert {row.key: (row.subject_id, row.at, row.withdrawn_at is None) for row in stored(w)} == before
    finally:
        w.store.close()


class Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_any_point_leaves_events_and_entities_together(seed: int) -> None:
    rng = random.Random(seed)
    armed = [False]

    def seam(point: str) -> None:
        if armed[0] and rng.random() < 0.3:
            armed[0] = False
            raise Crash(point)

    w = World(seam=seam)
    crashes = 0
    try:
        for _ in range(25):
            step = ("order", rng.choice(ORDERS), rng.choice(PEOPLE), "600", rng.choice(DAYS), rng.choice(DAYS), False)
            armed[0] = True
            try:
                do(w, rng.choice((step, step, ("customer", rng.choice(PEOPLE)))))
            except Crash:
                crashes += 1
            armed[0] = False
            check(w)
    finally:
        w.store.close()
    assert crashes


def test_a_withdrawn_event_stands_again_and_is_the_same() -> None:
    w = World()
    try:
        do(w, ("customer", "ann"))
        told = []
        for total in ("1200", "900", "1100"):
            do(w, ("order", "o1", "ann", total, "2026-12-05T11:00:00Z", None, False))
            (row,) = [each for each in stored(w) if each.name == "contact.big_spender"]
            told.append((row.id, row.withdrawn_at is None))
        assert told == [(told[0][0], True), (told[0][0], False), (told[0][0], True)]
    finally:
        w.store.close()


def test_what_a_merge_makes_untrue_is_withdrawn_until_it_is_taken_back() -> None:
    w = World()
    try:
        for step in (("deal", "d1", "won"), ("deal", "d2", "won"), ("deal", "d2", "new")):
            do(w, step)
        with w.store.reading() as tx:
            one, other = (f"deal:{row.id}" for row in tx.entities_page("deal"))
        stands = []
        for act in (lambda: None, lambda: merge(w.hub, one, other, by="kim"), lambda: unmerge(w.hub, one, by="kim")):
            w.clock.advance(60.0)
            act()
            stands.append([row.withdrawn_at is None for row in stored(w)])
        assert stands == [[True, False], [False, False], [True, False]]
    finally:
        w.store.close()


def test_a_stage_is_an_event_of_its_own_and_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = "events: {moved: {when: stage is not None, each: stage, subject: contact}, won:"
    stages = CANONICAL.replace("events: {won:", moved)
    monkeypatch.setattr(reward_world, "CANONICAL", stages)
    for each in (reward_world.declared, reward_world.mappings_of, reward_world.read_rules):
        each.cache_clear()
    try:
        w = World()
        for stage in ("new", "won", "new", "won"):
            do(w, ("deal", "d1", stage))
        told = [(row.key, row.withdrawn_at is None) for row in stored(w)]
        assert told == [("deal.moved:1:new", True), ("deal.moved:1:won", True), ("deal.won:1", True)]
        w.store.close()
    finally:
        monkeypatch.undo()
        for each in (reward_world.declared, reward_world.mappings_of, reward_world.read_rules):
            each.cache_clear()
