"""Transforms and wires of numbers, true/false and money. No float is ever computed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from hub.core.formats import MappingFault
from hub.core.mapping import View
from hub.core.paths import MISSING, make_getter, make_setter
from hub.core.transforms import Option, Place, Step, Transform
from hub.core.values import currency_exponent, is_blank, plain_decimal, read_number, read_text
from hub.model import Json

ENTRIES: list[Transform] = []

# Numbers


def _number_format(options: Mapping[str, Json], place: Place) -> Step:
    mark, group = options.get("decimal_mark", "."), options.get("group_mark", "")
    if len(mark) != 1 or mark == group:
        raise MappingFault("MAP-004", "number: decimal_mark should be one character", 'such as "," with group_mark "."')

    def inward(value: Json) -> Json:
        text = read_text(value).strip()
        if group:
            _check_groups(text, mark, group)
            text = text.replace(group, "")
        if mark != "." and "." in text:
            raise MappingFault("MAP-106", "a number in another format than declared", "correct it at its source")
        return text.replace(mark, ".")

    return Step(inward=inward, outward=lambda value: str(value).replace(".", mark))


def _check_groups(text: str, mark: str, group: str) -> None:
    """Groups are of three digits, or the marks mean something else than declared."""
    head, *groups = text.partition(mark)[0].split(group)
    if groups and (not head.lstrip("+-") or len(head.lstrip("+-")) > 3 or any(len(each) != 3 for each in groups)):
        raise MappingFault("MAP-106", "a number in another format than declared", "correct it at its source")


def _json_number(value: Json) -> Json:
    """Whole numbers as int, others as the float whose shortest text is the same; more digits than that are refused."""
    number = read_number(value)
    if number == number.to_integral_value() and abs(number) < 2**53:
        return int(number)
    if Decimal(repr(float(number))) != number:
        raise MappingFault(
            "MAP-107", "more digits than a JSON number keeps", "write it as text (leave out wire: number)"
        )
    return float(number)


def _as_text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


ENTRIES.append(
    Transform(
        name="number",
        wire=False,
        types=("decimal", "integer"),
        text="Reads and writes numbers with other marks, such as 1.234,50.",
        make=_number_format,
        options={
            "decimal_mark": Option(text="mark before the fraction"),
            "group_mark": Option(text="mark between groups of three; read, never written"),
        },
    )
)
ENTRIES.append(
    Transform(
        name="json_number",
        wire=True,
        types=("decimal", "integer"),
        text="Written as a JSON number instead of a text.",
        make=lambda options, place: Step(outward=_json_number),
    )
)
ENTRIES.append(
    Transform(
        name="text",
        wire=True,
        types=("integer", "decimal", "boolean", "date", "instant"),
        text="Written as text (HubSpot properties, CSV cells).",
        make=lambda options, place: Step(outward=_as_text),
    )
)


# True and false


def _bool_words(options: Mapping[str, Json], place: Place) -> Step:
    words: Mapping[str, list[str]] = {truth: options[truth] for truth in ("true", "false")}
    known = {word.casefold(): truth == "true" for truth, each in words.items() for word in each}
    if len(known) != sum(map(len, words.values())):
        raise MappingFault("MAP-004", "bool_words: a word stands for both", "give different words")

    def inward(value: Json) -> Json:
        found = value if isinstance(value, bool) else known.get(read_text(value).strip().casefold())
        if found is None:
            raise MappingFault("MAP-104", "no word for true or false", "add it to bool_words")
        return found

    return Step(inward=inward, outward=lambda value: words["true" if value else "false"][0])


ENTRIES.append(
    Transform(
        name="bool_words",
        wire=True,
        types=("boolean",),
        text="Words for true and false, without regard to case; the first of each is written.",
        make=_bool_words,
        options={
            "true": Option(text="words for true", kind="texts", required=True),
            "false": Option(text="words for false", kind="texts", required=True),
        },
    )
)


# Money

_MONEY_OPTIONS = {
    "currency": Option(text="ISO code of every amount; the hub's currency unless given"),
    "currency_from": Option(text="remote path of the currency"),
    "currency_out": Option(text="the same on the way out, if it differs"),
}


def _money(
    options: Mapping[str, Json],
    place: Place,
    to_minor: Callable[[Json, str], int],
    to_remote: Callable[[int, str], Json],
    *,
    lower: bool,
) -> Step:
    source = options.get("currency_from")
    if source is None:
        return _money_of_one_currency(str(options.get("currency", place.currency)).upper(), to_minor, to_remote)
    get = make_getter(source, root=place.root, literal=place.literal)
    target = options.get("currency_out", source)

    def put_currency(path: str) -> Callable[[dict[str, Json], Json], None]:
        put = make_setter(path, literal=place.literal)

        def run(body: dict[str, Json], value: Json) -> None:
            if not is_blank(value):
                put(body, value["currency"].lower() if lower else value["currency"])

        return run

    def inward(value: Json, view: View) -> Json:
        code = get(view.record)
        if code is MISSING or is_blank(code):
            raise MappingFault(
                "MAP-153", "an amount without its currency", f"fill {source}, or declare a fixed currency"
            )
        code = read_text(code).strip().upper()
        return {"minor": to_minor(value, code), "currency": code}

    return Step(
        inward_in=inward,
        outward=lambda value: to_remote(value["minor"], value["currency"]),
        put=put_currency(target),
        put_in=put_currency(source),
        extra_in=(source,),
        extra_out=(target,),
    )


def _money_of_one_currency(
    code: str, to_minor: Callable[[Json, str], int], to_remote: Callable[[int, str], Json]
) -> Step:
    currency_exponent(code)

    def outward(value: Json) -> Json:
        if value["currency"] != code:
            raise MappingFault("MAP-154", f"money that is not in {code}", "the system keeps one currency; leave it out")
        return to_remote(value["minor"], code)

    return Step(inward=lambda value: {"minor": to_minor(value, code), "currency": code}, outward=outward)


def _major_decimal(options: Mapping[str, Json], place: Place) -> Step:
    as_number = options.get("as") == "number"

    def to_minor(value: Json, code: str) -> int:
        minor = read_number(value).scaleb(currency_exponent(code))
        if minor != minor.to_integral_value():
            raise MappingFault("MAP-155", f"an amount finer than {code} has units", "round it at its source")
        return int(minor)

    def to_remote(minor: int, code: str) -> Json:
        amount = Decimal(minor).scaleb(-currency_exponent(code))
        return _json_number(amount) if as_number else plain_decimal(amount)

    return _money(options, place, to_minor, to_remote, lower=False)


def _minor_units(options: Mapping[str, Json], place: Place) -> Step:
    own: Mapping[str, int] = options.get("exponents", {})
    if not all(isinstance(places, int) and 0 <= places <= 6 for places in own.values()):
        raise MappingFault("MAP-004", "minor_units: exponents are numbers of places", "such as {ISK: 2}")

    def shift(code: str) -> int:
        return own.get(code, currency_exponent(code)) - currency_exponent(code)

    def to_minor(value: Json, code: str) -> int:
        minor = read_number(value).scaleb(-shift(code))
        if minor != minor.to_integral_value():
            raise MappingFault("MAP-155", f"an amount finer than {code} has units", "round it at its source")
        return int(minor)

    def to_remote(minor: int, code: str) -> Json:
        return int(Decimal(minor).scaleb(shift(code)))

    return _money(options, place, to_minor, to_remote, lower=True)


ENTRIES.append(
    Transform(
        name="major_decimal",
        wire=True,
        types=("money",),
        text='An amount in whole units with a fraction ("12.50"), the currency beside it or fixed.',
        make=_major_decimal,
        options=_MONEY_OPTIONS | {"as": Option(text="written as text or number", choices=("text", "number"))},
    )
)
ENTRIES.append(
    Transform(
        name="minor_units",
        wire=True,
        types=("money",),
        text="A whole number of the currency's smallest unit, the (lower-case) currency beside it or fixed.",
        make=_minor_units,
        options=_MONEY_OPTIONS
        | {"exponents": Option(text="places per currency where the vendor differs from ISO 4217", kind="map")},
    )
)
