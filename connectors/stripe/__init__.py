"""Stripe, through its own SDK on the hub's door: customers both ways; subscriptions, invoices, charges, coupons read.

A reward may be a promotion code: one use of a coupon of that amount, which is made if it is not there. No two active
codes are alike, so a refused repeat is looked for by its code.

Docs: API reference 2026-10-28.endive (pagination, events, idempotent requests, errors), "Rate limits", "Webhooks".

Stripe knows no "modified since": the first read lists everything, newest first; later ones follow the event log, which
reaches back 30 days, and read each object named there again (an event's own copy is frozen in the version of its
making). After a longer gap everything is listed again. Objects carry no modification time, so records have no stamp.

A create carries the hub's id as metadata and the intent's idempotency key, which makes the same call twice one effect
for 24 hours. There is no batch and no precondition.
"""

from __future__ import annotations

from typing import Any

from connectors.stripe.account import check, discover
from connectors.stripe.api import AT_ONCE, KEY_LIFE_S, KINDS, MARKER, OVERLAP_S, PAGE, classify, connect
from connectors.stripe.hooks import parse, subscribe, verify
from connectors.stripe.reading import fetch, find, pull
from connectors.stripe.writing import push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.kit.statuses import Kind


def _stream(name: str, **more: Any) -> Stream:
    return Stream(
        name=name,
        cursor="events",
        lookback_s=OVERLAP_S,
        sorted=False,
        deletes="event",
        page_size=PAGE,
        **{"minimum": {"read": PAGE, "fetch": 1}, **more},
    )


CONNECTOR = Connector(
    name="stripe",
    title="Stripe",
    base_url="https://api.stripe.com",
    hosts=("api.stripe.com",),
    auth=(Auth(kind="token"),),
    # vendor docs, "Rate limits": 100 a second (25 in a sandbox, which a 429 tells), search 20, each endpoint 25
    limits=(
        RateLimit(name="account", calls=100, per_s=1.0, shared=True),
        RateLimit(name="search", calls=20, per_s=1.0, operations=("search",)),
        *(
            RateLimit(name=operation, calls=25, per_s=1.0, operations=(operation,))
            for operation in (*KINDS, "events", "fetch", "create", "update", "delete")
        ),
    ),
    streams=(
        _stream(
            "customers",
            writes=frozenset({"create", "update", "delete"}),
            max_batch=AT_ONCE,
            idempotency=Idempotency.KEY_WITH_LIFE,
            key_life_s=KEY_LIFE_S,
            marker=MARKER,
            minimum={"read": PAGE, "write": 1, "fetch": 1},
        ),
        _stream("subscriptions", parents=("customers",)),
        _stream("invoices", parents=("customers", "subscriptions"), acts=True),
        _stream("charges", parents=("customers",), acts=True),
        _stream("coupons"),
        _stream(
            "promotion_codes",
            parents=("customers",),
            gives="code",
            writes=frozenset({"create", "delete"}),  # deleting is switching off: a code cannot be deleted
            max_batch=AT_ONCE,
            idempotency=Idempotency.KEY_WITH_LIFE,
            key_life_s=KEY_LIFE_S,
            marker="code",
            minimum={"read": PAGE, "write": 1, "fetch": 1},
        ),
    ),
    pages={
        stream: f"https://dashboard.stripe.com{{/stripe_account}}/{page}/{{id}}"
        for stream, page in {
            "customers": "customers",
            "subscriptions": "subscriptions",
            "invoices": "invoices",
            "charges": "payments",
            "coupons": "coupons",
        }.items()
    },
    settings=(
        Setting(name="stripe_account", text="Connected account to act on (acct_…)"),
        Setting(name="marker", text="Metadata key that carries the hub's id", default="hub_id"),
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
    statuses={424: Kind.TROUBLE},  # vendor docs, "Errors": something that Stripe depends on failed
    classify=classify,
    docs="https://docs.stripe.com/api",
)
