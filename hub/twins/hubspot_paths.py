"""Paths and shapes of the HubSpot twin's API that all its resources share.

v3/v4 (`/crm/v3/objects/contacts`) and dated paths (`/crm/objects/2026-09/contacts`) share bodies; both are brought to
one short form (`objects/contacts`) before anything is looked up.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from hub.twins.hubspot_objects import Refusal
from hub.twins.hubspot_schema import ASSOCIATION_TYPES, TYPE_IDS
from hub.twins.kit import Fields, Request, Response

Json = Any

DATED = ("2025-09", "2026-03", "2026-09")
STRICT = ("2026-09",)  # admin rules apply to API writes from this version on
PORTAL_ID = 62_515

_ROUTES = [
    (re.compile(pattern), methods)
    for pattern, methods in (
        (r"objects/([^/]+)", {"GET": "list", "POST": "create"}),
        (r"objects/([^/]+)/search", {"POST": "search"}),
        (r"objects/([^/]+)/merge", {"POST": "merge"}),
        (r"objects/([^/]+)/batch/read", {"POST": "batch_read"}),
        (r"objects/([^/]+)/batch/create", {"POST": "batch_create"}),
        (r"objects/([^/]+)/batch/update", {"POST": "batch_update"}),
        (r"objects/([^/]+)/batch/upsert", {"POST": "batch_upsert"}),
        (r"objects/([^/]+)/batch/archive", {"POST": "batch_archive"}),
        (r"objects/([^/]+)/([^/]+)", {"GET": "read", "PATCH": "update", "DELETE": "archive"}),
        (r"objects/([^/]+)/([^/]+)/associations/default/([^/]+)/([^/]+)", {"PUT": "associate"}),
        (r"objects/([^/]+)/([^/]+)/associations/([^/]+)", {"GET": "links_of"}),
        (r"objects/([^/]+)/([^/]+)/associations/([^/]+)/([^/]+)", {"PUT": "associate", "DELETE": "dissociate"}),
        (r"associations/([^/]+)/([^/]+)/batch/read", {"POST": "batch_links"}),
        (r"associations/([^/]+)/([^/]+)/batch/associate/default", {"POST": "batch_associate"}),
        (r"associations/([^/]+)/([^/]+)/batch/create", {"POST": "batch_associate"}),
        (r"associations/([^/]+)/([^/]+)/batch/archive", {"POST": "batch_dissociate"}),
        (r"associations/([^/]+)/([^/]+)/batch/labels/archive", {"POST": "batch_unlabel"}),
        (r"associations/([^/]+)/([^/]+)/labels", {"GET": "labels", "POST": "create_label"}),
        (r"lists/search", {"POST": "lists_search"}),
        (r"lists/([^/]+)", {"GET": "lists_one"}),
        (r"lists/([^/]+)/memberships", {"GET": "lists_memberships"}),
        (r"lists/([^/]+)/memberships/add", {"PUT": "lists_add"}),
        (r"lists/([^/]+)/memberships/remove", {"PUT": "lists_remove"}),
        (r"properties/([^/]+)", {"GET": "properties", "POST": "create_property"}),
        (r"properties/([^/]+)/([^/]+)", {"GET": "property", "PATCH": "change_property", "DELETE": "drop_property"}),
        (r"pipelines/([^/]+)", {"GET": "pipelines"}),
        (r"pipelines/([^/]+)/([^/]+)", {"GET": "pipeline"}),
        (r"owners", {"GET": "owners"}),
        (r"owners/([^/]+)", {"GET": "owner"}),
        (r"account-info/details", {"GET": "account"}),
        (r"account-info/api-usage/daily/private-apps", {"GET": "usage"}),
    )
]
_READS = {"search", "batch_read", "batch_links", "lists_search"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One routed call."""

    request: Request
    version: str  # v3, v4 or 2026-09 ...
    operation: str
    parts: tuple[str, ...]


