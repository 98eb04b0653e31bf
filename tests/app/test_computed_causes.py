"""Triggers that wait for what is computed: it moves by a change or by a day, and history stays silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hub.app.derived import after_merges, compute_for_today, compute_hook
from hub.app.events import merge_hook
from hub.app.identity import merge
from hub.app.rewards import reward_hook, setup_of
from hub.app.trigger_trial import predict
from hub.app.triggers import computed_hook, trigger_hook
from hub.core.computed_file import parse_derived
from hub.core.document import Sheet
from hub.core.triggers_file import parse_triggers
from hub.model import Json
from hub.runtime.yaml import parse_yaml
from tests.reward_world import DAY, START
from tests.trigger_world import HEAD, TriggerWorld, rule

DERIVED = """
language: 1
fields:
  lead_score: {kind: score, rules: [{on: order.paid, points: 30, half_life_days: 10, most: 100}]}
  churn_risk: {kind: churn, levels: {medium: 1.5, high: 3}}
"""
TOLD = "notice: {team: Look.}"
CROSSES = rule("hot", "crosses: {field: contact.lead_score, over: 50}", TOLD)
FADES = rule("cold", "crosses: {field: contact.lead_score, under: 20}", TOLD)
Make = Callable[[str], TriggerWorld]


@pytest.fixture
def make(migrated_url: str) -> Iterator[Make]:
    made = []

    def make(text: str) -> TriggerWorld:
        world = TriggerWorld(migrated_url)
        made.append(world)
        derived, canonical = parse_derived(Sheet(parse_yaml(DERIVED, "derived.yaml")), world.canonical)
        sheet = Sheet(parse_yaml(HEAD + text, "triggers.yaml"))
        triggers = world.triggers = parse_triggers(sheet, canonical)
        assert sheet.faults == []
        hub = world.hub
        hub.canonical, hub.derived, hub.triggers = canonical, derived, triggers
        compute = compute_hook(derived, canonical)
        hub.on_changes = reward_hook(world.rewards, canonical, compute=compute, then=trigger_hook(triggers))
        hub.on_computed = computed_hook(setup_of(world.rewards, canonical), triggers)
        hub.on_merges = after_merges(merge_hook(canonical, currency="EUR"), derived, canonical)
        compute_for_today(hub, owner="me")
        return world

    yield make
    for world in made:
        world.store.close()


def predicted(world: TriggerWorld, name: str) -> tuple[int, int]:
    """How often the rule would have fired, and what was silent."""
    until = world.clock.now()
    found, silent, whole = predict(world.hub, world.triggers, name, since=START - DAY, until=until)
    assert whole
    return len(found), silent


def score(world: TriggerWorld) -> Json:
    return world.entity("contact").values.get("lead_score")


def next_days(world: TriggerWorld, days: int) -> None:
    for _ in range(days):
        world.clock.advance(DAY)
        compute_for_today(world.hub, owner="me")


def test_a_score_that_a_change_lifts_over_its_mark_fires_once(make: Make) -> None:
    world = make(CROSSES)
    world.customer("ann")
    world.order("o1", "ann", "10")
    assert (score(world), world.firings()) == (30, [])
    world.order("o2", "ann", "10")
    world.order("o3", "ann", "10")
    assert score(world) == 90
    assert [each.entity_id for each in world.firings()] == [world.entity("contact").id]
    assert predicted(world, "hot") == (1, 0)


def test_a_condition_sees_what_its_own_event_made_of_the_score(make: Make) -> None:
    world = make(rule("it", 'on: order.paid, who: contact, when: "contact.lead_score >= 60"', TOLD))
    world.customer("ann")
    for number in range(3):
        world.order(f"o{number}", "ann", "10")
    assert len(world.firings()) == 2
    assert predicted(world, "it") == (2, 0)


def test_a_score_that_fades_fires_on_the_day_it_passes_its_mark(make: Make) -> None:
    world = make(FADES)
    world.customer("ann")
    world.order("o1", "ann", "10")
    next_days(world, 3)
    assert (score(world) >= 20, world.firings()) == (True, [])
    next_days(world, 6)
    assert score(world) < 20
    (firing,) = world.firings()
    assert firing.state == "due"
    assert predicted(world, "cold") == (1, 0)
    compute_for_today(world.hub, owner="me")
    next_days(world, 3)
    assert len(world.firings()) == 1


def test_what_new_rules_make_of_everybody_and_what_was_loaded_is_silent(make: Make) -> None:
    world = make(CROSSES)
    world.customer("ann")
    for number in range(2):
        world.order(f"o{number}", "ann", "10", first_load=True)
    assert not score(world)
    assert world.hub.derived is not None
    world.hub.derived = replace(world.hub.derived, digest="other rules")
    assert compute_for_today(world.hub, owner="me")["changed"] == 1
    assert (score(world), world.firings()) == (60, [])
    assert predicted(world, "hot") == (0, 1)


def test_a_change_before_everybody_is_computed_by_new_rules_or_after_a_load_is_silent(make: Make) -> None:
    """It brings in what stood before, too: nobody can tell that apart."""
    world = make(CROSSES)
    world.customer("ann")
    with world.store.transaction() as tx:
        tx.set_setting("derived.done", {**tx.setting("derived.done"), "loaded": []})
    world.order("o1", "ann", "10", first_load=True)
    world.order("o2", "ann", "10")
    assert (score(world), world.firings()) == (60, [])
    assert predicted(world, "hot") == (0, 1)


def test_what_a_webhook_tells_of_a_stream_that_was_not_read_whole_is_silent(make: Make) -> None:
    world = make(CROSSES)
    world.customer("ann")
    world.mark_listed(orders=False)
    for number in range(2):
        world.order(f"o{number}", "ann", "10")
    assert (score(world), world.firings()) == (60, [])
    assert predicted(world, "hot") == (0, 1)


def test_what_two_people_come_to_when_they_are_one_is_nothing_that_anybody_did(make: Make) -> None:
    world = make(CROSSES)
    for number, name in enumerate(("ann", "bob")):
        world.customer(name)
        world.order(f"o{number}", name, "10")
    merge(world.hub, *(f"contact:{world.entity('contact', place).id}" for place in (0, 1)), by="eve")
    assert (score(world), world.firings()) == (60, [])
    assert predicted(world, "hot") == (0, 0)
