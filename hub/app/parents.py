"""References of records that are taken in: whom they name, under which name, and what waits for whom.

A record whose parent was never read goes on without it: its cell waits, mended by itself when the parent arrives. Where
a record can be asked for it is sent for; where nothing can be asked (a system that only sends) the record rests, and is
taken in again in the transaction after the one that brought its parent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hub.app.page import PageContext, quarantine_row
from hub.model import Hint, Json, LinkRow, MappedRecord, Reference

WAITS = "waits for a parent"  # reason of a hint; from the second on it says how often it was asked for
SOON, LATE_S = 3, 30.0  # so many times at once; then after half a minute, one, two, four …
LONGEST_S = 86_400.0
RESTS_S = 30 * 86_400.0  # a record that waits for a parent nobody can be asked for looks again after this at the latest


def other_names(page: PageContext, records: Sequence[tuple[LinkRow, MappedRecord | None]]) -> Mapping[int, int]:
    """Roots of what references name now and named before, where the two differ: a merge may have made them one."""
    names: set[int] = set()
    for link, mapped in records:
        for name, ref in mapped.references.items() if mapped is not None else ():
            now = page.parents.get(ref) if ref is not None else None
            for before in _known_as(page, link, name):
                names |= {now, before} if now is not None and before != now else set()
    return page.scene.tx.roots(names) if names else {}


def _known_as(page: PageContext, link: LinkRow, name: str) -> list[int]:
    """Entities that a reference was last written and held as."""
    intent = page.intents.get(link.id)
    written = intent.values.get(name) if intent is not None else None
    held = (link.shadow.get("held") or {}).get(name)
    return [each for each in (written, held) if isinstance(each, int)]


def with_references(page: PageContext, link: LinkRow, mapped: MappedRecord) -> dict[str, Json]:
    """Values with references resolved to entities; an unknown parent makes its cell wait, and is sent for."""
    shown = dict(mapped.values)
    for name, reference in mapped.references.items():
        if reference is None:
            shown[name] = None
        elif reference in page.parents:
            shown[name] = _as_known(page, link, name, page.parents[reference])
        elif (page.connection.name, *reference) in page.scene.link_index:
            shown[name] = page.scene.link_index[page.connection.name, *reference].entity_id
        else:
            _wait_for_parent(page, link, name, reference)
    return shown


def _as_known(page: PageContext, link: LinkRow, name: str, now: int) -> int:
    """Whom a reference names, under the name that it is known by: who was merged since is no other person."""
    root = page.names.get(now, now)
    return next((each for each in _known_as(page, link, name) if page.names.get(each, each) == root), now)


def _wait_for_parent(page: PageContext, link: LinkRow, name: str, reference: Reference) -> None:
    """Where nothing can be sent for, the record rests until its parent is told of (`wake`)."""
    now = page.scene.now
    source = page.mapping.source
    if page.connection.connector.only_listens:
        why = waits_for(reference.stream, reference.external_id)
        page.hints.append((page.connection.name, source, link.external_id or "", None, now + RESTS_S, why))
    else:
        asked = page.waited.get(link.external_id or "", 0)
        due_at = now if asked < SOON else now + min(LATE_S * 2 ** min(asked - SOON, 20), LONGEST_S)
        page.hints.append((page.connection.name, reference.stream, reference.external_id, None, due_at, "parent"))
        page.hints.append(
            (page.connection.name, source, link.external_id or "", None, due_at, f"{WAITS} ({asked + 1})")
        )
    page.counts["waiting_cells"] += 1
    page.quarantine.append(
        quarantine_row(
            page, link.external_id or "", name, "REF-WAITS",
            f"names {reference.stream} {reference.external_id}, which the hub has not read yet",
            "nothing to do: it is sent for, and mends itself when it arrives",
            {"stream": reference.stream, "external_id": reference.external_id},
        )
    )  # fmt: skip


def waited(hints: Iterable[Hint]) -> dict[str, int]:
    """External id -> how often it was read only to look for its parent: one that never comes is asked for ever less."""
    mine = [hint for hint in hints if hint.reason.startswith(WAITS)]
    told = ((hint.external_id, hint.reason.removeprefix(WAITS).strip(" ()")) for hint in mine)
    return {external_id: int(times) if times.isdigit() else 1 for external_id, times in told}


def waits_for(stream: str, external_id: str) -> str:
    """The reason of a hint that rests until this record is told of; of absurd ids, only the beginning counts."""
    return f"waits for {stream} {external_id}"[:500]


def wake(page: PageContext) -> None:
    """Records that were told of for the first time: whoever waits for them is taken in again."""
    if page.fresh and page.connection.connector.only_listens:
        reasons = [waits_for(page.mapping.name, each) for each in page.fresh]
        page.scene.tx.wake_hints(page.connection.name, reasons, page.scene.now)
