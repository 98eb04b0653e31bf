"""How alike two entities of one type are: what is compared, in which steps, and how much each step says.

Pure: from an entity type's fields follow the features (a name, an address …), each with its levels from "the same" to
"differs"; the scoring itself is done by a library (hub.runtime.scoring). A level's weight is the logarithm of how much
likelier it is for one person's two records (m) than for two people's (u); both are set here, not learned, so that a
score means the same on every day and can be explained.

Source: I. Fellegi, A. Sunter, "A Theory for Record Linkage", 1969 (weights log2(m/u), added over fields).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.core.canonical import CanonicalField, EntityType
from hub.core.values import key_value
from hub.model import Json

SAME, ALIKE, SHORT, INITIAL, STEM, TAIL, CROSSED, SWAPPED, SLIP, PLACE, TOWN, SCRIPT, OTHER = (
    "same", "alike", "short", "initial", "stem", "tail", "crossed", "swapped", "slip", "place", "town", "script",
    "other",
)  # fmt: skip

EXPECTED_SHARE = 0.2  # of the entities: how many have a double, before anything is compared
TAIL_DIGITS = 7
GENERIC = frozenset({"info", "office", "contact", "mail", "hello", "sales", "admin", "support", "kontakt"})
BIRTHDAYS = ("birthday", "birth_date", "date_of_birth", "born_on")
NAMES = ("name", "legal_name", "company_name")
STROKES = str.maketrans("łøđ", "lod")  # letters with a stroke, which is no accent to Unicode
SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md"})  # after a last name, often left out
SHORT_FORMS: Mapping[str, str] = {  # folded, as people call each other -> the name that it is short for
    short: name
    for name, shorts in {
        "alexander": "alex sascha", "andreas": "andi", "andrew": "andy drew", "anthony": "tony",
        "benjamin": "ben benny", "charles": "charlie chuck", "christopher": "chris kit", "daniel": "dan danny",
        "david": "dave", "edward": "ed ted", "elizabeth": "liz beth betty eliza", "francisco": "paco",
        "frederick": "fred freddie", "giuseppe": "beppe", "gregory": "greg", "heinrich": "heinz",
        "james": "jim jimmy jamie", "jennifer": "jenny", "johannes": "hannes", "jonathan": "jon", "jose": "pepe",
        "joseph": "joe joey", "joshua": "josh", "katharina": "kathi", "katherine": "kate kathy katie",
        "kenneth": "ken", "lawrence": "larry", "leonard": "leo", "margaret": "maggie meg peggy", "matthew": "matt",
        "michael": "mike mick micha", "nicholas": "nick", "patricia": "pat patty", "peter": "pete",
        "rebecca": "becky", "richard": "rick dick richie", "robert": "rob bob bobby", "ronald": "ron",
        "samuel": "sam", "stephen": "steve", "susan": "sue susie", "theodore": "theo", "thomas": "tom tommy",
        "timothy": "tim", "victoria": "vicky", "wilhelm": "willi", "william": "bill will billy",
    }.items()
    for short in shorts.split()
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One step of a comparison; the first that holds counts."""

    test: str  # of the words above
    text: str  # for people
    m: float  # share of pairs of one person that reach just this level
    u: float  # share of pairs of different people that do
    own: bool = False  # hardly two people have it alike; namesakes, and what is made of their names, do not


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing that is compared."""

    name: str  # column of the comparison; a field, or a group's part
    columns: tuple[str, ...]  # what it needs of a row: itself first
    levels: tuple[Level, ...]  # from the strongest to OTHER
    rare: bool = False  # a rare value says more than a frequent one
    limited: bool = False  # a value that too many share says nothing (a switchboard, info@)


FIRST_NAME = (
    Level(test=SAME, text="the same", m=0.70, u=0.01),
    Level(test=ALIKE, text="much alike", m=0.14, u=0.01),
    Level(test=SHORT, text="a short form", m=0.01, u=0.0005),
    Level(test=INITIAL, text="the initial fits", m=0.10, u=0.03),
    Level(test=SCRIPT, text="in another script", m=0.02, u=0.02),
    Level(test=OTHER, text="differs", m=0.03, u=0.93),
)
LAST_NAME = (
    Level(test=SAME, text="the same", m=0.85, u=0.005),
    Level(test=ALIKE, text="much alike", m=0.08, u=0.005),
    Level(test=SCRIPT, text="in another script", m=0.02, u=0.02),
    Level(test=OTHER, text="differs", m=0.05, u=0.97),
)
EMAIL = (
    Level(test=SAME, text="the same", m=0.50, u=0.0001, own=True),
    Level(test=STEM, text="the same name at another domain", m=0.20, u=0.0005),
    Level(test=ALIKE, text="much alike", m=0.10, u=0.001),
    Level(test=OTHER, text="differs", m=0.20, u=0.9984),
)
PHONE = (
    Level(test=SAME, text="the same", m=0.60, u=0.0005, own=True),
    Level(test=TAIL, text="the same last digits", m=0.10, u=0.0005),
    Level(test=OTHER, text="differs", m=0.30, u=0.999),
)
NUMBERS = (  # of somebody with several: one's main number is the other's second one
    Level(test=CROSSED, text="the same as another number", m=0.10, u=0.0005, own=True),
    Level(test=OTHER, text="no other is the same", m=0.90, u=0.9995),
)
BIRTHDAY = (
    Level(test=SAME, text="the same", m=0.85, u=0.0001, own=True),
    Level(test=SWAPPED, text="day and month changed places", m=0.03, u=0.0002, own=True),
    Level(test=SLIP, text="one digit differs", m=0.05, u=0.002),  # of five hundred pairs of namesakes one, by chance
    Level(test=OTHER, text="differs", m=0.07, u=0.9977),
)
ADDRESS = (
    Level(test=SAME, text="the same street and postal code", m=0.50, u=0.0005, own=True),
    Level(test=PLACE, text="the same postal code", m=0.20, u=0.003),
    Level(test=TOWN, text="the same town", m=0.15, u=0.03),
    Level(test=OTHER, text="differs", m=0.15, u=0.9665),
)
WORK = (
    Level(test=SAME, text="the same", m=0.60, u=0.003),
    Level(test=ALIKE, text="much alike", m=0.10, u=0.003),
    Level(test=OTHER, text="differs", m=0.30, u=0.994),
)
TITLE = (
    Level(test=SAME, text="the same", m=0.60, u=0.0005, own=True),
    Level(test=ALIKE, text="much alike", m=0.30, u=0.002, own=True),
    Level(test=OTHER, text="differs", m=0.10, u=0.9975),
)
HOST = (
    Level(test=SAME, text="the same", m=0.70, u=0.0002, own=True),
    Level(test=OTHER, text="differs", m=0.30, u=0.9998),
)


def features_of(entity: EntityType) -> tuple[Feature, ...]:
    """What may be compared of an entity type; empty if that would not tell two of them apart.

    There must be something that names it, and something that reaches or places it.
    """
    found = [each for field in entity.fields.values() for each in _features(field, entity)]
    numbers = [each.name for each in found if each.levels is PHONE]
    if len(numbers) > 1:
        name = f"any_{numbers[0]}"
        found.append(Feature(name=name, columns=(name, *numbers[:2]), levels=NUMBERS))
    named = any(each.levels in (LAST_NAME, TITLE) for each in found)
    reached = any(each.levels in (EMAIL, PHONE, HOST, ADDRESS) for each in found)
    return tuple(found) if named and reached else ()


def _features(field: CanonicalField, entity: EntityType) -> list[Feature]:
    if field.kind == "group":
        found = []
        if "first_name" in field.parts:
            both = ("first_name", "first_name_whole")
            found.append(Feature(name="first_name", columns=both, levels=FIRST_NAME, rare=True))
        if "last_name" in field.parts:
            found.append(_plain("last_name", LAST_NAME, rare=True))
        if {"street", "postal_code", "city"} <= set(field.parts):
            columns = (field.name, f"{field.name}_place", f"{field.name}_town")
            found.append(Feature(name=field.name, columns=columns, levels=ADDRESS))
        return found
    if field.type == "email":
        return [_plain(field.name, EMAIL, limited=True)]
    if field.type == "phone":
        return [_plain(field.name, PHONE, limited=True)]
    if field.type == "host":
        return [_plain(field.name, HOST, limited=True)]
    if field.type == "date" and field.name in BIRTHDAYS:
        return [_plain(field.name, BIRTHDAY)]
    if field.type == "text" and field.name in NAMES:
        person = any("last_name" in each.parts for each in entity.fields.values())
        return [_plain(field.name, WORK if person else TITLE, rare=True)]
    return []


def _plain(name: str, levels: tuple[Level, ...], *, rare: bool = False, limited: bool = False) -> Feature:
    return Feature(name=name, columns=(name,), levels=levels, rare=rare, limited=limited)


def tells_one(features: Sequence[Feature], told: Mapping[str, str]) -> bool:
    """Whether more speaks for one person than what namesakes have alike, or what a family does.

    One thing of their own is enough if neither a name nor the birthday differs, else it takes two: a number that was
    passed on, or typed in wrongly, makes no two namesakes of different ages one.

    Args:
        told: feature -> level that two reached, in words.
    """
    own = sum(level.own and told.get(each.name) == level.text for each in features for level in each.levels)
    asked = [each for each in features if each.levels in (FIRST_NAME, LAST_NAME, BIRTHDAY)]
    return own > any(told.get(each.name) == each.levels[-1].text for each in asked)


# Rows


def row_of(entity: EntityType, features: Sequence[Feature], values: Mapping[str, Json]) -> dict[str, str | None]:
    """Column -> what is compared: without case, accents and runs of blanks; None where there is nothing."""
    row: dict[str, str | None] = {}
    for feature in features:
        if feature.levels is NUMBERS:
            row[feature.name] = next((row[each] for each in feature.columns[1:] if row.get(each)), None)
            continue
        field = entity.field_of(feature.name)
        if field is None:
            continue
        value = values.get(field.name)
        if feature.levels is ADDRESS:
            parts = {part: folded((value or {}).get(part)) for part in ("street", "postal_code", "city")}
            street, town = parts["street"], parts["city"]
            without = f"{street} {town}" if street and town else None  # some lands have no postal codes
            code = (parts["postal_code"] or "").replace(" ", "") or without
            row[feature.name] = f"{street} {code}" if street and code else None
            row[f"{feature.name}_place"], row[f"{feature.name}_town"] = code, town
        elif field.kind == "group":
            row[feature.name] = told = folded((value or {}).get(feature.name))
            if feature.levels is LAST_NAME:
                row[feature.name] = _without_suffix(told)
            if feature.levels is FIRST_NAME:
                row["first_name_whole"] = SHORT_FORMS.get(told or "", told)
        elif field.type == "text":
            row[feature.name] = folded(value)
        else:
            row[feature.name] = key_value(field.type, value)
    return row


def _without_suffix(name: str | None) -> str | None:
    """`young iii` and `young, jr.` are young."""
    rest, _, end = (name or "").rpartition(" ")
    return rest.rstrip(",") if rest and end.rstrip(".") in SUFFIXES else name


def folded(text: str | None) -> str | None:
    """Lower case, no accents, single blanks; None if nothing is left."""
    plain = unicodedata.normalize("NFKD", text or "").casefold().translate(STROKES)
    return " ".join("".join(each for each in plain if not unicodedata.combining(each)).split()) or None


def blocks_of(features: Sequence[Feature], row: Mapping[str, str | None]) -> dict[str, str | None]:
    """Rule -> a text that two entities must have alike to be compared at all under that rule.

    Nobody can compare everybody with everybody; whoever is the same agrees in one of these, or is not found.
    """
    last, first = row.get("last_name"), row.get("first_name_whole") or row.get("first_name")
    blocks: dict[str, str | None] = {"named": f"{last}|{first[:3]}" if last and first else None}
    for feature in features:
        value = row.get(feature.name)
        if feature.levels is EMAIL:
            stem = (value or "").partition("@")[0]
            blocks[f"{feature.name}_stem"] = stem if len(stem) > 3 and stem not in GENERIC else None
            blocks[feature.name] = value
        elif feature.levels is PHONE:
            blocks[feature.name] = value[-TAIL_DIGITS:] if value else None
        elif feature.levels is BIRTHDAY:
            blocks[feature.name] = f"{value}|{last[:1]}" if value and last else None
        elif feature.levels is HOST:
            blocks[feature.name] = value
        elif feature.levels is TITLE:
            squeezed = "".join(each for each in value or "" if each.isalnum())
            blocks[feature.name] = squeezed[:8] or None
        elif feature.levels is ADDRESS:
            place = row.get(f"{feature.name}_place")
            blocks[feature.name] = f"{place}|{last}" if place and last else None
            blocks[f"{feature.name}_same"] = row.get(feature.name)
    return blocks


def prior(entities: int) -> float:
    """How likely two entities, picked at random, are one: before anything is known of them."""
    return min(0.01, EXPECTED_SHARE / max(entities, 1))
