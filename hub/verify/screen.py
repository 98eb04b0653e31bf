"""What the demo shows: chapters, tables, a progress bar; or, quiet, nothing but one JSON document at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hub.app.runs import Watch, unwatched
from hub.model import Json

NEWCOMER = "ottilie.neu@example.org"  # who fills the form in, in hub.verify.story
SHOWN = 12  # rows of a long table
WIDTH = 120  # columns, where nobody says otherwise (a file, a pipe)
SYNC_COLUMNS = (
    "connection",
    "status",
    "read",
    "new",
    "changed",
    "created",
    "updated",
    "failed",
    "quarantined",
    "calls",
)


class Screen:
    """Where the story is told."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(quiet=quiet, highlight=False)
        if not self.console.is_terminal:
            self.console = Console(quiet=quiet, highlight=False, width=WIDTH)

    def opening(self, people: int, urls: Mapping[str, str]) -> None:
        self.console.rule("[bold]hub demo")
        self.console.print(f"A company of {people} people; its tools, simulated on this machine:")
        for name, url in urls.items():
            self.console.print(f"  {name:11} {url}")

    def chapter(self, title: str, about: str) -> None:
        self.console.print()
        self.console.print(Text.assemble((title, "bold"), ("  " + about, "dim")))

    def scene(self, title: str, about: str) -> None:
        self.console.print(Text.assemble(("  · ", "cyan"), title, ("  " + about, "dim")))

    def note(self, text: str) -> None:
        self.console.print(Text(text, "dim"))

    @contextmanager
    def progress(self) -> Iterator[Watch]:
        """A line per connection that is being read or written."""
        if self.quiet or not self.console.is_terminal:
            yield unwatched
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("")

            def watch(connection: str, phase: str, stream: str, rows: int) -> None:
                bar.update(task, description=f"{phase} {connection}/{stream}: {rows}")

            yield watch

    def plan(self, rows: Sequence[Mapping[str, Json]]) -> None:
        self._table(rows, ("connection", "creates", "updates", "held", "refused", "calls"))

    def outcome(self, rows: Sequence[Mapping[str, Json]]) -> None:
        self._table(rows, SYNC_COLUMNS)
        for row in rows:
            if row.get("error"):
                self.console.print(Text(f"  {row['connection']}: {row['error']}", "red"))

    def holds(self, rows: Sequence[Mapping[str, Json]]) -> None:
        self.console.print(
            Text("The guards hold this back until a person decides; here the demo releases it:", "yellow")
        )
        for row in rows:
            self.console.print(Text(f"  hold {row['hold']}: {row['message']}", "yellow"))

    def ending(self, found: Mapping[str, Json]) -> None:
        names = ("connection", "pulled", "created", "updated", "pushed", "failed", "calls", "minimum")
        self._table(found["connections"], names)
        self._conflicts(found["conflicts"])
        self._table(found["rewards"], ("grant", "rule", "recipient", "amount", "currency", "state", "order_id"))
        for scene in found["scenes"]:
            mark = ("✓ ", "green") if scene["passed"] else ("✗ ", "bold red")
            self.console.print(Text.assemble(mark, scene["title"], (f"  {scene['wrong'] or ''}", "red")))
        self._verdict(found)

    def _conflicts(self, found: Sequence[Mapping[str, Json]]) -> None:
        waiting = [row for row in found if row["state"] == "open"]
        if waiting:
            said = [{**row, "said": ", ".join(_said(each) for each in row["candidates"])} for row in waiting[:SHOWN]]
            self.note("These wait for a person: their field's rule is `manual`, and two systems differ.")
            self._table(said, ("conflict", "entity", "field", "said"))
            if len(waiting) > SHOWN:
                self.note(f"… and {len(waiting) - SHOWN} more that wait")
        rows = [row for row in found if row["state"] != "open"]
        shown = [
            {
                **{name: row[name] for name in ("conflict", "entity", "field", "kind", "winner")},
                "lost": ", ".join(_short(each["value"]) for each in row["candidates"] if not each["won"]),
                "reason": row["decided_by"],
            }
            for row in rows[:SHOWN]
        ]
        if shown:
            self._table(shown, ("conflict", "entity", "field", "kind", "winner", "lost", "reason"))
        if len(rows) > SHOWN:
            self.note(f"… and {len(rows) - SHOWN} more conflicts, all settled and logged")

    def _verdict(self, found: Mapping[str, Json]) -> None:
        matching, compared = found["matching"], found["compared"]
        lines = [
            ("converged", found["converged"], f"{compared['fields']} values of {compared['records']} vendor records"),
            ("asked, not guessed", True, f"{_several(found['waiting'], 'conflict')} in the inbox"),
            ("third sync writes", found["third_sync_writes"] == 0, str(found["third_sync_writes"])),
            ("matching", True, f"precision {matching['precision']:.4f}, recall {matching['recall']:.4f}"),
            ("lead in both CRMs", found["lead_seconds"] is not None, f"{found['lead_seconds']} s after the form"),
        ]
        for title, good, about in lines:
            mark = ("✓ ", "green") if good else ("✗ ", "bold red")
            self.console.print(Text.assemble(mark, f"{title}: {about}"))
        for difference in found["differences"][:SHOWN]:
            self.console.print(Text(f"    {difference}", "red"))
        word = Text("All of it holds.", "bold green") if found["ok"] else Text("Not all of it holds.", "bold red")
        self.console.print(Text.assemble(word, f"  ({found['seconds']:.1f} s)"))

    def staying(self, place: Path, link: str, waiting: int) -> None:
        self.console.print()
        self.console.print("Everything keeps running. The console, signed in once by this link:")
        self.console.print(Text(f"  {link}", "bold"), soft_wrap=True)
        if waiting:
            self.console.print(f"In its inbox, under Conflicts, {_several(waiting, 'conflict')} can be decided.")
        self.console.print(f"Or look around from another terminal; the hub's project is {place}:")
        for command in ("user link demo", "conflicts list --all", f"why contact:{NEWCOMER}", "runs list"):
            self.console.print(f"  hub {command} --project {place}", soft_wrap=True)
        self.console.print("Ctrl-C ends it.")

    def as_json(self, document: Json) -> None:
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")

    def _table(self, rows: Iterable[Mapping[str, Json]], names: Sequence[str]) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in names:
            table.add_column(name)
        for row in rows:
            table.add_row(*(Text(_short(row.get(name))) for name in names))
        if table.row_count:
            self.console.print(table)


def _said(candidate: Mapping[str, Json]) -> str:
    """salesforce 1980-02-01."""
    return f"{candidate['connection'] or 'the hub'} {_short(candidate['value'])}"


def _several(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _short(value: Json) -> str:
    """One cell: no line breaks, no terminal codes, no more than a table bears."""
    text = "" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= 48 else plain[:47] + "…"
