"""Properties, pipelines and association types of the HubSpot twin, and what saving makes of a value.

Standard properties are the vendor's (fact sheet, "Objects and fields"); `hub_id` is the unique property that an admin
adds for an integration hub. All values are texts; a property without a value is absent or None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Json = Any

TYPES = ("contacts", "companies", "deals", "tickets", "tasks")
SINGULAR = {"contacts": "contact", "companies": "company", "deals": "deal", "tickets": "ticket", "tasks": "task"}
TYPE_IDS = {"0-1": "contacts", "0-2": "companies", "0-3": "deals", "0-5": "tickets", "0-27": "tasks"}
TYPE_IDS |= {singular: name for name, singular in SINGULAR.items()} | {name: name for name in TYPES}
# The property with the time of the last change has two names (fact sheet, "Reading").
MODIFIED = {name: "lastmodifieddate" if name == "contacts" else "hs_lastmodifieddate" for name in TYPES}
DEFAULT_PROPERTIES = {
    "contacts": ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    "companies": ("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    "deals": (
        *("amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate", "hs_object_id"),
        "pipeline",
    ),
    "tickets": (
        *("content", "createdate", "hs_lastmodifieddate", "hs_object_id", "hs_pipeline", "hs_pipeline_stage"),
        *("hs_ticket_category", "hs_ticket_priority", "subject"),
    ),
    "tasks": ("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
}
# (from, to) -> (unlabelled type, primary type or None); vendor docs, "Association type IDs".
ASSOCIATION_TYPES: dict[tuple[str, str], tuple[int, int | None]] = {
    ("contacts", "companies"): (279, 1),
    ("companies", "contacts"): (280, 2),
    ("deals", "contacts"): (3, None),
    ("contacts", "deals"): (4, None),
    ("deals", "companies"): (341, 5),
    ("companies", "deals"): (342, 6),
    ("contacts", "tickets"): (15, None),
    ("tickets", "contacts"): (16, None),
    ("companies", "tickets"): (340, 25),
    ("tickets", "companies"): (339, 26),
    ("deals", "tickets"): (27, None),
    ("tickets", "deals"): (28, None),
    ("contacts", "tasks"): (203, None),
    ("tasks", "contacts"): (204, None),
    ("companies", "tasks"): (191, None),
    ("tasks", "companies"): (192, None),
    ("deals", "tasks"): (215, None),
    ("tasks", "deals"): (216, None),
}
LIFECYCLE = (
    *("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist"),
    "other",
)
# Stage id -> label, probability, closed: the vendor's default sales pipeline.
STAGES: dict[str, tuple[str, str, bool]] = {
    "appointmentscheduled": ("Appointment Scheduled", "0.2", False),
    "qualifiedtobuy": ("Qualified To Buy", "0.4", False),
    "presentationscheduled": ("Presentation Scheduled", "0.6", False),
    "decisionmakerboughtin": ("Decision Maker Bought-In", "0.8", False),
    "contractsent": ("Contract Sent", "0.9", False),
    "closedwon": ("Closed Won", "1.0", True),
    "closedlost": ("Closed Lost", "0.0", True),
}
# The vendor's default support pipeline ("0"), and whether the ticket is done.
TICKET_STAGES: dict[str, tuple[str, bool]] = {
    "1": ("New", False),
    "2": ("Waiting on contact", False),
    "3": ("Waiting on us", False),
    "4": ("Closed", True),
}
# What a task cannot be without (fact sheet, "Objects and fields").
REQUIRED = {"tasks": ("hs_timestamp",), "tickets": ("hs_pipeline_stage",)}
OPTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "bool": (("true", "True"), ("false", "False")),
    "lifecycle": tuple(
        zip(
            LIFECYCLE,
            (
                *("Subscriber", "Lead", "Marketing Qualified Lead", "Sales Qualified Lead", "Opportunity", "Customer"),
                *("Evangelist", "Other"),
            ),
            strict=True,
        )
    ),
    "lead_status": tuple(
        (label.upper().replace(" ", "_"), label)
        for label in ("New", "Open", "In Progress", "Open Deal", "Unqualified", "Attempted to contact", "Connected")
    ),
    "language": (
        *(("ar", "Arabic"), ("de", "German"), ("el", "Greek"), ("en", "English"), ("es", "Spanish")),
        *(("fr", "French"), ("it", "Italian"), ("ja", "Japanese"), ("pl", "Polish")),
    ),
    "industry": tuple(
        (label.upper().replace(" ", "_"), label)
        for label in (
            *("Accounting", "Automotive", "Banking", "Biotechnology", "Chemicals", "Computer Software", "Construction"),
            *("Farming", "Financial Services", "Hospital Health Care", "Hospitality", "Insurance", "Machinery"),
            *("Education Management", "Management Consulting", "Media Production", "Oil Energy", "Renewables"),
            *("Retail", "Telecommunications", "Transportation Trucking Railroad", "Utilities"),
        )
    ),
    "company_type": tuple((label.upper(), label) for label in ("Prospect", "Partner", "Reseller", "Vendor", "Other")),
    "source": (
        *(("WEBSITE", "Website"), ("PHONE", "Phone"), ("PARTNER", "Partner"), ("LIST", "Purchased list")),
        *(("EVENT", "Event"), ("WEBINAR", "Webinar"), ("OTHER", "Other")),
    ),
    "interest": (("product", "Product"), ("pricing", "Pricing"), ("support", "Support"), ("training", "Training")),
    "deal_type": (("newbusiness", "New Business"), ("existingbusiness", "Existing Business")),
    "priority": (("low", "Low"), ("medium", "Medium"), ("high", "High")),
    "currency": tuple((code, code) for code in ("EUR", "USD", "GBP", "CHF", "PLN", "CZK", "SEK", "JPY", "AED", "SAR")),
    "stage": tuple((stage, label) for stage, (label, _, _) in STAGES.items()),
    "pipeline": (("default", "Sales Pipeline"),),
    "ticket_pipeline": (("0", "Support Pipeline"),),
    "ticket_stage": tuple((stage, label) for stage, (label, _) in TICKET_STAGES.items()),
    "ticket_priority": tuple((label.upper(), label) for label in ("Low", "Medium", "High", "Urgent")),
    "ticket_category": tuple(
        (label.upper().replace(" ", "_"), label)
        for label in ("Product issue", "Billing issue", "Feature request", "General inquiry")
    ),
    "channel": tuple((label.upper(), label) for label in ("Chat", "Email", "Form", "Phone")),
    "task_status": tuple(
        (label.upper().replace(" ", "_"), label)
        for label in ("Not started", "In progress", "Waiting", "Completed", "Deferred")
    ),
    "task_priority": tuple((label.upper(), label) for label in ("None", "Low", "Medium", "High")),
    "task_type": (("TODO", "To-do"), ("CALL", "Call"), ("EMAIL", "Email")),
}
# One property a line: name, type, fieldType, then marks: ro (the vendor sets it), unique, {options}, ->OWNER.
_COMMON = """
createdate datetime date ro
hs_object_id number number ro
hs_merged_object_ids enumeration checkbox ro
hubspot_owner_id enumeration select ->OWNER
hub_id string text unique custom
"""
_TEXTS = {
    "contacts": """
