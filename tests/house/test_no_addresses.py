"""The project says what it needs, not where a machine got it: no package index, no machine's folders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.source import ROOT, tracked_files

# Put together here, so that this file does not hold what it forbids.
_DOT = r"\."
INDEX_HOSTS = re.compile(
    "|".join(
        name + _DOT + domain
        for name, domain in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry" + _DOT + "npmjs", "(org|com)"),
            ("registry" + _DOT + "yarnpkg", "com"),
            ("deb" + _DOT + "debian", "org"),
            ("archive" + _DOT + "ubuntu", "com"),
            ("conda", "(anaconda|io)"),
        ]
    ),
    re.IGNORECASE,
)
MACHINE_PATHS = re.compile(r"(?<![\w.:/-])/(?:work|farm|root|tmp|home/\w+|Users/\w+|var/folders)/\w")
LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"}
# A line of a requirement file may name a package with its version and hashes, or be a comment; nothing else.
PIN = re.compile(r"(?:[a-z0-9][a-z0-9-]*==[\w.]+ \\| +--hash=sha256:[0-9a-f]{64}(?: \\)?| *#.*|)")


def addresses(text: str) -> list[str]:
    return [
        f"{number}: {line.strip()[:120]}"
        for number, line in enumerate(text.splitlines(), start=1)
        if INDEX_HOSTS.search(line) or MACHINE_PATHS.search(line)
    ]


def text_of(path: Path) -> str:
    """Empty for what is not text."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


def test_no_tracked_file_names_a_package_index_or_a_folder_of_a_machine() -> None:
    files = tracked_files()
    assert len(files) > 20, f"git lists too little below {ROOT}"
    found = {str(path.relative_to(ROOT)): addresses(text_of(path)) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_no_lock_file_that_records_addresses_is_tracked() -> None:
    assert [str(path.relative_to(ROOT)) for path in tracked_files() if path.name in LOCKS] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt", "requirements-dev.txt"])
def test_requirement_files_hold_pins_and_hashes_only(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "https://files." + "pythonhosted" + ".org/packages/a.whl",
        "see https://" + "pypi" + ".org/project/x",
        "open('/" + "work/main/x')",
        "path: /" + "tmp/hub.db",
        "cd /" + "home/ann/hub",
    ],
)
def test_an_address_is_seen(line: str) -> None:
    assert addresses(line) == [f"1: {line}"]


@pytest.mark.parametrize(
    "line", ["https://example.org/work/items", "GET /services/data/v68.0/", "tmpfs: [/tmp]", "a/tmp/b"]
)
def test_an_ordinary_path_passes(line: str) -> None:
    assert addresses(line) == []
