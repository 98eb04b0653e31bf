"""Commands around plans: plan, apply, undo, and the plans that wait for approval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, Note, project

Names = Annotated[list[str] | None, typer.Argument(help="Connections; none for all.")]
Out = Annotated[Path | None, typer.Option("--output", "-o", help="File to keep the plan in, for `hub apply`.")]
Full = Annotated[bool, typer.Option("--full", help="Every record and field, however many.")]
Runs = Annotated[list[int], typer.Argument(min=1, help="Numbers in the list of runs.")]
PlanId = Annotated[int, typer.Argument(metavar="PLAN", min=1, help="Its number in the list.")]
FIRST = 20  # rows of a big plan that are shown without --full
WHOLE = 200  # a plan of so many rows is shown whole


def plan(
    names: Names = None,
    pull: Annotated[bool, typer.Option("--pull/--no-pull", help="Read the systems first.")] = True,
    output: Out = None,
    full: Full = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What a sync would write, per connection, record and field, with its calls. Writes nothing outside.

    Exit code 1: a connection could not be read, and the plan lacks what it would have brought.
    """
    from hub.app import bootstrap
    from hub.app import plan as planning

    with bootstrap.opened(project(folder), publish=True) as hub, show.progress(quiet=json) as watch:
        found = planning.plan(hub, names, pull=pull, watch=watch)
    _show_plan(found, output, full=full, limit=limit, json=json)
    if any(row["error"] for row in found["connections"]):
        raise typer.Exit(1)


def apply(
    file: Annotated[Path, typer.Argument(help="As `hub plan -o` made it.")],
    approve: Annotated[bool, typer.Option("--approve", help="Let through what a guard would keep back.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Write exactly what a plan says; what drifted since is refused and listed, record by record."""
    from hub.app import apply as applying
    from hub.app import bootstrap

    document = applying.load_file(file)
    with bootstrap.opened(project(folder), publish=True) as hub, show.progress(quiet=json) as watch:
        done = applying.apply(
            hub, document, by=bootstrap.user_name(), approve=approve, watch=watch, where=str(file)
        )  # fmt: skip
    _show_applied(done, {}, json=json)


def undo(
    runs: Runs,
    only_plan: Annotated[bool, typer.Option("--plan", help="Show what would be written, and write nothing.")] = False,
    output: Out = None,
    delete_created: Annotated[
        bool,
        typer.Option("--delete-created", help="Delete what the runs created, though the mapping says never."),
    ] = False,
    full: Full = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Put back what runs wrote, where nobody changed it since; what stays as it is is listed with the reason."""
    from hub.app import bootstrap
    from hub.app import undo as undoing

    with bootstrap.opened(project(folder), publish=True) as hub, show.progress(quiet=json) as watch:
        if only_plan or output is not None:
            found = undoing.undo_plan(hub, runs, delete_created=delete_created)
            _show_plan(found, output, full=full, limit=limit, json=json)
            return
        found, done = undoing.undo(hub, runs, by=bootstrap.user_name(), delete_created=delete_created, watch=watch)
    _show_applied(done, found, json=json)


def _show_plan(found: dict[str, Any], output: Path | None, *, full: bool, limit: int, json: bool) -> None:
    """The plan as JSON, or as tables: a big one by field, with its first rows."""
    from hub.app import plan as planning
    from hub.app.undo import LEFT_COLUMNS

    if output is not None:
        planning.write_file(found, output)
    if json:
        show.as_json(found)
        return
    rows = found["changes"]
    if len(rows) > WHOLE and not full:
        show.table(planning.by_field(found), planning.FIELD_COLUMNS, json=False, title="by field")
        limit = min(limit, FIRST)
    show.table(
        rows, planning.CHANGE_COLUMNS, json=False, none="nothing to write", limit=len(rows) or 1 if full else limit
    )  # fmt: skip
    show.table(found["connections"], planning.CONNECTION_COLUMNS, json=False, title="in all")
    show.table(found["held"], planning.HELD_COLUMNS, json=False, none="", title="held", limit=limit)
    show.table(found["refused"], planning.REFUSED_COLUMNS, json=False, none="", title="cannot be sent", limit=limit)
    show.table(found.get("left", []), LEFT_COLUMNS, json=False, none="", title="left as it is", limit=limit)
    show.line(f"digest {found['digest']}" + (f", kept in {output}" if output is not None else ""))


def _show_applied(done: Any, found: dict[str, Any], *, json: bool) -> None:
    """What became of each write; ends with the exit code."""
    from hub.app import apply as applying
    from hub.app.undo import LEFT_COLUMNS

    left = found.get("left", [])
    if json:
        show.as_json({**done.document(), "left": left} if found else done.document())
        raise typer.Exit(done.exit_code)
    show.table(done.rows(), applying.COLUMNS, json=False, none="")
    show.table(done.refused, applying.REFUSED_COLUMNS, json=False, none="", title="refused")
    show.table(done.pending, applying.REFUSED_COLUMNS, json=False, none="", title="not written yet")
    show.table(left, LEFT_COLUMNS, json=False, none="", title="left as it is")
    show.line("nothing to write" if done.plan is None else str(done))
    raise typer.Exit(done.exit_code)


# Plans that wait


def list_plans(
    every: Annotated[bool, typer.Option("--all", help="Also what was decided.")] = False,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Plans that wait for approval."""
    from hub.app import bootstrap, proposals

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = proposals.list_plans(hub, state=None if every else "waiting", connection=connection)
    show.table(rows, proposals.COLUMNS, json=json, none="no plans", limit=limit)


def show_plan(
    plan: PlanId,
    output: Out = None,
    full: Full = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """One plan with its writes, what was decided, and what became of it."""
    from hub.app import bootstrap, proposals
    from hub.app.apply import REFUSED_COLUMNS

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = proposals.show_plan(hub, plan)
    document = {**found["document"], "changes": found["changes"]}
    if json:
        show.as_json(found)
        return
    show.record({name: found[name] for name in proposals.HEAD}, json=False)
    refused = (found["outcome"] or {}).get("refused", [])
    show.table(refused, REFUSED_COLUMNS, json=False, none="", title="refused", limit=limit)
    _show_plan(document, output, full=full, limit=limit, json=False)


def approve_plan(plan: PlanId, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """Let exactly the writes of a plan go; the next sync makes them."""
    from hub.app import bootstrap, proposals

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = proposals.approve_plan(hub, plan, by=bootstrap.user_name(), note=note)
    show.record({name: found[name] for name in proposals.HEAD if name in found}, json=json)


def reject_plan(plan: PlanId, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """Make none of the writes of a plan, and do not ask for just them again."""
    from hub.app import bootstrap, proposals

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = proposals.reject_plan(hub, plan, by=bootstrap.user_name(), note=note)
    show.record({name: found[name] for name in proposals.HEAD if name in found}, json=json)
