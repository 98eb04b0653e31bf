"""What each canonical type means: its normal form, its `~`, its blank, its order, its identity key.

Everything else in the hub treats values as opaque JSON and asks here. Text and e-mails stay as they were written
(a name survives byte for byte) and are compared by a key; all other types have one normal form, so that equal values
are equal JSON. Forms: docstring of hub.model.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from hub.core.canonical import CanonicalField, EntityType
from hub.core.formats import MappingFault, email_key, read_country, read_email, read_host, read_phone, read_url
from hub.model import Json

__all__ = [
    "CONSENT_STATES",
    "MappingFault",
    "comparison_key",
    "currency_exponent",
    "is_blank",
    "key_value",
    "keys_of",
    "normalise",
    "normaliser",
    "number_of",
    "order_key",
    "part_type",
    "plain_decimal",
    "same",
    "to_instant",
]

Normaliser = Callable[[Json], Json]

CONSENT_STATES = ("opted_in", "opted_out", "unknown")
_PLACES = 30  # digits before and after the point; more is a broken number, not money or a measure
LONGEST_TEXT = 1_000_000  # characters of any text, and …
MOST_ELEMENTS = 10_000  # … elements of any set: no field of people's is larger, and pages stay quick
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:?[0-9]{2})"
)


# Normal forms


def normalise(field: CanonicalField, value: Json, *, region: str | None = None) -> Json:
    """The field's normal form of `value`; blank gives None.

    Args:
        region: alpha-2 country that phones without country code belong to.

    Raises:
        MappingFault: the value has no place in the type (codes MAP-1xx).
    """
    if is_blank(value):
        return None
    if field.type == "phone" and isinstance(value, str):
        return read_phone(value, region)
    return normaliser(field)(value)


def normaliser(field: CanonicalField) -> Normaliser:
    """`normalise` for one field, bound once at load; for values that are not blank."""
    if field.type == "enum":
        return _enum_reader(field.values)
    if field.type == "set":
        return _set_reader(_scalar_reader(field.of))
    if field.type == "group":
        return _group_reader({part: _scalar_reader(kind) for part, kind in field.parts.items()})
    reader = _scalar_reader(field.type)
    return _limited(reader, field.max) if field.max is not None else reader


def _scalar_reader(kind: str) -> Normaliser:
    return _READERS[kind]


def _limited(reader: Normaliser, longest: int) -> Normaliser:
    def read(value: Json) -> Json:
        text = reader(value)
        if isinstance(text, str) and len(text) > longest:
            raise MappingFault(
                "MAP-103", f"longer than {longest} characters", "shorten it at its source, or raise `max`"
            )
        return text

    return read


def read_text(value: Json) -> str:
    """Text as it is. Whole and broken numbers are text, too (systems type loosely); true, lists and objects are not."""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise MappingFault(
                "MAP-101", f"text expected, {_kind(value)} found", "map another remote field, or give a transform"
            )
        return plain_decimal(read_number(value))
    if len(value) > LONGEST_TEXT:
        raise MappingFault("MAP-103", f"longer than {LONGEST_TEXT:,} characters", "shorten it at its source")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MappingFault("MAP-102", "text with broken characters", "repair its encoding at the source") from None
    if "\0" in value:
        raise MappingFault("MAP-102", "text with a NUL character", "remove it at the source")
    return value


def _text_in(read: Callable[[str], str]) -> Normaliser:
    def reader(value: Json) -> str:
        return read(read_text(value))

    return reader


def _boolean(value: Json) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else value
    if word == "true":
        return True
    if word == "false":
        return False
    raise MappingFault(
        "MAP-104", f"true or false expected, {_kind(value)} found", "declare its words: {bool_words: {...}}"
    )


def _integer(value: Json) -> int:
    number = read_number(value)
    if number != number.to_integral_value():
        raise MappingFault("MAP-105", "a whole number expected", "declare the field as decimal")
    return int(number)


def _decimal(value: Json) -> str:
    return plain_decimal(read_number(value))


def read_number(value: Json) -> Decimal:
    """Exact number. A float counts as its shortest text, never as its binary expansion."""
    text = ""
    if isinstance(value, int) and abs(value) >= 10 ** (_PLACES + 1):
        raise MappingFault("MAP-107", "a number out of all proportion", "correct it at its source")
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        text = repr(value) if isinstance(value, float) else str(value)
    elif isinstance(value, str):
        text = value.strip()
    if not _PLAIN_NUMBER.fullmatch(text):
        raise MappingFault("MAP-106", f"a number expected, {_kind(value)} found", "give its format: {number: {...}}")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise MappingFault("MAP-106", "a number expected", "give its format: {number: {...}}") from None
    if number and (number.adjusted() > _PLACES or -int(number.as_tuple().exponent) > _PLACES):
        raise MappingFault("MAP-107", "a number out of all proportion", "correct it at its source")
    return number


def plain_decimal(number: Decimal) -> str:
    """Plain notation without needless zeros: 12.50 → "12.5", 1E+2 → "100", -0 → "0"."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _money(value: Json) -> Json:
    if not isinstance(value, Mapping) or set(value) != {"minor", "currency"}:
        raise MappingFault(
            "MAP-150", f"money expected, {_kind(value)} found", "give wire: minor_units or major_decimal"
        )
    minor, code = value["minor"], str(value["currency"]).upper()
    currency_exponent(code)
    if isinstance(minor, bool) or not isinstance(minor, int) or abs(minor) >= 10**18:
        raise MappingFault(
            "MAP-151", "an amount that is no count of minor units", "give wire: minor_units or major_decimal"
        )
    return {"minor": minor, "currency": code}


