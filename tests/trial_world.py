"""Histories of the small company that a rule is tried on: orders, refunds, moves, merges, splits, first loads, time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from hub.app.identity import merge, unmerge
from hub.app.trigger_trial import Predicted
from hub.core.triggers import Decision, FiringState
from hub.errors import HubError
from hub.model import Firing
from tests.reward_world import START, World, order_record

HOUR = 3600.0
BEGIN = START - HOUR  # of the trial
NAMES = ("ann", "bob", "cy")
COUNTRIES = ("DE", "FR", "IT")
ZONES = ("Europe/Berlin", "America/Los_Angeles", "Asia/Tokyo", "nowhere")
TOTALS = ("300", "600")
KINDS = ("wait", "wait", "customer", *("order",) * 6, "nobody", "merge", "split", "join", "part", "listing")
Step = tuple[Any, ...]

PEOPLE = st.sampled_from(NAMES)
STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((1, 5, 30, 60))),
    st.tuples(st.just("customer"), PEOPLE, st.sampled_from(COUNTRIES), st.sampled_from(ZONES), st.booleans()),
    st.tuples(
        st.just("order"), st.integers(0, 7), PEOPLE, st.sampled_from(TOTALS), st.booleans(),
        st.sampled_from((False, False, False, True)), st.sampled_from((0, 0, 0, 3)),
    ),
    st.tuples(st.just("nobody"), st.integers(0, 7)),
    st.tuples(st.just("merge"), PEOPLE, PEOPLE),
    st.tuples(st.just("split"), PEOPLE),
    st.tuples(st.just("join"), st.integers(0, 7), st.integers(0, 7)),
    st.tuples(st.just("part"), st.integers(0, 7)),
    st.tuples(st.just("listing"), st.booleans()),
)  # fmt: skip


STEPS = st.lists(STEP, min_size=6, max_size=30)


def some_steps(seed: int, count: int = 40) -> list[Step]:
    """The same kind of history, without Hypothesis: for databases that are slow to make anew."""
    rng = random.Random(seed)
    found: list[Step] = []
    for _ in range(count):
        kind = rng.choice(KINDS)
        found.append(
            {
                "wait": lambda: ("wait", rng.choice((1, 5, 30))),
                "customer": lambda: (
                    "customer", rng.choice(NAMES), rng.choice(COUNTRIES), rng.choice(ZONES), rng.random() < 0.5
                ),
                "order": lambda: (
                    "order", rng.randrange(8), rng.choice(NAMES), rng.choice(TOTALS), rng.random() < 0.3,
                    rng.random() < 0.2, rng.choice((0, 0, 3)),
                ),
                "nobody": lambda: ("nobody", rng.randrange(8)),
                "merge": lambda: ("merge", rng.choice(NAMES), rng.choice(NAMES)),
                "split": lambda: ("split", rng.choice(NAMES)),
                "join": lambda: ("join", rng.randrange(8), rng.randrange(8)),
                "part": lambda: ("part", rng.randrange(8)),
                "listing": lambda: ("listing", rng.random() < 0.6),
            }[kind]()
        )  # fmt: skip
    return found


class Player:
    """Plays a history into a world.

    Args:
        turn: what its hub does after each step, and at every full hour; None: nothing, and time passes in leaps.
    """

    def __init__(self, world: World, turn: Callable[[], object] | None = None) -> None:
        self.world, self.hourly = world, turn is not None
        self.turn = turn or (lambda: None)
        self.ids: dict[str, int] = {}
        for name in NAMES:
            world.customer(name, timezone=ZONES[0])
            self.ids[name] = world.entity("contact", len(self.ids)).id
        self.turn()

    def play(self, steps: Sequence[Step]) -> None:
        for kind, *rest in steps:
            getattr(self, f"_{kind}")(*rest)
            self.turn()
        self._wait(30)  # whatever was put off is done

    def _now(self) -> str:
        return datetime.fromtimestamp(self.world.clock.now(), UTC).isoformat()

    def _wait(self, hours: int) -> None:
        for _ in range(hours if self.hourly else 1):
            self.world.clock.advance(HOUR if self.hourly else hours * HOUR)
            self.turn()

    def _customer(self, name: str, country: str, zone: str, known: bool) -> None:
        email = f"{name}@example.com" if known else None
        self.world.customer(name, country=country, timezone=zone, email=email)

    def _order(self, number: int, who: str, total: str, refunded: bool, loaded: bool, late: int) -> None:
        """Paid some hours ago, as the shop says; taken in now."""
        paid = datetime.fromtimestamp(self.world.clock.now() - late * HOUR, UTC).isoformat()
        back = self._now() if refunded else None
        self.world.order(f"o{number}", who, total, paid_at=paid, refunded_at=back, first_load=loaded)

    def _nobody(self, number: int) -> None:
        """An order whose buyer is not known yet, or not any more."""
        self.world.take("shop", "orders", order_record(f"o{number}", None, paid_at=self._now()))

    def _listing(self, done: bool) -> None:
        """Orders are listed again from their beginning, or that is done; what arrives meanwhile is history, too."""
        self.world.mark_listed(orders=done)

    def _join(self, one: int, other: int) -> None:
        """A person says that two orders are one."""
        ids = self._orders()
        if one in ids and other in ids:
            self._tried(lambda: merge(self.world.hub, f"order:{ids[one]}", f"order:{ids[other]}", by="eve"))

    def _part(self, one: int) -> None:
        if one in (ids := self._orders()):
            self._tried(lambda: unmerge(self.world.hub, f"order:{ids[one]}", by="eve", apart=False))

    def _orders(self) -> dict[int, int]:
        """Number -> entity of the orders that are known."""
        with self.world.store.reading() as tx:
            found = tx.entity_ids("shop", [("orders", f"o{number}") for number in range(8)])
        return {int(name[1:]): entity for (_, name), entity in found.items()}

    def _merge(self, one: str, other: str) -> None:
        self._tried(lambda: merge(self.world.hub, f"contact:{self.ids[one]}", f"contact:{self.ids[other]}", by="eve"))

    def _split(self, one: str) -> None:
        self._tried(lambda: unmerge(self.world.hub, f"contact:{self.ids[one]}", by="eve", apart=False))

    def _tried(self, act: Any) -> None:
        """What cannot be merged or split is left."""
        try:
            act()
        except HubError as error:
            assert error.code.startswith(("IDN-", "HUB-", "NOT-")), error.code  # noqa: PT017 - it may also succeed


def outcome_of(row: Predicted | Firing) -> tuple[Any, ...]:
    """What is to be the same: the cause, for whom, whether it was refused and by what, when it is done."""
    if isinstance(row, Predicted):
        done: Decision | Firing = row.decision
        cause, subject = row.cause.key, row.subject
    else:
        done, cause, subject = row, row.cause, row.subject_id
    state = FiringState(done.state)
    kind = state if state in (FiringState.REFUSED, FiringState.HELD) else FiringState.DONE
    reason = done.reason if kind == FiringState.REFUSED else ""
    return cause, subject, kind, reason, done.not_before, row.topic
