"""Orders of rewards, as the ledger sends them (hub.app.reward_orders): no mapping writes them."""

from __future__ import annotations

from hub.core.mapping import to_canonical
from hub.core.rewards import GrantState, order_body
from hub.kit.contract import NotShown, read_all, records_of
from hub.model import ChangeSet, Grant, Json
from hub.verify.certify.stand import Stand

ORDER = "order"  # of `Stream.gives`
PERSON = {"email": "certify@example.com", "phone": "+491512345678", "name": "Certify Number"}


def offered(stand: Stand) -> list[dict[str, Json]]:
    """What can be ordered, in canonical terms, each with its `product`. Raises NotShown: nothing is listed."""
    goods = next((each.name for each in stand.connector.streams if each.gives != ORDER), "")
    mapping = next((each for each in stand.candidate.mappings if each.source == goods), None)
    if not goods or mapping is None:
        raise NotShown("nothing lists what can be ordered")
    records = [each for each in records_of(read_all(stand.restarted(), goods)) if each.op == "upsert"]
    return [{**to_canonical(mapping, each).values, "product": each.external_id} for each in records]


def order(stand: Stand, number: int, *, product: str = "") -> ChangeSet:
    """An order of the first thing that is offered, as the ledger sends it; `product`: of another."""
    goods = next(iter(offered(stand)), None)
    if goods is None:
        raise NotShown("nothing is offered")
    reference = f"certify-rwd-{number}"
    amount = str(next(iter(goods.get("denominations") or ()), goods.get("least") or "25"))
    grant = Grant(
        id=number, key=reference, rule="certify", subject_id=1, event_id=None, connection=stand.connector.name,
        product=product or str(goods["product"]), amount=amount, currency=str(goods.get("currency") or "EUR"),
        budget="", reference=reference, state=GrantState.SENDING, recipient=dict(PERSON), not_before=0.0,
    )  # fmt: skip
    told = {"amount": grant.amount, "currency": grant.currency, "name": PERSON["name"], "phone": PERSON["phone"]}
    return ChangeSet(
        link_id=0, entity_id=1, op="create", external_id=None, values=told, before={}, body=order_body(grant),
        reference=reference, idempotency_key=reference,
    )  # fmt: skip
