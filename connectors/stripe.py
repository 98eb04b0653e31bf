"""Stripe, through its own SDK on the hub's door: customers both ways, subscriptions, invoices and charges read.

Docs: API reference 2026-10-28.endive (pagination, events, idempotent requests, errors), "Rate limits", "Webhooks".

Stripe knows no "modified since": the first read lists everything, newest first; later ones follow the event log, which
reaches back 30 days, and read each object named there again (an event's own copy is frozen in the version of its
making). After a longer gap everything is listed again. Objects carry no modification time, so records have no stamp.

A create carries the hub's id as metadata and the intent's idempotency key, which makes the same call twice one effect
for 24 hours. There is no batch and no precondition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
import stripe

from hub.connector import (
    Auth,
    Connector,
    Door,
    Field,
    HttpResponse,
    Idempotency,
    Page,
    RateLimit,
    Setting,
    Settings,
    Stream,
    WebhookEvent,
    WebhookRequest,
    call_label,
)
from hub.errors import (
    HubError,
    NeedsReview,
    NotFound,
    OutcomeUnknown,
    RecordRejected,
    RetryLater,
)
from hub.kit.paging import require_progress, rest_at
from hub.kit.pushing import send_each
from hub.kit.reading import read_rows
from hub.kit.signing import require_dated_signature, secrets_of, signature_parts
from hub.kit.statuses import Kind
from hub.model import ChangeSet, Json, PushResult, SourceRecord

PAGE = 100  # rows of a list (vendor docs, "Pagination")
OVERLAP_S = 600.0  # events have whole seconds and can show up late (tap-stripe #45 looks back five minutes)
EVENT_DAYS = 29  # the log reaches back 30 days (vendor docs, "List all events"); a day is left
DAY_S = 86_400.0
KEY_LIFE_S = 86_400.0  # vendor docs, "Idempotent requests": at least 24 hours
REMEMBERED = 1000  # events of the overlap that the cursor names as done
TOLERANCE_S = 300.0  # vendor docs, "Webhooks": signatures older than five minutes
SEARCH_LAG_S = 3600.0  # vendor docs, "Search": up to an hour behind in outages
MARKER = "metadata.hub_id"  # unless the settings name another key
AT_ONCE = 100  # changes of one push; one call each, at 25 calls a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Kindred:
    """A stream's place in the API."""

    path: str
    events: tuple[str, ...]  # at most 20 names (vendor docs, "List all events": types)
    listing: Mapping[str, str] = field(default_factory=dict)  # further parameters of its list


KINDS: Mapping[str, Kindred] = {
    "customers": Kindred(
        path="/v1/customers", events=tuple(f"customer.{what}" for what in ("created", "updated", "deleted"))
    ),
    "subscriptions": Kindred(
        path="/v1/subscriptions",
        events=tuple(
            f"customer.subscription.{what}"
            for what in (
                "created", "updated", "deleted", "paused", "resumed", "pending_update_applied",
                "pending_update_expired", "trial_will_end",
            )
        ),
        listing={"status": "all"},  # without it cancelled ones are left out (tap-stripe #113)
    ),
    "invoices": Kindred(
        path="/v1/invoices",
        events=tuple(
            f"invoice.{what}"
            for what in (
                "created", "updated", "deleted", "finalized", "sent", "paid", "payment_failed", "payment_succeeded",
                "voided", "marked_uncollectible", "overdue",
            )
        ),
    ),
    "charges": Kindred(
        path="/v1/charges",
        events=(
            *(
                f"charge.{what}"
                for what in ("succeeded", "failed", "pending", "captured", "updated", "refunded", "expired")
            ),
            *(f"charge.dispute.{what}" for what in ("created", "updated", "closed", "funds_withdrawn")),
            *(f"refund.{what}" for what in ("created", "updated", "failed")),
        ),
    ),
}  # fmt: skip
STREAM_OF = {name: stream for stream, kind in KINDS.items() for name in kind.events}
GONE = frozenset({"customer.deleted", "invoice.deleted"})  # a deleted subscription is a cancelled one and stays
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")  # anything else in a path would reach other resources


@dataclass(slots=True)
class StripeApi:
    """What `connect` hands out."""

    door: Door
    sdk: stripe.StripeClient
    marker: str  # key of the metadata that carries the hub's id
    seen: dict[str, tuple[float, set[str]]] = field(default_factory=dict)  # stream -> start of a read, ids read in it


