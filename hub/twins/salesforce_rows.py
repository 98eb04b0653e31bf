"""Rows of the Salesforce twin: how they are read, rendered, queried, checked and written.

Knows nothing of HTTP; what cannot be done is a FieldFault or SoqlFault with the vendor's code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from hub.twins.kit import Fields, Record, Twin
from hub.twins.salesforce_objects import MERGEABLE, OBJECTS, PERSON_OBJECTS, PREFIXES, STAGES, STREAMS
from hub.twins.salesforce_schema import (
    TEXT_TYPES,
    Field,
    FieldFault,
    Schema,
    check,
    clean,
    make_id,
    number_of,
    render_stamp,
    to_18,
)
from hub.twins.salesforce_soql import (
    Compare,
    Fold,
    Getter,
    Literal,
    Query,
    SoqlFault,
    compile_condition,
    exact_values,
    folded,
    lower_bound,
    sort_rows,
)

Json = Any
API_USER = make_id("User", 0)  # the integration user, in whose name the API writes
_KINDS = {"boolean": "boolean", "date": "date", "datetime": "datetime"}
_KIND_NAMES = {"datetime": "dateTime", "int": "int", "currency": "currency"}
FIELDS_LIMIT = 200  # SELECT FIELDS(ALL) needs LIMIT 200 or less (vendor docs, "FIELDS()")


class SeveralMatch(Exception):
    """An upsert key fits more than one row; answered with 300 and their ids."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        super().__init__(", ".join(ids))


