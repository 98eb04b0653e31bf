"""`hub verify mapping` holds the shipped files to the laws, and finds a mapping that breaks one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mappings
from hub.errors import ConfigFault, NotFound
from hub.verify.mapping import verify_mappings

FOLDER = Path(mappings.__file__).parent


def test_shipped_mappings_keep_the_laws() -> None:
    names = ("salesforce", "hubspot", "shopify", "stripe", "typeform", "plum")
    report = verify_mappings([FOLDER / f"{name}.yaml" for name in names], examples=30)
    assert [each.errors for each in report.failures] == []
    assert report.counts["streams"] == report.seeds > 10


def test_a_mapping_that_loses_a_value_is_found(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "canonical.yaml", tmp_path)
    mapping = tmp_path / "crm.yaml"
    mapping.write_text(
        "connector: crm\nlanguage: 1\nstreams:\n  people:\n    entity: contact\n    fields:\n"
        "      email: {remote: mail}\n      job_title: {remote: title, transforms: [{cut: 3}]}\n",
        "utf-8",
    )
    with pytest.raises(ConfigFault, match=r"crm\.yaml:8: MAP-007"):  # before a single value was tried
        verify_mappings([mapping], examples=200)


def test_a_mapping_without_a_canonical_beside_it_is_refused(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "plum.yaml", tmp_path)
    with pytest.raises(NotFound, match="canonical"):
        verify_mappings([tmp_path / "plum.yaml"])
