"""Writing: every row is told what became of it, what may have landed is unknown, and nothing is made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from hub.connector import Idempotency, Stream
from hub.core.mapping import StreamMapping, to_canonical, to_external
from hub.core.values import is_blank
from hub.errors import HubError, NeedsReview
from hub.kit import contract
from hub.kit.contract import NotShown, read_all, records_of
from hub.kit.pushing import failed_results
from hub.model import ChangeSet, Json, PushResult, SourceRecord
from hub.verify.certify import giving, hands
from hub.verify.certify.hands import HOUR_S
from hub.verify.certify.reading import GONE, SPARE_CALLS, State, full
from hub.verify.certify.stand import Stand

WRITES = ("POST", "PATCH", "PUT", "DELETE")
MOST_BATCH = 1_000
FEW = 4


def writing(stand: Stand, stream: str, op: str) -> Stream:
    """The stream's facts. Raises NotShown if it has no such write."""
    facts = stand.connector.stream(stream)
    if stand.connector.push is None or not facts.writes:
        raise NotShown("nothing is written here")
    if op not in facts.writes:
        raise NotShown(f"there is no {op} here")
    return facts


def push(stand: Stand, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
    """One result per change, in order. An error that stops the call is told of all of them, as the engine does it."""
    assert stand.connector.push is not None
    try:
        results = list(stand.connector.push(stand.api, stream, changes))
    except HubError as error:
        results = failed_results(range(len(changes)), error)
    indexes = sorted(result.index for result in results)
    assert indexes == list(range(len(changes))), f"{len(changes)} changes, results for {indexes}"
    return sorted(results, key=lambda result: result.index)


def change(op: str, body: Mapping[str, Json], record: SourceRecord | None = None, number: int = 1) -> ChangeSet:
    """A change set as the engine would send it."""
    return ChangeSet(
        link_id=number, entity_id=number, op=op, external_id=record.external_id if record else None, values={},
        before={}, stamp=record.stamp if record else None, etag=record.etag if record else None, body=body,
        reference=f"certify:{number}", idempotency_key=f"certify-{op}-{number}",
    )  # fmt: skip


def live(stand: Stand, stream: str) -> list[SourceRecord]:
    """The records as listed. Raises NotShown if there is none."""
    pages = read_all(stand.restarted(), stream)
    found = {record.external_id: record for record in records_of(pages) if record.op not in GONE}
    if not found:
        raise NotShown("the vendor has no record")
    return list(found.values())


def mapping_of(stand: Stand, stream: str) -> StreamMapping:
    """The mapping that writes this stream. Raises NotShown if there is none."""
    for mapping in stand.candidate.mappings:
        if mapping.source == stream and mapping.out_fields:
            return mapping
    raise NotShown("its mapping writes nothing here")


def newborn(stand: Stand, stream: str, number: int) -> ChangeSet:
    """The create of a record like those that are there, under keys of its own. Raises NotShown if none can be made."""
    if stand.connector.stream(stream).gives == giving.ORDER:
        return giving.order(stand, number)
    mapping = mapping_of(stand, stream)
    known = [to_canonical(mapping, record).values for record in live(stand, stream)[:50]]
    like = max(known, key=lambda values: sum(not is_blank(value) for value in values.values()))
    chosen = {field.name for field in stand.connector.discover(stand.api, stream) if field.options}
    values = {
        name: like.get(name)
        if chosen & {rule.remote_out for rule in mapping.fields[name]}
        else _own(mapping.entity_type.fields[name].type, name, like.get(name), number)
        for name in mapping.out_fields
        if mapping.entity_type.fields[name].type != "ref"
    }
    made = to_external(mapping, values, changed=values, external_ids={}, creating=True)
    if made.blocked:
        raise NotShown("a create needs more than a record of its own")
    return change("create", made.body, number=number)


def _own(kind: str, name: str, value: Json, number: int) -> Json:
    """A value like this one that no other record has."""
    match kind:
        case "email":
            return f"certify{number}@example.com"
        case "phone":
            return f"+4930{9_100_000 + number}"
        case "host":
            return f"certify{number}.example.com"
        case "url":
            return f"https://certify{number}.example.com"
        case "group" if name == "name":
            return {**(value or {}), "first_name": "Certify", "last_name": f"Number {number}"}
        case "text":
            return f"Certify {number}"
    return value


# One record


def check_update(stand: Stand, stream: str) -> str:
    """Contract: an update is answered by what is now stored, or read back."""
    writing(stand, stream, "update")
    contract.check_push(stand, stream)
    return ""


def _creating(stand: Stand, stream: str) -> Stream:
    """The stream's facts. Raises NotShown if nothing is created here, or what is can be seen nowhere."""
    facts = writing(stand, stream, "create")
    if facts.cursor == "none":
        raise NotShown("what was sent is listed nowhere")
    return facts


def check_create(stand: Stand, stream: str) -> str:
    """A create gives the id under which the record is then read, and the record carries the hub's id."""
    facts = _creating(stand, stream)
    born = newborn(stand, stream, 1)
    before = full(stand, stream)
    (result,) = push(stand, stream, [born])
    assert result.outcome == "applied", f"{result.outcome}: {result.code} {result.message}"
    assert result.external_id, "applied, and no id"
    _later(stand, facts)
    after = {record.external_id: record for record in live(stand, stream)}
    assert after.keys() - before.keys() == {result.external_id}, "the new record is not the one that was named"
    if facts.marker is None:
        return "the vendor has no field for the hub's id"
    assert after[result.external_id].marker == born.reference, "the new record does not carry the hub's id"
    return f"the hub's id stands in {facts.marker}"


def check_find(stand: Stand, stream: str) -> str:
    """A record is found by the hub's id on it: what settles a create whose answer was lost."""
    facts = writing(stand, stream, "create")
    if not facts.marker or stand.connector.find is None:
        raise NotShown("the vendor has no field for the hub's id that could be looked up")
    born = newborn(stand, stream, 1)
    (result,) = push(stand, stream, [born])
    _later(stand, facts)
    try:
        found = stand.connector.find(stand.api, stream, facts.marker, born.reference)
        nobody = stand.connector.find(stand.api, stream, facts.marker, "certify:404")
    except NeedsReview:
        assert facts.idempotency is Idempotency.UNIQUE_REFERENCE, "a lost create could not be looked up"
        raise NotShown("nothing is looked up by it: the vendor itself makes one of a repeated create") from None
    assert [each.external_id for each in found] == [result.external_id], f"{len(found)} records by one id"
    assert not nobody, "a record is found by an id that nothing carries"
    return ""


def check_nobody(stand: Stand, stream: str) -> str:
    """An update of a record that is not there is told as such, and makes none."""
    writing(stand, stream, "update")
    record, name = live(stand, stream)[0], contract.text_field(stand, stream)
    before = full(stand, stream)
    other = SourceRecord(external_id=_other_id(record.external_id), data={})
    (result,) = push(stand, stream, [change("update", {name: "Nobody"}, other)])
    assert result.outcome in ("not_found", "rejected", "stale"), f"an update of nobody was {result.outcome}"
    assert full(stand, stream).keys() == before.keys(), "an update of nobody made somebody"
    return result.outcome


def _other_id(known: str) -> str:
    return known[:-4] + "9" * 4 if known[-4:].isalnum() else f"{known}9999"


def check_remove(stand: Stand, stream: str) -> str:
    """A delete or an archive is carried out, and doing it again is no error. A code is switched off, and stays."""
    facts = stand.connector.stream(stream)
    op = "archive" if "archive" in facts.writes else "delete"
    writing(stand, stream, op)
    before = full(stand, stream)
    hands.newcomers(stand, stream)
    there = live(stand, stream)
    record = next((each for each in there if each.external_id not in before), there[-1])
    (result,) = push(stand, stream, [change(op, {}, record)])
    assert result.outcome == "applied", f"{result.outcome}: {result.code} {result.message}"
    left = full(stand, stream).get(record.external_id)
    assert left is None or (facts.gives and left != record.data), "it is still there, as it was"
    (again,) = push(stand, stream, [change(op, {}, record, 2)])
    assert again.outcome in ("applied", "not_found", "stale"), f"the second time: {again.outcome} {again.code}"
    return f"{op}; the second time {again.outcome}"


def check_stale(stand: Stand, stream: str) -> str:
    """Somebody edited in between: the write is refused as stale, and the edit stands."""
    facts = writing(stand, stream, "update")
    if facts.precondition == "none":
        raise NotShown("the vendor takes no precondition; the record is read right before")
    name = contract.text_field(stand, stream)
    seen, before = {record.external_id: record for record in live(stand, stream)}, full(stand, stream)
    stand.advance(HOUR_S)
    hands.edit(stand, stream, at=-1)
    edited = full(stand, stream)
    record = seen[next(key for key, data in edited.items() if data != before[key])]
    (result,) = push(stand, stream, [change("update", {name: "Too late"}, record)])
    assert result.outcome == "stale", f"a write over somebody's edit was {result.outcome}"
    assert full(stand, stream) == edited, "the edit was overwritten"
    return facts.precondition


# Many records


def check_partial_batch(stand: Stand, stream: str) -> str:
    """One bad row among good ones: it alone is refused, and each row is told its own fate."""
    facts = writing(stand, stream, "update")
    if facts.max_batch == 1:
        raise NotShown("one record a write")
    name = contract.text_field(stand, stream)
    good = live(stand, stream)[:FEW]
    bad = SourceRecord(external_id=_other_id(good[0].external_id), data={})
    rows = [good[0], bad, *good[1:]]
    results = push(stand, stream, [change("update", {name: f"Batch {n}"}, row, n) for n, row in enumerate(rows, 1)])
    assert results[1].outcome in ("not_found", "rejected", "stale"), f"the bad row was {results[1].outcome}"
    others = {result.outcome for place, result in enumerate(results) if place != 1}
    assert others == {"applied"}, f"the good rows were {others}"
    after = full(stand, stream)
    for number, row in enumerate(rows, 1):
        if row is not bad:
            stored = contract.find_value(after[row.external_id], name)
            assert str(stored).split() == ["Batch", str(number)], "a row holds what another was given"
    return f"{len(good)} applied, 1 {results[1].outcome}"


def check_full_batch(stand: Stand, stream: str) -> str:
    """As many records as one write may have, in hardly more calls than the vendor's batches require."""
    facts = writing(stand, stream, "update")
    if facts.max_batch == 1:
        raise NotShown("one record a write")
    size, name = min(facts.max_batch, MOST_BATCH), contract.text_field(stand, stream)
    before = full(stand, stream)
    hands.crowd(stand, stream, size, apart_s=1.0)
    rows = [record for record in live(stand, stream) if record.external_id not in before]
    if stand.connector.fetch is not None:  # as the engine does; a connector may write better what it has read
        stand.connector.fetch(stand.api, stream, [record.external_id for record in rows])
    calls = stand.calls()
    results = push(stand, stream, [change("update", {name: f"Full {n}"}, row, n) for n, row in enumerate(rows, 1)])
    outcomes = {result.outcome for result in results}
    assert outcomes == {"applied"}, f"a full batch was {outcomes}: {[each.code for each in results if each.code][:3]}"
    used = stand.calls() - calls
    least = ceil(size / facts.minimum.get("write", facts.max_batch))
    reads = ceil(size / facts.minimum.get("fetch", facts.page_size))
    assert used <= least + reads + SPARE_CALLS, f"{used} calls for {size} records; {least} and {reads} reads would do"
    return f"{used} calls for {size} records, {least} at least"


# Answers that never came


def check_lost_answer(stand: Stand, stream: str) -> str:
    """Contract: a write whose answer was lost is unknown."""
    if "update" in stand.connector.stream(stream).writes:
        contract.check_lost_answer(stand, stream)
        return ""
    some = _some_write(stand, stream)
    stand.vendor.set_faults(script=[{"match": method, "fault": "timeout_after"} for method in WRITES])
    (result,) = push(stand, stream, [some])
    assert result.outcome == "unknown", f"a lost answer was {result.outcome}"
    return ""


def _some_write(stand: Stand, stream: str, text: str = "Certify") -> ChangeSet:
    """An update, or where there is none a create."""
    if "update" not in stand.connector.stream(stream).writes:
        writing(stand, stream, "create")
        return newborn(stand, stream, 1)
    return change("update", {contract.text_field(stand, stream): text}, live(stand, stream)[0])


def check_failed_answer(stand: Stand, stream: str) -> str:
    """A 500 on a write says nothing of whether it landed: unknown, too."""
    some = _some_write(stand, stream, "Failed")
    stand.vendor.set_faults(script=[{"match": method, "fault": "error_after"} for method in WRITES])
    (result,) = push(stand, stream, [some])
    assert result.outcome == "unknown", f"a 500 on a write was {result.outcome}"
    return ""


def check_lost_create(stand: Stand, stream: str) -> str:
    """A create whose answer was lost is settled as the connector declares: in the end there is one record."""
    facts = _creating(stand, stream)
    born = newborn(stand, stream, 1)
    before = full(stand, stream)
    stand.vendor.set_faults(script=[{"match": method, "fault": "timeout_after"} for method in WRITES])
    (result,) = push(stand, stream, [born])
    stand.vendor.set_faults(script=[])
    assert result.outcome == "unknown", f"a create whose answer was lost was {result.outcome}"
    _later(stand, facts)
    made = full(stand, stream).keys() - before.keys()
    if facts.idempotency is Idempotency.NONE:
        raise NotShown("the vendor knows no reference of ours: a person looks first")
    if facts.idempotency in (Idempotency.UNIQUE_REFERENCE, Idempotency.KEY_WITH_LIFE):
        (again,) = push(stand.restarted(), stream, [born])
        assert again.outcome in ("applied", "duplicate"), f"the same create again: {again.outcome} {again.message}"
        how, found = "sent again", {again.external_id or again.existing_id}
    else:
        assert facts.marker is not None
        assert stand.connector.find is not None, "to be looked up, and no find"
        looked_up = stand.connector.find(stand.api, stream, facts.marker, born.reference)
        how, found = "looked up", {each.external_id for each in looked_up}
    _later(stand, facts)
    now = full(stand, stream).keys() - before.keys()
    assert len(now) == 1, f"{len(now)} records of one create"
    assert found == now, f"{how}: it is taken for another record"
    return f"{how}: one record ({len(made)} had landed)"


def check_turned_away(stand: Stand, stream: str) -> str:
    """A write that was turned away for being too fast certainly did not happen, and says when to come again."""
    some = _some_write(stand, stream, "Too fast")
    before = full(stand, stream)
    stand.vendor.set_faults(script=[{"match": method, "fault": "throttle"} for method in WRITES])
    (result,) = push(stand, stream, [some])
    left = len(stand.vendor.set_faults()["script"])
    stand.vendor.set_faults(script=[])
    assert left < len(WRITES), "nothing was turned away"
    same = _same(full(stand, stream), before, some)
    assert (result.outcome == "throttled") == same, f"turned away: {result.outcome}, and {'un' * same}changed"
    assert result.outcome in ("throttled", "applied"), f"turned away: {result.outcome} {result.code}"
    return result.outcome


def _same(after: State, before: State, some: ChangeSet) -> bool:
    """Whether a write left no trace: in its record, or, of a create, anywhere."""
    if some.external_id is None:
        return after.keys() == before.keys()
    return after.get(some.external_id) == before.get(some.external_id)


def _later(stand: Stand, facts: Stream) -> None:
    stand.advance(max(60.0, 2 * facts.lag_s))
