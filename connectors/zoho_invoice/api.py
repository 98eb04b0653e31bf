"""One call, and what Zoho's codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from hub.connector import Door, HttpResponse, Settings
from hub.kit.statuses import Kind
from hub.model import Json

PAGE = 200  # per_page, default and most
DETAILED = 50  # rows of a page whose records are read one by one: a day's budget may end within it
OVERLAP_S = 300.0
# Of contacts, and not in lists
DETAIL = ("billing_address", "shipping_address", "contact_persons", "notes", "salutation", "designation")
KINDS: Mapping[int, Kind] = {
    14: Kind.SIGN_IN, 57: Kind.FORBIDDEN, 44: Kind.THROTTLED, 45: Kind.THROTTLED, 1070: Kind.THROTTLED,
    1002: Kind.NOT_FOUND, 1000: Kind.TROUBLE,
}  # fmt: skip
WAIT_S, BLOCK_S = 60.0, 3600.0  # the limit is one of a minute; after bursts the organisation is shut out for longer


@dataclass(slots=True)
class ZohoApi:
    """What `connect` hands out."""

    door: Door
    organization: str
    marker: str  # unique custom field that carries the hub's id
    details: bool  # the mapping reads what only single contacts show
    currency: str = ""  # of the organisation, once asked for
    known: dict[str, dict[str, Json]] = field(default_factory=dict)  # contact -> what a write must send along


def connect(door: Door, settings: Settings) -> ZohoApi:
    wanted = [str(path) for path in settings.streams.get("contacts", {}).get("fields") or ()]
    return ZohoApi(
        door=door,
        organization=str(settings.values.get("organization") or ""),
        marker=str(settings.values.get("marker") or "cf_hub_id"),
        details=not wanted or any(path.partition(".")[0] in DETAIL for path in wanted),
    )


def call(
    api: ZohoApi,
    method: str,
    path: str,
    operation: str,
    *,
    params: Mapping[str, Json] | None = None,
    body: Json = None,
    headers: Mapping[str, str] | None = None,
    expect: tuple[int, ...] = (),
) -> HttpResponse:
    """One call; a body goes as the form field JSONString (Invoice documentation)."""
    form = None if body is None else {"JSONString": orjson.dumps(body).decode()}
    return api.door.request(
        method,
        path,
        operation=operation,
        params=params,
        form=form,
        headers={"X-com-zoho-invoice-organizationid": api.organization, **(headers or {})},
        writes=method != "GET",
        expect=expect,
    )


def code_of(response: HttpResponse) -> tuple[int, str]:
    """The code of an answer and its words; 0 is success, whatever the status."""
    try:
        body = orjson.loads(response.body)
        return int(body.get("code") or 0), str(body.get("message") or "")[:300]
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return 0, ""


def classify(response: HttpResponse) -> str | None:
    """By the code, also of a 200."""
    if response.status < 400 and b'"code"' not in response.body[:40]:
        return None
    code, _ = code_of(response)
    if code in KINDS:
        return KINDS[code]
    return Kind.REJECTED if code and response.status < 300 else None


def wait_s(response: HttpResponse) -> float | None:
    """No Retry-After is documented."""
    if response.status != 429 and classify(response) != Kind.THROTTLED:
        return None
    return BLOCK_S if "blocked" in code_of(response)[1].lower() else WAIT_S


def home_currency(api: ZohoApi) -> str:
    """The organisation's currency, for rows that name none."""
    if not api.currency:
        row = organization_of(api)
        api.currency = str(row.get("currency_code") or "USD")
    return api.currency


def organization_of(api: ZohoApi) -> Mapping[str, Json]:
    rows = call(api, "GET", "/organizations", "check").json().get("organizations") or []
    found: Mapping[str, Json] = next((row for row in rows if str(row.get("organization_id")) == api.organization), {})
    return found
