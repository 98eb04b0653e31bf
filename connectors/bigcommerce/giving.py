"""Coupons as rewards: an amount off the whole order, good for one use, switched off when taken back.

A code is taken once in a store, for ever, so a coupon that is refused is looked for by its code. Coupons of this kind
are in the store's own currency.
"""

from __future__ import annotations

from functools import partial

from connectors.bigcommerce.api import BigCommerceApi, Refused, ask, write
from connectors.bigcommerce.reading import ID, coupon_of, find
from hub.errors import OutcomeUnknown, RecordRejected
from hub.kit.pushing import made_before
from hub.model import ChangeSet, Json, PushResult, SourceRecord

EVERYTHING = {"entity": "categories", "ids": [0]}  # all of the shop (coupons v2, "applies_to")


def give(api: BigCommerceApi, index: int, change: ChangeSet) -> list[PushResult]:
    """Make a coupon, or switch one off. Raises RecordRejected, OutcomeUnknown and other hub errors."""
    if change.op == "delete":
        return [_switched_off(api, index, change)]
    if change.op != "create" or not change.reference or not change.body.get("code"):
        raise RecordRejected("a coupon needs the hub's id and a code", code="BIGCOMMERCE-OP")
    code, currency = str(change.body["code"]), str(change.body.get("currencyCode") or "")
    if currency != store_currency(api):
        raise RecordRejected(f"coupons of this store are in {store_currency(api)}", code="BIGCOMMERCE-CURRENCY")
    body = {
        "name": f"{change.body.get('productId') or 'Reward'} {code}", "code": code, "type": "per_total_discount",
        "amount": str(change.body["denomination"]), "enabled": True, "applies_to": EVERYTHING,
        "max_uses": int(change.body.get("quantity") or 1),
    }  # fmt: skip
    try:
        held = _coupon(api, write(api, "POST", "/v2/coupons", "coupon", body).json())
    except Refused as refusal:
        look = partial(find, api, "coupons", "code", code)
        there = made_before(look, index, refusal.code, where=f"{api.door.account}/coupons")
        if not there:  # the vendor's words may quote the code
            raise RecordRejected(f"the coupon was refused with {refusal.status}", code=refusal.code) from None
        return there
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def store_currency(api: BigCommerceApi) -> str:
    """Asked for once."""
    if not api.currency:
        api.currency = str(ask(api, "/v2/store", "check").json().get("currency") or "")
    return api.currency


def _coupon(api: BigCommerceApi, row: Json) -> SourceRecord:
    if not isinstance(row, dict) or not row.get("id"):
        raise OutcomeUnknown("the answer names no coupon", where=f"{api.door.account}/coupons")
    return coupon_of(row)


def _switched_off(api: BigCommerceApi, index: int, change: ChangeSet) -> PushResult:
    """Asked twice is asked once. Raises RecordRejected for a coupon that was used: it took its effect."""
    if not ID.fullmatch(change.external_id or ""):
        raise RecordRejected("no id of a coupon", code="BIGCOMMERCE-ID")
    held = _coupon(api, write(api, "PUT", f"/v2/coupons/{change.external_id}", "coupon", {"enabled": False}).json())
    if held.data.get("num_uses"):
        raise RecordRejected("the coupon was used already", code="BIGCOMMERCE-USED")
    return PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)
