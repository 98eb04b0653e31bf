"""What each mutation does. An empty `userErrors` is the only sign of success.

Invariant: a mutation with userErrors has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError

from hub.twins.records import Fields, Record
from hub.twins.shopify_listing import Visit, bad_argument, guard
from hub.twins.shopify_reads import find_customer, show_shop
from hub.twins.shopify_shapes import digest, show_metafield
from hub.twins.shopify_values import (
    BLANK_CUSTOMER,
    Refusal,
    clean_customer,
    clean_email,
    clean_phone,
    clean_tags,
    gid,
    parse_time,
)

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify

Json = Any
Info = Any  # GraphQLResolveInfo; its `context` is the Visit

METAFIELDS_AT_ONCE = 25  # vendor docs, metafieldsSet
SETTABLE_CONSENT = ("SUBSCRIBED", "UNSUBSCRIBED", "PENDING")
NO_CUSTOMER = Refusal(field=("id",), message="Customer does not exist", code="NOT_FOUND")
_IDENTIFIERS = {"email": clean_email, "phone": clean_phone}


def _errors(refusals: Iterable[Refusal], *, prefix: tuple[str, ...] = (), codes: bool = True) -> list[Fields]:
    """`userErrors`; a refusal about the record as a whole has no field."""
    return [
        {
            "field": [*prefix, *refusal.field] if refusal.field else None,
            "message": refusal.message,
            **({"code": refusal.code} if codes else {}),
        }
        for refusal in refusals
    ]


def _row_fault(visit: Visit) -> list[Refusal]:
    """A fault placed on this row. Raises GraphQLError for a passing one."""
    match visit.twin.faults.row_fault():
        case "partial_batch":
            message = "Internal error. Looks like something went wrong on our end."
            raise GraphQLError(message, extensions={"code": "INTERNAL_SERVER_ERROR"})
        case "reject":
            return [Refusal(field=("note",), message="Note is invalid", code="INVALID")]
    return []


# --- customers ---------------------------------------------------------------------------------------------------


def _customer_set(_: Json, info: Info, input: Fields, identifier: Fields | None = None) -> Fields:
    visit: Visit = info.context
    guard("write_customers", "customerSet", visit)
    identifier = {k: v for k, v in (identifier or {}).items() if v is not None}
    target, refusals = _set_target(visit, identifier, input)
    refusals = refusals or _row_fault(visit)
    if refusals:
        return {"customer": None, "userErrors": _errors(refusals, prefix=("input",))}
    given = {name: value for name, value in input.items() if name != "id"}
    custom = identifier.get("customId")
    if target is None and custom:
        given["metafields"] = [{**custom, "type": "id"}]
    record, refusals = save_customer(visit, target, given)
    return {"customer": visit.written(record), "userErrors": _errors(refusals, prefix=("input",))}


def _set_target(visit: Visit, identifier: Fields, given: Fields) -> tuple[Record | None, list[Refusal]]:
    """The customer that customerSet writes to (None: a new one), and what is wrong with the way it is named."""
    if len(identifier) > 1:
        raise bad_argument("Only one identifier may be provided.")
    if not identifier:
        if not given.get("id"):
            return None, []
        identifier = {"id": given["id"]}
    elif given.get("id"):
        message = "The id field is not allowed if identifier is provided"
        return None, [Refusal(field=("id",), message=message, code="ID_NOT_ALLOWED")]
    (name, value) = next(iter(identifier.items()))
    if name in _IDENTIFIERS and (refusal := _mismatch(visit, name, value, given)):
        return None, [refusal]
    try:
        target = find_customer(visit, identifier)
    except GraphQLError as fault:
        if fault.extensions and fault.extensions.get("code") == "NOT_FOUND":
            return None, [Refusal(field=("customId",), message=fault.message, code="METAFIELD_MISMATCH")]
        raise
    if name == "id" and (target is None or target.deleted):
        return None, [NO_CUSTOMER]
    return target, []


def _mismatch(visit: Visit, name: str, value: str, given: Fields) -> Refusal | None:
    """An e-mail or phone that names the customer must be in the input too, and be the same."""
    if name not in given:
        message = f"The input field corresponding to the identifier {name} is required"
        return Refusal(field=(name,), message=message, code="MISSING_FIELD_REQUIRED")
    country = visit.twin.shop.country
    clean = clean_email if name == "email" else lambda text: clean_phone(text, country)
    if clean(str(given[name] or "")) != clean(value):
        message = f"The identifier {name} does not match the input"
        return Refusal(field=(name,), message=message, code="INPUT_MISMATCH")
    return None


def save_customer(
    visit: Visit, target: Record | None, given: Fields, by: str = "api"
) -> tuple[Record | None, list[Refusal]]:
    """Create or change a customer; with refusals nothing is changed and there is no record.

    `given` is a CustomerInput without `id`; `metafields` is a list of {namespace, key, type, value}.
    """
    twin = visit.twin
    kept = target.fields if target is not None else BLANK_CUSTOMER
    out, refusals = clean_customer(given, kept, twin.shop.country)
    refusals += _taken(visit, out, target)
    if given.get("metafields"):
        values, wrong = _merge_metafields(visit, "customers", target, given["metafields"])
        out["metafields"] = values
        refusals += wrong
    consent = given.get("emailMarketingConsent")
    if consent:
        out["emailMarketing"] = _consent(visit, consent)
    if refusals:
        return None, refusals
    if "addresses" in out:
        out["addresses"] = [{**address, "id": address["id"] or twin.next_number()} for address in out["addresses"]]
    if target is not None:
        return twin.records.update("customers", target.id, out, by=by, touch=False), []
    return twin.records.create("customers", {**BLANK_CUSTOMER, **out}, by=by, id=twin.new_id("customers")), []


def _taken(visit: Visit, out: Fields, target: Record | None) -> list[Refusal]:
    refusals = []
    for name, label in (("email", "Email"), ("phone", "Phone")):
        holders = visit.twin.records.lookup("customers", name, out[name]) if out.get(name) else []
        if any(target is None or holder.id != target.id for holder in holders):
            refusals.append(Refusal(field=(name,), message=f"{label} has already been taken", code="TAKEN"))
    return refusals


def _consent(visit: Visit, consent: Fields) -> Fields:
    return {
        "state": consent["marketingState"],
        "level": consent.get("marketingOptInLevel") or "SINGLE_OPT_IN",
        "at": consent.get("consentUpdatedAt") or visit.twin.now_text(),
    }


def _customer_create(_: Json, info: Info, input: Fields) -> Fields:
    visit: Visit = info.context
    guard("write_customers", "customerCreate", visit)
    refusals = _row_fault(visit)
    if input.get("id"):
        refusals = [Refusal(field=("id",), message="Cannot specify id when creating", code="INVALID")]
    record, more = (None, []) if refusals else save_customer(visit, None, input)
    return {"customer": visit.written(record), "userErrors": _errors([*refusals, *more], codes=False)}


def _customer_update(_: Json, info: Info, input: Fields) -> Fields:
    visit: Visit = info.context
    guard("write_customers", "customerUpdate", visit)
    target = _live_customer(visit, input.get("id") or "gid://shopify/Customer/0")
    refusals = [NO_CUSTOMER] if target is None else _row_fault(visit)
    if input.get("emailMarketingConsent"):
        message = "To update emailMarketingConsent, please use the customerEmailMarketingConsentUpdate Mutation instead"
        refusals.append(Refusal(field=("emailMarketingConsent",), message=message, code="INVALID"))
    given = {name: value for name, value in input.items() if name != "id"}
    record, more = (None, []) if refusals else save_customer(visit, target, given)
    return {"customer": visit.written(record), "userErrors": _errors([*refusals, *more], codes=False)}


def _live_customer(visit: Visit, global_id: str) -> Record | None:
    record = visit.find(global_id, "Customer")
    return None if record is None or record.deleted else record


def _customer_delete(_: Json, info: Info, input: Fields) -> Fields:
    visit: Visit = info.context
    guard("write_customers", "customerDelete", visit)
    target = _live_customer(visit, input["id"])
    refusals = [NO_CUSTOMER] if target is None else _row_fault(visit)
    if target is not None and visit.orders_of(target.id):
        message = "Customer can’t be deleted because they have associated orders"
        refusals.append(Refusal(field=("id",), message=message, code="INVALID"))
    if target is not None and not refusals:
        visit.twin.records.delete("customers", target.id, by="api")
    deleted = None if refusals else input["id"]
    return {"deletedCustomerId": deleted, "shop": show_shop(visit.twin), "userErrors": _errors(refusals, codes=False)}


def merge_customers(twin: TwinShopify, winner: str, loser: str, *, by: str) -> Record:
    """Blanks of the winner are filled, tags and addresses joined, orders and checkouts moved."""
    kept, lost = twin.records.get("customers", winner).fields, twin.records.get("customers", loser).fields
    taken: Fields = {name: lost[name] for name in ("firstName", "lastName", "phone", "note") if not kept[name]}
    if kept["email"] is None and lost["email"] is not None:
        taken.update(email=lost["email"], emailMarketing=lost["emailMarketing"])
    taken["tags"] = clean_tags([*kept["tags"], *lost["tags"]])
    taken["addresses"] = [*kept["addresses"], *lost["addresses"]]
    taken["metafields"] = {**lost["metafields"], **kept["metafields"]}
    owned = [row for stream in ("orders", "checkouts") for row in twin.records.lookup(stream, "customer", loser)]
    merged = twin.records.merge("customers", winner, loser, taken, by)
    for row in owned:
        twin.records.update(row.stream, row.id, {"customer": winner}, by="system")
    return merged


def _customer_merge(_: Json, info: Info, **arguments: Json) -> Fields:
    """Customer two goes into customer one. `overrideFields` is accepted and not played: people may edit after."""
    visit: Visit = info.context
    guard("write_customers", "customerMerge", visit)
    one, two = (_live_customer(visit, arguments[name]) for name in ("customerOneId", "customerTwoId"))
    if one is None or two is None or one.id == two.id:
        name = "customerOneId" if one is None else "customerTwoId"
        refusal = Refusal(field=(name,), message="Customer cannot be merged", code="INVALID_CUSTOMER_ID")
        return {"resultingCustomerId": None, "job": None, "userErrors": _errors([refusal])}
    merge_customers(visit.twin, one.id, two.id, by="api")
    job = {"id": gid("Job", visit.twin.next_number()), "done": True}
    return {"resultingCustomerId": gid("Customer", one.id), "job": job, "userErrors": []}


def _consent_update(_: Json, info: Info, input: Fields) -> Fields:
    visit: Visit = info.context
    guard("write_customers", "customerEmailMarketingConsentUpdate", visit)
    target, consent = _live_customer(visit, input["customerId"]), input["emailMarketingConsent"]
    refusals = _consent_refusals(visit, target, consent) or _row_fault(visit)
    if target is not None and not refusals:
        visit.twin.records.update("customers", target.id, {"emailMarketing": _consent(visit, consent)}, by="api")
    customer = None if refusals else visit.written(target)
    return {"customer": customer, "userErrors": _errors(refusals, prefix=("input",))}


def _consent_refusals(visit: Visit, target: Record | None, consent: Fields) -> list[Refusal]:
    if target is None:
        return [Refusal(field=("customerId",), message="Customer not found", code="NOT_FOUND")]
    place = ("emailMarketingConsent", "marketingState")
    if target.fields["email"] is None:
        return [Refusal(field=place, message="Customer must have an email address", code="INVALID")]
    if consent["marketingState"] not in SETTABLE_CONSENT:
        message = f"Cannot specify {consent['marketingState']} as a marketing state input"
        return [Refusal(field=place, message=message, code="INVALID")]
    given_at = consent.get("consentUpdatedAt")
    try:
        at = parse_time(given_at, visit.twin.shop.timezone) if given_at else 0.0
    except ValueError:
        raise bad_argument(f"DateTime '{given_at}' is invalid") from None
    if at > visit.twin.now() + 1:
        place = ("emailMarketingConsent", "consentUpdatedAt")
        return [Refusal(field=place, message="Consent updated at must not be in the future", code="INVALID")]
    return []


# --- tags --------------------------------------------------------------------------------------------------------


def _tags(change: Callable[[list[str], list[str]], list[str]]) -> Callable[..., Fields]:
    def resolve(_: Json, info: Info, id: str, tags: list[str]) -> Fields:
        visit: Visit = info.context
        guard("write_customers", "tagsAdd", visit)
        target = _live_customer(visit, id)
        refusals = _row_fault(visit)
        if target is None:
            refusals = [Refusal(field=("id",), message="Node not found", code="NOT_FOUND")]
        elif not refusals:
            kept = {"tags": clean_tags(change(target.fields["tags"], clean_tags(tags)))}
            visit.twin.records.update("customers", target.id, kept, by="api")
        return {"node": None if refusals else visit.written(target), "userErrors": _errors(refusals, codes=False)}

    return resolve


def _add(kept: list[str], tags: list[str]) -> list[str]:
    return [*kept, *tags]


def _remove(kept: list[str], tags: list[str]) -> list[str]:
    gone = {tag.lower() for tag in tags}
    return [tag for tag in kept if tag.lower() not in gone]


# --- metafields --------------------------------------------------------------------------------------------------


def _metafields_set(_: Json, info: Info, metafields: list[Fields]) -> Fields:
    """All or none."""
    visit: Visit = info.context
    guard("write_customers", "metafieldsSet", visit)
    if len(metafields) > METAFIELDS_AT_ONCE:
        refusal = Refusal(
            field=("metafields",),
            message=f"Cannot set more than {METAFIELDS_AT_ONCE} at once",
            code="LESS_THAN_OR_EQUAL_TO",
        )
        return {"metafields": None, "userErrors": _errors([refusal])}
    owners = [visit.find(entry["ownerId"], _kind(entry["ownerId"])) for entry in metafields]
    refusals = _row_fault(visit)
    for position, (entry, owner) in enumerate(zip(metafields, owners, strict=True)):
        refusals += _metafield_refusals(visit, entry, owner, ("metafields", str(position)))
    if refusals:
        return {"metafields": None, "userErrors": _errors(refusals)}
    written = []
    for entry, owner in zip(metafields, owners, strict=True):
        if owner is None:
            continue  # refused above
        values, _wrong = _merge_metafields(visit, owner.stream, owner, [entry])
        record = visit.twin.records.update(owner.stream, owner.id, {"metafields": values}, by="api")
        name = _name(entry)
        written.append(show_metafield(record, name, values[name]))
    return {"metafields": written, "userErrors": []}


def _kind(global_id: str) -> str:
    kind = global_id.removeprefix("gid://shopify/").partition("/")[0]
    return kind if kind in ("Customer", "Order") else "Customer"


def _name(entry: Fields) -> str:
    return f"{entry.get('namespace') or '$app'}.{entry['key']}"


def _metafield_refusals(visit: Visit, entry: Fields, owner: Record | None, place: tuple[str, ...]) -> list[Refusal]:
    if owner is None or owner.deleted:
        return [Refusal(field=(*place, "ownerId"), message="Owner does not exist.", code="INVALID")]
    kept = owner.fields["metafields"].get(_name(entry))
    if "compareDigest" in entry:
        held = None if kept is None else digest(kept["value"])
        if entry["compareDigest"] != held:
            message = (
                "The resource has been updated since it was loaded. Try again with an updated `compareDigest` value."
            )
            return [Refusal(field=place, message=message, code="STALE_OBJECT")]
    return [
        Refusal(field=(*place, *refusal.field), message=refusal.message, code=refusal.code)
        for refusal in _merge_metafields(visit, owner.stream, owner, [entry])[1]
    ]


def _merge_metafields(
    visit: Visit, stream: str, owner: Record | None, entries: Sequence[Fields]
) -> tuple[Fields, list[Refusal]]:
    """The owner's metafields with `entries` put in, and what is wrong with those."""
    values: Fields = dict(owner.fields["metafields"]) if owner is not None else {}
    refusals: list[Refusal] = []
    now = visit.twin.now_text()
    for entry in entries:
        name = _name(entry)
        kind = visit.twin.metafield_type(stream, name) or entry.get("type") or (values.get(name) or {}).get("type")
        if kind is None:
            refusals.append(Refusal(field=("type",), message="Type can't be blank", code="BLANK"))
        elif not _is_of_type(kind, entry["value"]):
            message = f"Value is invalid for type {kind}"
            refusals.append(Refusal(field=("value",), message=message, code="INVALID_VALUE"))
        elif visit.twin.is_unique(stream, name) and _is_held(visit, stream, name, entry["value"], owner):
            message = "Value is already assigned to another metafield. Choose a different value."
            refusals.append(Refusal(field=("value",), message=message, code="TAKEN"))
        before = values.get(name) or {"id": visit.twin.next_number(), "createdAt": now}
        values[name] = {**before, "type": kind, "value": entry["value"], "updatedAt": now}
    return values, refusals


