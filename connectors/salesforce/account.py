"""The account: who we are there, and which fields it has."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.salesforce.api import OBJECTS, WHAT, WHATS, SalesforceApi, describe, whoami
from connectors.salesforce.reading import id18
from hub.connector import Field
from hub.model import Json


def check(api: SalesforceApi) -> dict[str, Json]:
    """Who we are there, and whether the field for the hub's id exists."""
    organisation, user = whoami(api)
    api.me = id18(user)
    warnings = []
    for stream in ["contacts"] + ["tasks"] * ("tasks" in api.settings.streams):
        marker = [each for each in describe(api, stream) if each["name"] == api.marker]
        if not marker or not marker[0].get("externalId"):
            name = OBJECTS[stream]
            warnings.append(f"{name} has no external id field {api.marker}: nothing can be created there safely")
    warnings += [f"{stream}: not visible: {', '.join(names)}" for stream, names in sorted(api.dropped.items())]
    return {"account": id18(organisation), "name": api.sf.sf_instance, "warnings": warnings}


_TYPES = {  # Object Reference, field types. A currency's code stands in CurrencyIsoCode, or is the company's
    **dict.fromkeys(("id", "string", "textarea", "combobox", "encryptedstring"), "text"),
    **dict.fromkeys(("double", "percent", "currency"), "decimal"),
    **{name: name for name in ("phone", "email", "url", "boolean", "date")},
    "picklist": "enum",
    "multipicklist": "set",
    "int": "integer",
    "long": "integer",
    "datetime": "instant",
    "reference": "ref",
}


def discover(api: SalesforceApi, stream: str) -> list[Field]:
    """The fields our user may see."""
    found = [_field(each) for each in describe(api, stream)]
    if any(each.name == WHAT for each in found):
        found += [Field(name=name, label=name, type="ref", writable=False, ref_to=to) for name, to in WHATS.items()]
    return found


def _field(each: Mapping[str, Json]) -> Field:
    targets = {name: stream for stream, name in OBJECTS.items()}
    refers = [targets[name] for name in each.get("referenceTo") or () if name in targets]
    writable = bool(each.get("createable") and each.get("updateable"))
    return Field(
        name=each["name"],
        label=each.get("label") or each["name"],
        type=_TYPES.get(each["type"], "object"),
        writable=writable,
        required=bool(each.get("createable")) and not each.get("nillable") and not each.get("defaultedOnCreate"),
        unique=bool(each.get("unique")),
        custom=bool(each.get("custom")) or each["name"].endswith("__c"),
        max_length=each.get("length") or None,
        options=[option["value"] for option in each.get("picklistValues") or () if option.get("active", True)],
        restricted=bool(each.get("restrictedPicklist")),
        ref_to=refers[0] if refers else "",
    )
