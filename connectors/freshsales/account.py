"""The account: its check, its fields, and the messages of its workflows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from connectors.freshsales.api import BIN, ID, KINDS, STREAM_OF, FreshsalesApi, selector, views_of
from hub.connector import Field, Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected
from hub.kit.reading import parse_time
from hub.model import Json


def check(api: FreshsalesApi) -> dict[str, Json]:
    """Whose key it is by its owners, and which views it cannot see."""
    owners = api.door.request("GET", "/api/selector/owners", operation="check").json()["users"]
    warnings = []
    for stream, kind in KINDS.items():
        seen = views_of(api, stream)
        warnings += [f"{stream}: no view {name!r}, so nothing can be read" for name in kind.views if name not in seen]
        if BIN not in seen:
            warnings.append(f"{stream}: the view {BIN!r} is not visible, so deletes are not seen")
    count = len(owners)
    return {"account": "", "name": f"{count} user{'' if count == 1 else 's'}", "warnings": warnings}


# Types of the fields endpoint
_TYPES = {
    "number": "integer", "decimal": "decimal", "dropdown": "enum", "radio": "enum", "multi_select_dropdown": "set",
    "checkbox": "boolean", "date": "date", "date_time": "instant", "auto_complete": "ref", "formula": "decimal",
    "email": "email", "phone_number": "phone", "url": "url",
}  # fmt: skip
_READ_ONLY = ("formula", "auto_number")
_BESIDE: Mapping[str, tuple[Field, ...]] = {
    "contacts": (
        Field(name="email", label="E-mail", type="email", writable=False),
        Field(name="emails", label="E-mails", type="object"),
        Field(name="sales_account_id", label="Primary account", type="ref", writable=False, ref_to="sales_accounts"),
        Field(name="sales_accounts", label="Accounts", type="object"),
        Field(name="external_id", label="External id", type="text", unique=True),
    ),
    "sales_accounts": (),
    "deals": (
        Field(name="contacts", label="Contacts", type="object", writable=False),
        Field(name="contact_id", label="First contact", type="ref", writable=False, ref_to="contacts"),
        Field(name="contacts_added_list", label="Contacts to add", type="object", readable=False),
    ),
}
_REFERS = {"owner_id": "owners", "sales_account_id": "sales_accounts", "parent_sales_account_id": "sales_accounts"}


def discover(api: FreshsalesApi, stream: str) -> list[Field]:
    """Fields as the account has them, and the words beside ids of choices."""
    if stream == "owners":
        return [
            Field(name=name, label=name, type=kind, writable=False)
            for name, kind in (("id", "text"), ("display_name", "text"), ("email", "email"), ("is_active", "boolean"))
        ]
    rows = api.door.request("GET", f"/api/settings/{stream}/fields", operation="discover").json()["fields"]
    found = {each.name: each for each in (_field(row) for row in rows)}
    for word, (_, name) in KINDS[stream].choices.items():
        options = tuple(option for option in selector(api, name, anew=True).values() if option)
        found[word] = Field(name=word, label=word.replace("_", " "), type="enum", options=options, restricted=True)
    found |= {each.name: each for each in _BESIDE[stream]}
    for name in ("id", "created_at", "updated_at"):
        kind = "text" if name == "id" else "instant"
        found[name] = Field(name=name, label=name, type=kind, writable=False)
    return list(found.values())


def _field(row: Mapping[str, Json]) -> Field:
    name, kind = str(row["name"]), str(row["type"])
    custom = name.startswith("cf_")
    return Field(
        name=f"custom_field.{name}" if custom else name,
        label=str(row.get("label") or name),
        type=_TYPES.get(kind, "text"),
        writable=kind not in _READ_ONLY,
        required=bool(row.get("required")),
        custom=custom,
        options=tuple(str(choice["value"]) for choice in row.get("choices") or ()),
        ref_to=_REFERS.get(name, ""),
    )


WHERE = "freshsales webhook"


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which record to read, by the template above. The vendor signs nothing: the address is the secret."""
    try:
        event = orjson.loads(request.body)
        stream, external_id = STREAM_OF.get(str(event["record_type"])), str(event["id"])
        changed, what = event.get("updated_at"), str(event.get("event") or "")
        at = parse_time(changed) if changed else None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    if stream is None or not ID.fullmatch(external_id):
        return ()
    return (
        WebhookEvent(key=f"{stream}:{external_id}:{changed}:{what}", stream=stream, external_id=external_id, at=at),
    )
