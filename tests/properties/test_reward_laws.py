"""Law L12: at most one order per grant and one grant per rule, person and period; never more than the budget.

Seeded histories over the real hook, the real issuing and the real store: orders that arrive twice, edited and refunded,
two workers at once, processes that die before and after every commit and call, clocks that jump while a process sleeps,
providers of every class that lose answers, let orders land late and show them later still. The provider's own book of
orders judges; the inequality is asked at every step. Each planted fault must be caught.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from hub.app.reward_book import approve, list_rewards
from hub.app.reward_providers import Timing
from hub.app.scene import Scene
from hub.connector import Connector, Idempotency
from hub.core.rewards import GIVEN, HOLDING, MOVES, GrantState
from hub.errors import HubError
from hub.model import ChangeSet, Grant, Json, PushResult
from tests.reward_world import RULES, World, order_record

STEPS = 70
PEOPLE = ("ann", "bea", "cai")
PRICE = 25
OWED = HOLDING | GIVEN


class Crash(BaseException):
    """The end of a process. Not an Exception: nothing in the hub may catch it."""


class Broken(BaseException):
    """A law does not hold. Not an Exception, either."""


class History:
    """One seed: a world, what happens to it, and the laws."""

    def __init__(self, seed: int, fault: str = "") -> None:
        self.draw = random.Random(f"rewards-{seed}")
        self.fault = fault
        self.dead, self.depth, self.checking = False, 0, True
        self.moved = True  # something was committed or ordered since the laws were asked
        self.crash_rate = self.draw.choice((0.0, 0.01, 0.03))
        self.nest_rate = self.draw.choice((0.0, 0.1, 0.3))
        self.cap = self.draw.choice((50, 100, 200, 400))
        self.once_per = self.draw.choice(("event", "month", "ever"))  # all orders are of one month
        self.limit = self.draw.choice((None, 1, 2))
        self.known: dict[int, Grant] = {}
        self.read: list[tuple[list[Grant], int]] = []  # grants and money taken, as read before a page's transaction
        self.totals: dict[str, dict[str, Json]] = {}
        kind = "C" if fault in ("look_up_too_early", "blind_resend") else self.draw.choice("ABCD")
        self.world = World(rules=self._rules(), kind=kind, seam=self.seam)
        provider = self.world.provider
        provider.rng = random.Random(f"provider-{seed}")
        provider.fault_rate = self.draw.choice((0.1, 0.4, 0.7))
        provider.latest_s = 90.0  # with the waits inside a call, below the life of a request
        if not fault:
            shop = random.Random(f"shop-{seed}")
            provider.gives, provider.cancels = shop.choice(("order", "code")), shop.random() < 0.5
        self.timing = Timing()
        self.checking = False
        self.start()
        for name in PEOPLE:
            self.attempt(partial(self.world.customer, name))

    def _rules(self) -> str:
        text = RULES.replace("100 EUR, per: year", f"{self.cap} EUR, per: ever")
        text = text.replace("once_per: event", f"once_per: {self.once_per}")
        if self.limit:
            text += f"    limits: {{per_person: {{count: {self.limit}, per: ever}}}}\n"
        if self.draw.random() < 0.3:
            text += "    wait: 30m\n"
        return text + ("    approve_over: 10 EUR\n" if self.draw.random() < 0.2 else "")

    def start(self) -> None:
        """A new process on the store, with the planted fault in it."""
        self.dead, self.depth = False, 0
        self.world.hub = self.world.start()
        plant(self)

    # Seams

    def seam(self, point: str) -> None:
        """Around every commit and call: the process may sleep or die, and others may run."""
        if self.checking:
            return
        if self.dead:
            raise Crash
        if point in ("begin", "call:before"):
            self.check()
        else:
            self.moved = True
        if point == "commit:after" and self.draw.random() < 0.1:
            self.world.clock.advance(self.draw.choice((1.0, 40.0, 400.0)) if not self.depth else 1.0)
        if self.draw.random() < self.crash_rate:
            self.dead = True
            raise Crash
        if point in ("begin", "call:before", "call:after") and self.depth < 2 and self.draw.random() < self.nest_rate:
            self.depth += 1
            try:
                self.act()
                self.check()
            finally:
                self.depth -= 1

    # What happens

    def act(self) -> None:
        luck = self.draw.random()
        if luck < 0.45:
            self.order_arrives()
        elif luck < 0.9:
            self.world.issue(self.timing)
        elif luck < 0.92:
            self.people_turn_out_to_be_one()
        else:
            for row in list_rewards(self.world.hub, "waiting_approval", limit=1):
                approve(self.world.hub, row.id, "mia")

    def order_arrives(self) -> None:
        """New, again, edited or refunded; alone or with another."""
        records = []
        for _ in range(self.draw.choice((1, 1, 2))):
            name = f"o{self.draw.randrange(12)}"
            record = self.totals.get(name)
            if record is None:
                day = self.draw.choice(("2026-12-02", "2026-12-03", "2026-12-04"))
                total = self.draw.choice(("600", "600", "700", "100"))
                record = order_record(name, self.draw.choice(PEOPLE), total, paid_at=f"{day}T10:00:00Z")
            elif self.draw.random() < 0.3:
                change = self.draw.choice(
                    ({"total": "900"}, {"paid_at": None}, {"refunded_at": "2026-12-05T10:00:00Z"})
                )
                record = record | change
            self.totals[name] = record
            records.append(record)
        self.world.clock.advance(0.01)
        before = (self.world.grants(), sum(self.world.money())) if self.fault else ([], 0)  # trusted by planted faults
        self.read.append(before)
        try:
            self.world.take("shop", "orders", *{record["id"]: record for record in records}.values())
        finally:
            self.read.pop()

    def people_turn_out_to_be_one(self) -> None:
        """The newest contact becomes an alias of another; both keep what they were given."""
        with self.world.store.transaction() as tx:
            living = [each for each in tx.entities_page("contact") if each.alias_of is None]
            if len(living) > 1:
                living[-1].state, living[-1].alias_of = "alias", self.draw.choice(living[:-1]).id
                tx.update_entities(living[-1:])

    def attempt(self, act: Callable[[], object]) -> None:
        """One process's work; the outside world's errors end it, a crash ends the process."""
        try:
            act()
        except HubError:
            pass
        except Crash:
            self.start()

    def run(self) -> None:
        """Chaos, then calm; the laws all along, and what must be true at the end."""
        for _ in range(STEPS):
            self.world.clock.advance(self.draw.choice((0.1, 1.0, 10.0, 100.0, 100.0, 2000.0)))
            self.attempt(self.act)
            self.check()
        self.crash_rate = self.nest_rate = 0.0
        self.world.provider.fault_rate = 0.0
        for _ in range(12):
            self.world.clock.advance(1900.0)
            self.world.issue(self.timing)
            self.check()
        self.check_end()

    # Laws

    def check(self) -> None:
        if not self.moved:
            return
        self.checking = True
        try:
            with self.world.store.reading() as tx:
                grants, budgets = {grant.id: grant for grant in tx.grants()}, tx.budgets()
                roots = tx.roots({grant.subject_id for grant in grants.values()})
            self._one_order_each(grants)
            self._within_budget(grants, [(row.reserved_minor, row.spent_minor) for row in budgets])
            self._one_grant_each(grants, roots)
            self.known, self.moved = grants, False
        finally:
            self.checking = False

    def _one_order_each(self, grants: Mapping[int, Grant]) -> None:
        references = {grant.reference: grant for grant in grants.values()}
        placed = Counter(reference_in(references, order.reference) for order in self.world.provider.book)
        broken("orders of one grant", [each for each, count in placed.items() if count > 1])
        broken("orders of no grant", [each for each in placed if references[each].state == GrantState.REFUSED])

    def _within_budget(self, grants: Mapping[int, Grant], rows: Sequence[tuple[int, int]]) -> None:
        held = sum(PRICE for grant in grants.values() if grant.state in HOLDING)
        spent = sum(PRICE for grant in grants.values() if grant.state in GIVEN)
        ordered = sum(order.on for order in self.world.provider.book)
        if held + spent > self.cap or ordered * PRICE > self.cap:
            raise Broken(f"over budget: {held} + {spent} of {self.cap}, ordered {ordered}")
        if (sum(row[0] for row in rows), sum(row[1] for row in rows)) != (held * 100, spent * 100):
            raise Broken(f"the budget's row says {rows}, its grants {held}, {spent}")

    def _one_grant_each(self, grants: Mapping[int, Grant], roots: Mapping[int, int]) -> None:
        """Judged for what is new, by who is known to be whom now: people who become one may have one each."""
        owed = [grant for grant in grants.values() if grant.state != GrantState.REFUSED]
        for new in [grant for grant in owed if grant.id not in self.known]:
            theirs = [grant for grant in owed if roots[grant.subject_id] == roots[new.subject_id]]
            same = [grant for grant in theirs if self.once_per != "event" or grant.event_id == new.event_id]
            broken("grants of one person and period", [grant.id for grant in same if grant is not new])
            counted = [grant.id for grant in theirs if grant.state in OWED]
            broken("grants over a person's limit", counted[self.limit :] if self.limit else [])
        ends = [state for state, following in MOVES.items() if not following]
        moved = [old.id for old in self.known.values() if old.state in ends and grants[old.id].state != old.state]
        broken("ends that were left", moved)

    def check_end(self) -> None:
        """Nothing is in the air; the book and the ledger tell one story."""
        grants = self.world.grants()
        ends = OWED - {GrantState.RESERVED, GrantState.SENDING, GrantState.UNKNOWN, GrantState.CANCELLING}
        ends |= {GrantState.REJECTED, GrantState.REVERSED, GrantState.REFUSED}
        broken("grants without an end", [(grant.id, grant.state) for grant in grants if grant.state not in ends])
        references = {grant.reference: grant for grant in grants}
        book = self.world.provider.book
        ordered = {reference_in(references, order.reference): order.id for order in book}
        on = {reference_in(references, order.reference) for order in book if order.on}
        for grant in grants:
            has = grant.reference in on
            if grant.state == GrantState.ISSUED and grant.order_id != ordered.get(grant.reference):
                raise Broken(f"grant {grant.id} is issued as {grant.order_id}, the book says {ordered}")
            if has and grant.state not in (GrantState.ISSUED, GrantState.NEEDS_PERSON):
                raise Broken(f"grant {grant.id} is {grant.state}, and there is an order of it")
        if self.world.provider.kind in "AC":
            broken("people asked in vain", [grant.id for grant in grants if grant.state == GrantState.NEEDS_PERSON])


def reference_in(references: Mapping[str, Grant], told: str) -> str:
    """The grant's reference that an order's begins with."""
    found = next((each for each in references if told.startswith(each)), None)
    if found is None:
        raise Broken(f"an order with a reference of nobody: {told}")
    return found


def broken(what: str, cases: Sequence[object]) -> None:
    if cases:
        raise Broken(f"{what}: {cases}")


# Planted faults: each takes one mechanism away, from outside


class NaiveTx:
    """A transaction that trusts what was read before it began: check, then insert."""

    def __init__(self, tx: Any, grants: Sequence[Grant], held: int, *, keys: bool) -> None:
        self._tx, self._grants, self._held, self._keys = tx, grants, held, keys

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def grants(self, state: str | None = None, **asked: Any) -> list[Grant]:
        if not self._keys or not {"key", "event_id"} & asked.keys():
            found: list[Grant] = self._tx.grants(state, **asked)
            return found
        return [
            grant
            for grant in self._grants
            if all(getattr(grant, name) == asked[name] for name in asked if name != "limit")
        ]

    def add_grant(self, row: Grant) -> bool:
        if self._keys:
            row.key, row.reference = f"{row.key}-{row.id}", f"{row.reference}-{row.id}"
        return bool(self._tx.add_grant(row))

    def reserve(self, budget: str, period: str, amount_minor: int, cap: int) -> bool:
        if self._keys:
            return bool(self._tx.reserve(budget, period, amount_minor, cap))
        fits = self._held + amount_minor <= cap
        return fits and bool(self._tx.reserve(budget, period, amount_minor, 10**9))


def plant(history: History) -> None:
    """Put the history's fault into its hub."""
    world, fault = history.world, history.fault
    plum = world.hub.connections["plum"]
    if fault in ("check_then_insert", "sum_then_insert"):
        _read_too_early(history, keys=fault == "check_then_insert")
    elif fault == "new_reference":
        world.hub.connections["plum"] = replace(plum, connector=_with_new_references(plum.connector))
    elif fault == "look_up_too_early":
        history.timing = Timing(start_within_s=0.5, request_life_s=0.0)
        world.hub.connections["plum"] = replace(plum, streams={"orders": replace(plum.streams["orders"], lag_s=0.0)})
    elif fault == "blind_resend":
        stream = replace(plum.streams["orders"], idempotency=Idempotency.UNIQUE_REFERENCE)
        world.hub.connections["plum"] = replace(plum, streams={"orders": stream})
    else:
        assert not fault


