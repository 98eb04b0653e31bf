"""Contacts, companies and deals of the HubSpot twin: how they are read, checked, written, merged and associated.

Knows nothing of HTTP; what cannot be done is a Refusal with the vendor's status and category.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from hub.twins.hubspot_schema import (
    ASSOCIATION_TYPES,
    DEFAULT_PROPERTIES,
    MODIFIED,
    REQUIRED,
    SINGULAR,
    STAGES,
    TYPES,
    Property,
    Schema,
    ValueFault,
    clean,
    moves_forward,
    render_time,
    text_of,
)
from hub.twins.kit import Fields, Record, Twin

Json = Any
Read = Callable[[Record], str | None]
NEEDED = {
    "contacts": ("email", "firstname", "lastname"),
    "companies": ("name", "domain"),
    "deals": ("dealname",),
    "tickets": ("subject",),
    "tasks": ("hs_task_subject", "hs_task_body"),
}
DEFAULTS = {
    "deals": {"pipeline": "default", "dealstage": "appointmentscheduled"},
    "tickets": {"hs_pipeline": "0"},
    "tasks": {"hs_task_status": "NOT_STARTED", "hs_task_type": "TODO", "hs_task_priority": "NONE"},
}


class Refusal(Exception):
    """The call, or one row of it, is refused; `extra` goes into the error body."""

    def __init__(self, status: int, category: str, message: str, **extra: Json) -> None:
        self.status, self.category, self.message, self.extra = status, category, message, extra
        super().__init__(f"{status} {category}: {message}")


_FIRST_LABEL = 1_001  # type ids of labels that admins make are the account's own


class Links:
    """Associations, kept in both directions. A contact's or deal's first company is its primary one."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], dict[str, dict[str, bool]]] = {}
        self._labels: dict[int, tuple[str, str, str]] = {}  # type id -> (from, to, label)
        self._labelled: dict[tuple[str, str, str, str], set[str]] = {}  # (from, to, id, id) -> labels
        self.changes = 0  # rises with every change

    def of(self, source: str, target: str, record_id: str) -> list[tuple[str, bool]]:
        """(id, is primary) of all rows of type `target` that the row is associated with."""
        return list(self._held.get((source, target), {}).get(record_id, {}).items())

    def primary(self, source: str, target: str, record_id: str) -> str | None:
        return next((other for other, is_primary in self.of(source, target, record_id) if is_primary), None)

    def add(self, source: str, target: str, record_id: str, other_id: str, *, primary: bool = False) -> bool:
        """Associate two rows. True if that was new, or made the company primary."""
        if target != "companies" and source == "companies":
            return self.add(target, source, other_id, record_id, primary=primary)
        self.changes += 1
        held = self._held.setdefault((source, target), {}).setdefault(record_id, {})
        back = self._held.setdefault((target, source), {}).setdefault(other_id, {})
        has_types = ASSOCIATION_TYPES[source, target][1] is not None
        primary = has_types and (primary or not held or held.get(other_id, False))
        is_new = other_id not in held or held[other_id] != primary
        if primary:
            for known in held:
                held[known] = False
                self._held[target, source][known][record_id] = False
        held[other_id] = back[record_id] = primary
        return is_new

    def remove(self, source: str, target: str, record_id: str, other_id: str) -> bool:
        self.changes += 1
        found = self._held.get((source, target), {}).get(record_id, {}).pop(other_id, None)
        self._held.get((target, source), {}).get(other_id, {}).pop(record_id, None)
        for pair in ((source, target, record_id, other_id), (target, source, other_id, record_id)):
            self._labelled.pop(pair, None)
        return found is not None

    def move(self, name: str, old_id: str, new_id: str) -> None:
        """All associations of a merged-away row become the survivor's."""
        for source, target in list(self._held):
            if source != name or old_id == new_id:
                continue
            for other_id, is_primary in self.of(source, target, old_id):
                self.remove(source, target, old_id, other_id)
                keeps = is_primary and self.primary(source, target, new_id) is None
                self.add(source, target, new_id, other_id, primary=keeps)

    def clear(self) -> None:
        self._held.clear()
        self._labels.clear()
        self._labelled.clear()

    # Labels: names that an admin gives to associations; a pair can have several

    def define(self, source: str, target: str, label: str) -> tuple[int, int]:
        """A new label; its type ids from `source`, and from `target` back."""
        there, back = _FIRST_LABEL + len(self._labels), _FIRST_LABEL + 1 + len(self._labels)
        self._labels |= {there: (source, target, label), back: (target, source, label)}
        return there, back

    def labels(self, source: str, target: str) -> dict[int, str]:
        """Type id -> label, of the labels from `source` to `target`."""
        return {each: label for each, (one, other, label) in self._labels.items() if (one, other) == (source, target)}

    def target_of(self, source: str, type_id: int) -> str:
        """Which objects a label from `source` leads to; "" if there is no such label."""
        one, other, _ = self._labels.get(type_id, ("", "", ""))
        return other if one == source else ""

    def label(self, source: str, target: str, record_id: str, other_id: str, type_id: int, *, on: bool = True) -> None:
        """Give a pair a label, or take it away."""
        self.changes += 1
        name = self._labels[type_id][2]
        for pair in ((source, target, record_id, other_id), (target, source, other_id, record_id)):
            held = self._labelled.setdefault(pair, set())
            held.add(name) if on else held.discard(name)

    def labels_of(self, source: str, target: str, record_id: str, other_id: str) -> dict[int, str]:
        """The labels of a pair, by their type ids."""
        held = self._labelled.get((source, target, record_id, other_id), set())
        return {each: label for each, label in self.labels(source, target).items() if label in held}


