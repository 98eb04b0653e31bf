"""`hub verify rewards`: one order per grant and never over the budget, whatever happens (law L12, G3).

The issuing is the real one (hub.app.reward_orders, its moves, the step that core.rewards decides); the ledger is in
memory, so that there is time for tens of thousands of histories: grants that come or are taken back, people who turn
out to be one, several workers, processes that die or sleep anywhere, providers of every class that lose answers and let
orders land late, that give codes, and take back what was not used, and a ledger that is put back to a backup. The
provider's own book judges. The same laws over the whole engine and the real
store, with fewer histories: tests/properties/test_reward_laws.py.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from hub.app.context import Connection, Hub
from hub.app.restored import after_restore
from hub.app.reward_moves import locked, move, note
from hub.app.reward_orders import issue_due
from hub.app.reward_owing import leaves_out
from hub.app.transact import commit
from hub.connector import Settings
from hub.core.canonical import Canonical
from hub.core.planted import PLANTED
from hub.core.rewards import EVENT, GIVEN, HOLDING, Amount, Entry, Give, GrantState, Rewards, Rule
from hub.core.uplift import is_left_out
from hub.errors import HubError
from hub.model import Grant
from hub.runtime.clock import VirtualClock
from hub.verify.cards import CardProvider
from hub.verify.convergence import Report, Result, spread
from hub.verify.history import Crash
from hub.verify.ledger import Books, Ledger, LedgerTx
from hub.verify.planted import Fault

STEPS = 30
PRICE = 25
CENTS = 100
SETTLE_S = 1900.0  # longer than any wait of any class
BACKUP_WAIT_S = 300.0
DEEPEST = 2  # how deep others may run inside a call or commit
ENDS = frozenset(
    {
        GrantState.ISSUED, GrantState.REJECTED, GrantState.REVERSED, GrantState.REFUSED, GrantState.NEEDS_PERSON,
        GrantState.WAITING_APPROVAL,
    }
)  # fmt: skip
COUNTED = HOLDING | GIVEN
RULES = Rewards(
    rules={
        "thanks": Rule(
            name="thanks", text="Thanks, once for each.", on="order.paid", when=None, who="contact", once_per="ever",
            give=Give(connection="plum", product="5671", amount=Amount(minor=PRICE * CENTS, currency="EUR")),
            budget="thanks", active_from=0.0,
        )
    }
)  # fmt: skip

LOT = Decimal("0.3")  # share of people whom the rule leaves out, where it leaves out some

PLANTABLE = {
    "new_reference": Fault("every try has a reference of its own", "L12"),
    "blind_resend": Fault("what may have been ordered is ordered again", "L12"),
    "look_up_order_early": Fault("an order is looked up while it may still land", "L12"),
    "key_of_last_try": Fault("a key's life is counted from its last use", "L12"),
    "late_order": Fault("an order leaves however long its process slept", "L12"),
    "rejected_is_all": Fault("a refused repeat counts as if nothing had been ordered", "L12"),
    "given_twice": Fault("what a second name of a person was to get is ordered, too", "L12"),
    "freed_too_early": Fault("that an order is asked back counts as if it had been taken back", "L12"),
    "lot_forgotten": Fault("who is left out by lot gets what was owed to another name of theirs", "L12"),
    "no_doubt": Fault("a restored ledger believes that nothing was ordered since", "L12"),
}


class RewardHistory:
    """One seed: a provider, a budget, and what happens."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(f"rewards-{seed}")
        self.clock = VirtualClock()
        self.dead, self.depth, self.calm = False, 0, False
        self.crash_rate = self.draw.choice((0.0, 0.01, 0.03))
        self.nest_rate = self.draw.choice((0.0, 0.1, 0.3))
        self.restores = self.draw.random() < 0.2
        self.cap = self.draw.choice((50, 100, 200, 400)) * CENTS
        self.counts: Counter[str] = Counter()
        self.lines: list[str] = []
        self.owed = 0
        self.lost: set[int] = set()  # grants of which a restored ledger knows nothing
        self.backup: Books | None = None
        kind = self.draw.choice("ABCD")
        self.provider = CardProvider(
            kind, self.clock.now, rng=random.Random(f"provider-{seed}"), seam=self.seam,
            gives=self.draw.choice(("order", "code")), cancels=self.draw.random() < 0.5,
        )  # fmt: skip
        self.once = self.draw.random() < 0.3  # the rule gives once to each person, who may have several names
        self.lot = self.draw.random() < 0.3  # it leaves some people out
        self.provider.fault_rate = self.draw.choice((0.1, 0.4, 0.7))
        self.provider.latest_s = 90.0  # with the waits inside a call, below the life of a request
        self.ledger = Ledger(self.seam)
        self.hub = self.start()

    def start(self) -> Hub:
        """A new process on the ledger."""
        self.dead, self.depth = False, 0
        connector = self.provider.connector()
        plum = Connection(
            name="plum", connector=connector, api=None, settings=Settings(values={}, auth={}), mode="live",
            mappings={}, streams={stream.name: stream for stream in connector.streams},
        )  # fmt: skip
        canonical = Canonical(sources=(), entities={})
        return Hub(
            store=cast(Any, self.ledger), canonical=canonical, connections={"plum": plum}, clock=self.clock,
            instance="sim", rewards=self.rewards if self.once or self.lot else None,
        )  # fmt: skip

    @property
    def rewards(self) -> Rewards:
        rule = RULES.rules["thanks"]
        once, share = "ever" if self.once else EVENT, LOT if self.lot else Decimal(0)
        return replace(RULES, rules={rule.name: replace(rule, once_per=once, hold_out=share)})

    def names(self, books: Books, person: int) -> list[int]:
        """All names that somebody has by these books."""
        return [each for each in range(1, self.owed + 1) if books.root(each) == books.root(person)]

    def tell(self, line: str) -> None:
        self.lines.append(f"{self.clock.now() - 1_790_000_000.0:10.2f}  {line}")

    def seam(self, point: str) -> None:
        """Around every commit and call: the process may sleep or die, and others may run."""
        if self.calm:
            return
        if self.dead:
            raise Crash
        if point == "commit:after" and self.draw.random() < 0.1:
            self.clock.advance(self.draw.choice((1.0, 40.0, 400.0)) if not self.depth else 1.0)
        if self.draw.random() < self.crash_rate:
            self.dead = True
            self.tell(f"crash at {point}")
            raise Crash
        lets_in = point in ("begin", "call:before", "call:after") and self.depth < DEEPEST
        if lets_in and self.draw.random() < self.nest_rate:
            self.depth += 1
            try:
                self.act()
            finally:
                self.depth -= 1

    # What happens

    def act(self) -> None:
        luck = self.draw.random()
        if luck < 0.35:
            self.owe()
        elif luck < 0.45:
            self.take_back()
        elif luck < 0.5:
            self.meet()
        else:
            issue_due(self.hub, "plum", run_id=None)

    def owe(self) -> None:
        """Somebody has earned a card: one grant, if the budget allows it."""
        number = self.draw.randrange(1, self.owed + 2)
        self.owed = max(self.owed, number)

        def grant(tx: LedgerTx) -> bool:
            row = Grant(
                id=number, key=f"event {number}", rule="thanks", subject_id=number, event_id=number, connection="plum",
                product="5671", amount=str(PRICE), currency="EUR", budget="thanks@ever", reference=f"sim-{number}-",
                state=GrantState.RESERVED, recipient={"email": f"p{number}@example.com"}, not_before=0.0,
                created_at=self.clock.now(),
            )  # fmt: skip
            known = any(each.key == row.key for each in tx.grants(limit=10_000))
            left_out = leaves_out(cast(Any, tx), self.rewards.rules["thanks"], self.names(self.ledger.books, number))
            if known or left_out or number in self.lost or not tx.reserve("thanks", "ever", PRICE * CENTS, self.cap):
                return False
            tx.add_grant_entry(number, Entry.RESERVED, row.amount, self.clock.now())
            return tx.add_grant(row)

        if commit(self.hub, cast(Any, grant)):
            self.tell(f"grant {number} is owed")
            self.counts["owed"] += 1

    def meet(self) -> None:
        """Two people turn out to be one; or somebody uses what he was given; or a person decides about what waits."""
        luck, books = self.draw.random(), self.ledger.books
        if any(grant.state == GrantState.WAITING_APPROVAL for grant in books.grants.values()) and luck < 0.5:
            self.decide()
        elif luck < 0.6 and (self.once or self.lot) and self.owed > 1:
            one, other = sorted(self.draw.sample(range(1, self.owed + 1), 2))
            books.roots[books.root(other)] = books.root(one)
            self.counts["merged"] += 1
        elif self.provider.book:
            order = self.draw.choice(self.provider.book)
            order.used = order.used or order.on

    def decide(self) -> None:
        """A person lets go, or declines, what waits because somebody has it already."""
        held = [grant.id for grant in self.ledger.books.grants.values() if grant.state == GrantState.WAITING_APPROVAL]
        if not held:
            return
        number, yes = self.draw.choice(sorted(held)), self.draw.random() < 0.5

        def settle(tx: Any) -> None:
            grant, now = locked(tx, number), self.clock.now()
            if grant.state == GrantState.WAITING_APPROVAL:
                to, entry = (GrantState.RESERVED, Entry.APPROVED) if yes else (GrantState.REJECTED, Entry.DECLINED)
                move(tx, grant, to, entry, at=now)

        commit(self.hub, settle)
        self.counts["decided by a person"] += 1

    def take_back(self) -> None:
        """A refund: what is not under way is taken back, what was ordered is asked back where that can be."""
        open_ = COUNTED if self.provider.cancels else HOLDING
        waiting = [grant for grant in self.ledger.books.grants.values() if grant.state in open_]
        if not waiting:
            return
        number = self.draw.choice(sorted(grant.id for grant in waiting))

        def back(tx: Any) -> None:
            grant, now = locked(tx, number), self.clock.now()
            if grant.state in (GrantState.RESERVED, GrantState.WAITING_APPROVAL):
                move(tx, grant, GrantState.REVERSED, Entry.REVERSAL, at=now, detail="refunded")
            elif grant.state == GrantState.ISSUED and self.provider.cancels:
                move(tx, grant, GrantState.CANCELLING, Entry.REVERSAL, at=now, detail="refunded")
            elif grant.state in HOLDING:
                note(tx, grant, Entry.REVERSAL, at=now, detail="refunded")

        commit(self.hub, back)
        self.counts["taken back"] += 1

    def restore(self) -> None:
        """The ledger is put back; what was granted since is granted to nobody again."""
        assert self.backup is not None
        self.clock.advance(BACKUP_WAIT_S)
        self.provider.land()
        self.lost |= self.ledger.books.grants.keys() - self.backup.grants.keys()
        self.ledger.books, self.backup = self.backup, None
        self.tell("the ledger is put back to its backup")
        self.counts["store restored"] += 1
        done = False
        while not done:  # an admin whose command died gives it again
            self.hub = self.start()
            self.depth = DEEPEST  # the hub is stopped meanwhile: nobody else runs
            with suppress(Crash):
                done = bool(after_restore(self.hub, by="sim"))
        self.depth = 0

    def attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except HubError as error:
            self.counts[f"rewards:{type(error).__name__}"] += 1
        except Crash:
            self.counts["crash"] += 1
            self.hub = self.start()

    def run(self) -> list[str]:
        """Chaos, then calm; the laws all along."""
        for step in range(STEPS):
            self.clock.advance(self.draw.choice((0.1, 1.0, 10.0, 100.0, 100.0, 2000.0)))
            if self.restores and step == STEPS // 3:
                self.backup = self.ledger.copy()
            if self.backup is not None and step == 2 * STEPS // 3:
                self.attempt(self.restore)
            before = self.ledger.copy() if self.once or self.lot else None
            self.attempt(self.act)
            if broken := self.check() + (self._twice(before) + self._drawn(before) if before is not None else []):
                return broken
        self.calm, self.provider.fault_rate = True, 0.0
        for _ in range(12):
            self.clock.advance(SETTLE_S)
            issue_due(self.hub, "plum", run_id=None)
        return self.check() or self.check_end()

    # Laws

    def check(self) -> list[str]:
        """One order per grant, and what is set aside and spent is within the budget and what the grants say."""
        books, placed = self.ledger.books, Counter(self._grant_of(order.reference) for order in self.provider.book)
        broken = [f"L12 {count} orders of grant {each}" for each, count in placed.items() if count > 1]
        held = sum(PRICE for grant in books.grants.values() if grant.state in HOLDING) * CENTS
        spent = sum(PRICE for grant in books.grants.values() if grant.state in GIVEN) * CENTS
        if (held, spent) != (books.reserved, books.spent) or held + spent > self.cap:
            broken.append(
                f"L12 the ledger says {held} + {spent} of {self.cap}, the budget {books.reserved} + {books.spent}"
            )
        on = {self._grant_of(order.reference) for order in self.provider.book if order.on}
        known = [each for each in on if each not in self.lost]
        if len(known) * PRICE * CENTS > self.cap:
            broken.append(f"L12 {len(known)} orders of {PRICE}, the budget is {self.cap / CENTS:.0f}")
        for grant in books.grants.values():
            if grant.id in on and grant.state in (GrantState.REFUSED, GrantState.REVERSED, GrantState.REJECTED):
                broken.append(f"L12 grant {grant.id} is {grant.state}, and there is an order of it")
        used = {self._grant_of(order.reference) for order in self.provider.book if order.used}
        broken += [f"L12 grant {each} was taken back, and is used" for each in used - on]
        return broken

    def check_end(self) -> list[str]:
        """Nothing is in the air; where the provider can be asked, nobody is asked in vain."""
        grants = self.ledger.books.grants.values()
        broken = [f"L12 grant {grant.id} ends as {grant.state}" for grant in grants if grant.state not in ENDS]
        ordered = {self._grant_of(order.reference): order.id for order in self.provider.book}
        for grant in grants:
            if grant.state in GIVEN and grant.order_id != ordered.get(grant.id):
                broken.append(f"L12 grant {grant.id} is issued as {grant.order_id}, the book says {ordered}")
            if self.provider.kind in "AC" and grant.state == GrantState.NEEDS_PERSON:
                broken.append(f"L12 somebody is asked about grant {grant.id}, and the provider could be")
        return broken

    def _twice(self, before: Books) -> list[str]:
        """What was sent since `before` had nobody's older reward beside it, under any name, or a person let it go."""
        books, found = self.ledger.books, []
        for grant in self._sent_since(before) if self.once else ():
            person = before.root(grant.subject_id)
            for older in before.grants.values():
                counted = older.state in COUNTED and books.grants[older.id].state in COUNTED
                if older.id < grant.id and counted and before.root(older.subject_id) == person:
                    found.append(f"L12 grant {grant.id} is ordered, and its person has {older.id}")
        return found

    def _drawn(self, before: Books) -> list[str]:
        """What was sent since `before` went to nobody whom the lot had left out, under any name."""
        key, rule = LedgerTx(before).code_key(), self.rewards.rules["thanks"]
        return [
            f"L12 grant {grant.id} is ordered, and its person is left out by lot"
            for grant in (self._sent_since(before) if self.lot else ())
            if is_left_out(key, rule.name, self.names(before, grant.subject_id), rule.hold_out)
        ]

    def _sent_since(self, before: Books) -> list[Grant]:
        """Ordered by the hub, and not because a person let it go."""
        told, known = self.ledger.books.entries, before.entries
        return [
            grant
            for grant in self.ledger.books.grants.values()
            if Entry.SENT in told.get(grant.id, ())
            and Entry.SENT not in known.get(grant.id, ())
            and Entry.APPROVED not in told[grant.id]
        ]

    def _grant_of(self, reference: str) -> int:
        return int(reference.split("-")[1])


