"""Commands about one person's data: everything the hub holds, forgetting, and being known again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import show
from hub.cli.options import HERE, AsJson, Folder, project

Person = Annotated[str, typer.Argument(help="Such as contact:42; or contact:ann@example.org.")]


def export(
    person: Person,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; none for the screen.")] = None,
    folder: Folder = HERE,
) -> None:
    """Everything that the hub holds about a person, as JSON: values, records, history, rewards, webhooks."""
    from hub.app import bootstrap, personal

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = personal.export(hub, person, by=bootstrap.user_name())
    if output is None:
        show.as_json(found)
    else:
        personal.write_file(found, output)
        show.line(f"{output}: {len(found['entities'])} records of theirs")


def erase(
    person: Person,
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
    again: Annotated[bool, typer.Option("--again", help="They want to be known again.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Forget a person: no value is left, and no reading brings them back. Cannot be undone."""
    from hub.app import bootstrap, erasing

    with bootstrap.opened(project(folder), connect=False) as hub:
        by = bootstrap.user_name()
        if again:
            show.record({"forgotten": erasing.allow_again(hub, person, by=by)}, json=json)
            return
        if not yes:
            _ask(erasing.preview_erase(hub, person), json=json)
        found = erasing.erase(hub, person, by=by)
        hub.store.tidy()
    show.record(found, json=json)


def _ask(preview: dict[str, Any], *, json: bool) -> None:
    """What would go, and the question: answered by typing the name."""
    if json or not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask: give --yes", param_hint="--yes")
    show.record(preview, json=False)
    if typer.prompt(f"Type {preview['entity']} to erase it for good", err=True) != preview["entity"]:
        raise typer.Abort
