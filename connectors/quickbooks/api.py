"""One call, the company's currency, and what QuickBooks' faults mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from hub.connector import Door, HttpResponse, Settings
from hub.kit.statuses import Kind
from hub.model import Json

MINOR_VERSION = 75  # lower ones count as this since 2025-08-01
PAGE = 1000  # vendor docs, "Query operations": MAXRESULTS
BATCH = 30  # vendor docs, "Batch": 31 fail
OVERLAP_S = 120.0  # stamps have whole seconds, and rows of one second can be in two answers
ENTITIES = {"customers": "Customer", "invoices": "Invoice", "payments": "Payment"}
REMEMBERED = 5000


@dataclass(slots=True)
class QuickBooksApi:
    """What `connect` hands out."""

    door: Door
    currency: str = ""  # the company's own, once asked for
    versions: dict[str, tuple[float | None, str]] = field(default_factory=dict)  # customer -> stamp, SyncToken


def connect(door: Door, settings: Settings) -> QuickBooksApi:
    return QuickBooksApi(door=door)


def call(
    api: QuickBooksApi,
    method: str,
    path: str,
    operation: str,
    *,
    params: Mapping[str, Json] | None = None,
    json: Json = None,
    text: str = "",
    writes: bool = False,
) -> HttpResponse:
    """One call; without the Accept header the answer would be XML."""
    headers = {"Accept": "application/json", **({"Content-Type": "application/text"} if text else {})}
    return api.door.request(
        method,
        path,
        operation=operation,
        params={"minorversion": MINOR_VERSION, **(params or {})},
        json=json,
        body=text.encode() if text else None,
        headers=headers,
        writes=writes,
    )


def select(stream: str, *conditions: str, order: str = "", start: int = 0, most: int = PAGE) -> str:
    """A text of the query language. Inactive customers are left out unless they are asked for."""
    active = ("Active IN (true, false)",) if stream == "customers" else ()
    wanted = " AND ".join((*conditions, *active))
    parts = ["SELECT * FROM", ENTITIES[stream]]
    parts += ["WHERE", wanted] if wanted else []
    parts += ["ORDERBY", order] if order else []
    parts += ["STARTPOSITION", str(start)] if start else []
    return " ".join([*parts, "MAXRESULTS", str(most)])


def home_currency(api: QuickBooksApi) -> str:
    """The currency of everything that names none: multicurrency is off then."""
    if not api.currency:
        answer = call(api, "POST", "/query", "preferences", text="select * from Preferences").json()
        rows = (answer.get("QueryResponse") or {}).get("Preferences") or [{}]
        prefs = rows[0].get("CurrencyPrefs") or {}
        api.currency = str((prefs.get("HomeCurrency") or {}).get("value") or "USD")
    return api.currency


# --- faults ------------------------------------------------------------------------------------------------------

# vendor docs, "Error codes"
KINDS = {
    "3200": Kind.SIGN_IN, "3100": Kind.FORBIDDEN, "3201": Kind.FORBIDDEN, "120": Kind.FORBIDDEN, "5020": Kind.FORBIDDEN,
    "6190": Kind.FORBIDDEN, "3001": Kind.THROTTLED, "003001": Kind.THROTTLED, "610": Kind.NOT_FOUND, "5010": Kind.STALE,
    "4002": Kind.REJECTED,
}  # fmt: skip
WAIT_S = 60.0  # after a throttling; no Retry-After is documented


def error_of(body: Json) -> tuple[str, str, str]:
    """Code, words and field of a fault; its keys are in lower case where signing in failed."""
    if not isinstance(body, Mapping):
        return "", "", ""
    fault = body.get("Fault") or body.get("fault") or {}
    errors = fault.get("Error") or fault.get("error") or [{}] if isinstance(fault, Mapping) else [{}]
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    words = str(first.get("Message") or first.get("message") or "")
    return str(first.get("code") or ""), words[:300], str(first.get("element") or "")


def classify(response: HttpResponse) -> str | None:
    """By the fault's code, also within 200 (intuit/QuickBooks-V3-PHP-SDK #211). The items of a batch are not calls."""
    if b"ault" not in response.body[:300] and response.status < 400:
        return None
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, Mapping) or not ("Fault" in body or "fault" in body):
        return None
    code, _, _ = error_of(body)
    if code in KINDS:
        return KINDS[code]
    return Kind.REJECTED if response.status == 200 else None


def wait_s(response: HttpResponse) -> float | None:
    return WAIT_S if classify(response) == Kind.THROTTLED or response.status == 429 else None
