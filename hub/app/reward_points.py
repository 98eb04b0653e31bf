"""Points: what a person has, under all names that were merged into his, and what he uses of it.

What was granted is in the ledger of rewards; a use is a line of its own, kept once under its key. The story of two
tills that ask at once: each locks the person with all his names, then counts; the second counts what the first took.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.transact import commit
from hub.core.rewards import GIVEN, POINTS
from hub.errors import NeedsReview, NotFound
from hub.store import Tx

MOST = 1_000_000_000  # points of one use


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """What one person has."""

    entity: int  # who speaks for him after all merges
    earned: int
    used: int

    @property
    def left(self) -> int:
        return self.earned - self.used


def points_of(hub: Hub, entity_id: int) -> Dict:
    """{entity, earned, used, left, uses: [{text, points, at, by}]}. Raises NotFound."""
    with hub.store.reading() as tx:
        names = _names(tx, entity_id)
        found = _count(tx, names)
        uses = tx.point_uses(names)
    told = [{"points": use.points, "text": use.text, "by": use.by, "at": iso(use.at)} for use in uses]
    return {**asdict(found), "left": found.left, "uses": told}


def use_points(hub: Hub, entity_id: int, points: int, *, text: str, by: str, key: str = "") -> Dict:
    """A person uses points of his.

    Args:
        key: whoever may ask twice gives each use a key of its own; used once, it is one use.

    Raises:
        NotFound. NeedsReview RWD-POINTS: he has not as many, or that is no number of points.
    """
    if not 0 < points <= MOST:
        raise NeedsReview("that is no number of points", code="RWD-POINTS", where="points", fix="1 or more")

    def use(tx: Tx) -> Points:
        names = _names(tx, entity_id, lock=True)
        known = _count(tx, names)
        at = hub.clock.now()
        told = key or f"{by}/{names[0]}/{at!r}"
        if tx.has_point_use(told):
            return known
        if known.left < points:
            raise NeedsReview(
                f"the person has {known.left} points", code="RWD-POINTS", where=f"entity {names[0]}",
                fix=f"hub rewards points {names[0]}",
            )  # fmt: skip
        tx.add_point_use(key=told, subject_id=names[0], points=points, text=text, by=by, at=at)
        tx.audit(by, "reward.points", f"entity {names[0]}", known.left, known.left - points, at)
        return _count(tx, names)

    found = commit(hub, use)
    return {**asdict(found), "left": found.left}


def _names(tx: Tx, entity_id: int, *, lock: bool = False) -> list[int]:
    """The person and all that were merged into him; who speaks for him first. Raises NotFound."""
    while True:
        root = tx.roots([entity_id]).get(entity_id)
        if root is None:
            raise NotFound(f"there is no entity {entity_id}", where=f"entity {entity_id}")
        names = tx.alias_closure([root])[root]
        if not lock:
            return names
        held = tx.entities(names, lock=True)  # whoever merges two people locks both
        if held[root].alias_of is None and sorted(tx.alias_closure([root])[root]) == sorted(names):
            return names


def _count(tx: Tx, names: list[int]) -> Points:
    grants = [grant for name in names for grant in tx.grants(subject_id=name, limit=MOST)]
    earned = sum(int(grant.amount) for grant in grants if grant.currency == POINTS and grant.state in GIVEN)
    return Points(entity=names[0], earned=earned, used=sum(use.points for use in tx.point_uses(names)))