# ISO 4217, list one: minor unit; two where not named. CLDR's digits are for display and differ (RSD, IDR, HUF).
_NO_MINOR_UNIT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_PLACES = "BHD IQD JOD KWD LYD OMR TND"
_MINOR_UNITS = {
    **dict.fromkeys(_NO_MINOR_UNIT.split(), 0),
    **dict.fromkeys(_THREE_PLACES.split(), 3),
    "CLF": 4,
    "UYW": 4,
}


@lru_cache(512)
def currency_exponent(code: str) -> int:
    """Decimal places of an ISO 4217 currency. Raises MappingFault MAP-152 for a code that is none."""
    from pycountry import currencies

    if len(code) != 3 or currencies.get(alpha_3=code) is None:
        raise MappingFault("MAP-152", "no ISO 4217 currency", "give the three-letter code, such as EUR")
    return _MINOR_UNITS.get(code, 2)


def _date(value: Json) -> str:
    text = read_text(value).strip()
    try:
        if len(text) == 10:
            if text[4] == text[7] == "-" and text.isascii():
                date.fromisoformat(text)
                return text
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise MappingFault("MAP-108", "no calendar date (a moment is not a date)", "give its format: {date: {format: ...}}")


def normalise_instant(value: Json) -> str:
    """UTC, seconds, a fraction only if there is one. Times without zone are refused, not guessed."""
    text = read_text(value).strip()
    found = _INSTANT.fullmatch(text)
    try:
        if found:
            day, clock, fraction, zone = found.groups()
            clock = clock if len(clock) == 8 else f"{clock}:00"
            moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}").astimezone(UTC)
            tail = (fraction or "").rstrip("0")
            return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{tail}" if tail else "") + "Z"
    except (ValueError, OverflowError):
        pass
    raise MappingFault(
        "MAP-109", "no moment with a time zone", "give its wire: iso, epoch_s, epoch_ms or {local: {zone: ...}}"
    )


def _consent(value: Json) -> Json:
    if (
        not isinstance(value, Mapping)
        or value.get("state") not in CONSENT_STATES
        or set(value) - {"state", "at", "source"}
    ):
        raise MappingFault(
            "MAP-160", "no consent statement", "give wire: opt_out_flag, marketing_state or consent_answer"
        )
    if value["state"] == "unknown":
        return None
    at, source = value.get("at"), value.get("source")
    return {"state": value["state"], "at": None if at is None else normalise_instant(at), "source": source or None}


