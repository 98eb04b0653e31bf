"""What is known of people, page by page: their fields and every event of theirs that stands, each once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from hub.app.context import Hub
from hub.core.canonical import Canonical
from hub.core.computed import AMOUNT, PURCHASE, REFUND, Derived, Facts, Happening
from hub.core.computed_file import PERSON
from hub.core.rewards import key_under
from hub.core.values import number_of
from hub.model import EventRow, Json
from hub.store import Tx

PAGE = 500
Values = Mapping[str, Json]
Look = Callable[[int], Values | None]  # root entity -> its values as they are being changed; None: as stored


def unchanged(_: int) -> None:
    """Nothing is being changed."""


def load_facts(
    tx: Tx, canonical: Canonical, derived: Derived, people: Mapping[int, Values], look: Look = unchanged
) -> dict[int, Facts]:
    """Root contact -> facts.

    Args:
        people: root contact -> its values now.
    """
    home = {each: root for root, group in tx.alias_closure(people).items() for each in group}
    rows = [row for row in tx.events(entity_ids=home, subject_ids=home) if row.withdrawn_at is None]
    roots = tx.roots({row.entity_id for row in rows}) if rows else {}
    once: dict[str, EventRow] = {}
    for row in rows:
        once.setdefault(key_under(row, roots.get(row.entity_id, row.entity_id)), row)
    refunded = {roots[row.entity_id] for row in rows if row.name == REFUND}
    amounts = _amounts(tx, canonical, derived, {roots[row.entity_id] for row in rows if row.name == PURCHASE}, look)
    found: dict[int, list[Happening]] = defaultdict(list)
    for key, row in once.items():
        owner = home.get(row.subject_id if row.subject_id is not None else row.entity_id)
        if owner is None:
            continue
        record = roots[row.entity_id]
        counts = row.name == PURCHASE and record not in refunded
        amount = amounts.get(record) if counts else None
        found[owner].append(Happening(name=row.name, at=row.at, key=key, amount=amount))
    return {
        root: Facts(values=values, events=tuple(sorted(found[root], key=lambda each: (each.at, each.key))))
        for root, values in people.items()
    }


def facts_of_all(hub: Hub, derived: Derived) -> Iterator[dict[int, Facts]]:
    """Facts of everybody, by pages."""
    after_id = 0
    while True:
        with hub.store.reading() as tx:
            rows = tx.entities_page(PERSON, after_id=after_id, limit=PAGE)
            facts = load_facts(
                tx, hub.canonical, derived, {row.id: row.values for row in rows if row.state == "live"}
            )  # fmt: skip
        yield facts
        if len(rows) < PAGE:
            return
        after_id = rows[-1].id


def _amounts(
    tx: Tx, canonical: Canonical, derived: Derived, orders: Iterable[int], look: Look
) -> dict[int, Decimal]:  # fmt: skip
    """Order -> what it comes to in the hub's currency; of one in another currency zero: it was bought, for nothing."""
    kind = canonical.entities[PURCHASE.partition(".")[0]].fields.get(AMOUNT) if orders else None
    held: dict[int, Values] = {each: row.values for each, row in tx.entities(orders).items()} if orders else {}
    return {
        each: Decimal(number_of(kind.type, (look(each) or values).get(AMOUNT), currency=derived.currency) or 0)
        for each, values in held.items()
        if kind is not None
    }
