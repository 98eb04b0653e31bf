"""Promotion codes as rewards: made of a coupon of that very amount, good for one use, switched off when taken back."""

from __future__ import annotations

from functools import partial
from typing import Any

from connectors.stripe.api import ID, StripeApi, call
from connectors.stripe.codes import minor_of
from connectors.stripe.reading import find, record_of
from hub.errors import HubError, NotFound, RecordRejected
from hub.kit.pushing import made_before
from hub.model import ChangeSet, PushResult

PATH = "/v1/promotion_codes"
EXPAND = ["promotion.coupon"]
SHORT = 40  # characters of a coupon's name (API reference, "Create a coupon")


def give(api: StripeApi, index: int, change: ChangeSet) -> list[PushResult]:
    """Make a code, or switch one off. A refused code is looked for first: an earlier attempt may have made it."""
    if change.op == "delete":
        return [_switched_off(api, index, change)]
    if change.op != "create":
        raise RecordRejected(f"promotion_codes: no {change.op}", code="STRIPE-OP")
    if not change.reference or not change.idempotency_key or not change.body.get("code"):
        raise RecordRejected("a code needs the hub's id, a key and its own letters", code="STRIPE-NO-REFERENCE")
    code = str(change.body["code"])
    _require_coupon(api, change)
    try:
        row = call(api, "post", PATH, "create", _form(api, change, code), key=change.idempotency_key, writes=True)
    except RecordRejected as refusal:
        api.coupons.pop(str(change.body["productId"]), None)  # it may be gone
        look = partial(find, api, "promotion_codes", "code", code)
        there = made_before(look, index, refusal.code, where=api.door.account)
        if not there:
            raise
        return there
    held = record_of(api, row)
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def _form(api: StripeApi, change: ChangeSet, code: str) -> dict[str, Any]:
    return {
        "promotion": {"type": "coupon", "coupon": str(change.body["productId"])},
        "code": code,
        "max_redemptions": int(change.body.get("quantity") or 1),
        "metadata": {api.marker: change.reference},
        "expand": EXPAND,
    }


def _require_coupon(api: StripeApi, change: ChangeSet) -> None:
    """The coupon takes off exactly that much; one that is not there is made. Raises RecordRejected."""
    name, currency = str(change.body["productId"]), str(change.body.get("currencyCode") or "").upper()
    if not ID.fullmatch(name):
        raise RecordRejected("no id of a coupon", code="STRIPE-COUPON", fix="letters, digits, - and _")
    try:
        wanted = (minor_of(str(change.body["denomination"]), currency), currency)
    except (ValueError, HubError):
        raise RecordRejected("no amount of that currency", code="STRIPE-COUPON", field="currencyCode") from None
    found = api.coupons.get(name) or _coupon(api, name, wanted)
    if found != wanted:
        fix = "name another coupon in `product:`; one that is not there is made"
        raise RecordRejected(f"coupon {name} takes off something else", code="STRIPE-COUPON", fix=fix)
    api.coupons[name] = found


def _coupon(api: StripeApi, name: str, wanted: tuple[int, str]) -> tuple[int, str]:
    try:
        row = call(api, "get", f"/v1/coupons/{name}", "fetch")
    except NotFound:
        form = {
            "id": name, "amount_off": wanted[0], "currency": wanted[1].lower(), "duration": "once",
            "name": name[:SHORT],
        }  # fmt: skip
        try:
            row = call(api, "post", "/v1/coupons", "create", form, writes=True)
        except RecordRejected as refusal:
            if refusal.code != "resource_already_exists":
                raise
            row = call(api, "get", f"/v1/coupons/{name}", "fetch")
    return (int(row.get("amount_off") or 0), str(row.get("currency") or "").upper())


def _switched_off(api: StripeApi, index: int, change: ChangeSet) -> PushResult:
    """Asked twice is asked once. Raises RecordRejected for a code that was used: it took its effect."""
    external_id = change.external_id or ""
    if not ID.fullmatch(external_id):
        raise RecordRejected("no id of a promotion code", code="STRIPE-ID")
    form = {"active": "false", "expand": EXPAND}
    row = call(api, "post", f"{PATH}/{external_id}", "update", form, writes=True)
    if row.get("times_redeemed"):
        raise RecordRejected("the code was used already", code="STRIPE-USED")
    held = record_of(api, row)
    return PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)
