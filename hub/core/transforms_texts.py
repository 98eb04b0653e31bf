"""Transforms and wires of texts, names, addresses, sets and consent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hub.core.formats import MappingFault, country_name, is_region, read_country, read_phone
from hub.core.mapping import View
from hub.core.paths import MISSING, make_getter, make_setter
from hub.core.transforms import SCALAR_TYPES, TEXTS, Option, Place, Step, Transform
from hub.core.values import is_blank, read_text
from hub.model import Json

ENTRIES: list[Transform] = []

# Cleaning


def _both(clean: Callable[[str], str]) -> Callable[[Mapping[str, Json], Place], Step]:
    """The same cleaning both ways: the canonical form, so nothing is lost by it."""

    def run(value: Json) -> Json:
        return clean(value) if isinstance(value, str) else value

    return lambda options, place: Step(inward=run, outward=run)


def _case(change: Callable[[str], str], of: str) -> Callable[[Mapping[str, Json], Place], Step]:
    def run(value: Json) -> Json:
        return change(value) if isinstance(value, str) else value

    return lambda options, place: Step(inward=run, outward=run, loses=f"upper and lower case ({of})")


def _title(text: str) -> str:
    """First letter of each word in upper case, the rest in lower case; an apostrophe does not start a word."""
    return " ".join(word[:1].upper() + word[1:].lower() for word in text.split(" "))


def _cut(options: Mapping[str, Json], place: Place) -> Step:
    length = options["length"]
    if length < 1:
        raise MappingFault("MAP-004", "cut: length should be at least 1", "give the number of characters that fit")

    def outward(value: Json) -> Json:
        return value[:length] if isinstance(value, str) else value

    return Step(outward=outward, loses=f"what is longer than {length} characters")


def _blank_words(options: Mapping[str, Json], place: Place) -> Step:
    words = frozenset(word.strip().casefold() for word in options["words"])

    def is_word(value: Json) -> bool:
        return isinstance(value, str) and value.strip().casefold() in words

    def outward(value: Json) -> Json:
        if is_word(value):
            raise MappingFault("MAP-114", "a value that means nothing over there", "give it another value")
        return value

    return Step(inward=lambda value: None if is_word(value) else value, outward=outward)


def _replace(options: Mapping[str, Json], place: Place) -> Step:
    inward_words = {str(there): str(here) for there, here in options["words"].items()}
    outward_words = {here: there for there, here in inward_words.items()}
    loses = "" if len(outward_words) == len(inward_words) else "which of several words was written"
    shadowed = inward_words.keys() - outward_words.keys()

    def outward(value: Json) -> Json:
        if value in shadowed:
            raise MappingFault("MAP-114", "a value that means something else over there", "give it another value")
        return outward_words.get(value, value)

    return Step(inward=lambda value: inward_words.get(value, value), outward=outward, loses=loses)


ENTRIES.append(
    Transform(
        name="trim",
        wire=False,
        types=(*SCALAR_TYPES, "group"),
        text="Takes blanks off both ends, in and out.",
        make=_both(str.strip),
    )
)
ENTRIES.append(
    Transform(
        name="collapse",
        wire=False,
        types=TEXTS,
        text="Takes blanks off both ends and makes one of several inside, in and out.",
        make=_both(lambda text: " ".join(text.split())),
    )
)
for _name, _change in (("lower", str.lower), ("upper", str.upper), ("title", _title)):
    ENTRIES.append(
        Transform(
            name=_name,
            wire=False,
            types=("text",),
            text=f"Writes in {_name} case, in and out.",
            make=_case(_change, _name),
            loses="upper and lower case",
        )
    )
ENTRIES.append(
    Transform(
        name="cut",
        wire=False,
        types=("text",),
        text="Cuts what does not fit over there; inward nothing is cut.",
        make=_cut,
        options={"length": Option(text="characters that fit", kind="integer", required=True)},
        alone="length",
        loses="what is longer",
    )
)
ENTRIES.append(
    Transform(
        name="blank_words",
        wire=False,
        types=SCALAR_TYPES,
        text='Reads words such as "N/A" as blank; they cannot be written.',
        make=_blank_words,
        options={"words": Option(text="words that mean nothing", kind="texts", required=True)},
        alone="words",
    )
)
ENTRIES.append(
    Transform(
        name="replace",
        wire=False,
        types=("text",),
        text="Replaces whole values by others; values that are not named pass.",
        make=_replace,
        options={"words": Option(text="value there: value here", kind="map", required=True)},
        alone="words",
        loses="which of several words was written, where two become one",
    )
)


# Phone and country


def _phone(options: Mapping[str, Json], place: Place) -> Step:
    drop = options.get("extension") == "drop"
    fixed = options.get("region") or place.country
    if fixed is not None and not is_region(fixed):
        raise MappingFault("MAP-004", "phone: region is no country code", "give two letters, such as DE")
    source = options.get("region_from")
    loses = "extensions of phone numbers" if drop else ""
    if source is None:
        return Step(
            inward=lambda value: read_phone(read_text(value), fixed, drop_extension=drop), loses=loses, exact=True
        )
    holder = place.entity.field_of(source)
    kind = None if holder is None else holder.parts.get(source) if holder.kind == "group" else holder.type
    if holder is None or kind != "country":
        raise MappingFault("MAP-025", f"phone: {source} is no country field", "name a field or part of type country")
    name, grouped = holder.name, holder.kind == "group"

    def inward(value: Json, view: View) -> Json:
        region = view.values.get(name)
        region = region.get(source) if grouped and isinstance(region, Mapping) else region
        return read_phone(read_text(value), region or fixed, drop_extension=drop)

    return Step(inward_in=inward, looks_at=(source,), loses=loses, exact=True, normal=True)


ENTRIES.append(
    Transform(
        name="phone",
        wire=False,
        types=("phone",),
        text="Reads numbers without country code by a country: a field of the same record, a fixed one, or the hub's.",
        make=_phone,
        options={
            "region_from": Option(text="canonical field or part that holds the country"),
            "region": Option(text="two-letter country"),
            "extension": Option(text="what to do with an extension", choices=("refuse", "drop")),
        },
    )
)


def _country(options: Mapping[str, Json], place: Place) -> Step:
    form = options["as"]
    return Step(inward=lambda value: read_country(read_text(value)), outward=lambda value: country_name(value, form))


ENTRIES.append(
    Transform(
        name="country",
        wire=False,
        types=("country",),
        text="Writes the country in the form that the system wants. Reading understands codes and names anyway.",
        make=_country,
        options={"as": Option(text="form written", required=True, choices=("alpha2", "alpha3", "name"))},
        alone="as",
    )
)


# Names and lines

_NICKNAME = re.compile(r'\s*["“”][^"“”]*["“”]')
_SUFFIXES = frozenset(["jr", "jr.", "sr", "sr.", "ii", "iii", "iv", "phd", "ph.d.", "md", "m.d.", "esq", "esq."])
_NAME_PARTS = ("first_name", "middle_name", "last_name", "suffix")


def split_name(text: str) -> dict[str, Json]:
    """Parts of a full name: last word is the last name, before it first names, after it a known suffix.

    "Byron, Ada" is read the other way round; a single word is a last name. Middle names count as first names, so the
    middle name is said to be blank: left open, it would be filled from elsewhere and written twice. A guess by nature:
    only for systems that have one name field.
    """
    words = text.split()
    suffix = None
    if len(words) > 2 and words[-1].lower() in _SUFFIXES:
        suffix = words.pop()
        words[-1] = words[-1].rstrip(",")
    if len(words) > 1 and words[0].endswith(",") and len(words[0]) > 1:
        words = [*words[1:], words[0].rstrip(",")]
    first, last = " ".join(words[:-1]) or None, words[-1] if words else None
    return {"first_name": first, "middle_name": None, "last_name": last, "suffix": suffix}


def split_name_parts(text: str) -> dict[str, Json]:
    """As `split_name`, but the words between the first and the last are the middle name, and only what is there counts.

    Nothing is said of a middle name or suffix that the text does not have: many people leave theirs out, and that is
    no statement that they have none. A nickname in quotes is no part of the name.
    """
    found = split_name(_NICKNAME.sub("", text).strip() or text)
    first, _, middle = str(found["first_name"] or "").partition(" ")
    return {part: value for part, value in {**found, "first_name": first, "middle_name": middle}.items() if value}


def join_name(parts: Mapping[str, Json]) -> str:
    """First, middle and last name and suffix with single blanks between them."""
    order = ("first_name", "middle_name", "last_name", "suffix")
    return " ".join(str(parts[part]).strip() for part in order if not is_blank(parts.get(part)))


def _full_name(options: Mapping[str, Json], place: Place) -> Step:
    if not place.field.parts.keys() >= {"first_name", "last_name"}:
        raise MappingFault("MAP-005", "full_name serves groups with first_name and last_name", "map the parts instead")
    known = [part for part in _NAME_PARTS if part in place.field.parts]
    split = split_name_parts if options.get("middle") == "own" else split_name

    def inward(value: Json) -> Json:
        parts = split(read_text(value))
        if "suffix" not in known and parts.get("suffix"):
            parts["last_name"] = f"{parts['last_name']} {parts['suffix']}"
        return {part: parts[part] for part in known if part in parts}

    return Step(inward=inward, outward=lambda value: join_name(value) or None, loses="where first and last name part")


ENTRIES.append(
    Transform(
        name="full_name",
        wire=False,
        types=("group",),
        text="One text for a whole name group; read by splitting, written by joining.",
        make=_full_name,
        options={
            "middle": Option(
                text="where the words between first and last name belong; own also drops nicknames in quotes, and "
                "says nothing of parts that the text does not have",
                choices=("first", "own"),
            )
        },
        loses="where first and last name part",
    )
)


def _lines(options: Mapping[str, Json], place: Place) -> Step:
    """A text of several lines in two fields. The first field is the rule's own."""
    second_in, second_out = options["second"], options.get("second_out", options["second"])
    get = make_getter(second_in, root=place.root, literal=place.literal)

    def inward(value: Json, view: View) -> Json:
        rest = get(view.record)
        first = read_text(value)
        return first if rest is MISSING or is_blank(rest) else f"{first}\n{read_text(rest)}"

    def put_rest(path: str) -> Callable[[dict[str, Json], Json], None]:
        put = make_setter(path, literal=place.literal)

        def run(body: dict[str, Json], value: Json) -> None:
            lines = [line.strip() for line in str(value).split("\n")] if not is_blank(value) else []
            put(body, ", ".join(line for line in lines[1:] if line) or None)

        return run

    return Step(
        inward_in=inward,
        outward=lambda value: str(value).split("\n", 1)[0].strip(),
        put=put_rest(second_out),
        put_in=put_rest(second_in),
        extra_in=(second_in,),
        extra_out=(second_out,),
        loses="the breaks after the second line",
    )


