"""Closed YAML: plain data with places, and nothing that surprises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.document import Sheet
from hub.errors import ConfigFault
from hub.model import Json
from hub.runtime.yaml import LIMIT_BYTES, load_yaml, parse_yaml


def fault_of(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(ConfigFault) as refusal:
        parse_yaml(text, "x.yaml")
    (fault,) = refusal.value.faults
    assert fault.fix
    return fault.code, fault.where


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("country: NO", "NO"),
        ("on: yes", "yes"),
        ("a: true", True),
        ("a: 'true'", "true"),
        ("a: 12:30:00", "12:30:00"),
        ("a: 010", "010"),
        ("a: 10", 10),
        ("a: -3", -3),
        ("a: -0", "-0"),
        ("a: 1.5", 1.5),
        ("a: 1.10", "1.10"),
        ("a: 1e3", "1e3"),
        ("a: 0x1f", "0x1f"),
        ("a: 99999999999999999999", "99999999999999999999"),
        ("a: 2026-11-02", "2026-11-02"),
        ("a: 2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("a: .inf", ".inf"),
        ("a: ~", None),
        ("a:", None),
        ('a: ""', ""),
        ("a: [1, x, {b: 2}]", [1, "x", {"b": 2}]),
        ("true: x", "x"),
        ("1: x", "x"),
        ("a: |\n  one\n  two\n", "one\ntwo\n"),
    ],
)
def test_a_scalar_is_what_its_whole_text_says(text: str, value: Json) -> None:
    (found,) = parse_yaml(text, "x.yaml").data.values()
    assert (type(found), found) == (type(value), value)


def test_keys_are_texts() -> None:
    assert parse_yaml("true: a\n5: b\n~: c\n2026-01-01: d", "x.yaml").data == {
        "true": "a",
        "5": "b",
        "~": "c",
        "2026-01-01": "d",
    }


REFUSED: list[tuple[str | bytes, str, str]] = [
    ("a: 1\nb: 2\na: 3\n", "CFG-002", "x.yaml:3"),
    ("a:\n  b: 1\n  b: 2\n", "CFG-002", "x.yaml:3"),
    ("a: {b: 1, b: 2}", "CFG-002", "x.yaml:1"),
    ("a: &x 1\nb: 2", "CFG-003", "x.yaml:1"),
    ("a: 1\nb: *x", "CFG-003", "x.yaml:2"),
    ("x: &x {a: 1}\n", "CFG-003", "x.yaml:1"),
    ("a:\n  <<: {b: 1}\n", "CFG-003", "x.yaml:2"),
    ("a: !!str 1", "CFG-003", "x.yaml:1"),
    ("a: !!python/object/apply:os.system [id]", "CFG-003", "x.yaml:1"),
    ("? [a, b]\n: 1", "CFG-003", "x.yaml:1"),
    ("%YAML 1.1\n---\na: on", "CFG-003", "x.yaml:2"),
    ("a: 1\n---\nb: 2", "CFG-003", "x.yaml:2"),
    ("a: b: c", "CFG-001", "x.yaml:1"),
    ("a: 1\n\tb: 2", "CFG-001", "x.yaml:2"),
    ("a: [1, 2", "CFG-001", "x.yaml:1"),
    (b"a: \xff\xfe", "CFG-001", "x.yaml:1"),
    ("a: \x07", "CFG-001", "x.yaml:1"),
    ("[" * 30 + "]" * 30, "CFG-004", "x.yaml:1"),
    ("[" + "1," * 20_001 + "1]", "CFG-004", "x.yaml:1"),
    ("a: " + "x" * LIMIT_BYTES, "CFG-004", "x.yaml:1"),
]


@pytest.mark.parametrize(("text", "code", "where"), REFUSED)
def test_what_plain_data_does_not_need_is_refused_with_its_line(text: str | bytes, code: str, where: str) -> None:
    assert fault_of(text) == (code, where)


def test_both_lines_of_a_duplicate_are_named() -> None:
    with pytest.raises(ConfigFault, match="in line 1"):
        parse_yaml("email: 1\n\nemail: 2\n", "x.yaml")


def test_every_place_has_its_line() -> None:
    document = parse_yaml("a:\n  - b: 1\n\n    c: 2\n  - d\n", "x.yaml")
    assert document.where(("a", 0, "c")) == "x.yaml:4"
    assert document.where(("a", 1)) == "x.yaml:5"
    assert document.where(("a", 0, "nowhere")) == "x.yaml:2"
    assert document.where() == "x.yaml:1"


def test_an_empty_file_is_nothing() -> None:
    assert parse_yaml("", "x.yaml").data is None
    assert parse_yaml("# only a comment\n", "x.yaml").data is None


def test_a_byte_order_mark_is_no_letter() -> None:
    assert parse_yaml(b"\xef\xbb\xbfa: 1", "x.yaml").data == {"a": 1}


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault) as refusal:
        load_yaml(tmp_path / "hub.yaml")
    assert (refusal.value.faults[0].code, refusal.value.faults[0].where) == ("CFG-005", "hub.yaml:1")


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="ab:-[]{}#&*!|>'\"%@, \n\t~<", max_size=60) | st.binary(max_size=40))
def test_any_bytes_are_data_or_a_fault(text: str | bytes) -> None:
    try:
        sheet = Sheet(parse_yaml(text, "x.yaml"))
    except ConfigFault as refusal:
        found = refusal.faults
    else:
        sheet.closed(("a",))
        found = tuple(sheet.faults)
    assert all(fault.code.startswith("CFG-0") and fault.where.startswith("x.yaml:") for fault in found)
