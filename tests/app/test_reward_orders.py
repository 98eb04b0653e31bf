"""One order per grant, whatever crashes and whatever is answered; and what people see of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub.app.reward_book import confirm, decline, list_rewards, show_reward
from hub.app.reward_orders import issue_due
from hub.connector import Stream
from hub.errors import NeedsReview, NotFound, RetryLater, SignInExpired
from hub.model import EntityRow, PushResult, SourceRecord
from tests.reward_world import DAY, RULES, START, MakeWorld, World, order_record, worlds


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


# Crashes


class Crash(BaseException):
    """The end of a process."""


def test_a_page_that_dies_owes_nothing_and_owes_once_when_it_comes_again(world: MakeWorld) -> None:
    points: list[str] = []
    w = world(seam=lambda point: _crash_if(point, points))
    w.customer("ann")
    for point, owed in (("commit:before", 0), ("commit:after", 1)):
        points.append(point)
        with pytest.raises(Crash):
            w.order("o1", "ann")
        w.hub = w.start()
        assert len(w.grants()) == owed
    w.order("o1", "ann")
    assert (w.grant_states(), w.money()) == (["reserved"], (2500, 0))


def _crash_if(point: str, wanted: list[str]) -> None:
    if wanted and wanted[0] == point:
        wanted.pop(0)
        raise Crash


def test_one_order_wherever_the_sender_dies(world: MakeWorld) -> None:
    left: Counter[str] = Counter()

    def seam(here: str) -> None:
        left[here] -= 1
        if left[here] == 0:
            raise Crash

    w = world(seam=seam, rules=RULES.replace("100 EUR", "1000 EUR"))
    points = [
        (point, nth) for point in ("commit:before", "commit:after", "call:before", "call:after") for nth in (1, 2)
    ]
    for number, (point, nth) in enumerate(points, start=1):
        w.customer(f"p{number}")
        w.order(f"o{number}", f"p{number}")
        left.clear()
        left[point] = nth
        try:
            w.issue()
        except Crash:
            w.hub = w.start()
        left.clear()
        w.clock.advance(200)
        w.issue()
        assert (point, nth, w.grant_states(), len(w.provider.book)) == (point, nth, ["issued"] * number, number)
    assert w.money() == (0, 2500 * len(points))


# Answers


def test_an_order_is_placed_once_and_its_number_kept(world: MakeWorld) -> None:
    w = world()
    w.customer("ann", phone="+4915112345678")
    w.order("o1", "ann")
    assert w.issue() == {"rewards_issued": 1}
    assert w.issue() == {}
    (order,) = w.provider.book
    (grant,) = w.grants()
    assert (grant.order_id, order.reference) == (order.id, grant.reference)
    assert order.body == {
        "productId": "5671", "quantity": 1, "denomination": 25, "email": "ann@example.com",
        "contact": "+49-15112345678", "tag": "big_order", "notifyReceiverEmail": 1, "notifyAdminEmail": 0,
    }  # fmt: skip


def test_a_connection_that_only_observes_orders_nothing(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.hub.connections["plum"] = replace(w.hub.connections["plum"], mode="observe")
    assert w.issue() == {}
    assert w.grant_states() == ["reserved"]


def test_grants_for_a_connection_without_orders_are_reported(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    plum = w.hub.connections["plum"]
    w.hub.connections["plum"] = replace(plum, streams={"catalogue": Stream(name="catalogue")})
    assert w.issue() == {}
    w.order("o1", "ann")
    with pytest.raises(NeedsReview, match="RWD-CONNECTION"):
        w.issue()


def test_a_throttled_order_waits_as_long_as_it_was_told(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.take("shop", "orders", order_record("o1", "ann"), order_record("o2", "ann"))
    w.provider.script = ["throttled"]
    assert w.issue() == {"rewards_throttled": 1}
    first, second = w.grants("reserved")
    assert (first.not_before, second.attempts, w.provider.calls["push"]) == (START + 7.0, 0, 1)
    assert (first.first_sent, first.last_possible) == (None, None)
    assert w.issue() == {"rewards_issued": 1}
    w.clock.advance(7)
    assert w.issue() == {"rewards_issued": 1}
    assert len(w.provider.book) == 2


def test_a_refused_order_frees_its_money(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["rejected"]
    assert w.issue() == {"rewards_rejected": 1}
    (grant,) = w.grants()
    assert (grant.state, grant.detail, w.money()) == ("rejected", "PLE10012: out of stock", (0, 0))


def test_a_lost_answer_keeps_the_money_and_is_settled_by_the_same_reference(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost after"]
    assert w.issue() == {"rewards_unknown": 1}
    assert (w.grant_states(), w.money()) == (["unknown"], (2500, 0))
    assert w.grants()[0].last_possible == START + 30.0 + w.hub.connections["plum"].longest_write_s
    assert w.issue() == {"rewards_issued": 1}
    (grant,) = w.grants()
    assert (grant.order_id, len(w.provider.book), w.money()) == ("880001", 1, (0, 2500))
    assert w.entries(grant.id) == ["reserved", "sent", "unknown", "sent", "issued"]


def test_a_duplicate_that_is_another_order_goes_to_a_person(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost after"]
    w.issue()
    w.provider.book[0].body["email"] = "eve@example.com"
    assert w.issue() == {"rewards_needs_person": 1}
    (grant,) = w.grants()
    assert (grant.state, grant.detail) == ("needs_person", "RWD-DIFFERS: order 880001 differs in email")
    assert w.money() == (2500, 0)
    assert confirm(w.hub, grant.id, "mia", order_id="880001").state == "issued"
    assert w.money() == (0, 2500)


def test_a_refused_repeat_says_nothing_about_the_first_attempt(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["late", "rejected"]
    w.issue()
    assert w.issue() == {"rewards_unknown": 1}
    w.clock.advance(1000)
    assert w.issue() == {"rewards_issued": 1}
    assert (len(w.provider.book), w.money()) == (1, (0, 2500))


def test_a_repeat_refused_for_good_is_refused_after_a_look(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost before", "rejected", "rejected"]
    w.issue()
    w.issue()
    w.clock.advance(1000)
    assert w.issue() == {"rewards_not_found": 1, "rewards_rejected": 1}
    assert (w.grant_states(), w.money(), w.provider.book) == (["rejected"], (0, 0), [])


def test_class_c_waits_until_nothing_can_land_looks_and_sends_once_more(world: MakeWorld) -> None:
    w = world(kind="C")
    w.customer("ann")
    w.take("shop", "orders", order_record("o1", "ann"), order_record("o2", "ann"))
    w.provider.script = ["lost before", "late"]
    assert w.issue() == {"rewards_unknown": 2}
    w.clock.advance(150 + 60)
    assert w.issue() == {}
    assert w.provider.calls["find"] == 0
    w.clock.advance(61)
    assert w.issue() == {"rewards_not_found": 1, "rewards_issued": 2}
    assert (w.provider.calls["push"], w.grant_states(), len(w.provider.book)) == (3, ["issued", "issued"], 2)
    assert {order.reference for order in w.provider.book} == {grant.reference for grant in w.grants()}


def test_class_d_is_never_repeated_by_a_machine(world: MakeWorld) -> None:
    w = world(kind="D")
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost after"]
    w.issue()
    assert w.issue() == {"rewards_needs_person": 1}
    w.clock.advance(9 * DAY)
    assert w.issue() == {}
    (grant,) = w.grants()
    assert grant.detail == "RWD-UNKNOWN: an order may or may not exist, and the provider cannot tell"
    assert decline(w.hub, grant.id, "mia").state == "rejected"
    assert w.money() == (0, 0)


def test_a_sender_that_wakes_up_too_late_does_not_start(world: MakeWorld) -> None:
    sleepy = [False]

    def seam(point: str) -> None:
        if sleepy[0] and point == "commit:after":
            sleepy[0] = False
            w.clock.advance(31)

    w = world(seam=seam)
    w.customer("ann")
    w.order("o1", "ann")
    sleepy[0] = True
    assert w.issue() == {"rewards_throttled": 1}
    assert (w.provider.calls["push"], w.grant_states()) == (0, ["reserved"])


def test_a_second_worker_leaves_a_call_under_way_alone(world: MakeWorld) -> None:
    seen: list[dict[str, int]] = []

    def seam(point: str) -> None:
        if point == "call:before" and not seen:
            seen.append(issue_due(w.hub, "plum", run_id=2))

    w = world(seam=seam, kind="C")
    w.customer("ann")
    w.order("o1", "ann")
    assert w.issue() == {"rewards_issued": 1}
    assert (seen, w.provider.calls["push"], len(w.provider.book)) == ([{}], 1, 1)


def test_refused_credentials_stop_the_round_and_lose_nothing(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    plum = w.hub.connections["plum"]

    def refuse(api: object, stream: str, changes: object) -> list[PushResult]:
        return [PushResult(index=0, outcome="auth_expired")]

    w.hub.connections["plum"] = replace(plum, connector=replace(plum.connector, push=refuse))
    with pytest.raises(SignInExpired):
        w.issue()
    assert w.grant_states() == ["reserved"]
    w.hub.connections["plum"] = plum
    w.clock.advance(10)
    assert w.issue() == {"rewards_issued": 1}


def test_an_answer_without_our_row_is_unknown(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    plum = w.hub.connections["plum"]
    w.hub.connections["plum"] = replace(plum, connector=replace(plum.connector, push=lambda api, stream, changes: []))
    assert w.issue() == {"rewards_unknown": 1}


def test_a_duplicate_that_cannot_be_read_yet_stays_unknown(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost after"]
    w.issue()
    plum = w.hub.connections["plum"]

    def unreadable(api: object, stream: str, ids: object) -> list[SourceRecord]:
        raise RetryLater("down")

    w.hub.connections["plum"] = replace(plum, connector=replace(plum.connector, fetch=unreadable))
    assert w.issue() == {"rewards_unknown": 1}
    w.hub.connections["plum"] = replace(plum, connector=replace(plum.connector, fetch=lambda api, stream, ids: []))
    w.clock.advance(60)
    assert w.issue() == {"rewards_unknown": 1}
    w.hub.connections["plum"] = plum
    w.clock.advance(60)
    assert w.issue() == {"rewards_issued": 1}
    assert len(w.provider.book) == 1


# What people see


def test_a_listing_and_a_story(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.issue()
    w.customer("bea", email=None)
    w.order("o2", "bea")
    assert [(row.id, row.state, row.recipient) for row in list_rewards(w.hub)] == [
        (1, "issued", "ann@example.com"), (2, "refused", ""),
    ]  # fmt: skip
    assert [row.id for row in list_rewards(w.hub, "issued")] == [1]
    assert [row.id for row in list_rewards(w.hub, limit=1)] == [1]
    story = show_reward(w.hub, 1)
    assert (story.event, story.event_source, story.attempts) == ("order.paid", "shop", 1)
    assert story.event_values == {"paid_at": "2026-12-05T11:00:00Z"}
    assert story.subject == {"email": "ann@example.com", "name": "ann"}
    assert [(line.kind, line.amount) for line in story.lines] == [("reserved", "25"), ("sent", "0"), ("issued", "25")]
    with pytest.raises(NotFound):
        show_reward(w.hub, 99)


def test_a_voucher_code_is_never_stored(tmp_path: Path) -> None:
    w = World(f"sqlite:///{tmp_path / 'hub.db'}")
    w.customer("ann")
    w.order("o1", "ann")
    plum = w.hub.connections["plum"]
    code = "TEST-AB12-CD34"
    held = SourceRecord(external_id="880001", data={"vouchers": [{"voucherCode": code}]})

    def push(api: object, stream: str, changes: object) -> list[PushResult]:
        return [PushResult(index=0, outcome="applied", external_id="880001", held=held, message=code)]

    w.hub.connections["plum"] = replace(plum, connector=replace(plum.connector, push=push))
    assert w.issue() == {"rewards_issued": 1}
    w.store.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"880001" in stored
    assert code.encode() not in stored


def test_the_ledger_agrees_with_an_entity_that_is_new_in_the_same_page(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.take("shop", "orders", *(order_record(f"o{number}", "ann") for number in range(3)))
    row: EntityRow = w.entity("order")
    with w.store.reading() as tx:
        assert len(tx.events([row.id])) == 1
    assert w.money() == (7500, 0)
