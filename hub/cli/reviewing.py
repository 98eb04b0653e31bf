"""Commands for what waits for a person: conflicts, holds, quarantine, rewards."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, All, AsJson, Folder, Limit, Note, project

Id = Annotated[int, typer.Argument(min=1, help="Its number in the list.")]
Ids = Annotated[list[int] | None, typer.Argument(min=1, help="Numbers in the list.")]


# Conflicts


def list_conflicts(
    every: All = False,
    field: Annotated[str | None, typer.Option(help="Only of this field.")] = None,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Conflicts that wait for a person."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = listings.conflicts(hub, state=None if every else "open", field=field)
    columns = ["conflict", "entity", "field", "kind", "state", "winner", "decided_by", "at"]
    show.table(rows, columns, json=json, none="no conflicts", limit=limit)


def show_conflict(conflict: Id, folder: Folder = HERE, json: AsJson = False) -> None:
    """One conflict with its candidates, numbered from 0."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.conflict(hub, conflict), json=json)


def resolve_conflict(
    conflict: Id,
    candidate: Annotated[int | None, typer.Option(min=0, help="Number of the candidate that shall stand.")] = None,
    value: Annotated[str | None, typer.Option(help="Value that shall stand: text, or JSON.")] = None,
    note: Note = "",
    digest: Annotated[str | None, typer.Option(help="Of the conflict as you saw it; refused if it changed.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Decide a conflict. The ruling stands until another; systems are corrected by the next sync."""
    from hub.app import bootstrap, review

    if (candidate is None) == (value is None):
        raise typer.BadParameter("give --candidate or --value", param_hint="--candidate")
    chosen = review.UNSET if value is None else _value(value)
    with bootstrap.opened(project(folder), connect=False) as hub:
        ruling = review.resolve_conflict(
            hub, conflict, candidate=candidate, value=chosen, by=bootstrap.user_name(), note=note, digest=digest
        )
    show.record({"ruling": ruling.id, "field": ruling.field, "value": ruling.value}, json=json)


def release_conflict(conflict: Id, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """Let a field move again that stands still because two systems kept overwriting each other."""
    from hub.app import bootstrap, listings, review

    with bootstrap.opened(project(folder), connect=False) as hub:
        review.release_conflict(hub, conflict, by=bootstrap.user_name(), note=note)
        show.record(listings.conflict(hub, conflict), json=json)


def _value(text: str) -> object:
    """JSON if it is JSON, else the text as it stands (a phone or a name needs no quotes)."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return text if isinstance(found, int | float) and not isinstance(found, bool) else found


# Holds


def list_holds(every: All = False, limit: Limit = MANY, folder: Folder = HERE, json: AsJson = False) -> None:
    """Changes that a guard keeps back."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = listings.holds(hub, state=None if every else "open")
    columns = ["hold", "guard", "connection", "stream", "field", "count", "of", "state", "message", "at"]
    show.table(rows, columns, json=json, none="no holds", limit=limit)


def release_hold(holds: Ids = None, folder: Folder = HERE, json: AsJson = False) -> None:
    """Let through what guards kept back: exactly that much. The next sync writes it."""
    _decide(holds, folder, json=json, release=True)


def drop_hold(holds: Ids = None, folder: Folder = HERE, json: AsJson = False) -> None:
    """Refuse what guards kept back: values are put back at their system, records are not created."""
    _decide(holds, folder, json=json, release=False)


def _decide(holds: list[int] | None, folder: Folder, *, json: bool, release: bool) -> None:
    from hub.app import bootstrap, review

    if not holds:
        raise typer.BadParameter("name at least one hold: hub holds list", param_hint="HOLDS")
    decide = review.release_hold if release else review.drop_hold
    with bootstrap.opened(project(folder)) as hub:
        rows = [{"hold": each, **decide(hub, each, by=bootstrap.user_name())} for each in holds]
    show.table(rows, ["hold", "cells", "creates", "removals", "deleted"], json=json)


# Quarantine


def list_quarantine(
    every: All = False,
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Records and fields that could not be mapped, checked or written."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = listings.quarantine(hub, state=None if every else "open", connection=connection)
    columns = ["row", "connection", "stream", "external_id", "field", "direction", "code", "message", "fix"]
    show.table(rows, columns, json=json, none="nothing in quarantine", limit=limit)


def show_quarantine(row: Id, folder: Folder = HERE, json: AsJson = False) -> None:
    """One row of the quarantine, with the value at fault."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.quarantined(hub, row), json=json)


def retry_quarantine(
    rows: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="Every open row.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Do again what failed: read the record again, or let the next sync write it again."""
    from hub.app import bootstrap, review

    if not rows and not every:
        raise typer.BadParameter("name at least one row, or --all", param_hint="ROWS")
    with bootstrap.opened(project(folder)) as hub:
        found = review.retry_all(hub, rows, by=bootstrap.user_name())
    show.table(found, ["row", "state", "code", "message", "fix"], json=json, none="nothing in quarantine")
    raise typer.Exit(3 if any(each["state"] == "open" for each in found) else 0)


# Rewards


def list_rewards(
    state: Annotated[str | None, typer.Option(help="Only in this state, such as waiting_approval.")] = None,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What is owed and given to whom."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = listings.rewards(hub, state=state)
    columns = ["grant", "rule", "state", "recipient", "amount", "currency", "connection", "order_id", "created_at"]
    show.table(rows, [*columns, "detail"], json=json, none="no rewards", limit=limit)


def show_reward(grant: Id, folder: Folder = HERE, json: AsJson = False) -> None:
    """One reward with the lines of its ledger."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.reward(hub, grant), json=json)


def decline_reward(grant: Id, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """Say no to a reward that waits, or that a doubtful one was never ordered; its money is free again."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.decline_reward(hub, grant, by=bootstrap.user_name(), note=note), json=json)


def confirm_reward(
    grant: Id,
    order: Annotated[str, typer.Option(help="Number of the order at the provider.")],
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Say that a doubtful reward was ordered, under this number."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.confirm_reward(hub, grant, by=bootstrap.user_name(), order=order), json=json)


def approve_reward(grants: Ids = None, folder: Folder = HERE, json: AsJson = False) -> None:
    """Let rewards go that wait for approval; the next sync places their orders."""
    from hub.app import bootstrap, listings

    if not grants:
        raise typer.BadParameter("name at least one: hub rewards list --state waiting_approval", param_hint="GRANTS")
    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = [listings.approve_reward(hub, each, by=bootstrap.user_name()) for each in grants]
    show.table(rows, ["grant", "state", "amount", "currency"], json=json)