email string text
hs_additional_emails enumeration checkbox ro
salutation string text
firstname string text
lastname string text
phone string phonenumber
mobilephone string phonenumber
hs_whatsapp_phone_number string phonenumber
jobtitle string text
company string text
website string text
address string text
city string text
state string text
zip string text
country string text
date_of_birth date date custom
hs_language enumeration select {language}
lifecyclestage enumeration radio {lifecycle}
hs_lead_status enumeration radio {lead_status}
lead_source enumeration select {source} custom
interests enumeration checkbox {interest} custom
associatedcompanyid number number
hs_email_optout bool booleancheckbox {bool}
hs_email_hard_bounce_reason string text ro
hs_calculated_phone_number string text ro calculated
hs_calculated_merged_vids string text ro calculated
lastmodifieddate datetime date ro
""",
    "companies": """
name string text
domain string text
website string text
phone string phonenumber
address string text
address2 string text
city string text
state string text
zip string text
country string text
industry enumeration select {industry}
numberofemployees number number
annualrevenue number number
description string textarea
type enumeration select {company_type}
lifecyclestage enumeration radio {lifecycle}
founded_year string text
timezone string text
hs_parent_company_id number number ro
hs_lastmodifieddate datetime date ro
""",
    "deals": """
dealname string text
amount number number
deal_currency_code enumeration select {currency}
dealstage enumeration radio {stage}
pipeline enumeration select {pipeline}
closedate datetime date
dealtype enumeration radio {deal_type}
description string textarea
hs_priority enumeration select {priority}
hs_is_closed bool booleancheckbox {bool} ro calculated
hs_is_closed_won bool booleancheckbox {bool} ro calculated
hs_deal_stage_probability number number ro calculated
num_associated_contacts number number ro calculated
closed_lost_reason string textarea
closed_won_reason string textarea
hs_lastmodifieddate datetime date ro
""",
    "tickets": """
