"""Commands for key figures and goals."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, AsJson, Folder, project


def list_kpis(folder: Folder = HERE, json: AsJson = False) -> None:
    """Every key figure with its unit, the better direction, and what it means."""
    from hub.app import bootstrap, kpis

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = kpis.list_kpis(hub)
    show.table(rows, ["kpi", "unit", "direction", "of", "formula", "text"], json=json, none="kpis.yaml declares none")


def show_kpi(
    name: Annotated[str, typer.Argument(help="Name in kpis.yaml.")],
    by: Annotated[str, typer.Option(help="day, week, month, quarter or year.")] = "month",
    since: Annotated[str, typer.Option(help="A day in the first period; none: the last 12.")] = "",
    segment: Annotated[str, typer.Option(help="A field, REFERENCE.FIELD, or source.")] = "",
    as_of: Annotated[str | None, typer.Option(help="A day or moment, such as 2026-11-02T08:10:00Z.")] = None,
    records: Annotated[bool, typer.Option("--records", help="The records behind each figure.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """A key figure by period; or as it would have been shown at an earlier moment, beside now."""
    from hub.app import bootstrap, csv_out, kpis, past

    moment = None if as_of is None else past.parse_moment(as_of)
    with bootstrap.opened(project(folder), connect=False) as hub, show.progress(quiet=json or as_csv) as watch:
        found = kpis.show_kpi(
            hub, name, by=by, since=since, segment=segment, as_of=moment, records=records, watch=_counted(name, watch)
        )
    columns = kpis.COLUMNS if moment is None else kpis.THEN_COLUMNS
    if json:
        show.as_json(found)
    elif as_csv:
        rows = found["records"] if records else found["figures"]
        sys.stdout.write(csv_out.as_csv(rows, kpis.RECORD_COLUMNS if records else columns))
    else:
        show.table(found["figures"], columns, json=False, title=f"{name}: {found['text']}")
        if found["left_out"]:
            show.line(f"{found['left_out']} records cannot be counted: no value, another currency, or nobody named")
        if records:
            show.table(found["records"], kpis.RECORD_COLUMNS, json=False, none="no records", title="records")
        if moment is not None:
            none = "nothing became known since that makes a difference"
            show.table(found["differences"], kpis.DIFFERENCE_COLUMNS, json=False, none=none, title="since then")


def _counted(name: str, watch: Callable[[str, str, str, int], None]) -> Callable[[int], None]:
    """Tells how many records were looked at until now."""
    looked = 0

    def count(records: int) -> None:
        nonlocal looked
        looked += records
        watch(name, "looks at", "records", looked)

    return count


def goals(folder: Folder = HERE, json: AsJson = False) -> None:
    """Every goal: where its figure is, where it should be by now, and where it ends at this pace."""
    from hub.app import bootstrap, kpis

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = kpis.list_goals(hub)
    show.table(rows, kpis.GOAL_COLUMNS, json=json, none="goals.yaml declares none; docs/kpis.md shows how")
