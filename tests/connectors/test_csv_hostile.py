"""Files that are no tables, or tables beyond every measure: refused with a code, and nothing of them is run."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from connectors import csv as connector
from hub.connector import Settings
from hub.errors import HubError
from hub.runtime.clock import VirtualClock
from hub.runtime.files import LocalFiles

NOW = 1_790_000_000.0


def packed(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return made.getvalue()


FILES = {
    "a workbook with macros": packed("xl/vbaProject.bin", b"Sub Auto_Open()"),
    "a packed bomb": packed("people.csv", b"Id\n" + b"1\n" * 5_000_000),
    "a gzip bomb": gzip.compress(b"0" * 20_000_000),
    "a million columns": ",".join(f"c{n}" for n in range(1_000_000)).encode() + b"\n",
    "no line end in 8 MB": b"Id," + b"x" * 8_000_000,
    "nothing but quotes": b'"' * 100_001,
    "an old workbook": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 4096,
    "a page": b"<html><script>x()</script></html>",
    "an external entity": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>',
    "random bytes": bytes(range(256)) * 200,
    "nothing": b"",
}


@pytest.mark.parametrize("what", FILES)
def test_a_million_columns_and_a_packed_file_are_refused_with_a_code(tmp_path: Path, what: str) -> None:
    place = tmp_path / "people.csv"
    place.write_bytes(FILES[what])
    os.utime(place, (NOW - 60, NOW - 60))
    settings = Settings(values={}, auth={}, streams={"people": {"file": "people.csv", "key": ["Id"]}})
    api = connector.connect(LocalFiles(tmp_path, "crm", VirtualClock(NOW)), settings)
    with pytest.raises(HubError) as refused:
        connector.pull(api, "people", None)
    assert refused.value.code.startswith(("CSV-", "FILE-")), refused.value
    assert len(str(refused.value)) < 2000, "and does not repeat the file"


def test_a_formula_is_a_text_like_any_other(tmp_path: Path) -> None:
    place = tmp_path / "people.csv"
    formulas = ["=1+1", '=HYPERLINK("http://e.example")', "@SUM(1)", "+1", "-1", "=cmd|'/C calc'!A0"]
    place.write_text(
        "Id,Note\n" + "".join(f'{n},"{text.replace(chr(34), chr(34) * 2)}"\n' for n, text in enumerate(formulas))
    )
    os.utime(place, (NOW - 60, NOW - 60))
    settings = Settings(values={}, auth={}, streams={"people": {"file": "people.csv", "key": ["Id"]}})
    api = connector.connect(LocalFiles(tmp_path, "crm", VirtualClock(NOW)), settings)
    assert [record.data["Note"] for record in connector.pull(api, "people", None).records] == formulas
