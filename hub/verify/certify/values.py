"""Values as nobody wishes for them, both ways; times that clocks trip over; what the mapping promises."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime

import orjson

from hub.core.mapping import to_canonical, to_external
from hub.core.values import is_blank, same
from hub.kit import contract
from hub.kit.contract import NotShown, records_of
from hub.model import Json
from hub.verify.certify import hands
from hub.verify.certify.reading import GONE, applied, dated, first_read, full, listed, next_read
from hub.verify.certify.stand import Stand
from hub.verify.certify.writing import change, live, mapping_of, push, writing
from hub.verify.mapping import broken_laws

HUGE = 2**63 - 1  # more than a double holds exactly: 9223372036854775807
EXAMPLES = 60  # of each law of a mapping; `hub verify mapping` takes thousands
ROUND_TRIPS = 5
HOSTILE = {
    "4-byte characters": "Zoë 🏳️‍🌈 𠜎 𝒜",
    "right-to-left text": "\u202bمحمد\u202c שלום \u200f!",
    "a NUL": "nul\x00byte",
    "100 kB of text": "Lorem ipsum " * 8_534,
    "decomposed letters": "A\u030angstro\u0308m e\u0301",
}
MOMENTS = {
    "a change on a leap day": datetime(2028, 2, 29, 23, 59, 30, tzinfo=UTC),
    "a change in the hour that summer time skips": datetime(2027, 3, 28, 1, 0, 5, tzinfo=UTC),
    "a change in the hour that comes twice": datetime(2027, 10, 31, 0, 30, 5, tzinfo=UTC),
    "a change at the turn of the year": datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC),
}


# Texts


def read_text(kind: str, stand: Stand, stream: str) -> str:
    """What people put there is read as the vendor keeps it: not cut, not mended, not lost with its page."""
    dated(stand, stream)
    text = HOSTILE[kind]
    known, cursor = first_read(stand, stream)
    if not hands.edits_text(stand, stream):
        raise NotShown("people choose no text there")
    record_id = hands.edit(stand, stream, text)
    kept = _texts(stand.twin.snapshot(stream)[record_id]["fields"])
    mark = text.strip()[:3].lower()
    stored = [each for each in kept if mark in each.lower()]
    pages = next_read(stand, stream, cursor)
    told = records_of(pages)
    assert not [fault for page in pages for fault in page.faults], "a record is not read because of its text"
    changed = [each for each in told if each.op not in GONE and known.get(each.external_id) != dict(each.data)]
    assert changed, "the edit was not told of"
    if not stored:
        return "the vendor keeps nothing of it"
    found = [text for each in changed for text in _texts(orjson.loads(orjson.dumps(dict(each.data))))]
    assert any(each in found for each in stored), "another text is read than the vendor keeps"
    return "" if text in stored else "the vendor keeps it in a form of its own"


def write_text(kind: str, stand: Stand, stream: str) -> str:
    """What is written is what the vendor then holds and the result says; or it is refused, with a reason."""
    writing(stand, stream, "update")
    text = HOSTILE[kind]
    record, name = live(stand, stream)[0], contract.text_field(stand, stream)
    before = full(stand, stream)
    (result,) = push(stand, stream, [change("update", {name: text}, record)])
    after = full(stand, stream)
    others = {key for key in before if key != record.external_id and before[key] != after.get(key)}
    assert not others, "another record changed"
    if result.outcome == "rejected":
        assert result.code, "refused without a code"
        assert result.message, "refused without a reason"
        return f"refused: {result.code}"
    assert result.outcome == "applied", f"{result.outcome}: {result.code} {result.message[:100]}"
    stored = contract.find_value(after[record.external_id], name)
    if result.held is not None:
        assert contract.find_value(dict(result.held.data), name) == stored, "the result is not what is stored"
    return "" if stored == text else "the vendor keeps it in a form of its own, and the result says so"


def _texts(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _texts(child)]


# Ids


def enlarge_one_id(body: bytes, *, id_key: str, stream: str) -> bytes | None:
    """The same answer, but the last row of its list has an id that no double holds; None where ids are no numbers."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    rows = contract.rows_of(answer, id_key, stream)
    if len(rows) < 2:
        return None
    old = rows[-1][id_key]
    if isinstance(old, int):
        rows[-1][id_key] = HUGE
    elif isinstance(old, str) and re.fullmatch(r"(gid://.*/)?\d+", old):
        rows[-1][id_key] = re.sub(r"\d+$", str(HUGE), old)
    else:
        return None
    return orjson.dumps(answer)


