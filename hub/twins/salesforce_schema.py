"""Objects and fields of the Salesforce twin: what describe tells, what a write may hold, what saving makes of it.

Which objects and fields there are stands in `salesforce_objects`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from hub.twins.salesforce_objects import (
    AUDIT,
    FIELDS,
    LACKING,
    MARKED,
    MARKER,
    MASTER,
    MERGEABLE,
    PICKLISTS,
    PREFIXES,
)
from hub.twins.salesforce_soql import render_time

Json = Any

TEXT_TYPES = ("string", "textarea", "phone", "email", "url", "picklist", "multipicklist", "combobox", "reference", "id")
NUMBER_TYPES = ("int", "double", "currency", "percent")
LONG_TEXT = 255  # longer text areas cannot be filtered (vendor docs, "Long Text Area")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field as describe shows it."""

    name: str
    type: str
    length: int = 0
    scale: int = 0
    required: bool = False
    createable: bool = True
    updateable: bool = True
    values: tuple[str, ...] = ()
    restricted: bool = False
    external: bool = False
    default: str | None = None
    refers_to: str | None = None
    or_to: tuple[str, ...] = ()  # further objects whose records may stand there
    relationship: str | None = None

    @property
    def label(self) -> str:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.name.removesuffix("__c").replace("_", " "))
        return words.removesuffix("Id") + "ID" if words.endswith("Id") else words

    @property
    def filterable(self) -> bool:
        return self.type != "address" and not (self.type == "textarea" and self.length > LONG_TEXT)

    def describe(self) -> dict[str, Json]:
        options = [
            {"value": v, "label": v, "active": True, "defaultValue": v == self.default, "validFor": None}
            for v in self.values
        ]
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "length": self.length,
            "precision": 18 if self.type in ("currency", "percent", "double") else 0,
            "scale": self.scale,
            "digits": 9 if self.type == "int" else 0,
            "nillable": not self.required and self.type != "boolean" and self.name not in ("Id", "OwnerId"),
            "createable": self.createable,
            "updateable": self.updateable,
            "filterable": self.filterable,
            "sortable": self.filterable and self.type != "multipicklist",
            "calculated": False,
            "custom": self.name.endswith("__c"),
            "externalId": self.external,
            "idLookup": self.external or self.type == "id" or self.name == "Email",
            "unique": self.external,
            "caseSensitive": False,
            "defaultValue": False if self.type == "boolean" else self.default,
            "defaultedOnCreate": self.default is not None or self.type == "boolean" or self.name == "OwnerId",
            "picklistValues": options,
            "restrictedPicklist": self.restricted,
            "dependentPicklist": False,
            "controllerName": None,
            "referenceTo": [self.refers_to, *self.or_to] if self.refers_to else [],
            "relationshipName": self.relationship,
            "compoundFieldName": _compound(self.name),
            "autoNumber": False,
            "encrypted": False,
        }


def _compound(name: str) -> str | None:
    part = re.fullmatch(r"(Mailing|Billing|Shipping|)(Street|City|State|PostalCode|Country)", name)
    if part:
        return f"{part.group(1)}Address"
    return "Name" if name in ("FirstName", "MiddleName", "LastName", "Suffix", "Salutation") else None


def _field(line: str) -> Field:
    name, kind, *marks = line.split()
    kind, _, size = kind.partition(":")
    number = kind in NUMBER_TYPES
    made = Field(
        name=name,
        type=kind,
        scale=int(size or 0) if number else 0,
        length=0 if number else int(size or (18 if kind in ("id", "reference") else 255 if "picklist" in kind else 0)),
    )
    for mark in marks:
        made = _marked(made, mark)
    return made


def _marked(made: Field, mark: str) -> Field:
    match mark[0], mark:
        case _, "required":
            return replace(made, required=True)
        case _, "ro":
            return replace(made, createable=False, updateable=False)
        case _, "new":
            return replace(made, updateable=False)
        case _, "external":
            return replace(made, external=True)
        case _, "restricted":
            return replace(made, restricted=True)
        case "=", _:
            return replace(made, default=mark[1:].replace("|", " "))
        case "{", _:
            return replace(made, values=PICKLISTS[mark[1:-1]])
        case "-", _:
            targets, _, relationship = mark[2:].partition("/")
            target, *more = targets.split(",")
            named = relationship or made.name.removesuffix("Id")
            return replace(made, refers_to=target, or_to=tuple(more), relationship=named)
    raise ValueError(f"{made.name}: {mark}")


