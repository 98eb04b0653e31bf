"""What rewards may be beside a card: points, another product by country, a message with a code; and two who are one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from connectors import points
from hub.app.context import Connection
from hub.app.identity import merge
from hub.app.reward_book import approve, cancel
from hub.app.reward_goods import check_goods, wrong_goods
from hub.app.reward_orders import issue_due
from hub.app.reward_points import points_of, use_points
from hub.app.reward_providers import shown_code
from hub.app.reward_reconcile import reconcile_orders
from hub.app.reward_twice import overspent
from hub.app.reward_wallet import balances, look, low_balances
from hub.connector import Connector, Settings, Stream
from hub.errors import NeedsReview, NotFound
from hub.model import ChangeSet, Json, PushResult
from hub.verify.cards import CardProvider
from tests.reward_world import RULES, MakeWorld, World, worlds

POINTS = RULES.replace("100 EUR", "1000 points").replace("25 EUR", "100 points").replace("provider}", "none}")
EVER = RULES.replace("once_per: event", "once_per: ever")
MAIL = RULES.replace("deliver: provider", "deliver: {connection: post, template: thanks}")


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


def connected(world: World, name: str, connector: Connector, **values: Json) -> Connection:
    made = Connection(
        name=name, connector=connector, api=None, settings=Settings(values=values, auth={}), mode="live", mappings={},
        streams={stream.name: stream for stream in connector.streams},
    )  # fmt: skip
    world.hub.connections[name] = made
    return made


def coded(provider: CardProvider) -> Connector:
    """The provider of cards as a shop that gives codes."""
    provider.gives, provider.cancels = "code", True
    return provider.connector()


# Points


def test_points_need_no_address_and_are_there_with_the_word(world: MakeWorld) -> None:
    w = world(rules=POINTS)
    connected(w, "plum", points.CONNECTOR)
    w.customer("ann", email=None, phone="+4915112345678")
    w.order("o1", "ann")
    w.order("o2", "ann")
    assert w.issue() == {"rewards_issued": 2}
    ann = w.entity("contact").id
    assert points_of(w.hub, ann) == {"entity": ann, "earned": 200, "used": 0, "left": 200, "uses": []}
    assert w.money() == (0, 200)


def test_points_are_used_once_per_key_and_never_below_nothing(world: MakeWorld) -> None:
    w = world(rules=POINTS)
    connected(w, "plum", points.CONNECTOR)
    w.customer("ann")
    w.order("o1", "ann")
    w.issue()
    ann = w.entity("contact").id
    for _ in range(2):
        assert use_points(w.hub, ann, 70, text="a mug", by="kim", key="till-1")["left"] == 30
    with pytest.raises(NeedsReview, match="RWD-POINTS"):
        use_points(w.hub, ann, 31, text="a cap", by="kim")
    with pytest.raises(NeedsReview, match="RWD-POINTS"):
        use_points(w.hub, ann, 0, text="", by="kim")
    with pytest.raises(NotFound):
        points_of(w.hub, 99_999)
    told = points_of(w.hub, ann)
    assert ([use["text"] for use in told["uses"]], told["left"]) == (["a mug"], 30)


def test_two_who_are_one_have_the_points_of_both(world: MakeWorld) -> None:
    w = world(rules=POINTS)
    connected(w, "plum", points.CONNECTOR)
    w.customer("ann")
    w.customer("bob")
    w.order("o1", "ann")
    w.order("o2", "bob")
    w.issue()
    ann, bob = (w.entity("contact", index).id for index in (0, 1))
    use_points(w.hub, bob, 60, text="a cap", by="kim")
    merge(w.hub, f"contact:{ann}", f"contact:{bob}", by="kim")
    assert [points_of(w.hub, each)["left"] for each in (ann, bob)] == [140, 140]
    assert use_points(w.hub, bob, 140, text="a tent", by="kim")["left"] == 0


def test_a_refund_takes_points_back(world: MakeWorld) -> None:
    w = world(rules=POINTS)
    connected(w, "plum", points.CONNECTOR)
    w.customer("ann")
    w.order("o1", "ann")
    w.issue()
    w.order("o1", "ann", refunded_at="2026-12-06T11:00:00Z")
    assert w.grant_states() == ["cancelling"]
    assert w.issue() == {"rewards_cancelled": 1}
    assert (w.grant_states(), w.money(), points_of(w.hub, w.entity("contact").id)["left"]) == (["reversed"], (0, 0), 0)


# By country, and by what is offered


def test_the_product_is_that_of_the_receivers_country(world: MakeWorld) -> None:
    rules = RULES.replace('product: "5671"', 'products: {DE: "5671", AT: "77", default: "1"}')
    w = world(rules=rules.replace(" and contact.country == 'DE'", ""))
    for country in ("DE", "AT", "FR", None):
        w.customer(f"c{country}", country=country)
        w.order(f"o{country}", f"c{country}")
    assert [grant.product for grant in w.grants()] == ["5671", "77", "1", "1"]


def test_where_nothing_is_given_it_is_said(world: MakeWorld) -> None:
    rules = RULES.replace('product: "5671"', 'products: {AT: "77"}')
    w = world(rules=rules)
    w.customer("ann")
    w.order("o1", "ann")
    assert [(grant.state, grant.detail[:11]) for grant in w.grants()] == [("refused", "RWD-COUNTRY")]


@pytest.mark.parametrize(
    ("goods", "amount", "wrong"),
    [
        ({"currency": "EUR", "denominations": ["10", "25"]}, "25", ""),
        ({"currency": "EUR", "denominations": ["10", "25.00"]}, "25", ""),
        ({"currency": "eur", "denominations": [], "least": "5", "most": "50"}, "25", ""),
        ({}, "25", ""),
        ({"currency": "USD"}, "25", "the product is in USD, not in EUR"),
        ({"denominations": ["10", "50"]}, "25", "the product is to be had for 10, 50, not for 25"),
        ({"least": "30"}, "25", "the product is to be had from 30 on, not for 25"),
        ({"least": "5", "most": "20"}, "25", "the product is to be had up to 20, not for 25"),
        ({"denominations": ["10", "x"], "least": "0"}, "10", ""),
    ],
)
def test_what_a_catalogue_has_is_compared(goods: dict[str, Json], amount: str, wrong: str) -> None:
    assert wrong_goods(goods, amount, "EUR") == wrong


def test_without_a_catalogue_nothing_is_judged(world: MakeWorld) -> None:
    assert check_goods(world().hub) == []


# Messages


class Post:
    """A connection that sends messages, and what it sent."""

    def __init__(self) -> None:
        self.sent: list[ChangeSet] = []

    def push(self, api: None, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        self.sent += changes
        return [PushResult(index=0, outcome="applied", external_id="m1")]

    def connector(self) -> Connector:
        stream = Stream(name="orders", gives="order", writes=frozenset({"create"}), cursor="none")
        return replace(points.CONNECTOR, name="post", streams=(stream,), push=self.push)


def test_a_code_is_told_by_one_message_of_its_own(world: MakeWorld) -> None:
    w, post = world(rules=MAIL), Post()
    connected(w, "plum", coded(w.provider))
    connected(w, "post", post.connector())
    w.customer("ann")
    w.order("o1", "ann")
    assert (w.issue(), w.issue()) == ({"rewards_issued": 1}, {})
    assert issue_due(w.hub, "post", run_id=None) == {"rewards_issued": 1}
    assert issue_due(w.hub, "post", run_id=None) == {}
    reward, message = w.grants()
    with w.store.reading() as tx:
        code = shown_code(w.hub, tx, reward)
    (sent,) = post.sent
    told = {name: sent.values[name] for name in ("code", "amount", "currency", "about")}
    assert told == {"code": code, "amount": "25", "currency": "EUR", "about": reward.reference}
    assert (sent.body["productId"], sent.body["email"]) == ("thanks", "ann@example.com")
    assert (message.state, message.parent_id, message.amount, message.budget) == ("issued", reward.id, "0", "")
    assert code not in repr(w.grants())
    assert w.money() == (0, 2500)


def test_what_was_taken_back_is_told_to_nobody(world: MakeWorld) -> None:
    w, post = world(rules=MAIL), Post()
    connected(w, "plum", coded(w.provider))
    connected(w, "post", post.connector())
    w.customer("ann")
    w.order("o1", "ann")
    w.issue()
    w.order("o1", "ann", refunded_at="2026-12-06T11:00:00Z")
    w.issue()
    issue_due(w.hub, "post", run_id=None)
    assert post.sent == []
    assert w.grant_states() == ["reversed", "reversed"]


# Two who are one


def both(w: World) -> tuple[int, int]:
    w.customer("ann")
    w.customer("bob")
    w.order("o1", "ann")
    w.order("o2", "bob")
    return w.entity("contact", 0).id, w.entity("contact", 1).id


def test_what_a_second_name_was_to_get_waits_for_a_person(world: MakeWorld) -> None:
    w = world(rules=EVER)
    ann, bob = both(w)
    merge(w.hub, f"contact:{ann}", f"contact:{bob}", by="kim")
    w.issue()
    first, second = w.grants()
    assert (first.state, second.state) == ("issued", "waiting_approval")
    assert second.detail == f"RWD-MERGED: the person has it already, under another name (grant {first.id})"
    approve(w.hub, second.id, by="kim")
    w.issue()
    assert w.grant_states() == ["issued", "issued"]


def test_what_was_given_to_both_is_shown_and_can_be_taken_back(world: MakeWorld) -> None:
    w = world(rules=EVER)
    connected(w, "plum", coded(w.provider))
    ann, bob = both(w)
    w.issue()
    assert overspent(w.hub) == []
    merge(w.hub, f"contact:{ann}", f"contact:{bob}", by="kim")
    (row,) = overspent(w.hub)
    assert (row["rule"], row["state"], row["amount"], row["can_cancel"]) == ("big_order", "issued", "25", True)
    cancel(w.hub, row["grant"], by="kim")
    assert w.issue() == {"rewards_cancelled": 1}
    assert (overspent(w.hub), w.grant_states(), w.money()) == ([], ["issued", "reversed"], (0, 2500))


def test_a_card_cannot_be_taken_back_from_here(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.issue()
    with pytest.raises(NeedsReview, match="RWD-STATE"):
        cancel(w.hub, w.grants()[0].id, by="kim")


# The provider's own list, and its purse


def test_the_ledger_is_held_against_the_providers_list(world: MakeWorld) -> None:
    w = world(rules=RULES.replace("100 EUR", "1000 EUR"))
    for number in range(5):
        w.customer(f"p{number}")
        w.order(f"o{number}", f"p{number}")
    w.issue()
    assert reconcile_orders(w.hub, "plum")["rows"] == []
    book, grants = w.provider.book, w.grants()
    book[0].body["denomination"] = 50
    gone = book.pop(1)
    book.append(replace(book[1], id="880900"))
    book.append(replace(book[2], id="880901", mark="hub-rwd-nobody", reference="hub-rwd-nobody"))
    book.append(replace(book[2], id="880902", mark="somebody-else", reference="somebody-else"))
    found = reconcile_orders(w.hub, "plum")
    assert [(row["kind"], row["grant"], row["order"]) for row in found["rows"]] == [
        ("differs", grants[0].id, book[0].id), ("missing", grants[1].id, gone.id),
        ("double", grants[2].id, book[1].id), ("double", grants[2].id, "880900"), ("unknown", None, "880901"),
    ]  # fmt: skip
    assert (found["listed"], found["ours"], found["grants"]) == (7, 6, 5)
    assert w.grant_states() == ["issued"] * 5


def test_an_order_that_is_in_doubt_or_was_taken_back_is_found_in_the_list(world: MakeWorld) -> None:
    w = world(kind="D")
    w.customer("ann")
    w.order("o1", "ann")
    w.provider.script = ["lost after"]
    w.issue()
    (row,) = reconcile_orders(w.hub, "plum")["rows"]
    assert (row["kind"], row["means"]) == ("unsettled", "the order is there: hub rewards confirm")


def test_a_connection_without_a_list_says_so(world: MakeWorld) -> None:
    w = world(rules=POINTS)
    connected(w, "plum", points.CONNECTOR)
    with pytest.raises(NeedsReview, match="RWD-CONNECTION"):
        reconcile_orders(w.hub, "plum")


def test_a_low_balance_is_told(world: MakeWorld) -> None:
    w = world()
    purse = {"value": "260.00", "currency": "EUR"}
    rich = replace(w.provider.connector(), check=lambda api: {"balance": purse})
    plum = connected(w, "plum", rich, low_balance=250)
    assert (balances(w.hub), low_balances(w.hub)) == ([], [])
    row = look(w.hub, plum)
    assert row is not None
    assert (row["balance"], row["limit"], row["low"]) == ("260.00", "250", False)
    purse["value"] = "249.99"
    look(w.hub, plum)
    assert low_balances(w.hub) == ["plum"]
    assert look(w.hub, w.hub.connections["shop"]) is None
