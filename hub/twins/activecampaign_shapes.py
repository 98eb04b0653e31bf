"""The rows of the ActiveCampaign twin: what each collection holds, which custom fields, lists and stages there are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

Json = Any
Fields = dict[str, Json]

ZONE = timezone(timedelta(hours=-5))  # of the account
SINGULAR = {
    "contacts": "contact", "accounts": "account", "deals": "deal", "contactLists": "contactList", "tags": "tag",
    "contactTags": "contactTag", "accountContacts": "accountContact", "webhooks": "webhook",
}  # fmt: skip
LISTS: list[Fields] = [
    {"id": "1", "name": "Newsletter", "stringid": "newsletter", "channel": "email"},
    {"id": "2", "name": "Customers", "stringid": "customers", "channel": "email"},
]
AUTOMATIONS: list[Fields] = [
    {"id": "1", "name": "Welcome", "status": "1", "entered": "0", "exited": "0", "hidden": "0", "userid": "1"},
    {"id": "2", "name": "Win back", "status": "1", "entered": "0", "exited": "0", "hidden": "0", "userid": "1"},
]
PIPELINES: list[Fields] = [{"id": "1", "title": "Sales", "currency": "eur"}]
STAGES: list[Fields] = [
    {"id": str(place), "title": title, "group": "1", "order": str(place)}
    for place, title in enumerate(("To Contact", "In Contact", "Demo", "Decision", "Contract"), 1)
]


def _defined(number: int, tag: str, title: str, kind: str, *options: str) -> Fields:
    return {
        "id": str(number), "title": title, "descript": "", "type": kind, "isrequired": "0", "perstag": tag,
        "defval": "", "visible": "1", "ordernum": str(number),
        "options": [f"{number}{place}" for place in range(len(options))],
        "relations": ["0"],
    }  # fmt: skip


_CHOICES = {3: ("Product", "Pricing", "Support", "Training")}
DEFINED: list[Fields] = [
    _defined(1, "HUB_ID", "Hub id", "hidden"),
    _defined(2, "BIRTHDAY", "Birthday", "date"),
    _defined(3, "INTERESTS", "Interests", "listbox", *_CHOICES[3]),
    _defined(4, "LANGUAGE", "Language", "text"),
]
OPTIONS: list[Fields] = [
    {"id": f"{number}{place}", "field": str(number), "value": value, "label": value, "orderid": str(place)}
    for number, values in _CHOICES.items()
    for place, value in enumerate(values)
]

_BLANK: dict[str, Fields] = {
    "users": {"username": "", "firstName": "", "lastName": "", "email": ""},
    "accounts": {"name": "", "accountUrl": "", "owner": None, "contactCount": "0", "dealCount": "0"},
    "contacts": {
        "email": "", "firstName": "", "lastName": "", "phone": "", "deleted": "0", "anonymized": "0",
        "bounced_hard": "0", "bounced_soft": "0", "bounced_date": "0000-00-00", "_values": {},
    },
    "deals": {
        "title": "", "description": "", "value": "0", "currency": "usd", "contact": None, "account": None,
        "owner": None, "group": "1", "stage": "1", "percent": "0", "status": "0", "nextdate": "0000-00-00 00:00:00",
        "edate": None,
    },
    "contactLists": {"contact": None, "list": None, "status": "1", "sourceid": "0", "sdate": None, "udate": None},
    "tags": {"tag": "", "tagType": "contact", "description": ""},
    "contactTags": {"contact": None, "tag": None},
    "accountContacts": {"contact": None, "account": None, "jobTitle": ""},
    "contactAutomations": {
        "contact": None, "automation": "1", "seriesid": "1", "status": "1", "adddate": None, "remdate": None,
        "lastdate": None,
    },
}  # fmt: skip
REQUIRED = {
    "contacts": ("email",), "accounts": ("name",), "deals": ("title", "value", "currency", "owner"),
    "contactLists": ("contact", "list", "status"), "tags": ("tag",), "contactTags": ("contact", "tag"),
    "accountContacts": ("contact", "account"),
}  # fmt: skip
READ_ONLY = {
    "accounts": ("contactCount", "dealCount"),
    "contacts": ("deleted", "anonymized", "bounced_hard", "bounced_soft", "bounced_date"),
    "contactLists": ("sdate", "udate"),
}
TEXT_MAX = 250
_NUMBERS = {"value", "percent", "status", "stage", "group", "contact", "account", "owner", "list", "tag_id", "sourceid"}


def blank_row(name: str) -> Fields:
    return {key: dict(value) if isinstance(value, dict) else value for key, value in _BLANK[name].items()}


def refuse_value(name: str, key: str, value: Json) -> str:
    """Why the vendor does not take a value; "" if it does."""
    if value is None or value == "":
        return ""
    if key in _NUMBERS or (key == "tag" and name == "contactTags"):
        fits = not isinstance(value, bool) and re.fullmatch(r"-?\d{1,15}", str(value)) is not None
        if fits and name == "contactLists" and key == "status":
            fits = str(value) in ("1", "2")
        return "" if fits else f"{key} must be a number"
    if not isinstance(value, str):
        return f"{key} must be a string"
    if key == "currency":
        return "" if re.fullmatch(r"[a-z]{3}", value) else "currency must be a lower-case ISO 4217 code"
    if "\0" in value:
        return f"{key} has characters that are not allowed"
    return f"{key} is too long" if len(value) > TEXT_MAX and key != "description" else ""


def moment(at: float) -> str:
    """ISO 8601 with the account's offset."""
    return datetime.fromtimestamp(int(at), UTC).astimezone(ZONE).isoformat()
