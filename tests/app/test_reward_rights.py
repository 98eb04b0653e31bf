"""Who may have a reward, and who may say so: nobody for himself, and nobody by changing things after it was earned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.app.own import own_grant
from hub.app.people import add_user
from hub.errors import NotAllowed
from tests.reward_world import RULES, MakeWorld, World, worlds

DEALS = (
    RULES.replace("order.paid", "deal.won")
    .replace("order.total >= 500 and contact.country == 'DE'", "deal.amount >= 10000")
    .replace("who: contact", "who: owner")
    .replace("    reverse_on: [order.refunded]\n", "")
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[MakeWorld]:
    with worlds(f"sqlite:///{tmp_path / 'hub.db'}") as make:
        yield make


def deal(w: World, owner: str, stage: str) -> None:
    w.clock.advance(60)
    w.take("crm", "deals", {"id": "d1", "stage": stage, "amount": "20000", "owner": owner})


def won_by_the_first_rep(world: MakeWorld) -> World:
    w = world(rules=DEALS)
    w.take("crm", "users", *({"id": f"u{n}", "email": f"rep{n}@example.com"} for n in (1, 2)))
    deal(w, "u1", "new")
    deal(w, "u1", "won")
    return w


def test_a_deal_that_changes_hands_after_it_was_won_pays_nobody_else(world: MakeWorld) -> None:
    w = won_by_the_first_rep(world)
    for owner, stage in (("u2", "won"), ("u2", "new"), ("u2", "won"), ("u1", "new"), ("u1", "won")):
        deal(w, owner, stage)
    (grant,) = w.grants()
    assert (grant.recipient, grant.subject_id) == ({"email": "rep1@example.com"}, w.entity("owner", 0).id)
    w.issue()
    (order,) = w.provider.book
    assert order.body["email"] == "rep1@example.com"


def test_an_address_changed_after_the_grant_receives_nothing(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.order("o1", "ann")
    w.clock.advance(60)
    w.customer("ann", email="thief@example.com", phone="+4930999999")
    assert w.entity("contact").values["email"] == "thief@example.com"
    w.issue()
    (order,) = w.provider.book
    assert order.body["email"] == "ann@example.com"
    assert [grant.recipient["email"] for grant in w.grants()] == ["ann@example.com"]


def test_nobody_approves_what_he_published_or_would_receive(world: MakeWorld) -> None:
    w = won_by_the_first_rep(world)
    (grant,) = w.grants()
    for name in ("boss", "other"):
        add_user(w.hub, name, "admin", by="test")
    with pytest.raises(NotAllowed, match="AUTH-OWN"):
        own_grant(w.hub, grant.id, by="Rep1@example.com")
    own_grant(w.hub, grant.id, by="boss")
    with w.store.transaction() as tx:
        tx.publish_mapping("rewards", "rewards", "digest", DEALS, "boss", w.clock.now())
    with pytest.raises(NotAllowed, match="AUTH-OWN"):
        own_grant(w.hub, grant.id, by="boss")
    own_grant(w.hub, grant.id, by="other")
