"""QuickBooks Online, on the hub's door: customers both ways; invoices and payments read.

Docs: developer.intuit.com (accounting API, query operations, change data capture, batch, webhooks, OAuth 2.0, errors).

The first read goes up the time of change by queries; later ones ask the change log, which reaches back 30 days, names
what was deleted, and holds at most 1,000 objects: after a longer gap, or with more changes, queries are used again. A
stored record that breaks a query is found by halves and told; the others of its page are read.

Every update carries the version that it was decided on (SyncToken), so no edit is overwritten. Writes go thirty at a
time, each under a key of its own: the same create twice is one. A customer is never deleted there, only set inactive.

The refresh token changes with its use; the hub keeps the newest. Webhooks are set up in Intuit's developer portal.
"""

from __future__ import annotations

from connectors.quickbooks.account import check, discover, parse, verify
from connectors.quickbooks.api import BATCH, OVERLAP_S, PAGE, classify, connect, wait_s
from connectors.quickbooks.reading import IDS, fetch, find, pull
from connectors.quickbooks.writing import push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.model import Json

AT_ONCE = 300  # changes of one push: ten batches


def _stream(name: str, **more: Json) -> Stream:
    given = {
        "id_path": "Id",
        "modified_path": "MetaData.LastUpdatedTime",
        "cursor": "events",
        "lookback_s": OVERLAP_S,
        "sorted": False,
        "deletes": "event",
        "stamp_tick_s": 1.0,
        "page_size": PAGE,
        "minimum": {"read": PAGE, "fetch": IDS},
        **more,
    }
    return Stream(name=name, **given)


CONNECTOR = Connector(
    name="quickbooks",
    title="QuickBooks Online",
    base_url="https://quickbooks.api.intuit.com/v3/company/{realm}",
    hosts=("quickbooks.api.intuit.com", "sandbox-quickbooks.api.intuit.com", "oauth.platform.intuit.com"),
    auth=(
        Auth(
            kind="refresh_token",
            token_url="https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
            token_client="basic",
            rotates=True,
        ),
    ),
    # vendor docs, "Rate limits": 500 a minute of all apps of a company, 10 a second and 40 batches a minute of each
    limits=(
        RateLimit(name="company", calls=500, per_s=60.0, shared=True),
        RateLimit(name="second", calls=10, per_s=1.0),
        RateLimit(name="batches", calls=40, per_s=60.0, operations=("batch",)),
    ),
    streams=(
        _stream(
            "customers",
            deletes="archived",
            writes=frozenset({"create", "update", "archive"}),
            max_batch=AT_ONCE,
            precondition="version",
            idempotency=Idempotency.KEY_WITH_LIFE,
            key_life_s=3600.0,  # how long it is remembered is not told; a name is unique all the same
            minimum={"read": PAGE, "write": BATCH, "fetch": IDS},
        ),
        _stream("invoices", parents=("customers",), acts=True),
        _stream("payments", parents=("customers", "invoices"), acts=True),
    ),
    pages={
        stream: f"https://app.qbo.intuit.com/app/{page}={{id}}&deeplinkcompanyid={{realm}}"
        for stream, page in {
            "customers": "customerdetail?nameId",
            "invoices": "invoice?txnId",
            "payments": "recvpayment?txnId",
        }.items()
    },
    settings=(Setting(name="realm", text="Company id (realmId), as the sign-in brought it", required=True),),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    verify=verify,
    parse=parse,
    classify=classify,
    wait_s=wait_s,
    docs="https://developer.intuit.com/app/developer/qbo/docs/develop",
)