ENTRIES.append(
    Transform(
        name="lines",
        wire=True,
        types=("text",),
        text="A text of several lines that the system keeps in two fields.",
        make=_lines,
        options={
            "second": Option(text="remote path of the second line", required=True),
            "second_out": Option(text="the same on the way out, if it differs"),
        },
        alone="second",
        loses="the breaks after the second line",
    )
)


# Sets


def _join(options: Mapping[str, Json], place: Place) -> Step:
    sep = options["sep"]
    if not sep:
        raise MappingFault("MAP-004", "join: sep is empty", 'give what stands between the elements, such as ";"')

    def inward(value: Json) -> Json:
        return [each.strip() for each in read_text(value).split(sep) if each.strip()]

    def outward(value: Json) -> Json:
        if any(sep in str(each) for each in value):
            raise MappingFault("MAP-115", "an element that contains the separator", "rename the element")
        return sep.join(str(each).strip() for each in value)

    return Step(inward=inward, outward=outward)


ENTRIES.append(
    Transform(
        name="join",
        wire=True,
        types=("set",),
        text="A set as one text with a separator; blanks around an element do not count.",
        make=_join,
        options={"sep": Option(text="what stands between the elements", required=True)},
        alone="sep",
    )
)


# Consent


def _truth(value: Json) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if word in (True, "true", "1", 1):
        return True
    if word in (False, "false", "0", 0):
        return False
    raise MappingFault("MAP-104", "true or false expected", "correct it at its source")


