"""Mappings as people change them in the console: a draft, its checks, what it would change, and its publishing.

The file stays what counts: publishing writes it, and the hub takes it in as if somebody had edited it by hand. A
draft that does not pass its checks cannot be published, and nothing ever runs with one.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ruamel.yaml.error import YAMLError

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.page import stored_record
from hub.app.publishing import file_of, kind_of, publish_changes, stem_of
from hub.app.replaying import would_change
from hub.app.service import Service
from hub.app.titles import cards
from hub.app.transact import commit
from hub.core.checks import stops
from hub.core.mapping import FieldRule, StreamMapping, to_canonical, to_external
from hub.core.paths import MISSING, Getter, make_getter
from hub.core.values import same
from hub.errors import ConfigFault, Drifted, Fault, NotFound
from hub.model import Json, LinkRow, SourceRecord
from hub.runtime.registry import MAPPINGS, TRIGGERS_FILE, Project, load_project
from hub.runtime.settings_edit import replace_file
from hub.runtime.yaml_edit import edit_yaml
from hub.store import Tx
from hub.store.rows import DraftRow

LONGEST = 256 * 1024  # characters of a file
PAGE = 500
COMPARED_MOST = 100_000  # stored records that one comparison goes through
SAMPLE = 5
NO_SOURCES: Mapping[str, Sequence[Getter]] = MappingProxyType({})
SHOWN = 30  # changed rows that are listed one by one


# What there is


def files(hub: Hub) -> list[Dict]:
    """Every file of mappings/ that the project reads, with who uses it, its version, and whether somebody edits it."""
    project = _project(hub)
    with hub.store.reading() as tx:
        drafts = {row.name: row for row in tx.drafts()}
        newest = {row.name: row for row in reversed(tx.mapping_versions())}
    names = ["canonical.yaml", *dict.fromkeys(each.mapping for each in project.settings.connections.values())]
    names += [name for name in ("derived.yaml", "rewards.yaml", "kpis.yaml", "goals.yaml") if name in project.documents]
    names.append(TRIGGERS_FILE)  # also where there is none yet: its first rule may be written in the console
    found = []
    for name in names:
        version, draft = newest.get(stem_of(name)), drafts.get(name)
        found.append(
            {
                "file": name, "kind": kind_of(name),
                "connections": [c.name for c in project.settings.connections.values() if c.mapping == name],
                "version": version.version if version else 0, "at": iso(version.at) if version else None,
                "by": version.by if version else "", "draft": draft.by if draft else "",
                "faults": sum(stops(fault) for fault in project.faults if file_of(fault) == name),
            }
        )  # fmt: skip
    return found


def mapping_case(hub: Hub, file: str) -> Dict:
    """One file: its streams as two columns, its text, its faults, its versions, its draft if there is one.

    Raises NotFound.
    """
    text, project = text_of_file(hub, file), _project(hub)
    with hub.store.reading() as tx:
        draft = tx.draft(file)
        versions = tx.mapping_versions(stem_of(file))
    return {
        "file": file,
        "kind": kind_of(file),
        "text": text,
        "streams": streams_of(hub, project, file),
        "draft": _draft(draft, text) if draft else None,
        "faults": [asdict(fault) | {"stops": stops(fault)} for fault in project.faults if file_of(fault) == file],
        "versions": [{"version": row.version, "by": row.by, "at": iso(row.at)} for row in versions],
        "connections": [c.name for c in project.settings.connections.values() if c.mapping == file],
    }


def _draft(row: DraftRow, text: str) -> Dict:
    return {
        "text": row.content, "by": row.by, "at": iso(row.at), "stale": row.base != _digest(text),
        "diff": difference(text, row.content, "published", "draft"),
    }  # fmt: skip


def streams_of(hub: Hub, project: Project, file: str) -> list[Dict]:
    """Each stream of a mapping file: every rule with both its sides."""
    mapping = next(
        (m for name, m in project.mappings.items() if project.settings.connections[name].mapping == file), None
    )
    return [_stream(hub, each) for each in mapping.streams.values()] if mapping is not None else []


def _stream(hub: Hub, mapping: StreamMapping) -> Dict:
    return {
        "stream": mapping.name, "source": mapping.source, "entity": mapping.entity, "create": str(mapping.create),
        "rules": [_rule(mapping, rule) for rule in mapping.rules],
        "computed": [{"name": case.name, "remote": case.remote, "where": case.where} for case in mapping.cases],
        "unmapped": sorted(set(mapping.entity_type.fields) - set(mapping.fields)),
    }  # fmt: skip


def _rule(mapping: StreamMapping, rule: FieldRule) -> Dict:
    declared = mapping.entity_type.field_of(rule.name) or mapping.entity_type.fields.get(rule.field)
    survivorship = declared.survivorship if declared else None
    return {
        "name": rule.name, "field": rule.field, "direction": rule.direction,
        "remote": rule.remote_in or rule.remote_out or ("its own id" if rule.own_id else ""),
        "steps": list(rule.steps), "to": " or ".join(filter(None, (rule.to, *rule.or_to))),
        "required": rule.required, "lossy": rule.lossy,
        "words": {str(key): value for key, value in rule.words_in.items()}, "where": rule.where,
        "type": declared.parts.get(rule.name, declared.type) if declared else "",
        "text": declared.text if declared else "",
        "rule": survivorship.rule if survivorship else "", "order": list(survivorship.source) if survivorship else [],
    }  # fmt: skip


def text_of_file(hub: Hub, file: str) -> str:
    """The file as it is now. Raises NotFound for a name that is none of the project's."""
    if file not in {each["file"] for each in files(hub)}:
        raise NotFound(f"there is no {file[:80]}", where="mappings", fix="choose one of the list")
    try:
        return (_project(hub).folder / MAPPINGS / file).read_text("utf-8-sig")
    except OSError:
        return ""


