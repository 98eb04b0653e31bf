"""Checking that an inbound call comes from the vendor. Everything here fails closed.

Comparison is in constant time and on bytes (text with other than ASCII letters makes `hmac.compare_digest` raise);
the age is checked both ways; several secrets are good at once while one replaces the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from hub.connector import WebhookRequest
from hub.errors import SignatureError

MOST_DIGITS = 12  # of epoch seconds
MOST_SIGNATURES = 16  # more in one header are an attack on our processor (security matrix, 9)


def secrets_of(webhooks: Mapping[str, str], *, where: str) -> list[str]:
    """All secrets of a connection's `webhooks:` settings (secret, secret_previous …), the current one first.

    Raises SignatureError if none is set: no secret never means "no check".
    """
    found = [webhooks[name] for name in sorted(webhooks) if name.startswith("secret") and webhooks[name]]
    if not found:
        raise SignatureError("no webhook secret is set", where=where, fix="set webhooks.secret of the connection")
    return found


def digest(secret: str, message: bytes, *, encoding: str = "hex", algorithm: str = "sha256") -> bytes:
    """HMAC of a message as a vendor writes it: encoding hex (lower case) or base64."""
    raw = hmac.new(secret.encode(), message, getattr(hashlib, algorithm)).digest()
    return base64.b64encode(raw) if encoding == "base64" else raw.hex().encode()


def require_signature(
    given: Sequence[str],
    message: bytes,
    secrets: Sequence[str],
    *,
    where: str,
    encoding: str = "hex",
    algorithm: str = "sha256",
) -> None:
    """Raises SignatureError unless one of the given signatures is right for one of the secrets.

    Args:
        given: as they stand in the header, prefix removed; empty ones count as missing.
        message: the exact bytes that the vendor signs.
        secrets: of `secrets_of`.
        where: connection, for the message.
        encoding: hex or base64.
        algorithm: name in hashlib.
    """
    candidates = [text.strip().encode("utf-8", "surrogatepass") for text in given if text and text.strip()]
    if not candidates or len(candidates) > MOST_SIGNATURES:
        raise SignatureError("the signature is missing", where=where)
    good = False
    for secret in secrets:
        expected = digest(secret, message, encoding=encoding, algorithm=algorithm)
        for candidate in candidates:
            good |= hmac.compare_digest(candidate, expected)
    if not good or not secrets:
        raise SignatureError("the signature is wrong", where=where, fix="is the connection's webhook secret current?")


def signature_parts(header: str) -> tuple[str, list[str]]:
    """Time and signatures of ``t=…,v1=…[,v1=…]``, as several vendors write it; the time is "" if there is not one."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    return times[0] if len(times) == 1 else "", [value for name, _, value in parts if name.strip() == "v1"]


def require_dated_signature(
    stamp: str,
    given: Sequence[str],
    request: WebhookRequest,
    secrets: Sequence[str],
    *,
    tolerance_s: float,
    where: str,
) -> None:
    """Raises SignatureError unless one of the signatures is right for "<stamp>.<body>", and the stamp of our time.

    Args:
        stamp: epoch seconds, as it stands in the header.
        given: signatures, hex.
        request: the call.
        secrets: of `secrets_of`.
        tolerance_s: how old, or how far ahead, it may be.
        where: connection, for the message.
    """
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > MOST_DIGITS:
        raise SignatureError("the signature has no time", where=where)
    require_signature(given, stamp.encode() + b"." + request.body, secrets, where=where)
    require_age(float(stamp), request.received_at, tolerance_s=tolerance_s, where=where)


def require_age(signed_at: float, received_at: float, *, tolerance_s: float, where: str) -> None:
    """Raises SignatureError if the signed time is too old, or as far in the future. Both in epoch seconds."""
    if not abs(received_at - signed_at) <= tolerance_s:  # written so that NaN is refused too
        raise SignatureError("the signature is too old or from the future", where=where, fix="check the clock")
