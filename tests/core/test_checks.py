"""Everything that can be wrong with a mapping, found without a record: code, place and fix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_type_hints

import pytest

import hub.core
import hub.runtime
from hub.connector import Field, Stream
from hub.core.canonical_file import read_canonical
from hub.core.checks import check_file, check_sample, check_together, run_tests, stops
from hub.core.codes import CODES
from hub.core.document import Sheet
from hub.core.mapping_file import extend_canonical
from hub.core.transforms import PLUG_INS, Step, Transform, register
from hub.errors import Fault
from hub.model import SourceRecord
from hub.runtime.yaml import parse_yaml
from tests.core.language import canonical, codes, people, people_text, read_file


def faults(body: str) -> list[Fault]:
    """What reading and checking a stream `people` with this body finds."""
    file, found = read_file(people_text(body))
    return [*found, *check_file(file)]


def only(found: list[Fault]) -> Fault:
    """The one fault that stops."""
    (fault,) = [each for each in found if stops(each)]
    return fault


# Must show 6: unknown field, wrong type, duplicate key, non-invertible two-way field


def test_an_unknown_field_is_named_with_its_line_and_the_nearest_name() -> None:
    fault = only(faults("fields:\n  email: {remote: E}\n  frist_name: {remote: F}"))
    assert (fault.code, fault.where) == ("MAP-001", "crm.yaml:10")
    assert "frist_name" in fault.message
    assert fault.fix == "did you mean first_name?"


def test_a_wrong_type_is_named_with_its_line() -> None:
    fault = only(faults("fields:\n  email: {remote: E}\n  visits: {remote: V, transforms: [lower]}"))
    assert (fault.code, fault.where) == ("MAP-005", "crm.yaml:10")
    assert fault.message == "lower does not serve integer fields"


def test_a_field_that_cannot_be_turned_round_is_named_with_its_line() -> None:
    body = "fields:\n  email: {remote: E}\n  note: {remote: {answer: q1}}"
    fault = only(faults(body))
    assert (fault.code, fault.where, fault.fix) == ("MAP-006", "crm.yaml:10", "say direction: in")


EMAIL = "email: {remote: Email}"


BODIES = [
    ("CFG-010", "{fields: {email: {remote: E, tranforms: [trim]}}}"),
    ("CFG-010", "{fields: {email: {remote: E}}, filds: {}}"),
    ("CFG-010", "{create: {whn: x}, fields: {email: {remote: E}}}"),
    ("CFG-011", "{fields: {email: {remote: E, transforms: trim}}}"),
    ("CFG-011", "{fields: {email: {remote: E, max: many}}}"),
    ("CFG-011", "{fields: {email: E}}"),
    ("CFG-011", "{fields: [email]}"),
    ("CFG-011", "{fields: {email: {remote: E, transforms: [[trim]]}}}"),
    ("CFG-011", "{fields: {email: {remote: true}}}"),
    ("CFG-012", "{fields: {email: {remote: E, direction: inwards}}}"),
    ("CFG-012", "{fields: {email: {remote: E}}, deletes: {in: purge}}"),
    ("CFG-012", "{fields: {email: {remote: E}}, create: sometimes}"),
    ("CFG-013", "{fields: {email: {direction: in}}}"),
    ("CFG-013", "{fields: {email: {remote: {}}}}"),
    ("CFG-016", "{fields: {email: {remote: E, prefer: [x]}}}"),
    ("CFG-016", "{fields: {email: {remote: E, constant: x, direction: in}}}"),
    ("MAP-003", "{fields: {email: {remote: E, transforms: [trimm]}}}"),
    ("MAP-003", "{fields: {note: {remote: E, wire: trim}}}"),
    ("MAP-003", "{fields: {seen_at: {remote: E, transforms: [epoch_s], direction: in}}}"),
    ("MAP-004", "{fields: {note: {remote: E, transforms: [{cut: x}], lossy: accept}}}"),
    ("MAP-006", "{fields: {note: {remote: {in: a}}}}"),
    ("MAP-006", "{fields: {note: {remote: {out: a}}}}"),
    ("MAP-006", "{fields: {note: {remote: /a}}}"),
    ("MAP-006", "{fields: {stage: {constant: lead}}}"),
    ("MAP-006", "{fields: {consent.email: {remote: a, wire: {consent_answer: {at: b, source: c}}}}}"),
    ("MAP-006", "{fields: {tier: {remote: T, cases: [{otherwise: x}]}}}"),
    ("MAP-007", "{fields: {note: {remote: E, transforms: [lower]}}}"),
    ("MAP-007", "{fields: {note: {remote: E, transforms: [{cut: 5}]}}}"),
    ("MAP-007", "{fields: {seen_at: {remote: E, wire: epoch_s}}}"),
    ("MAP-008", "{fields: {email: {remote: E}, note: {remote: E}}}"),
    ("MAP-008", "{fields: {email: {remote: E}}, on_create: {E: x}, create: always}"),
    ("MAP-008", "{fields: {email: {remote: E}, t: {direction: out, remote: E, cases: [{otherwise: x}]}}}"),
    ("MAP-008", "{fields: {note: {remote: c}, spent: {remote: a, wire: {minor_units: {currency_from: c}}}}}"),
    ("MAP-009", "{fields: {spent: {remote: E}}}"),
    ("MAP-009", "{fields: {consent.email: {remote: E}}}"),
    ("MAP-010", "{fields: {stage: {remote: S, values: {leed: L}, unknown: {out: skip}}}}"),
    ("MAP-011", "{fields: {stage: {remote: S, values: {lead: [a, b]}, unknown: {out: skip}}}}"),
    ("MAP-011", "{fields: {stage: {remote: S, values: {lead: a, mql: a}, unknown: {out: skip}}}}"),
    ("MAP-012", "{scope: {when: \"note.upper() == 'X'\"}, fields: {email: {remote: E}}}"),
    ("MAP-013", "{scope: {when: \"stge == 'lead'\"}, fields: {email: {remote: E}}}"),
    ("MAP-014", "{fields: {company: {remote: F, to: frms}}}"),
    ("MAP-014", "{fields: {company: {remote: F, to: people}}}"),
    ("MAP-014", "{fields: {company: {remote: F, to: [firms, people]}}}"),
    ("MAP-014", "{fields: {boss: {remote: F, to: [people, lads]}}}"),
    ("MAP-015", "{fields: {company: {remote: F}}}"),
    ("MAP-015", "{fields: {note: {remote: F, to: firms}}}"),
    ("MAP-020", "{fields: {note: {remote: F, direction: in, required: create}}}"),
    ("MAP-022", "{fields: {name: {remote: N, transforms: [full_name], lossy: accept}, last_name: {remote: L}}}"),
    ("MAP-023", "{fields: {note: {direction: out, remote: T, cases: [{otherwise: x}]}}}"),
    ("MAP-024", "{fields: {consent.email: {constant: x, direction: in}}}"),
    ("MAP-025", "{fields: {phone: {remote: P, transforms: [{phone: {region_from: country}}]}}}"),
    ("MAP-025", "{fields: {phone: {remote: P, transforms: [{phone: {region_from: city}}]}, city: {remote: C}}}"),
    ("MAP-026", "{fields: {email: {remote: E}}, tests: [{in: {E: A@b.de}, out: {email: a@b.de}}]}"),
    ("MAP-026", "{fields: {email: {remote: E}}, tests: [{in: {E: a@b.de}, out: {}, write: {F: a@b.de}}]}"),
    ("MAP-028", "{fields: {boss: {remote: B, to: people, missing: create}}}"),
    ("MAP-029", "{acts: true, direction: both, fields: {email: {remote: E}}}"),
    ("MAP-029", "{acts: true, create: always, fields: {email: {remote: E}}}"),
    ("MAP-029", "{direction: in, deletes: {out: archive}, fields: {email: {remote: E}}}"),
    ("MAP-032", "{direction: in, create: always, fields: {email: {remote: E}}}"),
    ("MAP-033", "{fields: {total: {remote: T}}}"),
    ("MAP-034", "{fields: {email: {remote: E}}, custom: {note: {remote: N, type: text}}}"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "body"), BODIES)
def test_each_fault_has_its_code_its_line_and_a_way_out(code: str, body: str) -> None:
    found = faults(body)
    assert code in codes(found), [str(fault) for fault in found]
    for fault in found:
        assert re.fullmatch(r"crm\.yaml:\d+", fault.where)
        assert fault.fix


def test_all_faults_of_a_file_are_found_at_once() -> None:
    found = faults(
        "{fields: {email: {remote: E, direction: up}, nme: {remote: N}, visits: {remote: V, transforms: [trimm]}}}"
    )
    assert sorted(codes(found)) == ["CFG-012", "MAP-001", "MAP-003"]


def test_a_broken_line_takes_nothing_else_with_it() -> None:
    file, _ = read_file(people_text("{fields: {email: {remote: E}, nme: {remote: N}}}"))
    assert [rule.name for rule in file.streams["people"].rules] == ["email"]
    assert [rule.name for rule in file.streams["firms"].rules] == ["name", "domain"]


DECLARATIONS = [
    ("CFG-012", "note: {type: text, max: 20}", "note: {type: string}"),
    ("CFG-013", "visits: {type: integer}", "visits: {text: Count.}"),
    ("CFG-013", "stage: {type: enum, values: [lead, mql, customer]}", "stage: {type: enum}"),
    ("CFG-014", "language: 1", "language: 2"),
    ("CFG-015", "visits: {type: integer}", "Visits: {type: integer}"),
    ("CFG-016", "visits: {type: integer}", "visits: {type: integer, values: [a]}"),
    ("MAP-002", "to: company", "to: compny"),
    ("MAP-036", "visits: {type: integer}", "city: {type: text}"),
    ("MAP-041", "birthday: {type: date}", "birthday: {type: date, survivorship: {source: [mars]}}"),
    ("MAP-041", "birthday: {type: date}", "birthday: {type: date, blank: {in: {erase_if_from: [mars]}}}"),
    ("MAP-042", "channels: [email]}", "channels: [email], survivorship: newest}"),
    ("MAP-043", "keys: [{on: [email]}]", "keys: [{on: [emial]}]"),
    ("MAP-043", "keys: [{on: [email]}]", "keys: [{on: [tags]}]"),
    ("MAP-045", "derived: paid_orders_total", "derived: all_of_it"),
    ("MAP-047", "note: {type: text, max: 20}", "note: {type: text, survivorship: max}"),
    ("MAP-047", "note: {type: text, max: 20}", "note: {type: text, survivorship: union}"),
    ("MAP-044", "    text: A firm.", "    text: A firm.\n    events: {made: {when: name is not None, at: domain}}"),
    ("MAP-013", "    text: A firm.", "    text: A firm.\n    events: {made: {when: nme is not None}}"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "old", "new"), DECLARATIONS)
def test_the_declarations_are_checked_as_closely(code: str, old: str, new: str) -> None:
    from tests.core.language import CANONICAL

    assert old in CANONICAL
    sheet = Sheet(parse_yaml(CANONICAL.replace(old, new), "canonical.yaml"))
    read_canonical(sheet, derived=("paid_orders_total",))
    assert code in codes(sheet.faults), [str(fault) for fault in sheet.faults]
    assert all(re.fullmatch(r"canonical\.yaml:\d+", fault.where) and fault.fix for fault in sheet.faults)


def test_a_custom_field_has_one_type_everywhere() -> None:
    texts = ["{fields: {email: {remote: E}}, custom: {size: {remote: S, type: integer}}}",
             "{fields: {email: {remote: E}}, custom: {size: {remote: S, type: text}}}"]  # fmt: skip
    sheets = [Sheet(parse_yaml(people_text(text), f"{number}.yaml")) for number, text in enumerate(texts)]
    extend_canonical(canonical(), sheets)
    assert (codes(sheets[0].faults), codes(sheets[1].faults)) == ([], ["MAP-034"])


# Laws


def test_a_value_that_does_not_survive_the_way_is_found_before_it_is_lost() -> None:
    shout = Transform(
        name="shout", wire=False, types=("text",), text="Forgets to say what it loses.",
        make=lambda options, place: Step(inward=str.upper),
    )  # fmt: skip
    register(shout)
    try:
        found = faults(f"{{fields: {{{EMAIL}, note: {{remote: N, transforms: [shout]}}}}}}")
    finally:
        PLUG_INS.remove(shout)
    assert codes(found) == ["MAP-030"]


def test_what_is_declared_as_lossy_may_lose_once_and_must_then_rest() -> None:
    assert (
        faults("{fields: {email: {remote: E}, note: {remote: N, transforms: [title, {cut: 5}], lossy: accept}}}") == []
    )


def test_two_mappings_that_would_undo_each_other_are_found() -> None:
    upper, _ = read_file(
        people_text(f"{{fields: {{{EMAIL}, note: {{remote: N, transforms: [upper], lossy: accept}}}}}}")
    )
    lower, _ = read_file(
        people_text(f"{{fields: {{{EMAIL}, note: {{remote: N, transforms: [lower], lossy: accept}}}}}}")
    )
    from dataclasses import replace

    lower = replace(lower, file="shop.yaml", connector="shop")
    found = check_together({"crm": upper, "shop": lower}, canonical(), connectors=("crm", "shop"))
    assert codes(found["shop"]) == ["MAP-031"]
    peaceful = check_together(
        {"crm": upper, "crm2": replace(upper, file="b.yaml")}, canonical(), connectors=("crm", "shop")
    )
    assert codes(peaceful["crm2"]) == []


def test_every_source_is_known_and_every_connection_has_a_place() -> None:
    file, _ = read_file(people_text(f"{{fields: {{{EMAIL}}}}}"))
    from dataclasses import replace

    found = check_together({"other": replace(file, connector="erp")}, canonical(), connectors=("erp",))
    assert codes(found["other"]) == ["MAP-050"]
    declared = canonical()
    phone = declared.entities["contact"].fields["phone"]
    sticky = replace(phone, survivorship=replace(phone.survivorship, rule="source", source=("shop",)))
    contact = replace(declared.entities["contact"], fields={**declared.entities["contact"].fields, "phone": sticky})
    declared = replace(declared, entities={**declared.entities, "contact": contact})
    assert codes(check_together({"crm": file}, declared, connectors=("crm",))[""]) == ["MAP-041"]


# Tests in the file


def test_the_files_own_tests_are_run_and_say_what_came_instead() -> None:
    mapping = people(
        """
        fields: {email: {remote: E}, company: {remote: F, to: firms}, first_name: {remote: N}}
        tests:
          - in: {E: A@B.de, F: 7, N: Ann}
            out: {email: A@b.de, company: "7", first_name: Ann}
            write: {E: A@b.de, F: "7", N: Ann}
          - {in: {E: nobody}, out: {email: {fault: MAP-110}}}
          - {in: {E: null}, out: {email: null}}
          - {in: {E: a@b.de}, out: {email: b@b.de}}
          - {in: {N: Ann}, out: {email: null}}
        """
    )
    wrong = run_tests(mapping)
    assert [(fault.code, fault.where) for fault in wrong] == [("MAP-026", "crm.yaml:15"), ("MAP-026", "crm.yaml:16")]
    assert "is read as 'a@b.de', the test says 'b@b.de'" in wrong[0].message
    assert "nothing at all" in wrong[1].message


def test_a_word_without_a_test_and_a_stream_without_a_key_are_advice() -> None:
    found = faults(
        "{fields: {stage: {remote: S, values: {lead: L, mql: M}}}, tests: [{in: {S: L}, out: {stage: lead}}]}"
    )
    assert sorted(codes(found)) == ["MAP-027", "MAP-035", "MAP-038"]
    assert not any(stops(fault) for fault in found)
    assert "M" in next(fault for fault in found if fault.code == "MAP-027").message


# The connector and the live system


def stream(writes: Sequence[str] = ("create", "update"), *, acts: bool = False) -> Stream:
    return Stream(name="people", writes=frozenset(writes), acts=acts)


def against(body: str, fields: Sequence[Field] | None = None, streams: Mapping[str, Stream] | None = None) -> list[str]:
    file, found = read_file(people_text(body))
    assert found == []
    schema = None if fields is None else {"people": fields}
    return codes(check_file(file, streams=streams, schema=schema))


def live(name: str, kind: str = "text", **facts: object) -> Field:
    return Field(name=name, label=name, type=kind, **facts)  # type: ignore[arg-type]


STAGES = "{remote: S, values: {lead: L, mql: M, customer: C}}"
STAGE_TESTS = "[{in: {S: L}, out: {}}, {in: {S: M}, out: {}}, {in: {S: C}, out: {}}]"
WRITES = "{create: always, deletes: {out: archive}, fields: {email: {remote: E}, note: {remote: N}}}"


def test_a_stream_is_asked_only_for_what_it_can_do() -> None:
    firms = Stream(name="firms", writes=frozenset(("upsert",)))
    assert "CFG-032" in against(WRITES, streams={"persons": stream(), "firms": firms})
    assert against(WRITES, streams={"people": stream(("create", "update", "archive")), "firms": firms}) == []
    assert against(WRITES, streams={"people": stream(("update",)), "firms": firms}) == ["MAP-018", "MAP-018"]
    assert against(WRITES, streams={"people": stream(("create", "archive"), acts=True), "firms": firms}) == ["MAP-029"]


@pytest.mark.parametrize(
    ("code", "body", "fields"),
    [
        ("MAP-016", "{fields: {email: {remote: Emial}}}", [live("Email", "email")]),
        ("MAP-017", "{fields: {email: {remote: E}}}", [live("E", "email", readable=False)]),
        ("MAP-018", "{fields: {email: {remote: E}}}", [live("E", "email", writable=False)]),
        ("MAP-018", "{create: always, on_create: {S: x}, fields: {email: {remote: E}}}",
         [live("E"), live("S", writable=False)]),
        ("MAP-019", "{fields: {email: {remote: E}}}", [live("E", "boolean")]),
        ("MAP-019", "{fields: {email: {remote: E}, birthday: {remote: B}}}", [live("E"), live("B", "instant")]),
        ("MAP-020", "{create: always, fields: {email: {remote: E}}}", [live("E"), live("Must", required=True)]),
        ("MAP-021", f"{{fields: {{email: {{remote: E}}, stage: {STAGES}}}, tests: {STAGE_TESTS}}}",
         [live("E"), live("S", "enum", options=("L", "M", "C", "X"))]),
        ("MAP-037", "{fields: {email: {remote: E}, note: {remote: N}}}", [live("E"), live("N", max_length=10)]),
    ],
)  # fmt: skip
def test_the_live_system_is_compared(code: str, body: str, fields: Sequence[Field]) -> None:
    assert against(body, fields) == [code]


def test_a_schema_that_fits_finds_nothing() -> None:
    fields = "email: {remote: E}, city: {remote: a.City}, company: {remote: F, to: firms}"
    body = f"{{create: always, on_create: {{S: x}}, fields: {{{fields}}}}}"
    assert against(body, [live("E", "email", required=True), live("a", "object"), live("F", "ref"), live("S")]) == []


def test_a_sample_shows_values_that_cannot_be_read() -> None:
    mapping = people("{fields: {email: {remote: E}, birthday: {remote: B}}}")
    records = [SourceRecord(external_id=str(n), data={"E": f"a{n % 3}@b.de", "B": "31.12.1990"}) for n in range(10)]
    assert codes(check_sample(mapping, records)) == ["MAP-049"]
    clean = [SourceRecord(external_id=str(n), data={"E": f"a{n}@b.de", "B": "1990-12-31"}) for n in range(10)]
    assert check_sample(mapping, clean) == []


# The table of codes


def test_every_code_in_the_code_is_in_the_table_and_the_other_way_round() -> None:
    core, runtime = (Path(room.__file__ or "").parent for room in (hub.core, hub.runtime))
    names = ["canonical_file", "formats", "values", "expressions", "transforms*", "mapping*", "check*"]
    names += ["rewards_file", "milestones_file", "document", "derived"]
    files = [path for name in names for path in core.glob(f"{name}.py")]
    files += [runtime / name for name in ("yaml.py", "registry.py", "settings_schema.py")]
    text = "\n".join(path.read_text() for path in files)
    used = set(re.findall(r'"((?:CFG|MAP|RWD)-(?:\d{3}|[A-Z]+(?:-[A-Z]+)*))"', text)) - {"CFG-000"}
    assert used - CODES.keys() == set()
    assert {code for code in CODES if code.startswith(("CFG-", "MAP-", "RWD-"))} - used == set()
    assert all(code.text.endswith(".") for code in CODES.values())
    assert get_type_hints(type(CODES["CFG-001"]))["stops"] is bool
