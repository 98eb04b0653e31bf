"""Salesforce, through simple-salesforce on the hub's door.

Docs: REST API Developer Guide (query, sObject Collections, Composite, conditional requests), Limits Quick Reference.

Reads are keyset queries over (SystemModstamp, Id) with queryAll, so deleted and merged rows come along; one call is
one page of 2,000 rows. A read starts ten minutes before its cursor, because a long transaction commits after its
stamps were given. A converted lead is `merged_into` a record of another stream, written "contacts:003…".
What may name a contact or a lead (`WhoId` of a task, `LeadOrContactId` of a campaign's member) names a lead as
"leads:00Q…": map it with `to: [contacts, leads]`.

A first load of many rows (`bulk_from`) is a query job of Bulk API 2.0: its results, 10,000 rows a call, are the rows
that queries would have given, and reading goes on from them as from any other page. If the job fails, queries do.

Writes are one Composite call for up to 800 rows (four collections of 200), whose fifth subrequest reads back what is
now stored. Creates are upserts on the external id field that carries the hub's id, so a repeat makes no second record.
Up to 24 updates go out as single PATCHes, each with its own If-Unmodified-Since.

Settings of a stream: `fields`, the remote fields to read; without it all that the user may see.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.salesforce.account import check, discover
from connectors.salesforce.api import STATUSES, WRITTEN, classify, connect, usage
from connectors.salesforce.reading import BULK_FROM, LOOKBACK_S, PAGE, SPLIT_FROM, fetch, find, pull, split
from connectors.salesforce.writing import COLLECTION, COLLECTIONS, push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream


def _stream(name: str, *, parents: Sequence[str] = ()) -> Stream:
    writable = name in WRITTEN
    return Stream(
        name=name,
        id_path="Id",
        modified_path="SystemModstamp",
        lookback_s=LOOKBACK_S,
        deletes="absent" if name == "users" else "tombstone",
        writes=frozenset({"create", "update", "delete"}) if writable else frozenset(),
        max_batch=COLLECTION * COLLECTIONS,
        precondition="unmodified-since",
        stamp_tick_s=1.0,
        idempotency=Idempotency.UNIQUE_REFERENCE if writable else Idempotency.NONE,
        marker="Hub_Id__c" if writable else None,
        answers_with_record=False,
        page_size=PAGE,
        parents=parents,
        minimum={"read": PAGE, "write": 1000, "fetch": PAGE},
    )


CONNECTOR = Connector(
    name="salesforce",
    title="Salesforce",
    base_url="https://{domain}.salesforce.com",
    hosts=(".my.salesforce.com",),
    auth=(
        Auth(kind="client_credentials", token_url="/services/oauth2/token"),
        Auth(kind="refresh_token", token_url="/services/oauth2/token", rotates=True),
        Auth(kind="token"),
    ),
    # The smallest paid edition; the real figure comes with each answer and replaces this one (`usage`).
    limits=(
        RateLimit(name="daily", calls=100_000, per_s=86_400, shared=True),
        RateLimit(name="jobs", calls=10_000, per_s=86_400, operations=("job",), shared=True),
        RateLimit(name="polls", calls=1, per_s=3.0, operations=("poll",)),  # ours: a job takes seconds to minutes
    ),
    streams=(
        _stream("users"),
        _stream("accounts", parents=("users",)),
        _stream("contacts", parents=("users", "accounts")),
        _stream("leads", parents=("users",)),
        _stream("opportunities", parents=("users", "accounts", "contacts")),
        _stream("campaigns", parents=("users",)),
        _stream("campaign_members", parents=("campaigns", "contacts", "leads")),
        _stream("tasks", parents=("users", "accounts", "contacts", "leads", "opportunities")),
    ),
    # any record opens by its id behind the account's address
    pages=dict.fromkeys(
        ("users", "accounts", "contacts", "leads", "opportunities", "campaigns", "tasks"),
        "https://{domain}.salesforce.com/{id}",
    ),
    settings=(
        Setting(name="domain", text="My Domain name with .my at its end, such as acme.my", required=True),
        Setting(name="api_version", text="REST API version, raised deliberately", default="68.0"),
        Setting(name="marker", text="Unique external id field for the hub's id", default="Hub_Id__c"),
        Setting(name="bulk_from", text="Rows from which a first load is a query job; 0: never", default=BULK_FROM),
        Setting(name="split_from", text="Rows from which workers share a first load; 0: never", default=SPLIT_FROM),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    split=split,
    fetch=fetch,
    find=find,
    push=push,
    statuses=STATUSES,
    classify=classify,
    usage=usage,
    merging="of a merge in Salesforce itself the lost record can be restored for a while, but not what hung on it",
    docs="https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/",
)