def connect(door: Door, settings: Settings) -> StripeApi:
    """The SDK on the door's session; the door signs in, so the key here is only a placeholder."""
    client = stripe.RequestsClient(session=door.session())
    sdk = stripe.StripeClient(
        "sk_door",
        base_addresses={"api": door.base_url},
        http_client=client,
        max_network_retries=0,  # the door repeats reads, and nobody repeats writes
        stripe_account=str(settings.values["stripe_account"]) if settings.values.get("stripe_account") else None,
    )
    return StripeApi(door=door, sdk=sdk, marker=str(settings.values.get("marker") or "hub_id"))


# --- one call ----------------------------------------------------------------------------------------------------


def call(
    api: StripeApi,
    method: str,
    path: str,
    operation: str,
    params: Mapping[str, Any] | None = None,
    *,
    key: str = "",
    writes: bool = False,
) -> Json:
    """One call through the SDK, its body decoded. Raises hub errors only."""
    options: dict[str, Any] = {"headers": call_label(operation, writes=writes)}
    if key:
        options["idempotency_key"] = key
    try:
        answer = api.sdk.raw_request(method, path, **(params or {}), **options)
    except stripe.StripeError as error:
        raise _translated(error, operation, writes=writes, where=api.door.account) from None
    return orjson.loads(answer.body)


