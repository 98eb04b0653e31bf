"""What a reward changed: people who got it beside people who would have and were left out by lot.

Both were chosen by the same rule, and a keyed hash decided who is who; so what differs between them afterwards, beyond
chance, the reward did. Without people who were left out nothing of the kind is said.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

Z = Decimal("1.959964")  # of the normal distribution: 95 % lie within so many deviations
EXACT = Decimal("0.0001")


def is_left_out(key: str, rule: str, names: Iterable[int], share: Decimal) -> bool:
    """Whether a person is left out of a rule, for good: whoever is so under one of their names is so after a merge.

    Args:
        key: the store's own secret, so that nobody finds out how to be in.
        names: all numbers that the person has or had.
        share: 0 to 1, of all people.
    """
    return bool(share) and any(is_held_out(key, rule, each, share) for each in names)


def is_held_out(key: str, rule: str, person: int, share: Decimal) -> bool:
    """Whether one name of somebody is drawn: it never changes."""
    digest = hmac.new(key.encode(), f"hold out {rule} {person}".encode(), hashlib.sha256).digest()
    return Decimal(int.from_bytes(digest[:8], "big")) < share * 2**64


@dataclass(slots=True, kw_only=True)
class Arm:
    """One of the two groups."""

    people: int = 0
    did: int = 0  # of them did it within the time
    times: int = 0  # how often, all together
    value: Decimal = Decimal(0)  # what it was worth, all together

    @property
    def share(self) -> Decimal:
        return Decimal(self.did) / self.people if self.people else Decimal(0)

    @property
    def per_person(self) -> Decimal:
        return self.value / self.people if self.people else Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplift:
    """The difference between the groups."""

    share: Decimal  # of people who did it: given less left out
    low: Decimal  # 95 % interval of it
    high: Decimal
    value: Decimal  # per person, given less left out


def uplift(given: Arm, left_out: Arm) -> Uplift | None:
    """None if one of the groups is empty.

    The interval of the difference of two shares p - q is the hybrid score interval (Newcombe 1998, Statistics in
    Medicine 17:873, method 10): with the score intervals (l, u) of p and (m, v) of q it reaches from
    p - q - sqrt((p - l)^2 + (v - q)^2) to p - q + sqrt((u - p)^2 + (q - m)^2).
    """
    if not given.people or not left_out.people:
        return None
    p, q = given.share, left_out.share
    (low_p, high_p), (low_q, high_q) = score_interval(p, given.people), score_interval(q, left_out.people)
    below = ((p - low_p) ** 2 + (high_q - q) ** 2).sqrt()
    above = ((high_p - p) ** 2 + (q - low_q) ** 2).sqrt()
    return Uplift(
        share=(p - q).quantize(EXACT), low=(p - q - below).quantize(EXACT), high=(p - q + above).quantize(EXACT),
        value=(given.per_person - left_out.per_person).quantize(EXACT),
    )  # fmt: skip


def score_interval(share: Decimal, people: int) -> tuple[Decimal, Decimal]:
    """Wilson's score interval of a share among so many."""
    square = Z * Z
    middle = share + square / (2 * people)
    reach = Z * (share * (1 - share) / people + square / (4 * people * people)).sqrt()
    whole = 1 + square / people
    return (middle - reach) / whole, (middle + reach) / whole


def return_of(found: Uplift | None, given: Arm, spent: Decimal) -> Decimal | None:
    """What came back for each unit that was spent, beyond it: 0.5 means that 1 brought 1.5. None: it cannot be told."""
    if found is None or not spent:
        return None
    return ((found.value * given.people - spent) / spent).quantize(EXACT)


def forecast(spent: Decimal, elapsed: Decimal) -> Decimal | None:
    """What a period's spending comes to at this pace; None before it has begun."""
    return (spent / min(elapsed, Decimal(1))).quantize(EXACT) if elapsed > 0 else None
