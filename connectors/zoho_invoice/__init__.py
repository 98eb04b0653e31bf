"""Zoho Invoice, on the hub's door: customers both ways; invoices and payments read.

Docs: zoho.com/invoice/api/v3 (OAuth, contacts, invoices, customer payments); zoho.com/books/api/v3 where it is the
same; zoho.com/billing, "Securing webhooks".

Contacts cannot be asked for by time: they are read newest change first, up to the start of the last read. Their
addresses and contact persons stand in single records only, so each changed one is read by its id if the mapping wants
them. Invoices know "modified since". Payments know neither and are listed whole: read them seldom (`every: 1d`), since
a day has few calls. What was deleted is not told anywhere.

A write changes one record. Zoho replaces lists, so the contact persons that are there are sent along. A create names a
unique custom field with the hub's id, which makes the same create twice one record.
"""

from __future__ import annotations

from connectors.zoho_invoice.account import check, discover, parse, verify
from connectors.zoho_invoice.api import OVERLAP_S, PAGE, classify, connect, wait_s
from connectors.zoho_invoice.reading import fetch, find, pull
from connectors.zoho_invoice.writing import push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.model import Json

AT_ONCE = 30  # changes of one push: one call each, at a hundred a minute
CENTRES = ("com", "eu", "in", "com.au", "jp", "sa", "com.cn")


def _stream(name: str, id_path: str, **more: Json) -> Stream:
    given = {
        "id_path": id_path,
        "modified_path": "last_modified_time",
        "lookback_s": OVERLAP_S,
        "sorted": False,
        "stamp_tick_s": 1.0,
        "page_size": PAGE,
        "minimum": {"read": PAGE, "fetch": 1},
        **more,
    }
    return Stream(name=name, **given)


CONNECTOR = Connector(
    name="zoho_invoice",
    title="Zoho Invoice",
    base_url="https://www.zohoapis.{dc}/invoice/v3",
    hosts=(*(f"www.zohoapis.{dc}" for dc in CENTRES), *(f"accounts.zoho.{dc}" for dc in CENTRES)),
    auth=(Auth(kind="refresh_token", scheme="Zoho-oauthtoken", token_url="https://accounts.zoho.{dc}/oauth/v2/token"),),
    # Books documentation: 100 a minute of an organisation. The day's figure for Invoice is in no source: 1,000 is that
    # of the smallest plan of its sister products, as are five calls at once
    limits=(
        RateLimit(name="minute", calls=100, per_s=60.0, shared=True),
        RateLimit(name="daily", calls=1000, per_s=86_400.0, shared=True),
        RateLimit(name="together", calls=5, per_s=0, unit="at_once"),
    ),
    streams=(
        _stream(
            "contacts",
            "contact_id",
            cursor="offset",
            deletes="absent",  # who was made inactive is archived; a delete shows nowhere
            writes=frozenset({"create", "update", "archive", "delete"}),
            max_batch=AT_ONCE,
            idempotency=Idempotency.UNIQUE_REFERENCE,
            marker="custom_field_hash.cf_hub_id",
            minimum={"read": 1, "write": 1, "fetch": 1},
        ),
        _stream("invoices", "invoice_id", cursor="offset", deletes="absent", parents=("contacts",), acts=True),
        _stream(
            "customerpayments",
            "payment_id",
            cursor="snapshot",
            deletes="listing",
            lookback_s=0.0,
            parents=("contacts",),
            acts=True,
        ),
    ),
    pages={
        stream: f"https://invoice.zoho.{{dc}}/app/{{organization}}#/{stream}/{{id}}"
        for stream in ("contacts", "invoices")
    },
    settings=(
        Setting(name="dc", text="Data centre: com, eu, in, com.au, jp, sa or com.cn", required=True),
        Setting(name="organization", text="Id of the organisation", required=True),
        Setting(name="marker", text="Unique custom field of contacts for the hub's id", default="cf_hub_id"),
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
    classify=classify,
    wait_s=wait_s,
    docs="https://www.zoho.com/invoice/api/v3/",
)