def _is_held(visit: Visit, stream: str, name: str, value: str, owner: Record | None) -> bool:
    holders = visit.twin.records.lookup(stream, "custom", f"{name}={value}")
    return any(owner is None or holder.id != owner.id for holder in holders)


def _is_of_type(kind: str, value: str) -> bool:
    try:
        match kind:
            case "number_integer":
                int(value)
            case "number_decimal":
                Decimal(value)
            case "boolean":
                return value in ("true", "false")
            case "date":
                date.fromisoformat(value)
            case "json":
                orjson.loads(value)
    except (ValueError, ArithmeticError):
        return False
    return value != ""


def _definition_create(_: Json, info: Info, definition: Fields) -> Fields:
    visit: Visit = info.context
    guard("write_customers", "metafieldDefinitionCreate", visit)
    refusals = _row_fault(visit)
    if visit.twin.metafield_type(_stream_of(definition["ownerType"]), _name(definition)):
        message = "Key is in use for Customer metafields on the given namespace."
        refusals.append(Refusal(field=("definition", "key"), message=message, code="TAKEN"))
    created = None if refusals else visit.twin.define_metafield(definition)
    return {"createdDefinition": created, "userErrors": _errors(refusals)}


def _stream_of(owner_type: str) -> str:
    return "customers" if owner_type == "CUSTOMER" else "orders"


