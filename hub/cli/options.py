"""Options that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path,
    typer.Option("--project", envvar="HUB_PROJECT", help="Folder of hub.yaml, or one below it.", show_default="here"),
]
HERE = Path()
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Note = Annotated[str, typer.Option("--note", help="Why; kept with the decision.")]
Limit = Annotated[int, typer.Option(min=1, help="Rows of the table; --json has all.")]
MANY = 200
All = Annotated[bool, typer.Option("--all", help="Also what is closed.")]


def project(folder: Path) -> Path:
    """The project's folder, found upwards."""
    from hub.app.bootstrap import find_project

    return find_project(folder)
