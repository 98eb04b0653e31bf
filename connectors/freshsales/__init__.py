"""Freshsales (Freshworks CRM), on the hub's door: owners read; accounts, contacts and deals both ways.

Docs: developers.freshworks.com/crm/api (views, filtered search, bulk upsert, job statuses, lookup); help centre, "Rate
limits".

There is no plain list: a read looks up the account's views by their names, goes through the view newest change first,
and stops behind the last read's start; then through the view "Recycle Bin", which holds what was deleted. Rows slide to
later pages while others are edited, so one may come twice; if the count shrinks, the read goes back as many rows.

Choices of standard fields are ids that differ from account to account: records get the words beside them
(`lifecycle_stage`, `lead_source`, `industry_type`, `deal_stage`, `currency`), and writes are given the words.

Four or more updates go as one bulk job, which is asked for its end and read back in one call. A bulk row without owner
would be given to the API user, so each carries the owner that the record was last seen to have.

Webhooks are made by an admin: a workflow with the action "Trigger webhook" that sends the JSON
{"record_type": "contact", "id": ..., "updated_at": ..., "event": ...} (or sales_account, deal) to the hub's address.
"""

from __future__ import annotations

from connectors.freshsales.account import check, discover, parse
from connectors.freshsales.api import BULK, OVERLAP_S, PAGE, classify, connect, usage
from connectors.freshsales.reading import fetch, find, pull
from connectors.freshsales.writing import push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.kit.statuses import Kind
from hub.model import Json


def _stream(name: str, **more: Json) -> Stream:
    given = {
        "modified_path": "updated_at",
        "cursor": "offset",
        "lookback_s": OVERLAP_S,
        "sorted": False,
        "deletes": "tombstone",
        "writes": frozenset({"create", "update", "delete"}),
        "max_batch": BULK,
        "stamp_tick_s": 1.0,
        "idempotency": Idempotency.SEARCHABLE_REFERENCE,
        "marker": "custom_field.cf_hub_id",
        "page_size": PAGE,
        "minimum": {"read": PAGE, "write": BULK, "fetch": 1},
        **more,
    }
    return Stream(name=name, **given)


CONNECTOR = Connector(
    name="freshsales",
    title="Freshsales (Freshworks CRM)",
    base_url="https://{domain}.myfreshworks.com/crm/sales",
    hosts=(".myfreshworks.com",),  # the older freshsales.io hosts throttle Suite accounts at their edge
    auth=(Auth(kind="token", scheme="Token token="),),
    # help centre, "Rate limits": an hour of all users together, by plan (1,000 to 5,000), and 400 a minute
    limits=(
        RateLimit(name="hourly", calls=1000, per_s=3600.0, shared=True),
        RateLimit(name="minute", calls=400, per_s=60.0, shared=True),
        RateLimit(name="polls", calls=1, per_s=2.0, operations=("job_status",)),  # ours: a job takes seconds
    ),
    streams=(
        Stream(
            name="owners",
            cursor="snapshot",
            deletes="listing",
            sorted=False,
            page_size=1000,
            minimum={"read": 1000, "fetch": 1000},
        ),
        _stream("sales_accounts", parents=("owners",)),
        _stream("contacts", parents=("owners", "sales_accounts"), marker="external_id"),
        _stream("deals", parents=("owners", "sales_accounts", "contacts")),
    ),
    pages={
        stream: f"https://{{domain}}.myfreshworks.com/crm/sales/{page}/{{id}}"
        for stream, page in {"contacts": "contacts", "sales_accounts": "accounts", "deals": "deals"}.items()
    },
    settings=(
        Setting(name="domain", text="Name before .myfreshworks.com", required=True),
        Setting(name="marker", text="Text field of accounts and deals for the hub's id", default="cf_hub_id"),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    parse=parse,
    statuses={405: Kind.BUSY},  # observed at bulk upsert: too many jobs under way
    classify=classify,
    usage=usage,
    docs="https://developers.freshworks.com/crm/api/",
)
