"""`hub demo`: a company's tools on this machine, six or all, synced, through a day of edits, and judged.

The story: the plan of a first sync, the guard that holds it, its release, the sync; then the hub runs as it would in
production, in a process of its own with webhooks, while people work; then it syncs again, and once more, writing
nothing. The verdict is computed by comparing every vendor record with the hub's entities.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hub.app import listings, review
from hub.app.board import refresh
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.costs import least_calls
from hub.app.people import add_user, users
from hub.app.plan import plan
from hub.app.sessions import make_link
from hub.app.syncing import sync_now
from hub.app.webhooks import hook_url
from hub.model import Json
from hub.twins.client import TwinClient
from hub.twins.company import Company, score
from hub.verify.acts import write_rules
from hub.verify.audited import found_entities
from hub.verify.judge import Verdict, compare
from hub.verify.rehearsal import ENVIRONMENT, SYSTEMS, every_system, vendors, write_project
from hub.verify.screen import Screen
from hub.verify.story import Day

STARTS_WITHIN_S = 120.0  # on a busy machine
REST_WITHIN_S = 30.0
RESTS, PUT_OFF_S = 4, 4.0
PEOPLE, PEOPLE_OF_ALL = 2000, 500
LEAST_PRECISION, LEAST_RECALL = 0.99, 0.95
SIGNED = {"hubspot": "HUBSPOT_APP_SECRET", "shopify": "SHOPIFY_APP_SECRET", "stripe": "STRIPE_WEBHOOK_SECRET",
          "typeform": "TYPEFORM_WEBHOOK_SECRET"}  # fmt: skip
GUEST = "demo"  # who looks round in the console at the end
RUN_HUB = "from hub.cli import main; main()"


@dataclass(slots=True, kw_only=True)
class Result:
    """What the demo found; `document` is the --json of it."""

    connections: list[dict[str, Json]] = field(default_factory=list)
    conflicts: list[dict[str, Json]] = field(default_factory=list)
    waiting: int = 0  # of those, how many wait for a person
    rewards: list[dict[str, Json]] = field(default_factory=list)
    precision: float = 0.0
    recall: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)
    third_sync_writes: int = -1
    lead_seconds: float | None = None
    seconds: float = 0.0
    scenes: list[dict[str, Json]] = field(default_factory=list)
    audit: dict[str, Json] = field(default_factory=dict)  # how well it found what was put in

    @property
    def ok(self) -> bool:
        matched = self.precision >= LEAST_PRECISION and self.recall >= LEAST_RECALL
        played = bool(self.scenes) and all(scene["passed"] for scene in self.scenes)
        return matched and played and self.verdict.converged and self.third_sync_writes == 0

    def document(self) -> dict[str, Json]:
        return {
            "ok": self.ok, "connections": self.connections, "conflicts": self.conflicts, "waiting": self.waiting,
            "rewards": self.rewards,
            "matching": {"precision": self.precision, "recall": self.recall}, "converged": self.verdict.converged,
            "compared": {"records": self.verdict.records, "fields": self.verdict.fields, "listed": self.verdict.listed},
            "differences": [*self.verdict.differences, *self.verdict.unknown], "scenes": self.scenes,
            "audit": self.audit, "third_sync_writes": self.third_sync_writes, "lead_seconds": self.lead_seconds,
            "seconds": self.seconds,
        }  # fmt: skip


def run(
    *, seed: int = 1, contacts: int | None = None, every: bool = False, json: bool = False, serve: bool = True
) -> int:
    """Play the demo.

    Args:
        seed: of the company and its data.
        contacts: how many people it knows; None: 2,000, with every system 500.
        every: with every system that has a twin, not only the usual ones.
        json: print one JSON document instead of the story.
        serve: on a terminal, keep vendors and hub running at the end, to try things by hand, until Ctrl-C.

    Returns:
        Exit code: 0 only if everything holds.
    """
    screen = Screen(quiet=json)
    began = time.monotonic()
    people = contacts or (PEOPLE_OF_ALL if every else PEOPLE)
    systems = every_system() if every else SYSTEMS
    with tempfile.TemporaryDirectory(prefix="hub-demo-") as folder, vendors(seed, people, systems) as (twins, company):
        place = Path(folder) / "project"
        port = _free_port()
        write_project(
            place, {name: twin.base_url for name, twin in twins.items()}, public_url=f"http://127.0.0.1:{port}"
        )
        write_rules(place, company, time.time())
        screen.opening(people, {name: twin.base_url for name, twin in twins.items()})
        hub = open_hub(place, environ=ENVIRONMENT, publish=True)
        try:
            result = _play(hub, place, port, twins, company, screen)
            result.seconds = time.monotonic() - began
            screen.ending(result.document())
            if serve and not json and screen.console.is_terminal:
                _stay(hub, place, port, screen, result.waiting)
        finally:
            hub.store.close()
    if json:
        screen.as_json(result.document())
    return 0 if result.ok else 1


def _play(hub: Hub, place: Path, port: int, twins: dict[str, TwinClient], company: Company, screen: Screen) -> Result:
    result = Result()
    _first_sync(hub, screen)
    day = Day(hub, twins, company)
    with running_hub(place, port, screen):
        _subscribe(hub, twins)
        screen.chapter("A day at the company", "the hub runs with its webhooks; people work in their tools")
        day.run()
        _rest(hub)
    for scene in day.scenes:
        screen.scene(scene.title, scene.told)
    _sync(hub, screen, "Second sync", "what has no webhook is found by reading")
    _let_rest(hub)
    writes = _writes(twins)
    _sync(hub, screen, "Third sync", "nothing is left to write")
    result.third_sync_writes = _writes(twins) - writes
    screen.chapter("The verdict", "every vendor record against the hub's entities, field by field")
    result.verdict = compare(hub, _present(twins))
    found = score(company.truth, found_entities(hub))
    result.precision, result.recall = round(found.precision, 4), round(found.recall, 4)
    day.judge()
    result.audit = day.figures
    result.scenes = [
        {"title": each.title, "about": each.told, "passed": each.passed, "wrong": each.wrong} for each in day.scenes
    ]
    result.lead_seconds = None if day.lead_seconds is None else round(day.lead_seconds, 2)
    result.connections = [_connection_row(hub, name) for name in hub.connections]
    result.conflicts = _conflicts(hub)
    result.waiting = sum(row["state"] == "open" for row in result.conflicts)
    result.rewards = listings.rewards(hub)
    return result


def _subscribe(hub: Hub, twins: Mapping[str, TwinClient]) -> None:
    """The vendors tell the hub what happens; who can only tell says everything once."""
    for name, twin in twins.items():
        connector = hub.connections[name].connector
        if connector.parse is not None:
            secret = ENVIRONMENT[SIGNED.get(name, "TWIN_WEBHOOK_SECRET")] if connector.verify is not None else ""
            twin.set_webhook(hook_url(hub, name), secret)
        if connector.only_listens:
            twin.user_action("send_all")


def _first_sync(hub: Hub, screen: Screen) -> None:
    """Plan, sync, see the guard hold what looks too much, release it as a person would, sync."""
    screen.chapter("The plan", "every system is read; nothing is written")
    with screen.progress() as watch:
        planned = plan(hub, watch=watch)
    screen.plan(planned["connections"])
    _sync(hub, screen, "First sync", "what the guards let through")
    held = listings.holds(hub)
    if held:
        screen.holds(held)
        for hold in held:
            review.release_hold(hub, int(hold["hold"]), by="demo")
        _sync(hub, screen, "First sync, released", "a person has looked at the plan and let it go")


def _sync(hub: Hub, screen: Screen, title: str, about: str) -> None:
    screen.chapter(title, about)
    with screen.progress() as watch:
        outcome = sync_now(hub, watch=watch)
    screen.outcome(outcome.rows)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_hub(place: Path, port: int, screen: Screen) -> Iterator[None]:
    """`hub run` as a process of its own, until it answers; ended by SIGTERM.

    Raises:
        RuntimeError: it did not come up; with the end of what it said.
    """
    log = place / "run.log"
    command = [sys.executable, "-c", RUN_HUB, "run", "--project", str(place), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **ENVIRONMENT}, stdout=out, stderr=out)
        try:
            _wait_for(port, process, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                screen.note("the hub did not stop in time and was killed")


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < STARTS_WITHIN_S:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    how = "in time" if process.poll() is None else f"and ended with {process.returncode}"
    raise RuntimeError(f"hub run did not come up {how}: {log.read_text(errors='replace')[-2000:]}")


def _rest(hub: Hub) -> None:
    """Wait until the running hub has nothing due: no hint, no link behind, no reward to order."""
    began, calm = time.monotonic(), 0
    while time.monotonic() - began < REST_WITHIN_S and calm < 5:
        time.sleep(0.3)
        now = hub.clock.now()
        with hub.store.reading() as tx:
            hints = any(tx.due_hints(name, now, 1) for name in hub.connections)
            owed = tx.grants("reserved", limit=1) or tx.grants("sending", limit=1)
        calm = 0 if hints or owed else calm + 1


def _let_rest(hub: Hub) -> None:
    """Serve what the second sync put off for moments: reads that had to wait out a vendor's lag, retries."""
    for _ in range(RESTS):
        soon = hub.clock.now() + PUT_OFF_S
        with hub.store.reading() as tx:
            hints = any(tx.due_hints(name, soon, 1) for name in hub.connections)
            if not hints and not tx.open_intents(limit=1) and not any(tx.count_behind().values()):
                return
        time.sleep(PUT_OFF_S / 2)
        sync_now(hub, pull=False)


