"""A process that has the hub loaded and has children: each syncs a project once, and can be killed like any process.

Loading the hub and the vendors' SDKs takes longer than a small sync; a test that kills dozens of them loads them once.

One line of JSON in: {"project": folder, "url": of the store, "ahead_s": of its clock}. Two lines out: the child's pid;
at its end, its exit code (negative: the signal that ended it).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import orjson

SYSTEMS = ("hubspot", "plum", "points", "salesforce", "shopify", "stripe", "typeform")
LOADED = (
    *("hub.app.bootstrap", "hub.app.syncing", "hub.app.publishing", *(f"connectors.{name}" for name in SYSTEMS)),
    *("hubspot.crm.objects", "hubspot.crm.owners", "hubspot.crm.properties", "hubspot.crm.associations.v4", "stripe"),
    *("hub.core.transforms_numbers", "hub.core.transforms_texts", "hub.core.transforms_times", "phonenumbers"),
    *("sqlalchemy.dialects.sqlite", "psycopg", "sqlalchemy.dialects.postgresql", "tests.e2e.clocks"),
)


def main() -> None:
    """Have a child for every line, one after the other."""
    for name in LOADED:
        import_module(name)
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(sync(asked))
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(os.waitstatus_to_exitcode(status))


def sync(asked: dict[str, Any]) -> int:
    """The child's life; what `hub sync` does, by another clock."""
    from hub.app.bootstrap import open_hub
    from hub.app.syncing import sync_now
    from tests.e2e.clocks import LaterClock

    hub = open_hub(Path(asked["project"]), clock=LaterClock(asked["ahead_s"]), url=asked["url"], publish=True)
    code = sync_now(hub).exit_code
    hub.store.close()
    return code


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