def short_path(path: str) -> tuple[str, str]:
    """(version, path without it), or ("", path) if the path is of no known generation."""
    for pattern in (
        r"/crm/(?P<v>v[34]|\d{4}-\d\d)/(?P<api>objects|associations|properties|pipelines|owners|lists)(?P<rest>/.*)?",
        r"/crm/(?P<api>objects|associations|properties|pipelines|owners|lists)/(?P<v>\d{4}-\d\d)(?P<rest>/.*)?",
        r"/(?P<api>account-info|oauth)/(?P<v>v[13]|\d{4}-\d\d)(?P<rest>/.*)",
    ):
        match = re.fullmatch(pattern, path)
        if match and (match["v"].startswith("v") or match["v"] in DATED):
            return match["v"], (match["api"] + (match["rest"] or "")).rstrip("/")
    return "", path


def find_call(request: Request) -> Call | None:
    """The operation a request asks for, or None."""
    version, path = short_path(request.path)
    if not version:
        return None
    for pattern, methods in _ROUTES:
        match = pattern.fullmatch(path)
        if match and request.method in methods:
            return Call(request=request, version=version, operation=methods[request.method], parts=match.groups())
    return None


def writes(call: Call) -> bool:
    return call.request.method != "GET" and call.operation not in _READS


# --- shapes ------------------------------------------------------------------------------------------------------


def refused(refusal: Refusal) -> Response:
    """The error body; its correlation id is made of its text, so that a run can be repeated byte for byte."""
    digest = hashlib.sha256(refusal.message.encode()).hexdigest()
    correlation = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    body = {"status": "error", "message": refusal.message, "correlationId": correlation, "category": refusal.category}
    return Response.json(body | refusal.extra, refusal.status)


def not_found() -> Refusal:
    return Refusal(404, "OBJECT_NOT_FOUND", "resource not found")


def error_row(category: str, message: str, context: Fields) -> Fields:
    """One entry of `errors` in a 207 answer."""
    return {
        "status": "error",
        "category": category,
        "message": message,
        "context": {key: [v for v in values if v] for key, values in context.items()},
        "errors": [],
        "links": {},
    }


def not_found_row(ids: list[str]) -> Fields:
    return error_row("OBJECT_NOT_FOUND", f"Could not get some objects, they may be deleted: {ids}", {"ids": ids})


def type_name(text: str) -> str:
    """contacts, companies or deals, from a name or type id. Raises Refusal."""
    name = TYPE_IDS.get(text.lower())
    if name is None:
        raise Refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {text}")
    return name


def type_pair(source: str, target: str) -> tuple[str, str]:
    pair = (type_name(source), type_name(target))
    if pair not in ASSOCIATION_TYPES:
        raise Refusal(400, "VALIDATION_ERROR", f"No association between {source} and {target} exists")
    return pair


def listed(request: Request, name: str) -> list[str]:
    """A query parameter given once with commas, or several times."""
    return [part for value in request.query.get(name, ()) for part in value.split(",") if part]


def row_limit(request: Request, default: int, most: int) -> int:
    text = request.first("limit", str(default))
    if not text.isdecimal() or not 0 < int(text) <= most:
        raise Refusal(400, "VALIDATION_ERROR", f"limit must be between 1 and {most}, it was {text}")
    return int(text)


def batch_inputs(body: Fields, most: int) -> list[Fields]:
    inputs = body["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise Refusal(400, "VALIDATION_ERROR", "inputs must be a list with at least one entry")
    if len(inputs) > most:
        raise Refusal(400, "VALIDATION_ERROR", f"The maximum number of inputs is {most}, there were {len(inputs)}")
    return inputs


def refuse_repeated(inputs: list[Fields]) -> None:
    ids = [(entry.get("idProperty"), str(entry["id"])) for entry in inputs]
    if len(set(ids)) < len(ids):
        raise Refusal(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