def version_text(hub: Hub, file: str, version: int) -> Dict:
    """A published version and how the file differs from it. Raises NotFound."""
    with hub.store.reading() as tx:
        old = tx.mapping_content(stem_of(file), version)
    now = text_of_file(hub, file)
    return {"version": version, "text": old, "diff": difference(now, old, "now", f"version {version}")}


def difference(old: str, new: str, from_: str, to: str) -> str:
    return "".join(unified_diff(old.splitlines(True), new.splitlines(True), from_, to, n=2))


def _project(hub: Hub) -> Project:
    if hub.projects is None:
        raise NotFound("this hub has no project", where="mappings", fix="open one")
    project: Project = hub.projects
    return project


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# Drafts


def save_draft(hub: Hub, file: str, text: str, *, by: str) -> None:
    """Keep what somebody writes; it need not pass any check yet. Raises NotFound; ConfigFault CFG-004, too long."""
    plain = text.replace("\r\n", "\n")
    if len(plain) > LONGEST:
        raise ConfigFault([Fault(code="CFG-004", where=file, message="the file is too long", fix="split it")])
    base = _digest(text_of_file(hub, file))
    row = DraftRow(name=file, content=plain, base=base, by=by, at=hub.clock.now())
    commit(hub, lambda tx: tx.keep_draft(row))


def drop_draft(hub: Hub, file: str, *, by: str) -> None:
    """What was written is gone; the file is as it was."""

    def drop(tx: Tx) -> None:
        if tx.drop_draft(file):
            tx.audit(by, "draft dropped", file, None, None, hub.clock.now())

    commit(hub, drop)