def run_rewards(seed: int) -> Result:
    """One reward history."""
    history = RewardHistory(seed)
    errors = history.run()
    counts = history.counts
    counts["orders"] += len(history.provider.book)
    counts["calls"] += sum(history.provider.calls.values())
    counts[f"class {history.provider.kind}"] += 1
    taken = (g for g in history.ledger.books.grants.values() if g.state == GrantState.REVERSED and g.order_id)
    counts["taken back by the provider"] += sum(1 for _ in taken)
    counts["codes"] += history.provider.gives == "code"
    counts["needs a person"] += sum(g.state == GrantState.NEEDS_PERSON for g in history.ledger.books.grants.values())
    return Result(seed, errors, history.lines[-20:] if errors else [], counts)


def _job(order: tuple[Sequence[int], tuple[str, ...]]) -> list[Result]:
    seeds, planted = order
    before = set(PLANTED)
    PLANTED.update(planted)
    try:
        return [run_rewards(seed) for seed in seeds]
    finally:
        PLANTED.intersection_update(before)


CHUNK = 100


def verify_rewards(
    seeds: Iterable[int],
    *,
    jobs: int = 2,
    planted: Sequence[str] = (),
    stop_at_first: bool = False,
    progress: Callable[[Result], None] | None = None,
) -> Report:
    """Run reward histories over all cores."""
    report, wanted = Report(), list(seeds)
    size = 1 if stop_at_first else CHUNK
    chunks = [(wanted[start : start + size], tuple(planted)) for start in range(0, len(wanted), size)]
    with spread(_job, chunks, jobs) as pages:
        for results in pages:
            for result in results:
                report.add(result)
                if progress is not None:
                    progress(result)
            if report.failures and stop_at_first:
                break
    report.failures.sort(key=lambda result: result.seed)
    return report
