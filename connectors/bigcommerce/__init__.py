"""BigCommerce, on the hub's door: customers both ways; orders, coupons and carts read.

Docs: developer.bigcommerce.com (customers v3, orders v2, coupons v2, carts v3, webhooks, API rate limits).

Customers are read by the vendor's cursor within "modified since", with their addresses and attributes in the same
calls. A changed address or attribute may not move a customer's own time; webhooks and the weekly sweep find those.
Orders are read up their time of change, then the archived ones. Coupons have no time and are listed whole. Carts are
not listed anywhere: an abandoned one is told by a webhook and read by its id.

A reward may be a coupon: a code is taken once in a store, so one that is refused is looked for.

Customers are written ten at a time. The vendor refuses all ten for one bad row, without saying which; before creates
are sent again, the ten addresses are looked up. Attributes by name stand under `attribute`, the first postal address
under `address`, and it is written under `addresses.0`; both are written by calls of their own.
"""

from __future__ import annotations

from connectors.bigcommerce.account import check, discover
from connectors.bigcommerce.api import BATCH, OVERLAP_S, PAGE, connect, usage, wait_s
from connectors.bigcommerce.hooks import parse, subscribe, verify
from connectors.bigcommerce.reading import fetch, find, pull
from connectors.bigcommerce.writing import push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.kit.statuses import Kind

AT_ONCE = 100  # changes of one push: ten calls of ten, and those for addresses and attributes

CONNECTOR = Connector(
    name="bigcommerce",
    title="BigCommerce",
    base_url="https://api.bigcommerce.com/stores/{store_hash}",
    hosts=("api.bigcommerce.com",),
    auth=(Auth(kind="token", header="X-Auth-Token", scheme=""),),
    # vendor docs, "API rate limits": by the store's plan (Standard and Plus; Pro has 450), all apps together, and each
    # answer tells. Customers reference: three calls at once for changes of customers and attribute values
    limits=(
        RateLimit(name="window", calls=150, per_s=30.0, shared=True),
        RateLimit(name="customer writes", calls=3, per_s=0, operations=("update", "attributes"), unit="at_once"),
    ),
    streams=(
        Stream(
            name="customers",
            modified_path="date_modified",
            cursor="token",
            lookback_s=OVERLAP_S,
            sorted=False,
            deletes="event",
            writes=frozenset({"create", "update", "delete"}),
            max_batch=AT_ONCE,
            stamp_tick_s=1.0,
            idempotency=Idempotency.SEARCHABLE_REFERENCE,
            marker="attribute.hub_id",
            page_size=PAGE,
            minimum={"read": PAGE, "write": BATCH, "fetch": PAGE},
        ),
        Stream(
            name="orders",
            modified_path="date_modified",
            lookback_s=OVERLAP_S,
            sorted=False,  # the archived ones come after the others
            deletes="archived",
            stamp_tick_s=1.0,
            page_size=PAGE,
            parents=("customers",),
            acts=True,
            minimum={"read": PAGE, "fetch": 1},
        ),
        Stream(
            name="coupons",
            cursor="snapshot",
            deletes="listing",
            sorted=False,
            gives="code",
            writes=frozenset({"create", "delete"}),  # deleting is switching off: what was given stays to be seen
            max_batch=AT_ONCE,
            idempotency=Idempotency.UNIQUE_REFERENCE,
            marker="code",
            page_size=PAGE,
            minimum={"read": PAGE, "write": 1, "fetch": 1},
        ),
        Stream(
            name="carts",
            modified_path="updated_time",
            cursor="none",
            sorted=False,
            deletes="event",
            stamp_tick_s=1.0,
            parents=("customers",),
            acts=True,
            minimum={"fetch": 1},
        ),
    ),
    pages={
        "customers": "https://store-{store_hash}.mybigcommerce.com/manage/customers/{id}/edit",
        "orders": "https://store-{store_hash}.mybigcommerce.com/manage/orders/{id}",
    },
    settings=(
        Setting(name="store_hash", text="Code of the store in its API path (stores/abc123)", required=True),
        Setting(name="marker", text="Customer attribute (a text) for the hub's id", default="hub_id"),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    verify=verify,
    parse=parse,
    subscribe=subscribe,
    statuses={507: Kind.REJECTED},  # a limit of the plan, such as too many customers
    wait_s=wait_s,
    usage=usage,
    docs="https://developer.bigcommerce.com/docs",
)