def _stay(hub: Hub, place: Path, port: int, screen: Screen, waiting: int) -> None:
    """Keep everything up, the console too, for whoever wants to try by hand; its figures are told from the start."""
    refresh(hub, owner=GUEST)
    with running_hub(place, port, screen):
        screen.staying(place, console_link(hub, port), waiting)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            screen.note("bye")


def console_link(hub: Hub, port: int) -> str:
    """Where the console of the demo lets somebody in, once, as its admin."""
    if GUEST not in {row["user"] for row in users(hub)}:
        add_user(hub, GUEST, "admin", by=GUEST)
    return f"http://127.0.0.1:{port}{make_link(hub, GUEST, by=GUEST)}"


# Looking back


def _writes(twins: Mapping[str, TwinClient]) -> int:
    """Writing calls that the vendors themselves have counted."""
    return sum(int(twin.counts()["writes"]) for twin in twins.values())


def _present(twins: Mapping[str, TwinClient]) -> dict[tuple[str, str], list[str]]:
    """Ids of the records that are alive, as each vendor tells."""
    return {
        (name, stream): [
            record_id
            for record_id, record in twin.snapshot(stream).items()
            if not record["deleted"] and not record.get("merged_into")
        ]
        for name, twin in twins.items()
        for stream in twin.streams
    }


def _connection_row(hub: Hub, name: str) -> dict[str, Json]:
    """One connection over all its runs, its calls beside the least that the vendor's interface allows."""
    connection = hub.connections[name]
    with hub.store.reading() as tx:
        runs = tx.runs(limit=10_000, connection=name)
        parts = [part for run in runs for part in tx.run_streams(run.id)]
    totals = {
        key: sum(run.counts.get(key, 0) for run in runs) for key in ("rows", "created", "updated", "failed", "calls")
    }
    return {
        "connection": name, "pulled": totals["rows"], "created": totals["created"], "updated": totals["updated"],
        "pushed": totals["created"] + totals["updated"], "failed": totals["failed"], "calls": totals["calls"],
        "minimum": sum(least_calls(connection, part) for part in parts),
    }  # fmt: skip


def _conflicts(hub: Hub) -> list[dict[str, Json]]:
    """Every conflict that waits; and what was decided, with winner and reason, but for first contacts."""
    return [
        {
            key: row[key]
            for key in ("conflict", "entity", "field", "kind", "state", "decided_by", "winner", "candidates")
        }
        for row in listings.conflicts(hub, state=None)
        if row["kind"] != "first_contact" or row["state"] == "open"
    ]
