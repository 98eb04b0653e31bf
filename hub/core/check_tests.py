"""The tests that a mapping file carries: a record and what it means, perhaps also what a create would send."""

from __future__ import annotations

from collections.abc import Mapping

from hub.core.mapping import FieldRule, MappingTest, StreamMapping, to_canonical, to_external
from hub.core.paths import MISSING
from hub.errors import Fault
from hub.model import Json, MappedRecord, SourceRecord

_FIX = "correct the rule, or the test"


def run_tests(mapping: StreamMapping) -> list[Fault]:
    """MAP-026 for each promise that is not kept."""
    return [fault for test in mapping.tests for fault in _run(mapping, test)]


def _run(mapping: StreamMapping, test: MappingTest) -> list[Fault]:
    mapped = to_canonical(mapping, SourceRecord(external_id="test", data=test.record))
    messages = []
    for name, expected in test.values.items():
        shown = _shown(mapping, mapped, name)
        if shown != expected:
            messages.append(f"{name} is read as {_quote(shown)}, the test says {_quote(expected)}")
    if test.written is not None:
        body = _written(mapping, mapped)
        if body != test.written:
            messages.append(f"a create would send {_quote(body)}, the test says {_quote(test.written)}")
    return [Fault(code="MAP-026", where=test.where, message=message, fix=_FIX) for message in messages]


def _shown(mapping: StreamMapping, mapped: MappedRecord, name: str) -> Json:
    """What came of a field, in the words of a test: value, external id of a reference, or {"fault": code}."""
    for fault in mapped.faults:
        if fault.field == name:
            return {"fault": fault.code}
    declared = mapping.entity_type.field_of(name)
    if declared is None:
        return {"fault": "MAP-001"}
    if declared.name in mapped.references:
        reference = mapped.references[declared.name]
        return None if reference is None else reference.external_id
    if declared.name not in mapped.values:
        return MISSING
    value = mapped.values[declared.name]
    return value.get(name, MISSING) if declared.kind == "group" and name != declared.name and value else value


def _written(mapping: StreamMapping, mapped: MappedRecord) -> Mapping[str, Json]:
    """The body of a create with what was read; the records it refers to are taken to exist."""
    values = dict(mapped.values)
    external_ids = {}
    for number, (name, reference) in enumerate(sorted(mapped.references.items()), start=1):
        if reference is not None:
            values[name] = number
            external_ids[reference.stream, number] = reference.external_id
    return to_external(mapping, values, changed=mapping.fields, external_ids=external_ids, creating=True).body


def _quote(value: Json) -> str:
    return "nothing at all" if value is MISSING else repr(value)


def check_coverage(mapping: StreamMapping) -> list[Fault]:
    """MAP-027 for each word under `values:` that no test has in its record."""
    found = []
    for rule in mapping.rules:
        if rule.direction == "out" or not rule.words_in:
            continue
        seen = {word for test in mapping.tests for word in _words(rule, mapping, test)}
        lacking = [word for word in rule.words_in if word not in seen]
        if lacking:
            message = f"{rule.name}: no test has {', '.join(lacking[:6])}"
            found.append(Fault(code="MAP-027", where=rule.where, message=message, fix="add a line to tests:"))
    return found


def _words(rule: FieldRule, mapping: StreamMapping, test: MappingTest) -> list[str]:
    if rule.get is not None:
        value = rule.get(test.record)
    else:
        at_root = test.record if not mapping.root else test.record.get(mapping.root)
        value = at_root.get(rule.key) if isinstance(at_root, Mapping) else None
    each = value if isinstance(value, list) else str(value).split(";") if isinstance(value, str) else [value]
    return [("true" if one else "false") if isinstance(one, bool) else str(one) for one in [*each, value]]
