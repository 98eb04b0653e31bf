"""The law of trials: replaying a history with a rule on gives exactly the firings that its trial predicted.

And of firings: whatever arrives twice, and wherever the process dies, each cause is answered once.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from hub.app.trigger_clock import look_at_clock
from hub.app.trigger_trial import predict
from hub.core.rewards import digest_of
from hub.core.triggers import COUNTED, FiringState
from tests.reward_world import RULES as REWARDS
from tests.trial_world import BEGIN, STEPS, Player, Step, outcome_of
from tests.trigger_world import TriggerWorld, rule

EXAMPLES = 4
ALONE = REWARDS.replace("active_from: 2026-12-01", "active_from: 2030-01-01")  # nobody else draws on the budget


def turn_of(world: TriggerWorld, name: str) -> Callable[[], object] | None:
    """What the hub does in between: only what the rule's firings hang on, since whatever else it does takes time."""
    if name in ("silence", "slot"):
        return lambda: look_at_clock(world.hub)
    return world.work if name in ("reward", "lot") else None


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
    "zoned": rule(
        "it", "on: order.paid, who: contact", TOLD, ', quiet_hours: {from: "20:00", to: "08:00", zone: person}'
    ),
    "silence": rule("it", "quiet_for: {events: [order.paid], for: 2d}", TOLD, ", cool_down: 3d"),
    "slot": rule("it", "every: {of: contact, hour: 9}", TOLD, ", when: \"contact.country == 'DE'\""),
    "reward": rule(
        "it", "on: order.paid, who: contact",
        'reward: {connection: plum, product: "5671", amount: 25 EUR, budget: thanks}',
        ", limits: {per_person: {count: 2, per: month}}, quiet_hours: {from: \"20:00\", to: \"08:00\", zone: person}",
    ),
    "lot": rule(
        "it", "on: order.paid, who: contact",
        'reward: {connection: plum, product: "5671", amount: 25 EUR, budget: thanks}',
        ", hold_out: 0.4, reverse_on: [order.refunded], limits: {per_person: {count: 2, per: month}}",
    ),
    "under": rule("it", "crosses: {field: contact.lifetime_value, under: 1000}", TOLD, ", cool_down: 1d"),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=STEPS)
def test_what_a_trial_predicts_is_what_happens(name: str, steps: list[Step]) -> None:
    """One world has the rule off, and is asked; the other has it on, and lives through the same."""
    off, on = TriggerWorld(rules=ALONE), TriggerWorld(rules=ALONE, triggers=RULES[name])
    try:
        for world in (off, on):
            with world.store.transaction() as tx:
                tx.set_setting("rewards.code_key", "one lot for both")
            Player(world, turn_of(world, name)).play(steps)
        found, _, whole = predict(off.hub, on.triggers, "it", since=BEGIN, until=off.clock.now())
        assert whole
        assert [outcome_of(each) for each in found] == [outcome_of(row) for row in on.firings()]
        if name in ("reward", "lot"):
            paid = [firing for firing in on.firings() if firing.state == FiringState.DONE]
            keys = [digest_of("grant", on.hub.instance, "trigger", firing.key) for firing in paid]
            made = [grant.key for grant in on.grants() if grant.rule == "it" and grant.state != "refused"]
            assert sorted(made) == sorted(keys)
            assert len(keys) == sum(each.counts for each in found)
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
