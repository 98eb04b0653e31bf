"""Commands that explain: why a value stands, what was, what would be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, project

Entity = Annotated[str, typer.Argument(help="Such as contact:42; or contact:ann@example.org.")]


def why(
    entity: Annotated[str, typer.Argument(help="Such as contact:42, contact:42.phone or contact:ann@example.org.")],
    field: Annotated[str | None, typer.Argument(help="Such as phone; none for all.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Explain a value: every candidate with its time, the rule that chose, and who holds what."""
    from hub.app import bootstrap
    from hub.app.why import why as explain

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(explain(hub, entity, field), json=json)


def history(
    entity: Entity,
    field: Annotated[str | None, typer.Option(help="Only of this field.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Transactions of a page.")] = 50,
    before: Annotated[int | None, typer.Option(help="Version at which the page before ended.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Every change of an entity, newest first: old and new value, who brought it, by which rule, in which run."""
    from hub.app import bootstrap, past

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = past.history(hub, entity, field=field, limit=limit, before=before)
    if json:
        show.as_json(found)
        return
    show.table(found["changes"], past.COLUMNS, json=False, none="nothing changed", title=found["entity"])
    if found["next"] is not None:
        show.line(f"older ones: --before {found['next']}")


def timeline(
    entity: Entity,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Events of a page.")] = 50,
    before: Annotated[str, typer.Option(help="`next` of the page before.")] = "",
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What a customer did, newest first: purchases, bookings, forms, visits, over all their merged records."""
    from hub.app import bootstrap
    from hub.app import timeline as lines

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = lines.timeline(hub, entity, before=before, limit=limit)
    if json:
        show.as_json(found)
        return
    show.table(found["events"], lines.COLUMNS, json=False, none="nothing happened yet", title=found["entity"])
    if found["next"] is not None:
        show.line(f"older ones: --before {found['next']}")


def segments(
    name: Annotated[str | None, typer.Argument(help="List who is in this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="People of a page.")] = 50,
    after: Annotated[int, typer.Option(min=0, help="Number of the last person of the page before.")] = 0,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Segments of derived.yaml with how many people are in each now; or the people of one."""
    from hub.app import bootstrap, derived

    with bootstrap.opened(project(folder), connect=False) as hub:
        if name is None:
            rows = derived.list_segments(hub)
            show.table(rows, ["segment", "people", "text"], json=json, none="derived.yaml has no segments")
            return
        found = derived.list_members(hub, name, after_id=after, limit=limit)
    if json:
        show.as_json(found)
        return
    show.table(found["rows"], ["entity", "title", "beside"], json=False, none="nobody", title=name)
    if found["next"] is not None:
        show.line(f"more: --after {found['next']}")


def forecast(
    fit: Annotated[bool, typer.Option("--fit", help="Fit the models to all purchases now.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """The models that tell what customers will spend: parameters, of which day, what speaks for them."""
    from hub.app import bootstrap, forecasting

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(forecasting.show_fit(hub, anew=fit), json=json)


def show_entity(
    entity: Entity,
    as_of: Annotated[str | None, typer.Option(help="A day or moment, such as 2026-11-02T08:10:00Z.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """An entity's values and records; or its values as they stood at a moment."""
    from hub.app import bootstrap, past

    moment = None if as_of is None else past.parse_moment(as_of)
    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(past.show(hub, entity, as_of=moment), json=json)


def replay(
    mapping: Annotated[list[Path], typer.Option(help="A mapping, or a canonical.yaml; as often as needed.")],
    since: Annotated[str, typer.Option(help="Only what was read or decided since, such as 90d; none: all.")] = "",
    diff: Annotated[bool, typer.Option("--diff", help="List each field that would be different.")] = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What would have been different under other files: stored records and claims, read and decided again."""
    from hub.app import bootstrap, replaying

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = replaying.replay(hub, mapping, since=since)
    if json:
        show.as_json(found)
        return
    if diff:
        show.table(found["different"], replaying.COLUMNS, json=False, none="", limit=limit)
    count = len(found["different"])
    show.line(f"{count} of {found['fields']} fields of {found['entities']} entities would be different")
