"""The examples of the pages are run: claims through the rule that decides, the connector against a small vendor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from hub.core.canonical import CanonicalField, Survivorship
from hub.core.merge import Voice, decide_field
from hub.model import LONG_AGO, NO_VERSION, WHOLE, Cell, Claim, FieldState, Json
from tests.house.source import ROOT

SOURCES = ("salesforce", "hubspot", "stripe", "shopify", "typeform")  # as mappings/canonical.yaml has them
STAGES = ("subscriber", "lead", "mql", "sql", "opportunity", "customer")
CLAIM = re.compile(r"(\w+): (.+) \((\?|\d\d:\d\d)-(\d\d:\d\d)\)")


@dataclass(slots=True)
class Example:
    """One block of the page."""

    about: CanonicalField
    claims: list[Claim] = field(default_factory=list)
    value: str = ""
    conflicts: list[str] = field(default_factory=list)


def examples(page: str) -> Iterator[Example]:
    for block in re.findall(r"^```claims\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        head, *lines = block.splitlines()
        example = Example(about=declared(head))
        for line in lines:
            what, _, said = line.partition(": ")
            if what == "value":
                example.value = said
            elif what == "conflict":
                example.conflicts.append(said)
            else:
                example.claims.append(claim(line, example.about, taken=len(example.claims) + 1))
        yield example


def declared(head: str) -> CanonicalField:
    name, _, rule = head.partition(" by ")
    rule, _, order = rule.partition(" ")
    type_ = {"consent": "consent", "max": "enum"}.get(rule, "text")
    kind = "consent" if type_ == "consent" else "scalar"
    survivorship = Survivorship(rule=rule, source=tuple(filter(None, order.split(", "))))
    return CanonicalField(
        name=name, type=type_, kind=kind, survivorship=survivorship, values=STAGES if type_ == "enum" else ()
    )


def claim(line: str, about: CanonicalField, *, taken: int) -> Claim:
    found = CLAIM.fullmatch(line)
    assert found is not None, line
    system, said, after, before = found.groups()
    value: Json = {"state": said, "at": None, "source": None} if about.kind == "consent" else said
    if said == "opted_in":
        value = {"state": said, "at": "2026-01-01T09:03:00Z", "source": "form"}
    opened = LONG_AGO if after == "?" else minutes(after)
    return Claim(SOURCES.index(system) + 1, value, opened, minutes(before), NO_VERSION, taken)


def minutes(clock: str) -> float:
    hours, _, rest = clock.partition(":")
    return 60.0 * int(hours) + int(rest)


def outcome(example: Example) -> tuple[str, list[str]]:
    """The value, and each conflict as the page writes it."""
    voices = {
        rank + 1: Voice(link=rank + 1, connection=name, connector=name, rank=rank, speaks=True)
        for rank, name in enumerate(SOURCES)
    }
    cells = {each.link: Cell(held=each.value, own={WHOLE: each}) for each in example.claims}
    decision = decide_field(example.about, cells, FieldState(), voices, version=example.claims[-1].taken)
    value = decision.state.value["state"] if example.about.kind == "consent" else decision.state.value
    mark = ", open" if decision.open else ""
    return value, [f"{voices[each.claim.link].connection} {each.kind}{mark}" for each in decision.losers]


EXAMPLES = list(examples((ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")))


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) == 7
    assert all(len(each.claims) == 2 and each.value for each in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.about.name}-{example.value}")
def test_an_example_comes_out_as_the_page_says(example: Example) -> None:
    assert outcome(example) == (example.value, example.conflicts)


def test_an_example_that_is_wrong_is_seen() -> None:
    (wrong,) = examples("```claims\nphone by newest\nhubspot: 1 (?-09:00)\nstripe: 2 (09:00-09:05)\nvalue: 1\n```\n")
    assert outcome(wrong) == ("2", [])