subject string text
content string textarea
hs_pipeline enumeration select {ticket_pipeline}
hs_pipeline_stage enumeration select {ticket_stage}
hs_ticket_priority enumeration select {ticket_priority}
hs_ticket_category enumeration select {ticket_category}
source_type enumeration select {channel}
closed_date datetime date
hs_lastmodifieddate datetime date ro
""",
    "tasks": """
hs_task_subject string text
hs_task_body string html
hs_task_status enumeration radio {task_status}
hs_task_priority enumeration select {task_priority}
hs_task_type enumeration radio {task_type}
hs_timestamp datetime date
hs_createdate datetime date ro
hs_lastmodifieddate datetime date ro
""",
}


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property as discovery shows it."""

    name: str
    type: str
    field_type: str
    label: str = ""
    group: str = ""
    options: tuple[tuple[str, str], ...] = ()  # (value, label)
    unique: bool = False
    read_only: bool = False
    calculated: bool = False
    refers_to: str | None = None
    custom: bool = False
    archived: bool = False

    def describe(self) -> dict[str, Json]:
        options = [
            {"value": value, "label": label, "displayOrder": place, "hidden": False, "description": ""}
            for place, (value, label) in enumerate(self.options)
        ]
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": "",
            "options": options,
            "displayOrder": -1,
            "hasUniqueValue": self.unique,
            "calculated": self.calculated,
            "hidden": False,
            "formField": not self.read_only,
            "externalOptions": self.refers_to is not None,
            **({"referencedObjectType": self.refers_to} if self.refers_to else {}),
            **({} if self.custom else {"hubspotDefined": True}),
            "dataSensitivity": "non_sensitive",
            "modificationMetadata": {
                "archivable": self.custom,
                "readOnlyDefinition": not self.custom,
                "readOnlyOptions": not self.custom,
                "readOnlyValue": self.read_only,
            },
            "archived": self.archived,
            "createdAt": "2025-01-01T00:00:00.000Z",
            "updatedAt": "2025-01-01T00:00:00.000Z",
        }


def _property(line: str, group: str) -> Property:
    name, kind, field_type, *marks = line.split()
    made = Property(name=name, type=kind, field_type=field_type, group=group)
    made = replace(made, label=name.removeprefix("hs_").replace("_", " ").capitalize())
    for mark in marks:
        if mark.startswith("{"):
            made = replace(made, options=OPTIONS[mark[1:-1]])
        elif mark.startswith("->"):
            made = replace(made, refers_to=mark[2:])
        else:
            names = {"ro": "read_only", "unique": "unique", "custom": "custom", "calculated": "calculated"}
            made = replace(made, **{names[mark]: True})  # type: ignore[arg-type]
    return made


