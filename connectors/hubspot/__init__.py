"""HubSpot, through hubspot-api-client on the hub's door.

Docs: CRM API guides (objects, search, batch, associations, properties), usage guidelines, webhooks, request validation.

The first read lists everything, 100 a call, with associations inline. Later ones search by modification time, 200 a
call, ascending and by keyset: at a page's edge the records of that millisecond are named and left out, and a
millisecond with too many is read by id. So neither the cap of 10,000 results nor records that move while being read
lose anything. Search lags, so each read starts five minutes before its cursor. Search shows neither archived records
(listed now and then, `archived_every_s`) nor associations (one more call per 1,000 records and kind).

The list cannot be entered in its middle (its `after` is the vendor's own, whatever it looks like), so a first load that
workers share is searched for, in ranges of ids: 200 a call and past the cap, within the five searches a second that the
account has; associations cost a call more per 1,000 records and kind.

Records are in the vendor's shape: properties below `properties` (a mapping says `root: properties`), associated ids
below `associations`. Bodies of writes have property names at the top, and `associations: {name: id}`.

An association that carries a label of the account's own is named with it: `{association: "deal_to_contact:Decision
maker"}`. Tasks and lists send no webhooks. Lists are read whole, and of those in the setting `lists` the members, too.

The SDK speaks v3 and v4, which HubSpot ends in 2027; with the setting `version` the same calls go to the paths of a
version by date. From 2026-09 on the account's own rules (required fields) hold for writes, too.

HubSpot knows no precondition: the engine reads a batch right before it writes it. A create carries the hub's id in a
unique property, so a repeat is refused and tells whose it is.

Settings of a stream: `fields`, the properties to read (all without it); `associations`, the streams to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.hubspot.account import check, discover
from connectors.hubspot.api import MODIFIED, STATUSES, classify, connect, usage, wait_s
from connectors.hubspot.hooks import parse, verify
from connectors.hubspot.lists import LISTS_PAGE, MEMBERS_PAGE
from connectors.hubspot.reading import LIST_PAGE, LOOKBACK_S, SEARCH_PAGE, SPLIT_FROM, fetch, find, pull, split
from connectors.hubspot.writing import BATCH, push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream


def _stream(name: str, *, parents: Sequence[str] = ()) -> Stream:
    return Stream(
        name=name,
        modified_path=f"properties.{MODIFIED[name]}",
        lookback_s=LOOKBACK_S,
        consistency="lagging",
        lag_s=60.0,
        deletes="archived",
        writes=frozenset({"create", "update", "archive"}),
        max_batch=BATCH,
        idempotency=Idempotency.UNIQUE_REFERENCE,
        marker="hub_id",
        page_size=LIST_PAGE,
        parents=parents,
        minimum={"read": LIST_PAGE, "changes": SEARCH_PAGE, "write": BATCH, "fetch": LIST_PAGE},
    )


def _whole(name: str, page: int, *, deletes: str = "listing", **more: Any) -> Stream:
    """A stream that is listed whole each time."""
    minimum = {"read": page, "fetch": page}
    given = {"cursor": "snapshot", "sorted": False, "deletes": deletes, "page_size": page, "minimum": minimum}
    return Stream(name=name, **{**given, **more})


CONNECTOR = Connector(
    name="hubspot",
    title="HubSpot",
    base_url="https://api.hubapi.com",
    hosts=("api.hubapi.com", "api-eu1.hubapi.com", "api-na2.hubapi.com", "api-ap1.hubapi.com"),
    auth=(Auth(kind="token"), Auth(kind="refresh_token", token_url="/oauth/v1/token", rotates=True)),
    limits=(
        RateLimit(name="burst", calls=100, per_s=10),  # smallest plan; each answer names the real figure (`usage`)
        RateLimit(name="search", calls=5, per_s=1, operations=("search",), shared=True),
        RateLimit(name="daily", calls=250_000, per_s=86_400, shared=True),
    ),
    streams=(
        _whole("owners", LIST_PAGE, modified_path="updatedAt", deletes="absent"),
        _stream("companies", parents=("owners",)),
        _stream("contacts", parents=("owners", "companies")),
        _stream("deals", parents=("owners", "companies", "contacts")),
        _stream("tickets", parents=("owners", "companies", "contacts", "deals")),
        _stream("tasks", parents=("owners", "companies", "contacts", "deals")),
        _whole("lists", LISTS_PAGE, id_path="listId", modified_path="updatedAt"),
        _whole("list_members", MEMBERS_PAGE, modified_path="at", parents=("lists", "contacts")),
    ),
    # as the address of a record's page shows it, with the type's number (fact sheet, "Object types")
    pages={
        stream: f"https://app.hubspot.com/contacts/{{portal_id}}/record/{number}/{{id}}"
        for stream, number in {"contacts": "0-1", "companies": "0-2", "deals": "0-3", "tickets": "0-5"}.items()
    },
    settings=(
        Setting(name="marker", text="Unique property for the hub's id", default="hub_id"),
        Setting(name="version", text="Paths of the interface: v3, or a version by date such as 2026-09", default="v3"),
        Setting(name="lists", text="Ids of the lists whose members are read; without it none"),
        Setting(name="portal_id", text="Account id; webhooks of others are refused"),
        Setting(name="archived_every_s", text="How often archived records are listed, seconds", default=3600),
        Setting(name="split_from", text="Rows from which workers share a first load; 0: never", default=SPLIT_FROM),
        Setting(name="secret", text="Client secret of the app, as webhooks.secret", secret=True),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    split=split,
    fetch=fetch,
    find=find,
    push=push,
    verify=verify,
    parse=parse,
    statuses=STATUSES,
    classify=classify,
    wait_s=wait_s,
    usage=usage,
    merging="what is merged in HubSpot itself cannot be parted there again",
    docs="https://developers.hubspot.com/docs/api-reference",
)
