"""Passwords: kept as argon2id hashes, checked in the same time whether the person exists or not."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 12  # characters; length is what counts (NIST SP 800-63B, 5.1.1.2)
LONGEST = 200
# Words that long passwords are made of again and again (published lists of leaked ones are full of them); with digits,
# signs and doublings around them they are still the first that is tried.
_WORDS = """
    password passwort passwd passphrase qwerty qwertz azerty qwertyuiop qwertzuiop asdfghjkl zxcvbnm letmein welcome
    iloveyou administrator admin changeme default secret monkey dragon football baseball sunshine princess superman
    batman trustno master shadow michael jordan liverpool arsenal chelsea starwars computer internet whatever login
    hello charlie donald freedom ninja mustang abcdefgh abcdef abcabc test testing guest user root integrationhub hub
    integration
"""
_TRIED_FIRST = frozenset(_WORDS.split())
_LOOKS_LIKE = str.maketrans("01345789@$!|+", "oleasbtgasiit")
_hasher = PasswordHasher()  # the library's defaults are RFC 9106's for small machines


def hashed(password: str) -> str:
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """True if the password is the one. Somebody without a password costs the same time, and never matches."""
    try:
        return _hasher.verify(password_hash or _nobody(), password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False


def is_tried_first(password: str, name: str) -> bool:
    """Whether somebody who guesses begins with this one: well-known words, one sign over and over, a row of keys, the
    person's own name; whatever digits and signs stand around them."""
    plain = password.casefold()
    bare = plain.strip("0123456789!?.,;:-_#*+$%&/()= ")
    letters = "".join(each for each in bare.translate(_LOOKS_LIKE) if each.isalpha())
    half = letters[: len(letters) // 2]
    words = {bare, letters, half if half * 2 == letters else letters}
    own = name.partition("@")[0].casefold()
    steps = {ord(after) - ord(before) for before, after in pairwise(plain)}
    dull = plain.isdigit() or len(set(plain)) < 4 or steps <= {0, 1}
    return dull or bool(words & _TRIED_FIRST) or (len(own) > 3 and bare == own)


@cache
def _nobody() -> str:
    return _hasher.hash("nobody's password")
