"""Rules tried on the past, against what they did: histories with merges, refunds and first loads, on both databases."""

from __future__ import annotations

import pytest

from hub.app.identity import merge, unmerge
from hub.app.past import show
from hub.app.trigger_trial import predict
from hub.core.triggers import COUNTED
from tests.properties.test_reward_trial_laws import RULES_OF, given_in, predicted_for
from tests.properties.test_trigger_laws import ALONE, RULES, turn_of
from tests.reward_world import World
from tests.trial_world import BEGIN, Player, outcome_of, some_steps
from tests.trigger_world import TriggerWorld


@pytest.mark.parametrize("name", ["limited", "repeated", "crosses", "silence", "slot", "reward"])
def test_a_trigger_did_what_its_trial_predicts(migrated_url: str, name: str) -> None:
    world = TriggerWorld(migrated_url, rules=ALONE, triggers=RULES[name])
    Player(world, turn_of(world, name)).play(some_steps(29, 60))
    found, _, whole = predict(world.hub, world.triggers, "it", since=BEGIN, until=world.clock.now())
    assert whole
    assert [outcome_of(each) for each in found] == [outcome_of(row) for row in world.firings()]
    assert any(each.counts for each in found)
    world.store.close()


@pytest.mark.parametrize("name", RULES_OF)
def test_a_reward_rule_gave_what_its_trial_predicts(migrated_url: str, name: str) -> None:
    world = World(migrated_url, rules=RULES_OF[name])
    Player(world, world.issue).play(some_steps(19, 60))
    gave, refused = given_in(world)
    assert (gave, refused) == predicted_for(world, RULES_OF[name])
    assert gave
    world.store.close()


def test_what_was_true_of_two_who_were_one_for_a_while_can_be_asked_for(migrated_url: str) -> None:
    """An unmerge tells the history what goes back to what it was, so the time between is still there."""
    world = TriggerWorld(migrated_url)
    for name, country in (("ann", "DE"), ("bob", "FR")):
        world.customer(name, country=country)
    ann, bob = (f"contact:{world.entity('contact', place).id}" for place in (0, 1))
    world.clock.advance(60)
    merge(world.hub, ann, bob, by="eve")
    world.clock.advance(60)
    world.customer("bob", country="IT")
    between = world.clock.now() + 1
    world.clock.advance(60)
    unmerge(world.hub, ann, by="eve")
    told = {row["field"]: row["value"] for row in show(world.hub, ann, as_of=between)["fields"]}
    assert told["country"] == "IT"
    now = {row["field"]: row["value"] for row in show(world.hub, ann)["fields"]}
    assert now["country"] == "DE"
    world.store.close()


def test_what_a_first_load_brought_is_tried_when_asked_for(migrated_url: str) -> None:
    world = TriggerWorld(migrated_url, triggers=RULES["limited"])
    world.customer("ann", first_load=True)
    for number in range(3):
        world.order(f"o{number}", "ann", first_load=True, paid_at=f"2026-12-0{number + 1}T11:00:00Z")
    until = world.clock.now()
    found, silent, _ = predict(world.hub, world.triggers, "it", since=0.0, until=until)
    assert (found, silent) == ([], 3)
    found, silent, _ = predict(world.hub, world.triggers, "it", since=0.0, until=until, loaded=True)
    assert [each.decision.state in COUNTED for each in found] == [True, True, True]  # each on its own day
    assert world.firings() == []
    world.store.close()
