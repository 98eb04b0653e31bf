"""What the shop makes of values when it saves them, and the forms in which it shows them.

Everything here is a pure function of its arguments. Refusals are returned, not raised: a mutation reports them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pycountry

Json = Any
Fields = dict[str, Json]

MAX_TEXT = 255  # first name, last name, tag (vendor admin; the API answers TOO_LONG)
MAX_NOTE = 5000
MAX_TAGS = 250
_EMAIL = re.compile(r"[^@\s,;<>\"()]+@[^@\s,;<>\"()]+\.[^@\s.,;<>\"()]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One entry of `userErrors`."""

    field: tuple[str, ...]
    message: str
    code: str


# --- ids, times, money -------------------------------------------------------------------------------------------


def gid(kind: str, number: str) -> str:
    return f"gid://shopify/{kind}/{number}"


def number_of(global_id: str, kind: str) -> str | None:
    """The number in a global id of this kind; None if it is not one."""
    head, _, number = global_id.rpartition("/")
    return number if head == f"gid://shopify/{kind}" and number.isdigit() else None


def utc_text(at: float) -> str:
    """``2026-11-02T08:00:00Z``: how GraphQL shows times."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local_text(at: float, zone: str) -> str:
    """``2026-11-02T09:00:00+01:00``: how webhook bodies show times."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat(timespec="seconds")


def parse_time(text: str, zone: str) -> float:
    """Epoch seconds of an ISO date or time; without an offset it is the shop's own. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp()


def decimal_of(value: Json) -> Decimal:
    """Raises ValueError for what is no number."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"not an amount: {value!r}") from None


def amount_text(value: Json) -> str:
    """GraphQL's Decimal: no needless zeros, at least one digit after the point ("120.5", "25.0")."""
    plain = format(decimal_of(value).normalize(), "f")
    return plain if "." in plain else f"{plain}.0"


def money(value: Json, currency: str) -> dict[str, str]:
    return {"amount": amount_text(value), "currencyCode": currency}


def money_bag(value: Json, currency: str) -> dict[str, dict[str, str]]:
    """Shop and presentment money, the same in a shop with one currency."""
    return {"shopMoney": money(value, currency), "presentmentMoney": money(value, currency)}


# --- countries ---------------------------------------------------------------------------------------------------


@cache
def country_codes() -> tuple[str, ...]:
    return tuple(sorted(country.alpha_2 for country in pycountry.countries))


@cache
def country_name(code: str | None) -> str | None:
    country = pycountry.countries.get(alpha_2=code) if code else None
    return None if country is None else str(getattr(country, "common_name", country.name))


@cache
def province_name(country: str | None, province: str | None) -> str | None:
    """The province's name, or None if the country has no such province."""
    if not country or not province:
        return None
    provinces: Any = pycountry.subdivisions
    found = provinces.get(code=f"{country}-{province.upper()}")
    return None if found is None else str(found.name)


# --- single values -----------------------------------------------------------------------------------------------


