"""Times as the people of a company read them: by the clock of hub.yaml's time zone, with its abbreviation.

The store, the API, files to take away and the command line keep ISO 8601 in UTC; pages turn it into this, and what
their forms say of a moment out of it, here and nowhere else. A hub without a zone set is one of UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import NamedTuple

from hub.app.listings import iso
from hub.app.past import GRAIN_S, parse_moment

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")  # as the store, its values and its sentences have it
DAY_S = 86_400.0


class Entered(NamedTuple):
    """A moment that somebody entered."""

    at: float  # epoch seconds; the end of the millisecond that was named
    note: str  # what was taken, where the clock shows no such moment or shows it twice; else empty
    other: str  # where it shows it twice: the one that was not taken, ISO 8601, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The clock on the wall of whoever reads a page."""

    zone: tzinfo
    now: float

    # Told

    def exact(self, text: str | None) -> str:
        """2026-11-28T17:04:05.120Z -> 2026-11-28 18:04:05 CET."""
        at = self._local(text)
        return f"{_face(at)} {_short_name(at)}" if at else "at no known time"

    def value(self, text: str) -> str:
        """A value: a moment is told with all that is known of it, whatever else it is stays as it is."""
        found = MOMENT.fullmatch(text)
        at = self._local(text) if found else None
        if found is None or at is None:
            return text
        return f"{_face(at)}{(found[1] or '').rstrip('.0')} {_short_name(at)}"

    def sentence(self, text: str) -> str:
        """A sentence of the hub's own, with the moments in it told by this clock."""
        return MOMENT.sub(lambda found: self.exact(found[0]), text)

    def day(self, text: str) -> str:
        """The day of a moment; a day stays as it is."""
        at = self._local(text) if MOMENT.fullmatch(text) else None
        return _face(at)[:10] if at else text[:10]

    def ago(self, text: str | None) -> str:
        """How long ago, roughly; with the date where that is more use."""
        at = self._local(text)
        if at is None:
            return "never"
        gone = self.now - at.timestamp()
        if gone > 8 * DAY_S:
            return f"{at:%d %b %Y}"
        return f"in {span(-gone)}" if gone < -1 else "just now" if gone < 5 else f"{span(gone)} ago"

    def mark(self, at: float, spread_s: float) -> str:
        """A moment beneath a line of time that is so long."""
        there = datetime.fromtimestamp(at, self.zone)
        return f"{there:%d %b %H:%M:%S}" if spread_s < DAY_S else f"{there:%d %b %H:%M}"

    def hour(self, text: str) -> str:
        at = self._local(text)
        return f"{at:%H}" if at else ""

    def names(self, texts: Iterable[str]) -> str:
        """What the clock is called over these moments: CET; CEST and CET in the night when it is put."""
        found = (self._local(text) for text in texts)
        return " and ".join(dict.fromkeys(_short_name(at) for at in found if at))

    # Entered

    def read(self, text: str) -> Entered:
        """A moment or a day (its first instant) that was entered by this clock; one that names its zone keeps it.

        In the hour that comes twice the later one is taken, since looking back from it leaves nothing of the earlier
        out; an hour that is left out begins an hour later. Raises NeedsReview WHY-TIME.
        """
        at = parse_moment(text)  # by UTC: tells whether it is a moment at all
        if len(text) == len("2026-11-02"):
            day = date.fromisoformat(text)
            return Entered(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp() + GRAIN_S, "", "")
        said = datetime.fromisoformat(text)
        if said.tzinfo is not None:
            return Entered(at, "", "")
        one, two = (said.replace(tzinfo=self.zone, fold=fold).timestamp() for fold in (0, 1))
        if one == two:
            return Entered(one + GRAIN_S, "", "")
        taken = max(one, two)
        there = datetime.fromtimestamp(taken, self.zone)
        took = f"{there:%H:%M} {_short_name(there)} is taken"
        if one < two:
            note = f"The clocks went back then, and {said:%H:%M} came twice: the later one, {took}."
            return Entered(taken + GRAIN_S, note, iso(one) or "")
        return Entered(taken + GRAIN_S, f"The clocks went forward then, and {said:%H:%M} was left out: {took}.", "")

    def utc(self, text: str) -> str:
        """What was entered, as everything but a page has it. Raises NeedsReview WHY-TIME."""
        return iso(self.read(text).at - GRAIN_S) or text

    def entered(self, text: str) -> str:
        """As a form's field for a moment has it: no seconds, no zone."""
        at = self._local(text)
        return _face(at)[:16].replace(" ", "T") if at else ""

    def _local(self, text: str | None) -> datetime | None:
        at = moment(text)
        if at is None:
            return None
        try:
            return at.astimezone(self.zone)
        except OverflowError:  # the first and the last day that there are
            return at


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def span(seconds: float | None) -> str:
    """95 -> 1 min 35 s."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for size, unit, smaller, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            whole, rest = divmod(int(seconds), size)
            part = rest // smaller
            return f"{whole} {unit} {part} {below}" if part and whole < 3 else f"{whole} {unit}"
    return f"{int(seconds)} s"


def _face(at: datetime) -> str:
    """2026-11-28 18:04:05."""
    return at.replace(tzinfo=None).isoformat(" ", "seconds")


def _short_name(at: datetime) -> str:
    """CET. Where no letters are in use for a zone, what it is ahead of or behind UTC."""
    name = at.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name
