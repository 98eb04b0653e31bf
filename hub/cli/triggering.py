"""Commands for triggers: what they do, what they did, what they would have done."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, project

Id = Annotated[int, typer.Argument(min=1, help="Number of the firing.")]
Days = Annotated[int, typer.Option(min=1, max=3660, help="How many days back.")]
Since = Annotated[str, typer.Option(help="A day or moment, instead of --days.")]
FIRED = ["firing", "trigger", "does", "state", "subject", "at", "not_before", "result", "reason"]


def list_triggers(folder: Folder = HERE, json: AsJson = False, limit: Limit = MANY) -> None:
    """Triggers, and how many of their firings are in which state."""
    from hub.app import bootstrap, trigger_desk

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = trigger_desk.trigger_rules(hub)
    columns = ["trigger", "when", "does", "active_from", "due", "waiting", "held", "done", "failed", "refused"]
    show.table(rows, columns, json=json, none="no triggers", limit=limit)


def list_firings(
    trigger: Annotated[str | None, typer.Option(help="Only of this trigger.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state, such as held.")] = None,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What fired, and what became of it."""
    from hub.app import bootstrap, trigger_desk

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = trigger_desk.firings_page(hub, rule=trigger, state=state)
    show.table(rows, FIRED, json=json, none="nothing fired", limit=limit)


def show_firing(firing: Id, folder: Folder = HERE, json: AsJson = False) -> None:
    """One firing with all that is known of it."""
    from hub.app import bootstrap, trigger_desk

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(trigger_desk.firing_of(hub, firing), json=json)


def try_trigger(
    trigger: Annotated[str, typer.Argument(help="Name of the rule.")],
    days: Days = 90,
    since: Since = "",
    draft: Annotated[bool, typer.Option("--draft", help="The rule as the console's draft has it.")] = False,
    loaded: Annotated[bool, typer.Option("--loaded", help="A first load, too, as if it had happened live.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What a trigger would have done in the last days, judged by the values of that time. Nothing is done."""
    from hub.app import bootstrap, past, trigger_trial

    moment = past.parse_moment(since) if since else None
    with bootstrap.opened(project(folder), connect=False) as hub:
        found = trigger_trial.try_trigger(hub, trigger, days=days, since=moment, draft=draft, loaded=loaded)
        show.record(found, json=json)


def approve_firing(firing: Id, folder: Folder = HERE, json: AsJson = False) -> None:
    """Let a firing go that waits for a person; the running hub does it at once, else the next sync."""
    from hub.app import bootstrap, firings, trigger_desk

    with bootstrap.opened(project(folder), connect=False) as hub:
        firings.approve(hub, firing, by=bootstrap.user_name())
        show.record(trigger_desk.firing_of(hub, firing), json=json)


def drop_firing(firing: Id, folder: Folder = HERE, json: AsJson = False) -> None:
    """Say no to a firing that is not done yet."""
    from hub.app import bootstrap, firings, trigger_desk

    with bootstrap.opened(project(folder), connect=False) as hub:
        firings.drop(hub, firing, by=bootstrap.user_name())
        show.record(trigger_desk.firing_of(hub, firing), json=json)
