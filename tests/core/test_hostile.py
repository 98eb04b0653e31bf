"""Text that would keep a pattern busy for ever: every type and every transform is done with it at once."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from hub.core.canonical import CanonicalField
from hub.core.expressions import compile_expression
from hub.core.formats import MappingFault
from hub.core.transforms import table
from hub.core.values import _READERS, key_value, normalise
from tests.core.language import people_text, read_file
from tests.hostile import BROKEN, HOSTILE

# Of each: what makes patterns try again and again, a hundred thousand letters long.
SLOW = (
    "a" * 100_000 + "!", "a." * 50_000, "@" * 100_000, "1" * 100_000, "(" * 100_000, "-." * 50_000, " a" * 50_000,
    "+49 " * 25_000, "0" * 50_000 + ".", "2026-01-01" * 10_000, "http://" * 15_000, "\u0300" * 100_000, "١" * 100_000,
    "x@" + "a." * 40_000,
)  # fmt: skip
LONGEST_S = 1.0


def timed(kind: str, text: str) -> float:
    began = time.perf_counter()
    try:
        normalise(CanonicalField(name="f", type=kind, values=("a",)), text, region="DE")
    except MappingFault:
        pass
    return time.perf_counter() - began


@pytest.mark.parametrize("kind", [*_READERS, "phone"])
def test_no_type_is_slow_on_long_text_or_breaks_on_hostile_text(kind: str) -> None:
    for text in SLOW:
        assert timed(kind, text) < LONGEST_S, text[:20]
    for text in (*HOSTILE, *BROKEN):
        timed(kind, text)
        if text not in BROKEN:
            key_value("text", text)


def test_no_transform_takes_a_pattern_and_none_is_slow_on_long_text() -> None:
    """Options are words and numbers; of those that look like a pattern every letter stands for itself."""
    for name, entry in table().items():
        assert "pattern" not in entry.text.lower(), name
        assert "regular" not in entry.text.lower(), name
    for evil in ("(a+)+$", ".*", "YYYY(a+)+MM+DD", "[", "YYYY-MM-DD(", "YYYY.MM.DD|.*"):
        body = f"{{fields: {{birthday: {{remote: B, transforms: [{{date: '{evil}'}}]}}}}}}"
        file, faults = read_file(people_text(body))
        rules = [rule for rule in file.streams["people"].rules if rule.name == "birthday"]
        if faults:
            continue
        (rule,) = rules
        began = time.perf_counter()
        for text in ("a" * 50_000 + "!", "2026-01-01", "2026x01y01"):
            try:
                assert rule.inward is not None
                assert rule.inward(text) is None or evil == "YYYY.MM.DD|.*", (evil, text)
            except MappingFault:
                pass
        assert time.perf_counter() - began < LONGEST_S, evil


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) < 900][::4])
def test_no_hostile_text_is_an_expression_that_does_anything(text: str) -> None:
    """It is refused, or it is a constant, a name or a sum: nothing that calls, looks up or never ends."""
    began = time.perf_counter()
    try:
        found = compile_expression(text, ["name", "x"])({"name": "Ann", "x": 7})
    except MappingFault as refusal:
        found = refusal.code
    assert found is None or isinstance(found, str | int | float | bool | tuple | Decimal)
    assert time.perf_counter() - began < LONGEST_S
