"""The support desk: the inbox, one conflict, all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.responses import Response

from hub.app.inbox import AGES, PERSON, REASONS, RULES, Wanted, alike, conflict_case, conflict_page, resolve_alike
from hub.app.notes import add_note
from hub.app.people import Right
from hub.app.policy import policies, propose_policy
from hub.app.review import UNSET, release_conflict, resolve_conflict
from hub.app.saved_views import drop_view, keep_view, views_of
from hub.errors import HubError, NeedsReview
from hub.web.confirm import unsure
from hub.web.show import words
from hub.web.site import Ask, Routes, status_of
from hub.web.times import Times, moment

ROUTES = Routes()
PLACE = "conflicts"  # of views
FILTERS = ("type", "field", "connection", "kind", "older", "policy")
NEXT = "resolved-next"
KEEP, TYPED = "keep", "typed"
IN = "in"  # where an address, or a form, says how one was looking at the inbox


@ROUTES.get("/conflicts")
def inbox(ask: Ask) -> Response:
    chosen = {name: ask.query(name) for name in FILTERS}
    waits = ask.query("state") != "decided"
    found = conflict_page(ask.hub, Wanted(**chosen), waits=waits, edge=ask.edge())
    narrowed = {name: value for name, value in chosen.items() if value}
    kept = narrowed | ({} if waits else {"state": "decided"})
    return ask.page(
        "conflicts.html", views=views_of(ask.hub, PLACE, by=ask.by), query=urlencode(kept), found=found,
        chosen=chosen, waits=waits, ages=list(AGES), filtered=any(chosen.values()),
        rules=[*RULES, *([] if waits else [PERSON])], within=_within(urlencode(narrowed)) if waits else "",
        more=f"/conflicts?{urlencode({**kept, 'after': found['next']})}" if found["next"] is not None else "",
        fields=_options(found["fields"], chosen["field"]), types=_options(found["types"], chosen["type"]),
        reasons=REASONS,
    )  # fmt: skip


@ROUTES.post("/conflicts/views", Right.READ)
def keep(ask: Ask) -> Response:
    """This way of looking at the inbox gets a name."""
    said = dict(parse_qsl(ask.said("query")))
    query = urlencode({name: said[name] for name in (*FILTERS, "state") if said.get(name)})
    if ask.said("what") == "drop":
        drop_view(ask.hub, PLACE, ask.said("drop"), by=ask.by)
        return ask.go(f"/conflicts?{query}" if query else "/conflicts", "view-dropped")
    keep_view(ask.hub, PLACE, ask.said("name"), query, by=ask.by)
    return ask.go(f"/conflicts?{query}" if query else "/conflicts", "view")


def _narrowing(text: str) -> str:
    """The filters that an address names, and nothing else of it."""
    said = dict(parse_qsl(text[:500]))
    return urlencode({name: said[name] for name in FILTERS if said.get(name)})


def _within(narrowing: str) -> str:
    """How a link to a conflict says from which way of looking one comes: the next one is of the same."""
    return f"?{urlencode({IN: narrowing})}" if narrowing else ""


def _options(counted: Mapping[str, int], chosen: str | None) -> list[str]:
    return list(dict.fromkeys([*counted, *([chosen] if chosen else [])]))


@ROUTES.get("/conflicts/{conflict}")
def one(ask: Ask) -> Response:
    return _one(ask)


def _one(ask: Ask, error: HubError | None = None) -> Response:
    narrowing = _narrowing(ask.said(IN) or ask.query(IN) or "")
    case = conflict_case(ask.hub, ask.number("conflict"), Wanted(**dict(parse_qsl(narrowing))))
    status = 200 if error is None else status_of(error)
    return ask.page(
        "conflict.html", status, case=case, error=error, lines=windows(case["choices"], ask.times), narrowing=narrowing,
        within=_within(narrowing),
        policies=policies(ask.hub, ask.number("conflict")) if case["field"] else [],
    )  # fmt: skip


@ROUTES.post("/conflicts/{conflict}", Right.DECIDE)
def decide(ask: Ask) -> Response:
    number = ask.number("conflict")
    try:
        value, candidate = _chosen(ask)
        resolve_conflict(
            ask.hub, number, value=value, candidate=candidate, by=ask.by, note=ask.said("note")[:2000],
            digest=ask.said("digest") or None,
        )  # fmt: skip
    except HubError as error:
        return _one(ask, error)
    ask.service.poke()
    narrowing = _narrowing(ask.said(IN))
    within = _within(narrowing)
    following = conflict_case(ask.hub, number, Wanted(**dict(parse_qsl(narrowing))))["following"]
    if ask.said("then") != "next":
        return ask.go(f"/conflicts/{number}{within}", "resolved")
    was = {"was": str(number)}
    if following is not None:
        return ask.go(f"/conflicts/{following}?{urlencode({**({IN: narrowing} if narrowing else {}), **was})}", NEXT)
    return ask.go(f"/conflicts?{urlencode({**dict(parse_qsl(narrowing)), **was})}", "resolved")


def _chosen(ask: Ask) -> tuple[Any, int | None]:
    """What the form says: (value, candidate), one of them."""
    choice = ask.said("choice")
    if choice.isdigit() and len(choice) < 6:
        return UNSET, int(choice)
    if choice == KEEP:
        return conflict_case(ask.hub, ask.number("conflict"))["standing"], None
    if choice == TYPED:
        return _typed(ask), None
    raise NeedsReview("nothing was chosen", where=f"conflict {ask.path('conflict')}", fix="choose a value, then save")


def _typed(ask: Ask) -> Any:
    """A value as somebody typed it: text, or JSON where the type is no plain text; nothing blanks the field."""
    parts = {name.removeprefix("part."): ask.said(name) for name in ask.form if name.startswith("part.")}
    if parts:
        return {name: text or None for name, text in parts.items()}
    if ask.said("moment"):
        return ask.times.utc(ask.said("moment"))
    text = ask.said("value").strip()
    if not text:
        return None
    if text[0] in "[{":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    return text


@ROUTES.post("/conflicts/{conflict}/notes", Right.DECIDE)
def note(ask: Ask) -> Response:
    number = ask.number("conflict")
    add_note(ask.hub, f"conflict:{number}", ask.said("text"), by=ask.by)
    return ask.go(f"/conflicts/{number}", "noted")


@ROUTES.get("/conflicts/{conflict}/alike")
def all_alike(ask: Ask) -> Response:
    candidate = ask.edge("candidate") or 0
    found = alike(ask.hub, ask.number("conflict"), candidate)
    return ask.page("alike.html", found=found, candidate=candidate, number=ask.number("conflict"))


@ROUTES.post("/conflicts/{conflict}/alike", Right.DECIDE)
def decide_alike(ask: Ask) -> Response:
    shown = [
        (int(number), digest)
        for each in ask.all_said("conflict")
        for number, _, digest in [each.partition(":")]
        if number.isdigit()
    ]
    candidate = ask.said("candidate")
    done = resolve_alike(
        ask.hub, ask.number("conflict"), int(candidate) if candidate.isdigit() else 0, shown, by=ask.by
    )
    ask.service.poke()
    return ask.go("/conflicts", "alike", done["done"])


@ROUTES.post("/conflicts/{conflict}/policy", Right.DECIDE)
def propose(ask: Ask) -> Response:
    """What the policy should say, as a draft for whoever may publish one."""
    number = ask.number("conflict")
    try:
        propose_policy(ask.hub, number, ask.said("policy"), by=ask.by, note=ask.said("note")[:500])
    except HubError as error:
        return _one(ask, error)
    return ask.go(f"/conflicts/{number}", "policy")


@ROUTES.post("/conflicts/{conflict}/release", Right.DECIDE)
def release(ask: Ask) -> Response:
    """A field that stands still moves again, by its rule."""
    number = ask.number("conflict")
    case = conflict_case(ask.hub, number)
    asked = unsure(
        ask, title=f"Let {words(case['field'])} move again?", back=f"/conflicts/{number}", button="Let it move",
        texts=(
            f"{case['note'] or case['why']}.".replace("..", "."),
            "It is decided by its rule again from now on, and written.",
            "If the two systems still overwrite each other, it stands still again after three writes.",
        ),
    )  # fmt: skip
    if asked is not None:
        return asked
    release_conflict(ask.hub, number, by=ask.by, note=ask.said("note")[:2000])
    ask.service.poke()
    return ask.go(f"/records/{case['card']['entity']}", "freed")


# The time line of one conflict

WIDTH, LEFT, STEP = 640, 120, 34


def windows(choices: Sequence[Mapping[str, Any]], times: Times) -> dict[str, Any]:
    """Each candidate's window on one axis, ready to be drawn; an open beginning reaches to the left edge."""
    ends = [(moment(each["after"]), moment(each["before"])) for each in choices]
    known = sorted(at.timestamp() for pair in ends for at in pair if at is not None)
    if not known:
        return {}
    first, last = known[0], known[-1]
    spread = max(last - first, 0.001)
    first, last = first - spread * 0.08, first + spread * 1.08

    def place(at: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 10) * (at - first) / (last - first), 1)

    bars = []
    for row, (each, (after, before)) in enumerate(zip(choices, ends, strict=True)):
        start = place(after.timestamp()) if after else float(LEFT)
        end = place(before.timestamp()) if before else float(WIDTH - 10)
        bars.append(
            {
                "connection": each["connection"] or "the hub", "x": start, "width": max(3.0, round(end - start, 1)),
                "y": 12 + row * STEP, "open": after is None, "end": end,
            }
        )  # fmt: skip
    said = {times.mark(at, spread): place(at) for at in (known[-1], known[0])}  # two that read alike are one
    marks = [{"x": x, "text": text} for text, x in reversed(said.items())]
    zone = times.names(each[side] for each in choices for side in ("after", "before") if each[side])
    return {
        "bars": bars,
        "height": 12 + len(bars) * STEP + 26,
        "width": WIDTH,
        "left": LEFT,
        "marks": marks,
        "zone": zone,
    }
