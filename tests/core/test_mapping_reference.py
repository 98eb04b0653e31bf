"""docs/mapping.md says what the code does: its tables are made of the code, its examples are read by it.

After a change of keys, transforms or codes: `python -m tests.core.test_mapping_reference` fills the page anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from hub.core.canonical_file import read_canonical
from hub.core.document import Sheet
from hub.core.mapping_file import Hub, extend_canonical, read_mapping
from hub.core.mapping_rules import RULE_KEYS
from hub.core.reference import BLOCKS, fill
from hub.runtime.yaml import load_yaml, parse_yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mapping.md"


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1 for name in BLOCKS)
    assert fill(text) == text, __doc__


def test_every_key_of_a_field_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)[`:]", PAGE.read_text(encoding="utf-8").partition("### Fields")[2]))
    assert set(RULE_KEYS) - explained == set()


def test_the_example_of_the_page_is_a_mapping_without_faults() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    text = example[1].replace(
        "streams:\n", "streams:\n  companies: {entity: company, fields: {name: {remote: name}}}\n"
    )
    sheet = Sheet(parse_yaml(text, "mapping.md"))
    canonical = read_canonical(Sheet(load_yaml(ROOT / "mappings" / "canonical.yaml")))
    file = read_mapping(sheet, extend_canonical(canonical, [sheet]), Hub())
    assert [str(fault) for fault in sheet.faults] == []
    assert len(file.streams["contacts"].rules) == 6


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