def check_huge_ids(stand: Stand, stream: str) -> str:
    """An id of 19 digits is kept to the last digit. The stand is on a vendor that hands one out."""
    listed(stand, stream)
    page = stand.connector.pull(stand.api, stream, None)
    cursor = page.next_cursor
    while not stand.vendor.altered and not page.complete:
        page = stand.connector.pull(stand.api, stream, cursor)
        cursor = page.next_cursor
    if not stand.vendor.altered:
        raise NotShown("its ids are no numbers")
    ids = [record.external_id for record in page.records]
    faults = [str(fault.get("external_id")) for fault in page.faults]
    assert any(str(HUGE) in each for each in (*ids, *faults)), "the last digits of an id were lost"
    return str(HUGE)


# Times


def check_moment(kind: str, stand: Stand, stream: str) -> str:
    """A change at that moment bears that moment, and one an hour later a later one."""
    facts = dated(stand, stream)
    if facts.modified_path is None:
        raise NotShown("its records have no time of change")
    stand.advance(MOMENTS[kind].timestamp() - stand.twin.now())
    known, cursor = first_read(stand, stream)
    stand.clock.advance(MOMENTS[kind].timestamp() + 3600.0 - stand.twin.now())
    stamps = []
    for text in ("Once", "Twice"):
        record_id = hands.edit(stand, stream, text)
        due = float(stand.twin.snapshot(stream)[record_id]["modified"])
        pages = next_read(stand, stream, cursor)
        told = records_of(pages)
        after = applied({}, told)
        seen = [each.stamp for each in told if after.get(each.external_id) != known.get(each.external_id)]
        assert seen, "the edit was not told of"
        assert min(abs((stamp or 0.0) - due) for stamp in seen) <= max(1.0, facts.stamp_tick_s), (
            f"changed at {due:.0f}, read as {seen[0]}"
        )
        stamps.append(max(stamp or 0.0 for stamp in seen))
        known, cursor = applied(known, told), pages[-1].next_cursor
        if not hands.edits_text(stand, stream):
            return ""
        stand.advance(3600.0)
    assert stamps[1] > stamps[0], "the later change bears no later time"
    return ""


# What the mapping promises


def check_round_trip(stand: Stand, stream: str) -> str:
    """Values in normal form, written out and read back, are the same values."""
    writing(stand, stream, "update")
    mapping = mapping_of(stand, stream)
    assert stand.connector.fetch is not None, "updates, and no fetch"
    fields = 0
    for number, record in enumerate(live(stand, stream)[:ROUND_TRIPS], 1):
        mapped = to_canonical(mapping, record)
        faulty = {fault.field for fault in mapped.faults}
        values = {
            name: value
            for name, value in mapped.values.items()
            if name in mapping.out_fields and not is_blank(value) and name not in faulty
        }
        sent = to_external(mapping, values, changed=values, external_ids={}, creating=False)
        if not sent.body:
            continue
        (result,) = push(stand, stream, [change("update", sent.body, record, number)])
        assert result.outcome == "applied", f"its own values: {result.outcome} {result.code} {result.message}"
        (held,) = [result.held] if result.held else stand.connector.fetch(stand.api, stream, [record.external_id])
        back = to_canonical(mapping, held).values
        for name, value in sent.sent.items():
            assert same(mapping.entity_type.fields[name], back.get(name), value), f"{name} comes back as something else"
        fields += len(sent.sent)
    if not fields:
        raise NotShown("no record has a value that is written")
    return f"{fields} values"


def check_mapping_laws(stand: Stand, stream: str) -> str:
    """The laws of the mapping file: what is written is what is read back, whatever it is."""
    found = [mapping for mapping in stand.candidate.mappings if mapping.source == stream]
    if not found:
        raise NotShown("no mapping is shipped for it")
    for mapping in found:
        broken = list(broken_laws(mapping, random.Random(mapping.name), EXAMPLES))
        assert not broken, broken[0]
    return f"{EXAMPLES} examples of each law"


def check_schema(stand: Stand, stream: str) -> str:
    """The live fields have names of their own, and the mapping asks for none that is not there."""
    fields = stand.connector.discover(stand.api, stream)
    names = [field.name for field in fields]
    assert len(set(names)) == len(names), "two fields of one name"
    assert fields, "no fields"
    return f"{len(fields)} fields"