class Objects:
    """All rows of one portal. Callers hold the twin's lock."""

    def __init__(self, twin: Twin, schema: Schema) -> None:
        self._twin, self._records = twin, twin.records
        self.schema, self.links = schema, Links()
        self.rules: list[dict[str, Json]] = []  # conditional required properties, enforced since version 2026-09
        self._readers: dict[tuple[str, str], Read] = {}
        self._records.add_index("contacts", "email", _emails)
        for name in TYPES:
            for prop in schema.unique_names(name):
                self.index(name, prop)

    # --- reading -----------------------------------------------------------------------------------------------

    def index(self, name: str, prop: str) -> None:
        """Keep a unique property findable."""
        self._records.add_index(name, prop, lambda fields: [fields[prop].lower()] if fields.get(prop) else [])

    def reader(self, name: str, prop: str) -> Read:
        """A function that reads a property off a row, stored or derived; None if it has no value."""
        known = self._readers.get((name, prop))
        if known is None:
            known = self._readers[name, prop] = self._new_reader(name, prop)
        return known

    def read(self, record: Record, prop: str) -> str | None:
        return self.reader(record.stream, prop)(record)

    def find(self, name: str, key: str, id_property: str | None = None, *, archived: bool = False) -> Record | None:
        """A row by id, or by e-mail or another unique property, as the call under way sees it.

        The id of a merged-away row leads to the survivor. Raises Refusal if the property is not unique.
        """
        record = self.stored(name, key, id_property)
        seen = self._twin.see(record) if record else None
        return seen if seen and seen.deleted == archived else None

    def stored(self, name: str, key: str, id_property: str | None = None) -> Record | None:
        """The same, as stored, archived or not."""
        if id_property and id_property != "hs_object_id":
            prop = id_property.lower()
            if prop not in self.schema.unique_names(name) and (name, prop) != ("contacts", "email"):
                raise Refusal(400, "VALIDATION_ERROR", f"Property {id_property} is not a unique property of {name}")
            found = self._records.lookup(name, prop, str(key).strip().lower())
            return found[0] if found else None
        record = self._records.find(name, str(key))
        while record is not None and record.merged_into:
            record = self._records.find(name, record.merged_into)
        return record

    def render(self, record: Record, properties: Iterable[str] | None, **extra: Json) -> dict[str, Json]:
        """A row in the API's form. None: the default set of properties."""
        name = record.stream
        asked = list(properties) if properties else list(DEFAULT_PROPERTIES[name])
        wanted = dict.fromkeys([*asked, "createdate", "hs_object_id", MODIFIED[name]])
        found = {
            prop: self.reader(name, prop)(record) for prop in sorted(wanted) if prop in self.schema.properties[name]
        }
        answer: dict[str, Json] = {
            "id": record.id,
            "properties": found,
            "createdAt": render_time(record.created),
            "updatedAt": render_time(record.modified),
            "archived": record.deleted,
        }
        if record.deleted:
            answer["archivedAt"] = render_time(record.modified)
        return answer | extra

    def history(self, record: Record, prop: str) -> list[dict[str, Json]]:
        """The values a property has had, newest first."""
        versions: list[dict[str, Json]] = []
        for change in reversed(record.history):
            if prop in change.changed:
                versions.append(_version(change.changed[prop][1], change.at, change.by))
        if record.created_by == "load" or not versions:
            first = next((c.changed[prop][0] for c in record.history if prop in c.changed), self.read(record, prop))
            if first is not None:
                versions.append(_version(first, record.created, record.created_by))
        return versions

    def _new_reader(self, name: str, prop: str) -> Read:
        links = self.links
        derived: dict[str, Read] = {
            "createdate": lambda record: render_time(record.created),
            "hs_object_id": lambda record: record.id,
            MODIFIED[name]: lambda record: render_time(record.modified),
        }
        if name == "contacts":
            derived["associatedcompanyid"] = lambda record: links.primary("contacts", "companies", record.id)
            derived["hs_calculated_phone_number"] = lambda record: _plain_phone(record.fields.get("phone"))
        if name == "tasks":
            derived["hs_createdate"] = derived["createdate"]
        if name == "deals":
            derived["hs_is_closed"] = lambda record: str(_stage(record)[2]).lower()
            derived["hs_is_closed_won"] = lambda record: str(record.fields.get("dealstage") == "closedwon").lower()
            derived["hs_deal_stage_probability"] = lambda record: _stage(record)[1]
            derived["num_associated_contacts"] = lambda record: str(len(links.of("deals", "contacts", record.id)))
        return derived.get(prop) or (lambda record: record.fields.get(prop))

    # --- writing -----------------------------------------------------------------------------------------------

    def create(self, name: str, properties: Fields, *, strict: bool, by: str = "api") -> Record:
        """Add a row. Raises Refusal; 409 names the row that has the e-mail already."""
        fields = self.completed(name, self.prepared(name, properties, None, strict=strict))
        if not any(fields.get(prop) for prop in NEEDED[name]):
            raise Refusal(400, "VALIDATION_ERROR", f"At least one of {', '.join(NEEDED[name])} is needed")
        lacking = [prop for prop in REQUIRED.get(name, ()) if not fields.get(prop)]
        if lacking:
            message = f"Error creating {SINGULAR[name]}. Some required properties were not set."
            raise Refusal(400, "VALIDATION_ERROR", message, context={"properties": [f"[{', '.join(lacking)}]"]})
        company = fields.pop("associatedcompanyid", None)
        record = self._records.create(name, fields, by=by, id=self._twin.new_id(name))
        if company:
            self.links.add("contacts", "companies", record.id, company, primary=True)
        return record

    def update(self, record: Record, properties: Fields, *, strict: bool, by: str = "api") -> Record:
        """Change properties; a value that is already there changes nothing. Raises Refusal."""
        fields = self.prepared(record.stream, properties, record, strict=strict)
        company = fields.pop("associatedcompanyid", None)
        if company:
            self.links.add("contacts", "companies", record.id, company, primary=True)
        return self._records.update(record.stream, record.id, fields, by, touch=False)

    def completed(self, name: str, fields: Fields) -> Fields:
        return {**DEFAULTS.get(name, {}), **{key: value for key, value in fields.items() if value is not None}}

    def normalised(self, name: str, properties: Fields) -> Fields:
        """Values as saving makes them; what the API would refuse is kept as it is."""
        fields: Fields = {}
        for key, value in properties.items():
            prop = self.schema.find(name, key)
            try:
                fields[prop.name if prop else key] = clean(prop, text_of(value)) if prop else text_of(value)
            except ValueFault:
                fields[key] = text_of(value)
        return fields

    def prepared(self, name: str, properties: Fields, record: Record | None, *, strict: bool) -> Fields:
        """The properties, checked all together. Raises Refusal with every fault found."""
        fields: Fields = {}
        faults: list[ValueFault] = []
        for key, value in properties.items():
            try:
                prop = self._writable(name, key)
                fields[prop.name] = self._checked(prop, text_of(value))
            except ValueFault as fault:
                faults.append(fault)
        if faults:
            raise invalid(faults)
        held = record.fields if record else {}
        if "lifecyclestage" in fields and not moves_forward(held.get("lifecyclestage"), fields["lifecyclestage"]):
            del fields["lifecyclestage"]  # ignored without a word (fact sheet, "Normalisation on write")
        self.refuse_taken(name, fields, record.id if record else "")
        if strict:
            self._refuse_missing(name, {**held, **fields})
        return fields

    def _writable(self, name: str, key: str) -> Property:
        prop = self.schema.find(name, key)
        if prop is None:
            raise ValueFault(key, "PROPERTY_DOESNT_EXIST", f'Property "{key}" does not exist')
        if prop.read_only or prop.calculated:
            message = f'"{key}" is a read only property; its value cannot be set.'
            raise ValueFault(key, "READ_ONLY_VALUE", message)
        return prop

    def _checked(self, prop: Property, value: str | None) -> str | None:
        value = clean(prop, value)
        if value is None:
            return None
        if prop.refers_to == "OWNER" and self._records.find("owners", value) is None:
            raise ValueFault(prop.name, "INVALID_OWNER_ID", f"Owner {value} does not exist")
        if prop.name == "associatedcompanyid" and self._records.find("companies", value) is None:
            raise ValueFault(prop.name, "INVALID_ASSOCIATION", f"Company {value} does not exist")
        return value

    def refuse_taken(self, name: str, fields: Fields, own_id: str) -> None:
        """Raises Refusal if another live row has the e-mail address or unique value."""
        if name == "contacts" and fields.get("email"):
            others = [r.id for r in self._records.lookup(name, "email", fields["email"]) if r.id != own_id]
            if others:
                raise Refusal(409, "CONFLICT", f"Contact already exists. Existing ID: {others[0]}")
        for prop in self.schema.unique_names(name):
            value = fields.get(prop)
            others = [r.id for r in self._records.lookup(name, prop, value.lower()) if r.id != own_id] if value else []
            if others:
                raise invalid([ValueFault(prop, "CONFLICTING_UNIQUE_VALUE", f"{others[0]} already has that value.")])

    def _refuse_missing(self, name: str, fields: Fields) -> None:
        for rule in self.rules:
            applies = rule["stream"] == name and fields.get(rule["when"]) in rule["values"]
            if applies and not fields.get(rule["property"]):
                message = f"Property {rule['property']} is required because of {rule['when']}"
                context = {"propertyName": [rule["property"]]}
                error = {"message": message, "code": "MISSING_CONDITIONAL_REQUIRED_PROPERTY", "context": context}
                raise Refusal(400, "VALIDATION_ERROR", message, errors=[error])

    # --- merging -----------------------------------------------------------------------------------------------

    def merge(self, name: str, winner_id: str, loser_id: str, *, keep_id: bool, by: str) -> Record:
        """Two rows become one: the winner's row, or with `keep_id` off a new row. Returns the survivor.

        The loser fills the winner's blanks; a contact's other address becomes an additional one.
        """
        winner, loser = self._records.get(name, winner_id), self._records.get(name, loser_id)
        if winner.deleted or loser.deleted or winner_id == loser_id:
            raise Refusal(400, "VALIDATION_ERROR", "Only two different, live records can be merged")
        blanks = {k: v for k, v in loser.fields.items() if v and not winner.fields.get(k)}
        taken: Fields = {**blanks, **self._merge_notes(winner, loser, keep_id=keep_id)}
        if keep_id:
            survivor = self._records.merge(name, winner_id, loser_id, taken, by)
        else:
            fields = {**winner.fields, **taken}
            survivor = self._records.create(name, fields, by=by, id=self._twin.new_id(name))
            for old_id in (winner_id, loser_id):
                self._records.merge(name, survivor.id, old_id, {}, by)
                self.links.move(name, old_id, survivor.id)
        self.links.move(name, loser_id, survivor.id)
        return survivor

    def _merge_notes(self, winner: Record, loser: Record, *, keep_id: bool) -> Fields:
        merged = [loser.id] if keep_id else [winner.id, loser.id]
        older = [i for r in (winner, loser) for i in (r.fields.get("hs_merged_object_ids") or "").split(";") if i]
        notes: Fields = {"hs_merged_object_ids": ";".join(dict.fromkeys([*older, *merged]))}
        if winner.stream == "contacts":
            at = int(self._twin.now() * 1000)
            vids = (winner.fields.get("hs_calculated_merged_vids") or "").split(";")
            notes["hs_calculated_merged_vids"] = ";".join(v for v in [*vids, *(f"{m}:{at}" for m in merged)] if v)
            addresses = [*_emails(winner.fields), *_emails(loser.fields)]
            others = [
                a for a in dict.fromkeys(addresses) if a != (winner.fields.get("email") or loser.fields.get("email"))
            ]
            notes["hs_additional_emails"] = ";".join(others) or None
        return notes


