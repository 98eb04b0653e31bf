"""The hub at work on the source: a project, a first load, reading again, cycles with changes, writing back."""

from __future__ import annotations

import importlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bench.floor import FIELDS
from hub.app.bootstrap import open_hub
from hub.app.context import Hub
from hub.app.pull import pull_stream
from hub.app.runs import ConnectionRun, sync
from hub.core.canonical_file import read_canonical
from hub.core.document import Sheet
from hub.core.mapping import to_canonical
from hub.core.mapping_file import Hub as HubFacts
from hub.core.mapping_file import read_mapping
from hub.model import SourceRecord
from hub.runtime.yaml import parse_yaml

HERE = Path(__file__).parent
# Connection -> (mapping, connector of each way of reading)
CONNECTIONS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "first": ("salesforce", {"engine": "plain_salesforce", "connectors": "salesforce"}),
    "second": ("hubspot", {"engine": "plain_hubspot", "connectors": "hubspot"}),
}
SETTINGS = {  # what a connector needs; limits that nobody has to wait for
    "salesforce": "settings: {domain: bench.my, limits: {daily: 100000000}}",
    "hubspot": "settings: {limits: {burst: 1000000, search: 1000000, daily: 100000000}}",
}
STREAM = "contacts"
TOKEN = {"BENCH_TOKEN": "bench"}


def find_own_connectors() -> None:
    """The registry looks into the package `connectors`; the bench's own are found there as well from now on."""
    package = importlib.import_module("connectors")
    package.__path__.append(str(HERE / "connectors"))


def write_project(folder: Path, base_url: str, way: str, *, mode: str = "observe") -> None:
    """hub.yaml and mappings for one way of reading: `engine` or `connectors`."""
    mappings = folder / "mappings"
    mappings.mkdir(parents=True, exist_ok=True)
    (mappings / "canonical.yaml").write_text((HERE / "project" / "canonical.yaml").read_text("utf-8"), "utf-8")
    lines = ["hub: {name: bench, currency: EUR, country: DE, timezone: Europe/Berlin}", "connections:"]
    for name, (mapping, ways) in CONNECTIONS.items():
        connector = ways[way]
        text = (HERE / "project" / f"{mapping}.yaml").read_text("utf-8")
        text = text.replace(f"connector: {mapping}", f"connector: {connector}")
        (mappings / f"{name}.yaml").write_text(text, "utf-8")
        lines += [
            f"  {name}:",
            f"    connector: {connector}",
            f"    mapping: {name}.yaml",
            f"    mode: {mode}",
            "    local: true",
            f'    base_url: "{base_url}"',
            "    auth: {kind: token, token: env:BENCH_TOKEN}",
            f"    {SETTINGS.get(connector, '')}",
        ]
    (folder / "hub.yaml").write_text("\n".join(lines) + "\n", "utf-8")


@contextmanager
def opened(folder: Path, url: str) -> Iterator[Hub]:
    hub = open_hub(folder, environ=TOKEN, url=url, publish=True, by="bench")
    try:
        for connection in hub.connections.values():
            connection.require()
        yield hub
    finally:
        hub.store.close()


def sync_once(hub: Hub) -> dict[str, int]:
    """One sync of both; what it did. Raises RuntimeError if it did not go well: its time would mean nothing."""
    runs = sync(hub, owner="bench")
    for run in runs:
        if run.error or run.status not in ("success", "partial") or _trouble(run):
            raise RuntimeError(f"{run.connection}: {run.status} {run.error} {dict(run.counts)}")
    names = {name for run in runs for name in run.counts}
    return {name: sum(run.counts[name] for run in runs) for name in sorted(names)}


def mapping_us() -> float:
    """Microseconds that reading twenty fields of plain text takes, once they are warm: the mapping's own cost."""
    names = [f"field_{number}" for number in range(FIELDS)]
    fields = {name: {"type": "text", "text": "Text."} for name in names}
    entities = {"contact": {"text": "A person.", "fields": fields}}
    canonical = read_canonical(_sheet({"language": 1, "sources": ["bench"], "entities": entities}))
    streams = {STREAM: {"entity": "contact", "fields": {name: {"remote": name} for name in names}}}
    document = {"connector": "bench", "language": 1, "streams": streams}
    mapping = read_mapping(_sheet(document), canonical, HubFacts()).streams[STREAM]
    records = [
        SourceRecord(external_id=str(number), data={name: f"{name} of {number}" for name in names})
        for number in range(1000)
    ]
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        for record in records:
            to_canonical(mapping, record)
        best = min(best, time.process_time() - start)
    return best / len(records) * 1e6


def _sheet(document: dict[str, Any]) -> Sheet:
    return Sheet(parse_yaml(orjson.dumps(document), "bench.yaml"))  # JSON is YAML


def pull_alone(hub: Hub) -> None:
    """Read both in this thread, one after the other: what a profiler can follow."""
    for connection in hub.connections.values():
        pull_stream(hub, connection, STREAM, run_id=None, tally=Counter())


def _trouble(run: ConnectionRun) -> bool:
    return any(run.counts[name] for name in ("quarantined", "faulty_cells", "failed", "held_cells", "keyless"))


def read_again(hub: Hub) -> None:
    """Forget how far both were read, so that every record comes once more."""
    with hub.store.transaction() as tx:
        for name in hub.connections:
            tx.set_cursor(name, STREAM, {"at": None, "first_done": True, "since": None})


def stored(hub: Hub) -> dict[str, Any]:
    """How much is in the store, to see that the work was done."""
    with hub.store.reading() as tx:
        links = {name: sum(tx.count_links(name, STREAM).values()) for name in hub.connections}
        conflicts = sum(tx.count_conflicts().values())
        return {"entities": tx.count_entities()["contact"], "links": links, "conflicts": conflicts, "fields": FIELDS}
