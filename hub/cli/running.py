"""Commands that run something: demo, twins, sync, run; and what ran."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, project

Names = Annotated[list[str] | None, typer.Argument(help="Connections; none for all.")]


def demo(
    seed: Annotated[int, typer.Option(help="Of the simulated company and its day.")] = 1,
    contacts: Annotated[int | None, typer.Option(min=20, help="How many people (2000, or 500 with --all).")] = None,
    every: Annotated[bool, typer.Option("--all", help="With every system that can be simulated.")] = False,
    json: AsJson = False,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End when the story is over.")] = False,
) -> None:
    """Watch simulated systems sync, settle conflicts and send a reward. Needs no account and no network."""
    from hub.verify.demo import run as play

    raise typer.Exit(play(seed=seed, contacts=contacts, every=every, json=json, serve=not no_serve))


def twins(
    seed: Annotated[int, typer.Option(help="Of the company that fills them.")] = 1,
    contacts: Annotated[int, typer.Option(min=0, help="How many people; 0 leaves them empty.")] = 200,
    port: Annotated[int, typer.Option(help="First port; the others follow. 0 takes free ones.")] = 9001,
    write: Annotated[Path | None, typer.Option(help="Folder for a project that speaks to them.")] = None,
    json: AsJson = False,
) -> None:
    """Serve the simulated vendors alone, for rehearsals: their addresses and tokens, until Ctrl-C."""
    from hub.cli.serving import serve_twins

    serve_twins(seed=seed, contacts=contacts, port=port, write=write, json=json)


def sync(
    names: Names = None,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Read all systems, settle what differs, write what they lack; once."""
    from hub.app import bootstrap, restored, syncing

    with bootstrap.opened(project(folder), publish=True) as hub, show.progress(quiet=json) as watch:
        outcome = syncing.sync_now(hub, names, watch=watch)
    show.table(outcome.rows, syncing.COLUMNS, json=json)
    if hub.copied and not json:
        show.line(restored.COPIED)
    if any(outcome.waiting) and not json:
        show.line(str(outcome.waiting))
    raise typer.Exit(outcome.exit_code)


def panic(folder: Folder = HERE, json: AsJson = False) -> None:
    """Stop everything: pause every connection, end every session, drop every token of a program."""
    from hub.app import bootstrap
    from hub.app.panic import panic as stop_everything

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(stop_everything(hub, by=bootstrap.user_name()), json=json)


def reconcile(
    connection: Annotated[str, typer.Argument(help="Name of the connection.")],
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Take in what was found, and write on what follows.")
    ] = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Compare a system, record by record, with what the hub believes of it: what is missing, stale, or a ghost."""
    from hub.app import bootstrap
    from hub.app import reconcile as comparing

    with bootstrap.opened(project(folder), publish=True) as hub, show.progress(quiet=json) as watch:
        found = comparing.reconcile(hub, connection, stream=stream, repair=repair, watch=watch)
    if json:
        show.as_json(found)
    else:
        show.table(
            found["finds"], comparing.COLUMNS, json=False, none="nothing is missing, stale or a ghost", limit=limit
        )
        show.table(found["streams"], comparing.STREAM_COLUMNS, json=False, title="in all")
        if found["error"]:
            show.line(found["error"])
    raise typer.Exit(1 if found["error"] else 3 if any(not each["repaired"] for each in found["finds"]) else 0)


def run(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the console, webhooks and health.")] = 8080,
    queue: Annotated[bool, typer.Option("--queue", help="Share the work with `hub worker`s (PostgreSQL).")] = False,
    jobs: Annotated[int, typer.Option(min=0, help="With --queue: jobs that this process takes at a time.")] = 0,
    folder: Folder = HERE,
) -> None:
    """Run the hub: schedules, webhooks, rewards, the console. Ctrl-C or SIGTERM ends it cleanly."""
    from hub.cli.serving import serve_hub

    serve_hub(project(folder), host=host, port=port, jobs=jobs if queue else None)


def worker(
    jobs: Annotated[int, typer.Option(min=1, help="Jobs at a time, each of another connection.")] = 4,
    folder: Folder = HERE,
) -> None:
    """Do the work of a hub that runs elsewhere with --queue, as one of any number. Needs PostgreSQL."""
    from hub.cli.serving import serve_worker

    serve_worker(project(folder), jobs=jobs)


def status(folder: Folder = HERE, json: AsJson = False) -> None:
    """The hub on one page: entities, what is behind, what waits for a person."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.status(hub), json=json)


def list_runs(
    connection: Annotated[str | None, typer.Option(help="Only of this connection.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 30,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Runs, newest first."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = listings.runs(hub, connection=connection, limit=limit)
    columns = ["run", "connection", "kind", "status", "started_at", "ended_at", "counts", "error"]
    show.table(rows, columns, json=json, none="nothing ran yet")


def show_run(
    run: Annotated[int, typer.Argument(min=1, help="Its number in the list.")],
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """One run: its streams, its writes, and what it left for people."""
    from hub.app import bootstrap, listings

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(listings.run(hub, run), json=json)
