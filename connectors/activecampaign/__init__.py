"""ActiveCampaign, on the hub's door: users, automations and e-mails read; accounts, contacts and deals both ways.

Docs: developers.activecampaign.com (pagination, rate limits, contacts, bulk import, deals, accounts, webhooks).

Contacts are read by id within "changed after the last read began", their custom fields, tags, lists and account in the
same call. Tags and lists may not move a contact's own time, so webhooks and the weekly sweep find those changes. Deals
know "changed after"; accounts and entries into automations are listed whole every time, a hundred a call: with very
many entries say `streams: {contactAutomations: {every: 1d}}`, or take their mapping out.

Custom fields of contacts stand under `fields.<PERSONALISATION TAG>`, tags by name under `tags`. The membership of the
list that the setting `list` names is the consent to e-mail: `subscription`. The account and the job title stand in the
association that each contact has at most once: `account_id`, `job_title`.

What people did with e-mails (opened, followed a link, left a list) only webhooks tell, once and never again; the lists
of activities ignore filters silently, and would be read whole.

Events of people (`events`) are pushed to the account's event tracking, a host of its own, where its settings are given
and the mapping says which: they cannot be read, changed or taken back, and each call is another event.

Ten or more updates of plain values go as one import, which is asked for its end. New contacts are made one by one: an
import tells the ids of those that it made or found, and neither whose they are nor which were there before. Deletes are
not told anywhere, and webhooks are not signed, are never sent again, and stay out for changes made through the API.
"""

from __future__ import annotations

from connectors.activecampaign.account import check, discover, parse, subscribe
from connectors.activecampaign.api import AT_ONCE, EVENTS, OVERLAP_S, PAGE, classify, connect
from connectors.activecampaign.reading import EMAIL_EVENTS, fetch, find, pull
from connectors.activecampaign.writing import push
from hub.connector import Auth, Connector, Idempotency, RateLimit, Setting, Stream
from hub.model import Json

WRITES = frozenset({"create", "update", "delete"})


def _stream(name: str, **more: Json) -> Stream:
    return Stream(name=name, **{"sorted": False, "page_size": PAGE, "minimum": {"read": PAGE, "fetch": 1}, **more})


CONNECTOR = Connector(
    name="activecampaign",
    title="ActiveCampaign",
    base_url="https://{account}.api-us1.com",
    hosts=(".api-us1.com", "trackcmp.net"),  # as the account's page "Developer" shows it; event tracking
    auth=(Auth(kind="token", header="Api-Token", scheme=""),),
    # vendor docs, "Rate limits": 5 calls a second for all keys and apps of an account; imports apart
    limits=(
        RateLimit(name="account", calls=5, per_s=1.0, shared=True),
        RateLimit(name="imports", calls=100, per_s=60.0, operations=("import",), shared=True),
        RateLimit(name="polls", calls=1, per_s=2.0, operations=("import_status",)),  # ours: an import takes seconds
    ),
    streams=(
        _stream("users", cursor="snapshot", deletes="listing", minimum={"read": PAGE, "fetch": PAGE}),
        _stream(
            "accounts",
            modified_path="updatedTimestamp",
            cursor="snapshot",
            deletes="listing",
            writes=WRITES,
            max_batch=AT_ONCE,
            stamp_tick_s=1.0,
            parents=("users",),
            minimum={"read": PAGE, "write": 1, "fetch": 1},
        ),
        _stream(
            "contacts",
            modified_path="udate",
            lookback_s=OVERLAP_S,
            writes=WRITES,
            max_batch=AT_ONCE,
            stamp_tick_s=1.0,
            idempotency=Idempotency.SEARCHABLE_REFERENCE,
            marker="fields.HUB_ID",
            parents=("accounts",),
            minimum={"read": PAGE, "write": AT_ONCE, "fetch": PAGE},
        ),
        _stream(
            "deals",
            modified_path="mdate",
            cursor="offset",
            lookback_s=OVERLAP_S,
            writes=WRITES,
            max_batch=AT_ONCE,
            stamp_tick_s=1.0,
            parents=("users", "accounts", "contacts"),
            minimum={"read": PAGE, "write": 1, "fetch": 1},
        ),
        _stream("contactAutomations", cursor="snapshot", deletes="listing", acts=True, parents=("contacts",)),
        _stream(
            EVENTS,
            cursor="none",
            writes=frozenset({"create"}),
            max_batch=AT_ONCE,
            parents=("contacts",),
            minimum={"write": 1},
        ),
        _stream(EMAIL_EVENTS, cursor="none", acts=True, delivered=True, parents=("contacts",), minimum={}),
    ),
    pages={
        stream: f"https://{{account}}.activehosted.com/app/{stream}/{{id}}"
        for stream in ("contacts", "accounts", "deals")
    },
    settings=(
        Setting(name="account", text="Name before .api-us1.com, or set base_url", required=True),
        Setting(name="list", text="Id of the list whose membership is the consent to e-mail"),
        Setting(name="actid", text="Number of the account for event tracking; its key is `event_key` beside the token"),
        Setting(name="marker", text="Personalisation tag of the contact field for the hub's id", default="HUB_ID"),
    ),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    parse=parse,
    subscribe=subscribe,
    classify=classify,
    docs="https://developers.activecampaign.com/reference",
)
