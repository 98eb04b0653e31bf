"""A record that kills every process that takes it in is found and set aside; all the others get through."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.review import retry_quarantine
from hub.app.syncing import sync_now
from hub.runtime.registry import SHIPPED
from hub.store import Tx
from tests.e2e.commands import environment

HUB_YAML = """\
hub: {name: poison, currency: EUR, country: DE, timezone: Europe/Berlin}
defaults: {mode: live, every: 5m}
connections:
  people:
    connector: csv
    mapping: people.yaml
    streams: {contacts: {file: data/people.csv, key: [Id], write: never, listing: partial}}
"""
PEOPLE_YAML = """\
connector: csv
language: 1
streams:
  contacts:
    entity: contact
    direction: in
    fields: {last_name: {remote: Name}}
"""
PEOPLE, POISON = 30, 17

# One sync in a process of its own, in which reading the record "poison" does what is asked.
SYNC = """\
import os, resource, signal, sys
from pathlib import Path
from hub.app import ingest
from hub.app.bootstrap import open_hub
from hub.app.syncing import sync_now

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def exhaust():
    bytearray(1 << 40)

what = {"kill": kill, "exhaust": exhaust}[sys.argv[2]]
as_ever = ingest.to_canonical

def to_canonical(mapping, record):
    if "poison" in record.data.values():
        what()
    return as_ever(mapping, record)

ingest.to_canonical = to_canonical
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
hub = open_hub(Path(sys.argv[1]), environ={}, url=os.environ["HUB_DATABASE_URL"], publish=True)
sys.exit(sync_now(hub).exit_code)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in (("hub.yaml", HUB_YAML), ("mappings/people.yaml", PEOPLE_YAML)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "mappings" / "canonical.yaml").write_text((SHIPPED / "canonical.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "data").mkdir()
    rows = [f"{number},{'poison' if number == POISON else f'Name {number}'}" for number in range(PEOPLE)]
    (tmp_path / "data" / "people.csv").write_text("\n".join(["Id,Name", *rows, ""]), "utf-8")
    return tmp_path


def url_of(project: Path) -> str:
    return f"sqlite:///{project / 'poison.db'}"


def sync(project: Path, what: str) -> int:
    """Exit code; negative: the signal that ended it."""
    command = [sys.executable, "-c", SYNC, str(project), what]
    return subprocess.run(command, env=environment(url_of(project)), check=False, capture_output=True).returncode


def opened(project: Path) -> Hub:
    return open_hub(project, environ={}, url=url_of(project), publish=False)


def names(tx: Tx) -> set[str]:
    found = tx.links_by_keys("people", "contacts", [f"{number}" for number in range(PEOPLE)])
    return {number for number, link in found.items() if link.read_at is not None}


def test_what_kills_every_process_is_set_aside_in_the_end_until_somebody_retries_it(project: Path) -> None:
    assert [sync(project, "kill") for _ in range(4)] == [-signal.SIGKILL] * 4
    assert sync(project, "kill") == 3  # something needs a person, nothing failed
    hub = opened(project)
    with hub.store.reading() as tx:
        assert names(tx) == {f"{number}" for number in range(PEOPLE)} - {f"{POISON}"}
        (row,) = tx.quarantine(state="open")
        assert (row.external_id, row.code) == (f"{POISON}", "REC-KILLS")
        assert tx.cursor("people", "contacts")["at"] is not None
    sync_now(hub)  # what it is barred from by its row
    with hub.store.reading() as tx:
        assert f"{POISON}" not in names(tx)
    assert retry_quarantine(hub, row.id or 0, by="test").state == "mended"
    with hub.store.reading() as tx:
        assert len(names(tx)) == PEOPLE
    hub.store.close()


def test_one_that_fits_into_no_memory_is_set_aside_at_once(project: Path) -> None:
    assert sync(project, "exhaust") == 3
    hub = opened(project)
    with hub.store.reading() as tx:
        assert len(names(tx)) == PEOPLE - 1
        (row,) = tx.quarantine(state="open")
        assert (row.external_id, row.code) == (f"{POISON}", "REC-KILLS")
        assert "trying" not in tx.cursor("people", "contacts")
    hub.store.close()


def test_two_kills_that_were_nobodys_fault_set_nothing_aside(project: Path) -> None:
    for _ in range(2):
        assert sync(project, "kill") == -signal.SIGKILL
    text = (project / "data" / "people.csv").read_text("utf-8")
    (project / "data" / "people.csv").write_text(text.replace("poison", "Name 17"), "utf-8")
    assert sync(project, "kill") == 0
    hub = opened(project)
    with hub.store.reading() as tx:
        assert len(names(tx)) == PEOPLE
        assert not tx.quarantine(state="open")
    hub.store.close()
