"""Forgetting a person (law L22): no value of theirs is left, and no reading brings them back.

What stays: the number of the entity, since the ledger names it; events and grants with their sums and times, without a
word that tells who it was; and keyed hashes of the records and strong keys, by which the person is recognised should
any system, or another one, show them again. What the systems themselves hold is theirs to erase: the report names every
record there.

Refused while a write or a reward is under way: nobody could say any more whose it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hub.app.context import Hub
from hub.app.forgotten import STRONG, record_hash
from hub.app.gone import keyed
from hub.app.listings import Dict
from hub.app.personal import (
    Subject,
    deliveries_of,
    entity_names,
    plans_naming,
    subject_of,
    unfit_of,
    words_of,
)
from hub.app.plan_pages import parts_of
from hub.app.planned import digest_of, packed
from hub.app.reward_moves import locked, move
from hub.app.transact import commit
from hub.app.why import find_key
from hub.core.canonical import EntityType
from hub.core.rewards import PEOPLE, Entry, GrantState
from hub.errors import NeedsReview, NotFound
from hub.model import Json
from hub.store import Tx

KEPT = frozenset({"money", "integer", "decimal", "boolean", "instant", "enum", "ref"})  # types that tell nobody's name
ERASURES = "erasures"  # the setting that counts them: who keeps something in a process knows when to drop it
FREE = (GrantState.WAITING_APPROVAL, GrantState.RESERVED)  # nothing was sent for these
UNDER_WAY = (GrantState.SENDING, GrantState.UNKNOWN, GrantState.NEEDS_PERSON)
MANY = 1_000_000


def preview_erase(hub: Hub, target: str) -> Dict:
    """What would be erased, where the person stays, and what stands in the way. Raises as `erase`, but ERASE-BUSY."""
    with hub.store.reading() as tx:
        subject = _person(hub, tx, target)
        return {**_report(tx, subject), "in_the_way": _in_the_way(tx, subject)}


def erase(hub: Hub, target: str, *, by: str) -> Dict:
    """Forget a person.

    Returns:
        {"entity", "entities": how many were emptied, "records": where the person still is: [{connection, stream,
         external_id}], "mentioned_in", "rewards": how many lines of the ledger stay, "plans", "webhooks"}

    Raises:
        NotFound. NeedsReview: ERASE-TYPE, that is no person; ERASE-BUSY, a write or a reward is under way.
    """

    def work(tx: Tx) -> Dict:
        subject = _person(hub, tx, target)
        tx.entities(subject.entities, lock=True)
        waits = _in_the_way(tx, subject)
        if waits:
            raise NeedsReview(
                "something of theirs is under way, and nobody knows yet how it ends", code="ERASE-BUSY",
                where=subject.name, fix="; ".join(waits),
            )  # fmt: skip
        report, names, now = _report(tx, subject), entity_names(tx, subject), hub.clock.now()
        _take_back(tx, subject, now)
        _strip_plans(tx, names)
        words = words_of(tx, subject)
        tx.drop_deliveries((name, key) for name, key, _ in deliveries_of(tx, words))
        tx.drop_quarantine(unfit_of(tx, words))
        tx.remember_erased(subject.root, hashes_of(hub, tx, subject), at=now, by=by)
        tx.set_event_values(_bare_events(hub, tx, subject))
        tx.set_segments(dict.fromkeys(subject.entities, ()))
        records = [(link.connection, link.stream, link.external_id) for link in subject.links if link.external_id]
        tx.erase_entities(subject.entities, records, names)
        tx.audit(by, "erased", subject.name, None, {"entities": len(subject.entities), "records": len(records)}, now)
        tx.set_setting(ERASURES, (tx.setting(ERASURES) or 0) + 1)
        return report

    return commit(hub, work)


def allow_again(hub: Hub, target: str, *, by: str) -> int:
    """Somebody who was erased wants to be known again: what shows them is taken in from now on.

    Args:
        target: "contact:ann@example.org", as `hub why` takes it; or the number, "contact:42".

    Returns how many hashes are forgotten. Raises NotFound: nobody like that was erased.
    """
    kind, _, rest = target.partition(":")
    entity = hub.canonical.entities.get(kind)

    def lift(tx: Tx) -> int:
        keys = find_key(entity, rest) if entity is not None else []
        known = tx.erased(keyed(hub.instance, kind, name, value) for name, value in keys)
        ids = set(known.values()) | ({int(rest)} if rest.isdigit() else set())
        lifted = tx.lift_erasure(ids) if ids else 0
        if not lifted:
            raise NotFound(f"nobody like {kind} was erased", where=kind, fix="name a whole key, or the number")
        tx.audit(by, "allowed again", ", ".join(f"{kind}:{each}" for each in sorted(ids)), None, None, hub.clock.now())
        return lifted

    return commit(hub, lift)


# What is theirs


def _person(hub: Hub, tx: Tx, target: str) -> Subject:
    subject = subject_of(hub, tx, target)
    if subject.kind not in PEOPLE:
        raise NeedsReview(
            f"a {subject.kind} is no person", code="ERASE-TYPE", where=subject.name, fix=f"erase a {PEOPLE[0]}"
        )
    return subject


def _report(tx: Tx, subject: Subject) -> Dict:
    names = entity_names(tx, subject)
    return {
        "entity": subject.name, "entities": len(subject.entities),
        "records": [
            {"connection": link.connection, "stream": link.stream, "external_id": link.external_id}
            for link in subject.links
            if link.external_id and link.state not in ("gone", "merged_into")
        ],
        "mentioned_in": list(subject.mentions),
        "rewards": sum(len(tx.grants(subject_id=each, limit=MANY)) for each in subject.members),
        "plans": len(plans_naming(tx, names)), "webhooks": len(deliveries_of(tx, words_of(tx, subject))),
    }  # fmt: skip


def _in_the_way(tx: Tx, subject: Subject) -> list[str]:
    """Writes and orders of which nobody knows yet whether they happened."""
    found = []
    intents = tx.intents_for([link.id for link in subject.links])
    if intents:
        found.append(f"{len(intents)} writes are not settled: hub sync settles them")
    grants = [grant for each in subject.members for grant in tx.grants(subject_id=each, limit=MANY)]
    found += [
        f"reward {grant.id} is {grant.state}: hub rewards show {grant.id}"
        for grant in grants
        if grant.state in UNDER_WAY
    ]
    return found


def hashes_of(hub: Hub, tx: Tx, subject: Subject) -> list[str]:
    """By what they are recognised: their records, and what identifies a person by itself."""
    records = [
        record_hash(hub.instance, link.connection, link.stream, link.external_id)
        for link in subject.links
        if link.external_id
    ]
    strong = {key.name for key in hub.canonical.entities[subject.kind].keys if key.strength == STRONG}
    keys = [
        keyed(hub.instance, kind, name, value)
        for _, kind, name, value in tx.keys_of_entities(subject.members)
        if name in strong
    ]
    return [*records, *keys]


# Out of everything else


def _take_back(tx: Tx, subject: Subject, now: float) -> None:
    """Rewards for which nothing was sent yet are not sent any more; their money is free."""
    for member in subject.members:
        for grant in tx.grants(subject_id=member, limit=MANY):
            if grant.state in FREE:
                held = locked(tx, grant.id)
                move(tx, held, GrantState.REVERSED, Entry.REVERSAL, at=now, detail="the person was erased")


def _bare_events(hub: Hub, tx: Tx, subject: Subject) -> dict[int, Mapping[str, Json]]:
    """Event -> sums, times and stages of it; no text."""
    found: dict[int, Mapping[str, Json]] = {}
    for event in [*tx.events(entity_ids=subject.entities), *tx.events(subject_ids=subject.members)]:
        kind = hub.canonical.entities.get(event.name.partition(".")[0])
        found[event.id or 0] = {name: value for name, value in event.values.items() if _is_bare(kind, name)}
    return found


def _is_bare(entity: EntityType | None, name: str) -> bool:
    declared = entity.fields.get(name) if entity is not None else None
    return declared is not None and (declared.kind in KEPT or declared.type in KEPT)


def _strip_plans(tx: Tx, names: Sequence[str]) -> None:
    """Plans lose their writes to these entities; what is left of one that waits can still be let go."""
    gone = set(names)
    for number, document in plans_naming(tx, names):
        writes = [write for write in document["writes"] if write["entity"] not in gone]
        bare = {**document, "writes": writes}
        bare["digest"] = digest_of(bare)
        row = tx.plan_head(number)
        outcome = _without(row.outcome, gone)
        tx.rewrite_plan(
            replace(row, digest=bare["digest"], outcome=outcome, content=packed(bare), parts=parts_of(bare))
        )


def _without(outcome: Json, names: Iterable[str]) -> Json:
    """What became of a plan, without the rows of these entities."""
    gone = set(names)
    if isinstance(outcome, list):
        return [_without(each, gone) for each in outcome if not (isinstance(each, dict) and each.get("entity") in gone)]
    if isinstance(outcome, dict):
        return {name: _without(each, gone) for name, each in outcome.items()}
    return outcome
