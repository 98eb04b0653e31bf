"""Merges, money and references: nothing is taken back, nothing is paid twice, and every sum is whose it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.app.identity import merge, unmerge
from hub.model import EntityRow
from tests.reward_world import RULES, MakeWorld, World, order_record, worlds


@pytest.fixture
def world(migrated_url: str) -> Iterator[MakeWorld]:
    with worlds(migrated_url) as make:
        yield make


def customers(make: MakeWorld, rules: str = RULES) -> tuple[World, EntityRow, EntityRow]:
    """Ann, who spent 600, and Bob, who spent 700; each was owed a reward for it."""
    w = make(rules=rules)
    w.customer("ann")
    w.customer("bob")
    w.order("o1", "ann", "600")
    w.order("o2", "bob", "700")
    return w, w.entity("contact", 0), w.entity("contact", 1)


def spent(w: World, entity: EntityRow) -> str | None:
    with w.store.reading() as tx:
        return tx.entities([entity.id])[entity.id].values.get("lifetime_value")


def join(w: World, ann: EntityRow, bob: EntityRow) -> None:
    merge(w.hub, f"contact:{ann.id}", f"contact:{bob.id}", by="kim")


def test_a_merge_takes_no_reward_back_and_is_no_event(world: MakeWorld) -> None:
    w, ann, bob = customers(world)
    with w.store.reading() as tx:
        events = tx.events([ann.id, bob.id])
    join(w, ann, bob)
    assert w.grant_states() == ["reserved", "reserved"]
    with w.store.reading() as tx:
        assert tx.events([ann.id, bob.id]) == events, "spending 1000 together is nothing that anybody did"
    assert spent(w, ann) == "1300"


def test_what_both_were_given_counts_against_the_limit_of_the_one(world: MakeWorld) -> None:
    limited = RULES.replace(
        "    budget: thanks\n", "    budget: thanks\n    limits: {per_person: {count: 2, per: year}}\n"
    )
    w, ann, bob = customers(world, limited)
    join(w, ann, bob)
    w.order("o3", "bob", "800")
    assert sorted(w.grant_states()) == ["refused", "reserved", "reserved"]
    w.order("o2", "bob", "700", paid_at="2026-12-05T11:00:01Z")
    assert len(w.grants()) == 3, "an order that was rewarded under the other name is not rewarded again"


def test_sums_are_those_of_both_and_each_takes_his_own_along(world: MakeWorld) -> None:
    w, ann, bob = customers(world)
    join(w, ann, bob)
    w.order("o3", "bob", "50")
    w.order("o4", "ann", "5")
    assert spent(w, ann) == "1355"
    unmerge(w.hub, f"contact:{ann.id}", by="kim")
    assert (spent(w, ann), spent(w, bob)) == ("605", "750")


def test_sums_survive_two_merges_deep(world: MakeWorld) -> None:
    w, ann, bob = customers(world)
    w.customer("cy")
    w.order("o5", "cy", "10")
    cy = w.entity("contact", 2)
    join(w, bob, cy)
    join(w, ann, bob)
    w.order("o6", "cy", "1")
    assert spent(w, ann) == "1311"
    unmerge(w.hub, f"contact:{ann.id}", by="kim")
    assert (spent(w, ann), spent(w, bob)) == ("600", "711")
    unmerge(w.hub, f"contact:{bob.id}", by="kim")
    assert [spent(w, each) for each in (ann, bob, cy)] == ["600", "700", "11"]


def test_a_sum_that_only_the_other_had_is_gone_again(world: MakeWorld) -> None:
    w = world()
    w.customer("ann")
    w.customer("bob")
    w.order("o2", "bob", "700")
    ann, bob = w.entity("contact", 0), w.entity("contact", 1)
    join(w, ann, bob)
    assert spent(w, ann) == "700"
    unmerge(w.hub, f"contact:{ann.id}", by="kim")
    assert (spent(w, ann), spent(w, bob)) == (None, "700")


def test_an_order_goes_on_naming_whom_it_named(world: MakeWorld) -> None:
    w, ann, bob = customers(world)
    join(w, ann, bob)
    before = [w.entity("order", n).version for n in range(2)]
    w.take("shop", "orders", order_record("o2", "bob", "700", note="read again"))
    assert [w.entity("order", n).values["contact"] for n in range(2)] == [ann.id, bob.id]
    assert [w.entity("order", n).version for n in range(2)] == before, "to have a new name is no edit"
    w.order("o3", "bob", "20")
    unmerge(w.hub, f"contact:{ann.id}", by="kim")
    assert w.entity("order", 2).values["contact"] == bob.id
    assert spent(w, bob) == "720"