class Schema:
    """The fields of each object; an admin can add fields and change picklists while the twin runs."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Field]] = {}
        self._lower: dict[str, dict[str, str]] = {}
        self.restore()
        self._names = {name.lower(): name for name in self.objects}

    def restore(self) -> None:
        """As it was before any admin changed it."""
        for name, text in FIELDS.items():
            more = [MASTER] * (name in MERGEABLE) + [MARKER] * (name in MARKED)
            fields = [_field(line) for line in [*(AUDIT + text).splitlines(), *more] if line]
            fields = [f for f in fields if f.name not in LACKING.get(name, ())]
            fields = [replace(f, refers_to=name, relationship="MasterRecord") if _is_master(f) else f for f in fields]
            self.objects[name] = {f.name: f for f in fields}
            self._lower[name] = {f.name.lower(): f.name for f in fields}

    def add(self, name: str, field: Field) -> None:
        """An admin adds a field. Raises ValueError if the object has one of that name."""
        if self.find(name, field.name) is not None:
            raise ValueError(f"{name} has a field {field.name} already")
        self.objects[name][field.name] = field
        self._lower[name][field.name.lower()] = field.name

    def object_name(self, name: str) -> str | None:
        """The object's name in the vendor's own case, or None."""
        return self._names.get(name.lower())

    def find(self, name: str, field: str) -> Field | None:
        """A field by name in any case."""
        known = self._lower[name].get(field.lower())
        return self.objects[name][known] if known else None

    def relation(self, name: str, relationship: str) -> Field | None:
        """The reference field behind a relationship name such as Account or Owner."""
        wanted = relationship.lower()
        return next((f for f in self.objects[name].values() if (f.relationship or "").lower() == wanted), None)

    def set_picklist(self, name: str, field: str, values: Iterable[str], *, restricted: bool) -> None:
        known = self.find(name, field)
        if known is None or not known.values:
            raise ValueError(f"{name}.{field} is no picklist")
        self.objects[name][known.name] = replace(known, values=tuple(values), restricted=restricted)

    def describe(self, name: str) -> dict[str, Json]:
        writable = name != "User"
        return {
            **self.summary(name),
            "fields": [f.describe() for f in self.objects[name].values()],
            "recordTypeInfos": [],
            "replicateable": writable,
        }

    def summary(self, name: str) -> dict[str, Json]:
        writable = name != "User"
        return {
            "name": name,
            "label": name,
            "labelPlural": {"Opportunity": "Opportunities"}.get(name, f"{name}s"),
            "keyPrefix": PREFIXES[name],
            "custom": False,
            "createable": writable,
            "updateable": writable,
            "deletable": writable,
            "undeletable": writable,
            "mergeable": name in MERGEABLE,
            "queryable": True,
            "searchable": True,
            "retrieveable": True,
        }


def _is_master(field: Field) -> bool:
    return field.name == "MasterRecordId"


# --- ids ---------------------------------------------------------------------------------------------------------

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def make_id(name: str, number: int) -> str:
    """The 18-character id of the n-th row of an object."""
    tail = ""
    while number:
        number, digit = divmod(number, 62)
        tail = _DIGITS[digit] + tail
    return to_18(f"{PREFIXES[name]}xx{tail:0>10}")


def number_of(record_id: str) -> int:
    """The inverse of make_id."""
    number = 0
    for letter in record_id[5:15]:
        number = number * 62 + _DIGITS.index(letter)
    return number


def to_18(record_id: str) -> str:
    """Add the three check characters to a 15-character id: bit i of each tells if letter i of its five is a capital.

    Source: vendor docs, "ID Field Type". Ids of other lengths come back unchanged.
    """
    if len(record_id) != 15:
        return record_id
    checks = ""
    for start in (0, 5, 10):
        bits = sum(letter.isupper() << place for place, letter in enumerate(record_id[start : start + 5]))
        checks += _CHECK[bits]
    return record_id + checks


# --- values ------------------------------------------------------------------------------------------------------


class FieldFault(Exception):
    """A value cannot be saved. `code` is the vendor's; `fields` names the offenders."""

    def __init__(self, code: str, message: str, fields: tuple[str, ...] = ()) -> None:
        self.code, self.message, self.fields = code, message, fields
        super().__init__(f"{code}: {message}")