class Rows:
    """All objects' rows of one twin. Callers hold the twin's lock."""

    def __init__(self, twin: Twin, schema: Schema) -> None:
        self._twin = twin
        self._records = twin.records
        self.schema = schema
        self._numbers: dict[str, int] = {}
        self.allow_duplicates = False  # the call under way carries Sforce-Duplicate-Rule-Header: allowSave=true
        for name, fields in schema.objects.items():
            for field in fields.values():
                self._index(name, field)

    def _index(self, name: str, field: Field) -> None:
        """Keep rows findable by a field that is a key."""
        if field.external or field.name == "Email":
            self._records.add_index(STREAMS[name], field.name, _keys(field.name))

    def add_field(self, name: str, field: Field) -> None:
        """An admin adds a field. Raises ValueError if the object has one of that name."""
        self.schema.add(name, field)
        self._index(name, field)

    # --- reading -----------------------------------------------------------------------------------------------

    def find(self, name: str, record_id: str, *, deleted: bool = False) -> Record | None:
        """A row as the call under way sees it; rows in the bin only if asked."""
        stored = self._records.find(STREAMS[name], to_18(record_id))
        seen = self._twin.see(stored) if stored else None
        return seen if seen and (deleted or not seen.deleted) else None

    def getter(self, name: str, path: str) -> Getter:
        """A function that reads a field, or a field of a parent (Account.Name), off a row, in rendered form.

        Raises SoqlFault INVALID_FIELD.
        """
        relationship, _, rest = path.partition(".")
        if rest:
            return self._parent_getter(name, relationship, rest)
        field = self.schema.find(name, path)
        if field is None:
            raise no_such_column(path, name)
        if field.name in _READERS:
            return _READERS[field.name]
        if field.name in ("CreatedById", "LastModifiedById"):
            by = "created_by" if field.name == "CreatedById" else "by"
            return lambda record: self._user_of(getattr(record, by))
        if field.type == "address":
            return _address_getter(field.name.removesuffix("Address"))
        derived = _DERIVED.get((name, field.name))
        if derived is not None:
            return derived
        if field.name == "Name" and name in PERSON_OBJECTS:
            return _person_name
        default = False if field.type == "boolean" else None
        return lambda record, key=field.name: record.fields.get(key, default)  # type: ignore[misc]

    def renderer(self, name: str, paths: Iterable[str], version: str) -> Callable[[Record], dict[str, Json]]:
        """A function that turns a row into the API's JSON with these fields."""
        plain: list[tuple[str, Getter]] = []
        nested: dict[str, list[str]] = {}
        for path in paths:
            relationship, _, rest = path.partition(".")
            if rest:
                nested.setdefault(relationship, []).append(rest)
            else:
                read = self.getter(name, path)
                field = self.schema.find(name, path)
                plain.append((field.name if field else path, read))
        for relationship, fields in nested.items():
            plain.append(self._parent_renderer(name, relationship, fields, version))
        url = f"/services/data/v{version}/sobjects/{name}/"

        def render(record: Record) -> dict[str, Json]:
            row: dict[str, Json] = {"attributes": {"type": name, "url": url + record.id}}
            for key, read in plain:
                row[key] = read(record)
            return row

        return render

    def field_names(self, name: str, query_fields: Iterable[str], limit: int | None) -> list[str]:
        """The fields a query asks for, FIELDS(..) spelled out."""
        names: list[str] = []
        for path in query_fields:
            if not path.startswith("FIELDS("):
                names.append(path)
                continue
            group = path[7:-1]
            if group != "STANDARD" and (limit is None or limit > FIELDS_LIMIT):
                raise SoqlFault(
                    "MALFORMED_QUERY", f"The SOQL FIELDS function must have a LIMIT of at most {FIELDS_LIMIT}"
                )
            custom = {"ALL": (True, False), "CUSTOM": (True,), "STANDARD": (False,)}.get(group)
            if custom is None:
                raise SoqlFault("MALFORMED_QUERY", f"unexpected token: '{group}'")
            names += [f for f in self.schema.objects[name] if f.endswith("__c") in custom]
        return names

    def run(self, query: Query, name: str, *, deleted: bool) -> list[Record]:
        """The rows a query finds, in its order, as the call under way sees them."""
        test = None
        if query.where:
            test = compile_condition(
                query.where,
                lambda f: self.getter(name, f),
                lambda c: self._checked(name, c),
                lambda f: self._fold(name, f),
            )
        found: list[Record] = []
        for stored in self._candidates(query, name):
            record = self._twin.see(stored)
            if record and (deleted or not record.deleted) and (test is None or test(record)):
                found.append(record)
        sort_rows(
            found, query.order, lambda f: _STAMPS.get(f.lower()) or self.getter(name, f), lambda f: self._fold(name, f)
        )
        return found[query.offset :][: query.limit]

    def _candidates(self, query: Query, name: str) -> list[Record]:
        stream = STREAMS[name]
        ids = exact_values(query.where, "Id")
        if ids is not None:
            rows = [self._records.find(stream, to_18(str(record_id))) for record_id in dict.fromkeys(ids)]
            return [row for row in rows if row is not None]
        bounds = [b for b in (lower_bound(query.where, f) for f in ("SystemModstamp", "LastModifiedDate")) if b]
        if bounds:
            return self._records.since(stream, datetime.fromisoformat(max(bounds)).timestamp())
        return self._records.all(stream)

    def _checked(self, name: str, compare: Compare) -> Compare:
        """Refuse a comparison of wrong type; bring ids to 18 characters."""
        field = self._leaf(name, compare.field)
        if not field.filterable:
            raise SoqlFault("INVALID_FIELD", f"field '{field.name}' can not be filtered in a query call")
        wanted = "string" if field.type in TEXT_TYPES else _KINDS.get(field.type, "number")
        for literal in compare.values:
            if literal.kind in (wanted, "null"):
                continue
            quotes = "should not be enclosed in quotes" if literal.kind == "string" else "should be enclosed in quotes"
            kind = _KIND_NAMES.get(field.type, field.type)
            about = f"value of filter criterion for field '{field.name}' must be of type {kind}"
            told = f" and {quotes}" if "string" in (wanted, literal.kind) else ""
            raise SoqlFault("INVALID_FIELD", about + told)
        if field.type not in ("id", "reference"):
            return compare
        values = tuple(Literal(kind=v.kind, value=to_18(v.value) if v.value else v.value) for v in compare.values)
        return Compare(field=compare.field, op=compare.op, values=values)

    def _leaf(self, name: str, path: str) -> Field:
        """The field at the end of a path such as Account.Name."""
        owner, _, leaf = path.rpartition(".")
        for relationship in owner.split(".") if owner else ():
            name = self._relation(name, relationship).refers_to or name
        field = self.schema.find(name, leaf)
        if field is None:
            raise no_such_column(leaf, name)
        return field

    def _fold(self, name: str, path: str) -> Fold:
        """Ids tell capitals from small letters; times and dates need no folding, which saves time."""
        exact = self._leaf(name, path).type not in ("string", "textarea", "phone", "email", "url", "picklist")
        return as_it_is if exact else folded

    def _relation(self, name: str, relationship: str) -> Field:
        field = self.schema.relation(name, relationship)
        if field is None:
            raise SoqlFault("INVALID_FIELD", f"Didn't understand relationship '{relationship}' in field path")
        return field

    def _parent_getter(self, name: str, relationship: str, rest: str) -> Getter:
        field = self._relation(name, relationship)
        parent = field.refers_to or name
        reference, inner = self.getter(name, field.name), self.getter(parent, rest)

        def read(record: Record) -> Json:
            parent_id = reference(record)
            row = self.find(parent, parent_id, deleted=True) if parent_id else None
            return inner(row) if row else None

        return read

    def _parent_renderer(self, name: str, relationship: str, fields: list[str], version: str) -> tuple[str, Getter]:
        field = self._relation(name, relationship)
        parent = field.refers_to or name
        reference = self.getter(name, field.name)
        render = self.renderer(parent, fields, version)

        def read(record: Record) -> Json:
            parent_id = reference(record)
            row = self.find(parent, parent_id, deleted=True) if parent_id else None
            return render(row) if row else None

        return field.relationship or relationship, read

    def _user_of(self, by: str) -> str:
        kind, _, user = by.partition(":")
        if kind != "user":
            return API_USER
        if user.startswith(PREFIXES["User"]):
            return to_18(user)
        people = (r.id for r in self._records.all("users") if r.id != API_USER)
        return next(people, make_id("User", 1))

    # --- writing -----------------------------------------------------------------------------------------------

    def next_id(self, name: str) -> str:
        last = self._records.last_id(STREAMS[name])
        number = max(self._numbers.get(name, 0), number_of(last) if last else 0) + 1
        self._numbers[name] = number
        return make_id(name, number)

    def forget(self) -> None:
        self._numbers.clear()

    def cleaned(self, name: str, fields: Fields) -> Fields:
        """Known fields by their proper names, values as saving makes them."""
        kept: Fields = {}
        for key, value in fields.items():
            field = self.schema.find(name, key)
            if field is None:
                raise FieldFault("INVALID_FIELD", f"No such column '{key}' on sobject of type {name}")
            kept[field.name] = clean(field, value)
        if name == "Opportunity" and kept.get("StageName") in STAGES and "Probability" not in kept:
            kept["Probability"] = float(STAGES[kept["StageName"]][0])
        if name == "CampaignMember" and kept.get("Status") == "Responded":
            kept.setdefault("FirstRespondedDate", render_stamp(self._twin.now())[:10])
        return kept

    def completed(self, name: str, fields: Fields) -> Fields:
        """A new row's fields with the vendor's defaults."""
        defaults: Fields = {f.name: f.default for f in self.schema.objects[name].values() if f.default is not None}
        if "OwnerId" in self.schema.objects[name]:
            defaults["OwnerId"] = API_USER
        return {**defaults, **{k: v for k, v in fields.items() if v is not None or k not in defaults}}

    def create(self, name: str, body: Fields) -> str:
        """Add a row by the API; returns its id. Raises FieldFault."""
        self._refuse_read_only(name)
        fields = self.completed(name, self._prepared(name, body, creating=True))
        missing = [f.name for f in self.schema.objects[name].values() if f.required and fields.get(f.name) is None]
        if missing:
            message = f"Required fields are missing: [{', '.join(missing)}]"
            raise FieldFault("REQUIRED_FIELD_MISSING", message, tuple(missing))
        self._refuse_taken(name, fields, own_id="")
        self._refuse_duplicates(name, fields)
        if name == "CampaignMember":
            self._refuse_member(fields)
        self._row_fault()
        return self._records.create(STREAMS[name], fields, by="api", id=self.next_id(name)).id

    def update(self, name: str, record_id: str, body: Fields) -> str:
        """Change a row by the API; returns its id. Raises FieldFault."""
        self._refuse_read_only(name)
        record = self.stored(name, record_id)
        if record.fields.get("IsConverted"):
            raise FieldFault("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        fields = self._prepared(name, body, creating=False)
        blank = [key for key, value in fields.items() if value is None and self.schema.objects[name][key].required]
        if blank:
            message = f"Required fields are missing: [{', '.join(blank)}]"
            raise FieldFault("REQUIRED_FIELD_MISSING", message, tuple(blank))
        self._refuse_taken(name, fields, own_id=record.id)
        self._row_fault()
        self._records.update(STREAMS[name], record.id, fields, by="api")
        return record.id

    def upsert(self, name: str, key: str, value: str, body: Fields) -> tuple[str, bool]:
        """Create or update by an external id; returns (id, created). Raises FieldFault, SeveralMatch."""
        matches = self.by_key(name, key, value)
        if len(matches) > 1:
            raise SeveralMatch([match.id for match in matches])
        if matches:
            return self.update(name, matches[0].id, body), False
        field = self.schema.find(name, key)
        return self.create(name, {**body, field.name if field else key: value}), True

    def by_key(self, name: str, key: str, value: str) -> list[Record]:
        """Live rows by an external id or e-mail address. Raises FieldFault NOT_FOUND for a field that is no key."""
        field = self.schema.find(name, key)
        if field is None or not (field.external or field.name == "Email"):
            raise FieldFault("NOT_FOUND", "Provided external ID field does not exist or is not accessible: " + key)
        return self._records.lookup(STREAMS[name], field.name, value.strip().casefold())

    def delete(self, name: str, record_id: str) -> str:
        """Put a row into the recycle bin by the API; returns its id. Raises FieldFault."""
        self._refuse_read_only(name)
        record = self.stored(name, record_id)
        self._row_fault()
        return self._records.delete(STREAMS[name], record.id, by="api").id

    def stored(self, name: str, record_id: str) -> Record:
        """The row to be written. Raises FieldFault NOT_FOUND or ENTITY_IS_DELETED."""
        record = self._records.find(STREAMS[name], to_18(record_id))
        if record is None:
            raise FieldFault("NOT_FOUND", "The requested resource does not exist")
        if record.deleted:
            raise FieldFault("ENTITY_IS_DELETED", "entity is deleted")
        return record

    def _prepared(self, name: str, body: Fields, *, creating: bool) -> Fields:
        """The body's fields, checked one by one. Raises FieldFault."""
        plain: Fields = {}
        for key, value in body.items():
            if key == "attributes":
                continue
            if isinstance(value, dict):
                field, target = self._by_external_parent(name, key, value)
                plain[field.name] = target
            else:
                plain[key] = value
        fields = self.cleaned(name, plain)
        locked = [k for k in fields if not _writable(self.schema.objects[name][k], creating) and k in _given(plain, k)]
        if locked:
            message = f"Unable to create/update fields: {', '.join(locked)}. Please check the security settings of this"
            raise FieldFault("INVALID_FIELD_FOR_INSERT_UPDATE", f"{message} field.", tuple(locked))
        for key, value in fields.items():
            field = self.schema.objects[name][key]
            check(field, value)
            if field.type == "reference" and value is not None:
                fields[key] = self._checked_reference(field, value)
        return fields

    def _by_external_parent(self, name: str, relationship: str, value: Fields) -> tuple[Field, str]:
        """`"Account": {"Hub_Id__c": "A1"}`: the reference field and the id it then holds."""
        field = self.schema.relation(name, relationship)
        keys = [(k, v) for k, v in value.items() if k != "attributes"]
        if field is None or not field.refers_to or len(keys) != 1:
            raise FieldFault("INVALID_FIELD", f"No such column '{relationship}' on sobject of type {name}")
        key, wanted = keys[0]
        rows = self.by_key(field.refers_to, key, str(wanted))
        if len(rows) != 1:
            message = f"Foreign key external ID: {wanted} not found for field {key} in entity {field.refers_to}"
            raise FieldFault("INVALID_FIELD", message)
        return field, rows[0].id

    def _checked_reference(self, field: Field, value: str) -> str:
        if len(value) not in (15, 18):
            raise FieldFault("MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", (field.name,))
        record_id = to_18(value)
        target = next(
            (each for each in (field.refers_to, *field.or_to) if record_id.startswith(PREFIXES[each or ""])), ""
        )
        if not target:
            raise FieldFault(
                "FIELD_INTEGRITY_EXCEPTION", f"{field.label}: id value of incorrect type: {value}", (field.name,)
            )
        record = self._records.find(STREAMS[target], record_id)
        if record is None:
            raise FieldFault("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (field.name,))
        if record.deleted:
            raise FieldFault("ENTITY_IS_DELETED", "entity is deleted", (field.name,))
        return record_id

    def _refuse_taken(self, name: str, fields: Fields, *, own_id: str) -> None:
        for field in self.schema.objects[name].values():
            value = fields.get(field.name) if field.external else None
            if value is None:
                continue
            for other in self._records.lookup(STREAMS[name], field.name, str(value).casefold()):
                if other.id != own_id:
                    message = f"duplicate value found: {field.name} duplicates value on record with id: {other.id[:15]}"
                    raise FieldFault("DUPLICATE_VALUE", message)

    def _refuse_duplicates(self, name: str, fields: Fields) -> None:
        """The org's duplicate rule, if one is on: same e-mail, unless the caller allows it by header."""
        rule = self._twin.settings.get("duplicate_rule") and not self.allow_duplicates
        if rule and fields.get("Email") and name in ("Contact", "Lead"):
            if self._records.lookup(STREAMS[name], "Email", fields["Email"].casefold()):
                raise FieldFault("DUPLICATES_DETECTED", "Use one of these records?")

    def _refuse_member(self, fields: Fields) -> None:
        """A member is one contact or one lead, once per campaign (Object Reference, CampaignMember)."""
        who = fields.get("ContactId") or fields.get("LeadId")
        if who is None:
            raise FieldFault(
                "REQUIRED_FIELD_MISSING", "Required fields are missing: [ContactId, LeadId]", ("ContactId",)
            )
        for other in self._records.all("campaign_members"):
            if not other.deleted and other.fields.get("CampaignId") == fields["CampaignId"] and _member(other) == who:
                raise FieldFault("DUPLICATE_VALUE", "Already a campaign member.")

    def _refuse_read_only(self, name: str) -> None:
        if name == "User":
            raise FieldFault("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")

    def _row_fault(self) -> None:
        match self._twin.faults.row_fault():
            case "reject":
                raise FieldFault("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Refused by a validation rule of this org")
            case "partial_batch":
                raise FieldFault("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")

    # --- what people do ----------------------------------------------------------------------------------------

    def reparent(self, loser: str, winner: str, by: str) -> None:
        """Rows that point at a merged-away account, contact or lead point at the survivor."""
        for name, field in _POINTERS:
            for record in self._records.all(STREAMS[name]):
                if record.fields.get(field) == loser:
                    self._records.update(STREAMS[name], record.id, {field: winner}, by)

    def convert(self, lead_id: str, account_id: str | None, contact_id: str | None, *, deal: bool, by: str) -> Fields:
        """A person converts a lead; returns the three ids. Existing rows are used if named and their blanks filled."""
        lead = self.stored("Lead", lead_id)
        if lead.fields.get("IsConverted"):
            raise FieldFault("CANNOT_UPDATE_CONVERTED_LEAD", "lead is already converted")
        owner = lead.fields.get("OwnerId")
        if account_id is None:
            account_id = self._add("Account", {"Name": lead.fields["Company"], "OwnerId": owner}, by)
        wanted = {theirs: lead.fields.get(ours) for ours, theirs in LEAD_TO_CONTACT.items()}
        if contact_id is None:
            contact_id = self._add("Contact", {**wanted, "AccountId": account_id, "OwnerId": owner}, by)
        else:
            held = self.stored("Contact", contact_id).fields
            blanks = {key: value for key, value in wanted.items() if value and not held.get(key)}
            self._records.update("contacts", to_18(contact_id), blanks, by)
        deal_id = None
        if deal:
            today = render_stamp(self._twin.now())[:10]
            opened = {"Name": f"{lead.fields['Company']}-", "StageName": "Prospecting", "CloseDate": today}
            deal_id = self._add("Opportunity", {**opened, "AccountId": account_id, "OwnerId": owner}, by)
        made: Fields = {
            "ConvertedAccountId": to_18(account_id),
            "ConvertedContactId": to_18(contact_id),
            "ConvertedOpportunityId": deal_id,
        }
        marks = {"IsConverted": True, "Status": "Closed - Converted"}
        marks["ConvertedDate"] = render_stamp(self._twin.now())[:10]
        self._records.update("leads", lead.id, {**made, **marks}, by)
        self._move_activities(lead.id, to_18(contact_id), by)
        return made

    def _move_activities(self, lead_id: str, contact_id: str, by: str) -> None:
        """What hung on a converted lead hangs on the contact; a campaign's member names both."""
        for record in self._records.all("tasks"):
            if record.fields.get("WhoId") == lead_id:
                self._records.update("tasks", record.id, {"WhoId": contact_id}, by)
        for record in self._records.all("campaign_members"):
            if record.fields.get("LeadId") == lead_id:
                self._records.update("campaign_members", record.id, {"ContactId": contact_id}, by)

    def _add(self, name: str, fields: Fields, by: str) -> str:
        kept = self.completed(name, self.cleaned(name, fields))
        return self._records.create(STREAMS[name], kept, by=by, id=self.next_id(name)).id


# Fields that name an account, a contact or a lead.
_POINTERS = (
    *(("Contact", "AccountId"), ("Opportunity", "AccountId"), ("Task", "WhatId"), ("Task", "WhoId")),
    *(("CampaignMember", "ContactId"), ("CampaignMember", "LeadId")),
)
# Lead field -> contact field at conversion (vendor docs, "Lead Conversion Field Mapping").
LEAD_TO_CONTACT = {
    **{name: name for name in ("Salutation", "FirstName", "LastName", "Title", "Email", "Phone", "MobilePhone")},
    **{name: name for name in ("LeadSource", "HasOptedOutOfEmail", "DoNotCall", "Preferred_Language__c")},
    **{part: f"Mailing{part}" for part in ("Street", "City", "State", "PostalCode", "Country")},
}


def no_such_column(field: str, name: str) -> SoqlFault:
    hint = "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name."
    return SoqlFault("INVALID_FIELD", f"No such column '{field}' on entity '{name}'. {hint}")


def as_it_is(value: Json) -> Json:
    return value


def mergeable(stream: str) -> bool:
    return OBJECTS[stream] in MERGEABLE


def _writable(field: Field, creating: bool) -> bool:
    return field.createable if creating else field.updateable


def _given(plain: Fields, name: str) -> tuple[str, ...]:
    """`name` if the caller sent it himself; saving derives some fields, which no one may be blamed for."""
    return (name,) if any(key.lower() == name.lower() for key in plain) else ()


def _keys(name: str) -> Callable[[Fields], list[str]]:
    return lambda fields: [str(fields[name]).casefold()] if fields.get(name) else []


def _person_name(record: Record) -> str:
    parts = (record.fields.get(name) for name in ("FirstName", "MiddleName", "LastName", "Suffix"))
    return " ".join(part for part in parts if part)


def _address_getter(prefix: str) -> Getter:
    parts = ("Street", "City", "State", "PostalCode", "Country")

    def read(record: Record) -> Json:
        found = {part[0].lower() + part[1:]: record.fields.get(prefix + part) for part in parts}
        return found if any(found.values()) else None

    return read


def _stage(record: Record) -> tuple[int, bool, bool]:
    return STAGES.get(record.fields.get("StageName") or "", (0, False, False))


def _member(record: Record) -> Json:
    return record.fields.get("ContactId") or record.fields.get("LeadId")


def _expected_revenue(record: Record) -> Json:
    amount, chance = record.fields.get("Amount"), record.fields.get("Probability")
    return None if amount is None else round(amount * (chance or 0) / 100, 2)


_READERS: dict[str, Getter] = {
    "Id": lambda record: record.id,
    "CreatedDate": lambda record: render_stamp(record.created),
    "LastModifiedDate": lambda record: render_stamp(record.modified),
    "SystemModstamp": lambda record: render_stamp(record.modified),
    "IsDeleted": lambda record: record.deleted,
    "MasterRecordId": lambda record: record.merged_into,
}
# In order of time without writing the time out.
_STAMPS: dict[str, Getter] = {
    "systemmodstamp": lambda record: record.modified,
    "lastmodifieddate": lambda record: record.modified,
    "createddate": lambda record: record.created,
}
_DERIVED: dict[tuple[str, str], Getter] = {
    ("Opportunity", "IsClosed"): lambda record: _stage(record)[1],
    ("Opportunity", "IsWon"): lambda record: _stage(record)[2],
    ("Opportunity", "ExpectedRevenue"): _expected_revenue,
    ("CampaignMember", "LeadOrContactId"): _member,
    ("CampaignMember", "HasResponded"): lambda record: record.fields.get("Status") == "Responded",
    ("Task", "IsClosed"): lambda record: record.fields.get("Status") == "Completed",
}
