"""Records: search, lists by type, one record whole, and why a value stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

from hub.app.erasing import PEOPLE, erase, preview_erase
from hub.app.identity import merge, preview_merge, preview_unmerge, unmerge
from hub.app.listings import count_entities
from hub.app.notes import add_note
from hub.app.past import show
from hub.app.people import Right
from hub.app.personal import export
from hub.app.records import browse, record
from hub.app.search import search
from hub.app.timeline import timeline
from hub.app.titles import cards_of
from hub.app.why import why
from hub.web.confirm import SURE, unsure
from hub.web.site import Ask, Routes

ROUTES = Routes()


@ROUTES.get("/search")
def find(ask: Ask) -> Response:
    text = ask.query("q") or ""
    found = search(ask.hub, text, before_id=ask.edge("before"))
    if ask.wants_part:
        return ask.page("found.html", found=found)
    only = found["rows"][0] if len(found["rows"]) == 1 else None
    if only is not None and ":" in text:
        return ask.go(f"/records/{only['entity']}")
    return ask.page("search.html", found=found)


@ROUTES.get("/records")
def kinds(ask: Ask) -> Response:
    with ask.hub.store.reading() as tx:
        counts = count_entities(ask.hub, tx)
    return ask.page("kinds.html", types=ask.hub.canonical.entities, counts=counts)


@ROUTES.get("/records/{target}")
def one(ask: Ask) -> Response:
    target = ask.path("target")
    if target in ask.hub.canonical.entities:
        return ask.page("browse.html", found=browse(ask.hub, target, after_id=ask.edge() or 0))
    it = record(ask.hub, target)
    moments = _moments(it)
    return ask.page("record.html", it=it, people=PEOPLE, moments=moments, step=len(moments) - 1)


@ROUTES.get("/records/{target}/why/{field}")
def explain(ask: Ask) -> Response:
    found = why(ask.hub, ask.path("target"), ask.path("field"))
    return ask.page("why.html" if ask.wants_part else "why_page.html", it=found)


@ROUTES.get("/records/{target}/timeline")
def did(ask: Ask) -> Response:
    return ask.page("timeline.html", it=timeline(ask.hub, ask.path("target"), before=ask.query("before") or ""))


@ROUTES.get("/records/{target}/as-of")
def as_it_was(ask: Ask) -> Response:
    """The values as they stood at a moment, or after one of the changes (step 0: as they were first)."""
    it = record(ask.hub, ask.path("target"))
    moments = _moments(it)
    said, step = ask.query("at") or "", ask.edge("step")
    if not said:
        step = min(step if step is not None else len(moments) - 1, len(moments) - 1)
        said = moments[step]
    entered = ask.times.read(said)
    then = show(ask.hub, ask.path("target"), as_of=entered.at)
    now = {row["field"]: row["value"] for row in it["fields"]}
    known = {row["field"] for row in then["fields"]}
    then["fields"] += [{"field": name, "value": None} for name in now if name not in known]
    return ask.page(
        "past.html" if ask.wants_part else "as_of.html", it={**then, "title": it["title"]}, named=it["named"],
        now=now, moments=moments, entered=entered,
        step=step if step is not None else sum(each <= (then["as_of"] or said) for each in moments[1:]),
    )  # fmt: skip


def _moments(it: Mapping[str, Any]) -> list[str]:
    """When it was first known, and when it changed since: the newest changes that its page shows, oldest first."""
    changed = {line["at"] for line in it["timeline"] if line["what"] == "change" and line["at"] > it["created_at"]}
    return [it["created_at"], *sorted(changed)]


@ROUTES.post("/records/{target}/notes", Right.DECIDE)
def note(ask: Ask) -> Response:
    target = record(ask.hub, ask.path("target"))["entity"]
    add_note(ask.hub, target, ask.said("text"), by=ask.by)
    return ask.go(f"/records/{target}", "noted")


def _titles(ask: Ask, names: Sequence[str]) -> dict[str, str]:
    """contact:42 -> what people call it."""
    ids = {name: int(name.partition(":")[2]) for name in names}
    named = cards_of(ask.hub, ids.values())
    return {name: named[id_]["title"] for name, id_ in ids.items() if id_ in named}


# Their own data


@ROUTES.post("/records/{target}/export", Right.PEOPLE)
def take_out(ask: Ask) -> Response:
    """Everything that is held about them, as a file."""
    found = export(ask.hub, ask.path("target"), by=ask.by)
    name = found["entity"].replace(":", "-")
    return Response(
        orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str), media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}.json"', "Cache-Control": "no-store"},
    )  # fmt: skip


@ROUTES.post("/records/{target}/erase", Right.PEOPLE)
def forget(ask: Ask) -> Response:
    """Said by typing the record's name; then it is done, and the page tells where the person still is."""
    it = preview_erase(ask.hub, ask.path("target"))
    title = _titles(ask, [it["entity"]]).get(it["entity"], it["entity"])
    again = f"Not now: {'; '.join(it['in_the_way'])}." if it["in_the_way"] else ""
    asked = unsure(
        ask, title=f"Erase {title} for good?", back=f"/records/{it['entity']}", button="Erase",
        typed=it["entity"], again=again,
        texts=(
            f"Their records here ({it['entities']}) lose every value, history, conflicts, notes, webhooks and writes.",
            f"Their rewards ({it['rewards']}) stay in the ledger without a name; what was not sent yet is called off.",
            f"Their records at your systems ({len(it['records'])}) stay: erase them there, too. They are listed next.",
            "No reading brings the person back. This cannot be undone.",
        ),
    )  # fmt: skip
    if asked is not None:
        return asked
    return ask.page("erased.html", it=erase(ask.hub, it["entity"], by=ask.by))


# Who is who


@ROUTES.post("/records/{target}/merge", Right.DECIDE)
def join(ask: Ask) -> Response:
    """Shows what would become of both; said once more, it is done."""
    target, other = ask.path("target"), ask.said("other").strip()
    other = other if ":" in other or "/" in other else f"{target.partition(':')[0]}:{other}"
    if ask.said(SURE) != "yes":
        it = preview_merge(ask.hub, target, other)
        titles = _titles(ask, [it["survivor"], it["alias"]])
        return ask.page("merge.html", it=it, target=target, other=other, titles=titles)
    done = merge(ask.hub, target, other, by=ask.by)
    ask.service.poke()
    return ask.go(f"/records/{done['survivor']}", "merged")


@ROUTES.post("/records/{target}/unmerge", Right.DECIDE)
def part(ask: Ask) -> Response:
    """Shows what both would be; said once more, it is done."""
    target = ask.path("target")
    if ask.said(SURE) != "yes":
        it = preview_unmerge(ask.hub, target)
        return ask.page("split.html", it=it, target=target, titles=_titles(ask, [it["first"]]))
    done = unmerge(ask.hub, target, by=ask.by)
    ask.service.poke()
    return ask.go(f"/records/{done['first']}", "split")