def _ref(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise MappingFault("MAP-170", "no entity id", "references are given as `to: <stream>`")
    return value


def _enum_reader(values: tuple[str, ...]) -> Normaliser:
    known = frozenset(values)

    def read(value: Json) -> str:
        if isinstance(value, str) and value in known:
            return value
        raise MappingFault(
            "MAP-111", "a value that is not in the list", "add it to `values:` of the mapping or of canonical.yaml"
        )

    return read


def _set_reader(element: Normaliser) -> Normaliser:
    def read(value: Json) -> list[Json] | None:
        if not isinstance(value, list | tuple):
            raise MappingFault("MAP-112", f"a list expected, {_kind(value)} found", "give wire: {join: ...}")
        if len(value) > MOST_ELEMENTS:
            raise MappingFault("MAP-103", f"more than {MOST_ELEMENTS:,} elements", "shorten the list at its source")
        found = {element(each) for each in value if not is_blank(each)}
        return sorted(found) or None

    return read


def _group_reader(parts: Mapping[str, Normaliser]) -> Normaliser:
    def read(value: Json) -> Json:
        if not isinstance(value, Mapping) or not parts.keys() >= value.keys():
            raise MappingFault("MAP-113", "not the parts of this group", "map the parts by their names")
        return {part: None if is_blank(each) else parts[part](each) for part, each in value.items()}

    return read


_READERS: dict[str, Normaliser] = {
    "text": read_text,
    "enum": read_text,  # of a set or a group: a list without declared values
    "email": _text_in(read_email),
    "phone": _text_in(read_phone),
    "host": _text_in(read_host),
    "url": _text_in(read_url),
    "country": _text_in(read_country),
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _decimal,
    "money": _money,
    "date": _date,
    "instant": normalise_instant,
    "consent": _consent,
    "ref": _ref,
}


def _kind(value: Json) -> str:
    """What a person would call it; never the value itself."""
    if value is None:
        return "nothing"
    names = {bool: "true/false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


# Blank and ~


def is_blank(value: Json) -> bool:
    """None, empty or blank text, an empty set, a group whose parts are all blank. 0 and False are values."""
    if value.__class__ is str:
        return not value or value.isspace()
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, dict):
        return all(is_blank(each) for each in value.values())
    return isinstance(value, list | tuple) and not value


def part_type(field: CanonicalField, part: str) -> str:
    """Scalar type of a group's part."""
    return field.parts[part]


def same(field: CanonicalField, left: Json, right: Json) -> bool:
    """The type's `~`. Groups: in the parts that both have. Refs: by id, so hand in root ids. Consent: by its state."""
    if left == right:
        return True
    if field.type == "group" and isinstance(left, dict) and isinstance(right, dict):
        return all(_same(field.parts.get(part, "text"), left[part], right[part]) for part in left.keys() & right.keys())
    if field.type == "set":
        return _elements(field.of, left) == _elements(field.of, right)
    return _same(field.type, left, right)


def _same(kind: str, left: Json, right: Json) -> bool:
    if left == right:
        return True
    if is_blank(left) or is_blank(right):
        return is_blank(left) and is_blank(right)
    return bool(comparison_key(kind, left) == comparison_key(kind, right))


def _elements(kind: str, value: Json) -> frozenset[Json]:
    return frozenset(comparison_key(kind, each) for each in value or () if not is_blank(each))


def comparison_key(kind: str, value: Json) -> Json:
    """Equal keys mean values that are the same to a person. Hashable."""
    if kind == "email" and isinstance(value, str):
        return email_key(value)
    if kind == "consent" and isinstance(value, Mapping):
        return value.get("state")
    if kind == "money" and isinstance(value, Mapping):
        return (value.get("minor"), value.get("currency"))
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    return value


# Identity


def key_value(kind: str, value: Json) -> str | None:
    """Identity key of a value; None if there is nothing to identify by.

    Text: case, width and runs of blanks do not tell people apart (NFKC, casefold).
    """
    if is_blank(value):
        return None
    if kind == "email":
        return value.lower() if value.isascii() else email_key(value)
    if kind == "text":
        return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    return value if isinstance(value, str) else str(value)


def keys_of(entity: EntityType, values: Mapping[str, Json]) -> list[tuple[str, str, str]]:
    """(key name, key value, strength) of every key whose fields are all there, in declared order.

    Several fields are joined with the unit separator, which no normal form contains.
    """
    found = []
    for key in entity.keys:
        on = key.on
        if len(on) == 1:
            whole = _key_part(entity, on[0], values)
            if whole:
                found.append((on[0], whole, key.strength))
            continue
        parts = [_key_part(entity, path, values) for path in on]
        if parts and all(parts):
            found.append((key.name, "\x1f".join(part for part in parts if part), key.strength))
    return found


def _key_part(entity: EntityType, path: str, values: Mapping[str, Json]) -> str | None:
    field = entity.fields.get(path)
    if field is not None:
        value = values.get(path)
        return None if value is None else key_value(field.type, value)
    field = entity.field_of(path)
    if field is None:
        return None
    value = values.get(field.name)
    if field.kind == "group" and path != field.name:
        return key_value(field.parts[path], (value or {}).get(path))
    return key_value(field.type, value)


# Order and numbers


def order_key(field: CanonicalField, value: Json) -> tuple[Json, ...]:
    """Sorts values of one field for `max`, `min`: enums by their place, numbers and moments by size, text by text.

    Money sorts by minor units within a currency; two currencies sort by code, so the order is at least total.
    """
    if field.type == "enum":
        return (field.values.index(value) if value in field.values else -1,)
    if field.type == "decimal":
        return (Decimal(value),)
    if field.type == "money":
        return (value["currency"], value["minor"])
    if field.type == "instant":
        return (to_instant(value), value)
    return (value,)


def to_instant(text: str) -> float:
    """Epoch seconds of an instant's or date's normal form (a date counts from its midnight UTC)."""
    if len(text) == 10:
        return datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()
    body, _, fraction = text.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(f"{body}+00:00").timestamp()
    return whole + (float(f"0.{fraction}") if fraction else 0.0)


def number_of(kind: str, value: Json, *, currency: str) -> Json:
    """A value as expressions see it.

    Decimals and money of the hub's currency are exact numbers, other money is null, a consent is its state.
    """
    if value is None:
        return None
    if kind == "decimal":
        return Decimal(value)
    if kind == "money":
        if value["currency"] != currency:
            return None
        return Decimal(value["minor"]).scaleb(-currency_exponent(currency))
    if kind == "consent":
        return value["state"]
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    return value
