"""One call, the attributes by name, and what BigCommerce says of its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.connector import Door, HttpResponse, Settings
from hub.errors import RecordRejected
from hub.kit.statuses import Kind, kind_of
from hub.model import Json

PAGE = 250  # most rows of a page (customers v3, orders v2)
BATCH = 10  # most customers or attribute values of a call; more answer 413
OVERLAP_S = 3600.0  # the zone of time filters is not documented, and rows change while pages are read
REFUSALS = (400, 404, 409, 413, 422)


@dataclass(slots=True)
class BigCommerceApi:
    """What `connect` hands out."""

    door: Door
    marker: str  # name of the customer attribute that carries the hub's id
    currency: str = ""  # the store's own, once asked for
    attributes: dict[str, dict[str, Json]] | None = None  # name -> definition, once asked for
    addresses: dict[str, int] = field(default_factory=dict)  # customer -> its first address, as last read by id


def connect(door: Door, settings: Settings) -> BigCommerceApi:
    return BigCommerceApi(door=door, marker=str(settings.values.get("marker") or "hub_id"))


def ask(api: BigCommerceApi, path: str, operation: str, **params: Json) -> HttpResponse:
    """A GET. Lists in parameters go as one, with commas."""
    flat = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in params.items()}
    return api.door.request("GET", path, operation=operation, params=flat, headers={"Accept": "application/json"})


def rows_of(answer: HttpResponse) -> list[dict[str, Json]]:
    """v3 wraps rows in `data`; v2 sends them bare, and answers 204 without a body for none."""
    if answer.status == 204 or not answer.body.strip():
        return []
    found = answer.json()
    rows = found.get("data") if isinstance(found, dict) else found
    return rows if isinstance(rows, list) else []


def send(api: BigCommerceApi, method: str, path: str, operation: str, rows: Sequence[Json]) -> list[dict[str, Json]]:
    """A write of several rows; the rows of the answer. Raises Refused with the vendor's words."""
    return rows_of(write(api, method, path, operation, list(rows)))


def write(api: BigCommerceApi, method: str, path: str, operation: str, body: Json) -> HttpResponse:
    """Raises Refused with the vendor's words."""
    answer = api.door.request(
        method, path, operation=operation, json=body, writes=True, expect=REFUSALS,
        headers={"Accept": "application/json"},
    )  # fmt: skip
    if answer.status >= 400:
        raise refusal(answer)
    return answer


class Refused(RecordRejected):
    """A write was refused; nothing says which of its rows is the bad one."""

    def __init__(self, message: str, *, status: int, field: str) -> None:
        code = "REC-CONFLICT" if kind_of(status) is Kind.CONFLICT else "REC-REJECTED"
        super().__init__(message, field=field, code=code)
        self.status = status


def refusal(answer: HttpResponse) -> Refused:
    """v3: {"title", "errors": {"path": "words"}}; v2: [{"message"}]."""
    try:
        body = answer.json()
        first = body[0] if isinstance(body, list) and body else body
        errors = first.get("errors") or {}
        path, words = next(iter(errors.items()), ("", "")) if isinstance(errors, dict) else ("", "")
        words = "" if "@" in str(words) else words  # they quote addresses
        text = f"{first.get('title') or first.get('message') or ''} {words}".strip()
    except (AttributeError, KeyError):
        path, text = "", ""
    name = str(path).strip(".").rpartition(".")[2]
    return Refused(text[:300] or f"answered {answer.status}", status=answer.status, field=name)


def attributes_of(api: BigCommerceApi, *, anew: bool = False) -> dict[str, dict[str, Json]]:
    """Definitions of customer attributes by name; at most fifty in a store."""
    if anew or api.attributes is None:
        rows = rows_of(ask(api, "/v3/customers/attributes", "names", limit=PAGE))
        api.attributes = {str(row["name"]): row for row in rows if "id" in row}
    return api.attributes


def attribute_id(api: BigCommerceApi, name: str) -> int:
    for anew in (False, True):
        found = attributes_of(api, anew=anew).get(name)
        if found is not None:
            return int(found["id"])
    message = f"the store has no customer attribute {name}"
    raise RecordRejected(message, field=f"attribute.{name}", code="BIGCOMMERCE-ATTRIBUTE")


# --- limits ------------------------------------------------------------------------------------------------------


def wait_s(response: HttpResponse) -> float | None:
    """The longer of both waits that a throttled answer names; without them it is the platform's own protection."""
    reset, after = (response.headers.get(name, "") for name in ("x-rate-limit-time-reset-ms", "x-retry-after"))
    waits = [float(reset) / 1000.0] if reset.isdigit() else []
    waits += [float(after)] if after.isdigit() else []
    return max(waits) if waits and response.status in (429, 500) else None


def usage(response: HttpResponse) -> Mapping[str, tuple[int, int]]:
    """Calls of the window that are left, of the plan's quota."""
    left, of = (response.headers.get(f"x-rate-limit-requests-{name}", "") for name in ("left", "quota"))
    return {"window": (int(of) - int(left), int(of))} if left.isdigit() and of.isdigit() else {}
