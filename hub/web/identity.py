"""Who is who: pairs that may be one, the likeliest first; merge, never, later."""

from __future__ import annotations

from starlette.responses import Response

from hub.app.identity import later, list_pairs, merge_pair, never, pair_ends, show_pair
from hub.app.people import Right
from hub.web.site import Ask, Routes

ROUTES = Routes()
PAGE = 12  # pairs side by side, each with its own look


@ROUTES.get("/identity")
def pairs(ask: Ask) -> Response:
    put_off = ask.query("state") == "later"
    found = list_pairs(ask.hub, state="later" if put_off else "open", limit=PAGE)
    return ask.page("identity.html", pairs=[show_pair(ask.hub, row["pair"]) for row in found], put_off=put_off)


@ROUTES.post("/identity/{pair}/merge", Right.DECIDE)
def merge(ask: Ask) -> Response:
    merge_pair(ask.hub, ask.number("pair"), by=ask.by)
    ask.service.poke()
    return ask.go("/identity", "merged")


@ROUTES.post("/identity/{pair}/never", Right.DECIDE)
def keep_apart(ask: Ask) -> Response:
    first, second = pair_ends(ask.hub, ask.number("pair"))
    never(ask.hub, first, second, by=ask.by)
    return ask.go("/identity", "never")


@ROUTES.post("/identity/{pair}/later", Right.DECIDE)
def put_off(ask: Ask) -> Response:
    later(ask.hub, ask.number("pair"), by=ask.by)
    return ask.go("/identity", "later")
