"""Commands for rewards beside deciding about one: points, what providers have and offer, reports, milestones."""

from __future__ import annotations

import sys
from csv import DictWriter
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, AsJson, Folder, project

Grant = Annotated[int, typer.Argument(min=1, help="Its number in the list.")]
Person = Annotated[int, typer.Argument(min=1, help="Number of the contact or owner.")]
Connection = Annotated[str, typer.Argument(help="Name of the connection.")]


def points(person: Person, folder: Folder = HERE, json: AsJson = False) -> None:
    """Points that a person has, and what he used of them."""
    from hub.app import bootstrap, reward_points

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(reward_points.points_of(hub, person), json=json)


def use(
    person: Person,
    number: Annotated[int, typer.Argument(min=1, help="So many points.")],
    text: Annotated[str, typer.Option("--for", help="What for.")] = "",
    key: Annotated[str, typer.Option(help="The same key again uses nothing again.")] = "",
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """A person uses points of his."""
    from hub.app import bootstrap, reward_points

    with bootstrap.opened(project(folder), connect=False) as hub:
        found = reward_points.use_points(hub, person, number, text=text, by=bootstrap.user_name(), key=key)
        show.record(found, json=json)


def cancel(grant: Grant, folder: Folder = HERE, json: AsJson = False) -> None:
    """Take an ordered reward back, where its provider can; the next sync asks it."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.cancel_reward(hub, grant, by=bootstrap.user_name()), json=json)


def resend(
    grant: Grant,
    way: Annotated[str, typer.Argument(help="Connection and template, such as mail/thanks.")],
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Send the word of a reward whose message did not arrive another way; the reward stays one."""
    from hub.app import bootstrap, reward_ways

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(reward_ways.resend(hub, grant, way, by=bootstrap.user_name()), json=json)


def overspent(folder: Folder = HERE, json: AsJson = False) -> None:
    """What people were given twice, because they were known under several names."""
    from hub.app import bootstrap, reward_twice

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = reward_twice.overspent(hub)
    columns = ["grant", "rule", "person", "state", "amount", "currency", "can_cancel"]
    show.table(rows, columns, json=json, none="nobody was given anything twice")


def check(folder: Folder = HERE, json: AsJson = False) -> None:
    """Hold what rules give against the providers' catalogues, as they were last read."""
    from hub.app import bootstrap, reward_goods

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = reward_goods.check_goods(hub)
    show.table(rows, ["rule", "country", "product", "message", "where"], json=json, none="everything is offered")
    if rows:
        raise typer.Exit(1)


def reconcile(connection: Connection, folder: Folder = HERE, json: AsJson = False) -> None:
    """Hold the ledger against the provider's own list of orders; nothing is changed."""
    from hub.app import bootstrap, reward_reconcile

    with bootstrap.opened(project(folder)) as hub:
        found = reward_reconcile.reconcile_orders(hub, connection)
    if json:
        show.as_json(found)
    else:
        columns = ["kind", "grant", "state", "order", "detail", "means"]
        show.table(found["rows"], columns, json=False, none=f"{found['ours']} orders of ours, all as the ledger says")
    if found["rows"]:
        raise typer.Exit(1)


def wallet(folder: Folder = HERE, json: AsJson = False) -> None:
    """Ask providers for their prepaid balances."""
    from hub.app import bootstrap, reward_wallet

    with bootstrap.opened(project(folder)) as hub:
        for connection in hub.connections.values():
            reward_wallet.look(hub, connection)
        rows = reward_wallet.balances(hub)
    columns = ["connection", "balance", "currency", "limit", "low", "at"]
    show.table(rows, columns, json=json, none="no provider tells a balance")


def screen(connection: Connection, folder: Folder = HERE, json: AsJson = False) -> None:
    """Where a website's server asks for the rewards of its visitors, and the secret that it signs with."""
    from hub.app import bootstrap, reward_screen

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(reward_screen.screen_of(hub, connection), json=json)


def report(
    since: Annotated[str, typer.Option(help="A day or moment; rewards owed before are left out.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV of the rules instead of tables.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What was given and used under each rule, what budgets have left, what it changed and what came back."""
    from hub.app import bootstrap, past, reward_report

    moment = past.parse_moment(since) if since else 0.0
    with bootstrap.opened(project(folder), connect=False) as hub:
        found = reward_report.reward_report(hub, since=moment)
    if json:
        show.as_json(found)
    elif as_csv:
        table = DictWriter(sys.stdout, reward_report.COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows(found["rules"])
    else:
        show.table(found["rules"], reward_report.COLUMNS, json=False, none="no rules, no rewards", title="rules")
        show.table(found["budgets"], reward_report.BUDGET_COLUMNS, json=False, none="none was used", title="budgets")


def milestones(folder: Folder = HERE, json: AsJson = False) -> None:
    """Milestones of rewards.yaml, and until when each was decided."""
    from hub.app import bootstrap, reward_milestones

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = reward_milestones.list_milestones(hub)
    columns = ["milestone", "kpi", "who", "by", "per", "asks", "unit", "amount", "decided_until", "text"]
    show.table(rows, columns, json=json, none="rewards.yaml declares none")


def try_rule(
    name: Annotated[str, typer.Argument(help="A rule, or a milestone, of rewards.yaml.")],
    day: Annotated[str, typer.Argument(help="Of a milestone: a day in the period, such as 2026-11-02.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="Of a rule: how many days back.")] = 90,
    since: Annotated[str, typer.Option(help="A day or moment, instead of --days.")] = "",
    draft: Annotated[bool, typer.Option("--draft", help="The rule as the console's draft has it.")] = False,
    loaded: Annotated[bool, typer.Option("--loaded", help="A first load, too, as if it had happened live.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """What a rule would have given in the last days; or who would reach a milestone around a day. Nothing is given."""
    from hub.app import bootstrap, past, reward_milestones, reward_trial

    moment = past.parse_moment(since) if since else None
    with bootstrap.opened(project(folder), connect=False) as hub:
        if not day:
            found = reward_trial.try_rule(hub, name, days=days, since=moment, draft=draft, loaded=loaded)
            show.record(found, json=json)
            return
        rows = reward_milestones.try_milestone(hub, name, day)
    show.table(rows, ["person", "period", "value", "of"], json=json, none="nobody would")
