"""What the hub's books must say at rest: deletes, merges, rulings, consent, evidence, runs (reliability.md §1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from hub.app.runs import TROUBLE
from hub.core.merge import Voice, decide, evidence
from hub.core.shadow import is_empty, unpack_fields, unpack_shadow
from hub.core.values import to_instant
from hub.model import Cell, ConflictKind, EntityRow, FieldState, HistoryRow, Json, LinkRow, LinkState
from hub.verify.laws import entities_and_links, standing_rulings
from hub.verify.vendor import ADDRESS, CONSENT, SimVendor

if TYPE_CHECKING:
    from hub.verify.history import History

TRUE_OF = {"running": None, "interrupted": None}  # statuses that the counts do not decide


def check_deletes(history: History) -> list[str]:
    """L7 what is deleted stays so, what is restored is heard again; L8 no delete of ours, no merge read as one."""
    broken = []
    _, links = entities_and_links(history)
    with history.store.reading() as tx:
        asked = tx.conflicts(kind=ConflictKind.EDIT_DELETE, state="closed", limit=100_000)
    kept = {row.entity_id for row in asked if row.decided_by.startswith("person")}  # somebody wanted it made again
    by_id = {(link.connection, link.external_id): link for found in links.values() for link in found}
    mates = {link.id: found for found in links.values() for link in found}
    for vendor in history.vendors.values():
        for external_id, versions in vendor.records.items():
            broken += [
                f"L8 {external_id} was deleted by the hub" for v in versions if v.fields is None and v.by == "hub"
            ]
            link = by_id.get((vendor.name, external_id))
            if link is not None:
                mine = [each for each in mates[link.id] if each.entity_id == link.entity_id]
                siblings = [each for each in mine if each.connection == vendor.name and each is not link]
                broken += _fate(history, vendor, link, siblings if link.entity_id not in kept else [])
    return broken


def _fate(history: History, vendor: SimVendor, link: LinkRow, siblings: list[LinkRow]) -> list[str]:
    """Whether the link of a record says what became of it."""
    external_id = link.external_id or ""
    now = vendor.current(external_id)
    if now.fields is not None:
        heard = link.state in (LinkState.LIVE, LinkState.DUPLICATE, LinkState.OUT_OF_SCOPE)
        return [] if heard else [f"L7 {external_id} is there, and its link is {link.state}"]
    if now.merged_into is not None and link.state != LinkState.MERGED_INTO:
        return [f"L8 {external_id} was merged into {now.merged_into}, and its link is {link.state}"]
    if history.restored:
        return []  # a record of the gap may be made once more: nobody knows that it was deleted
    later = [each for each in siblings if each.state == LinkState.LIVE and each.id > link.id]
    again = [each.external_id for each in later if each.external_id]
    made = [each for each in again if vendor.records[each][0].by == "hub" and each not in vendor.belated]
    if link.state in (LinkState.GONE, LinkState.MERGED_INTO) and made:
        return [f"L7 {external_id} is deleted, and the hub made {made[0]} of it"]
    return []


# Values and their evidence


def check_evidence(history: History) -> list[str]:
    """L10 the order of claims does not decide, L21 the same winner from stored evidence, L18 a ruling stands."""
    entities, links = entities_and_links(history)
    broken, rulings = [], standing_rulings(history)
    for entity in entities:
        kind = history.canonical.entities[entity.type]
        states = unpack_fields(entity.fields, entity.values)
        for name, state in states.items():
            ruling = rulings[entity.id].get(name)
            if ruling is not None and (state.value != ruling.value or state.ruling != ruling.id):
                broken.append(f"L18 contact:{entity.id}.{name} is {state.value!r}, {ruling.by} ruled {ruling.value!r}")
            if ruling is None and state.ruling is None and not kind.fields[name].derived:
                broken += _from_evidence(history, entity, name, state, links[entity.id])
    return broken


def _from_evidence(
    history: History, entity: EntityRow, name: str, state: FieldState, links: list[LinkRow]
) -> Iterator[str]:
    declared = history.canonical.entities[entity.type].fields[name]
    shadows = {link.id: unpack_shadow(link.shadow) for link in links}
    cells: dict[int, Cell] = {each: cells[name] for each, cells in shadows.items() if name in cells}
    if not is_empty(state.value) and not state.memory:
        yield f"L21 contact:{entity.id}.{name} is {state.value!r}, and nothing says why"
        return
    if state.frozen is not None:  # it stands still, whatever is claimed, until a person decides
        with history.store.reading() as tx:
            asked = tx.conflicts(state="open", entity_id=entity.id, field=name, kind=ConflictKind.OSCILLATION)
        if not asked:
            yield f"L18 contact:{entity.id}.{name} stands still, and nobody is asked"
        return
    voices = _voices(history, links)
    found = evidence(declared, cells, [state], voices)
    for order in (1, -1):
        turned = {part: claims[::order] for part, claims in found.items()}
        value, _ = decide(declared, turned, state.value, voices)
        if value != state.value:
            law = "L21" if order == 1 else "L10"
            yield f"{law} contact:{entity.id}.{name} is {state.value!r}; from its evidence it would be {value!r}"


def _voices(history: History, links: list[LinkRow]) -> dict[int, Voice]:
    speaking = (LinkState.LIVE, LinkState.DUPLICATE, LinkState.OUT_OF_SCOPE)
    return {
        link.id: Voice(
            link=link.id, connection=link.connection, connector=link.connection, rank=history.hub.rank(link.connection),
            speaks=link.state in speaking,
        )
        for link in links
    }  # fmt: skip


def check_nothing_invented(history: History) -> list[str]:
    """L5: no value was ever the hub's that nobody typed; no address is made of two."""
    if history.restored:
        return []  # what our own writes of the gap came to in a system that cuts and trims, looks like an edit there
    typed = {
        (name, str(fields[name]))
        for vendor in history.vendors.values()
        for versions in vendor.records.values()
        for version in versions
        if version.by == "user" and (fields := version.fields) is not None
        for name in fields
    }
    entities, _ = entities_and_links(history)
    with history.store.reading() as tx:
        rows = tx.history([entity.id for entity in entities])
    ruled = {(each, name) for each, found in standing_rulings(history).items() for name in found}
    broken = []
    told = [(row.entity_id, name, change["new"]) for row in rows for name, change in row.changes.items()]
    told += [(entity.id, name, value) for entity in entities for name, value in entity.values.items()]
    for entity_id, name, value in told:
        if name in ("tags", CONSENT) or is_empty(value) or (entity_id, name) in ruled:
            continue
        parts = {part: value[part] for part in ADDRESS} if name == "address" else {name: value}
        broken += [f"L5 nobody typed {each!r}" for part, each in parts.items() if (part, str(each)) not in typed]
        if name == "address" and value["street"].removeprefix("street") != value["city"].removeprefix("city"):
            broken.append(f"L5 nobody lives at {value!r}")
    return broken