def invalid(faults: list[ValueFault]) -> Refusal:
    """400 for values: the outer message holds JSON as text, as the vendor's does."""
    details = [{"isValid": False, "message": f.message, "error": f.code, "name": f.name} for f in faults]
    errors = [{"message": f.message, "code": f.code, "context": {"propertyName": [f.name]}} for f in faults]
    message = "Property values were not valid: " + orjson.dumps(details).decode()
    return Refusal(400, "VALIDATION_ERROR", message, errors=errors)


def describe_link(
    source: str, target: str, *, primary: bool, labels: Mapping[int, str] = MappingProxyType({})
) -> list[dict[str, Json]]:
    """The association types of one pair; a primary association has two, and one more for each label."""
    plain, first = ASSOCIATION_TYPES[source, target]
    found: list[dict[str, Json]] = [{"category": "HUBSPOT_DEFINED", "typeId": plain, "label": None}]
    if primary and first is not None:
        found.append({"category": "HUBSPOT_DEFINED", "typeId": first, "label": "Primary"})
    more = [{"category": "USER_DEFINED", "typeId": type_id, "label": label} for type_id, label in labels.items()]
    return found + more


def link_names(source: str, target: str, *, primary: bool) -> list[str]:
    """How list answers name the same: a primary association is listed twice (fact sheet, "List")."""
    name = f"{SINGULAR[source]}_to_{SINGULAR[target]}"
    return [name, f"{name}_unlabeled"] if primary else [f"{name}_unlabeled"]


def _emails(fields: Fields) -> list[str]:
    more = (fields.get("hs_additional_emails") or "").split(";")
    return [address.lower() for address in (fields.get("email"), *more) if address]


def _stage(record: Record) -> tuple[str, str, bool]:
    return STAGES.get(record.fields.get("dealstage") or "", ("", "0.0", False))


def _plain_phone(phone: str | None) -> str | None:
    digits = re.sub(r"\D", "", phone or "")
    return ("+" if (phone or "").strip().startswith("+") else "") + digits if digits else None


def source_of(by: str) -> tuple[str, str | None]:
    """(changeSource, sourceId) of a writer."""
    kind, _, who = by.partition(":")
    if kind == "user":
        return "CRM_UI", f"userId:{who}"
    return ("INTEGRATION", None) if kind == "api" else ("AUTOMATION_PLATFORM", None)


def _version(value: Json, at: float, by: str) -> dict[str, Json]:
    source, source_id = source_of(by)
    version = {"value": value or "", "timestamp": render_time(at), "sourceType": source}
    return version | ({"sourceId": source_id} if source_id else {})