def _read_too_early(history: History, *, keys: bool) -> None:
    """What exists is read before the page's transaction, and trusted in it."""
    honest = history.world.hub.on_changes

    def hook(scene: Scene, *, first_load: bool) -> Mapping[str, int]:
        assert honest is not None
        if history.read:
            scene.tx = NaiveTx(scene.tx, *history.read[-1], keys=keys)  # type: ignore[assignment]
        return honest(scene, first_load=first_load)

    history.world.hub.on_changes = hook


def _with_new_references(connector: Connector) -> Connector:
    tries: Counter[str] = Counter()
    honest = connector.push

    def push(api: Any, stream: str, changes: Sequence[ChangeSet]) -> Sequence[PushResult]:
        assert honest is not None
        (change,) = changes
        tries[change.reference] += 1
        return honest(api, stream, [replace(change, reference=f"{change.reference}-{tries[change.reference]}")])

    return replace(connector, push=push)


def judge(seed: int, fault: str = "") -> str:
    """What a seed breaks; empty if nothing."""
    history = History(seed, fault)
    try:
        history.run()
    except Broken as law:
        return str(law)
    finally:
        history.checking = True
        history.world.store.close()
    return ""


@pytest.mark.parametrize("part", range(4))
def test_one_reward_and_never_over_budget_whatever_happens(part: int) -> None:
    found = {seed: told for seed in range(part, 320, 4) if (told := judge(seed))}
    assert found == {}


@pytest.mark.parametrize(
    "fault", ["check_then_insert", "sum_then_insert", "new_reference", "look_up_too_early", "blind_resend"]
)
def test_a_planted_fault_is_caught(fault: str) -> None:
    assert any(judge(seed, fault) for seed in range(200))
