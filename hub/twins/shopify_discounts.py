"""Discount codes of a shop: an amount or a share off the order, with a limit of uses.

A code is taken once in a shop, in whatever case it is written. How often one was used is counted behind the shop's
back, and shows late; to switch a discount off is to end it now.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from hub.twins.records import Fields, Record
from hub.twins.shopify_listing import Listing, Visit, bad_argument, guard, page_of_list, page_size
from hub.twins.shopify_values import Refusal, amount_text, gid, money, parse_time, utc_text

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify

Json = Any
Info = Any  # GraphQLResolveInfo; its `context` is the Visit

LONGEST = 255  # of a code and of a title
COUNTED_LATE_S = 300.0  # until a use shows in asyncUsageCount
EVERYTHING: Fields = {"__typename": "AllDiscountItems", "allItems": True}
BLANK: Fields = {
    "title": "", "code": "", "percentage": None, "amount": None, "startsAt": None, "endsAt": None, "usageLimit": None,
    "appliesOncePerCustomer": False, "uses": (), "metafields": {},
}  # fmt: skip


def show_discount(twin: TwinShopify, record: Record) -> Fields:
    """The node as GraphQL shows it."""
    kept, now = record.fields, twin.now()
    return {
        "__typename": "DiscountCodeNode",
        "record": record,
        "id": gid("DiscountCodeNode", record.id),
        "codeDiscount": {
            "__typename": "DiscountCodeBasic",
            **{name: kept[name] for name in ("title", "startsAt", "endsAt", "usageLimit", "appliesOncePerCustomer")},
            "record": record,
            "status": status_of(twin, kept),
            "asyncUsageCount": sum(at <= now - COUNTED_LATE_S for at in kept["uses"]),
            "createdAt": utc_text(record.created),
            "updatedAt": utc_text(record.modified),
            "customerGets": {"value": _value(twin, kept), "items": EVERYTHING},
        },
    }


def _value(twin: TwinShopify, kept: Fields) -> Fields:
    if kept["percentage"] is not None:
        return {"__typename": "DiscountPercentage", "percentage": kept["percentage"]}
    amount = money(kept["amount"] or "0", twin.shop.currency)
    return {"__typename": "DiscountAmount", "amount": amount, "appliesOnEachItem": False}


def status_of(twin: TwinShopify, kept: Fields) -> str:
    zone, now = twin.shop.timezone, twin.now()
    if kept["endsAt"] and parse_time(kept["endsAt"], zone) <= now:
        return "EXPIRED"
    return "SCHEDULED" if kept["startsAt"] and parse_time(kept["startsAt"], zone) > now else "ACTIVE"


def completed(twin: TwinShopify, stream: str, fields: Fields) -> Fields:
    """A discount as it is kept, from what people or loaders say of it."""
    return {**BLANK, "startsAt": twin.now_text(), **fields}


def redeem(twin: TwinShopify, code: str, by: str) -> None:
    """A customer uses a code. Raises ValueError: it is not to be had (any more)."""
    record = _by_code(twin, code)
    usable = record is not None and status_of(twin, record.fields) == "ACTIVE"
    if record is None or not usable or len(record.fields["uses"]) >= (record.fields["usageLimit"] or 10**9):
        raise ValueError(f"{code} discount code isn't valid")
    twin.records.update("discounts", record.id, {"uses": (*record.fields["uses"], twin.now())}, by=by, touch=False)


def _by_code(twin: TwinShopify, code: str) -> Record | None:
    found = [row for row in twin.records.lookup("discounts", "code", code.lower()) if not row.deleted]
    return found[0] if found else None


# --- queries -----------------------------------------------------------------------------------------------------


def _nodes(_: Json, info: Info, **arguments: Json) -> Fields:
    visit: Visit = info.context
    guard("read_discounts", "codeDiscountNodes", visit)
    if arguments.get("query"):
        raise bad_argument("The twin does not search discounts.")
    size = page_size(arguments.get("first"), "codeDiscountNodes")
    return Listing(visit, "discounts", arguments).page(size, lambda row: show_discount(visit.twin, row))


def _node_by_code(_: Json, info: Info, code: str) -> Fields | None:
    visit: Visit = info.context
    guard("read_discounts", "codeDiscountNodeByCode", visit)
    record = _by_code(visit.twin, code)
    return show_discount(visit.twin, record) if record is not None else None


def _codes(discount: Fields, info: Info, **arguments: Json) -> Fields:
    rows = [{"id": gid("DiscountRedeemCode", discount["record"].id), "code": discount["record"].fields["code"]}]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "codes")


# --- mutations ---------------------------------------------------------------------------------------------------


def _answer(visit: Visit, record: Record | None, refusals: list[Refusal]) -> Fields:
    head = ("basicCodeDiscount",)
    told = [
        {"field": [*head, *each.field] if each.field else None, "message": each.message, "code": each.code}
        for each in refusals
    ]
    shown = show_discount(visit.twin, record) if record is not None and not refusals else None
    return {"codeDiscountNode": shown, "userErrors": told}


def _create(_: Json, info: Info, **arguments: Json) -> Fields:
    visit: Visit = info.context
    guard("write_discounts", "discountCodeBasicCreate", visit)
    given = arguments["basicCodeDiscount"]
    kept, refusals = _cleaned(visit.twin, given)
    fault = visit.twin.faults.row_fault()
    if fault == "partial_batch":
        message = "Internal error. Looks like something went wrong on our end."
        raise GraphQLError(message, extensions={"code": "INTERNAL_SERVER_ERROR"})
    if fault == "reject":
        refusals.append(Refusal(field=("title",), message="Title is invalid", code="INVALID"))
    if refusals:
        return _answer(visit, None, refusals)
    record = visit.twin.records.create("discounts", kept, by="api", id=visit.twin.new_id("discounts"))
    return _answer(visit, record, [])


def _cleaned(twin: TwinShopify, given: Fields) -> tuple[Fields, list[Refusal]]:
    refusals = []
    code, title = str(given.get("code") or ""), str(given.get("title") or "")
    for name, text in (("code", code), ("title", title)):
        if not text.strip():
            refusals.append(Refusal(field=(name,), message=f"{name.title()} can't be blank", code="BLANK"))
        elif len(text) > LONGEST:
            refusals.append(Refusal(field=(name,), message=f"{name.title()} is too long", code="TOO_LONG"))
    if code and _by_code(twin, code) is not None:
        message = "Code must be unique. Please try a different code."
        refusals.append(Refusal(field=("code",), message=message, code="TAKEN"))
    if not given.get("startsAt"):
        refusals.append(Refusal(field=("startsAt",), message="Starts at can't be blank", code="BLANK"))
    value = ((given.get("customerGets") or {}).get("value")) or {}
    kept: Fields = {name: given.get(name) for name in ("title", "startsAt", "endsAt", "usageLimit")}
    kept |= {"code": code, "appliesOncePerCustomer": bool(given.get("appliesOncePerCustomer"))}
    amount = (value.get("discountAmount") or {}).get("amount")
    if (amount is None) == (value.get("percentage") is None):
        refusals.append(Refusal(field=("customerGets", "value"), message="Value must be one of both", code="INVALID"))
    elif amount is not None:
        refusals += _wrong_amount(amount)
        kept["amount"] = amount_text(amount) if not refusals else None
    else:
        kept["percentage"] = value["percentage"]
    return completed(twin, "discounts", kept), refusals


def _wrong_amount(amount: Json) -> list[Refusal]:
    try:
        positive = Decimal(str(amount)) > 0
    except InvalidOperation:
        positive = False
    message = "Discount value must be greater than 0"
    return [] if positive else [Refusal(field=("customerGets", "value"), message=message, code="GREATER_THAN")]


def _deactivate(_: Json, info: Info, id: str) -> Fields:
    visit: Visit = info.context
    guard("write_discounts", "discountCodeDeactivate", visit)
    record = visit.find(id, "DiscountCodeNode")
    if record is None or record.deleted:
        return _answer(visit, None, [Refusal(field=(), message="Code discount does not exist.", code="INVALID")])
    if status_of(visit.twin, record.fields) != "EXPIRED":
        record = visit.twin.records.update("discounts", record.id, {"endsAt": visit.twin.now_text()}, by="api")
    return _answer(visit, record, [])


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.codeDiscountNodes": _nodes,
    "Query.codeDiscountNodeByCode": _node_by_code,
    "DiscountCodeBasic.codes": _codes,
    "Mutation.discountCodeBasicCreate": _create,
    "Mutation.discountCodeDeactivate": _deactivate,
}
