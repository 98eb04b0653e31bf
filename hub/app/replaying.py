"""What would be different under other files: stored records and claims, read and decided again. Nothing is changed.

Two questions per entity and field. What would the evidence of today come to: the last records read through the other
mapping, the claims of today under the other rules. And what would earlier decisions have come to: a claim that lost has
retired since, so its decision is made once more from the conflict that keeps its candidates, and what it would have led
to is followed through the changes after it. Records of before the last are not kept, so conflicts speak in the terms of
the mapping that read them.

With the files in force nothing is different (law L21): values are compared with those that are stored.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hub.app.cases import Case, all_cases
from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.page import stored_record
from hub.app.rereading import first_seen
from hub.app.voices import SPEAKING, voice_of
from hub.core.canonical import CanonicalField
from hub.core.changes import restate_cell
from hub.core.checks import stops
from hub.core.explain import recompute
from hub.core.mapping import StreamMapping, to_canonical
from hub.core.merge import Voice, decide, evidence
from hub.core.shadow import is_empty
from hub.core.values import same
from hub.errors import ConfigFault, Fault, NeedsReview
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, ConflictRow, FieldState, HistoryRow, Json, LinkRow
from hub.runtime.registry import CANONICAL_FILE, MAPPINGS, Project, load_project
from hub.runtime.settings_schema import seconds_of
from hub.runtime.yaml import load_yaml

SHOWN = 200  # of what would change
COLUMNS = ["entity", "field", "stored", "replayed", "from", "rule", "decision"]


def replay(hub: Hub, files: Sequence[Path], *, since: str = "") -> Dict:
    """Decide everything again under other files.

    Args:
        files: a mapping, a canonical.yaml, or several; each stands in for the file of the project that it replaces.
        since: a duration ("90d"): only entities of which something was read or decided since; "": all.

    Returns:
        {"entities", "fields": how many were looked at, "different": one row per field (entity, field, stored, replayed,
         from, rule, decision: moment of the earlier decision that makes the difference, None for today's evidence)}

    Raises:
        ConfigFault: a file does not pass its checks, or stands in for none of the project's.
    """
    moment = LONG_AGO if not since else hub.clock.now() - _duration(since)
    other = _other(hub, files)
    entities, fields = 0, 0
    rows: list[Dict] = []
    for cases in all_cases(hub, raw=True):
        with hub.store.reading() as tx:
            members = [member for case in cases for member in case.members]
            conflicts, changes = defaultdict(list), defaultdict(list)
            home = {member: case.row.id for case in cases for member in case.members}
            for conflict in tx.conflicts_of(members, since=moment):
                conflicts[home[conflict.entity_id]].append(conflict)
            for change in tx.history(members, since=moment):
                changes[home[change.entity_id]].append(change)
        for case in cases:
            past = _Past(conflicts=conflicts[case.row.id], changes=changes[case.row.id])
            if not _is_recent(case, past, moment) or case.row.type not in other.canonical.entities:
                continue
            found, looked_at = _replay_case(case, other, past)
            entities, fields, rows = entities + 1, fields + looked_at, rows + found
    return {"entities": entities, "fields": fields, "different": rows}


def would_change(hub: Hub, text: str) -> Dict:
    """What would be different under another canonical.yaml, counted by field, and some of it.

    Returns:
        {"compared", "whole", "counts": rows of stream (the entity type), field, count; "rows"}. Raises as `replay`.
    """
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / CANONICAL_FILE
        path.write_text(text, "utf-8")
        found = replay(hub, [path])
    counts = Counter((row["entity"].partition(":")[0], row["field"]) for row in found["different"])
    return {
        "compared": found["entities"], "whole": True,
        "counts": [{"stream": kind, "field": field, "count": n} for (kind, field), n in counts.most_common()],
        "rows": [
            {"connection": row["from"] or "", "external_id": row["entity"], "field": row["field"],
             "old": row["stored"], "new": row["replayed"]}
            for row in found["different"][:SHOWN]
        ],
    }  # fmt: skip


def _duration(text: str) -> float:
    seconds = seconds_of(text)
    if seconds is None:
        raise NeedsReview(f"{text} is no duration", code="WHY-SINCE", where="--since", fix="such as 30s, 5m, 1h30m, 7d")
    return seconds


# The other files


def _other(hub: Hub, files: Sequence[Path]) -> Hub:
    """The hub as it would be with these files; its store and doors are the same."""
    project: Project = hub.projects
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in (project.folder / MAPPINGS).glob("*.yaml"):
            shutil.copy(path, folder)
        for path in files:
            shutil.copy(path, folder / _stands_for(project, path))
        found = load_project(project.folder, mappings=folder)
    stopping = [fault for fault in found.faults if stops(fault)]
    if stopping:
        raise ConfigFault(stopping)
    connections = {
        name: replace(each, mappings=found.mappings[name].streams) if name in found.mappings else each
        for name, each in hub.connections.items()
    }
    return replace(hub, canonical=found.canonical, connections=connections, projects=found)


def _stands_for(project: Project, path: Path) -> str:
    """The project's file that is replaced: by name, else by what the file says it is. Raises ConfigFault CFG-031."""
    document = load_yaml(path).data
    if isinstance(document, Mapping) and "entities" in document:
        return CANONICAL_FILE
    used = {each.mapping for each in project.settings.connections.values()}
    if path.name in used:
        return path.name
    connector = document.get("connector") if isinstance(document, Mapping) else None
    fitting = {each.mapping for each in project.settings.connections.values() if each.connector == connector}
    if len(fitting) != 1:
        message = (
            f"it stands in for no mapping of this project, or for several ({', '.join(sorted(fitting)) or 'none'})"
        )
        fix = f"name it as the one it replaces: {', '.join(sorted(used))}"
        raise ConfigFault([Fault(code="CFG-031", where=path.name, message=message, fix=fix)])
    return fitting.pop()


# One entity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What was decided about an entity since."""

    conflicts: Sequence[ConflictRow]
    changes: Sequence[HistoryRow]


def _is_recent(case: Case, past: _Past, moment: float) -> bool:
    reads = [link.read_at or 0.0 for link in case.links]
    return bool(past.conflicts or past.changes) or max([case.row.created_at, *reads]) >= moment


def _replay_case(case: Case, other: Hub, past: _Past) -> tuple[list[Dict], int]:
    """Rows of what would be different, and how many fields were looked at."""
    declared = other.canonical.entities[case.row.type].fields
    cells = {link.id: _read_again(case, other, link) for link in case.links}
    voices = {link.id: voice_of(other, link) for link in case.links}
    named = [name for name in declared if name in case.states or any(name in each for each in cells.values())]
    rows, looked_at = [], 0
    for name in named:
        if declared[name].derived:
            continue
        looked_at += 1
        ours = {link: each[name] for link, each in cells.items() if name in each}
        row = _replay_field(case, declared[name], ours, voices, past)
        if row is not None:
            rows.append(row)
    return rows, looked_at


def _read_again(case: Case, other: Hub, link: LinkRow) -> Mapping[str, Cell]:
    """A link's cells, with what the other mapping reads otherwise in its last record."""
    cells = case.cells[link.id]
    mapping, now = other.mapping_of(link.connection, link.stream), case.hub.mapping_of(link.connection, link.stream)
    if mapping is None or link.raw is None or link.state not in SPEAKING:
        return cells
    record, changed = stored_record(link), dict(cells)
    reads, read = to_canonical(mapping, record), to_canonical(now, record) if now is not None else None
    for name, value in reads.values.items():
        known = read is not None and name in read.values
        if name not in mapping.in_fields or (known and read is not None and read.values[name] == value):
            continue
        if name in cells and known and _places(mapping, name) == _places(now, name):
            changed[name] = restate_cell(
                mapping.entity_type.fields[name], cells[name], value, link=link.id, before=link.read_at or 0.0,
                version=NO_VERSION,
            )  # fmt: skip
        else:
            changed[name] = first_seen(other, mapping, link, name, value, version=NO_VERSION)
    silent = [name for name in cells if now is not None and name in now.in_fields and name not in mapping.in_fields]
    return {name: cell for name, cell in changed.items() if name not in silent}


def _places(mapping: StreamMapping | None, name: str) -> set[str]:
    return {rule.remote_in for rule in mapping.fields.get(name, ())} if mapping is not None else set()


def _replay_field(
    case: Case, field: CanonicalField, cells: Mapping[int, Cell], voices: Mapping[int, Voice], past: _Past
) -> Dict | None:
    """A row if the field would have another value."""
    state, ruling = case.states.get(field.name, FieldState()), case.rulings.get(field.name)
    found = recompute(field, cells, state, voices, ruling)
    value, winner, decision = found.value, found.winners.get(WHOLE), None
    if ruling is None and field.kind != "set" and found.decided_by != "frozen":
        diverged = _diverged(case, field, voices, past)
        if diverged is not None:
            claims = evidence(field, cells, [state], voices).get(WHOLE, [])
            rest = [claim for claim in claims if claim.link != diverged.claim.link]
            value, memory = decide(field, {WHOLE: [*rest, diverged.claim]}, state.value, voices)
            winner, decision = memory.get(WHOLE), diverged.at
    if value == state.value or same(field, value, state.value) or (is_empty(value) and is_empty(state.value)):
        return None
    voice = voices.get(winner.link) if winner else None
    return {
        "entity": case.name, "field": field.name, "stored": state.value, "replayed": value,
        "from": voice.connection if voice else None, "rule": f"rule:{field.survivorship.rule}",
        "rule_at": field.survivorship.where, "decision": iso(decision),
    }  # fmt: skip


# Earlier decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Diverged:
    """A claim that would stand where another did, and since when."""

    claim: Claim
    at: float


def _diverged(case: Case, field: CanonicalField, voices: Mapping[int, Voice], past: _Past) -> _Diverged | None:
    """The claim that would still stand, after all that was decided and changed since; None if nothing would differ.

    Each decision is made twice from the same candidates, by the rules in force and by the others. Where they part, the
    claim that would have won goes with what came after it, until both come to the same again.
    """
    declared, ours = case.entity.fields.get(field.name), case.voices()
    if declared is None:
        return None
    standing: _Diverged | None = None
    for at, claims, decided in _steps(field.name, past):
        if standing is None and not decided:
            continue
        value, _ = decide(declared, {WHOLE: claims}, None, ours)
        kept = [standing.claim] if standing and all(claim.link != standing.claim.link for claim in claims) else []
        would, memory = decide(field, {WHOLE: [*claims, *kept]}, None, voices)
        if same(field, value, would):
            standing = None
        else:
            standing = _Diverged(claim=memory[WHOLE], at=standing.at if standing else at)
    return standing


def _steps(name: str, past: _Past) -> list[tuple[float, list[Claim], bool]]:
    """(moment, claims, whether several were weighed) of each decision about a field, in order."""
    weighed = {
        row.version: (row.at, [_claim(each) for each in row.candidates], True)
        for row in past.conflicts
        if row.field == name and row.decided_by.startswith("rule:") and row.candidates
    }
    changed = {
        row.version: (row.at, [_changed_by(row.changes[name], row.version)], False)
        for row in past.changes
        if name in row.changes and row.changes[name].get("link") is not None
    }
    return [step for _, step in sorted({**changed, **weighed}.items())]


def _claim(candidate: Mapping[str, Json]) -> Claim:
    return Claim(*(candidate[part] for part in Claim._fields))


def _changed_by(change: Mapping[str, Json], version: int) -> Claim:
    after, before = change.get("window") or (LONG_AGO, LONG_AGO)
    return Claim(change["link"], change["new"], after, before, NO_VERSION, version)
