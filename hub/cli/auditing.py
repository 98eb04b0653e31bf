"""The command that looks at the data itself: what is missing, wrong, doubled, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, project

COLUMNS = ("step", "key", "count", "of", "text", "fix")
MOVED = ("key", "before", "now", "change")


def audit(
    html: Annotated[Path | None, typer.Option("--html", help="File to write the report to, as a page.")] = None,
    look: Annotated[bool, typer.Option("--scan/--no-scan", help="Search for duplicates first.")] = True,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """How good the data is: what is missing, wrong or doubled in which system, what to do, and what changed."""
    from hub.app import audit_report, bootstrap

    with bootstrap.opened(project(folder), connect=False) as hub, show.progress(quiet=json) as watch:
        found = audit_report.audit(hub, by=bootstrap.user_name(), look=look, watch=watch)
    if html is not None:
        audit_report.write_page(found, html)
    if json:
        show.as_json(found)
        return
    _show(found, limit)


def _show(found: show.Row, limit: int) -> None:
    before = found["before"]
    since = f", {before['score']} on {before['at'][:10]}" if before else ""
    show.line("nothing to look at" if found["score"] is None else f"score {found['score']} of 100{since}")
    show.table(found["tiers"], list(found["tiers"][0]) if found["tiers"] else [], json=False, none="")
    show.table(found["findings"], COLUMNS, json=False, none="nothing is wrong", limit=limit)
    show.table(found["rules"], ("system", "field", "count", "rule"), json=False, none="", title="rules", limit=limit)
    show.table(found["difference"], MOVED, json=False, none="", title="since the last audit", limit=limit)
    if found["note"]:
        show.line(found["note"])


def trust(
    name: Annotated[str, typer.Argument(metavar="[FIELD]", help="Such as contact.phone; none for all.")] = "",
    draft: Annotated[bool, typer.Option("--draft", help="Draft the order that the figures speak for.")] = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """How often each system's values were corrected, bounced or overruled, and the order that this speaks for."""
    from hub.app import bootstrap, trust_drafts, trusting

    kind, _, field = name.partition(".")
    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = trusting.list_trust(hub)
        if name:
            rows = [each for each in rows if (each["entity"], each["field"]) == (kind, field)]
        made = trust_drafts.propose_order(hub, kind, field, by=bootstrap.user_name(), rows=rows) if draft else None
        changes = trust_drafts.draft_would_change(hub) if made else {}
    if json:
        show.as_json({**made, "would_change": changes} if made else rows)
        return
    show.table(rows, trusting.COLUMNS, json=False, none="nothing was measured yet", limit=limit)
    if made:
        show.line(f"drafted in {made['file']}: {', '.join(made['order'])}, since {made['reason']}")
        show.table(changes["counts"], ("stream", "field", "count"), json=False, none="nothing would change")
        show.line(
            f"look at the draft and publish it: hub mapping publish {made['file']}, or the console's page Mappings"
        )
