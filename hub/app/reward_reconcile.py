"""The ledger held against a provider's own list of orders: what one of them has and the other has not.

Nothing is settled here. What is found is shown, and each row says what a person can do about it; only a look-up of the
grant itself (hub.app.reward_orders), or a person, moves a grant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from hub.app.context import Hub, connection_of
from hub.app.listings import Dict
from hub.app.reward_providers import CODE, Desk, desk_of
from hub.core.rewards import GIVEN, GrantState, code_of, order_body, order_differences
from hub.errors import NeedsReview
from hub.model import Grant, SourceRecord

PAGE = 500
PAGES_MOST = 10_000  # of a provider's list
OPEN = frozenset({GrantState.SENDING, GrantState.UNKNOWN, GrantState.NEEDS_PERSON})
NEVER = frozenset({GrantState.RESERVED, GrantState.WAITING_APPROVAL, GrantState.REJECTED, GrantState.REVERSED})

# kind of a row -> what it means and what to do
MEANS: Mapping[str, str] = {
    "missing": "the ledger has it as ordered, and the provider does not list it: ask the provider",
    "unsettled": "the order is there: hub rewards confirm",
    "unexpected": "the ledger says that nothing was ordered: take it back at the provider",
    "unknown": "an order of ours that the ledger does not know, made since a backup: take it back, or leave it given",
    "double": "two orders under one number: take one back at the provider",
    "differs": "it is another order than the one that is owed: ask the provider",
}


@dataclass(frozen=True, slots=True)
class Order:
    """One order of a provider's list that is ours."""

    mark: str  # our reference, or the code
    record: SourceRecord


def reconcile_orders(hub: Hub, name: str) -> Dict:
    """Read a provider's whole list of orders, and compare.

    Returns:
        {"connection", "listed": orders read, "ours": of them ours, "grants": compared, "rows": [{kind, grant, order,
        detail, means}]}

    Raises:
        NotFound. NeedsReview RWD-CONNECTION: it gives nothing, or has no list of what it gave. Errors of the connector.
    """
    connection = connection_of(hub, name)
    connection.require()
    desk = desk_of(hub, connection)
    if desk is None or desk.stream.marker is None or desk.stream.cursor == "none":
        raise NeedsReview("there is no list of what was ordered there", code="RWD-CONNECTION", where=name)
    grants = _grants(hub, name)
    marks = {_mark(desk, grant): grant for grant in grants}
    found: dict[str, list[Order]] = defaultdict(list)
    listed = _listed(desk)
    for record in listed:
        mark = _told(desk, record)
        if mark in marks or _is_ours(desk, record, mark):
            found[mark].append(Order(mark, record))
    ours = sum(len(orders) for orders in found.values())
    rows = [row for grant in grants for row in _about(desk, grant, found.pop(_mark(desk, grant), []))]
    rows += [_row("unknown", None, order.record) for orders in found.values() for order in orders]
    return {"connection": name, "listed": len(listed), "ours": ours, "grants": len(grants), "rows": rows}


def _grants(hub: Hub, name: str) -> list[Grant]:
    """Every grant for the connection, messages left out."""
    found: list[Grant] = []
    after_id = 0
    while True:
        with hub.store.reading() as tx:
            page = tx.grants(connection=name, limit=PAGE, after_id=after_id)
        found += [each for each in page if each.state != GrantState.REFUSED]
        if len(page) < PAGE:
            return found
        after_id = page[-1].id


def _listed(desk: Desk) -> list[SourceRecord]:
    connector, api = desk.connection.connector, desk.connection.api
    found: dict[str, SourceRecord] = {}
    cursor = None
    for _ in range(PAGES_MOST):
        page = connector.pull(api, desk.stream.name, cursor)
        found |= {record.external_id: record for record in page.records if record.op != "delete"}
        cursor = page.next_cursor
        if page.complete:
            break
    return list(found.values())


def _mark(desk: Desk, grant: Grant) -> str:
    return code_of(desk.code_key, grant.reference) if desk.stream.gives == CODE else grant.reference


def _told(desk: Desk, record: SourceRecord) -> str:
    return str(record.data.get(desk.stream.marker or "") or "")


def _is_ours(desk: Desk, record: SourceRecord, mark: str) -> bool:
    """By a reference that this hub put on it; a code tells nobody whose it is."""
    return (record.marker or mark).startswith(f"{desk.hub.instance}-rwd-")


def _about(desk: Desk, grant: Grant, orders: list[Order]) -> list[Dict]:
    """What is to be said of one grant and the orders under its number."""
    if not orders:
        return [_row("missing", grant, None)] if grant.state in GIVEN else []
    if len(orders) > 1:
        return [_row("double", grant, order.record) for order in orders]
    record = orders[0].record
    code = orders[0].mark if desk.stream.gives == CODE else ""
    wrong = order_differences(order_body(grant, code), {k: v for k, v in record.data.items() if v is not None})
    if wrong:
        return [_row("differs", grant, record, f"in {', '.join(wrong)}")]
    if grant.state in OPEN:
        return [_row("unsettled", grant, record)]
    switched_off = record.data.get("active") is False or record.data.get("enabled") is False
    return [_row("unexpected", grant, record)] if grant.state in NEVER and not switched_off else []


def _row(kind: str, grant: Grant | None, record: SourceRecord | None, detail: str = "") -> Dict:
    return {
        "kind": kind, "grant": grant.id if grant is not None else None,
        "state": str(grant.state) if grant is not None else "",
        "order": record.external_id if record is not None else (grant.order_id if grant is not None else None),
        "detail": detail, "means": MEANS[kind],
    }  # fmt: skip