_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]+@[^@\s,;<>()\[\]\\\".]+(\.[^@\s,;<>()\[\]\\\".]+)+")


def clean(field: Field, value: Json) -> Json:
    """What saving makes of a value of the right kind: trimmed, blank to null, rounded, list in order of definition.

    Source: fact sheet, "Normalisation" (unconfirmed there). Values it cannot read come back as they are.
    """
    if isinstance(value, str):
        value = value.strip() or None
    if value is None:
        return False if field.type == "boolean" else None
    match field.type:
        case "boolean" if isinstance(value, str):
            return {"true": True, "false": False}.get(value.lower(), value)
        case "int" if isinstance(value, str) and value.lstrip("-").isdecimal():
            return int(value)
        case "multipicklist":
            chosen = [part for part in str(value).split(";") if part]
            place = {known: index for index, known in enumerate(field.values)}
            return ";".join(sorted(chosen, key=lambda part: place.get(part, len(place))))
        case "currency" | "double" | "percent" if not isinstance(value, bool):
            return _rounded(value, field.scale)
        case "datetime":
            return _seconds(value)
    return value


def check(field: Field, value: Json) -> None:
    """Raises FieldFault if the vendor would refuse the (cleaned) value. References are checked elsewhere."""
    if value is None:
        return
    match field.type:
        case "boolean":
            _expect(isinstance(value, bool), field, value, "boolean")
        case "int":
            _expect(isinstance(value, int) and not isinstance(value, bool), field, value, "int")
        case "currency" | "double" | "percent":
            _expect(isinstance(value, (int, float)) and not isinstance(value, bool), field, value, "double")
        case "date":
            _expect(isinstance(value, str) and _is_date(value), field, value, "date")
        case "datetime":
            _expect(isinstance(value, str) and value.endswith("+0000"), field, value, "datetime")
        case _:
            _expect(isinstance(value, str), field, value, "string")
            _check_text(field, value)


def _check_text(field: Field, value: str) -> None:
    if field.length and field.type not in ("reference", "id") and len(value) > field.length:
        message = f"{field.label}: data value too large: {value} (max length={field.length})"
        raise FieldFault("STRING_TOO_LONG", message, (field.name,))
    if field.type == "email" and not _EMAIL.fullmatch(value):
        message = f"{field.label}: invalid email address: {value}"
        raise FieldFault("INVALID_EMAIL_ADDRESS", message, (field.name,))
    if field.restricted:
        for part in value.split(";") if field.type == "multipicklist" else [value]:
            if part not in field.values:
                message = f"{field.label}: bad value for restricted picklist field: {part}"
                raise FieldFault("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))


def _expect(is_right: bool, field: Field, value: Json, kind: str) -> None:
    if not is_right:
        token = "VALUE_STRING" if isinstance(value, str) else "VALUE"
        message = f"Cannot deserialize instance of {kind} from {token} value {value} or request may be missing a field"
        raise FieldFault("JSON_PARSER_ERROR", f"{message} ({field.name})", (field.name,))


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _rounded(value: Json, scale: int) -> Json:
    try:
        number = float(Decimal(str(value)).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP))
    except (InvalidOperation, ValueError):
        return value
    return number


def _seconds(value: Json) -> Json:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return value
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return render_time(moment.replace(microsecond=0))


@lru_cache(maxsize=65_536)
def render_stamp(at: float) -> str:
    """Epoch seconds as the API writes times."""
    return render_time(datetime.fromtimestamp(at, UTC))
