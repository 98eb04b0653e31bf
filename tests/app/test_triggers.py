"""What fires, what is done, and what is not: over the real engine and store, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hub.app.context import Connection
from hub.app.erasing import erase
from hub.app.firings import LEASE_S, approve, drop
from hub.app.identity import merge
from hub.app.trigger_trial import predict
from hub.core.triggers import TRIES
from hub.errors import NeedsReview, RecordRejected, RetryLater
from tests.reward_world import DAY, START, order_record
from tests.trigger_world import TriggerWorld, rule

TOLD = "notice: {team: Look.}"


@pytest.fixture
def make(database_url: str) -> Iterator[type]:
    made: list[TriggerWorld] = []

    def one(triggers: str, **options: object) -> TriggerWorld:
        made.append(TriggerWorld(database_url, triggers=triggers, **options))
        return made[-1]

    yield one  # type: ignore[misc]
    for world in made:
        world.store.close()


def test_an_event_fires_once_and_is_done_once(make):
    world = make(rule("paid", "on: order.paid, who: contact", TOLD))
    world.customer("ann")
    world.order("o1", "ann")
    world.order("o1", "ann")
    assert world.states() == ["due"]
    assert world.work() == {"done": 1}
    assert world.work() == {}
    assert world.told == ["Look."]


def test_a_first_load_and_what_was_before_the_activation_never_fire(make):
    world = make(
        rule("paid", "on: order.paid, who: contact", TOLD) + rule("moved", "changed: {field: contact.country}", TOLD)
    )
    world.customer("ann")
    world.order("o1", "ann", first_load=True)
    world.order("o2", "ann", paid_at="2026-11-05T11:00:00Z")
    world.customer("ann", first_load=True, country="FR")
    assert world.firings() == []


def test_a_change_fires_from_and_to_its_values_only(make):
    world = make(rule("moved", "changed: {field: contact.country, from: DE, to: [FR, IT]}", TOLD))
    world.customer("ann")
    world.customer("ann", country="ES")
    world.customer("ann", country="FR")
    assert world.firings() == []
    world.customer("ann", country="DE")
    world.customer("ann", country="IT")
    assert world.states() == ["due"]


def test_a_mark_fires_when_it_is_crossed_and_not_while_it_stands(make):
    world = make(rule("big", "crosses: {field: contact.lifetime_value, over: 1000}", TOLD))
    world.customer("ann")
    for number in range(4):
        world.order(f"o{number}", "ann", "600")
    assert len(world.firings()) == 1
    world.order("o0", "ann", "600", refunded_at="2026-12-05T11:30:00Z")
    world.order("o1", "ann", "600", refunded_at="2026-12-05T11:30:00Z")
    world.order("o2", "ann", "600", refunded_at="2026-12-05T11:30:00Z")
    world.order("o9", "ann", "900")
    assert len(world.firings()) == 2


def test_a_mark_that_history_crosses_does_not_fire(make):
    """What a webhook brings of a stream that was not read whole yet is as old as what the first load will bring."""
    world = make(rule("big", "crosses: {field: contact.lifetime_value, over: 1000}", TOLD))
    world.customer("ann")
    world.mark_listed(orders=False)
    world.order("o1", "ann", "600")
    world.order("o2", "ann", "600")
    assert world.entity("contact").values["lifetime_value"] == "1200"
    assert world.firings() == []
    found, silent, _ = predict(world.hub, world.triggers, "big", since=START - DAY, until=START + DAY)
    assert (found, silent) == ([], 1)


def test_the_same_thing_three_times_within_the_span_fires_once_per_span(make):
    repeated = "on: order.paid, repeated: {times: 3, within: 7d, same: total}, who: contact"
    world = make(rule("keen", repeated, TOLD))
    world.customer("ann")
    for number, total in enumerate(("600", "700", "600", "700")):
        world.order(f"o{number}", "ann", total)
    assert world.firings() == []
    world.order("o4", "ann", "600")
    world.order("o5", "ann", "600")
    assert len(world.firings()) == 1


def test_what_was_the_same_is_asked_of_whoever_stands_for_it_now(make):
    """Two orders turned out to be one: what the one that is no more last said counts no more."""
    world = make(rule("keen", "on: order.paid, repeated: {times: 2, within: 7d, same: total}, who: contact", TOLD))
    world.customer("ann")
    world.order("o1", "ann", "300")
    world.order("o2", "ann", "600")
    one, other = (world.entity("order", place).id for place in (0, 1))
    merge(world.hub, f"order:{one}", f"order:{other}", by="eve")
    world.order("o1", "ann", "700")
    world.order("o2", "ann", "700")
    world.order("o3", "ann", "600")
    assert world.states() == []
    found, _, _ = predict(world.hub, world.triggers, "keen", since=START - DAY, until=START + DAY)
    assert found == []


def test_silence_fires_once_until_the_person_speaks_again(make):
    world = make(rule("lost", "quiet_for: {events: [order.paid], for: 10d}", TOLD))
    world.customer("ann")
    world.order("o1", "ann")
    world.clock.advance(9 * DAY)
    world.work()
    assert world.firings() == []
    world.clock.advance(DAY)
    world.work()
    world.clock.advance(5 * DAY)
    world.work()
    assert world.states() == ["done"]
    world.order("o2", "ann", paid_at="2026-12-20T11:00:00Z")
    world.clock.advance(11 * DAY)
    world.work()
    assert world.states() == ["done", "done"]


def test_a_schedule_fires_for_everybody_that_its_condition_holds_for(make):
    world = make(
        rule("monday", "every: {of: contact, day_of_week: mon, hour: 9}", TOLD, ", when: \"contact.country == 'DE'\"")
    )
    world.customer("ann")
    world.customer("bob", country="FR")
    world.work()
    assert world.firings() == []
    world.clock.advance(2 * DAY)
    world.work()
    world.clock.advance(3600)
    world.work()
    assert world.states() == ["done"]


def test_limits_and_cool_downs_refuse_and_say_why(make):
    more = ", cool_down: 1h, limits: {per_person: {count: 2, per: year}, in_all: {count: 3, per: ever}}"
    world = make(rule("paid", "on: order.paid, who: contact", TOLD, more))
    world.customer("ann")
    world.customer("bob")
    for number in range(4):
        world.order(f"a{number}", "ann")
        if number:
            world.clock.advance(4000)
    world.order("b1", "bob")
    world.clock.advance(4000)
    world.order("b2", "bob")
    reasons = [firing.reason.partition(":")[0] for firing in world.firings()]
    assert reasons == ["", "TRG-COOL-DOWN", "", "TRG-LIMIT", "", "TRG-LIMIT-ALL"]


def test_what_fires_at_the_first_instant_of_a_day_is_of_that_day(make):
    world = make(rule("paid", "on: order.paid, who: contact", TOLD, ", limits: {per_person: {count: 1, per: day}}"))
    world.customer("ann")
    world.clock.advance(DAY / 2)  # it is midnight
    for number in range(2):
        world.order(f"o{number}", "ann", paid_at="2026-12-05T13:00:00Z")
    assert world.states() == ["due", "refused"]


def test_nobody_is_a_refusal(make):
    world = make(rule("paid", "on: order.paid, who: contact", TOLD))
    world.take("shop", "orders", order_record("o1", None))
    assert [firing.reason for firing in world.firings()] == ["TRG-NOBODY: nobody is named"]


def test_quiet_hours_put_off_and_drop_nothing(make):
    world = make(rule("paid", "on: order.paid, who: contact", TOLD, ', quiet_hours: {from: "11:00", to: "14:30"}'))
    world.customer("ann")
    world.order("o1", "ann")  # 12:00
    assert world.states() == ["waiting"]
    assert world.work() == {}
    world.clock.advance(2.5 * 3600)
    assert world.work() == {"done": 1}


def test_what_a_person_must_let_go_waits_for_them(make):
    world = make(rule("paid", "on: order.paid, who: contact", TOLD, ", approve: true"))
    world.customer("ann")
    world.order("o1", "ann")
    world.order("o2", "ann")
    assert world.work() == {}
    assert world.states() == ["held", "held"]
    first, second = world.firings()
    approve(world.hub, first.id, "eve")
    drop(world.hub, second.id, "eve")
    assert world.work() == {"done": 1}
    assert [(each.state, each.reason) for each in world.firings()] == [("done", ""), ("refused", "TRG-DROPPED: by eve")]
    with pytest.raises(NeedsReview, match="is done"):
        approve(world.hub, first.id, "eve")


def test_a_message_goes_through_the_ledger_of_rewards_once(make):
    world = make(rule("paid", "on: order.paid, who: contact", "notice: {connection: plum, template: hello}"))
    world.customer("ann")
    world.order("o1", "ann", "10")
    world.work()
    (grant,) = world.grants()
    assert (grant.product, grant.amount, grant.state) == ("hello", "0", "reserved")
    assert world.money() == (0, 0)
    world.issue()
    assert world.grant_states() == ["issued"]


def test_a_field_of_the_hubs_own_is_set_and_set_again_writes_nothing(make):
    world = make(rule("paid", "on: order.paid, who: contact", "field: {mood: happy}"))
    world.customer("ann")
    world.order("o1", "ann", "10")
    world.work()
    assert world.entity("contact").values["mood"] == "happy"
    world.order("o2", "ann", "10", paid_at="2026-12-05T11:59:00Z")
    world.work()
    world.customer("ann")
    ann = world.entity("contact").id
    with world.store.reading() as tx:
        assert len(tx.history([ann], field="mood")) == 1


def test_a_task_is_wanted_where_tasks_are_taken(make):
    do = "task: {subject: Call back, description: Keen., priority: high, due: 2d}"
    world = make(rule("paid", "on: order.paid, who: contact", do))
    world.hub.connections["crm"] = taking_tasks(world.hub.connections["crm"])
    with world.store.transaction() as tx:
        tx.set_cursor("crm", "tasks", {"at": 1, "first_done": True, "since": 0})
    world.customer("ann")
    world.order("o1", "ann", "10")
    world.work()
    task = world.entity("task")
    assert task.values == {
        "subject": "Call back", "description": "Keen.", "priority": "high", "status": "open", "due_on": "2026-12-07",
        "contact": world.entity("contact").id, "source": "trigger paid",
    }  # fmt: skip
    with world.store.reading() as tx:
        links = tx.links_of([task.id])
    assert [(link.connection, link.stream, link.state) for link in links] == [("crm", "tasks", "wanted")]


TASKS = """
connector: crm
language: 1
streams:
  tasks:
    entity: task
    create: always
    fields: {subject: {remote: subject}, description: {remote: text}, due_on: {remote: due}}