# --- webhooks ----------------------------------------------------------------------------------------------------


def _subscribe(_: Json, info: Info, topic: str, **arguments: Json) -> Fields:
    visit: Visit = info.context
    given = arguments["webhookSubscription"]
    uri = str(given.get("uri") or "")
    refusals = []
    if not uri.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        refusals.append(Refusal(field=("webhookSubscription", "uri"), message="Address is invalid", code="INVALID"))
    elif any(row["topic"] == topic and row["uri"] == uri for row in visit.twin.subscriptions()):
        message = "Address for this topic has already been taken"
        refusals.append(Refusal(field=("webhookSubscription", "uri"), message=message, code="TAKEN"))
    made = None if refusals else visit.twin.subscribe(topic, given)
    return {"webhookSubscription": made, "userErrors": _errors(refusals, codes=False)}


def _unsubscribe(_: Json, info: Info, id: str) -> Fields:
    if info.context.twin.unsubscribe(id):
        return {"deletedWebhookSubscriptionId": id, "userErrors": []}
    refusal = Refusal(field=("id",), message="Webhook subscription does not exist", code="NOT_FOUND")
    return {"deletedWebhookSubscriptionId": None, "userErrors": _errors([refusal], codes=False)}


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Mutation.customerSet": _customer_set,
    "Mutation.customerCreate": _customer_create,
    "Mutation.customerUpdate": _customer_update,
    "Mutation.customerDelete": _customer_delete,
    "Mutation.customerMerge": _customer_merge,
    "Mutation.customerEmailMarketingConsentUpdate": _consent_update,
    "Mutation.tagsAdd": _tags(_add),
    "Mutation.tagsRemove": _tags(_remove),
    "Mutation.metafieldsSet": _metafields_set,
    "Mutation.metafieldDefinitionCreate": _definition_create,
    "Mutation.webhookSubscriptionCreate": _subscribe,
    "Mutation.webhookSubscriptionDelete": _unsubscribe,
}
