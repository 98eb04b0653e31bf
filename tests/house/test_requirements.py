"""pyproject.toml, the requirement inputs and the pinned files say the same."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.house.source import ROOT


def asked(name: str) -> list[str]:
    """The lines of an input file that ask for a package."""
    lines = (line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return sorted(line for line in lines if line and not line.startswith(("#", "-")))


def pinned(name: str) -> dict[str, str]:
    """Package (normalised name) -> version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE))


def package(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", line)[0]).lower()


def test_pyproject_asks_for_what_requirements_in_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == asked("requirements.in")


@pytest.mark.parametrize("name", ["requirements", "requirements-build", "requirements-dev"])
def test_whatever_is_asked_for_is_pinned(name: str) -> None:
    assert {package(line) for line in asked(f"{name}.in")} - set(pinned(f"{name}.txt")) == set()


def test_a_package_has_the_same_version_in_every_pinned_file() -> None:
    versions: dict[str, set[str]] = {}
    for part in ("", "-build", "-dev"):
        for name, version in pinned(f"requirements{part}.txt").items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
