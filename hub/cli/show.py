"""How results look: tables for people, JSON for programs, one line per fault. Nothing here decides anything."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from hub.errors import ConfigFault, Fault, HubError

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 240  # columns, where no terminal says how many it has: pipes and logs are not cut

Row = Mapping[str, Any]


def console(*, error: bool = False) -> Console:
    """To the screen, or as wide as needed into a pipe."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else WIDE
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def as_json(value: Any) -> None:
    """Canonical JSON, indented, one document."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def text(value: Any) -> str:
    """A value in a table's cell."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return orjson.dumps(value, default=str).decode()


def table(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    json: bool,
    none: str = "nothing",
    title: str = "",
    limit: int = 100_000,
) -> None:
    """Rows as a table of these columns, cut after `limit` rows, and saying so; as JSON whole."""
    if json:
        as_json(rows)
        return
    if not rows:
        console().print(_plain(none), end="\n" if none else "")
        return
    from rich.table import Table

    shown = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        number = all(isinstance(row.get(column), int | float) for row in rows)
        shown.add_column(column.replace("_", " "), justify="right" if number else "left", overflow="fold")
    for row in rows[:limit]:
        shown.add_row(*(_plain(text(row.get(column))) for column in columns))
    console().print(shown)
    if len(rows) > limit:
        line(f"… and {len(rows) - limit} more")


def record(row: Row, *, json: bool) -> None:
    """One thing with all its parts; lists of things become tables below it."""
    if json:
        as_json(row)
        return
    lists = {key: value for key, value in row.items() if _is_table(value)}
    for key, value in row.items():
        if key not in lists:
            console().print(f"{key.replace('_', ' '):>16}  {_plain(text(value))}")
    for key, value in lists.items():
        console().print()
        table(value, list(value[0]), json=False, title=key.replace("_", " "))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


# What would speak to the terminal instead of being read there: C0 and C1 controls, line ends (a forged line), marks of
# direction (a forged order).
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]")


def _plain(value: str) -> str:
    """Square brackets in data are no markup, and no text moves the cursor or begins a line of its own."""
    from rich.markup import escape

    return escape(_UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), value))


def line(message: str) -> None:
    """One line to the screen."""
    console().print(_plain(message))


def faults(found: Sequence[Row], *, json: bool) -> None:
    """Faults, one line each: where, code, what is wrong, what to do."""
    if json:
        as_json(found)
        return
    for each in found:
        fault = Fault(code=each["code"], where=each["where"], message=each["message"], fix=each["fix"])
        console().print(_plain(f"{fault}" if each.get("stops", True) else f"advice: {fault}"))


def problem(error: HubError) -> None:
    """What went wrong, to the error stream; every fault of a ConfigFault in its own line."""
    lines = [str(each) for each in error.faults] if isinstance(error, ConfigFault) else [str(error)]
    for each in lines:
        console(error=True).print(f"[red]error[/red] {_plain(each)}")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Any]:
    """A `watch` for runs: one line per connection, phase and stream, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    tasks: dict[tuple[str, str, str], Any] = {}
    with Progress(*columns, console=console(error=True), transient=True) as bar:

        def watch(connection: str, phase: str, stream: str, rows: int) -> None:
            key = (connection, phase, stream)
            if key not in tasks:
                tasks[key] = bar.add_task(f"{connection} {phase} {stream}", total=None)
            bar.update(tasks[key], completed=rows)

        yield watch
