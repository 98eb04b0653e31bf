"""Commands for the people who may sign in to the console."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, AsJson, Folder, project

Name = Annotated[str, typer.Argument(help="Name to sign in with.")]
LOOPBACK = "http://127.0.0.1:8080"


def add_user(
    name: Name,
    role: Annotated[str, typer.Option(help="admin, approver, support or viewer.")] = "viewer",
    no_password: Annotated[bool, typer.Option("--no-password", help="They sign in by links only.")] = False,
    folder: Folder = HERE,
) -> None:
    """Let somebody sign in to the console; asks for a password, or reads it from a pipe."""
    from hub.app import bootstrap, people

    if no_password:
        password = ""
    else:
        password = typer.prompt("Password", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().strip("\r\n")
    with bootstrap.opened(project(folder), connect=False) as hub:
        found = people.add_user(hub, name, role, password=password, by=bootstrap.user_name())
    show.line(f"{found['user']} may sign in as {found['role']}")


def list_users(folder: Folder = HERE, json: AsJson = False) -> None:
    """Who may sign in."""
    from hub.app import bootstrap, people

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = people.users(hub)
    show.table(rows, ["user", "role", "active", "password", "created_at"], json=json, none="nobody: hub user add NAME")


def disable_user(name: Name, folder: Folder = HERE) -> None:
    """Shut somebody out; their sessions end at once."""
    _change(folder, name, active=False)


def enable_user(name: Name, folder: Folder = HERE) -> None:
    """Let somebody in again who was shut out."""
    _change(folder, name, active=True)


def _change(folder: Folder, name: str, *, active: bool) -> None:
    from hub.app import bootstrap, people

    with bootstrap.opened(project(folder), connect=False) as hub:
        people.change_user(hub, name, active=active, by=bootstrap.user_name())
    show.line(f"{name} {'may sign in' if active else 'is shut out'}")


def link_user(
    name: Name,
    url: Annotated[str, typer.Option(help="Where the console is; public_url of hub.yaml unless given.")] = "",
    folder: Folder = HERE,
) -> None:
    """Print a link that signs somebody in once, within a quarter of an hour."""
    from hub.app import bootstrap
    from hub.app.sessions import make_link
    from hub.app.webhooks import public_url

    with bootstrap.opened(project(folder), connect=False) as hub:
        path = make_link(hub, name, by=bootstrap.user_name())
        place = url.rstrip("/") or public_url(hub) or LOOPBACK
    show.line(f"{place}{path}")
