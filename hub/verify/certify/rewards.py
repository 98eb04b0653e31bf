"""Rewards: what a provider offers can be ordered under our number, once, and what becomes of an order is told."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from hub.connector import Idempotency, Stream
from hub.core.rewards import order_differences
from hub.kit.contract import NotShown, read_all, records_of
from hub.verify.certify import hands
from hub.verify.certify.giving import ORDER, offered, order
from hub.verify.certify.reading import SECRET, URL, events_told, full
from hub.verify.certify.stand import Stand
from hub.verify.certify.writing import push

GOODS = "goods"  # of `Stream.gives`
NOBODY_OFFERS = "000000"


def orders_stream(stand: Stand, stream: str) -> Stream:
    """The stream's facts. Raises NotShown if nothing is ordered here."""
    facts = stand.connector.stream(stream)
    if facts.gives != ORDER:
        raise NotShown("no rewards are ordered here")
    return facts


def check_offer(stand: Stand, stream: str) -> str:
    """What is offered names what a rule must: the product, and its amounts where they are not free."""
    if stand.connector.stream(stream).gives != GOODS:
        raise NotShown("nothing is offered here")
    found = offered(stand)
    assert found, "nothing is offered"
    priced = [each for each in found if each.get("denominations") or each.get("least") or each.get("most")]
    assert len(priced) == len(found), f"{len(found) - len(priced)} products have neither amounts nor bounds"
    assert all(each.get("currency") for each in found), "an amount without a currency"
    return f"{len(found)} products, all with amounts and currency"


def check_balance(stand: Stand) -> str:
    """The money that is left there is told, and an order takes of it."""
    before = _balance(stand)
    stream = next(each.name for each in stand.connector.streams if each.gives == ORDER)
    placed = push(stand, stream, [order(stand, 1)])
    assert placed[0].outcome == "applied", f"{placed[0].outcome}: {placed[0].code} {placed[0].message}"
    left = _balance(stand)
    assert left < before, f"an order was placed, and {left} are left of {before}"
    return f"{before} before an order, {left} after it"


def _balance(stand: Stand) -> Decimal:
    told = stand.connector.check(stand.api).get("balance")
    if not isinstance(told, dict):
        raise NotShown("the vendor keeps no prepaid balance that it tells")
    assert told.get("currency"), "a balance without a currency"
    try:
        return Decimal(str(told["value"]))
    except InvalidOperation:
        raise AssertionError("a balance that is no number") from None


def check_repeated(stand: Stand, stream: str) -> str:
    """The same number again is the same order: nobody is given anything twice."""
    facts = orders_stream(stand, stream)
    if facts.idempotency is not Idempotency.UNIQUE_REFERENCE:
        raise NotShown("the vendor takes a number twice: the ledger never sends one again by itself")
    born = order(stand, 1)
    (first,) = push(stand, stream, [born])
    (again,) = push(stand.restarted(), stream, [born])
    assert first.external_id, "an order without an id"
    found = {again.external_id, again.existing_id, again.held.external_id if again.held else None} - {None}
    assert again.outcome in ("applied", "duplicate"), f"the same order again: {again.outcome} {again.code}"
    assert found == {first.external_id}, "the same number again is another order"
    assert again.held is None or not order_differences(born.body, again.held.data), "it is not the order that was sent"
    return again.outcome


def check_unfilled(stand: Stand, stream: str) -> str:
    """What cannot be ordered is refused alone, costs nothing, and leaves no order."""
    facts = orders_stream(stand, stream)
    good, bad = order(stand, 1), order(stand, 2, product=NOBODY_OFFERS)
    changes = [good, bad, order(stand, 3)] if facts.max_batch >= 3 else [bad]
    results = push(stand, stream, changes)
    fate = [each.outcome for each in results]
    assert fate == ["applied" if each is not bad else "rejected" for each in changes], f"three orders were {fate}"
    refused = results[changes.index(bad)]
    assert refused.code, "refused without a code"
    if facts.cursor != "none":
        stand.advance(2 * facts.lag_s)
        marks = {data.get(facts.marker or "") for data in full(stand, stream).values()}
        assert bad.reference not in marks, "a refused order is there"
        assert good.reference in marks, "an order that was placed is not listed"
    return f"{fate.count('applied')} placed, 1 {refused.code}"


def check_followed(stand: Stand, stream: str) -> str:
    """What becomes of an order is told: by the next read, and by webhook where the vendor sends any."""
    facts = orders_stream(stand, stream)
    if facts.cursor == "none":
        raise NotShown("orders are listed nowhere; what becomes of one only webhooks tell")
    stand.twin.set_webhook(URL, SECRET)
    known, cursor = full(stand, stream), read_all(stand.restarted(), stream)[-1].next_cursor
    record_id = hands.edit(stand, stream)
    stand.advance(2 * facts.lag_s)
    told = {each.external_id: dict(each.data) for each in records_of(read_all(stand.restarted(), stream, cursor))}
    assert told.get(record_id, known[record_id]) != known[record_id], "what became of the order is not read"
    ways = ["a read"]
    if stand.connector.parse is not None:
        named = {(event.stream, event.external_id) for event in events_told(stand)}
        assert (stream, record_id) in named, "webhooks, and none tells of it"
        ways.append("a webhook")
    return f"told by {' and '.join(ways)}"
