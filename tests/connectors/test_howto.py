"""The connector, mapping and twin of docs/connectors-howto.md are whole: they pass what every connector must pass."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from hub.core.mapping_file import Hub as Shared
from hub.runtime.registry import SHIPPED
from hub.verify.certify.stand import Candidate, candidate_of
from hub.verify.certify.suite import FAILED, PASSED, certify
from tests.house.source import ROOT

PAGE = (ROOT / "docs" / "connectors-howto.md").read_text(encoding="utf-8")
LANTERN = ROOT / "tests" / "connectors" / "lantern"
MOST_LINES = 150
SEEN = ("hub.connector", "hub.kit", "hub.model", "hub.errors")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def module(name: str, code: str) -> ModuleType:
    made = ModuleType(name)
    exec(compile(code, f"{name}.py", "exec"), made.__dict__)
    return made


def of_the_page(folder: Path) -> Candidate:
    connector, twin = blocks("python")
    return put_together(folder, "acme", connector, twin, blocks("yaml")[0])


def put_together(folder: Path, name: str, connector: str, twin: str, mapping: str) -> Candidate:
    shutil.copy(SHIPPED / "canonical.yaml", folder / "canonical.yaml")
    (folder / f"{name}.yaml").write_text(mapping, encoding="utf-8")
    made = module(name, connector)
    return candidate_of(made.CONNECTOR, module(f"{name}_twin", twin), folder / f"{name}.yaml")


def lantern(folder: Path) -> Candidate:
    code, twin, mapping = ((LANTERN / each).read_text("utf-8") for each in ("connector.py", "twin.py", "mapping.yaml"))
    return put_together(folder, "lantern", code, twin, mapping)


@pytest.mark.parametrize("made", [of_the_page, lantern], ids=["the page's own", "one written from the page alone"])
def test_a_connector_as_the_page_tells_passes_every_check(made: type, tmp_path: Path) -> None:
    certificate = certify(made(tmp_path))
    assert [f"{row.check.name}: {row.detail}" for row in certificate.rows if row.status == FAILED] == []
    assert sum(row.status == PASSED for row in certificate.rows) >= 40


@pytest.mark.parametrize("code", [blocks("python")[0], (LANTERN / "connector.py").read_text("utf-8")])
def test_it_is_short_and_sees_nothing_but_what_the_page_says(code: str) -> None:
    assert len(code.splitlines()) < MOST_LINES
    imported = [node.module or "" for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert [name for name in imported if name.startswith("hub") and not name.startswith(SEEN)] == []


def test_the_mapping_of_the_page_holds(tmp_path: Path) -> None:
    from hub.core.canonical_file import read_canonical
    from hub.core.document import Sheet
    from hub.core.mapping_file import read_mapping
    from hub.runtime.yaml import load_yaml

    for given in (of_the_page(tmp_path), lantern(tmp_path)):
        sheet = Sheet(load_yaml(given.mapping))
        read_mapping(sheet, read_canonical(Sheet(load_yaml(SHIPPED / "canonical.yaml"))), Shared(country="DE"))
        assert [str(fault) for fault in sheet.faults] == []
