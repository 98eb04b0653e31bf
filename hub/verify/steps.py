"""What must hold at every step, not only at rest: the cheap half of the laws (reliability.md §1.2, "I").

A write is checked at the moment it reaches a system, a page when it is counted, links now and then, the cursor after
every crash. Each answers with what is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hub.app.gone import GONE
from hub.core.shadow import unpack_shadow
from hub.core.values import same
from hub.model import NO_VERSION, ChangeSet, ConflictRow, Intent, Json, LinkRow, RulingRow
from hub.verify.vendor import LATE_WRITE_S, STREAM, SimVendor

if TYPE_CHECKING:
    from hub.app.runs import ConnectionRun
    from hub.store.rows import LeaseRow
    from hub.verify.history import History

# Every row of a page becomes exactly one of these.
OUTCOMES = (
    "new", "changed", "unchanged", "stale", "deferred", "out_of_scope", "quarantined", "keyless", "deleted",
    "merged_away", "held_deletes", "erased",
)  # fmt: skip


# A write, when it reaches a system


def check_write(history: History, vendor: SimVendor, change: ChangeSet) -> list[str]:
    """L1 only what is due, L15 not without its intent, L18 not over an open question, D11 not against the mapping,
    D12 to the record that was meant."""
    with history.store.reading() as tx:
        intents = [each for each in tx.intents_of_entities([change.entity_id]) if each.link_id == change.link_id]
        link = tx.links_by_ids([change.link_id], raw=False).get(change.link_id)
        root = tx.roots([change.entity_id])[change.entity_id]
        entity, joined = tx.entities([root])[root], len(tx.alias_closure([root])[root]) > 1  # codes of several people
        asked = tx.conflicts(state="open", entity_id=root, limit=50)
        rulings = tx.rulings([root]).get(root, {}) if asked else {}
    return [
        *_without_intent(history.clock.now(), vendor, change, intents),
        *_against_mapping(history, vendor, change),
        *([] if joined else _to_another(vendor, change, entity.values)),
        *_not_due(history, change),
        *([] if joined else _over_a_question(change, link, asked, rulings)),
    ]


def _without_intent(now: float, vendor: SimVendor, change: ChangeSet, intents: Sequence[Intent]) -> list[str]:
    """No call leaves without its intent, with the same body, or when its time to start is over.

    A resent create may just have been proved, and its record may just have been seen to go.
    """
    fits = [each for each in intents if each.body == dict(change.body) and each.op == change.op]
    under_way = ("open", "acked", GONE)
    alive = [each for each in fits if each.state in under_way or (each.op, each.state) == ("create", "done")]
    if alive and max(each.last_possible or now for each in alive) < now + LATE_WRITE_S:
        return [f"L16 a call to {vendor.name} left so late that nobody waits for it any more"]
    if alive:
        return []
    return [f"L15 write without intent at {vendor.name}: {change.op} {change.external_id}"]


def _against_mapping(history: History, vendor: SimVendor, change: ChangeSet) -> list[str]:
    mapping = history.mappings[vendor.name]
    allowed = {rule.remote_out for rule in mapping.rules if rule.direction != "in"}
    return [f"D11 {vendor.name} is given {name}, which is only read" for name in change.body if name not in allowed]


def _to_another(vendor: SimVendor, change: ChangeSet, values: Mapping[str, Json]) -> list[str]:
    """Codes are for ever: a write goes to the record that bears the entity's."""
    if change.op == "create" or change.external_id not in vendor.records or "code" in change.body:
        return []  # after a split it is given its own code back
    fields = next((v.fields for v in reversed(vendor.records[change.external_id]) if v.fields is not None), {})
    if fields.get("code") == values.get("code"):
        return []
    return [f"D12 {change.external_id} is {fields.get('code')}, and is written as {values.get('code')}"]