# Consent


def check_consent(history: History) -> list[str]:
    """L20: by machine, consent only opens by evidence that is later than the opt-out."""
    entities, _ = entities_and_links(history)
    with history.store.reading() as tx:
        rows = tx.history([entity.id for entity in entities])
    ruled = {each for each, found in standing_rulings(history).items() if CONSENT in found}
    broken: list[str] = []
    outs: dict[int, float] = {}
    for row in sorted(rows, key=lambda each: each.version):
        if CONSENT in row.changes and row.entity_id not in ruled:
            broken += _opened(row, outs)
    if history.restored:
        return broken
    for entity in entities:
        if entity.id not in ruled:
            broken += _last_word(history, entity)
    return broken


def _opened(row: HistoryRow, outs: dict[int, float]) -> Iterator[str]:
    """One change of consent: of an opt-out the end of its window is kept, of an opt-in it is asked for its evidence."""
    change: Mapping[str, Json] = row.changes[CONSENT]
    old, new = change["old"] or {}, change["new"] or {}
    if new.get("state") == "opted_out":
        outs[row.entity_id] = change["window"][1] if change["window"] else 0.0
    if old.get("state") != "opted_out" or new.get("state") == "opted_out":
        return
    if new.get("state") != "opted_in" or not new.get("at") or not new.get("source"):
        yield f"L20 contact:{row.entity_id} is no longer opted out, without any evidence"
    elif to_instant(new["at"]) < outs.get(row.entity_id, 0.0):
        yield f"L20 contact:{row.entity_id} opted in at {new['at']}, before it opted out"


def _last_word(history: History, entity: EntityRow) -> Iterator[str]:
    """Who opted out last, and was not overruled in his own system since, is opted out."""
    consent = entity.values.get(CONSENT) or {}
    if consent.get("state") != "opted_in":
        return
    since = to_instant(consent["at"])
    for vendor in history.vendors.values():
        last = {
            edit.external_id: edit
            for edit in vendor.edits
            if edit.field == CONSENT and _code(vendor, edit.external_id) == entity.values.get("code")
        }
        for external_id, edit in last.items():
            out = edit.value is True or (
                isinstance(edit.value, dict) and edit.value["marketingState"] == "UNSUBSCRIBED"
            )
            if not out or vendor.current(external_id).fields is None:
                continue
            remote = "optout" if edit.value is True else "marketing"
            at = int(edit.at) if edit.value is True else to_instant(edit.value["marketingUpdatedAt"])
            if at > since and (external_id, remote, str(edit.value)) not in vendor.exposed:
                yield f"L20 {external_id} opted out at {at}, contact:{entity.id} is opted in since {consent['at']}"


def _code(vendor: SimVendor, external_id: str) -> Json:
    return next((v.fields["code"] for v in reversed(vendor.records[external_id]) if v.fields is not None), None)


# Runs


def check_runs(history: History) -> list[str]:
    """L23: a run is what its rows say; the rows of its streams make up its counts."""
    broken = []
    with history.store.reading() as tx:
        for run in tx.runs(limit=10_000):
            if run.status in TRUE_OF:
                continue
            streams = tx.run_streams(run.id)
            told = "failed" if run.error else "partial" if any(run.counts.get(name) for name in TROUBLE) else "success"
            if run.status != told and not (run.status == "paused" and run.error):
                broken.append(f"L23 run {run.id} says {run.status}, its rows {told}")
            for name in ("rows", "new", "changed", "created", "updated"):
                total = sum(row.counts.get(name, 0) for row in streams)
                if total != run.counts.get(name, 0):
                    broken.append(f"L23 run {run.id} counts {run.counts.get(name, 0)} {name}, its streams {total}")
    return broken
