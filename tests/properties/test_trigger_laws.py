"""The law of trials: replaying a history with a rule on gives exactly the firings that its trial predicted.

And of firings: whatever arrives twice, and wherever the process dies, each cause is answered once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.app.trigger_trial import predict
from hub.core.triggers import COUNTED
from tests.trigger_world import TriggerWorld, rule

TOLD = "notice: {team: Look.}"
RULES = {
    "plain": rule("it", "on: order.paid, who: contact", TOLD),
    "guarded": rule(
        "it", "on: order.paid, who: contact", TOLD, ", when: \"order.total >= 500 and contact.country == 'DE'\""
    ),
    "limited": rule(
        "it", "on: order.paid, who: contact", TOLD,
        ", cool_down: 2h, limits: {per_person: {count: 2, per: day}, in_all: {count: 5, per: month}}",
    ),
    "approved": rule(
        "it", "on: order.paid, who: contact", TOLD, ", approve: true, limits: {in_all: {count: 3, per: day}}"
    ),
    "quiet": rule("it", "on: order.paid, who: contact", TOLD, ', quiet_hours: {from: "20:00", to: "08:00"}'),
    "repeated": rule("it", "on: order.paid, repeated: {times: 3, within: 2d, same: total}, who: contact", TOLD),
    "changed": rule("it", "changed: {field: contact.country, to: FR}", TOLD, ", cool_down: 5h"),
    "crosses": rule("it", "crosses: {field: contact.lifetime_value, over: 1000}", TOLD),
    "under": rule("it", "crosses: {field: contact.lifetime_value, under: 1000}", TOLD, ", cool_down: 1d"),
}  # fmt: skip

PEOPLE = st.sampled_from(("ann", "bob"))
STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((600, 3600, 20_000, 90_000))),
    st.tuples(st.just("customer"), PEOPLE, st.sampled_from(("DE", "FR", "IT"))),
    st.tuples(
        st.just("order"), st.integers(0, 7), PEOPLE, st.sampled_from(("300", "600")), st.booleans(), st.booleans()
    ),
    st.tuples(st.just("late"), st.integers(0, 7), st.just("ann"), st.just("600")),
)  # fmt: skip


def play(world: TriggerWorld, steps: list[tuple[Any, ...]]) -> None:
    """A history: pages of a shop, in their order, with refunds, buyers who become known later and first loads."""
    world.customer("ann")
    world.customer("bob", country="FR")
    for kind, *rest in steps:
        now = datetime.fromtimestamp(world.clock.now(), UTC).isoformat()
        if kind == "wait":
            world.clock.advance(rest[0])
        elif kind == "customer":
            world.customer(rest[0], country=rest[1])
        elif kind == "late":
            world.take("shop", "orders", {"id": f"o{rest[0]}", "customer": None, "total": rest[2], "currency": "EUR",
                                          "paid_at": now, "refunded_at": None})  # fmt: skip
        else:
            number, who, total, refunded, loaded = rest
            world.order(f"o{number}", who, total, paid_at=now, refunded_at=now if refunded else None, first_load=loaded)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=4, deadline=None)
@given(steps=st.lists(STEP, min_size=5, max_size=30))
def test_what_a_trial_predicts_is_what_happens(name, steps):
    off, on = TriggerWorld(), TriggerWorld(triggers=RULES[name])
    try:
        play(off, steps)
        play(on, steps)
        found, _, whole = predict(off.hub, on.triggers, "it", since=0.0, until=off.clock.now())
        assert whole
        assert [
            (
                each.cause.key,
                each.subject,
                each.decision.state,
                each.decision.reason,
                each.decision.not_before,
                each.topic,
            )
            for each in found
        ] == [(row.cause, row.subject_id, row.state, row.reason, row.not_before, row.topic) for row in on.firings()]
    finally:
        off.store.close()
        on.store.close()


class Died(BaseException):
    """The process, at a seam: nothing catches it, and nothing is freed."""


DOINGS = {
    "message": "notice: {connection: plum, template: hello}",
    "task": "task: {subject: Call back}",
    "field": "field: {mood: happy}",
    "webhook": 'webhook: {url: "https://hooks.example.com/x", secret: "secret:x"}',
}


def dying_at(action: str, stop: int) -> bool:
    """A history whose process dies once, at that seam; tells whether it got so far."""
    passed = -1000  # until the world stands

    def seam(point: str) -> None:
        nonlocal passed
        passed += 1
        if passed == stop:
            raise Died(point)

    world = TriggerWorld(triggers=rule("it", "on: order.paid, who: contact", DOINGS[action]), seam=seam)
    passed, died = 0, False
    for _ in range(2):
        try:
            world.customer("ann")
            world.order("o1", "ann", "10")
            world.work()
        except Died:
            died = True
            world.hub = world.start()
    world.clock.advance(1000)
    world.work()
    assert world.states() == ["done"]
    with world.store.reading() as tx:
        assert len(tx.entities_page("task")) == (action == "task")
    assert len(world.grants()) == (action == "message")
    assert len({key for key, _ in world.posted}) == (action == "webhook")
    world.store.close()
    return died


@pytest.mark.parametrize("action", DOINGS)
def test_wherever_the_process_dies_each_cause_is_answered_once(action):
    stop = 1
    while dying_at(action, stop):
        stop += 1
    assert stop > 9  # two pages and the doing: before, at and after each commit


def test_a_trial_of_a_limited_rule_predicts_firings_and_refusals():
    """The law above is not kept by predicting nothing."""
    world = TriggerWorld()
    world.customer("ann")
    for number in range(4):
        world.order(f"o{number}", "ann")
        world.clock.advance(10_000)
    on = TriggerWorld(triggers=RULES["limited"])
    found, _, _ = predict(world.hub, on.triggers, "it", since=0.0, until=world.clock.now())
    assert [each.decision.state in COUNTED for each in found] == [True, True, False, False]
    world.store.close()
    on.store.close()
