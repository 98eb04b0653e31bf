"""What the HubSpot twin tells about itself: properties, pipelines, owners, the account and its use of the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hub.twins.hubspot_objects import Objects, Refusal, invalid
from hub.twins.hubspot_paths import PORTAL_ID, Call, not_found, refused, row_limit, type_name
from hub.twins.hubspot_schema import STAGES, TICKET_STAGES, Property, ValueFault, render_time
from hub.twins.kit import Fields, Record, Response, Twin, Window

Json = Any

OWNER_ROWS = 500
UNIQUE_PROPERTIES = 10  # per object type (fact sheet, "External id")
_SINCE = "2025-01-01T00:00:00.000Z"
_TYPES = {"string", "number", "date", "datetime", "enumeration", "bool", "phone_number"}


class Discovery:
    """Answers calls about the portal itself. Callers hold the twin's lock."""

    def __init__(self, twin: Twin, objects: Objects, today: Window) -> None:
        self._twin, self._objects, self._today = twin, objects, today

    def can(self, operation: str) -> bool:
        return hasattr(self, f"_do_{operation}")

    def answer(self, call: Call) -> Response:
        handler: Callable[[Call], Response] = getattr(self, f"_do_{call.operation}")
        try:
            return handler(call)
        except Refusal as refusal:
            return refused(refusal)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            return refused(Refusal(400, "VALIDATION_ERROR", f"Invalid input JSON: {type(fault).__name__} {fault}"))

    # --- properties --------------------------------------------------------------------------------------------

    def _do_properties(self, call: Call) -> Response:
        name = type_name(call.parts[0])
        archived = call.request.first("archived").lower() == "true"
        found = [p.describe() for p in self._objects.schema.properties[name].values() if p.archived == archived]
        return Response.json({"results": found}, rows=len(found))

    def _do_property(self, call: Call) -> Response:
        return Response.json(self._property(call).describe())

    def _do_create_property(self, call: Call) -> Response:
        prop = self.add(type_name(call.parts[0]), call.request.json())
        return Response.json(prop.describe(), 201)

    def add(self, name: str, body: Fields) -> Property:
        """A new custom property of an object type, described as the API takes it. Raises Refusal."""
        prop = _new_property(body)
        known = self._objects.schema.properties[name]
        if prop.name in known and not known[prop.name].archived:
            message = f"A property named '{prop.name}' already exists."
            raise Refusal(409, "OBJECT_ALREADY_EXISTS", message)
        if prop.unique and len(self._objects.schema.unique_names(name)) >= UNIQUE_PROPERTIES:
            raise Refusal(400, "VALIDATION_ERROR", f"At most {UNIQUE_PROPERTIES} unique properties are allowed")
        known[prop.name] = prop
        if prop.unique:
            self._objects.index(name, prop.name)
        return prop

    def _do_change_property(self, call: Call) -> Response:
        """PATCH; a list of options replaces the old one (fact sheet, "Discovery")."""
        prop, body = self._property(call), call.request.json()
        if not prop.custom and "options" in body and prop.type != "enumeration":
            raise Refusal(400, "VALIDATION_ERROR", f"{prop.name} has no options")
        options = _options(body) if "options" in body else prop.options
        prop = replace(prop, options=options, label=body.get("label", prop.label))
        self._objects.schema.properties[type_name(call.parts[0])][prop.name] = prop
        return Response.json(prop.describe())

    def _do_drop_property(self, call: Call) -> Response:
        prop = self._property(call)
        if not prop.custom:
            raise Refusal(400, "VALIDATION_ERROR", f"{prop.name} cannot be archived")
        self._objects.schema.properties[type_name(call.parts[0])][prop.name] = replace(prop, archived=True)
        return Response(status=204)

    def _property(self, call: Call) -> Property:
        prop = self._objects.schema.find(type_name(call.parts[0]), call.parts[1])
        if prop is None:
            raise not_found()
        return prop

    # --- pipelines ---------------------------------------------------------------------------------------------

    def _do_pipelines(self, call: Call) -> Response:
        known = _PIPELINES.get(type_name(call.parts[0]))
        found = [known()] if known else []
        return Response.json({"results": found}, rows=len(found))

    def _do_pipeline(self, call: Call) -> Response:
        known = _PIPELINES.get(type_name(call.parts[0]))
        if known is None or known()["id"] != call.parts[1]:
            raise not_found()
        return Response.json(known())

    # --- owners ------------------------------------------------------------------------------------------------

    def _do_owners(self, call: Call) -> Response:
        limit = row_limit(call.request, 100, OWNER_ROWS)
        email = call.request.first("email").lower()
        archived = call.request.first("archived").lower() == "true"
        after = call.request.first("after") or None
        found = [r for r in self._twin.records.after("owners", after) if r.deleted == archived]
        found = [r for r in found if not email or (r.fields.get("email") or "").lower() == email]
        answer: dict[str, Json] = {"results": [_owner(record) for record in found[:limit]]}
        if len(found) > limit:
            answer["paging"] = {"next": {"after": found[limit - 1].id}}
        return Response.json(answer, rows=len(answer["results"]))

    def _do_owner(self, call: Call) -> Response:
        key = call.parts[0]
        if call.request.first("idProperty") == "userId":
            found = next((r for r in self._twin.records.all("owners") if str(r.fields.get("userId")) == key), None)
        else:
            found = self._twin.records.find("owners", key)
        if found is None:
            raise not_found()
        return Response.json(_owner(found), rows=1)

    # --- account -----------------------------------------------------------------------------------------------

    def _do_account(self, call: Call) -> Response:
        settings = self._twin.settings
        return Response.json(
            {
                "portalId": settings.get("portal_id", PORTAL_ID),
                "accountType": "STANDARD",
                "timeZone": settings.get("timezone", "Europe/Berlin"),
                "companyCurrency": "EUR",
                "additionalCurrencies": ["USD", "GBP", "CHF", "PLN", "JPY"],
                "utcOffset": "+01:00",
                "utcOffsetMilliseconds": 3_600_000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "eu1",
            }
        )

    def _do_usage(self, call: Call) -> Response:
        now = self._twin.now()
        usage = {
            "name": "private-apps-api-calls-daily",
            "usageLimit": self._today.calls,
            "currentUsage": self._today.used(now),
            "collectedAt": render_time(now),
            "fetchStatus": "SUCCESS",
        }
        return Response.json({"results": [usage]})