def map_field(hub: Hub, file: str, stream: str, name: str, remote: str, *, by: str, **options: str) -> None:
    """Put one rule into the draft, begun from the file if there is none; everything else in it stays as it is.

    Args:
        name: canonical field, or part of a group; with `type` a custom field of that name.
        options: direction (both, in, out), transforms (names with commas), type.

    Raises:
        NotFound: the file has no such stream. ConfigFault: the draft cannot be read as YAML.
    """
    rule: dict[str, Json] = {"remote": remote.strip()}
    if options.get("direction") in ("in", "out"):
        rule["direction"] = options["direction"]
    steps = [each.strip() for each in options.get("transforms", "").split(",") if each.strip()]
    if steps:
        rule["transforms"] = steps
    where = "custom" if options.get("type") else "fields"
    if options.get("type"):
        rule["type"] = options["type"]

    def put(data: Json) -> None:
        section = data["streams"][stream]
        if section.get(where) is None:
            section[where] = {}
        section[where][name.strip()] = rule

    edit_draft(hub, file, put, by=by, lacks=f"{file} has no stream {stream[:80]}")


def edit_draft(
    hub: Hub, file: str, change: Callable[[Json], None], *, by: str, lacks: str, begin: str = ""
) -> None:  # fmt: skip
    """Change one thing in the draft, begun from the file if there is none; everything else stays as it is written.

    Args:
        change: alters the document; a KeyError means that the place is not there.
        lacks: what to say then.
        begin: what to begin with where the file has nothing in it yet.

    Raises:
        NotFound: the place is not there. ConfigFault: the draft cannot be read as YAML.
    """
    save_draft(hub, file, edited(file, draft_text(hub, file) or begin, change, lacks=lacks), by=by)


def draft_text(hub: Hub, file: str) -> str:
    """The draft, or the file as it is if nobody is editing it. Raises NotFound."""
    with hub.store.reading() as tx:
        draft = tx.draft(file)
    return draft.content if draft else text_of_file(hub, file)


def edited(file: str, text: str, change: Callable[[Json], None], *, lacks: str) -> str:
    """The text with one thing changed, comments and all else as they are. Raises as `edit_draft`."""
    try:
        return edit_yaml(text, change)
    except YAMLError as error:
        raise ConfigFault(
            [Fault(code="CFG-001", where=file, message="the draft is no YAML", fix=str(error)[:200])]
        ) from None
    except (KeyError, TypeError):
        raise NotFound(lacks, where=file) from None


# What a draft would do


@contextmanager
def drafted(hub: Hub, file: str, text: str) -> Iterator[tuple[Project | None, list[Fault]]]:
    """The project as it would be with this text in the place of a file; None where it could not be read at all."""
    project = _project(hub)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (project.folder / MAPPINGS).glob("*.yaml"):
            shutil.copy(path, folder)
        (folder / file).write_text(text, "utf-8")
        try:
            found = load_project(project.folder, mappings=folder)
        except ConfigFault as fault:
            yield None, list(fault.faults)
            return
        yield found, list(found.faults)


def check_text(hub: Hub, file: str, text: str) -> list[Dict]:
    """Every fault of the project with this text in the place of a file; those of other files only if they are new."""
    known = {str(fault) for fault in _project(hub).faults}
    with drafted(hub, file, text) as (_, faults):
        return [
            {**asdict(fault), "stops": stops(fault)}
            for fault in faults
            if file_of(fault) == file or str(fault) not in known
        ]


def preview(hub: Hub, file: str, text: str, *, sample: int = SAMPLE) -> list[Dict]:
    """Some stored records of each stream, followed all the way: what the system says, what is read of it now, what
    would be, and what a new record of it would hold in every system, this one first.
    """
    found = []
    with drafted(hub, file, text) as (project, _):
        for connection, old, new in _pairs(hub, project, file):
            links = next(_stored(hub, connection, new.name, limit=4 * sample), [])[:sample]
            with hub.store.reading() as tx:
                named = cards(tx, {link.entity_id for link in links})
            others = _writers(project, connection, new)
            rows = [
                {
                    **_compared(link, old, new, sources=_sources(new), others=others),
                    "title": named[link.entity_id]["title"] if link.entity_id in named else "",
                }
                for link in links
            ]
            found.append({"connection": connection, "stream": new.name, "rows": rows})
    return found