def _opt_out_flag(options: Mapping[str, Json], place: Place) -> Step:
    as_text = options.get("as") == "text"

    def inward(value: Json) -> Json:
        return {"state": "opted_out", "at": None, "source": None} if _truth(value) else None

    def outward(value: Json) -> Json:
        ticked = value["state"] == "opted_out"
        return ("true" if ticked else "false") if as_text else ticked

    return Step(inward=inward, outward=outward)


def _opt_out_moment(options: Mapping[str, Json], place: Place) -> Step:
    def inward(value: Json) -> Json:
        return {"state": "opted_out", "at": value, "source": options["source"]}

    return Step(inward=inward, two_way=False)


_MARKETING = {"SUBSCRIBED": "opted_in", "UNSUBSCRIBED": "opted_out"}  # PENDING, NOT_SUBSCRIBED … say nothing


def _marketing_state(options: Mapping[str, Json], place: Place) -> Step:
    """Shopify: `emailMarketingConsent`-like objects (vendor schema 2026-10, CustomerEmailMarketingConsentInput)."""

    def inward(value: Json) -> Json:
        if not isinstance(value, Mapping):
            raise MappingFault("MAP-160", "no consent object", "map the object that holds marketingState")
        state = _MARKETING.get(str(value.get("marketingState") or value.get("state") or "").upper())
        at = value.get("marketingUpdatedAt") or value.get("updatedAt") or value.get("consentUpdatedAt")
        if state is None or (state == "opted_in" and not at):
            return None  # an opt-in without its moment is no evidence
        return {"state": state, "at": at, "source": options.get("source", "shopify")}

    def outward(value: Json) -> Json:
        opted_in = value["state"] == "opted_in"
        body = {"marketingState": "SUBSCRIBED" if opted_in else "UNSUBSCRIBED", "marketingOptInLevel": "SINGLE_OPT_IN"}
        return body | ({"consentUpdatedAt": value["at"]} if value.get("at") else {})

    return Step(inward=inward, outward=outward)


