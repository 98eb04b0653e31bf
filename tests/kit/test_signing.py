"""Signatures: constant time on bytes, several secrets, an age both ways, closed without a secret."""

from __future__ import annotations

import pytest

from hub.connector import WebhookRequest
from hub.errors import SignatureError
from hub.kit.signing import (
    digest,
    require_age,
    require_dated_signature,
    require_signature,
    secrets_of,
    signature_parts,
)

# RFC 4231, test case 2 (HMAC-SHA-256)
KEY, MESSAGE = "Jefe", b"what do ya want for nothing?"
HEX = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def accepted(given: list[str], secrets: list[str], *, message: bytes = MESSAGE, encoding: str = "hex") -> bool:
    try:
        require_signature(given, message, secrets, where="stub", encoding=encoding)
    except SignatureError:
        return False
    return True


def test_the_published_vector_is_right() -> None:
    assert digest(KEY, MESSAGE) == HEX.encode()
    assert accepted([HEX], [KEY])


def test_base64_is_the_same_bytes() -> None:
    text = digest(KEY, MESSAGE, encoding="base64").decode()
    assert accepted([text], [KEY], encoding="base64")
    assert not accepted([HEX], [KEY], encoding="base64")


@pytest.mark.parametrize(
    "given", [[], [""], [" "], ["0" * 64], [HEX[:-1]], [HEX.upper()], ["ä" * 64], ["\udcff"], [HEX] * 17]
)
def test_missing_wrong_foreign_and_too_many_signatures_are_refused_not_crashed_on(given: list[str]) -> None:
    assert not accepted(given, [KEY])


def test_another_body_is_refused() -> None:
    assert not accepted([HEX], [KEY], message=MESSAGE + b" ")


def test_during_a_rotation_both_secrets_are_good() -> None:
    assert accepted([HEX], ["new", KEY])
    assert accepted(["0" * 64, HEX], [KEY])


def test_a_secret_that_was_taken_out_opens_nothing() -> None:
    assert accepted([HEX], secrets_of({"secret": "new", "secret_previous": KEY}, where="stub"))
    assert not accepted([HEX], secrets_of({"secret": "new", "secret_previous": ""}, where="stub"))
    assert not accepted([HEX], secrets_of({"secret": "new"}, where="stub"))


def test_no_secret_never_means_no_check() -> None:
    assert not accepted([HEX], [])
    for webhooks in ({}, {"secret": ""}):
        with pytest.raises(SignatureError):
            secrets_of(webhooks, where="stub")
    assert secrets_of({"secret": "a", "secret_previous": "b", "url": "c"}, where="stub") == ["a", "b"]


@pytest.mark.parametrize("signed_at", [-301.0, 301.0, float("nan"), float("inf")])
def test_too_old_and_too_far_in_the_future_are_refused(signed_at: float) -> None:
    with pytest.raises(SignatureError):
        require_age(signed_at, 0.0, tolerance_s=300.0, where="stub")


@pytest.mark.parametrize("signed_at", [-300.0, 0.0, 300.0])
def test_an_age_within_tolerance_passes(signed_at: float) -> None:
    require_age(signed_at, 0.0, tolerance_s=300.0, where="stub")


def test_a_tolerance_of_zero_still_checks() -> None:
    with pytest.raises(SignatureError):
        require_age(-1.0, 0.0, tolerance_s=0.0, where="stub")


def test_a_dated_header_names_one_time_and_any_number_of_signatures() -> None:
    assert signature_parts("t=12, v1=ab,v0=no,v1=cd") == ("12", ["ab", "cd"])
    assert signature_parts("t=12,t=13,v1=ab") == ("", ["ab"])


@pytest.mark.parametrize(
    ("stamp", "age_s", "why"),
    [("1790000000", 0.0, ""), ("1790000000", 999.0, "too old"), ("soon", 0.0, "no time"), ("9" * 30, 0.0, "no time")],
)
def test_a_dated_signature_is_right_and_of_our_time(stamp: str, age_s: float, why: str) -> None:
    at = 1_790_000_000.0 + age_s
    request = WebhookRequest(method="POST", url="https://hub.example", headers={}, body=MESSAGE, received_at=at)
    given = [digest(KEY, stamp.encode() + b"." + MESSAGE).decode()]
    if not why:
        require_dated_signature(stamp, given, request, [KEY], tolerance_s=300.0, where="stub")
        given = [HEX]
    with pytest.raises(SignatureError, match=why or "wrong"):
        require_dated_signature(stamp, given, request, [KEY], tolerance_s=300.0, where="stub")
