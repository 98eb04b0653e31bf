"""The core reads nothing of the world, and a connector opens nothing: what import rules alone cannot see.

Time, ids and chance are arguments. The walk looks for calls by name, so it also refuses a method of ours that is called
like one of these; that is cheap to rename and keeps the rule simple.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import place, python_files, syntax_tree

# Refused whatever they are called on: `now()`, `datetime.now()`, `self.clock.now()`.
CALLS = {
    "now", "utcnow", "today", "monotonic", "perf_counter", "process_time", "sleep",  # clock
    "uuid1", "uuid4", "urandom", "getrandbits", "shuffle", "token_bytes", "token_hex",  # chance
    "getenv", "urlopen",  # outside
}  # fmt: skip
# Refused as methods only: pathlib's.
METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}
# Refused as plain names only. `hash` and `id` differ from process to process.
BUILTINS = {"open", "print", "input", "eval", "exec", "breakpoint", "__import__", "hash", "id"}
# Top-level modules with no business in a room that only thinks. The import contracts refuse most of them too; here the
# finding carries file and line, and modules are seen whose parts differ (urllib.parse is pure, urllib.request is not).
MODULES = {
    "asyncio", "concurrent", "ctypes", "fcntl", "ftplib", "getpass", "glob", "http.client", "http.server", "importlib",
    "io", "locale", "logging", "mmap", "multiprocessing", "os", "pathlib", "platform", "queue", "random", "sched",
    "secrets", "select", "shutil", "signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip

PURE = ("hub/core", "hub/model.py", "hub/errors.py")
HANDED_DOORS = ("hub/connector.py", "hub/kit", "connectors")
# The doors that a connector is handed tell it the hub's time. There pathlib may take a name apart (its methods that
# touch the disk stay refused), and hash() may find equals within one file; what it gives is never kept.
ALLOWED_WITH_DOORS = frozenset(
    {"door.now()", "files.now()", "hash()", "import pathlib", "import pathlib.PurePath", "import pathlib.PurePosixPath"}
)


def impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and function.attr in CALLS | METHODS:
                yield node.lineno, f"{_name(function.value)}.{function.attr}()"
            if isinstance(function, ast.Name) and function.id in CALLS | BUILTINS:
                yield node.lineno, f"{function.id}()"
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, f"import {alias.name}") for alias in node.names if _outside(alias.name))
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            yield from ((node.lineno, f"import {name}") for name in names if _outside(name))
        elif isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield node.lineno, "async"


def _name(receiver: ast.expr) -> str:
    """The last word of what a method is called on: `door` in `api.door.now()`."""
    return ast.unparse(receiver).rpartition(".")[2] if isinstance(receiver, ast.Name | ast.Attribute) else ""


def _outside(module: str) -> bool:
    return module in MODULES or module.split(".")[0] in MODULES


def found_in(*rooms: str, allowed: frozenset[str] = frozenset()) -> list[str]:
    return [
        f"{place(path, line)} {what}"
        for path in python_files(*rooms)
        for line, what in impurities(syntax_tree(path))
        if what not in allowed
    ]


def test_the_core_reads_nothing_of_the_world() -> None:
    assert found_in(*PURE) == []


def test_connectors_and_their_kit_open_nothing() -> None:
    assert found_in(*HANDED_DOORS, allowed=ALLOWED_WITH_DOORS) == []


@pytest.mark.parametrize(
    "source, what",
    [
        ("import datetime\ndatetime.datetime.now()", "datetime.now()"),
        ("from datetime import date\ndate.today()", "date.today()"),
        ("self.clock.now()", "clock.now()"),
        ("uuid.uuid4()", "uuid.uuid4()"),
        ("from uuid import uuid4\nuuid4()", "uuid4()"),
        ("api.door.now()", "door.now()"),
        ("doors[0].now()", ".now()"),
        ("open('a')", "open()"),
        ("print(1)", "print()"),
        ("path.read_text()", "path.read_text()"),
        ("hash('a')", "hash()"),
        ("import time", "import time"),
        ("import os.path", "import os.path"),
        ("from os import environ", "import os"),
        ("from urllib import request", "import urllib.request"),
        ("def f():\n    import random", "import random"),
        ("def f():\n    global seen", "global seen"),
        ("async def f(): pass", "async"),
    ],
)
def test_each_way_out_is_seen(source: str, what: str) -> None:
    assert what in [found for _, found in impurities(ast.parse(source))]


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urlsplit",
        "order.open()",
        "when.time()",
        "re.compile('a')",
        "from datetime import datetime",
    ],
)
def test_what_only_thinks_passes(source: str) -> None:
    assert list(impurities(ast.parse(source))) == []
