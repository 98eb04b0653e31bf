"""Normal forms of the values that come written in many ways: e-mail, phone, host, URL, country.

Each `read_*` takes text and returns the one normal form, or raises MappingFault with a stable code; it never guesses.
The libraries' answers are the law; the fast paths in front of them (plain ASCII e-mail, phone that already is E.164)
are tested equal to the libraries.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from hub.errors import RecordRejected

CACHE = 4096  # values repeat within and between reads of the same records; plain ones need no cache


class MappingFault(RecordRejected):
    """A value that has no place in its type or mapping; becomes the cell's CellFault."""

    default_code = "MAP-100"

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message, code=code, fix=fix)


# E-mail

_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,24}", re.ASCII
)
_RESERVED_ENDINGS = ("arpa", "invalid", "local", "localhost", "onion", "test")  # left to the library


def read_email(text: str) -> str:
    """Address as written, host in lower case (RFC 5321: only the host is case-blind by rule).

    Raises MappingFault MAP-110: no address the library accepts. `.test` counts as an address.
    """
    text = text.strip()
    if _PLAIN_EMAIL.fullmatch(text):
        if len(text) <= 64 and text.islower() and not text.endswith(_RESERVED_ENDINGS):
            return text
        local, _, host = text.rpartition("@")
        host = host.lower()
        labels = host.split(".")
        if (
            len(local) <= 64
            and len(host) <= 180
            and max(map(len, labels)) <= 63
            and labels[-1] not in _RESERVED_ENDINGS
        ):
            return f"{local}@{host}"
    return _parse_email(text)


