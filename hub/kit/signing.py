"""Checking that an inbound call comes from the vendor. Everything here fails closed.

Comparison is in constant time and on bytes (text with other than ASCII letters makes `hmac.compare_digest` raise);
the age is checked both ways; several secrets are good at once while one replaces the other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from hub.errors import SignatureError

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


def require_age(signed_at: float, received_at: float, *, tolerance_s: float, where: str) -> None:
    """Raises SignatureError if the signed time is too old, or as far in the future. Both in epoch seconds."""
    if not abs(received_at - signed_at) <= tolerance_s:  # written so that NaN is refused too
        raise SignatureError("the signature is too old or from the future", where=where, fix="check the clock")
