"""Hostile text on its way: from a file through the hub into a CRM, and from the CRM through the hub into a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.syncing import sync_now
from hub.twins import hubspot
from hub.twins.server import serve
from tests.hostile import BROKEN, HOSTILE
from tests.hostile_project import FIELDS, MAPPING, ROWS, email_of, full_table, make_hostile_project, texts_of

HUB = """\
hub: {{name: hostile, currency: EUR, country: DE, timezone: Europe/Berlin}}
defaults: {{mode: live}}
guards: {{creates: {{over: 5000, share: 1}}}}
connections:
  left:
    connector: csv
    mapping: left.yaml
    streams: {{people: {{file: data/left.csv, key: [Id], write: in_place, marker: Id}}}}
  hubspot:
    connector: hubspot
    local: true
    base_url: "{url}"
    auth: {{kind: token, token: env:HS_TOKEN}}
"""
PLACES = ("firstname", "lastname", "jobtitle", *(f"text_{number:02}" for number in range(3, len(FIELDS))))
CRM = MAPPING.replace("connector: csv", "connector: hubspot").replace("  people:", "  contacts:", 1)
CRM = CRM.replace("entity: contact\n", "entity: contact\n    root: properties\n    create: always\n")
CRM = CRM.replace("remote: Mail", "remote: email").replace("      note: {remote: Note}\n", "")


class World:
    """A file of hostile text, an empty CRM, and the hub between them."""

    def __init__(self, folder: Path, twin: Any, url: str) -> None:
        mapping = CRM
        for name, place in zip(FIELDS, PLACES, strict=True):
            mapping = mapping.replace(f"remote: {name}}}", f"remote: {place}}}")
        left = MAPPING.replace("entity: contact\n", "entity: contact\n    create: always\n")
        self.twin = twin
        self.project = make_hostile_project(folder, left_yaml=left)
        (self.project / "hub.yaml").write_text(HUB.format(url=url), "utf-8")
        (self.project / "mappings" / "hubspot.yaml").write_text(mapping, "utf-8")
        self.hub: Hub = open_hub(self.project, environ={"HS_TOKEN": "twin-token"}, publish=True)

    def sync(self) -> int:
        """Writes of a sync, at both systems."""
        outcome = sync_now(self.hub)
        assert outcome.exit_code == 0, [(run.connection, run.error, run.counts) for run in outcome.runs]
        return sum(run.counts["created"] + run.counts["updated"] for run in outcome.runs)

    def values(self) -> Mapping[str, Mapping[str, Any]]:
        with self.hub.store.reading() as tx:
            return {str(row.values["email"]): row.values for row in tx.entities_page("contact", limit=5000)}

    def at_crm(self) -> Mapping[str, Mapping[str, Any]]:
        """What the CRM holds, by address."""
        return {row["fields"]["email"]: row["fields"] for row in self.twin.snapshot("contacts").values()}

    def in_file(self) -> list[dict[str, str]]:
        """What is in the file, as Python reads it."""
        data = (self.project / "data" / "left.csv").read_bytes().decode()
        return list(csv.DictReader(io.StringIO(data, newline="")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    twin = hubspot.make(limit_scale=0.0, auto_hooks=False)
    for place in PLACES[3:]:
        twin.act_add_property("contacts", place)
    with serve(twin) as running:
        found = World(tmp_path, twin, running.base_url)
        yield found
        found.hub.store.close()


def test_the_corpus_is_large_enough_and_holds_no_text_twice() -> None:
    assert len(HOSTILE) >= 500
    assert len(set(HOSTILE)) == len(HOSTILE)
    assert not any(broken in text for text in HOSTILE for broken in ("\0", *BROKEN[2:]))
    everywhere = {text for row in range(ROWS) for text in texts_of(row).values()}
    assert everywhere == set(HOSTILE)


def test_hostile_text_comes_round_unchanged(world: World) -> None:
    """File → hub → CRM → hub; then people type the same texts at the CRM: CRM → hub → file. Then all is quiet."""
    world.sync()
    held, values = world.at_crm(), world.values()
    for row in range(ROWS):
        for name, place, text in zip(FIELDS, PLACES, texts_of(row).values(), strict=True):
            assert values[email_of(row)][name] == text, "as it was written"
            assert held[email_of(row)][place] == text, (place, text)
    assert world.in_file() == list(csv.DictReader(io.StringIO(full_table("Id"), newline="")))
    assert world.sync() == 0, "no echo of any of them is an edit"
    for row in range(ROWS):  # each text now in another field, and of another person
        typed = dict(zip(PLACES, list(texts_of(row).values())[::-1], strict=True))
        world.twin.user_create("contacts", {"email": f"typed{row}@example.org", **typed})
    assert world.sync() == ROWS
    found = {each["Mail"]: each for each in world.in_file()}
    for row in range(ROWS):
        cells = found[f"typed{row}@example.org"]
        assert [cells[name] for name in FIELDS] == list(texts_of(row).values())[::-1]
    assert world.sync() == 0
    with world.hub.store.reading() as tx:
        assert tx.quarantine(state="open") == []
        assert tx.conflicts(state="open") == []