@lru_cache(CACHE)
def _parse_email(text: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as refusal:
        raise MappingFault("MAP-110", f"no e-mail address: {refusal}", "correct the address at its source") from None


def email_key(text: str) -> str:
    """What decides that two addresses are one: NFC, lower case, both halves.

    RFC 5321 lets the local part be case-sensitive; no mailbox provider in use does so.
    """
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


# Phone

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


def read_phone(text: str, region: str | None = None, *, drop_extension: bool = False) -> str:
    """E.164. `region` (alpha-2) reads numbers without country code; it never overrules one that has it.

    Raises MappingFault: MAP-120 no number, MAP-121 country unknown, MAP-122 impossible length, MAP-123 extension.
    """
    text = text.strip()
    if _E164.fullmatch(text):
        if _is_settled(text):
            return text
    elif region is not None and _NATIONAL.fullmatch(text):
        found = _from_national(text.translate(_MARKS), region)
        if found is not None:
            return found
    return _parse_phone(text, region, drop_extension)


def _is_settled(text: str) -> bool:
    """True if the library would give the same text back: known code, possible length, no trunk prefix in front."""
    found = _plan_behind(text[1:4])
    if found is None:
        return False
    length, trunk, lengths = found
    return len(text) - length in lengths and not text.startswith(trunk, length)


@lru_cache(1024)
def _plan_behind(digits: str) -> tuple[int, tuple[str, ...], frozenset[int]] | None:
    """By a number's first three digits: length of + and country code, trunk prefixes, possible lengths of the rest."""
    for length in (1, 2, 3):
        plan = _numbering_plan(digits[:length])
        if plan is not None:
            return 1 + length, plan[0], frozenset(plan[1])
    return None


_NATIONAL = re.compile(r"[0-9(][0-9 ()./-]*[0-9]", re.ASCII)
_MARKS = str.maketrans("", "", " ()./-")


def _from_national(digits: str, region: str) -> str | None:
    """E.164 of a number as it is dialled within its country; None where only the library can tell."""
    plan = _national_plan(region)
    if plan is None or digits.startswith((plan.code, plan.abroad)):
        return None
    dialled = next((prefix for prefix in plan.trunk if digits.startswith(prefix)), "")
    national = digits[len(dialled) :]
    if national.startswith("0") or len(national) not in plan.lengths or not plan.pattern.fullmatch(national):
        return None
    return f"+{plan.code}{national}"


class _NationalPlan(NamedTuple):
    code: str  # of the country
    trunk: tuple[str, ...]  # what may be dialled before a number within the country; the first that fits counts
    abroad: str  # what is dialled before a number of another one
    lengths: frozenset[int]
    pattern: re.Pattern[str]


@lru_cache(512)
def _national_plan(region: str) -> _NationalPlan | None:
    """None for regions that use another's country code, and where prefixes are no plain digits."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.general_desc is None or metadata.country_code is None:
        return None
    trunk = tuple(each for each in (metadata.national_prefix_for_parsing or "").split("|") if each)
    abroad = metadata.international_prefix or ""
    regions = COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]
    pattern = metadata.general_desc.national_number_pattern
    plain = abroad.isdigit() and all(map(str.isdigit, trunk)) and not metadata.national_prefix_transform_rule
    if regions[0] != region or not plain or not pattern:
        return None
    lengths = frozenset(metadata.general_desc.possible_length)
    return _NationalPlan(str(metadata.country_code), trunk, abroad, lengths, re.compile(pattern))


@lru_cache(1024)
def _numbering_plan(code: str) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
    """(trunk prefixes, possible lengths) of a country code; None: no such code.

    A leading zero counts as trunk prefix everywhere. A code whose prefix is no plain list of digits has no lengths:
    its numbers go to the library.
    """
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(code))
    metadata = PhoneMetadata.metadata_for_region(regions[0]) if regions and regions[0] != "001" else None
    if metadata is None or metadata.general_desc is None:
        return None
    trunk = metadata.national_prefix_for_parsing or ""
    prefixes = [prefix for prefix in trunk.split("|") if prefix]
    if not all(prefix.isdigit() for prefix in prefixes) or metadata.national_prefix_transform_rule:
        return (), ()
    return ("0", *prefixes), tuple(metadata.general_desc.possible_length)


@lru_cache(CACHE)
def _parse_phone(text: str, region: str | None, drop_extension: bool) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as refusal:
        if refusal.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and not text.startswith("+"):
            raise MappingFault(
                "MAP-121",
                "a phone number without country code, and no country to read it by",
                "write it with +<country code>, or let the mapping's phone transform name a region_from field",
            ) from None
        raise MappingFault("MAP-120", "no phone number", "correct the number at its source") from None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise MappingFault("MAP-122", "a phone number of impossible length", "correct the number at its source")
    if number.extension and not drop_extension:
        raise MappingFault(
            "MAP-123",
            "a phone number with an extension, which E.164 cannot hold",
            "keep the extension in a field of its own, or declare {phone: {extension: drop}, ...} in the mapping",
        )
    form = phonenumbers.PhoneNumberFormat.E164
    found = phonenumbers.format_number(number, form)
    if number.italian_leading_zero and phonenumbers.format_number(phonenumbers.parse(found), form) != found:
        raise MappingFault("MAP-120", "no phone number", "correct the number at its source")
    return found


def is_region(code: str) -> bool:
    """True for a country whose numbering plan is known."""
    from phonenumbers import SUPPORTED_REGIONS

    return code in SUPPORTED_REGIONS


# Host and URL

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_FIX_HOST = "give a host such as example.com"


@lru_cache(CACHE)
def read_host(text: str) -> str:
    """Bare host of a domain, host or URL: lower case, without `www.`, port or path; international names in Unicode.

    Raises MappingFault MAP-130.
    """
    bare = text.strip()
    if "//" in bare:
        bare = bare.split("//", 1)[1]
    bare = re.split(r"[/?#]", bare, maxsplit=1)[0].rpartition("@")[2]
    bare = re.sub(r":[0-9]{1,5}$", "", bare).rstrip(".").lower()
    bare = bare.removeprefix("www.") if bare.count(".") > 1 else bare
    ascii_form = _to_ascii_host(bare)
    if not _HOST.fullmatch(ascii_form) or len(ascii_form) > 253:
        raise MappingFault("MAP-130", "no host name", _FIX_HOST)
    return _to_unicode_host(ascii_form)


def _to_ascii_host(text: str) -> str:
    if text.isascii():
        return text
    import idna

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise MappingFault("MAP-130", "no host name", _FIX_HOST) from None


def _to_unicode_host(text: str) -> str:
    if "xn--" not in text:
        return text
    import idna

    try:
        return idna.decode(text)
    except idna.IDNAError:
        raise MappingFault("MAP-130", "no host name", _FIX_HOST) from None


_PLAIN_URL = re.compile(r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[A-Za-z0-9._~/-]*)?", re.ASCII)


def read_url(text: str) -> str:
    """URL with scheme; scheme and host in lower case, the rest as written. A bare host gets https.

    Raises MappingFault MAP-131: another scheme than http(s), blanks inside, or no host.
    """
    return text if _PLAIN_URL.fullmatch(text) else _parse_url(text)


@lru_cache(CACHE)
def _parse_url(text: str) -> str:
    text = text.strip()
    if "://" not in text:
        text = f"https://{text}"
    fault = MappingFault("MAP-131", "no web address", "give an address such as https://example.com/page")
    if re.search(r"\s", text):
        raise fault
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        raise fault from None
    if parts.scheme.lower() not in ("http", "https") or "." not in host:
        raise fault
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{text.split('://', 1)[1][len(parts.netloc) :]}"


# Country

ISO_NAMES = ""  # in the place of a language
_LANGUAGES = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "pt",
    "pl",
    "sv",
    "da",
    "no",
    "fi",
    "cs",
    "tr",
    "ja",
    "zh",
    "ar",
    "hi",
)
_ALIASES = {  # what people write and neither ISO 3166 nor CLDR lists
    "uk": "GB",
    "great britain": "GB",
    "britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "usa": "US",
    "u.s.a.": "US",
    "u.s.": "US",
    "united states of america": "US",
    "america": "US",
    "brd": "DE",
    "holland": "NL",
    "the netherlands": "NL",
    "czech republic": "CZ",
    "south korea": "KR",
    "north korea": "KP",
    "russia": "RU",
    "vietnam": "VN",
    "turkey": "TR",
    "uae": "AE",
    "ivory coast": "CI",
    "burma": "MM",
}


_OF_SEVERAL = frozenset({"kongo"})  # names that mean one country in one language, and another one in the next


@lru_cache(CACHE)
def read_country(text: str) -> str:
    """ISO 3166 alpha-2 of a code or of a name in one of the languages known here.

    Raises MappingFault MAP-140.
    """
    text = text.strip()
    if len(text) == 2 and text.upper() in _country_codes():
        return text.upper()
    name = _fold(text)
    found = _ALIASES.get(name)
    if found is None and name not in _OF_SEVERAL:
        languages = (_country_names(language) for language in (ISO_NAMES, *_LANGUAGES))  # each is read when it is asked
        found = next((names[name] for names in languages if name in names), None)
    if found is None:
        raise MappingFault("MAP-140", "no country we know", "write the ISO code (DE) or the country's full name")
    return found


def country_name(code: str, form: str) -> str:
    """The country written as `alpha2`, `alpha3`, or `name` (English)."""
    if form == "alpha2":
        return code
    import pycountry

    country = pycountry.countries.get(alpha_2=code)
    if country is None:
        raise MappingFault("MAP-140", "no country we know", "write the ISO code (DE) or the country's full name")
    if form == "alpha3":
        return str(country.alpha_3)
    return str(getattr(country, "common_name", country.name))


@lru_cache(1)
def _country_codes() -> frozenset[str]:
    import pycountry

    return frozenset(country.alpha_2 for country in pycountry.countries)


@lru_cache(None)
def _country_names(language: str) -> dict[str, str]:
    """Folded name -> alpha-2, in one language, or as ISO 3166 has them (and its three-letter codes)."""
    found: dict[str, str] = {}
    if language == ISO_NAMES:
        import pycountry

        for country in pycountry.countries:
            official, common = getattr(country, "official_name", ""), getattr(country, "common_name", "")
            for name in (country.alpha_3, country.name, common, official):
                found[_fold(name)] = country.alpha_2
    else:
        from babel import localedata

        own = localedata.load(language, merge_inherited=False)  # what languages inherit is no name of a country
        found = {_fold(name): code for code, name in own["territories"].items() if code in _country_codes()}
        vars(localedata).get("_cache", {}).clear()  # 1 MB a language, of which only this was wanted
    found.pop("", None)
    return found


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
