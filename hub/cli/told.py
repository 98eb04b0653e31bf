"""Commands for the log of what people did."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, project


def list_log(limit: Limit = MANY, folder: Folder = HERE, json: AsJson = False) -> None:
    """Who did what, newest first."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = listings.audit_log(hub, limit=limit)
    show.table(
        rows, ["entry", "at", "actor", "action", "target", "before", "after"], json=json, none="nobody did anything yet"
    )


def head_of_log(folder: Folder = HERE) -> None:
    """The seal of the newest entry: noted elsewhere, it shows later whether the log was cut or written anew."""
    from hub.app import bootstrap, sealing

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.line(sealing.head(hub) or "nobody did anything yet")


def verify_log(
    head: Annotated[str, typer.Option(help="A head that was noted before.")] = "",
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Whether every entry is as it was written, in its place, and none was added or taken out."""
    from hub.app import bootstrap, sealing

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(sealing.check(hub, head), json=json)