def draft_case(hub: Hub, file: str) -> Dict:
    """A file being edited: its text so far, what is wrong with it, a preview of a mapping. Raises NotFound."""
    it = mapping_case(hub, file)
    text = it["draft"]["text"] if it["draft"] else it["text"]
    return {
        "it": it, "text": text, "faults": check_text(hub, file, text) if it["draft"] else it["faults"],
        "previews": preview(hub, file, text) if it["kind"] == "mapping" else [],
    }  # fmt: skip


def tried_text(hub: Hub, file: str, text: str) -> Dict:
    """Checks and a preview of a text while it is being written; nothing is kept. Raises NotFound."""
    plain, kind = text.replace("\r\n", "\n"), mapping_case(hub, file)["kind"]
    faults = check_text(hub, file, plain)
    stopping = kind != "mapping" or any(fault["stops"] for fault in faults)
    return {"faults": faults, "previews": [] if stopping else preview(hub, file, plain)}


def change_case(hub: Hub, file: str) -> Dict:
    """What the draft of a file would change, over the whole store; `found` is None where that cannot be told."""
    it = mapping_case(hub, file)
    text = it["draft"]["text"] if it["draft"] else it["text"]
    faults = check_text(hub, file, text)
    found = what_would_change(hub, file, text) if it["kind"] == "mapping" else None
    if it["kind"] == "canonical" and not any(fault["stops"] for fault in faults):
        found = would_change(hub, text)
    return {"it": it, "faults": faults, "found": found}


def _sources(mapping: StreamMapping) -> dict[str, list[Getter]]:
    """Canonical field -> how what is read for it is found in the record."""
    return {
        name: [
            make_getter(rule.remote_in, root=mapping.root, literal=mapping.literal)
            for rule in rules
            if rule.direction != "out" and rule.remote_in
        ]
        for name, rules in mapping.fields.items()
    }


def _writers(project: Project | None, connection: str, mapping: StreamMapping) -> list[tuple[str, StreamMapping]]:
    """Streams into which such an entity may be written: this system's own, then the others'."""
    known = project.mappings if project is not None else {}
    found = [
        (name, each)
        for name, streams in known.items()
        for each in streams.streams.values()
        if each.entity == mapping.entity and each.out_fields and (name != connection or each.name == mapping.name)
    ]
    return sorted(found, key=lambda each: each[0] != connection)


def what_would_change(hub: Hub, file: str, text: str) -> Dict:
    """Counts over all stored records: values that would be read otherwise, by stream and field, and some of them."""
    counts: Counter[tuple[str, str]] = Counter()
    rows: list[Dict] = []
    compared = 0
    with drafted(hub, file, text) as (project, _):
        for connection, old, new in _pairs(hub, project, file):
            for links in _stored(hub, connection, new.name):
                for link in links:
                    for cell in _compared(link, old, new)["cells"]:
                        if cell["changes"]:
                            counts[f"{connection} {new.name}", cell["field"]] += 1
                            if len(rows) < SHOWN:
                                rows.append({"connection": connection, "external_id": link.external_id, **cell})
                compared += len(links)
                if compared >= COMPARED_MOST:
                    break
    return {
        "compared": compared, "whole": compared < COMPARED_MOST,
        "counts": [{"stream": stream, "field": field, "count": n} for (stream, field), n in counts.most_common()],
        "rows": rows,
    }  # fmt: skip


def _pairs(hub: Hub, project: Project | None, file: str) -> list[tuple[str, StreamMapping | None, StreamMapping]]:
    """(connection, the stream's mapping now, and with the draft)."""
    if project is None:
        return []
    return [
        (name, hub.connections[name].mappings.get(new.name) if name in hub.connections else None, new)
        for name, settings in project.settings.connections.items()
        if settings.mapping == file and name in project.mappings
        for new in project.mappings[name].streams.values()
    ]


def _stored(hub: Hub, connection: str, stream: str, limit: int = PAGE) -> Iterator[Sequence[LinkRow]]:
    after = ""
    while True:
        with hub.store.reading() as tx:
            links = tx.links_by_name(connection, stream, after, limit)
        if not links:
            return
        after = links[-1].external_id or ""
        yield [link for link in links if link.raw is not None]


