"""What the longer commands are made of: serving the twins, running the hub, running the simulator."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from hub.cli import show


def until_stopped() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


# Twins


def serve_twins(*, seed: int, contacts: int, port: int, write: Path | None, json: bool) -> None:
    """Serve every twin on 127.0.0.1 until stopped; `write` makes a project that speaks to them."""
    from hub.twins.server import serve
    from hub.verify.rehearsal import ENVIRONMENT, SYSTEMS

    stop = until_stopped()
    twins = _filled(SYSTEMS, seed, contacts)
    running = {name: serve(twin, port + place if port else 0) for place, (name, twin) in enumerate(twins.items())}
    try:
        urls = {name: each.base_url for name, each in running.items()}
        rows = [{"twin": name, "base_url": url, "sign_in": _sign_in(twins[name])} for name, url in urls.items()]
        show.table(rows, ["twin", "base_url", "sign_in"], json=json)
        if write is not None:
            _write_project(write, urls, ENVIRONMENT)
        stop.wait()
    finally:
        for each in running.values():
            each.stop()


def _filled(names: Sequence[str], seed: int, contacts: int) -> dict[str, Any]:
    from hub.twins.company import fill, generate
    from hub.verify.rehearsal import OPTIONS

    twins = {name: import_module(f"hub.twins.{name}").make(**OPTIONS.get(name, {})) for name in names}
    if contacts:
        fill(generate(seed, contacts), twins)
    return twins


def _sign_in(twin: Any) -> dict[str, str]:
    """What the twin lets in; no secret, since it guards nothing."""
    names = ("token", "client_id", "client_secret", "refresh_token")
    return {name: str(twin.settings[name]) for name in names if twin.settings.get(name)}


def _write_project(folder: Path, urls: dict[str, str], environment: dict[str, str]) -> None:
    from hub.verify.rehearsal import write_project

    if (folder / "hub.yaml").exists():
        raise typer.BadParameter(f"{folder} has a project already", param_hint="--write")
    write_project(folder, urls, public_url="http://127.0.0.1:8080")
    (folder / "hub.env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()), "utf-8")
    show.line(f"wrote {folder}: set -a; . {folder / 'hub.env'}; set +a; hub sync --project {folder}")


# The hub


def serve_hub(folder: Path, *, host: str, port: int, jobs: int | None) -> None:
    """Run the hub until stopped. Fronts do not know each other: the web is started by its name, as uvicorn does it."""
    web = import_module("hub.web.server")

    def ready(url: str) -> None:
        show.line(f"the hub runs at {url}")

    raise typer.Exit(web.run_hub(folder, host=host, port=port, jobs=jobs, ready=ready))


def serve_worker(folder: Path, *, jobs: int) -> None:
    """Take jobs until stopped; 1 if some run did not reach the end of its page in time."""
    from hub.app.bootstrap import opened, refresh_hub, start_logging
    from hub.app.fleet import Fleet, require_many_writers
    from hub.app.service import Service

    stop = until_stopped()
    with opened(folder) as hub:
        start_logging(hub)
        require_many_writers(hub)
        refresh_hub(hub)  # what was published, not this machine's copies of the files
        service = Service(hub, make_worker=lambda hub: Fleet(hub, at_once=jobs, ticks=False))
        service.start()
        show.line(f"works, {jobs} jobs at a time")
        stop.wait()
        clean = service.stop()
    raise typer.Exit(0 if clean else 1)
