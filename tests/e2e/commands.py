"""The `hub` command and twins in processes of their own, as a person at a keyboard would have them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

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
