"""`kill -9` in the middle of syncs that owe rewards: every grant is one order, and all ends as if nobody had died.

Six vendors serve one company from a process of their own. People place big orders in the shop, each worth a gift card,
a code at the shop, one at the bank, and points; the hub is killed at random moments of the syncs that follow: while it
reads, grants, orders, notes that it did. Another hub has the same people and is left alone. In CI it dies 10 times on
each database, in `make verify` 100 times (`--kills`).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hub.app.bootstrap import open_hub
from hub.app.syncing import sync_now
from hub.core.rewards import GrantState
from hub.twins.client import TwinClient
from hub.verify.rehearsal import ENVIRONMENT, vendors, write_project
from tests.e2e.clocks import LaterClock
from tests.e2e.commands import Forks

SEED, PEOPLE = 7, 24
BIG, SMALL = "749.00", "12.00"
ORDERS = 2  # big ones per afternoon, of as many people, each four rewards; small ones beside them
KILLS_AT_ONCE = 5  # on one afternoon
LATENCY_S = 0.02
PATIENCE_S = 400.0  # longer than any order may still land, or any index may lag
ROUNDS = 10
MOST_CALLS = 30  # of a sync, before which it is killed
POLL_S = LATENCY_S  # the hub's next call is not seen sooner; six vendors are asked each time

Twins = Mapping[str, TwinClient]

MORE = """
  {name}:
    text: Another thank you.
    on: order.paid
    when: "order.total >= 500"
    who: contact
    give: {{connection: {connection}, product: thanks, amount: {amount}, deliver: screen}}
    once_per: event
    budget: {name}
    active_from: 2026-01-01T00:00:00Z
"""
KINDS = {
    "shop_code": ("shopify", "10 EUR"), "bank_code": ("stripe", "10 EUR"), "loyalty": ("points", "100 points"),
}  # fmt: skip
BUDGETS = "budgets:" + "".join(
    f"\n  {name}: {{amount: 100000 {amount.split()[1]}, per: year}}" for name, (_, amount) in KINDS.items()
)


def give_more(folder: Path) -> None:
    """Rules for codes and points beside those of the shipped file."""
    path = folder / "mappings" / "rewards.yaml"
    rules = "".join(MORE.format(name=name, connection=c, amount=a) for name, (c, a) in KINDS.items())
    path.write_text(path.read_text().replace("budgets:", BUDGETS, 1).rstrip() + rules)
    with (folder / "hub.yaml").open("a") as project:
        project.write("  points: {connector: points, mode: live}\n")


@dataclass(kw_only=True)
class World:
    """One company and its hub."""

    folder: Path
    url: str
    twins: Twins
    clock: LaterClock = field(default_factory=LaterClock)

    def calls(self) -> int:
        return sum(int(twin.counts()["calls"]) for twin in self.twins.values())

    def until_quiet(self) -> None:
        for _ in range(ROUNDS):
            hub = open_hub(self.folder, clock=self.clock, environ=dict(os.environ), url=self.url, publish=True)
            try:
                outcome = sync_now(hub, owner="test")
                assert [run.error for run in outcome.runs if run.error] == []
                with hub.store.reading() as tx:
                    states = {grant.state for grant in tx.grants(limit=10_000)}
                    waits = [*tx.open_intents(), *tx.count_behind()]
            finally:
                hub.store.close()
            written = sum(row["created"] + row["updated"] + row["rewards"] for row in outcome.rows)
            moving = states & {GrantState.RESERVED, GrantState.SENDING, GrantState.UNKNOWN}
            if not written and not waits and not moving:
                return
            self.clock.ahead_s += 0.0 if written else PATIENCE_S
        raise AssertionError(f"not quiet after {ROUNDS} syncs: {waits}, {moving}")

    def state(self) -> dict[str, Any]:
        """What both hubs must agree on: who was given what, by the ledger and by the provider, and who spent what."""
        hub = open_hub(self.folder, clock=self.clock, environ=dict(os.environ), url=self.url, connect=False)
        try:
            with hub.store.reading() as tx:
                grants = tx.grants(limit=10_000)
                rows = tx.entities_page("contact", limit=10_000)
                budgets = [(row.budget, row.reserved_minor, row.spent_minor) for row in tx.budgets()]
        finally:
            hub.store.close()
        cards = [row["fields"] for row in self.twins["plum"].snapshot("orders").values()]
        references = [card["poNumber"] for card in cards]
        issued = [grant for grant in grants if grant.state == GrantState.ISSUED]
        assert sorted(each.reference for each in issued if each.connection == "plum") == sorted(references)
        for name, stream in (("shopify", "discounts"), ("stripe", "promotion_codes")):
            codes = [row["fields"]["code"] for row in self.twins[name].snapshot(stream).values()]
            assert len(set(codes)) == len(codes) == sum(each.connection == name for each in issued)
        return {
            "grants": Counter((grant.rule, grant.state, grant.recipient["email"].lower()) for grant in grants),
            "cards": Counter(str(card["email"]).lower() for card in cards),
            "spent": {row.values.get("email"): row.values.get("lifetime_value") for row in rows},
            "budgets": sorted(budgets),
        }


@contextmanager
def world(folder: Path, url: str) -> Iterator[World]:
    """The company as it is before the first sync, and the hub after it: what was there already pays nothing."""
    with vendors(SEED, PEOPLE) as (twins, _):
        write_project(folder, {name: twin.base_url for name, twin in twins.items()}, public_url="http://127.0.0.1:1")
        give_more(folder)
        made = World(folder=folder, url=url, twins=twins)
        made.until_quiet()
        assert not twins["plum"].snapshot("orders")
        for twin in twins.values():
            twin.set_faults(latency_s=LATENCY_S)
        yield made


def afternoon(twins: Twins, number: int) -> None:
    """Some people order much, others little; the same people in every world."""
    shop = twins["shopify"]
    customers = sorted(each for each, row in shop.snapshot("customers").items() if row["fields"].get("email"))
    for place in range(2 * ORDERS):
        customer = customers[(number * ORDERS + place) % len(customers)]
        total = BIG if place < ORDERS else SMALL
        order = shop.user_create("orders", {"customer": customer, "total": total, "currency": "EUR"})
        shop.user_action("pay_order", order=order)


def kill_once(hit: World, forks: Forks, rng: random.Random) -> bool:
    """Kill a sync after so many calls have reached the vendors; False if it was over before."""
    goal = hit.calls() + rng.randint(1, MOST_CALLS)
    pid = forks.sync(hit.folder, hit.url, hit.clock.ahead_s)
    while not forks.is_over() and hit.calls() < goal:
        time.sleep(POLL_S)
    time.sleep(rng.uniform(0.0, 0.07))
    if not forks.is_over():
        os.kill(pid, signal.SIGKILL)
    return forks.wait() == -signal.SIGKILL


@pytest.mark.timeout(3600)
def test_every_grant_is_one_order_wherever_the_hub_dies(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    kills, rng, killed = max(1, request.config.getoption("--kills") // 2), random.Random(migrated_url[:6]), 0
    calm_url = f"sqlite:///{tmp_path / 'calm.db'}"
    with world(tmp_path / "calm", calm_url) as calm, world(tmp_path / "hit", migrated_url) as hit, Forks() as forks:
        number = 0
        while killed < kills:
            for each in (calm, hit):
                afternoon(each.twins, number)
            for _ in range(KILLS_AT_ONCE):
                killed += kill_once(hit, forks, rng)
            calm.until_quiet()
            hit.until_quiet()
            assert hit.state() == calm.state()
            number += 1
        assert calm.state()["cards"].total() >= ORDERS  # there was something to give
