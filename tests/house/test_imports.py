"""Who may import whom: the contracts of pyproject.toml, judged by import-linter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in another process: import-linter keeps what it has read of a package, and so would hide the planted one."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_import_contract_is_kept() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_planted_import_breaks_its_contract(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for room in ("hub", "connectors"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "hub/core/planted.py").write_text("import time\n")
    (tmp_path / "hub/web/planted.py").write_text("import hub.store\n")
    (tmp_path / "hub/planted.py").write_text("")
    (tmp_path / "connectors/planted.py").write_text("import hub.core\nimport requests\nimport sqlalchemy\n")
    (tmp_path / "hub/twins/planted.py").write_text("import hub.model\n")

    result = lint_imports(tmp_path)

    assert result.returncode == 1
    broken = {line.removesuffix(" BROKEN") for line in result.stdout.splitlines() if line.endswith(" BROKEN")}
    assert len(broken) == 7, result.stdout
