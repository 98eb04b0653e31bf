"""What people do at a vendor's own pages: edit, add, remove, put back, merge. And crowds, for pages to break at.

What a twin's people cannot do, the twin refuses in its own words, and the check says so. `PEOPLE` of a twin's module
tells only what its rows do not: ``{"orders": {"edit": "staff_notes", "remove": {"no": "an order stays"}}}``.

    edit    a text field; or {field: value}; or {"action": name, "arguments": {...}} of the twin; or {"no": reason}
    add     {field: value} instead of what the row copied from has, None to leave a field out; or an action; or a no
    remove  an action; or a no
    restore, merge, crowd (more rows than a page holds)   a no
    unique  fields that no two records may share, besides addresses
    aside   fields that tell of other records: they may move without this one being told of

In values "$id" stands for the record's id and "$now" for the vendor's time, ISO 8601 without a zone.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hub.kit.contract import NotShown
from hub.model import Json
from hub.verify.certify.stand import Stand, rows_of

HOUR_S = 3600.0
WORDS = ("edit", "add", "remove", "restore", "merge", "crowd", "unique", "aside")
_numbers = itertools.count(1)


def edit(stand: Stand, stream: str, text: str = "Edited by hand", *, at: int = -1) -> str:
    """Somebody changes a text of the record at that place, of the newest. Returns the vendor's id of it.

    Raises:
        NotShown: nobody can.
    """
    record_id, fields = _row(stand, stream, at)
    told = _told(stand, stream, "edit")
    if isinstance(told, Mapping) and "action" in told:
        _do(stand, stream, told, record_id)
        return record_id
    given = told if isinstance(told, Mapping) else {told or text_field(fields, record_id): text}
    _try(stand.twin.user_edit, stream, record_id, _filled(stand, given, record_id))
    return record_id


def newcomers(stand: Stand, stream: str, number: int = 2) -> None:
    """Records of today, if people can add some: vendors look at those closer than at old ones."""
    for _ in range(number):
        try:
            add(stand, stream)
        except NotShown:
            return


def edits_text(stand: Stand, stream: str) -> bool:
    """Whether `edit` puts a text of one's choice there."""
    told = stand.candidate.hands(stream).get("edit", "")
    return isinstance(told, str)


def add(stand: Stand, stream: str) -> None:
    """Somebody adds a record like the first one, under another address. Raises NotShown: nobody can."""
    told = _told(stand, stream, "add") or {}
    if "action" in told:
        record_id = next(iter(stand.twin.snapshot(stream)), "")
        _do(stand, stream, told, record_id)
        return
    row = _template(stand, stream)
    other = _another(row, next(_numbers), stand.candidate.hands(stream).get("unique", ()))
    fields = {**other["fields"], **_filled(stand, told, str(row["id"]))}
    kept = {name: value for name, value in fields.items() if not (name in told and told[name] is None)}
    _try(stand.twin.user_create, stream, kept)


def remove(stand: Stand, stream: str) -> str:
    """Somebody deletes a record that nothing hangs on. Raises NotShown: nobody can."""
    told = _told(stand, stream, "remove")
    reason = "there is no record"
    for record_id in reversed(_live(stand, stream)):
        try:
            if isinstance(told, Mapping):
                _do(stand, stream, told, record_id)
            else:
                stand.twin.user_delete(stream, record_id)
            return record_id
        except (ValueError, KeyError) as refusal:
            reason = str(refusal)
    raise NotShown(f"people cannot: {reason}")


def restore(stand: Stand, stream: str, record_id: str) -> None:
    """Somebody takes it out of the bin again. Raises NotShown: nobody can."""
    _told(stand, stream, "restore")
    _try(stand.twin.user_restore, stream, record_id)


def merge(stand: Stand, stream: str) -> tuple[str, str]:
    """Somebody makes one record of two: (what stays, what went). Raises NotShown: nobody can."""
    _told(stand, stream, "merge")
    kept, lost, *_ = [*_live(stand, stream)[-2:], "", ""]
    if not lost:
        raise NotShown("there are no two records")
    return str(_try(stand.twin.user_merge, stream, kept, lost) or kept), lost


