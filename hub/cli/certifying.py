"""Commands about connectors as such: no project, no account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import AsJson

COLUMNS = ["group", "check", "status", "detail"]
TOTALS = ["connector", "passed", "failed", "not offered", "seconds"]


def certify(
    name: Annotated[str | None, typer.Argument(help="Name of the connector.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every connector that is installed.")] = False,
    twin: Annotated[str, typer.Option(help="Module of the simulated vendor; none: that of the same name.")] = "",
    mapping: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Its mapping file; none: the shipped one.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Judge a connector on its simulated vendor, over real HTTP; what does not apply says why."""
    from hub.verify.certify.stand import candidate, candidates
    from hub.verify.certify.suite import certify as judge

    if everyone == (name is not None):
        raise typer.BadParameter("name one connector, or say --all", param_hint="NAME")
    chosen = candidates() if name is None else [candidate(name, twin=twin, mapping=mapping)]
    certificates = []
    for each in chosen:
        with show.progress(quiet=json) as watch:
            certificates.append(judge(each, watch=watch))
        if not json:
            show.table(certificates[-1].table(), COLUMNS, json=False, title=each.connector.name)
    if json:
        show.as_json([each.document() for each in certificates])
    else:
        show.table([each.totals() for each in certificates], TOTALS, json=False, title="in all")
    raise typer.Exit(0 if all(each.ok for each in certificates) else 1)
