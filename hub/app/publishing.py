"""Files are drafts, the store runs: changed files that pass their checks become numbered versions.

A file that does not pass leaves the last published version in force, so a slip of the pen stops nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hub.core.canonical_file import digest_of
from hub.core.checks import stops
from hub.errors import Fault
from hub.runtime.registry import (
    CANONICAL_FILE,
    DERIVED_FILE,
    GOALS_FILE,
    KPIS_FILE,
    MAPPINGS,
    REWARDS_FILE,
    SETTINGS_FILE,
    TRIGGERS_FILE,
    Project,
    load_project,
)
from hub.store import Store, Tx

KINDS = {
    CANONICAL_FILE: "canonical", REWARDS_FILE: "rewards", KPIS_FILE: "kpis", DERIVED_FILE: "derived",
    GOALS_FILE: "goals", SETTINGS_FILE: "hub", TRIGGERS_FILE: "triggers",
}  # others: mapping  # fmt: skip


def publish_changes(store: Store, project: Project, *, by: str, at: float) -> dict[str, int]:
    """Publish every file that changed and passes its checks; gives file -> its new version."""
    unsound = {file_of(fault) for fault in project.faults if stops(fault)}
    wanted = {file: digest_of(document) for file, document in project.documents.items() if file not in unsound}
    with store.reading() as tx:
        changed = {
            file: digest
            for file, digest in wanted.items()
            if next((v.digest for v in tx.mapping_versions(stem_of(file)) if v.kind == kind_of(file)), "") != digest
        }
    versions = {}
    for file, digest in changed.items():
        with store.transaction() as tx:
            content = _path_of(project, file).read_text("utf-8-sig")
            versions[file] = tx.publish_mapping(kind_of(file), stem_of(file), digest, content, by, at)
            tx.audit(by, "published", file, None, versions[file], at)
    return versions


def with_published(store: Store, project: Project) -> Project:
    """The project with the last published version in the place of each mapping file that does not pass."""
    connections = project.settings.connections
    wanted = {connections[name].mapping for name in project.broken if name in connections}
    older: dict[str, str] = {}
    with store.reading() as tx:
        for file in sorted(wanted):
            version = tx.mapping_version(stem_of(file), "mapping")
            if version:
                older[file] = tx.mapping_content(stem_of(file), version)
    if not older:
        return project
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (project.folder / MAPPINGS).glob("*.yaml"):
            shutil.copy(path, folder)
        for file, content in older.items():
            (folder / file).write_text(content, "utf-8")
        found = load_project(project.folder, mappings=folder)
    return replace(found, faults=project.faults)


def as_published(store: Store, folder: Path) -> Project:
    """The project with every mapping as it was last published, whatever this machine's copies of the files say."""
    project = load_project(folder)
    with tempfile.TemporaryDirectory() as name:
        mappings = Path(name)
        for path in (folder / MAPPINGS).glob("*.yaml"):
            shutil.copy(path, mappings)
        with store.reading() as tx:
            for stem, version in published(tx).items():
                if stem != stem_of(SETTINGS_FILE):
                    (mappings / f"{stem}.yaml").write_text(tx.mapping_content(stem, version), "utf-8")
        return replace(load_project(folder, mappings=mappings), faults=project.faults)


def published(tx: Tx) -> dict[str, int]:
    """Name -> the version in force, of everything that was ever published."""
    found: dict[str, int] = {}
    for row in tx.mapping_versions():
        found[row.name] = max(row.version, found.get(row.name, 0))
    return found


def kind_of(file: str) -> str:
    return KINDS.get(file, "mapping")


def stem_of(file: str) -> str:
    return file.removesuffix(".yaml")


def file_of(fault: Fault) -> str:
    return fault.where.partition(":")[0]


def _path_of(project: Project, file: str) -> Path:
    return project.folder / file if file == SETTINGS_FILE else project.folder / MAPPINGS / file
