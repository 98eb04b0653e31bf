"""The `hub` command and twins in processes of their own, as a person at a keyboard would have them."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import orjson

from hub.twins.client import TwinClient

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from hub.cli import main; main()")

# What the twins let in (hub.twins.kit.Twin).
CREDENTIALS = {"SF_CLIENT_ID": "twin-client", "SF_CLIENT_SECRET": "twin-secret", "HUBSPOT_TOKEN": "twin-token"}


def environment(url: str) -> dict[str, str]:
    """What a command needs to find the code, the store and the credentials."""
    return {**os.environ, **CREDENTIALS, "PYTHONPATH": str(ROOT), "HUB_DATABASE_URL": url}


def start(arguments: Sequence[str], project: Path, url: str) -> subprocess.Popen[bytes]:
    """`hub …` in a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *arguments, "--project", str(project)], env=environment(url), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


@contextmanager
def served(script: Sequence[str]) -> Iterator[Mapping[str, TwinClient]]:
    """Twins of a script that prints `name address` for each, one a line, and then serves until it is stopped."""
    process = subprocess.Popen([sys.executable, *script], env=environment(""), stdout=subprocess.PIPE, text=True)
    clients: dict[str, TwinClient] = {}
    try:
        assert process.stdout is not None
        for _ in ("salesforce", "hubspot"):
            name, url = process.stdout.readline().split()
            clients[name] = TwinClient(url)
        yield clients
    finally:
        for client in clients.values():
            client.close()
        process.terminate()
        process.communicate(timeout=10)


def copy_project(source: Path, folder: Path, twins: Mapping[str, TwinClient]) -> None:
    """A copy of a project that names twins at ports 9001 and 9002, speaking to these instead."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__", "hub.db*", "data"))
    settings = (folder / "hub.yaml").read_text("utf-8")
    for name, address in (("salesforce", "http://127.0.0.1:9001"), ("hubspot", "http://127.0.0.1:9002")):
        assert address in settings
        settings = settings.replace(address, twins[name].base_url)
    (folder / "hub.yaml").write_text(settings, "utf-8")


class Forks:
    """Syncs as children of one process that has everything loaded (forks.py), one at a time."""

    def __enter__(self) -> Self:
        script = ROOT / "tests" / "e2e" / "forks.py"
        pipe, env = subprocess.PIPE, environment("")
        self._parent = subprocess.Popen([sys.executable, str(script)], env=env, stdin=pipe, stdout=pipe, bufsize=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate(timeout=30)

    def sync(self, project: Path, url: str, ahead_s: float) -> int:
        """Sync a project by a clock that is so far ahead; gives the child's pid."""
        assert self._parent.stdin is not None
        asked = {"project": str(project), "url": url, "ahead_s": ahead_s}
        self._parent.stdin.write(orjson.dumps(asked) + b"\n")
        return self._number()

    def is_over(self) -> bool:
        """Whether the last one has ended."""
        assert self._parent.stdout is not None
        return bool(select.select([self._parent.stdout], [], [], 0)[0])

    def wait(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        return self._number()

    def _number(self) -> int:
        assert self._parent.stdout is not None
        return int(self._parent.stdout.readline())
