"""How things look: values, times, sums as people read them; templates with every text escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from hub.app.listings import places_of
from hub.app.overview import waiting_counts
from hub.app.people import Right
from hub.app.reference_errors import meaning_of
from hub.web.times import Times, span

if TYPE_CHECKING:
    from hub.web.site import Ask

HUES = 8  # colours that connections take, in the order of hub.yaml
NOTHING = "nothing"
LONGEST = 240  # characters of a value in a list

# What was done, in words; the address says only which.
DONE: Mapping[str, str] = {
    "resolved": "Decided. The systems are corrected with the next write.",
    "resolved-next": "Decided. Here is the next one.",
    "alike": "Decided, all alike: {n}.",
    "view": "This view is kept.",
    "view-dropped": "The view is gone.",
    "policy": "Proposed: an admin finds it as a draft of canonical.yaml, and nothing changes until it is published.",
    "noted": "Your note is kept.",
    "retried": "Tried again: {n} of them went through.",
    "released": "Released. What was held back goes out with the next run.",
    "dropped": "Dropped. What was held back is not written.",
    "run": "A run has begun.",
    "paused": "Paused. Nothing is read or written by itself until it is resumed.",
    "resumed": "Resumed.",
    "added": "Added, in mode observe: it is read, and nothing is written.",
    "credentials": "Kept. The hub signs in with it from now on: Test tells whether it is right.",
    "mode": "The mode is changed.",
    "schedule": "The schedule is changed.",
    "backfill": "It is read again: with this run, or with the one that follows it.",
    "subscribed": "The system was told where to send its webhooks.",
    "hook-secret": "The secret is kept. Webhooks are checked by it from now on.",
    "plan-begun": "A plan is being made.",
    "plan-carried": "Under way: exactly these writes are being made.",
    "plan-approved": "Approved: exactly these writes go out with the next run.",
    "plan-rejected": "Rejected: none of these writes is made.",
    "approved": "Approved. It goes out with the next run.",
    "cancelled": "The provider will be asked to take it back.",
    "declined": "Declined. Its money is free again.",
    "resent": "It goes out another way with the next run; the reward stays one.",
    "confirmed": "Noted as ordered.",
    "firing": "It is let go, and done at once.",
    "firing-dropped": "Dropped. It is not done.",
    "user": "Kept.",
    "token-dropped": "The token opens nothing from now on.",
    "looked": "The systems described {n} fields.",
    "draft": "The draft is kept. Nothing runs with it yet.",
    "draft-dropped": "The draft is gone.",
    "published": "Published. The next runs work with it.",
    "never": "Kept apart for good.",
    "merged": "Merged. It can be split again on the record’s page.",
    "split": "Split: they are two again.",
    "freed": "It moves again, by its rule.",
    "undo-begun": "An undo is being prepared: the records are read first.",
    "later": "Left for later.",
    "figures": "The figures are computed anew; those that did not change stay.",
    "data-audit": "The data is being looked at.",
}


# Values


def text_of(value: Any, times: Times | None = None) -> str:
    """A canonical value as a person would write it; moments by their clock, or as they are without one."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _document(value, times)
    if isinstance(value, list | tuple | set):
        return ", ".join(text_of(each, times) for each in value)
    return times.value(str(value)) if times else str(value)


def _document(value: Mapping[str, Any], times: Times | None) -> str:
    if "minor" in value and "currency" in value:
        return money(value["minor"], value["currency"])
    if "state" in value and set(value) <= {"state", "at", "source"}:
        at = str(value.get("at") or "")
        since = f" since {times.day(at) if times else at[:10]}" if at else ""
        by = f" ({value['source']})" if value.get("source") else ""
        return f"{str(value['state']).replace('_', ' ')}{since}{by}"
    if "last_name" in value:  # a name: its parts are said one after the other
        return " ".join(str(part) for part in value.values() if part) or NOTHING
    if all(part is None or isinstance(part, str | int | float | bool) for part in value.values()):
        return ", ".join(text_of(part, times) for part in value.values() if part not in (None, "")) or NOTHING
    return orjson.dumps(value, default=str).decode()


def short(value: Any, longest: int = LONGEST, times: Times | None = None) -> str:
    text = text_of(value, times)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def money(minor: int, currency: str) -> str:
    """1250, EUR -> 12.50 EUR. Yen have no minor unit, dinars of Kuwait have three places."""
    places = places_of(currency)
    return f"{Decimal(minor).scaleb(-places):,.{places}f} {currency}"