def crowd(stand: Stand, stream: str, number: int, *, apart_s: float = 0.0) -> None:
    """So many more records, all changed at one moment, or each `apart_s` after the one before."""
    _told(stand, stream, "crowd")
    row, start = _template(stand, stream), stand.twin.now() - 20 * HOUR_S
    rows = []
    for place in range(number):
        other = _another(row, next(_numbers), stand.candidate.hands(stream).get("unique", ()))
        at = start + place * apart_s
        fresh = stand.twin.new_id(stream) is not None and not str(row["id"]).isdigit()
        rows.append({**other, "created": at, "modified": at, **({"id": None} if fresh else {})})
    _try(stand.twin.load, stream, rows)


def text_field(fields: Mapping[str, Json], record_id: str) -> str:
    """A field that holds a plain text, a name if there is one."""
    texts = [name for name, value in fields.items() if isinstance(value, str) and value != record_id]
    usual = [name for name in texts if "id" not in name.lower() and "@" not in fields[name]]
    found = sorted(usual or texts, key=lambda name: "name" not in name.lower())
    if not found:
        raise NotShown("no text stands in its records")
    return found[0]


def _told(stand: Stand, stream: str, what: str) -> Any:
    if stream not in stand.twin.streams:
        raise NotShown("nobody works on these records at the vendor")
    told = stand.candidate.hands(stream).get(what)
    if isinstance(told, Mapping) and "no" in told:
        raise NotShown(str(told["no"]))
    return told


def _do(stand: Stand, stream: str, told: Mapping[str, Json], record_id: str) -> Json:
    arguments = _filled(stand, told.get("arguments", {}), record_id)
    return _try(stand.twin.user_action, told["action"], **arguments)


def _try(work: Any, *given: Any, **named: Any) -> Any:
    try:
        return work(*given, **named)
    except (ValueError, KeyError) as refusal:
        raise NotShown(f"people cannot: {refusal}") from None


def _filled(stand: Stand, given: Mapping[str, Json], record_id: str) -> dict[str, Json]:
    now = datetime.fromtimestamp(stand.twin.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    marks = {"$id": record_id, "$now": now}
    return {name: marks.get(value, value) if isinstance(value, str) else value for name, value in given.items()}


def _live(stand: Stand, stream: str) -> list[str]:
    """Ids of what is there, the newest last."""
    rows = stand.twin.snapshot(stream) if stream in stand.twin.streams else {}
    there = [record_id for record_id, row in rows.items() if not row["deleted"] and not row.get("merged_into")]
    return sorted(there, key=lambda record_id: float(rows[record_id].get("created", 0.0)))


def _row(stand: Stand, stream: str, at: int) -> tuple[str, Mapping[str, Json]]:
    found = _live(stand, stream)
    if not found:
        raise NotShown("the vendor has no record")
    record_id = found[at % len(found)]
    return record_id, stand.twin.snapshot(stream)[record_id]["fields"]


def _template(stand: Stand, stream: str) -> dict[str, Json]:
    rows = rows_of(stand.candidate).get(stream)
    if not rows:
        raise NotShown("nothing of the company stands in this stream")
    return rows[0]


def _another(row: Mapping[str, Json], number: int, unique: Sequence[str]) -> dict[str, Json]:
    """A row like this one, under an id, addresses and `unique` values of its own."""
    old = str(row["id"])
    new = _id_like(old, number)
    fields = _swapped(copy.deepcopy(row["fields"]), old, new, number)
    return {**row, "id": new, "fields": {**fields, **{name: _unlike(fields.get(name), number) for name in unique}}}


def _unlike(value: Json, number: int) -> str:
    text = str(value or "")
    return f"{text[:-6]}{number:06d}" if text.lstrip("+").isdigit() else f"{text} {number}".strip()


def _id_like(old: str, number: int) -> str:
    if "@" in old:
        return f"crowd{number}.{old}"
    if old.isdigit():
        return str(int(old) + 50_000 + number)
    return f"{old[:-6]}{number:06d}"


def _swapped(value: Json, old: str, new: str, number: int) -> Json:
    if isinstance(value, dict):
        return {name: _swapped(each, old, new, number) for name, each in value.items()}
    if isinstance(value, list):
        return [_swapped(each, old, new, number) for each in value]
    if isinstance(value, str):
        if value == old:
            return new
        name, at, host = value.strip().partition("@")
        return f"crowd{number}.{name}@{host}" if at and " " not in host else value
    return value
