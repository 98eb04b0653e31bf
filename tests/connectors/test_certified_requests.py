"""What connectors ask while they are certified is what the vendors' own OpenAPI files describe."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from hub.twins.kit import Request
from hub.verify.certify.stand import candidate
from hub.verify.certify.suite import SUITE, Check, certify
from tests.connectors.specs import Recorder, bigcommerce_problems, check_requests, spec_of, specs_of

NEWER = [r".*/appointments/scheduled_events(/\d+)?"]  # at ClickFunnels of 2026, the file is of 2025
# What is sent on purpose though no vendor would take it
IMPOSSIBLE = [f"{kind}, written" for kind in ("100 kB of text", "a NUL")]
ENOUGH = ("incremental = full", "a record by id is that of the list", "an update is what is stored",
          "a create carries the hub's id", "a bad row in a batch fails alone", "normal form, out and back",
          "a delete is carried out, twice is once", "a lost create is settled to one record")  # fmt: skip


def recorded(vendor: str, checks: Sequence[Check]) -> list[Request]:
    """The different requests of a certification; those that differ in numbers only count as one."""
    recorders: list[Recorder] = []

    def record(twin: object) -> Recorder:
        recorders.append(Recorder(twin))
        return recorders[-1]

    assert certify(candidate(vendor), checks, wrap=record).ok
    asked = [request for each in recorders for request in each.asked]
    return list(
        {re.sub(rb"\d+", b"0", f"{each.method} {each.target}".encode() + each.body): each for each in asked}.values()
    )


def requests_are_described(vendor: str, checks: Sequence[Check]) -> None:
    folder = specs_of(vendor)
    asked = recorded(vendor, checks)
    if vendor == "bigcommerce":
        problems, checked = bigcommerce_problems(folder, asked)
        assert problems == []
    elif vendor == "clickfunnels":
        checked = check_requests(spec_of(vendor), asked, prefix="/api/v2", unlisted=NEWER)
    else:
        checked = check_requests(spec_of(vendor), asked)
    assert checked >= 3


@pytest.mark.parametrize("vendor", ["bigcommerce", "calendly", "clickfunnels"])
def test_requests_of_the_certification_are_described(vendor: str) -> None:
    requests_are_described(vendor, [check for check in SUITE if check.name in ENOUGH])


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("vendor", ["bigcommerce", "calendly", "clickfunnels"])
def test_every_request_of_the_certification_is_described(vendor: str) -> None:
    requests_are_described(vendor, [check for check in SUITE if check.name not in IMPOSSIBLE])


def test_where_there_are_no_files_the_test_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("HUB_SPECS", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="no OpenAPI files of calendly"):
        specs_of("calendly")
