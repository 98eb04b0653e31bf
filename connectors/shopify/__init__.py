"""Shopify, over the GraphQL Admin API on the hub's door.

Docs: GraphQL Admin API 2026-10 (customers, orders, abandoned checkouts, products, metafields, webhooks), "Rate limits",
"Limits", "Perform bulk operations".

A query may cost 1,000 points and a record costs one for itself and one for each object asked for, so a page holds as
many rows as that allows (the vendor's own figure corrects it) and only what the mapping reads is asked for. Reads
follow `updated_at` in the search index, which is behind by up to minutes and knows customers' changes by the day only:
a read starts ten minutes before the last one began, and drops what is older.

A first load of many rows is a bulk operation, which draws no points: its file is fetched by ranges of bytes, so a read
goes on anywhere in it; pages replace one that fails. Checkouts know no order of change, so they come by their ids.
There is no message that one was abandoned: they are listed from the moment on that the buyer has left an address.

Writes carry up to 50 mutations; their answers hold what is now stored. The hub's id is the unique metafield hub.id
(type `id`), so the same create twice makes one customer. There is no precondition on customers.

Discount codes are listed whole, since a use moves no time of change; a reward may be one, and no two are alike.

Settings of a stream: `fields`, the remote fields to read; without it the usual ones.
"""

from __future__ import annotations

from connectors.shopify.account import check, discover
from connectors.shopify.api import BULK_FROM, MOST, came_to, classify, connect, usage, wait_s
from connectors.shopify.hooks import parse, subscribe, verify
from connectors.shopify.reading import LAG_S, LOOKBACK_S, fetch, find, pull
from connectors.shopify.writing import AT_ONCE, push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.kit.statuses import Kind

CONNECTOR = Connector(
    name="shopify",
    title="Shopify",
    base_url="https://{shop}.myshopify.com",
    hosts=(".myshopify.com", "storage.googleapis.com"),  # the second for files of bulk operations
    auth=(
        Auth(kind="token", header="X-Shopify-Access-Token", scheme=""),
        Auth(
            kind="client_credentials",
            header="X-Shopify-Access-Token",
            scheme="",
            token_url="/admin/oauth/access_token",
        ),
        Auth(
            kind="refresh_token",
            header="X-Shopify-Access-Token",
            scheme="",
            token_url="/admin/oauth/access_token",
            rotates=True,
        ),
    ),
    # Bucket of the Standard plan, 20 s of its rate (vendor docs, "Rate limits"); each answer tells the real size, and
    # a THROTTLED one the exact wait.
    limits=(
        RateLimit(name="points", calls=2_000, per_s=20, unit="points"),
        RateLimit(name="polls", calls=1, per_s=3.0, operations=("poll",)),  # ours: an operation takes seconds to hours
    ),
    streams=(
        Stream(
            name="customers",
            modified_path="updatedAt",
            cursor="token",
            lookback_s=LOOKBACK_S,
            consistency="lagging",
            lag_s=LAG_S,
            deletes="event",
            writes=frozenset({"create", "update", "delete"}),
            max_batch=AT_ONCE,
            stamp_tick_s=1.0,
            idempotency=Idempotency.UNIQUE_REFERENCE,
            marker="hubId.value",
            page_size=MOST,
            minimum={"read": MOST, "write": AT_ONCE, "fetch": MOST},
        ),
        Stream(
            name="orders",
            modified_path="updatedAt",
            cursor="token",
            lookback_s=LOOKBACK_S,
            consistency="lagging",
            lag_s=LAG_S,
            deletes="absent",
            stamp_tick_s=1.0,
            page_size=MOST,
            parents=("customers",),
            acts=True,
            minimum={"read": MOST, "fetch": MOST},
        ),
        Stream(
            name="checkouts",
            modified_path="updatedAt",
            cursor="token",
            lookback_s=LOOKBACK_S,
            sorted=False,
            consistency="lagging",
            lag_s=LAG_S,
            deletes="event",
            stamp_tick_s=1.0,
            page_size=MOST,
            parents=("customers",),
            acts=True,
            minimum={"read": 58, "fetch": 58},  # 17 points each
        ),
        Stream(
            name="products",
            modified_path="updatedAt",
            cursor="token",
            lookback_s=LOOKBACK_S,
            consistency="lagging",
            lag_s=LAG_S,
            deletes="event",
            stamp_tick_s=1.0,
            page_size=MOST,
            minimum={"read": MOST, "fetch": MOST},
        ),
        Stream(
            name="discounts",
            cursor="snapshot",
            sorted=False,
            deletes="listing",
            stamp_tick_s=1.0,
            gives="code",
            writes=frozenset({"create", "delete"}),  # deleting is ending: what was given stays to be seen
            max_batch=AT_ONCE,
            idempotency=Idempotency.UNIQUE_REFERENCE,
            marker="code",
            page_size=MOST,
            minimum={"read": 99, "write": 1, "fetch": 99},
        ),
    ),
    pages={stream: f"https://admin.shopify.com/store/{{shop}}/{stream}/{{tail}}" for stream in ("customers", "orders")},
    settings=(
        Setting(name="shop", text="Name before .myshopify.com", required=True),
        Setting(name="api_version", text="Admin API version, raised deliberately", default="2026-10"),
        Setting(name="marker", text="Unique metafield of type id for the hub's id", default="hub.id"),
        Setting(name="bulk_from", text="Rows from which a first load is a bulk operation; 0: never", default=BULK_FROM),
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
    # 402 frozen, 404 no such shop, 423 locked: nothing that a retry mends (vendor docs, "Response status codes");
    # 430 a throttled edge
    statuses={402: Kind.FORBIDDEN, 404: Kind.FORBIDDEN, 423: Kind.FORBIDDEN, 430: Kind.THROTTLED},
    classify=classify,
    wait_s=wait_s,
    usage=usage,
    came_to=came_to,
    merging="customers that are merged in Shopify itself cannot be parted there again",
    docs="https://shopify.dev/docs/api/admin-graphql",
)
