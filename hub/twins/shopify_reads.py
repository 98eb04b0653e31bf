"""What each query field answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from hub.twins.records import Fields, Record, id_order
from hub.twins.shopify_discounts import show_discount
from hub.twins.shopify_goods import show_checkout, show_product
from hub.twins.shopify_listing import PAGE_MAX, Listing, Visit, bad_argument, guard, page_of_list, page_size
from hub.twins.shopify_shapes import show_customer, show_line, show_metafield, show_order, show_refund, show_transaction
from hub.twins.shopify_values import clean_email, clean_phone, gid, utc_text

if TYPE_CHECKING:
    from hub.twins.shopify import TwinShopify

Json = Any
Info = Any  # GraphQLResolveInfo; its `context` is the Visit


def _customers(_: Json, info: Info, **arguments: Json) -> Fields:
    visit: Visit = info.context
    guard("read_customers", "customers", visit)
    size = page_size(arguments.get("first"), "customers")
    listing = Listing(visit, "customers", arguments)
    return listing.page(size, lambda row: show_customer(row, visit.orders_of(row.id), visit.twin.shop))


def _orders(_: Json, info: Info, **arguments: Json) -> Fields:
    visit: Visit = info.context
    guard("read_orders", "orders", visit)
    size = page_size(arguments.get("first"), "orders")
    return Listing(visit, "orders", arguments, keep=visit.is_in_window).page(size, show_order)


def _orders_of_customer(customer: Fields, info: Info, **arguments: Json) -> Fields:
    visit: Visit = info.context
    guard("read_orders", "orders", visit)
    owner = customer["record"].id
    size = page_size(arguments.get("first"), "orders")
    listing = Listing(
        visit, "orders", arguments, keep=lambda r: r.fields["customer"] == owner and visit.is_in_window(r)
    )
    return listing.page(size, show_order)


def _count(stream: str, scope: str) -> Callable[..., Fields]:
    def resolve(_: Json, info: Info, query: str | None = None, limit: int | None = 10_000) -> Fields:
        guard(scope, f"{stream}Count", info.context)
        number = Listing(info.context, stream, {"query": query}).count()
        if limit is not None and number > limit:
            return {"count": limit, "precision": "AT_LEAST"}
        return {"count": number, "precision": "EXACT"}

    return resolve


def _customer(_: Json, info: Info, id: str) -> Fields | None:
    guard("read_customers", "customer", info.context)
    visit: Visit = info.context
    return visit.customer(visit.find(id, "Customer"))


def _order(_: Json, info: Info, id: str) -> Fields | None:
    guard("read_orders", "order", info.context)
    visit: Visit = info.context
    return visit.order(visit.find(id, "Order"))


def _customer_by_identifier(_: Json, info: Info, identifier: Fields) -> Fields | None:
    guard("read_customers", "customerByIdentifier", info.context)
    given = {name: value for name, value in identifier.items() if value is not None}
    if len(given) != 1:
        raise bad_argument("Exactly one identifier must be provided.")
    visit: Visit = info.context
    return visit.customer(find_customer(visit, given))


def find_customer(visit: Visit, given: Fields) -> Record | None:
    """By id, emailAddress or email, phoneNumber or phone, or customId."""
    (name, value), records = next(iter(given.items())), visit.twin.records
    match name:
        case "id":
            return visit.find(value, "Customer")
        case "customId":
            return visit.by_custom_id("customers", value)
        case "email" | "emailAddress":
            found = records.lookup("customers", "email", clean_email(value) or "")
        case _:
            found = records.lookup("customers", "phone", clean_phone(value, visit.twin.shop.country) or "")
    return found[0] if found else None


def _order_by_identifier(_: Json, info: Info, identifier: Fields) -> Fields | None:
    guard("read_orders", "orderByIdentifier", info.context)
    visit: Visit = info.context
    if identifier.get("id"):
        return visit.order(visit.find(identifier["id"], "Order"))
    return visit.order(visit.by_custom_id("orders", identifier["customId"]))


def _node(_: Json, info: Info, id: str) -> Fields | None:
    visit: Visit = info.context
    if visit.may("read_customers") and (record := visit.find(id, "Customer")) is not None:
        return visit.customer(record)
    if visit.may("read_orders") and (order := visit.find(id, "Order")) is not None:
        return visit.order(order)
    for kind, scope, show in _OTHER_NODES:
        found = visit.seen(visit.find(id, kind)) if visit.may(scope) else None
        if found is not None:
            return show(visit.twin, found)
    return None


_OTHER_NODES = (
    ("DiscountCodeNode", "read_discounts", show_discount),
    ("Product", "read_products", show_product),
    ("AbandonedCheckout", "read_orders", show_checkout),
)


def _nodes(_: Json, info: Info, ids: list[str]) -> list[Fields | None]:
    if len(ids) > PAGE_MAX:
        message = f"The input array size of {len(ids)} is greater than the maximum allowed of {PAGE_MAX}."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED"})
    return [_node(None, info, id=each) for each in ids]


def _last_order(customer: Fields, info: Info) -> Fields | None:
    visit: Visit = info.context
    orders = [o for o in visit.orders_of(customer["record"].id) if visit.is_in_window(o)]
    return show_order(max(orders, key=lambda o: (o.created, id_order(o.id)))) if orders else None


def _order_customer(order: Fields, info: Info) -> Fields | None:
    visit: Visit = info.context
    guard("read_customers", "customer", visit)
    number = order["record"].fields["customer"]
    return visit.customer(visit.twin.records.find("customers", number)) if number else None


def _metafields(owner: Fields) -> list[Fields]:
    record: Record = owner["record"]
    return [show_metafield(record, name, kept) for name, kept in sorted(record.fields["metafields"].items())]


def _metafield(owner: Fields, info: Info, key: str, namespace: str | None = None) -> Fields | None:
    name = f"{namespace}.{key}" if namespace else key if "." in key else f"$app.{key}"
    kept = owner["record"].fields["metafields"].get(name)
    return None if kept is None else show_metafield(owner["record"], name, kept)


def _metafield_page(owner: Fields, info: Info, **arguments: Json) -> Fields:
    rows = _metafields(owner)
    if arguments.get("namespace"):
        rows = [row for row in rows if row["namespace"] == arguments["namespace"]]
    if arguments.get("keys") is not None:
        rows = [row for row in rows if f"{row['namespace']}.{row['key']}" in arguments["keys"]]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "metafields")


def _addresses(customer: Fields, info: Info, **arguments: Json) -> Fields:
    rows = customer["addressNodes"][:: -1 if arguments.get("reverse") else 1]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "addressesV2")


def _lines(order: Fields, info: Info, **arguments: Json) -> Fields:
    kept = order["record"].fields
    rows = [show_line(line, kept["currency"]) for line in kept["lines"]]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "lineItems")


def _transactions(order: Fields, info: Info, first: int | None = None) -> list[Fields]:
    kept = order["record"].fields
    return [show_transaction(kept, transaction) for transaction in kept["transactions"][:first]]


def _refunds(order: Fields, info: Info, first: int | None = None) -> list[Fields]:
    kept = order["record"].fields
    return [show_refund(kept, refund) for refund in kept["refunds"][:first]]


def _shop(_: Json, info: Info) -> Fields:
    return show_shop(info.context.twin)


def show_shop(twin: TwinShopify) -> Fields:
    domain = twin.settings["shop_domain"]
    return {
        "id": gid("Shop", str(twin.settings["shop_id"])),
        "name": domain.partition(".")[0].replace("-", " ").title(),
        "email": f"owner@{domain}",
        "myshopifyDomain": domain,
        "url": f"https://{domain}",
        "currencyCode": twin.shop.currency,
        "ianaTimezone": twin.shop.timezone,
        "plan": {"publicDisplayName": twin.settings["plan"].title(), "shopifyPlus": False, "partnerDevelopment": True},
        "createdAt": utc_text(twin.settings["shop_created"]),
    }


def _installation(_: Json, info: Info) -> Fields:
    scopes = [{"handle": scope, "description": scope.replace("_", " ")} for scope in sorted(info.context.twin.scopes)]
    return {
        "id": gid("AppInstallation", "1"),
        "accessScopes": scopes,
        "app": {"id": gid("App", "1"), "title": "Hub", "handle": "hub"},
    }


def _definitions(_: Json, info: Info, **arguments: Json) -> Fields:
    wanted = {name: arguments[name] for name in ("ownerType", "namespace", "key") if arguments.get(name)}
    rows = [d for d in info.context.twin.definitions if all(d[name] == value for name, value in wanted.items())]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "metafieldDefinitions")


def _subscriptions(_: Json, info: Info, **arguments: Json) -> Fields:
    topics = arguments.get("topics")
    rows = [row for row in info.context.twin.subscriptions() if not topics or row["topic"] in topics]
    return page_of_list(rows, arguments.get("first"), arguments.get("after"), "webhookSubscriptions")


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Query.shop": _shop,
    "Query.currentAppInstallation": _installation,
    "Query.node": _node,
    "Query.nodes": _nodes,
    "Query.customer": _customer,
    "Query.customerByIdentifier": _customer_by_identifier,
    "Query.customers": _customers,
    "Query.customersCount": _count("customers", "read_customers"),
    "Query.order": _order,
    "Query.orderByIdentifier": _order_by_identifier,
    "Query.orders": _orders,
    "Query.ordersCount": _count("orders", "read_orders"),
    "Query.productsCount": _count("products", "read_products"),
    "Query.abandonedCheckoutsCount": _count("checkouts", "read_orders"),
    "Query.metafieldDefinitions": _definitions,
    "Query.webhookSubscriptions": _subscriptions,
    "Customer.orders": _orders_of_customer,
    "Customer.lastOrder": _last_order,
    "Customer.addressesV2": _addresses,
    "Customer.addresses": lambda customer, info, first=None: customer["addressNodes"][:first],
    "Customer.metafield": _metafield,
    "Customer.metafields": _metafield_page,
    "Order.customer": _order_customer,
    "Order.lineItems": _lines,
    "Order.transactions": _transactions,
    "Order.refunds": _refunds,
    "Order.metafield": _metafield,
    "Order.metafields": _metafield_page,
    "Product.metafield": _metafield,
    "Product.metafields": _metafield_page,
    "Refund.transactions": lambda refund, info, first=None, after=None: page_of_list(
        refund["transactionNodes"], first if first is not None else PAGE_MAX, after, "transactions"
    ),
}
