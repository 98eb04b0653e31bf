"""Transforms and wires of dates and moments. A date is not a midnight; a time without a zone is not a moment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.core.formats import MappingFault
from hub.core.transforms import Option, Place, Step, Transform
from hub.core.values import normalise_instant, plain_decimal, read_number, read_text
from hub.model import Json

ENTRIES: list[Transform] = []

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_LAST_S = 253_402_300_799  # 9999-12-31T23:59:59Z


def _instant_of(seconds: Decimal) -> str:
    if not -62_135_596_800 <= seconds <= _LAST_S:
        raise MappingFault("MAP-109", "a moment outside the calendar", "give its wire: epoch_s or epoch_ms")
    whole = _floor(seconds)
    fraction = plain_decimal(seconds - whole).partition(".")[2]
    text = (_EPOCH + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def _floor(number: Decimal) -> int:
    """Downwards, also below zero (Decimal's // goes towards zero)."""
    return int(number.to_integral_value(ROUND_FLOOR))


def seconds_of(text: str) -> Decimal:
    """Exact epoch seconds of an instant's normal form."""
    body, _, fraction = text.removesuffix("Z").partition(".")
    since = datetime.fromisoformat(f"{body}+00:00") - _EPOCH
    return Decimal(since.days * 86_400 + since.seconds) + Decimal(f"0.{fraction or '0'}")


def _epoch(unit_per_s: int, loses: str) -> Callable[[Mapping[str, Json], Place], Step]:
    step = Step(
        inward=lambda value: _instant_of(read_number(value) / unit_per_s),
        outward=lambda value: _floor(seconds_of(value) * unit_per_s),
        loses=loses,
    )
    return lambda options, place: step


def _utc_midnight(options: Mapping[str, Json], place: Place) -> Step:
    as_text = options.get("as") == "text"

    def inward(value: Json) -> Json:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
            return value.strip()  # HubSpot answers date properties either way
        days, rest = divmod(read_number(value), _DAY_MS)
        if rest:
            raise MappingFault("MAP-108", "a moment inside a day, where a date was declared", "map it as an instant")
        try:
            return (date(1970, 1, 1) + timedelta(days=int(days))).isoformat()
        except OverflowError:
            raise MappingFault("MAP-108", "a date outside the calendar", "correct it at its source") from None

    def outward(value: Json) -> Json:
        millis = (date.fromisoformat(value) - date(1970, 1, 1)).days * _DAY_MS
        return str(millis) if as_text else millis

    return Step(inward=inward, outward=outward)


def _zone(transform: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise MappingFault("MAP-004", f"{transform}: unknown zone", "give a name such as Europe/Berlin") from None


def _local(options: Mapping[str, Json], place: Place) -> Step:
    """A clock's reading in a zone. The hour that an autumn night has twice is refused, as is the one spring skips."""
    zone = _zone("local", options["zone"])

    def inward(value: Json) -> Json:
        try:
            moment = datetime.fromisoformat(read_text(value).strip())
        except ValueError:
            raise MappingFault("MAP-109", "no date and time", "correct it at its source") from None
        if moment.tzinfo is not None:
            return normalise_instant(value)
        there = moment.replace(tzinfo=zone)
        if there.utcoffset() != there.replace(fold=1).utcoffset():
            raise MappingFault("MAP-109", "a time that the change of clocks makes doubtful", "correct it at its source")
        return normalise_instant(there.isoformat())

    def outward(value: Json) -> Json:
        moment = datetime.fromisoformat(value).astimezone(zone)
        if moment.utcoffset() != moment.replace(fold=1 - moment.fold).utcoffset():
            raise MappingFault("MAP-109", "a moment that a clock without zone cannot show", "write it by hand")
        return moment.replace(tzinfo=None, microsecond=0).isoformat(sep=options.get("sep", " "))

    return Step(inward=inward, outward=outward, loses="fractions of a second")


def _day_of_moment(options: Mapping[str, Json], place: Place) -> Step:
    """A date that the system keeps as a moment; people there may move it within the day."""
    zone = _zone("day_of_moment", options.get("zone", "UTC"))

    def inward(value: Json) -> Json:
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value.strip()):
            return value.strip()
        digits = not isinstance(value, str) or value.strip().lstrip("-").isdigit()
        text = _instant_of(read_number(value) / 1000) if digits else normalise_instant(value)
        return datetime.fromisoformat(text).astimezone(zone).date().isoformat()

    def outward(value: Json) -> Json:
        return normalise_instant(datetime.fromisoformat(f"{value}T00:00:00").replace(tzinfo=zone).isoformat())

    return Step(inward=inward, outward=outward)


_TOKENS = {"YYYY": "(?P<y>[0-9]{4})", "MM": "(?P<m>[0-9]{1,2})", "DD": "(?P<d>[0-9]{1,2})"}


def _date_format(options: Mapping[str, Json], place: Place) -> Step:
    form = options["format"]
    if any(form.count(token) != 1 for token in _TOKENS) or re.sub("YYYY|MM|DD", "", form).isalnum():
        raise MappingFault("MAP-004", "date: the format needs YYYY, MM and DD once each", "such as DD.MM.YYYY")
    pattern = re.escape(form)
    for token, group in _TOKENS.items():
        pattern = pattern.replace(token, group if len(form) > len("YYYYMMDD") else group.replace("1,2", "2"))
    compiled = re.compile(pattern)

    def inward(value: Json) -> Json:
        found = compiled.fullmatch(read_text(value).strip())
        try:
            if found:
                return date(int(found["y"]), int(found["m"]), int(found["d"])).isoformat()
        except ValueError:
            pass
        raise MappingFault("MAP-108", f"no date in the form {form}", "correct it at its source")

    def outward(value: Json) -> Json:
        return form.replace("YYYY", value[:4]).replace("MM", value[5:7]).replace("DD", value[8:])

    return Step(inward=inward, outward=outward)


ENTRIES.append(
    Transform(
        name="iso",
        wire=True,
        types=("instant", "date"),
        text="ISO 8601 text, which is also what is understood without a wire.",
        make=lambda options, place: Step(exact=True),
    )
)
ENTRIES.append(
    Transform(
        name="epoch_s",
        wire=True,
        types=("instant",),
        text="Seconds since 1970 UTC. Fractions are not written.",
        make=_epoch(1, "fractions of a second"),
        loses="fractions of a second",
    )
)
ENTRIES.append(
    Transform(
        name="epoch_ms",
        wire=True,
        types=("instant",),
        text="Milliseconds since 1970 UTC. Finer fractions are not written.",
        make=_epoch(1000, "fractions of a millisecond"),
        loses="fractions of a millisecond",
    )
)
ENTRIES.append(
    Transform(
        name="epoch_ms_utc_midnight",
        wire=True,
        types=("date",),
        text="A date as the milliseconds of its midnight UTC; another time of day is refused.",
        make=_utc_midnight,
        options={"as": Option(text="written as number or text", choices=("number", "text"))},
    )
)
ENTRIES.append(
    Transform(
        name="day_of_moment",
        wire=True,
        types=("date",),
        text="A date that the system keeps as a moment: the day in a zone, written as that day's midnight.",
        make=_day_of_moment,
        options={"zone": Option(text="such as Europe/Berlin; UTC unless given")},
        alone="zone",
    )
)
ENTRIES.append(
    Transform(
        name="local",
        wire=True,
        types=("instant",),
        text="A date and time without zone, in a named zone. Fractions of a second are not written.",
        make=_local,
        options={
            "zone": Option(text="such as Europe/Berlin", required=True),
            "sep": Option(text="between date and time; a blank unless given"),
        },
        alone="zone",
        loses="fractions of a second",
    )
)
ENTRIES.append(
    Transform(
        name="date",
        wire=False,
        types=("date",),
        text="Dates in another order, such as DD.MM.YYYY. Years have four digits.",
        make=_date_format,
        options={"format": Option(text="YYYY, MM and DD in the order wanted", required=True)},
        alone="format",
    )
)