@dataclass
class Schema:
    """Properties by object type; admins and the API add to them."""

    properties: dict[str, dict[str, Property]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.restore()

    def restore(self) -> None:
        """As it was before any admin changed it."""
        for name, text in _TEXTS.items():
            lines = [line for line in (_COMMON + text).splitlines() if line]
            found = [_property(line, f"{SINGULAR[name]}information") for line in lines]
            self.properties[name] = {p.name: p for p in found}

    def find(self, name: str, prop: str) -> Property | None:
        """A property by name in any case, unless it is archived."""
        found = self.properties[name].get(prop.lower())
        return found if found and not found.archived else None

    def unique_names(self, name: str) -> list[str]:
        return [p.name for p in self.properties[name].values() if p.unique and not p.archived]

    def set_options(self, name: str, prop: str, values: Iterable[str]) -> None:
        """Replace the options of an enumeration."""
        known = self.properties[name][prop]
        self.properties[name][prop] = replace(known, options=tuple((value, value) for value in values))


# --- values ------------------------------------------------------------------------------------------------------


class ValueFault(Exception):
    """One property's value cannot be saved."""

    def __init__(self, name: str, code: str, message: str) -> None:
        self.name, self.code, self.message = name, code, message
        super().__init__(f"{name}: {code}: {message}")


_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]+@[^@\s,;<>()\[\]\\\".]+(\.[^@\s,;<>()\[\]\\\".]+)+")


def text_of(value: Json) -> str | None:
    """Any JSON value as the vendor's text; blank is no value. Texts keep their blanks at the ends (fact sheet)."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def clean(prop: Property, value: str | None) -> str | None:
    """What saving makes of a value. Raises ValueFault if the vendor would refuse it.

    Source: fact sheet, "Normalisation on write": e-mail lower-cased, domain without scheme and www, phone as sent,
    dates at midnight UTC, options exactly by value, numbers without thousands separators.
    """
    if value is None:
        return None
    if prop.name == "email":
        return _email(prop, value)
    if prop.name == "domain":
        return re.sub(r"^(https?://)?(www\.)?", "", value.strip().lower()).split("/")[0]
    match prop.type:
        case "enumeration" | "bool" if prop.options:
            return _option(prop, value)
        case "number":
            return _number(prop, value)
        case "date":
            return _date(prop, value)
        case "datetime":
            return _datetime(prop, value)
    return value


def _email(prop: Property, value: str) -> str:
    address = value.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise ValueFault(prop.name, "INVALID_EMAIL", f"Email address {value} is invalid")
    return address


def _option(prop: Property, value: str) -> str:
    known = {option for option, _ in prop.options}
    if prop.type == "bool":
        value = value.lower()
    chosen = value.split(";") if prop.field_type == "checkbox" else [value]
    for part in chosen:
        if part not in known:
            allowed = ", ".join(sorted(known))
            message = f"{part} was not one of the allowed options: [{allowed}]"
            raise ValueFault(prop.name, "INVALID_OPTION", message)
    return value


def _number(prop: Property, value: str) -> str:
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", value.strip()):
        raise ValueFault(prop.name, "INVALID_NUMBER", f"{value} was not a valid number.")
    return value.strip()


def _moment(prop: Property, value: str, code: str) -> datetime:
    text = value.strip()
    try:
        if re.fullmatch(r"-?\d{9,}", text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueFault(prop.name, code, f"{value} was not a valid {prop.type}.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(prop: Property, value: str) -> str:
    moment = _moment(prop, value, "INVALID_DATE").astimezone(UTC)
    if (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
        raise ValueFault(prop.name, "INVALID_DATE", f"{value} is at {moment:%H:%M:%S} UTC, not midnight!")
    return moment.date().isoformat()


def _datetime(prop: Property, value: str) -> str:
    return render_time(_moment(prop, value, "INVALID_DATE").timestamp())


@lru_cache(maxsize=65_536)
def render_time(at: float) -> str:
    """Epoch seconds as the API writes times: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def moves_forward(held: str | None, wanted: str | None) -> bool:
    """A lifecycle stage is only ever raised, unless it is cleared first (vendor docs, "Lifecycle stages")."""
    if not held or not wanted or held not in LIFECYCLE or wanted not in LIFECYCLE:
        return True
    return LIFECYCLE.index(wanted) >= LIFECYCLE.index(held)