def _new_property(body: Fields) -> Property:
    """A custom property as asked for. Raises Refusal."""
    name = str(body["name"])
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise invalid([ValueFault("name", "INVALID_NAME", f"{name} is no valid name for a property")])
    if body["type"] not in _TYPES:
        raise invalid([ValueFault("type", "INVALID_TYPE", f"{body['type']} is no type of property")])
    return Property(
        name=name,
        type=body["type"],
        field_type=body["fieldType"],
        label=body["label"],
        group=body["groupName"],
        options=_options(body),
        unique=bool(body.get("hasUniqueValue", False)),
        custom=True,
    )


def _options(body: Fields) -> tuple[tuple[str, str], ...]:
    return tuple((str(option["value"]), str(option["label"])) for option in body.get("options") or [])


def _ticket_pipeline() -> dict[str, Json]:
    stages = [
        {
            "id": stage,
            "label": label,
            "displayOrder": place,
            "metadata": {"isClosed": str(closed).lower(), "ticketState": "CLOSED" if closed else "OPEN"},
            "archived": False,
            "createdAt": _SINCE,
            "updatedAt": _SINCE,
        }
        for place, (stage, (label, closed)) in enumerate(TICKET_STAGES.items())
    ]
    about = {"id": "0", "label": "Support Pipeline", "displayOrder": 0, "archived": False}
    return about | {"stages": stages, "createdAt": _SINCE, "updatedAt": _SINCE}


def _pipeline() -> dict[str, Json]:
    stages = [
        {
            "id": stage,
            "label": label,
            "displayOrder": place,
            "metadata": {"isClosed": str(closed).lower(), "probability": probability},
            "archived": False,
            "createdAt": _SINCE,
            "updatedAt": _SINCE,
        }
        for place, (stage, (label, probability, closed)) in enumerate(STAGES.items())
    ]
    about = {"id": "default", "label": "Sales Pipeline", "displayOrder": 0, "archived": False}
    return about | {"stages": stages, "createdAt": _SINCE, "updatedAt": _SINCE}


_PIPELINES: dict[str, Callable[[], dict[str, Json]]] = {"deals": _pipeline, "tickets": _ticket_pipeline}


def _owner(record: Record) -> dict[str, Json]:
    return {
        "id": record.id,
        "email": record.fields.get("email"),
        "type": "PERSON",
        "firstName": record.fields.get("firstName"),
        "lastName": record.fields.get("lastName"),
        "userId": record.fields.get("userId"),
        "createdAt": render_time(record.created),
        "updatedAt": render_time(record.modified),
        "archived": record.deleted,
    }
