"""Passwords: kept as argon2id hashes, checked in the same time whether the person exists or not."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 12  # characters; length is what counts (NIST SP 800-63B, 5.1.1.2)
LONGEST = 200
_hasher = PasswordHasher()  # the library's defaults are RFC 9106's for small machines


def hashed(password: str) -> str:
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """True if the password is the one. Somebody without a password costs the same time, and never matches."""
    try:
        return _hasher.verify(password_hash or _nobody(), password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return _hasher.hash("nobody's password")