def _not_due(history: History, change: ChangeSet) -> list[str]:
    fields = history.canonical.entities["contact"].fields
    if change.op == "create":
        return []
    return [
        f"L1 {change.external_id}.{name} is written, though it holds {value!r}"
        for name, value in change.values.items()
        if name in change.before and same(fields[name], change.before[name], value)
    ]


def _over_a_question(
    change: ChangeSet, link: LinkRow | None, asked: Sequence[ConflictRow], rulings: Mapping[str, RulingRow]
) -> list[str]:
    """While a person has yet to decide, a system that holds a candidate keeps it; what was ruled on is decided."""
    if link is None:
        return []
    cells = unpack_shadow(link.shadow)
    return [
        f"L18 {change.external_id}.{row.field} is written over an open question"
        for row in asked
        if row.field in change.values and row.field in cells and cells[row.field].own
        for bar in [rulings[row.field].version if row.field in rulings else NO_VERSION]
        if any(
            each["link"] == link.id and each["value"] == cells[row.field].held and each["taken"] > bar
            for each in row.candidates
        )
    ]


# A page, when it is counted


def check_sum(connection: str, counts: Counter[str]) -> list[str]:
    """L23: every row became exactly one thing."""
    told = sum(counts[name] for name in OUTCOMES)
    return (
        [] if told == counts["rows"] else [f"L23 {connection}: {counts['rows']} rows read, {told} told of: {+counts}"]
    )


# Leases


def lease_of(history: History, name: str) -> LeaseRow | None:
    """Who runs a connection now."""
    with history.store.reading() as tx:
        return tx.lease_holder(f"connection:{name}")


def check_lease(history: History, name: str, before: LeaseRow | None, runs: Sequence[ConnectionRun]) -> list[str]:
    """L12 of runs: nobody runs what another holds; a lease that ran out is taken over."""
    if before is None or before.expires_at <= 0.0:
        return []
    if not runs:
        history.story.counts["run:refused"] += 1
        return []
    if before.expires_at > history.clock.now():
        return [f"L16 {name} is run by two: {before.owner} holds it until {before.expires_at:.0f}"]
    history.story.counts["run:taken over"] += 1
    return []


# Links, now and then


def check_always(history: History) -> list[str]:
    """L5: the stamp of a link never goes back."""
    with history.store.reading() as tx:
        entities = tx.entities_page(limit=10_000)
        links = tx.links_of([entity.id for entity in entities], raw=False)
    broken = [
        f"L5 the stamp of {link.external_id} went back from {history.stamps[link.id]} to {link.stamp}"
        for link in links
        if link.id in history.stamps and (link.stamp or 0.0) < history.stamps[link.id]
    ]
    history.stamps |= {link.id: link.stamp for link in links if link.stamp is not None}
    return broken


# The cursor, after a crash


def check_cursors(history: History) -> list[str]:
    """L14: a cursor stands where a page ended that is there wholly."""
    broken = []
    for name, vendor in history.vendors.items():
        with history.store.reading() as tx:
            state = tx.cursor(name, STREAM)
            pages = vendor.pages.get(repr(state["at"]), []) if state else []
            shown = {external_id for page in pages for external_id, _ in page}
            links = tx.links_by_keys(name, STREAM, sorted(shown), raw=False)
            waits = {hint.external_id for hint in tx.due_hints(name, 1e12, 1000)}
            waits |= {row.external_id for row in tx.quarantine(connection=name)}
        if pages and not any(all(_is_in(links, waits, vendor, *row) for row in page) for page in pages):
            broken.append(f"L14 the cursor of {name} has passed a page that is not in the store")
    return broken


def _is_in(links: Mapping[str, LinkRow], waits: set[str], vendor: SimVendor, external_id: str, stamp: float) -> bool:
    link = links.get(external_id)
    if link is not None:
        return (link.stamp or 0.0) >= stamp or external_id in waits
    return external_id in waits or any(v.stamp == stamp and v.fields is None for v in vendor.records[external_id])