def _compared(
    link: LinkRow, old: StreamMapping | None, new: StreamMapping, *,
    sources: Mapping[str, Sequence[Getter]] = NO_SOURCES, others: Sequence[tuple[str, StreamMapping]] = (),
) -> Dict:  # fmt: skip
    """One stored record through both mappings, field by field; with what it is read from, and what would be written."""
    record = stored_record(link)
    before = _read(old, record) if old is not None else {}
    after = _read(new, record)
    cells = []
    for name in dict.fromkeys([*after, *before]):
        declared = new.entity_type.fields.get(name)
        was, becomes = before.get(name), after.get(name)
        changes = was != becomes if declared is None else not same(declared, was, becomes)
        said = [value for get in sources.get(name, ()) if (value := get(record.data)) is not MISSING]
        cells.append({"field": name, "source": said, "old": was, "new": becomes, "changes": changes})
    bodies = [{"connection": name, "stream": each.name, "body": _written(each, after)} for name, each in others]
    return {"external_id": link.external_id, "cells": cells, "written": [each for each in bodies if each["body"]]}


def _read(mapping: StreamMapping, record: SourceRecord) -> dict[str, Any]:
    mapped = to_canonical(mapping, record)
    found = {name: mapped.values[name] for name in mapping.fields if name in mapped.values}
    found |= {name: ref.external_id if ref else None for name, ref in mapped.references.items()}
    return found | {
        fault.field: f"{fault.code}: {fault.message}" for fault in mapped.faults if fault.field not in found
    }


def _written(mapping: StreamMapping, values: Mapping[str, Json]) -> Mapping[str, Json]:
    """The body of a create with these values; references left out, since nothing is looked up."""
    plain = {
        name: value
        for name, value in values.items()
        if (declared := mapping.entity_type.fields.get(name)) is not None
        and declared.kind != "ref"
        and not (isinstance(value, str) and value.startswith("MAP-"))
    }
    return to_external(mapping, plain, changed=list(plain), external_ids={}, creating=True).body


# Publishing


def publish(service: Service, file: str, *, by: str) -> dict[str, int]:
    """Write the draft into its file and let the hub take it in; gives file -> version.

    Raises:
        NotFound: there is no draft. Drifted DRAFT-STALE: the file was changed meanwhile, by hand or by somebody else.
        ConfigFault: everything that is wrong with the draft; nothing was written.
    """
    _write(service.hub, file)
    versions = service.reload(by=by)
    commit(service.hub, lambda tx: tx.drop_draft(file))
    return versions


def publish_for_others(hub: Hub, file: str, *, by: str) -> dict[str, int]:
    """`publish` by a process that runs nothing itself: those that run take in what is published."""
    _write(hub, file)
    versions = publish_changes(hub.store, load_project(_project(hub).folder), by=by, at=hub.clock.now())
    commit(hub, lambda tx: tx.drop_draft(file))
    return versions


def _write(hub: Hub, file: str) -> None:
    """The checked draft, into its file. Raises as `publish`."""
    with hub.store.reading() as tx:
        draft = tx.draft(file)
    if draft is None:
        raise NotFound(f"nobody is editing {file}", where=file)
    if draft.base != _digest(text_of_file(hub, file)):
        raise Drifted(
            "the file was changed since the draft was begun", code="DRAFT-STALE", where=file,
            fix="look at the difference, save the draft again, then publish",
        )  # fmt: skip
    with drafted(hub, file, draft.content) as (_, faults):
        known = {str(fault) for fault in _project(hub).faults}
        wrong = [f for f in faults if stops(f) and (file_of(f) == file or str(f) not in known)]
    if wrong:
        raise ConfigFault(wrong)
    replace_file(_project(hub).folder / MAPPINGS / file, draft.content)


def roll_back(service: Service, file: str, version: int, *, by: str) -> dict[str, int]:
    """Publish an older version again, as a new one. Raises as `publish`, and NotFound for the version."""
    save_draft(service.hub, file, version_text(service.hub, file, version)["text"], by=by)
    return publish(service, file, by=by)
