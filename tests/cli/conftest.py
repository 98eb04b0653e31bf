"""The command line, called in this process, and a project for it to work on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hub.cli.app import run
from tests.projects import make_project

Hub = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    """Carries a command out in this process: (exit code, what it said, what it complained about)."""
    for name in ("HUB_DATABASE_URL", "HUB_PROJECT", "HUB_SECRET_KEY", "HUB_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*argv: str) -> tuple[int, str, str]:
        code = run(argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Path:
    found = make_project(tmp_path)
    monkeypatch.chdir(found)
    return found
