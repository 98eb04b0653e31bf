"""The law of trials of reward rules: a history lived through with the rule on gives exactly the grants predicted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from hub.app.reward_trial import PAYS, predict
from tests.reward_world import RULES, World, read_rules
from tests.trial_world import BEGIN, STEPS, Player, Step

NAME = "big_order"
OFTEN = RULES.replace("100 EUR", "10000 EUR")
RULES_OF = {
    "budget": RULES,
    "limited": OFTEN.replace(
        "once_per: event", "once_per: event\n    limits: {per_person: {count: 1, per: day}}"
    ),
    "monthly": OFTEN.replace("once_per: event", "once_per: month"),
    "waits": RULES.replace("once_per: event", "once_per: event\n    wait: 2d"),
}  # fmt: skip
OFF = RULES.replace("active_from: 2026-12-01", "active_from: 2030-01-01")


def given_in(world: World) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What the ledger gave, and what it refused and why."""
    grants = world.grants()
    gave = [(g.key, g.event_id, g.subject_id, g.state != "reversed") for g in grants if g.state != "refused"]
    refused = [(g.event_id, g.detail.partition(":")[0]) for g in grants if g.state == "refused"]
    answered = {g.event_id for g in grants if g.state == "refused" and "named later" in g.detail}
    return sorted(gave), sorted(each for each in refused if each[0] not in answered)


def predicted_for(world: World, rules: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    rewards = read_rules(rules)
    trial, _, whole = predict(world.hub, rewards, rewards.rules[NAME], since=BEGIN, until=world.clock.now())
    assert whole
    gave = [(g.key, g.event.id, g.receiver, g.outcome == PAYS) for g in trial.given.values()]
    refused = [(o.event.id, o.outcome) for o in trial.outcomes.values() if o.outcome.startswith("RWD-")]
    return sorted(gave), sorted(refused)


@pytest.mark.parametrize("name", RULES_OF)
@settings(max_examples=4, deadline=None)
@given(steps=STEPS)
def test_what_a_trial_predicts_is_what_is_given(name: str, steps: list[Step]) -> None:
    off, on = World(rules=OFF), World(rules=RULES_OF[name])
    try:
        for world in (off, on):
            Player(world, world.issue).play(steps)
        assert predicted_for(off, RULES_OF[name]) == given_in(on)
    finally:
        off.store.close()
        on.store.close()
