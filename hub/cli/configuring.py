"""Commands that set a project up: init, connections, discover, mapping, secrets, db."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, AsJson, Folder, project

Pairs = Annotated[list[str] | None, typer.Option(help="name=value, as often as needed.")]


def init(folder: Annotated[Path, typer.Argument(help="Folder to make the project in.")]) -> None:
    """Make a project: hub.yaml, the shipped mappings, and a .gitignore that keeps data and keys out."""
    from hub.app.projects import init_project

    for written in init_project(folder):
        show.line(f"wrote {folder / written}")
    show.line(f"next: edit {folder / 'hub.yaml'}, then: hub connections test --project {folder}")


def list_connections(folder: Folder = HERE, json: AsJson = False) -> None:
    """Every connection, with its state and what waits there."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder)) as hub:
        rows = listings.connections(hub)
    columns = ["connection", "connector", "mode", "state", "schedule", "records", "behind", "quarantine"]
    columns += ["last_status", "last_run", "next_slot"]
    show.table(rows, [*columns, "fault"], json=json, none="no connections: hub connections add")


def add_connection(
    name: Annotated[str, typer.Argument(help="Name of the connection.")],
    connector: Annotated[str, typer.Argument(help="What it connects to: salesforce, hubspot, csv …")],
    setting: Pairs = None,
    auth: Pairs = None,
    base_url: Annotated[str, typer.Option(help="A local server (a twin); marks the connection local.")] = "",
    folder: Folder = HERE,
) -> None:
    """Add a connection to hub.yaml. It begins in mode observe: it reads, and writes nothing."""
    from hub.app.projects import add_connection as add

    found, pairs = project(folder), (_pairs(setting, "--setting"), _pairs(auth, "--auth"))
    needed = add(found, name, connector, settings=pairs[0], auth=pairs[1], base_url=base_url)
    show.line(f"added {name} to {found / 'hub.yaml'}, in mode observe")
    for reference in needed:
        kind, _, secret = reference.partition(":")
        show.line(f"next: {'set the environment variable ' if kind == 'env' else 'hub secrets set '}{secret}")


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair} is no name=value", param_hint=option)
        found[key] = value
    return found


def try_connections(
    names: Annotated[list[str] | None, typer.Argument(help="Connections; none for all.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Sign in to each system once and say who we are there."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder)) as hub:
        rows = listings.try_all(hub, names or [])
    show.table(rows, ["connection", "connector", "state", "account", "name", "warnings", "fault"], json=json)
    raise typer.Exit(1 if any(row["state"] == "broken" for row in rows) else 0)


def list_hooks(
    subscribe: Annotated[list[str] | None, typer.Option(help="Have this system send its webhooks here.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Addresses for the systems' webhooks. Each holds a secret token: give it to that system only."""
    from hub.app import bootstrap, webhooks

    with bootstrap.opened(project(folder), connect=bool(subscribe)) as hub:
        made = [{"connection": name, **webhooks.subscribe(hub, name)} for name in subscribe or []]
        rows = made or webhooks.hooks(hub)
    more = ["made", "next"] if made else ["library"] if any("library" in row for row in rows) else []
    show.table(rows, ["connection", "url", *more], json=json)


def backfill(
    connection: Annotated[str, typer.Argument(help="Name of the connection.")],
    stream: Annotated[str | None, typer.Option(help="This stream alone.")] = None,
    since: Annotated[str | None, typer.Option(help="Not from the beginning, but what changed since this day.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only the cost is told.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Read a system again with its next run; first, what that takes of the system's limits at least."""
    from hub.app import backfill, bootstrap
    from hub.app.past import parse_moment

    with bootstrap.opened(project(folder)) as hub:
        at = parse_moment(since) if since else None
        cost = backfill.backfill_cost(hub, connection, stream=stream, since=at)
        if yes:
            backfill.ask_backfill(hub, connection, stream=stream, since=at, by=bootstrap.user_name())
    show.table(cost["streams"], ["stream", "records", "calls", "from"], json=json)
    if not json:
        show.line("it begins with the next run" if yes else "nothing was done: add --yes")


def discover(
    connection: Annotated[str, typer.Argument(help="Name of the connection.")],
    stream: Annotated[str | None, typer.Argument(help="Stream whose fields are wanted.")] = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Streams of a system; with a stream, its fields as the live system describes them, and what maps them."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder)) as hub:
        rows = listings.discover(hub, connection, stream)
    streams, fields = ["stream", "entities", "writes", "deletes"], ["name", "type", "label", "writable", "mapped_to"]
    show.table(rows, fields if stream else streams, json=json)


def publish_draft(
    file: Annotated[str, typer.Argument(help="Such as canonical.yaml.")], folder: Folder = HERE
) -> None:  # fmt: skip
    """Check the draft of a file, write it into the file and publish it; what is running takes it in."""
    from hub.app import bootstrap, drafts

    with bootstrap.opened(project(folder), connect=False) as hub:
        versions = drafts.publish_for_others(hub, file, by=bootstrap.user_name())
    for name, version in versions.items():
        show.line(f"published {name}, version {version}")


def check_mappings(
    mappings: Annotated[Path | None, typer.Option(help="Folder of the mappings, if not the project's.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Also hold them against the live systems.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Also count how many records share a key.")] = False,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Check hub.yaml and all mappings, and run the mappings' own tests. Lists every fault with its place."""
    from hub.app.projects import check_data, check_project

    found = check_project(project(folder), mappings=mappings, live=live)
    if data and not any(each["stops"] for each in found):
        keys, doubtful = check_data(project(folder))
        found += doubtful
        columns = ["connection", "stream", "key", "strength", "records", "with_key", "shared", "examples"]
        show.table([] if json else keys, columns, json=False, none="")
    show.faults(found, json=json)
    wrong = sum(each["stops"] for each in found)
    if not json:
        show.line(f"{wrong} faults" if wrong else "all mappings pass")
    raise typer.Exit(2 if wrong else 0)


def set_secret(
    name: Annotated[str, typer.Argument(help="Name; hub.yaml says secret:NAME.")], folder: Folder = HERE
) -> None:
    """Keep a secret, encrypted. Its value is asked for, or read from standard input: never given on the line."""
    from hub.app import projects

    found = project(folder)
    value = typer.prompt(f"Value of {name}", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().strip("\r\n")
    projects.set_secret(found, name, value)
    show.line(f"kept {name}; hub.yaml may say secret:{name}")


def list_secrets(folder: Folder = HERE, json: AsJson = False) -> None:
    """Names of the secrets that are kept."""
    from hub.app.projects import secret_names

    show.table(secret_names(project(folder)), ["secret"], json=json)


def rotate_secrets(folder: Folder = HERE) -> None:
    """Seal every secret anew under a new key; the old key opens nothing afterwards. The hub may run meanwhile."""
    from hub.app import projects

    show.line(f"sealed anew: {projects.rotate_secrets(project(folder))}")


def upgrade_database(folder: Folder = HERE, json: AsJson = False) -> None:
    """Bring the database to this version of the hub, and make its views for people with SQL tools anew."""
    from hub.app.projects import upgrade

    number, views = upgrade(project(folder))
    show.record({"database": number, "views": views}, json=json)


def restored_database(folder: Folder = HERE, json: AsJson = False) -> None:
    """After a backup was put back: read everything again before anything is created, doubt what may be ordered."""
    from hub.app import bootstrap
    from hub.app.restored import after_restore

    with bootstrap.opened(project(folder)) as hub:
        show.record(after_restore(hub, by=bootstrap.user_name()), json=json)
