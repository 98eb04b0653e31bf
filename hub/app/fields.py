"""Fields over there, as the live system describes them, and which of ours each is likely to be.

Describing speaks to the system and is asked for; what it said is kept. Samples and how often a field is filled come
from stored records, so they are there for fields that the hub reads. A suggestion says why: the name, the type, and in
how many records both already say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz

from hub.app.context import Connection, Hub, connection_of
from hub.app.drafts import mapping_case
from hub.app.listings import Dict, discover, iso
from hub.app.page import stored_record
from hub.app.transact import commit
from hub.core.canonical import CanonicalField
from hub.core.formats import MappingFault
from hub.core.mapping import StreamMapping
from hub.core.paths import MISSING, Getter, make_getter
from hub.core.values import normalise
from hub.errors import NotFound
from hub.model import Json, LinkRow
from hub.store import Tx

KEPT = "fields:"  # prefix of the setting that keeps what a system said
LOOKED_AT = 200  # stored records
COMPARED = 60  # of them, value by value
SAMPLES = 3
ENOUGH = 4  # records in which both are filled, before agreement says anything
LIKELY = 0.62  # score of a suggestion
NORMAL = frozenset({"email", "phone", "host", "url", "date", "instant", "integer", "decimal", "boolean"})
SAYS = 0.75  # likeness of names, or share of equal values, without one of which nothing is suggested

# What vendors call what we call otherwise: word by word, after camelCase and suffixes are taken apart.
WORDS: Mapping[str, str] = {
    "mail": "email", "tel": "phone", "telephone": "phone", "cell": "mobile", "mobilephone": "mobile", "zip": "postal",
    "zipcode": "postal code", "postcode": "postal code", "plz": "postal code", "surname": "last name",
    "firstname": "first name", "givenname": "first name", "lastname": "last name", "familyname": "last name",
    "birthdate": "birthday", "dob": "birthday", "jobtitle": "job title", "title": "job title", "position": "job title",
    "web": "website", "homepage": "website", "url": "website", "organisation": "company name",
    "organization": "company name", "firm": "company name", "employer": "company name", "town": "city",
    "nation": "country", "lang": "language", "notes": "description", "note": "description",
}  # fmt: skip
ALIKE = (  # types that are read as one another
    {"text", "email", "phone", "url", "host"}, {"integer", "decimal", "money"}, {"date", "instant"}, {"enum", "text"},
    {"set", "text"}, {"boolean", "consent"}, {"boolean", "text"},
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Sample:
    """Stored records of one stream, read by path."""

    filled: dict[str, int] = field(default_factory=dict)  # remote path -> records in which it says something
    values: dict[str, list[str]] = field(default_factory=dict)  # remote path -> some of them
    records: int = 0
    region: str | None = None  # of phone numbers written without one
    ours: list[dict[str, Json]] = field(default_factory=list)  # values of the entities
    theirs: list[dict[str, str]] = field(default_factory=list)  # of the same records: path -> text


def look(hub: Hub, file: str, *, by: str) -> int:
    """Ask every system of a mapping which fields it has, and keep what it says; gives how many.

    Raises:
        NotFound: there is no such file. HubError: a system cannot be reached.
    """
    found: dict[str, Json] = {}
    for name, source in _sources(hub, file):
        rows = [
            {key: row[key] for key in ("name", "label", "type", "writable", "required", "custom")}
            for row in discover(hub, name, source)
        ]
        found[f"{KEPT}{name}/{source}"] = {"at": iso(hub.clock.now()), "fields": rows}

    def keep(tx: Tx) -> None:
        for key, value in found.items():
            tx.set_setting(key, value)
        tx.audit(by, "fields looked at", file, None, list(found), hub.clock.now())

    commit(hub, keep)
    return sum(len(each["fields"]) for each in found.values())


def fields_of(hub: Hub, file: str) -> Dict:
    """Every stream of a mapping with the fields over there: type, samples, how often filled, mapped to, suggestion.

    Nothing is asked of any system. Raises NotFound.
    """
    case = mapping_case(hub, file)
    streams = []
    for name, source in _sources(hub, file):
        with hub.store.reading() as tx:
            said = tx.setting(f"{KEPT}{name}/{source}")
        for mapping in connection_of(hub, name).mappings_from(source):
            streams.append(_stream(hub, connection_of(hub, name), mapping, said or {"at": None, "fields": []}))
    return {"file": file, "draft": case["draft"], "streams": streams}


def _sources(hub: Hub, file: str) -> list[tuple[str, str]]:
    case = mapping_case(hub, file)
    if case["kind"] != "mapping":
        raise NotFound(f"{file} is no mapping of a system", where=file)
    known = [(name, hub.connections[name]) for name in case["connections"] if name in hub.connections]
    return [(name, source) for name, connection in known for source in connection.in_order()]


def _stream(hub: Hub, connection: Connection, mapping: StreamMapping, said: Json) -> Dict:
    mapped = {rule.remote_in or rule.remote_out: rule.name for rule in mapping.rules}
    sample = _sample(hub, connection, mapping, [row["name"] for row in said["fields"]])
    free = _unmapped(mapping)
    rows = []
    for row in said["fields"]:
        name = row["name"]
        rows.append(
            {
                **row, "mapped_to": mapped.get(name, ""), "samples": sample.values.get(name, []),
                "filled": sample.filled.get(name, 0), "records": sample.records,
                "suggestion": None if name in mapped else suggestion(row, free, sample),
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (bool(row["mapped_to"]), -(row["suggestion"] or {"score": 0})["score"], -row["filled"]))
    return {
        "connection": connection.name, "stream": mapping.name, "entity": mapping.entity, "at": said["at"], "rows": rows,
        "records": sample.records,
    }  # fmt: skip


def _unmapped(mapping: StreamMapping) -> dict[str, str]:
    """Field or part of a group that the stream does not map -> its type."""
    names = {rule.name for rule in mapping.rules}
    whole = {rule.field for rule in mapping.rules if not rule.part}
    found: dict[str, str] = {}
    for declared in mapping.entity_type.fields.values():
        if declared.name in whole or declared.derived:
            continue
        parts = declared.parts or {declared.name: declared.type}
        found |= {part: kind for part, kind in parts.items() if part not in names}
    return found


# Stored records


def _sample(hub: Hub, connection: Connection, mapping: StreamMapping, names: Sequence[str]) -> Sample:
    with hub.store.reading() as tx:
        links = tx.links_by_name(connection.name, mapping.name, limit=LOOKED_AT)
        entities = tx.entities({link.entity_id for link in links[:COMPARED]})
    getters = {name: make_getter(name, root=mapping.root, literal=mapping.literal) for name in names}
    found = Sample(region=hub.projects.settings.hub.country if hub.projects is not None else None)
    for link in links:
        if link.raw is None:
            continue
        said = _said(link, getters)
        found.records += 1
        for name, text in said.items():
            found.filled[name] = found.filled.get(name, 0) + 1
            some = found.values.setdefault(name, [])
            if len(some) < SAMPLES and text not in some:
                some.append(text)
        if link.entity_id in entities and len(found.ours) < COMPARED:
            found.ours.append(entities[link.entity_id].values)
            found.theirs.append(said)
    return found


def _said(link: LinkRow, getters: Mapping[str, Getter]) -> dict[str, str]:
    record = stored_record(link)
    found = {}
    for name, get in getters.items():
        value = get(record.data)
        if value is not MISSING and value not in (None, "", [], {}):
            found[name] = value if isinstance(value, str) else str(value)
    return found


# Suggestions


def suggestion(row: Mapping[str, Json], free: Mapping[str, str], sample: Sample) -> Dict | None:
    """The likeliest of our fields for one of theirs: {"name", "score", "reasons"}; None where none is likely."""
    best: Dict | None = None
    for name, kind in free.items():
        fits = type_likeness(row["type"], kind)
        if not fits:
            continue
        named = max(name_likeness(row["name"], name), name_likeness(row["label"], name))
        agree, both = _agreement(row["name"], name, kind, sample)
        told = both >= ENOUGH
        score = 0.35 * named + 0.15 * fits + 0.5 * agree if told else 0.7 * named + 0.3 * fits
        if score < LIKELY or max(named, agree if told else 0.0) < SAYS or (best and best["score"] >= score):
            continue
        best = {"name": name, "type": kind, "score": round(score, 3), "reasons": _reasons(named, fits, agree, both)}
    return best


def _reasons(named: float, fits: float, agree: float, both: int) -> list[str]:
    found = []
    if named >= SAYS:
        found.append("the names are the same" if named == 1.0 else "the names are alike")
    found.append("the types are the same" if fits == 1.0 else "the types can be read as one another")
    if both >= ENOUGH:
        found.append(f"{round(agree * 100)} % of {both} records say the same in both")
    return found


def name_likeness(theirs: str, ours: str) -> float:
    """0 to 1: how alike two names are once they are taken apart into words of ours."""
    left, right = words_of(theirs), words_of(ours)
    if not left or not right:
        return 0.0
    if left == right:
        return 1.0
    return min(0.99, float(fuzz.token_sort_ratio(" ".join(left), " ".join(right))) / 100)


def words_of(name: str) -> list[str]:
    """`MailingPostalCode__c` -> mailing, postal, code."""
    plain = re.sub(r"(?i)__c$|^hs_|^properties\.", "", name)
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain)
    words = [word for word in re.split(r"[^A-Za-z0-9]+", split.lower()) if word]
    whole = "".join(words)
    if whole in WORDS:
        return WORDS[whole].split()
    return " ".join(WORDS.get(word, word) for word in words).split()


def type_likeness(theirs: str, ours: str) -> float:
    """1 the same, 0.5 one can be read as the other, 0 not."""
    kind = ours.partition(" ")[0]
    if theirs == kind:
        return 1.0
    if theirs == "text" or any({theirs, kind} <= group for group in ALIKE):
        return 0.5
    return 0.0


def _agreement(remote: str, name: str, kind: str, sample: Sample) -> tuple[float, int]:
    """(share of records that say the same, records in which both say something)."""
    both = equal = 0
    for ours, theirs in zip(sample.ours, sample.theirs, strict=True):
        said, known = theirs.get(remote), _part_of(ours, name)
        if said is None or known in (None, "", [], {}):
            continue
        both += 1
        equal += _plain(kind, said, sample.region) == _plain(kind, known, sample.region)
    return (equal / both if both else 0.0), both


def _part_of(values: Mapping[str, Json], name: str) -> Json:
    if name in values:
        return values[name]
    return next((each[name] for each in values.values() if isinstance(each, dict) and name in each), None)


def _plain(kind: str, value: Json, region: str | None) -> str:
    """As two systems would write it alike."""
    text = value if isinstance(value, str) else str(value)
    if kind in NORMAL:
        try:
            text = str(normalise(CanonicalField(name="", type=kind), text, region=region))
        except MappingFault:
            return text
    return re.sub(r"\W+", " ", text.casefold()).strip()
