"""Where the streams stand in the API, what ids of choices mean, and what Freshsales' answers mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.connector import Door, HttpResponse, Settings
from hub.errors import RecordRejected
from hub.kit.statuses import Kind
from hub.model import Json

PAGE = 100  # most rows of a view (reference, "List all contacts": per_page)
BULK = 100  # most rows of a bulk upsert (reference, "Bulk upsert")
BULK_FROM = 4  # from so many updates on a job with its polls costs fewer calls than one call each
POLLS = 8  # of a job; the budget `polls` keeps them two seconds apart
REMEMBERED = 2000  # records read by id, whose lists and owners the next write needs
OVERLAP_S = 300.0  # rows slide between pages, and `is_after` has whole seconds
BIN = "Recycle Bin"
ID = re.compile(r"\d{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kindred:
    """A stream's place in the API."""

    one: str  # wrapper of a single record
    views: tuple[str, ...]  # names of default views that together hold every record
    include: str  # what bare rows leave out (observed: owner and reason of deals)
    choices: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # word -> (id field, selector)


KINDS: Mapping[str, Kindred] = {
    "sales_accounts": Kindred(
        one="sales_account",
        views=("All Accounts",),
        include="owner",
        choices={"industry_type": ("industry_type_id", "industry_types")},
    ),
    "contacts": Kindred(
        one="contact",
        views=("All Contacts",),
        include="owner,sales_accounts",
        choices={
            "lifecycle_stage": ("lifecycle_stage_id", "lifecycle_stages"),
            "lead_source": ("lead_source_id", "lead_sources"),
        },
    ),
    "deals": Kindred(
        one="deal",
        views=("Open Deals", "Won Deals", "Lost Deals"),  # not every account has "All Deals"
        include="owner,deal_reason,contacts",
        choices={
            "deal_stage": ("deal_stage_id", "deal_stages"),
            "lead_source": ("lead_source_id", "lead_sources"),
            "currency": ("currency_id", "currencies"),
        },
    ),
}
STREAM_OF = {kind.one: stream for stream, kind in KINDS.items()}
NUMBERS = ("owner_id", "sales_account_id", "parent_sales_account_id", "territory_id", "campaign_id")


@dataclass(slots=True)
class FreshsalesApi:
    """What `connect` hands out."""

    door: Door
    marker: str  # custom field of accounts and deals that carries the hub's id; contacts have `external_id`
    views: dict[str, dict[str, str]] = field(default_factory=dict)  # stream -> view's name -> its id
    choices: dict[str, dict[str, str]] = field(default_factory=dict)  # selector -> id -> word
    known: dict[str, dict[str, Json]] = field(default_factory=dict)  # id -> owner, e-mails, accounts as last read by id


def connect(door: Door, settings: Settings) -> FreshsalesApi:
    return FreshsalesApi(door=door, marker=str(settings.values.get("marker") or "cf_hub_id"))


def selector(api: FreshsalesApi, name: str, *, anew: bool = False) -> dict[str, str]:
    """Choices of a standard field: id -> word. The first currency is the account's own."""
    if anew or name not in api.choices:
        answer = api.door.request("GET", f"/api/selector/{name}", operation="selector").json()
        rows = answer.get(name) or ()
        if name == "currencies":
            rows = sorted(rows, key=lambda row: row.get("currency_type") != 1)
        words = ((row.get("id"), row.get("currency_code") or row.get("name")) for row in rows)
        api.choices[name] = {str(number): str(word or "") for number, word in words if number is not None}
    return api.choices[name]


def views_of(api: FreshsalesApi, stream: str) -> dict[str, str]:
    if stream not in api.views:
        answer = api.door.request("GET", f"/api/{stream}/filters", operation="views").json()
        api.views[stream] = {str(view["name"]): str(view["id"]) for view in answer["filters"] if "id" in view}
    return api.views[stream]


def word_of(api: FreshsalesApi, name: str, value: Json) -> str | None:
    """The word of a choice; a choice that was added since is asked for once."""
    if value is None:
        return next(iter(selector(api, name).values()), None) if name == "currencies" else None
    if str(value) not in selector(api, name):
        selector(api, name, anew=True).setdefault(str(value), "")
    return api.choices[name][str(value)] or None


def id_of(api: FreshsalesApi, name: str, word: str, field_name: str) -> int:
    found = [number for number, known in selector(api, name).items() if known == word]
    if not found:
        raise RecordRejected(f"no choice {word!r} of {name}", field=field_name, code="FRESHSALES-CHOICE")
    return int(found[0])


def classify(response: HttpResponse) -> str | None:
    """A 400 can wrap the throttle of a service behind it ("UCR contact fetch failure … response_code :: 429")."""
    return Kind.THROTTLED if response.status == 400 and b"response_code :: 429" in response.body else None


def usage(response: HttpResponse) -> Mapping[str, tuple[int, int]]:
    """Calls left of the hour, where the answer says so."""
    left, of = (response.headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "limit"))
    return {"hourly": (int(of) - int(left), int(of))} if left.isdigit() and of.isdigit() else {}