@cache
def _parsed_phone(text: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    # By length only: numbers kept free for films and examples are no real subscribers, and yet plausible.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def clean_phone(text: str, country: str) -> str | None:
    """E.164; None if it is implausible for the country (which stands in for a missing country code)."""
    return _parsed_phone(text.strip(), country)


def clean_email(text: str) -> str | None:
    """Trimmed and lower-cased; None if it cannot be an address."""
    lowered = text.strip().lower()
    return lowered if len(lowered) <= MAX_TEXT and _EMAIL.fullmatch(lowered) else None


def clean_tags(tags: Json) -> list[str]:
    """Trimmed, without repeats (case does not count), sorted; a string is split at commas."""
    parts: Iterable[str] = tags.split(",") if isinstance(tags, str) else (tags or ())
    kept: dict[str, str] = {}
    for tag in parts:
        if stripped := str(tag).strip():
            kept.setdefault(stripped.lower(), stripped)
    return sorted(kept.values(), key=str.lower)


# --- addresses ---------------------------------------------------------------------------------------------------

ADDRESS_TEXTS = ("address1", "address2", "city", "company", "firstName", "lastName", "zip")
ADDRESS_KEYS = (*ADDRESS_TEXTS, "phone", "countryCode", "provinceCode")
_ADDRESS_SHOWN = {"id", "country", "countryCodeV2", "name", "province"}  # computed; accepted from people, not kept


def clean_address(given: Fields, shop_country: str, path: tuple[str, ...]) -> tuple[Fields, list[Refusal]]:
    """An address as it is kept: blanks are null, phone in E.164, codes upper-case."""
    refusals: list[Refusal] = []
    kept: Fields = {key: _blank_to_none(given.get(key)) for key in ADDRESS_TEXTS}
    country = str(given.get("countryCode") or given.get("countryCodeV2") or "").upper() or None
    if country is not None and country_name(country) is None:
        refusals.append(Refusal(field=(*path, "countryCode"), message="Country is invalid", code="INVALID"))
    province = str(given.get("provinceCode") or "").upper() or None
    if province is not None and province_name(country, province) is None:
        refusals.append(Refusal(field=(*path, "provinceCode"), message="Province is not valid", code="INVALID"))
    kept.update(countryCode=country, provinceCode=province, phone=None)
    if phone := str(given.get("phone") or "").strip():
        kept["phone"] = clean_phone(phone, country or shop_country)
        if kept["phone"] is None:
            refusals.append(Refusal(field=(*path, "phone"), message="Phone is invalid", code="INVALID"))
    return kept, refusals


def unknown_address_keys(given: Fields) -> set[str]:
    return set(given) - set(ADDRESS_KEYS) - _ADDRESS_SHOWN


def show_address(kept: Fields | None) -> Fields | None:
    """An address as GraphQL shows it."""
    if not kept:
        return None
    names = [name for name in (kept.get("firstName"), kept.get("lastName")) if name]
    return {
        "id": gid("MailingAddress", str(kept.get("id") or 1)) + "?model_name=CustomerAddress",
        **{key: kept.get(key) for key in (*ADDRESS_TEXTS, "phone", "provinceCode")},
        "name": " ".join(names) or None,
        "countryCodeV2": kept.get("countryCode"),
        "country": country_name(kept.get("countryCode")),
        "province": province_name(kept.get("countryCode"), kept.get("provinceCode")),
    }


# --- what any write of a customer's values comes to ---------------------------------------------------------------


def saved(fields: Fields, country: str) -> Fields:
    """The same fields with the values that the shop would keep; names may be dotted, nested, input or shown.

    Raises:
        ValueError: a value that the shop refuses.
    """
    return {name: _saved(name.rpartition(".")[2], value, country) for name, value in fields.items()}


def _saved(name: str, value: Json, country: str) -> Json:
    if isinstance(value, dict):
        inner = str(value.get("countryCode") or value.get("countryCodeV2") or country).upper()
        return {key: _saved(key, part, inner) for key, part in value.items()}
    if isinstance(value, list) and name != "tags":
        return [_saved(name, entry, country) for entry in value]
    if name == "tags":
        return clean_tags(value)
    if name in _CLEANED and isinstance(value, str) and value.strip():
        kept = _CLEANED[name](value, country)
        if kept is None:
            raise ValueError(f"{name} is invalid")
        return kept
    return None if isinstance(value, str) and not value else value


_CLEANED: dict[str, Callable[[str, str], str | None]] = {
    "email": lambda text, country: clean_email(text),
    "emailAddress": lambda text, country: clean_email(text),
    "phone": clean_phone,
    "phoneNumber": clean_phone,
    "countryCode": lambda text, country: text.upper() if country_name(text.upper()) else None,
    "provinceCode": lambda text, country: text.upper(),
}


# --- customers ---------------------------------------------------------------------------------------------------

BLANK_CUSTOMER: Fields = {
    "firstName": None,
    "lastName": None,
    "email": None,
    "phone": None,
    "note": None,
    "tags": [],
    "locale": "en",
    "taxExempt": False,
    "taxExemptions": [],
    "state": "DISABLED",
    "verifiedEmail": True,
    "multipassIdentifier": None,
    "addresses": [],
    "emailMarketing": {"state": "NOT_SUBSCRIBED", "level": None, "at": None},
    "smsMarketing": {"state": "NOT_SUBSCRIBED", "level": None, "at": None},
    "metafields": {},
}
_PLAIN = ("locale", "taxExempt", "taxExemptions", "state", "verifiedEmail", "multipassIdentifier")


def clean_customer(given: Fields, kept: Fields, shop_country: str) -> tuple[Fields, list[Refusal]]:
    """The fields that a write changes, as they are kept, and what is wrong with them.

    Args:
        given: fields named as in CustomerSetInput; an absent field is left alone, null or "" clears it.
        kept: the customer as it is now (BLANK_CUSTOMER for a new one).
    """
    out: Fields = {}
    refusals: list[Refusal] = []
    for name, limit in (("firstName", MAX_TEXT), ("lastName", MAX_TEXT), ("note", MAX_NOTE)):
        if name in given:
            out[name] = _blank_to_none(given[name])
            if len(out[name] or "") > limit:
                refusals.append(_too_long(name, limit))
    out.update({name: given[name] for name in _PLAIN if given.get(name) is not None})
    if "tags" in given:
        out["tags"] = clean_tags(given["tags"])
        refusals += _tag_refusals(out["tags"])
    if "addresses" in given:
        out["addresses"], wrong = _clean_addresses(given["addresses"] or [], kept["addresses"], shop_country)
        refusals += wrong
    refusals += _clean_contacts(given, out, kept, shop_country)
    return out, refusals


def _clean_contacts(given: Fields, out: Fields, kept: Fields, shop_country: str) -> list[Refusal]:
    refusals: list[Refusal] = []
    if "email" in given:
        text = str(given["email"] or "").strip()
        out["email"] = clean_email(text) if text else None
        if text and out["email"] is None:
            refusals.append(Refusal(field=("email",), message="Email is invalid", code="INVALID"))
    if "phone" in given:
        text = str(given["phone"] or "").strip()
        addresses = out.get("addresses", kept["addresses"])
        country = (addresses[0].get("countryCode") if addresses else None) or shop_country
        out["phone"] = clean_phone(text, country) if text else None
        if text and out["phone"] is None:
            refusals.append(Refusal(field=("phone",), message="Phone is invalid", code="INVALID"))
    if not refusals and not any({**kept, **out}.get(name) for name in ("firstName", "lastName", "email", "phone")):
        message = "Customer must have a name, phone number or email address"
        refusals.append(Refusal(field=(), message=message, code="BLANK"))
    return refusals


def _clean_addresses(
    given: Sequence[Fields], kept: Sequence[Fields], country: str
) -> tuple[list[Fields], list[Refusal]]:
    """The new list replaces the old one; an address that is the same as before keeps its id."""
    out: list[Fields] = []
    refusals: list[Refusal] = []
    for position, address in enumerate(given):
        cleaned, wrong = clean_address(address, country, ("addresses", str(position)))
        refusals += wrong
        same = next((old["id"] for old in kept if {**old, "id": None} == {**cleaned, "id": None}), None)
        out.append({"id": same, **cleaned})
    return out, refusals


def _tag_refusals(tags: Sequence[str]) -> list[Refusal]:
    refusals = [_too_long("tags", MAX_TEXT)] if any(len(tag) > MAX_TEXT for tag in tags) else []
    if len(tags) > MAX_TAGS:
        refusals.append(Refusal(field=("tags",), message=f"Tags cannot exceed {MAX_TAGS}", code="INVALID"))
    return refusals


def _too_long(name: str, limit: int) -> Refusal:
    words = re.sub(r"([A-Z])", r" \1", name).capitalize()
    message = f"{words} is too long (maximum is {limit} characters)"
    return Refusal(field=(name,), message=message, code="TOO_LONG")


def _blank_to_none(value: Json) -> Json:
    return None if value == "" else value


# --- people's spelling of a customer -----------------------------------------------------------------------------


def input_from_shown(fields: Fields) -> Fields:
    """Input fields from a customer written either as input or as GraphQL shows it.

    ``defaultEmailAddress.emailAddress`` (dotted or nested) is `email`, ``defaultAddress`` the first address,
    ``metafields`` a map of "namespace.key" to value. Computed fields are dropped.

    Raises:
        ValueError: a field nobody knows.
    """
    out: Fields = {}
    for name, value in _nested(fields).items():
        rename = _SHOWN.get(name)
        if rename is not None:
            rename(out, value)
        elif name not in _COMPUTED:
            raise ValueError(f"a customer has no field {name}")
    return out


def _nested(fields: Fields) -> Fields:
    out: Fields = {}
    for name, value in fields.items():
        head, _, rest = name.partition(".")
        if rest and head != "metafields":
            out[head] = {**(out.get(head) or {}), **_nested({rest: value})}
        elif rest:
            out["metafields"] = {**out.get("metafields", {}), rest: value}
        else:
            out[name] = value
    return out


def _take(name: str) -> Callable[[Fields, Json], None]:
    def put(out: Fields, value: Json) -> None:
        out[name] = value

    return put


def _take_email(out: Fields, value: Json) -> None:
    shown = value or {"emailAddress": None}
    if "emailAddress" in shown:
        out["email"] = shown["emailAddress"]
    _take_consent(out, {**shown, "consentUpdatedAt": shown.get("marketingUpdatedAt")})


def _take_consent(out: Fields, value: Json) -> None:
    if value and value.get("marketingState"):
        out["emailMarketingConsent"] = {
            key: value.get(key) for key in ("marketingState", "marketingOptInLevel", "consentUpdatedAt")
        }


def _take_phone(out: Fields, value: Json) -> None:
    out["phone"] = (value or {}).get("phoneNumber")


def _take_default_address(out: Fields, value: Json) -> None:
    if value and (unknown := unknown_address_keys(value)):
        raise ValueError(f"an address has no field {', '.join(sorted(unknown))}")
    out["defaultAddress"] = value


def _take_connection(out: Fields, value: Json) -> None:
    out["addresses"] = (value or {}).get("nodes", [])


_COMPUTED = {
    "id", "legacyResourceId", "displayName", "amountSpent", "numberOfOrders", "lastOrder", "canDelete",
    "dataSaleOptOut", "createdAt", "updatedAt", "orders",
}  # fmt: skip
_SHOWN: dict[str, Callable[[Fields, Json], None]] = {
    **{name: _take(name) for name in ("firstName", "lastName", "email", "phone", "note", "tags", "addresses")},
    **{name: _take(name) for name in (*_PLAIN, "metafields")},
    "emailMarketingConsent": _take_consent,
    "defaultEmailAddress": _take_email,
    "defaultPhoneNumber": _take_phone,
    "defaultAddress": _take_default_address,
    "addressesV2": _take_connection,
}