def _translated(error: stripe.StripeError, operation: str, *, writes: bool, where: str) -> HubError:
    """The SDK's error as ours. Its texts quote values, so only code and parameter are passed on."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HubError):
            return cause
        cause = cause.__cause__ or cause.__context__
    told = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    fields = told if isinstance(told, dict) else {}  # not every class of the SDK passes code and parameter on
    status, code, name = error.http_status or 0, str(fields.get("code") or ""), str(fields.get("param") or "")
    message = f"{operation} answered {status} {code}".strip()
    if status == 404:
        return NotFound(message, code=code or "NET-404", where=where)
    if status == 403:
        fix = "give the restricted key this permission"
        return NeedsReview(message, code=code or "NET-FORBIDDEN", where=where, fix=fix)
    if status == 400 and fields.get("type") == "idempotency_error":
        # The key was used with another body: something of ours may have landed under it
        return RecordRejected(message, code="idempotency_error", where=where)
    if 400 <= status < 500 and status != 409:
        return RecordRejected(message, code=code or "REC-REJECTED", field=name, where=where)
    if writes:  # 409: the first call with this key is still running; else no answer, or none that is JSON
        return OutcomeUnknown(message, code=code, where=where)
    return RetryLater(message, code=code or "NET-NOT-JSON", where=where)


def classify(response: HttpResponse) -> str | None:
    """A locked object is not a connection that calls too fast, though both are 429."""
    return Kind.BUSY if response.status == 429 and b'"lock_timeout"' in response.body else None


# --- reading -----------------------------------------------------------------------------------------------------


def _record(api: StripeApi, row: dict[str, Json]) -> SourceRecord:
    if row.get("deleted"):
        return SourceRecord(external_id=row["id"], data={}, op="delete")
    return SourceRecord(external_id=row["id"], data=row, marker=(row.get("metadata") or {}).get(api.marker) or None)


def pull(api: StripeApi, stream: str, cursor: Json) -> Page:
    """One page of the list, or of the events since the last read with the objects they name.

    Cursor: {"list": last id or "", "from": start of this read}, or {"since": epoch s, "done": events of the overlap
    that were dealt with}, which while under way also has {"after": event, "from": start, "new": events for "done"}.
    """
    if cursor is None:
        return _listed(api, stream, {"list": "", "from": None})
    if "list" in cursor:
        return _listed(api, stream, cursor)
    if cursor["since"] < api.door.vendor_now() - EVENT_DAYS * DAY_S:
        return _listed(api, stream, {"list": "", "from": None})
    return _changed(api, stream, cursor)


def _listed(api: StripeApi, stream: str, at: Mapping[str, Json]) -> Page:
    """Newest first: what is made meanwhile stands in front, and the events since the start tell of it."""
    kind = KINDS[stream]
    params = {"limit": PAGE, **kind.listing, **({"starting_after": at["list"]} if at["list"] else {})}
    try:
        answer = call(api, "get", kind.path, stream, params)
    except (NotFound, RecordRejected) as error:
        if not at["list"] or error.code != "resource_missing":
            raise
        # The object that the page was to start after has been deleted: from the front again
        return Page(records=(), next_cursor={"list": "", "from": at["from"]}, complete=False, read_at=at["from"])
    started = at["from"] or api.door.vendor_now()
    records, faults = read_rows(answer["data"], partial(_record, api), id_key="id")
    if not answer["has_more"]:
        rest = {"since": rest_at(started, OVERLAP_S), "done": []}
        return Page(records=records, next_cursor=rest, complete=True, faults=faults, read_at=started)
    last = answer["data"][-1].get("id", at["list"]) if answer["data"] else at["list"]
    following = {"list": require_progress(at["list"], last, where=f"{api.door.account}/{stream}"), "from": started}
    return Page(records=records, next_cursor=following, complete=False, faults=faults, read_at=started)


def _changed(api: StripeApi, stream: str, at: Mapping[str, Json]) -> Page:
    """Objects named by one page of events, newest first, each read once in a read."""
    params: dict[str, Any] = {
        "limit": PAGE, "types": list(KINDS[stream].events), "created": {"gte": int(at["since"])},
    }  # fmt: skip
    if at.get("after"):
        params["starting_after"] = at["after"]
    answer = call(api, "get", "/v1/events", "events", params)
    started = at.get("from") or api.door.vendor_now()
    events = answer["data"]
    records = _named(api, stream, events, frozenset(at["done"]), started)
    rest_since = rest_at(started, OVERLAP_S)
    new = [*at.get("new", ()), *(event["id"] for event in events if event["created"] >= rest_since)]
    if not answer["has_more"]:
        api.seen.pop(stream, None)
        # Forgetting some of them only means that their objects are read once more
        rest = {"since": rest_since, "done": new if len(new) <= REMEMBERED else []}
        return Page(records=records, next_cursor=rest, complete=True, read_at=started)
    last = events[-1]["id"] if events else at.get("after")
    after = require_progress(at.get("after"), last, where=f"{api.door.account}/{stream}")
    following = {"since": at["since"], "done": at["done"], "after": after, "from": started, "new": new}
    return Page(records=records, next_cursor=following, complete=False, read_at=started)


def _named(
    api: StripeApi, stream: str, events: Sequence[Mapping[str, Json]], done: frozenset[str], started: float
) -> list[SourceRecord]:
    """The objects of these events as they are now. What earlier pages of this read brought is not read again."""
    known = api.seen.get(stream)
    seen = known[1] if known and known[0] == started else set()
    newest: dict[str, str] = {}  # object -> type of its newest event
    for event in events:
        external_id = object_id(event)
        if event["id"] not in done and external_id and external_id not in seen:
            newest.setdefault(external_id, event["type"])
    records = [
        SourceRecord(external_id=external_id, data={}, op="delete") if kind in GONE else _get(api, stream, external_id)
        for external_id, kind in newest.items()
    ]
    api.seen[stream] = (started, seen | set(newest))
    return records


def object_id(event: Mapping[str, Json]) -> str:
    """The object that an event makes us read: disputes and refunds are read with their charge."""
    subject = event["data"]["object"]
    name = "charge" if subject.get("object") in ("dispute", "refund") else "id"
    return str(subject.get(name) or "")  # invoice.upcoming has none


def _get(api: StripeApi, stream: str, external_id: str) -> SourceRecord:
    """One object, a strong read; deleted ones answer with a stub, or not at all."""
    try:
        return _record(api, call(api, "get", f"{KINDS[stream].path}/{external_id}", "fetch"))
    except NotFound:
        return SourceRecord(external_id=external_id, data={}, op="delete")


def fetch(api: StripeApi, stream: str, ids: Sequence[str]) -> list[SourceRecord]:
    """By id, one call each: there is no read of several."""
    return [_get(api, stream, external_id) for external_id in dict.fromkeys(ids) if _ID.fullmatch(external_id)]


def find(api: StripeApi, stream: str, name: str, value: str) -> list[SourceRecord]:
    """Customers by exact e-mail address or by the hub's id.

    Search may be an hour behind, so for the hub's id the customers made in the last hour are listed as well.
    """
    if name == "id":
        return [record for record in fetch(api, stream, [value]) if record.op != "delete"]
    if stream == "customers" and name == "email":
        return list(_all(api, stream, "find", email=value))
    if stream == "customers" and name in (MARKER, f"metadata.{api.marker}"):
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        wanted = {"query": f"metadata['{api.marker}']:'{quoted}'", "limit": PAGE}
        answer = call(api, "get", f"{KINDS[stream].path}/search", "search", wanted)
        found = {row["id"]: _record(api, row) for row in answer["data"]}
        since = int(api.door.vendor_now() - SEARCH_LAG_S)
        found |= {record.external_id: record for record in _all(api, stream, "find", created={"gte": since})}
        return [record for record in found.values() if record.marker == value]
    raise NeedsReview(f"{stream} cannot be looked up by {name}", code="STRIPE-LOOKUP", where=api.door.account)


def _all(api: StripeApi, stream: str, operation: str, **params: Any) -> Iterator[SourceRecord]:
    after: dict[str, str] = {}
    while True:
        answer = call(api, "get", KINDS[stream].path, operation, {"limit": PAGE, **params, **after})
        yield from (_record(api, row) for row in answer["data"])
        if not answer["has_more"]:
            return
        after = {"starting_after": answer["data"][-1]["id"]}


# --- writing -----------------------------------------------------------------------------------------------------


def push(api: StripeApi, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One call per change; the answer is the object as it is now."""
    return send_each(changes, partial(_send, api, stream), api.door.now)