"""


def taking_tasks(crm: Connection) -> Connection:
    from hub.connector import Stream
    from tests.reward_world import mappings_of

    stream = Stream(name="tasks", writes=frozenset({"create"}))
    connector = replace(crm.connector, streams=(*crm.connector.streams, stream), push=lambda *args: ())
    return replace(
        crm,
        connector=connector,
        mappings={**crm.mappings, **mappings_of(TASKS)},
        streams={**crm.streams, "tasks": stream},
    )


HOOK = 'webhook: {url: "https://hooks.example.com/x", secret: "secret:x"}'


def test_a_webhook_is_sent_again_under_the_same_id_until_it_is_taken(make):
    world = make(rule("paid", "on: order.paid, who: contact", HOOK))
    world.customer("ann")
    world.order("o1", "ann", "10")

    def busy() -> int:
        raise RetryLater("busy", code="TRG-WEBHOOK")

    world.answer = busy
    assert world.work() == {"waiting": 1}
    assert world.work() == {}
    world.clock.advance(60)
    world.answer = lambda: 204
    assert world.work() == {"done": 1}
    assert len({key for key, _ in world.posted}) == 1
    assert len(world.posted) == 2
    assert world.firings()[0].result == "HTTP 204"


def test_a_webhook_that_nobody_takes_fails_in_the_end_and_at_once_if_it_is_unwanted(make):
    world = make(rule("paid", "on: order.paid, who: contact", HOOK))
    world.customer("ann")

    def answer() -> int:
        raise RetryLater("busy", code="TRG-WEBHOOK")

    world.answer = answer
    world.order("o1", "ann", "10")
    for _ in range(TRIES + 2):
        world.work()
        world.clock.advance(DAY)
    assert world.states() == ["failed"]
    assert len(world.posted) == TRIES

    def unwanted() -> int:
        raise RecordRejected("gone", code="TRG-WEBHOOK")

    world.answer = unwanted
    world.order("o2", "ann", "10")
    world.work()
    assert world.states() == ["failed", "failed"]


def test_a_process_that_dies_while_it_sends_sends_again(make):
    world = make(rule("paid", "on: order.paid, who: contact", HOOK))
    world.customer("ann")
    world.order("o1", "ann", "10")

    def die() -> int:
        raise KeyboardInterrupt

    world.answer = die
    with pytest.raises(KeyboardInterrupt):
        world.work()
    world.answer = lambda: 200
    assert world.work() == {}
    world.clock.advance(LEASE_S)
    assert world.work() == {"done": 1}
    assert len({key for key, _ in world.posted}) == 1


def test_a_merged_person_is_counted_under_all_their_names(make):

    world = make(rule("paid", "on: order.paid, who: contact", TOLD, ", limits: {per_person: {count: 1, per: ever}}"))
    world.customer("ann")
    world.customer("bob")
    world.order("o1", "ann")
    first, second = world.entity("contact", 0), world.entity("contact", 1)
    merge(world.hub, f"contact:{first.id}", f"contact:{second.id}", by="eve")
    world.order("o2", "bob")
    assert [firing.reason.partition(":")[0] for firing in world.firings()] == ["", "TRG-LIMIT"]


def test_nothing_is_done_for_somebody_who_was_erased_and_nothing_they_said_is_left(make):
    repeated = "on: order.paid, repeated: {times: 2, within: 7d, same: total}, who: contact"
    world = make(rule("same", repeated, TOLD))
    world.customer("ann")
    world.customer("bob")
    for number, who in enumerate(("ann", "ann", "bob", "bob")):
        world.order(f"o{number}", who)
    assert world.states() == ["due", "due"]
    assert all(each.topic for each in world.firings())
    erase(world.hub, "contact:ann@example.com", by="sue")
    assert world.states() == ["refused", "due"]
    assert [bool(each.topic) for each in world.firings()] == [False, True]
    assert world.work() == {"done": 1}


def test_a_copy_of_the_database_does_nothing(make):
    world = make(rule("paid", "on: order.paid, who: contact", TOLD))
    world.customer("ann")
    world.order("o1", "ann")
    world.hub.copied = True
    assert world.work() == {}
    world.hub.copied = False
    assert world.work() == {"done": 1}
