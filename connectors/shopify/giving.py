"""Discount codes as rewards: an amount off the whole order, good for one use, ended when taken back.

A code is taken once in a shop, so one that is refused is looked for. How often a code was used shows late; a code that
was ended counts as unused only once every use before must have shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from connectors.shopify.api import MUTATION_COST, ShopifyApi, ask, code_of
from connectors.shopify.reading import find, gid, record_of
from hub.errors import OutcomeUnknown, RecordRejected, RetryLater
from hub.kit.pushing import made_before
from hub.kit.reading import parse_time, to_iso
from hub.model import ChangeSet, Json, PushResult, SourceRecord

STREAM = "discounts"
COUNTED_S = 900.0  # how late a use may show (asyncUsageCount is "asynchronous"; no figure is told, so this is ours)


def give(api: ShopifyApi, index: int, change: ChangeSet) -> list[PushResult]:
    """Make a code, or end one. Raises RecordRejected, OutcomeUnknown, RetryLater and other hub errors."""
    if change.op == "delete":
        return [_ended(api, index, change)]
    if change.op != "create" or not change.reference or not change.body.get("code"):
        raise RecordRejected("a discount needs the hub's id and a code", code="SHOPIFY-OP")
    code, currency = str(change.body["code"]), str(change.body.get("currencyCode") or "")
    if currency != _shop_currency(api):
        raise RecordRejected(f"discounts of this shop are in {_shop_currency(api)}", code="SHOPIFY-CURRENCY")
    told, held = _mutate(
        api, "discountCodeBasicCreate", "basicCodeDiscount", "DiscountCodeBasicInput!", _input(api, change, code)
    )
    if not told and held is not None:
        return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]
    there = made_before(partial(find, api, STREAM, "code", code), index, told, where=api.door.account)
    if not there:
        raise RecordRejected("the discount was refused", code=told or "USER_ERROR", where=api.door.account)
    return there


def _shop_currency(api: ShopifyApi) -> str:
    """Asked for once."""
    if not api.currency:
        shop = ask(api, "query Shop { shop { currencyCode } }", {}, operation="check", cost=1).data["shop"]
        api.currency = str(shop["currencyCode"])
    return api.currency


def _input(api: ShopifyApi, change: ChangeSet, code: str) -> dict[str, Json]:
    return {
        "title": str(change.body.get("productId") or "Reward"),
        "code": code,
        "startsAt": to_iso(api.door.vendor_now(), digits=0),
        "usageLimit": int(change.body.get("quantity") or 1),
        "appliesOncePerCustomer": True,
        "context": {"all": "ALL"},
        "customerGets": {
            "value": {"discountAmount": {"amount": str(change.body["denomination"]), "appliesOnEachItem": False}},
            "items": {"all": True},
        },
    }


def _mutate(api: ShopifyApi, name: str, argument: str, kind: str, value: Json) -> tuple[str, SourceRecord | None]:
    """(code of the first refusal or "", the discount as it is now). What it says may quote the code: not passed on."""
    selection = api.selections[STREAM]
    text = f"""mutation Give($given: {kind}) {{ {name}({argument}: $given) {{
      codeDiscountNode {{ {selection.text} }} userErrors {{ field code message }} }} }}"""
    answer = ask(api, text, {"given": value}, operation="push", cost=MUTATION_COST, writes=True)
    told: Mapping[str, Json] | None = answer.data.get(name)
    if told is None:
        code = code_of(answer.errors.get(name) or {})
        if code == "ACCESS_DENIED":
            raise RecordRejected("the app lacks the scope write_discounts", code=code, where=api.door.account)
        raise OutcomeUnknown("the answer says nothing of it", code=code, where=api.door.account)
    node = told.get("codeDiscountNode")
    held = record_of(api, STREAM, node) if node else None
    refused = told["userErrors"]
    return (str(refused[0].get("code") or "USER_ERROR") if refused else "", held)


def _ended(api: ShopifyApi, index: int, change: ChangeSet) -> PushResult:
    """Asked twice is asked once. Raises RecordRejected for a code that was used, RetryLater until that is certain."""
    external_id = gid("DiscountCodeNode", change.external_id or "")
    if not external_id:
        raise RecordRejected("no id of a discount", code="SHOPIFY-ID")
    told, held = _mutate(api, "discountCodeDeactivate", "id", "ID!", external_id)
    if told or held is None:
        raise RecordRejected("the discount cannot be ended", code=told or "USER_ERROR")
    if held.data.get("uses"):
        raise RecordRejected("the code was used already", code="SHOPIFY-USED")
    ended = held.data.get("endsAt")
    wait_s = (parse_time(ended) if ended else api.door.vendor_now()) + COUNTED_S - api.door.vendor_now()
    if wait_s > 0:
        raise RetryLater("uses of the code may still show", code="SHOPIFY-COUNTING", after_s=wait_s)
    return PushResult(index=index, outcome="applied", external_id=external_id, held=held)