def _send(api: StripeApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    external_id, path, key = change.external_id or "", KINDS[stream].path, change.idempotency_key
    if stream != "customers" or change.op not in ("create", "update", "delete"):
        raise RecordRejected(f"{stream}: no {change.op}", code="STRIPE-OP")
    if change.op != "create" and not _ID.fullmatch(external_id):
        raise RecordRejected("no id of a customer", code="STRIPE-ID")
    if change.op == "delete":
        row = call(api, "delete", f"{path}/{external_id}", "delete", writes=True)
    elif change.op == "update":
        row = call(api, "post", f"{path}/{external_id}", "update", as_form(change.body), key=key, writes=True)
    else:
        if not change.reference or not key:
            raise RecordRejected("a create needs the hub's id and a key", code="STRIPE-NO-REFERENCE")
        body = _said(change.body)
        body["metadata"] = {**body.get("metadata", {}), api.marker: change.reference}
        row = call(api, "post", path, "create", as_form(body), key=key, writes=True)
    held = _record(api, row)
    return [PushResult(index=index, outcome="applied", external_id=held.external_id, held=held)]


def as_form(body: Mapping[str, Json]) -> dict[str, Any]:
    """A body as form parameters: "" clears, lists too; booleans are words (vendor docs, "Updating objects")."""
    return {name: _form_value(value) for name, value in body.items()}


def _form_value(value: Json) -> Any:
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return as_form(value)
    return [_form_value(each) for each in value] if isinstance(value, list) else value


def _said(body: Mapping[str, Json]) -> dict[str, Any]:
    """Without blanks: a new customer has them anyway, and an empty e-mail address is refused."""
    said: dict[str, Any] = {}
    for name, value in body.items():
        kept = _said(value) if isinstance(value, Mapping) else value
        if kept not in (None, "", [], {}):
            said[name] = kept
    return said


# --- the account -------------------------------------------------------------------------------------------------


def check(api: StripeApi) -> dict[str, Json]:
    """Whose key it is, and which streams it may not read."""
    account = call(api, "get", "/v1/account", "check")
    warnings = []
    for stream, kind in KINDS.items():
        try:
            call(api, "get", kind.path, "check", {"limit": 1})
        except NeedsReview:
            warnings.append(f"the key may not read {stream}")
    business = account.get("business_profile") or {}
    name = business.get("name") or account.get("email") or account["id"]
    return {"account": account["id"], "name": name, "warnings": warnings}


def _field(name: str, kind: str = "text", *, writable: bool = False, **more: Any) -> Field:
    return Field(name=name, label=name, type=kind, writable=writable, **more)


_ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")
_STATES = ("incomplete", "incomplete_expired", "trialing", "active", "past_due", "canceled", "unpaid", "paused")
_FIELDS: Mapping[str, Sequence[Field]] = {
    "customers": (
        _field("id"),
        _field("email", "email", writable=True, max_length=512),
        _field("name", writable=True, max_length=256),
        _field("individual_name", writable=True),
        _field("business_name", writable=True),
        _field("phone", "phone", writable=True, max_length=20),
        _field("description", writable=True, max_length=350),
        *(_field(f"address.{part}", writable=True) for part in _ADDRESS),
        _field("shipping.name", writable=True),
        _field("shipping.phone", "phone", writable=True),
        *(_field(f"shipping.address.{part}", writable=True) for part in _ADDRESS),
        _field("preferred_locales", "set", writable=True),
        _field("tax_exempt", "enum", writable=True, options=("none", "exempt", "reverse"), restricted=True),
        _field("balance", "integer"),
        _field("currency"),
        _field("delinquent", "boolean"),
        _field("created", "instant"),
        _field("livemode", "boolean"),
    ),
    "subscriptions": (
        _field("id"),
        _field("customer", "ref", ref_to="customers"),
        _field("status", "enum", options=_STATES, restricted=True),
        _field("items.data.0.price.id"),
        _field("items.data.0.quantity", "integer"),
        _field("currency"),
        _field("cancel_at_period_end", "boolean"),
        _field("description"),
        *(
            _field(name, "instant")
            for name in ("created", "start_date", "cancel_at", "canceled_at", "ended_at", "trial_start", "trial_end")
        ),
    ),
    "invoices": (
        _field("id"),
        _field("number"),
        _field("customer", "ref", ref_to="customers"),
        _field("parent.subscription_details.subscription", "ref", ref_to="subscriptions"),
        _field("status", "enum", options=("draft", "open", "paid", "uncollectible", "void"), restricted=True),
        _field("customer_email", "email"),
        _field("currency"),
        *(_field(name, "money") for name in ("subtotal", "total", "amount_due", "amount_paid", "amount_remaining")),
        *(_field(name, "instant") for name in ("created", "effective_at", "due_date", "period_start", "period_end")),
        *(_field(f"status_transitions.{name}", "instant") for name in ("finalized_at", "paid_at", "voided_at")),
        _field("billing_reason", "enum"),
        _field("hosted_invoice_url", "url"),
    ),
    "charges": (
        _field("id"),
        _field("customer", "ref", ref_to="customers"),
        _field("status", "enum", options=("succeeded", "pending", "failed"), restricted=True),
        *(_field(name, "money") for name in ("amount", "amount_captured", "amount_refunded")),
        _field("currency"),
        *(_field(name, "boolean") for name in ("paid", "captured", "refunded", "disputed")),
        _field("billing_details.email", "email"),
        _field("billing_details.name"),
        _field("description"),
        _field("failure_code"),
        _field("receipt_url", "url"),
        _field("created", "instant"),
    ),
}


def discover(api: StripeApi, stream: str) -> list[Field]:
    """Documented fields, and the metadata keys of the newest hundred objects: no call tells which keys there are."""
    rows = call(api, "get", KINDS[stream].path, "discover", {"limit": PAGE, **KINDS[stream].listing})["data"]
    keys = sorted({key for row in rows for key in row.get("metadata") or {}} - {api.marker})
    writable = stream == "customers"
    found = [_field(f"metadata.{key}", writable=writable, custom=True, max_length=500) for key in keys]
    return [*_FIELDS[stream], *found]


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "stripe webhook"


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``Stripe-Signature: t=…,v1=…[,v1=…]``: any v1 for any secret (two while one is rolled), and the age both ways."""
    stamp, given = signature_parts(request.headers.get("stripe-signature", ""))
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_dated_signature(stamp, given, request, secrets, tolerance_s=TOLERANCE_S, where=WHERE)


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which object to read. Raises RecordRejected if the body is no event, or another account's."""
    try:
        event = orjson.loads(request.body)
        kind, key, subject = str(event["type"]), str(event["id"]), object_id(event)
        account = event.get("account")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    wanted = settings.values.get("stripe_account")
    if account and wanted and account != wanted:
        raise RecordRejected("the event is of another account", code="HOOK-ACCOUNT", where=WHERE)
    if kind not in STREAM_OF or not subject:
        return ()
    gone = "deleted" if kind in GONE else "changed"
    return (WebhookEvent(key=key, stream=STREAM_OF[kind], external_id=subject, kind=gone),)


def subscribe(api: StripeApi, url: str) -> dict[str, Json]:
    """An endpoint for all that the streams read. Its secret is told only when it is made: keep it."""
    there = call(api, "get", "/v1/webhook_endpoints", "subscriptions", {"limit": PAGE})["data"]
    for endpoint in there:
        if endpoint["url"] == url and endpoint["status"] == "enabled":
            return {"url": url, "id": endpoint["id"], "made": False}
    wanted = {"url": url, "enabled_events": sorted(STREAM_OF), "api_version": stripe.api_version}
    made = call(api, "post", "/v1/webhook_endpoints", "subscribe", wanted, writes=True)
    return {"url": url, "id": made["id"], "made": True, "secret": made["secret"]}


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
    ),
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