def _consent_answer(options: Mapping[str, Json], place: Place) -> Step:
    get_at = make_getter(options["at"], root=place.root, literal=place.literal)
    agreed = frozenset(word.casefold() for word in options.get("words", ["true", "yes"]))

    def inward(value: Json, view: View) -> Json:
        word = "true" if value is True else str(value).strip().casefold()
        at = get_at(view.record)
        if word not in agreed or at is MISSING or is_blank(at):
            return None  # not ticking a box withdraws nothing
        return {"state": "opted_in", "at": at, "source": options["source"]}

    return Step(inward_in=inward, extra_in=(options["at"],), two_way=False)


ENTRIES.append(
    Transform(
        name="opt_out_flag",
        wire=True,
        types=("consent",),
        text="A box that says opted out. Un-ticked it says nothing.",
        make=_opt_out_flag,
        options={"as": Option(text="true/false written as JSON or as text", choices=("json", "text"))},
    )
)
ENTRIES.append(
    Transform(
        name="opt_out_moment",
        wire=True,
        types=("consent",),
        text="The moment of an opt-out. Where there is none, nothing is said. Read only.",
        make=_opt_out_moment,
        options={"source": Option(text="what the statement is recorded as coming from", required=True)},
        alone="source",
    )
)
ENTRIES.append(
    Transform(
        name="marketing_state",
        wire=True,
        types=("consent",),
        text="Shopify's consent object: SUBSCRIBED with its moment, or UNSUBSCRIBED.",
        make=_marketing_state,
        options={"source": Option(text="what the statement is recorded as coming from")},
    )
)
ENTRIES.append(
    Transform(
        name="consent_answer",
        wire=True,
        types=("consent",),
        text="An answer of a form that agrees: an opt-in at the moment of the form. Read only.",
        make=_consent_answer,
        options={
            "at": Option(text="remote path of the moment", required=True),
            "source": Option(text="what the statement is recorded as coming from", required=True),
            "words": Option(text="answers that agree; yes and true unless given", kind="texts"),
        },
    )
)
