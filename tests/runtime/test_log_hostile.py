"""No text that somebody sends forges a line of the log or speaks to the terminal it is read on."""

from __future__ import annotations

import io
import json
import re

import pytest

from hub.runtime.log import configure, logger
from tests.hostile import HOSTILE

TEXTS = [text for text in HOSTILE if len(text) < 400]
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("readable", [False, True])
def test_no_text_forges_a_line_or_moves_the_cursor(readable: bool) -> None:
    stream = io.StringIO()
    configure(stream=stream, text=readable)
    for text in TEXTS:
        logger("hooks").warning(text, error=text, detail={"more": [text]})
    lines = stream.getvalue().split("\n")[:-1]
    assert len(lines) == len(TEXTS), "one event, one line"
    assert not any(line.startswith("2026-11-02 error: forged") for line in lines)
    if readable:
        assert [line for line in lines if UNSEEN.search(line)] == []
    else:
        assert all(json.loads(line)["part"] == "hooks" for line in lines)