def words(name: Any) -> str:
    """first_contact -> first contact."""
    return str(name).replace("_", " ").replace(".", " · ")


def begun(text: Any) -> str:
    """With a capital at its beginning; the rest stays as it is: ids, names and codes are written as they are."""
    said = str(text)
    return said[:1].upper() + said[1:]


def prose(text: str) -> Markup:
    """Text of the hub's own, in which `words between backticks` are code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # one that is not closed is none
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def several(name: Any, number: float = 2) -> str:
    """A kind of thing in the number of them: contact, contacts; company, companies; 1 page, 2 pages."""
    said = words(name)
    if number == 1:
        return said
    if said.endswith("y") and said[-2:-1] not in ("a", "e", "o", "u"):
        return f"{said[:-1]}ies"
    return f"{said}es" if said.endswith(("s", "x", "ch", "sh")) else f"{said}s"


def decider(name: str) -> str:
    """rule:source -> rule source; ruling:7 -> a person."""
    kind, _, which = name.partition(":")
    return "a person" if kind == "ruling" else words(f"{kind} {which}".strip())


def pretty(value: Any) -> str:
    """JSON for people who read JSON."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


# Charts


def spark(values: list[float], width: int = 120, height: int = 28) -> str:
    """Points of a polyline."""
    if len(values) < 2:
        return ""
    top = max(values) or 1.0
    step = width / (len(values) - 1)
    return " ".join(
        f"{place * step:.1f},{height - 2 - (height - 4) * each / top:.1f}" for place, each in enumerate(values)
    )


# Templates


@pass_context
def _say(context: Context, value: Any) -> str:
    return text_of(value, context["times"])


@pass_context
def _short(context: Context, value: Any, longest: int = LONGEST) -> str:
    return short(value, longest, context["times"])


@pass_context
def _prose(context: Context, text: str) -> Markup:
    return prose(context["times"].sentence(str(text)))


@pass_context
def _exact(context: Context, moment: str | None) -> str:
    return str(context["times"].exact(moment))


@pass_context
def _day(context: Context, moment: str) -> str:
    return str(context["times"].day(moment))


@cache
def environment() -> Environment:
    found = Environment(
        loader=PackageLoader("hub.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    found.filters.update(
        say=_say, short=_short, as_is=short, words=words, pretty=pretty, span=span, exact=_exact, day=_day,
        money=lambda m, c: money(m, c), spark=spark, decider=decider, begun=begun, prose=_prose, several=several,
    )  # fmt: skip
    found.globals.update(Right=Right, asset=asset, meaning_of=meaning_of)
    return found


STATIC: Mapping[str, tuple[str, str, str]] = {  # name -> package, path in it, type
    "console.css": ("hub.web", "static/console.css", "text/css; charset=utf-8"),
    "console.js": ("hub.web", "static/console.js", "text/javascript; charset=utf-8"),
    "icon.svg": ("hub.web", "static/icon.svg", "image/svg+xml"),
    "htmx.js": ("js_lib_htmx", "static/htmx/htmx.min.js", "text/javascript; charset=utf-8"),
}


@cache
def static(name: str) -> bytes:
    """A file that pages load, out of the package that holds it."""
    package, path, _ = STATIC[name]
    return files(package).joinpath(path).read_bytes()


@cache
def asset(name: str) -> str:
    """Its address; another one whenever its content is another, so that browsers may keep it for ever."""
    return f"/static/{name}?v={hashlib.sha256(static(name)).hexdigest()[:12]}"


def rendered(ask: Ask, template: str, status: int, **values: Any) -> Response:
    """A page."""
    hub = ask.hub
    hues = {name: place % HUES for place, name in enumerate(hub.connections)}
    person = ask.person
    done, count = ask.query("done") or "", ask.edge("n")
    given = {
        "ask": ask,
        "person": person,
        "may": person.may if person else lambda _right: False,
        "waiting": waiting_counts(hub) if person and not ask.wants_part else {},
        "path": ask.request.url.path,
        "hue": lambda name: hues.get(name, HUES),
        "times": ask.times,
        "ago": ask.times.ago,
        "done": DONE[done].format(n=count if count is not None else "") if done in DONE else "",
        "was": ask.edge("was"),  # the conflict that was just decided
        "theme": ask.request.cookies.get("hub_theme", ""),
        "hub_name": hub.projects.settings.hub.name if hub.projects is not None else "hub",
    }
    html = environment().get_template(template).render(**given, **values)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})
