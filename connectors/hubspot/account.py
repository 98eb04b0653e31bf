"""The account: who it is, and which properties it has."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.hubspot.api import HubspotApi, describe
from hub.connector import Field
from hub.errors import NeedsReview, NotFound
from hub.model import Json

_LIST = ("listId", "name", "objectTypeId", "processingType", "processingStatus", "createdAt", "updatedAt")
_MEMBER = ("id", "list", "contact", "at")
_OWNER = ("id", "email", "firstName", "lastName", "userId", "archived", "createdAt", "updatedAt")
_NAMES = {"list": "lists", "contact": "contacts"}
_FIXED = {"owners": _OWNER, "lists": _LIST, "list_members": _MEMBER}


def check(api: HubspotApi) -> dict[str, Json]:
    """Which account this is, and whether the property for the hub's id is there."""
    warnings = []
    try:
        about = api.door.request("GET", f"/account-info/{api.version}/details", operation="account").json()
    except (NotFound, NeedsReview):
        about = {}
        warnings.append("the account's id cannot be read; webhooks of another account would not be noticed")
    wanted = str(api.settings.values.get("portal_id") or "")
    if wanted and str(about.get("portalId", wanted)) != wanted:
        warnings.append(f"the token is for account {about.get('portalId')}, settings say {wanted}")
    marker = [each for each in describe(api, "contacts") if each["name"] == api.marker]
    if not marker or not marker[0].get("hasUniqueValue"):
        warnings.append(f"contacts have no unique property {api.marker}: nothing can be created there safely")
    return {"account": str(about.get("portalId") or ""), "name": str(about.get("uiDomain") or ""), "warnings": warnings}


_TYPES = {"string": "text", "number": "decimal", "date": "date", "datetime": "instant", "enumeration": "enum"}
_TYPES |= {"bool": "boolean", "phone_number": "phone", "object_coordinates": "object", "json": "object"}


def discover(api: HubspotApi, stream: str) -> list[Field]:
    """The properties of a stream; owners and lists have a fixed set and are never written."""
    if stream in _FIXED:
        return [
            Field(
                name=name,
                label=name,
                type="ref" if name in _NAMES else "text",
                writable=False,
                ref_to=_NAMES.get(name, ""),
            )
            for name in _FIXED[stream]
        ]
    return [_field(each) for each in describe(api, stream)]


def _field(each: Mapping[str, Json]) -> Field:
    kind = _TYPES.get(each["type"], "text")
    if each.get("fieldType") == "checkbox":
        kind = "set"
    locked = (each.get("modificationMetadata") or {}).get("readOnlyValue") or each.get("calculated")
    owner = each.get("referencedObjectType") == "OWNER" or each["name"] == "hubspot_owner_id"
    return Field(
        name=each["name"],
        label=each.get("label") or each["name"],
        type="ref" if owner else "email" if each["name"] == "email" else kind,
        writable=not locked,
        unique=bool(each.get("hasUniqueValue")) or each["name"] == "email",
        custom=not each.get("hubspotDefined", False),
        options=[option["value"] for option in each.get("options") or ()],
        restricted=kind in ("enum", "set") and not owner,
        ref_to="owners" if owner else "",
    )
